"""Checking requests, and cutting answers to shape, against botocore's model of SageMaker."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any

import botocore.session
from botocore.model import OperationModel, Shape

from localcloud.sagemaker.api_model import java_patterns
from localcloud.sagemaker.api_model.fitting import NUMBERS, check_of
from localcloud.sagemaker.errors import AwsError, invalid


@cache
def service_model() -> Any:
    """Botocore's model of SageMaker; read once, since it takes a noticeable time."""
    return botocore.session.get_session().get_service_model("sagemaker")


def operation(name: str) -> OperationModel:
    """The model of an operation such as ``CreateModelPackage``.

    Raises:
        AwsError: SageMaker has no such operation.
    """
    if name not in service_model().operation_names:
        raise AwsError("UnknownOperationException", f"SageMaker has no operation {name!r}")
    model: OperationModel = service_model().operation_model(name)
    return model


def check_request(name: str, request: Mapping[str, Any]) -> None:
    """Raises SageMaker's ValidationException, with every fault, unless a request fits."""
    shape = operation(name).input_shape
    faults = faults_of(shape, request) if shape else []
    if faults:
        plural = "s" if len(faults) > 1 else ""
        raise invalid(f"{len(faults)} validation error{plural} detected: {'; '.join(faults)}")


#: Members that the model requires of answers, and an answer here may lack: a version has no name of
#: its own (https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-details.html has such an
#: answer); a training job has no artifact before its end.
LACKING: Mapping[str, Mapping[str, Any]] = {
    "DescribeModelPackage": {"ModelPackageName": "none"},
    "DescribeTrainingJob": {"ModelArtifacts": {"S3ModelArtifacts": "s3://none"}},
}


#: The same for each row of an answer's map: a package may be made without a specification.
LACKING_IN_ROWS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "BatchDescribeModelPackage": (
        "ModelPackageSummaries",
        {"InferenceSpecification": {"Containers": [{"Image": "none"}]}},
    ),
}


def answer_faults(name: str, answer: Mapping[str, Any]) -> list[str]:
    """What botocore's model says against an answer: members, types, words, limits, patterns."""
    shape = operation(name).output_shape
    if name in LACKING_IN_ROWS:
        member, lacking = LACKING_IN_ROWS[name]
        rows = {key: {**lacking, **row} for key, row in answer.get(member, {}).items()}
        answer = {**answer, member: rows}
    return faults_of(shape, {**LACKING.get(name, {}), **answer}) if shape else []


def faults_of(shape: Any, value: Any) -> list[str]:
    """What a shape of any service's model says against a value, in AWS's words.

    Args:
        shape: A botocore shape.
        value: Of boto3's types; bytes are not looked at.
    """
    return [] if check_of(shape)(value) else list(_faults(shape, value, ""))


def trim_response(name: str, answer: Mapping[str, Any]) -> dict[str, Any]:
    """Keeps of an answer what the operation's output has."""
    shape: Any = operation(name).output_shape
    members = shape.members if shape else {}
    return {key: value for key, value in answer.items() if key in members and value is not None}


def _faults(shape: Any, value: Any, path: str) -> Iterator[str]:
    """Faults in AWS's words, each with the path of the member."""
    kind = shape.type_name
    expected = {
        "structure": Mapping,
        "map": Mapping,
        "list": list,
        "string": str,
        "boolean": bool,
    }.get(kind)
    if expected and not isinstance(value, expected):
        yield f"Value at '{path}' failed to satisfy constraint: Member must be a {kind}"
    elif kind == "structure":
        yield from _structure_faults(shape, value, path)
    elif kind == "list":
        yield from _length_faults(shape, value, path)
        for place, item in enumerate(value, start=1):
            yield from _faults(shape.member, item, f"{path}.{place}.member")
    elif kind == "map":
        yield from _length_faults(shape, value, path)
        for key, item in value.items():
            yield from _faults(shape.key, key, f"{path}.key")
            yield from _faults(shape.value, item, f"{path}.{key}")
    elif kind == "string":
        yield from _length_faults(shape, value, path)
        yield from _text_faults(shape, value, path)
    elif kind == "timestamp":
        # JSON has seconds since 1970; who asks through boto3 gives a time.
        if isinstance(value, bool) or not isinstance(value, int | float | datetime):
            yield f"Value at '{path}' failed to satisfy constraint: Member must be a timestamp"
    elif kind in NUMBERS:
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield f"Value at '{path}' failed to satisfy constraint: Member must be a number"
        else:
            yield from _range_faults(shape, value, path)


def _structure_faults(shape: Any, value: Mapping[str, Any], path: str) -> Iterator[str]:
    for name in shape.required_members:
        if value.get(name) is None:
            yield (
                f"Value null at '{_joined(path, name)}' failed to satisfy constraint: "
                "Member must not be null"
            )
    for name, item in value.items():
        if name in shape.members and item is not None:
            yield from _faults(shape.members[name], item, _joined(path, name))


def _length_faults(shape: Shape, value: Any, path: str) -> Iterator[str]:
    yield from _bounds(shape, len(value), path, value, "have length")


def _range_faults(shape: Shape, value: float, path: str) -> Iterator[str]:
    yield from _bounds(shape, value, path, value, "have value")


def _bounds(shape: Shape, size: float, path: str, value: Any, words: str) -> Iterator[str]:
    start = f"Value '{value}' at '{path}' failed to satisfy constraint: Member must {words}"
    if size > shape.metadata.get("max", float("inf")):
        yield f"{start} less than or equal to {shape.metadata['max']}"
    if size < shape.metadata.get("min", float("-inf")):
        yield f"{start} greater than or equal to {shape.metadata['min']}"


def _text_faults(shape: Shape, value: str, path: str) -> Iterator[str]:
    start = f"Value '{value}' at '{path}' failed to satisfy constraint: Member must satisfy"
    allowed = getattr(shape, "enum", None)
    if allowed and value not in allowed:
        yield f"{start} enum value set: [{', '.join(allowed)}]"
    pattern = shape.metadata.get("pattern")
    if pattern and not java_patterns.fits(pattern, value):
        yield f"{start} regular expression pattern: {pattern}"


def _joined(path: str, name: str) -> str:
    member = name[0].lower() + name[1:]
    return f"{path}.{member}" if path else member
