"""Who may send requests to the local cloud: programs that know its secret, and no web page.

The local cloud runs jobs: a client that may send requests can run programs as the user. Three
checks come before MiniStack sees a request::

    app = AccessGuard(ministack_app, port=4566)

1. ``Host`` names the loopback interface: a page whose domain name was changed to resolve to
   127.0.0.1 (DNS rebinding) sends its own.
2. There is no ``Origin``: browsers send it with requests of web pages, AWS's clients never do.
3. The request is signed (AWS Signature Version 4) with the secret of the key that it names.
   MiniStack itself checks keys of IAM users and roles alone, and trusts requests of the root user
   and requests to S3 without a signature.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

READY_PATH = "/_localcloud/ready"
#: Names the answering server in the answer to :data:`READY_PATH`: two may be given one port.
PROCESS = "process"
#: Paths that are answered without a signature. The latter two end in a random token, which the
#: server gives only to the function or resource whose answer it expects there.
_HEALTH_PATHS = ("/_ministack/health", READY_PATH)
_TOKEN_PATHS = ("/_ministack/cfn-response/", "/_ministack/cfn-signal/")
#: MiniStack's own administration, which its access control does not cover.
_ADMINISTRATION = ("/_ministack", "/_localstack", "/_aws")
#: The largest body that is read before its signature is known to be right, in bytes; uploads to S3
#: are not read, since they sign their digest in a header.
BODY_LIMIT = 256 * 1024 * 1024
_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True)
class Refusal:
    """Why a request is refused: AWS's error code and a message."""

    code: str
    message: str


class AccessGuard:
    """An ASGI application that passes permitted requests on to another one."""

    def __init__(self, app: App, *, port: int, ready: Callable[[], Mapping[str, str]]) -> None:
        """Guards an application.

        Args:
            app: Receives the permitted requests.
            port: The port that the server listens on.
            ready: What is answered at :data:`READY_PATH`: :data:`PROCESS`, and the state of each
                further service.
        """
        self._app = app
        self._hosts = tuple(f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]"))
        self._ready = ready

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, or lets the application answer it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = _headers(scope)
        refusal = self._foreign(headers)
        if refusal:
            await _answer(send, 403, {"__type": refusal.code, "message": refusal.message})
            return
        path, method = scope["path"], scope["method"]
        if path == READY_PATH and method == "GET":
            await _answer(send, 200, dict(self._ready()))
            return
        if path in _HEALTH_PATHS or (method == "PUT" and path.startswith(_TOKEN_PATHS)):
            await self._app(scope, receive, send)
            return
        if path.startswith(_ADMINISTRATION):
            message = f"{path}: MiniStack's administration is switched off here"
            await _answer(send, 403, {"__type": "AccessDenied", "message": message})
            return
        body = b""
        if _needs_body(headers):
            read = await _read_body(receive)
            if read is None:
                message = f"the body has more than {BODY_LIMIT} bytes; upload it to S3"
                await _answer(send, 413, {"__type": "RequestTooLarge", "message": message})
                return
            body, receive = read
        refusal = _unsigned(scope, headers, body)
        if refusal:
            await _refuse(scope, headers, refusal, send)
            return
        await self._app(scope, receive, send)

    def _foreign(self, headers: Mapping[str, str]) -> Refusal | None:
        """Why a request comes from a web page; None where it does not."""
        host = headers.get("host", "")
        if host.lower() not in self._hosts:
            return Refusal(
                "AccessDenied", f"Host {host!r} is not this server; use http://{self._hosts[0]}"
            )
        if "origin" in headers:
            return Refusal(
                "AccessDenied", f"requests of web pages are refused (Origin {headers['origin']!r})"
            )
        return None


def _headers(scope: Scope) -> dict[str, str]:
    """Headers by their lower-case names, repeated ones joined as Signature Version 4 has them."""
    from ministack.core.sigv4 import decode_header_value

    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), decode_header_value(value)
        found[key] = f"{found[key]},{text}" if key in found else text
    return found


def _needs_body(headers: Mapping[str, str]) -> bool:
    """Whether the signature covers the body itself, and not a digest in a header."""
    digest = headers.get("x-amz-content-sha256", "")
    return not digest or digest.startswith(f"STREAMING-{_ALGORITHM}-PAYLOAD")


async def _read_body(receive: Receive) -> tuple[bytes, Receive] | None:
    """The body, and a way to receive it again; None where it is too large."""
    messages: list[Message] = []
    size = 0
    while True:
        message = await receive()
        messages.append(message)
        size += len(message.get("body", b""))
        if size > BODY_LIMIT:
            return None
        if message["type"] != "http.request" or not message.get("more_body"):
            break
    waiting = iter(messages)

    async def replay() -> Message:
        for message in waiting:
            return message
        return await receive()

    return b"".join(message.get("body", b"") for message in messages), replay


def _unsigned(scope: Scope, headers: Mapping[str, str], body: bytes) -> Refusal | None:
    """Why a request's signature is not accepted; None where it is right."""
    from ministack.core import iam_evaluator, sigv4
    from ministack.core.responses import _account_from_sts_session

    query = _query(scope)
    presigned = not headers.get("authorization", "")
    if presigned and query.get("X-Amz-Algorithm") != [_ALGORITHM]:
        return Refusal("MissingAuthenticationToken", "the request is not signed")
    if not presigned and not headers["authorization"].startswith(f"{_ALGORITHM} "):
        return Refusal("IncompleteSignature", f"the request is not signed with {_ALGORITHM}")
    signature = (
        sigv4.parse_query_signature(query) if presigned else sigv4.parse_header_signature(headers)
    )
    if isinstance(signature, tuple):
        return Refusal(*signature)
    # S3 checks the age of its own presigned addresses.
    if not (presigned and signature.service == "s3"):
        late = sigv4.request_time_failure(signature)
        if late:
            return Refusal(*late)
    key = signature.access_key_id
    try:
        account = iam_evaluator.find_iam_access_key_account(key) or _account_from_sts_session(key)
    except iam_evaluator.AmbiguousAccessKeyError:
        account = None
    credential = iam_evaluator.resolve_credential(key, account or (key if key.isdigit() else None))
    if isinstance(credential, iam_evaluator.CredentialResolutionError) or not key:
        return Refusal(
            getattr(credential, "code", "UnrecognizedClientException"),
            "The security token included in the request is invalid.",
        )
    fault = sigv4.header_signature_failure(
        signature,
        credential.secret_access_key,
        scope["method"],
        (scope.get("raw_path") or quote(scope["path"]).encode()).decode("latin-1"),
        query,
        headers,
        body,
        presigned=presigned,
    )
    if fault and fault[0] == "SignatureDoesNotMatch":
        return Refusal(fault[0], f'{fault[1]} Here: eval "$(cards local env)"')
    return Refusal(*fault) if fault else None


def _query(scope: Scope) -> dict[str, list[str]]:
    return parse_qs(scope.get("query_string", b"").decode("utf-8", "replace"), True)


async def _refuse(scope: Scope, headers: Mapping[str, str], refusal: Refusal, send: Send) -> None:
    """Answers with an error that the clients of the service understand."""
    from ministack.core import iam_actions, router

    service = router.detect_service(scope["method"], scope["path"], headers, _query(scope))
    status, answer_headers, body = iam_actions.access_denied_response(
        service,
        "",
        "",
        str(uuid.uuid4()),
        error_code=refusal.code,
        message=refusal.message,
        headers=dict(headers),
    )
    await _send(send, status, answer_headers, body)


async def _answer(send: Send, status: int, content: Mapping[str, str]) -> None:
    headers = {"Content-Type": "application/json"}
    await _send(send, status, headers, json.dumps(content).encode())


async def _send(send: Send, status: int, headers: Mapping[str, str], body: bytes) -> None:
    lines = [(name.lower().encode(), str(value).encode()) for name, value in headers.items()]
    lines = [line for line in lines if line[0] != b"content-length"]
    lines.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body})
