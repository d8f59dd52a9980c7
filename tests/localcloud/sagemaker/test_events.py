"""The events that the local cloud sends, field by field and type by type against AWS's examples.

``tests/events`` has them as AWS's documentation publishes them; see its README.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ministack.services import eventbridge

from localcloud.sagemaker import events, registry, store

EXAMPLES = Path(__file__).resolve().parents[2] / "events"
GROUP = "told-models"
#: Fields that an example has and the local cloud's events lack, with the reason.
LACKING = {
    "InferenceSpecification.Containers[].ImageDigest": "SageMaker looks it up in ECR",
    "ProcessingInputs[].S3Input.S3CompressionType": "a default that SageMaker fills in",
}
#: Fields that only some events have.
OCCASIONAL = {
    *("ModelLifeCycle", "UpdatedModelPackageFields", "ModelPackageDescription", "ModelMetrics"),
    *("MetadataProperties", "LastModifiedTime", "ExitMessage", "FailureReason", "VpcConfig"),
    *("NetworkConfig", "ExperimentConfig", "ModelArtifacts", "TrainingEndTime"),
}


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], dict[str, Any]]]:
    """Gives the newest event's detail, as EventBridge would deliver it."""
    entries: list[dict[str, Any]] = []
    monkeypatch.setattr(
        eventbridge, "_put_events", lambda body, **_: entries.extend(body["Entries"])
    )
    before = store.dump()
    registry.create_model_package_group({"ModelPackageGroupName": GROUP})
    yield lambda: dict(json.loads(entries[-1]["Detail"]))
    store.load(before)


def example(file: str) -> dict[str, Any]:
    return dict(json.loads((EXAMPLES / file).read_text(encoding="utf-8"))["detail"])


def form(value: Any) -> str:
    """What a value is, a text by its shape."""
    if isinstance(value, str):
        if re.fullmatch(r"\d{13}", value):
            return "milliseconds in a text"
        iso = re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", value)
        return "ISO time" if iso else "text"
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else type(value).__name__


def forms(value: Any, path: str = "") -> dict[str, str]:
    """The form of each field at each depth, by its path."""
    if isinstance(value, dict):
        found: dict[str, str] = {}
        for key, item in value.items():
            found |= forms(item, f"{path}.{key}".lstrip("."))
        return found or {path: "empty"}
    if isinstance(value, list):
        return forms(value[0], f"{path}[]") if value else {f"{path}[]": "empty"}
    return {path: form(value)}


def compare(sent: dict[str, Any], published: dict[str, Any]) -> None:
    """Asserts that an event has the fields of the example, and each in its form."""
    ours, theirs = forms(sent), forms(published)
    differs = {
        path: (found, theirs[path])
        for path, found in ours.items()
        if path in theirs and "empty" not in (found, theirs[path]) and found != theirs[path]
    }
    assert differs == {}
    missing = {
        path
        for path in theirs
        if path not in ours and path not in LACKING and path.partition(".")[0] not in OCCASIONAL
    }
    assert missing == set()
    assert set(sent) - set(published) <= OCCASIONAL


def version(**more: Any) -> str:
    request = {
        "ModelPackageGroupName": GROUP,
        "ModelPackageDescription": "one",
        "InferenceSpecification": {
            "Containers": [{"Image": "image", "ModelDataUrl": "s3://b/model.tar.gz"}],
            "SupportedContentTypes": ["application/x-npy"],
            "SupportedResponseMIMETypes": ["application/x-npy"],
        },
        "MetadataProperties": {"GeneratedBy": "arn:aws:sagemaker:…"},
        "ModelMetrics": {
            "ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": "s3://b/q"}}
        },
        "CustomerMetadataProperties": {"Secret": "no event has it"},
        **more,
    }
    return str(registry.create_model_package(request)["ModelPackageArn"])


def test_event_of_a_new_version_has_the_published_fields_and_types(
    sent: Callable[[], dict[str, Any]],
) -> None:
    version()
    compare(sent(), example("model_package/pending.json"))
    assert "ModelPackageName" not in sent() and "CustomerMetadataProperties" not in sent()


def test_event_of_an_approval_has_the_published_fields_and_types(
    sent: Callable[[], dict[str, Any]],
) -> None:
    arn = version()
    registry.update_model_package({"ModelPackageArn": arn, "ModelApprovalStatus": "Approved"})
    compare(sent(), example("model_package/approved.json"))
    assert sent()["UpdatedModelPackageFields"] == ["ModelApprovalStatus"]


def test_change_of_the_life_cycle_is_an_event_that_names_it(
    sent: Callable[[], dict[str, Any]],
) -> None:
    arn = version()
    stage = {"Stage": "Development", "StageStatus": "Approved", "StageDescription": "why"}
    registry.update_model_package(
        {"ModelPackageArn": arn, "ModelLifeCycle": stage, "SourceUri": "arn"}
    )
    assert sent()["ModelLifeCycle"] == stage
    assert set(sent()["UpdatedModelPackageFields"]) == {"ModelLifeCycle", "sourceUri"}
    compare(sent(), example("model_package/approved.json"))


def job(kind: str, **more: Any) -> dict[str, Any]:
    published = example(
        "training_job/completed.json"
        if kind == "Training"
        else "processing_job/compile_completed.json"
    )
    now = store.now()
    times = {key: now for key in published if key.endswith("Time")}
    record = {key: value for key, value in published.items() if key != "Tags"}
    transitions = [{"Status": "Starting", "StartTime": now, "EndTime": now, "StatusMessage": "s"}]
    if kind == "Training":
        record["SecondaryStatusTransitions"] = transitions
    return {**record, **times, "Environment": {"SECRET": "x"}, **more}


@pytest.mark.parametrize(
    ("kind", "file"),
    [
        ("Training", "training_job/completed.json"),
        ("Processing", "processing_job/compile_completed.json"),
    ],
)
def test_event_of_a_job_has_the_published_fields_and_types(
    sent: Callable[[], dict[str, Any]], kind: str, file: str
) -> None:
    events.job_changed(kind, job(kind))
    compare(sent(), example(file))
    assert "Environment" not in sent()


def test_comparison_finds_another_type_and_a_missing_field() -> None:
    published = example("training_job/completed.json")
    with pytest.raises(AssertionError):
        compare({**published, "CreationTime": 1763891000000}, published)
    with pytest.raises(AssertionError):
        compare({key: value for key, value in published.items() if key != "RoleArn"}, published)
    with pytest.raises(AssertionError):
        compare({**published, "Surprise": "x"}, published)
