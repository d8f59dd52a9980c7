"""An AWS whose every answer holds escape codes, made from botocore's own service models."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from typing import Any

import botocore.session
from botocore import xform_name
from botocore.response import StreamingBody

from registry.deployment import PARAMETERS
from registry.names import parameter_name

#: Clears a screen, sets a title, rings, reverses the line, starts another one; not all is UTF-8.
HOSTILE = "E\x1b[2JE\x1b]0;x\x07\x9b31m\u202e\r\nE\udcff\u2028"
#: What stays of it whatever replaces the rest.
MARK = "[2JE"
NAME = "student-efficientnet-lite0-stage2-v1"
RELEASE = f"{NAME}-0123abcd"
_ACCOUNT = "arn:aws:sagemaker:us-east-2:123456789012"
ARN = f"{_ACCOUNT}:model-package/cards/1"
_VALUES = {
    "group-name": "cards", "training-bucket": "training", "release-bucket": "releases",
    "mlflow-bucket": "mlflow", "compiler": "onnx-int8", "keep-releases": "all",
    "stable-follows": "approval", "rollout-failures": "0.05",
    "training-role-arn": "arn:aws:iam::123456789012:role/training",
    "compile-role-arn": "arn:aws:iam::123456789012:role/compile",
    "signing-key-arn": "arn:aws:kms:us-east-2:123456789012:key/1",
    "register-function": "r", "compile-function": "c", "publish-function": "p",
    "reconciler-function": "q",
}  # fmt: skip
#: Members whose form decides whether an answer is read at all; everything else is hostile.
_KNOWN: dict[str, Any] = {
    "ModelPackageArn": ARN,
    "ModelPackageGroupName": "cards",
    "ModelPackageDescription": f"{NAME}: student, {HOSTILE}",
    "TrainingJobArn": f"{_ACCOUNT}:training-job/x",
    "ProcessingJobArn": f"{_ACCOUNT}:processing-job/x",
    "TrainingJobStatus": "Failed",
    "ProcessingJobStatus": "Failed",
    "StackStatus": "CREATE_COMPLETE",
    "ResourceType": "AWS::SQS::Queue",
    "LogicalResourceId": "RegisterModelFailedX",
    "IsTruncated": False,
    "ApproximateNumberOfMessages": "3",
    "ApproximateNumberOfMessagesNotVisible": "0",
    "ApproximateNumberOfMessagesDelayed": "0",
    "message": json.dumps({"message": HOSTILE, "package": NAME, "level": "INFO"}),
    "Key": f"releases/{RELEASE}/manifest.json",
    "Prefix": f"releases/{RELEASE}/",
    "S3ModelArtifacts": "s3://training/jobs/x/output/model.tar.gz",
}
_METADATA = {"ModelName": NAME, "ParentModel": HOSTILE, "FailureReason": HOSTILE, "Top1": HOSTILE}
_PAGINATION = ("NextToken", "nextToken", "NextMarker", "NextContinuationToken")
#: In UTF-8, so that it is read at all.
_UTF8 = HOSTILE.replace("\udcff", "")
_POINTER = {"release": _UTF8, "package_arn": _UTF8, "name": _UTF8, "since": _UTF8}
#: Every stored object: a pointer, a hold, a report and a lambda's answer at once.
_OBJECT = json.dumps(
    {**_POINTER, "history": [_POINTER], "by": _UTF8, "at": _UTF8, "reason": _UTF8,
     "reasons": [_UTF8], "errorMessage": _UTF8, "result": _UTF8, "step": _UTF8}
).encode()  # fmt: skip


@cache
def _model(service: str) -> Any:
    return botocore.session.get_session().get_service_model(service)


class HostileClient:
    """Any client: each of its operations answers, and each text in the answer is hostile."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._operations = {xform_name(name): name for name in _model(service).operation_names}
        self.exceptions = self

    def __getattr__(self, method: str) -> Callable[..., Any]:
        if method not in self.__dict__.get("_operations", {}):
            raise AttributeError(method)
        return lambda **given: self._answer(method, given)

    def get_paginator(self, method: str) -> HostileClient:
        pages = HostileClient(self._service)
        pages.__dict__["paginate"] = lambda **given: iter([self._answer(method, given)])
        return pages

    def get_waiter(self, _: str) -> HostileClient:
        waiter = HostileClient(self._service)
        waiter.__dict__["wait"] = lambda **_: None
        return waiter

    def _answer(self, method: str, given: dict[str, Any]) -> dict[str, Any]:
        if self._service == "ssm" and method == "get_parameters_by_path":
            return {"Parameters": list(_parameters(given))}
        shape = _model(self._service).operation_model(self._operations[method]).output_shape
        answer: dict[str, Any] = _made(shape, "") if shape else {}
        for key in _PAGINATION:
            answer.pop(key, None)
        answer["ResponseMetadata"] = {"HTTPStatusCode": 200, "RequestId": HOSTILE}
        return answer


def _parameters(given: dict[str, Any]) -> Iterator[dict[str, str]]:
    if "/dev" in given.get("Path", "") or given.get("Path", "").count("/") <= 2:
        for key in PARAMETERS:
            yield {"Name": parameter_name("dev", key), "Value": _VALUES.get(key, "none")}


def _made(shape: Any, name: str, depth: int = 0) -> Any:
    if name in _KNOWN:
        return _KNOWN[name]
    if name == "CustomerMetadataProperties":
        return dict(_METADATA)
    if name == "MessageAttributes":
        return {"ERROR_MESSAGE": {"StringValue": HOSTILE, "DataType": "String"}}
    if name == "Attributes":
        return {key: value for key, value in _KNOWN.items() if key.startswith("Approximate")}
    kind = shape.type_name
    if kind == "structure":
        if depth > 6:
            return {}
        return {
            key: _made(member, key, depth + 1)
            for key, member in shape.members.items()
            if key not in _PAGINATION
        }
    if kind == "list":
        return [_made(shape.member, name if name in _KNOWN else "", depth + 1)]
    if kind == "map":
        return {HOSTILE: _made(shape.value, "", depth + 1)}
    if kind == "blob":
        body = name in ("Body", "Payload")
        return StreamingBody(io.BytesIO(_OBJECT), len(_OBJECT)) if body else _OBJECT
    if kind == "timestamp":
        return datetime(2026, 1, 1, tzinfo=UTC)
    if kind == "boolean":
        return False
    if kind in ("integer", "long", "float", "double"):
        return 1
    if kind == "string" and getattr(shape, "enum", None):
        return shape.enum[0]
    return HOSTILE
