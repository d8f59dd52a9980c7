"""The deployed path: a local cloud of its own, the real CDK CLI, the `cards` and `aws` commands."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cloud import (
    BIN,
    CARDS,
    FIRST,
    LENIENT,
    SECOND,
    STRICT,
    Cloud,
    channel,
    decide,
    started,
    until,
)


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with started(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture(scope="session")
def deployed(cloud: Cloud) -> Cloud:
    """The very templates that a real account gets; with a gate that nothing passes, at first."""
    cloud.bootstrap()
    cloud.deploy(STRICT)
    return cloud


@pytest.fixture(scope="session")
def card_folder(cloud: Cloud) -> Path:
    folder = cloud.folder / "cards"
    cloud.must(str(BIN / "cards"), "data", "draw", "--count", str(CARDS), "--out", str(folder))
    return folder


@pytest.fixture(scope="session")
def trained(deployed: Cloud, card_folder: Path, notices: str) -> dict[str, dict[str, Any]]:
    """A teacher and both stages of a student, trained and registered; by stage.

    The queue of notices is there before, so that it has those of the registrations.
    """
    cards = str(BIN / "cards")
    uri = deployed.json(cards, "data", "push", str(card_folder), "--json")["uri"]
    common = ["--cards", uri, "--recipe", "demo", "--wait", "--json"]
    # Smaller images and a part of the demo's steps: a minute, enough to recognise most views.
    for setting in ("image_size=64", "camera_side=96", "query_views=300", "drawn_strangers=40"):
        common += ["--hp", setting]
    student = [cards, "train", "student", "--stage"]
    return {
        "teacher": deployed.json(cards, "train", "teacher", *common, "--hp", "steps=10"),
        "stage1": deployed.json(*student, "1", *common, "--hp", "steps=10"),
        "stage2": deployed.json(*student, "2", *common, "--hp", "steps=40"),
    }


@pytest.fixture(scope="session")
def notices(deployed: Cloud) -> Iterator[str]:
    """A queue that hears what people are told."""
    sqs, sns = deployed.client("sqs"), deployed.client("sns")
    url = sqs.create_queue(QueueName=f"notices-{uuid.uuid4().hex[:6]}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    topic = deployed.deployment.notice_topic_arn
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    yield url


@pytest.fixture(scope="session")
def first(deployed: Cloud, trained: dict[str, dict[str, Any]]) -> dict[str, str]:
    """The first version, approved and released."""
    deployed.deploy(LENIENT)
    arn = trained["stage2"]["model_package"]
    decide(deployed, arn, "Approved")

    def released() -> str | None:
        metadata = deployed.client("sagemaker").describe_model_package(ModelPackageName=arn)[
            "CustomerMetadataProperties"
        ]
        return metadata.get("Release")

    release = until(released, 180, "the version names its release")
    return {"arn": arn, "release": str(release)}


@pytest.fixture(scope="session")
def second(deployed: Cloud, first: dict[str, str], notices: str) -> dict[str, str]:
    """Another version of the same weights, as a second training would give one."""
    sagemaker = deployed.client("sagemaker")
    row = sagemaker.describe_model_package(ModelPackageName=first["arn"])
    metadata = {**row["CustomerMetadataProperties"], "ModelName": SECOND}
    del metadata["Release"]
    arn = sagemaker.create_model_package(
        ModelPackageGroupName=row["ModelPackageGroupName"],
        ModelPackageDescription=row["ModelPackageDescription"].replace(FIRST, SECOND),
        ModelApprovalStatus="PendingManualApproval",
        CustomerMetadataProperties=metadata,
        InferenceSpecification=row["InferenceSpecification"],
        MetadataProperties=row["MetadataProperties"],
    )["ModelPackageArn"]
    decide(deployed, arn, "Approved")
    until(
        lambda: (channel(deployed, "stable") or "").startswith(SECOND), 180, "the second is stable"
    )
    return {"arn": arn, "release": str(channel(deployed, "stable"))}
