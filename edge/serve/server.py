"""The server of the page: a few fixed answers and one upload, by the standard library alone."""

from __future__ import annotations

import importlib.resources
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from edge.serve.access import Access, Refused
from recognition.card_sets.scan import ScanError

#: Bytes of a photograph; the page sends about one, a telephone's own file has up to a dozen.
LARGEST_UPLOAD = 16 * 2**20
#: Seconds in which a request must have arrived, and connections at a time.
REQUEST_SECONDS, MOST_CONNECTIONS = 20, 24
#: Seconds that an upload waits for the ones before it.
_WAIT = 15
_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class PageServer(ThreadingHTTPServer):
    """Serves the page until it is shut down."""

    daemon_threads = True
    request_queue_size = 32

    def __init__(
        self,
        address: str,
        port: int,
        access: Callable[[int], Access],
        *,
        answer: Callable[[bytes], dict[str, Any]],
        status: Callable[[], dict[str, Any]],
        log: Callable[[str], None],
        certificate: ssl.SSLContext | None = None,
    ) -> None:
        """Binds the address.

        Args:
            address: Numeric.
            port: 0 takes a free one.
            access: The rule, once the port is known.
            answer: The cards in an image file's bytes; raises ScanError for what is no image.
            status: The release, and how fresh it is.
            log: Told of each answered request and of what went wrong, one line.
            certificate: For HTTPS.

        Raises:
            OSError: The address is taken or not this machine's.
        """
        if ipaddress.ip_address(address).version == 6:
            self.address_family = socket.AF_INET6
        super().__init__((address, port), _Handler)
        self.access = access(self.server_address[1])
        self.answer, self.status, self.log = answer, status, log
        self.scheme = "https" if certificate else "http"
        self._certificate = certificate
        # One photograph at a time: the model uses every core, and memory is small.
        self.recognising = threading.Lock()
        self._connections = threading.BoundedSemaphore(MOST_CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Starts a thread for a connection, unless there are too many."""
        if not self._connections.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._connections.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answers a connection's requests."""
        try:
            request.settimeout(REQUEST_SECONDS)
            if self._certificate is not None:
                # In the thread: a client that never ends its handshake holds up no other.
                request = self._certificate.wrap_socket(request, server_side=True)
            super().process_request_thread(request, client_address)
        except (OSError, ssl.SSLError):
            self.shutdown_request(request)
        finally:
            self._connections.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of connections that break; they are the client's."""


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "cards-edge", ""
    timeout = REQUEST_SECONDS

    def do_GET(self) -> None:
        """The page's files, and the status."""
        self._answer(self._get)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        """A photograph."""
        self._answer(self._post)

    def _get(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/status":
            self.server.access.check_caller(self._headers(), self.server.scheme)
            self._send_json(HTTPStatus.OK, self.server.status())
        elif path in _FILES:
            name, kind = _FILES[path]
            page = importlib.resources.files("edge.serve").joinpath("page", name)
            self._send(HTTPStatus.OK, kind, page.read_bytes())
        else:
            raise Refused(HTTPStatus.NOT_FOUND, "there is no such page")

    def _post(self) -> None:
        if self.path != "/recognise":
            raise Refused(HTTPStatus.NOT_FOUND, "there is no such page")
        self.server.access.check_caller(self._headers(), self.server.scheme)
        content = self._body()
        if not self.server.recognising.acquire(timeout=_WAIT):
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "too many photographs at a time; wait")
        try:
            self._send_json(HTTPStatus.OK, self.server.answer(content))
        except ScanError as error:
            raise Refused(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from None
        finally:
            self.server.recognising.release()

    def _body(self) -> bytes:
        length = self._headers().get("Content-Length", "")
        if "Transfer-Encoding" in self.headers or not length.isdecimal():
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "the length of the photograph is missing")
        if len(length) > 12 or int(length) > LARGEST_UPLOAD:
            raise Refused(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"the photograph is larger than {LARGEST_UPLOAD // 2**20} MiB",
            )
        content = self.rfile.read(int(length))
        if len(content) < int(length):
            raise Refused(HTTPStatus.BAD_REQUEST, "the photograph has not arrived whole")
        return content

    def _headers(self) -> dict[str, str]:
        """The headers by their usual spelling; one that is there twice counts as neither."""
        return {
            name.title(): value
            for name, value in self.headers.items()
            if len(self.headers.get_all(name) or ()) == 1
        }

    def _answer(self, work: Callable[[], None]) -> None:
        try:
            self.server.access.check_host(self._headers())
            work()
        except Refused as refusal:
            # What was not read of the request must not be taken for the next one.
            self.close_connection = True
            self._send_json(refusal.status, {"error": str(refusal)})
        except (ConnectionError, TimeoutError):
            self.close_connection = True
        except Exception as error:  # the device goes on; its journal has the cause
            self.close_connection = True
            self.server.log(f"{type(error).__name__}: {error}")
            self._send_json(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                {"error": "the device could not recognise; cards-edge doctor tells more"},
            )

    def _send_json(self, status: HTTPStatus, document: dict[str, Any]) -> None:
        self._send(status, "application/json", json.dumps(document).encode())

    def _send(self, status: HTTPStatus, kind: str, content: bytes) -> None:
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the standard library refuses, in this server's form."""
        self.close_connection = True
        if not hasattr(self, "command") or self.command is None:
            self.command = ""
        self._send_json(HTTPStatus(code), {"error": message or HTTPStatus(code).phrase})

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """One line a request, without what a client could write into it."""
        path = getattr(self, "path", "").partition("?")[0]
        known = path if path in _FILES or path in ("/status", "/recognise") else "another path"
        method = self.command if self.command in ("GET", "HEAD", "POST") else "another method"
        self.server.log(f"{self.client_address[0]} {method} {known} {int(code)}")

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: requests are logged by :meth:`log_request`, errors where they are caught."""
