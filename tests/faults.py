"""Faults at the botocore level: what AWS and the network do to a client on a bad day.

faults = Faults()
sagemaker = faults.client(client("sagemaker"))
faults.throttle(sagemaker, "CreateModelPackage", times=2)
faults.lose_answer(sagemaker, "CreateModelPackage")   # carried out, and the answer is lost
…
assert faults.calls["CreateModelPackage"] == 3
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from botocore.awsrequest import AWSResponse
from botocore.exceptions import ReadTimeoutError


class _Raw:
    """The body of an answer as botocore reads it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, *_: Any, **__: Any) -> Any:
        yield self._body

    def read(self, *_: Any) -> bytes:
        body, self._body = self._body, b""
        return body


class Faults:
    """Plants faults into clients and counts the requests that leave them.

    Attributes:
        calls: How many requests of each operation were made, retries included.
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()

    def client(self, client: Any) -> Any:
        """Counts a client's requests; returns the client."""
        client.meta.events.register_first("request-created", self._count)
        return client

    def _count(self, request: Any, event_name: str, **_: Any) -> None:
        self.calls[event_name.rpartition(".")[2]] += 1

    def throttle(self, client: Any, operation: str, times: int = 1) -> None:
        """Answers the next requests with ThrottlingException, as an account that is too busy."""
        self.fail(client, operation, "ThrottlingException", "Rate exceeded", times)

    def fail(
        self, client: Any, operation: str, code: str, message: str = "no", times: int = 1,
        status: int = 400,
    ) -> None:  # fmt: skip
        """Answers the next requests with an error of the service; they do not reach it."""
        left = [times]

        def answer(request: Any, **_: Any) -> AWSResponse | None:
            if left[0] <= 0:
                return None
            left[0] -= 1
            return _error(request, client.meta.service_model.metadata, code, message, status)

        self._plant(client, operation, answer)

    def lose_answer(self, client: Any, operation: str, times: int = 1) -> None:
        """Lets the service carry the next requests out and loses its answers on the way."""
        left = [times]

        def lose(request: Any, **_: Any) -> None:
            if left[0] <= 0:
                return
            left[0] -= 1
            client._endpoint.http_session.send(request)
            raise ReadTimeoutError(endpoint_url=request.url)

        self._plant(client, operation, lose)

    def die_before(self, client: Any, operation: str) -> None:
        """Ends the caller, once, when it is about to make a request: a function that is killed."""
        armed = [True]

        def die(**_: Any) -> None:
            if armed:
                armed.clear()
                raise Killed(operation)

        # Before the request is even built, where nothing of botocore catches or retries it.
        service = client.meta.service_model.service_id.hyphenize()
        client.meta.events.register(f"provide-client-params.{service}.{operation}", die)

    @staticmethod
    def _plant(client: Any, operation: str, handler: Any) -> None:
        service = client.meta.service_model.service_id.hyphenize()
        client.meta.events.register(f"before-send.{service}.{operation}", handler)


class Killed(BaseException):
    """The caller's process is gone; nothing may catch this on its way."""


def _error(request: Any, metadata: Any, code: str, message: str, status: int) -> AWSResponse:
    if metadata["protocol"] == "rest-xml":
        body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
        headers = {"Content-Type": "application/xml"}
    else:
        body = json.dumps({"__type": code, "message": message}).encode()
        headers = {"Content-Type": "application/x-amz-json-1.1"}
    return AWSResponse(request.url, status, headers, _Raw(body))
