"""Training jobs that write, or are given, what no honest one would: each is one version."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

import pytest

from localcloud.sagemaker.api_model.service_model import check_request
from registry.deployment import Deployment
from registry.registration.register import (
    REGISTERED_AS_FAILED,
    Registration,
    register_training_job,
)
from tests.hostile_json import HOSTILE_VALUES, variants
from tests.registry.memory_aws import ACCOUNT, GROUP, REGION, RELEASES, TRAINING, MemoryAws
from tests.registry.registration.training_jobs import request

FOLDER = "jobs/job-1/output"
WEIGHTS = {"name": "lite0==0.1.0", "sha256": "ab" * 32, "licence": "Apache-2.0"}


class Account(MemoryAws):
    """Refuses what SageMaker's patterns and lengths refuse."""

    def _create_model_package(self, given: dict[str, Any]) -> dict[str, Any]:
        check_request("CreateModelPackage", given)
        return super()._create_model_package(given)


def account(registration: bytes, **changes: Any) -> Account:
    """An account with one training job that has ended and left this request."""
    aws = Account()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as archive:
        member = tarfile.TarInfo("registration.json")
        member.size = len(registration)
        archive.addfile(member, io.BytesIO(registration))
    aws._store((TRAINING, f"{FOLDER}/output.tar.gz"), packed.getvalue())
    aws._store((TRAINING, f"{FOLDER}/model.tar.gz"), b"the model")
    aws.training_jobs["job-1"] = {
        "TrainingJobName": "job-1",
        "TrainingJobArn": f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:training-job/job-1",
        "TrainingJobStatus": "Completed",
        "OutputDataConfig": {"S3OutputPath": f"s3://{TRAINING}/jobs"},
        "ModelArtifacts": {"S3ModelArtifacts": f"s3://{TRAINING}/{FOLDER}/model.tar.gz"},
        "AlgorithmSpecification": {"TrainingImage": "image"},
        "Environment": {"CARDS_MODEL_LINE": "teacher-vit-tiny-phase2"},
        "CreationTime": aws.clock,
        "TrainingStartTime": aws.clock,
        "TrainingEndTime": aws.tick(),
        **changes,
    }
    return aws


def registered(aws: Account) -> Registration:
    """Registers the job twice: one version and one name, whatever it is."""
    deployment = Deployment(aws.client, GROUP, TRAINING, RELEASES)
    made = register_training_job(deployment, "job-1")
    assert register_training_job(deployment, "job-1").outcome == "already registered"
    assert len(aws.packages) == 1
    assert len([key for _, key in aws.objects if key.startswith("names/")]) == 1
    return made


def test_request_that_is_hostile_in_one_place_is_one_version() -> None:
    outcomes = {}
    for what, text in variants({**request(), "weights": [WEIGHTS]}):
        try:
            outcomes[what] = registered(account(text)).outcome
        except Exception as error:
            error.add_note(what)
            raise
    assert set(outcomes.values()) == {"registered", REGISTERED_AS_FAILED}
    for place in ("metrics/top1 = NaN", "contract/size = 1e999", "metadata/Purpose = []"):
        assert outcomes[place] == REGISTERED_AS_FAILED
    assert outcomes["parent_model_package_arn = -1"] == REGISTERED_AS_FAILED


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("metrics", {"m" * 200_000: 1.0}),
        ("metrics", {"": 1.0}),
        ("metrics", {"Top1": 0.999}),
        ("metadata", {f"Key{n}": "v" for n in range(60)}),
        ("metadata", {"PromotedFrom": "arn:aws:sagemaker:us-east-2:1:model-package/g/1"}),
        ("metadata", {"Release": "x"}),
        ("metadata", {"k" * 200: "v"}),
    ],
    ids=lambda value: str(value)[:40],
)
def test_request_with_too_much_is_a_failed_run(part: str, change: dict[str, Any]) -> None:
    document = request()
    document[part] = {**document[part], **change}
    assert registered(account(json.dumps(document).encode())).outcome == REGISTERED_AS_FAILED


@pytest.mark.parametrize(
    "metrics",
    [{f"metric{n}" * 10: 1.0 for n in range(1500)}, {"queries": 1e308}, {"queries": 1e-308}],
    ids=["many", "huge", "tiny"],
)
def test_metrics_of_any_size_and_number_are_one_version(metrics: dict[str, float]) -> None:
    document = request(metrics={**request()["metrics"], **metrics})
    made = registered(account(json.dumps(document).encode()))
    assert made.outcome in ("registered", REGISTERED_AS_FAILED)


def test_request_whose_model_card_would_be_too_long_is_a_failed_run() -> None:
    weights = [{**WEIGHTS, "name": f"lite{n}"} for n in range(1500)]
    made = registered(account(json.dumps({**request(), "weights": weights}).encode()))
    assert made.outcome == REGISTERED_AS_FAILED and "model card" in made.detail


#: Longer once they are spelled as SageMaker takes them.
REASONS = ["x%" * 300, "; ," * 400, "\x1b[31m\x00" * 50, "%", "\u202e" * 20, "é" * 1000, "{}", ""]


@pytest.mark.parametrize("reason", REASONS, ids=ascii)
def test_failed_job_is_registered_whatever_it_says(reason: str) -> None:
    made = registered(account(b"{}", TrainingJobStatus="Failed", FailureReason=reason))
    assert made.outcome == REGISTERED_AS_FAILED


@pytest.mark.parametrize("status", ["Failed", "Completed"])
@pytest.mark.parametrize(
    "value", [*(json.loads(v) for v in HOSTILE_VALUES[9:16]), *REASONS], ids=ascii
)
def test_job_that_was_given_hostile_text_is_one_version(status: str, value: str) -> None:
    """Who may create training jobs chooses environment, hyper-parameters and addresses."""
    uri = f"s3://{TRAINING}/cards/{value}"
    aws = account(
        json.dumps(request()).encode(),
        TrainingJobStatus=status,
        Environment={
            "CARDS_MODEL_LINE": "teacher-vit-tiny-phase2",
            "CARDS_COMMIT": value,
            "CARDS_INFERENCE_IMAGE": value,
            "CARDS_CHANNEL_DIGEST_CARDS": "" if len(value) % 2 else value,
        },
        HyperParameters={"recipe": json.dumps(value), "parent-model-package-arn": f"arn:{value}"},
        InputDataConfig=[
            {"ChannelName": "cards", "DataSource": {"S3DataSource": {"S3Uri": uri}}},
        ],
    )
    assert registered(aws).outcome in ("registered", REGISTERED_AS_FAILED)
