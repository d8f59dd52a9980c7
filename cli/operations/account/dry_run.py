"""Clients that send nothing: each request is checked against botocore's model of its service."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from botocore import xform_name
from botocore.session import Session
from botocore.validate import ParamValidator

from localcloud.sagemaker.api_model.service_model import faults_of

#: Gives the answer to a request: the product goes on with it.
Answers = Mapping[str, Callable[[dict[str, Any]], Any]]


@dataclass(frozen=True)
class Request:
    """One request as the product made it.

    Attributes:
        service: As boto3 names it, for example ``sagemaker``.
        operation: As the service names it, for example ``CreateModelPackage``.
        given: Its parameters.
        faults: Why the service would refuse it, by its own model; empty where it would not.
    """

    service: str
    operation: str
    given: Mapping[str, Any]
    faults: tuple[str, ...]


@dataclass
class DryRun:
    """Takes requests in AWS's place.

    Attributes:
        answers: By ``service.operation``; any other request is answered with nothing.
        requests: All that were made, oldest first.
    """

    answers: Answers = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    def client(self, service: str) -> Any:
        """What stands for the boto3 client of a service."""
        return _DryClient(self, service)

    def send(self, service: str, operation: str, given: dict[str, Any]) -> Any:
        """Checks and keeps a request, and answers it."""
        self.requests.append(
            Request(service, operation, given, tuple(request_faults(service, operation, given)))
        )
        answer = self.answers.get(f"{service}.{operation}")
        return answer(given) if answer else {}


def request_faults(service: str, operation: str, given: Mapping[str, Any]) -> Iterator[str]:
    """What a service's model says against a request: types, required members, limits, patterns.

    Args:
        service: As boto3 names it.
        operation: As the service names it.
        given: Parameters, as boto3 takes them.
    """
    shape = _model(service).operation_model(operation).input_shape
    if shape is None:
        return
    # boto3 itself spells a source of a copy that is given as an object.
    sent = {**given, "CopySource": "bucket/key"} if "CopySource" in given else dict(given)
    report = ParamValidator().validate(sent, shape)
    if report.has_errors():
        yield from report.generate_report().splitlines()
        return
    yield from faults_of(shape, sent)


@cache
def _model(service: str) -> Any:
    return Session().get_service_model(service)


@cache
def operations_of(service: str) -> Mapping[str, str]:
    """A service's operations by the name of boto3's method."""
    return {xform_name(name): str(name) for name in _model(service).operation_names}


@dataclass(frozen=True)
class _DryClient:
    run: DryRun
    service: str

    def __getattr__(self, method: str) -> Callable[..., Any]:
        operations = operations_of(self.service)
        if method not in operations:
            raise AttributeError(f"{self.service} has no operation {method!r}")
        return lambda **given: self.run.send(self.service, operations[method], given)

    def get_paginator(self, method: str) -> _Pages:
        """One page of what the method answers."""
        return _Pages(getattr(self, method))

    def upload_fileobj(self, body: Any, bucket: str, key: str, **_: Any) -> None:
        """As boto3 sends a small file."""
        self.put_object(Bucket=bucket, Key=key, Body=b"")


@dataclass(frozen=True)
class _Pages:
    call: Callable[..., Any]

    def paginate(self, **given: Any) -> Iterator[Any]:
        yield self.call(**given)


class Body(io.BytesIO):
    """An object's content, as S3's client gives it."""

    def iter_chunks(self, size: int = 2**20) -> Iterator[bytes]:
        """The content in pieces."""
        while chunk := self.read(size):
            yield chunk
