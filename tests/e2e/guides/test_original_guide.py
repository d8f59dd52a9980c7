"""The guide that this product makes true, as it was written, typed into a fresh local cloud."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest

from tests.e2e.cloud import BIN, ROOT, free_port, until
from tests.e2e.guides.guide_reader import Block, Reader, bare_environment, blocks
from tests.e2e.guides.test_guide import check_metadata, inside_a_training_job

GUIDE = ROOT.parent / "shared/guide/MODEL_REGISTRY_GUIDE.md"
TYPED = blocks(GUIDE, "bash", "python", "json") if GUIDE.is_file() else []

pytestmark = pytest.mark.skipif(not TYPED, reason="the original guide is not beside the checkout")

SPECIFICATION = {
    "Containers": [
        {
            "Image": "763104351884.dkr.ecr.us-east-2.amazonaws.com/pytorch-inference:2.6.0-cpu",
            "ModelDataUrl": "s3://somewhere/model.tar.gz",
        }
    ],
    "SupportedContentTypes": ["application/x-npy"],
    "SupportedResponseMIMETypes": ["application/x-npy"],
}


def client(reader: Reader, service: str) -> Any:
    variables = reader.variables
    return boto3.client(
        service,
        endpoint_url=variables["AWS_ENDPOINT_URL"],
        region_name=variables["AWS_REGION"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
    )


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """A deployed cloud in which a teacher was trained and nobody registered it."""
    home = tmp_path_factory.mktemp("home")
    variables = bare_environment(
        home,
        {
            "CARDS_LOCAL_PORT": str(free_port()),
            "CARDS_LOCAL_STATE": str(home / "local-cloud"),
            "CDK_OUTPUT": str(home / "cdk.out"),
        },
    )
    reader = Reader(variables, home)
    try:
        reader.bash('cards local up\neval "$(cards local env)"')
        reader.bash("cdk bootstrap && cdk deploy --all --require-approval never")
        reader.bash(f"cards data draw --count 32 --out {home}/cards")
        reader.bash(f"cards data push {home}/cards")
        events, sagemaker = client(reader, "events"), client(reader, "sagemaker")
        rules = [rule["Name"] for rule in events.list_rules()["Rules"]]
        for rule in rules:
            events.disable_rule(Name=rule)
        job = json.loads(
            reader.bash(f"cards train teacher --cards {home}/cards --recipe tiny --json")
        )["training_job"]

        def status() -> str:
            return str(sagemaker.describe_training_job(TrainingJobName=job)["TrainingJobStatus"])

        until(lambda: status() != "InProgress", 120, f"{job} ends")
        assert status() == "Completed"
        for rule in rules:
            events.enable_rule(Name=rule)
        yield reader
    finally:
        subprocess.run([BIN / "cards", "local", "down"], env=variables, cwd=ROOT, check=True)


def packages(reader: Reader) -> dict[str, dict[str, Any]]:
    """The group's versions by name."""
    sagemaker = client(reader, "sagemaker")
    found = sagemaker.list_model_packages(ModelPackageGroupName="pokemon-card-recognition-models")
    described = (
        sagemaker.describe_model_package(ModelPackageName=row["ModelPackageArn"])
        for row in found["ModelPackageSummaryList"]
    )
    return {one["ModelPackageDescription"].split(":")[0]: one for one in described}


def filled(reader: Reader, code: str) -> str:
    """The block with its placeholders replaced by what a reader would put there."""
    known = packages(reader) if "run-id" in code or "<model-package-arn>" in code else {}
    words = {"phase2": "teacher", "stage1": "student-stage1", "stage2": "student-stage2"}
    for stage, word in words.items():
        for name, package in known.items():
            if f"-{stage}-" in name:
                run = package["CustomerMetadataProperties"]["MlflowRunId"]
                code = code.replace(f"{word}-run-id", run)
                if stage == "stage2":
                    code = code.replace("<model-package-arn>", package["ModelPackageArn"])
    return (
        code
        # The one block that is no Python.
        .replace("sm_client.list-model-packages", "sm_client.list_model_packages")
        .replace("InferenceSpecification={...}", f"InferenceSpecification={SPECIFICATION!r}")
        .replace("CustomerMetadataProperties={...}", "CustomerMetadataProperties={'Stage': '1'}")
    )


@pytest.mark.parametrize("block", TYPED, ids=lambda block: block.id)
def test_block_works_as_written(reader: Reader, block: Block) -> None:
    if block.language == "json":
        check_metadata(block, *{"Teacher Model": ("teacher", "phase2")}.get(
            block.heading, ("student", "stage1")
        ))  # fmt: skip
        return
    code = filled(reader, block.code)
    if block.language == "bash":
        reader.bash(code)
    elif "register_student_model(" in code:
        # The guide shows the end of the training script, whose imports stand at its head.
        imported = "from training.artifacts.registration_request import register_student_model"
        inside_a_training_job(reader, replace(block, code=f"{imported}\n{block.code}"))
    elif "Tags=[...]" in code:
        # SageMaker takes tags for the group alone; with them it refuses, and says so.
        tagged = code.replace("Tags=[...]", "Tags=[{'Key': 'Stage', 'Value': 'stage1'}]")
        with pytest.raises(AssertionError, match="Tags are not supported"):
            reader.python(tagged)
        reader.python(code.replace("    Tags=[...]\n", ""))
    elif "run-id" in block.code:
        # In the interpreter in which the block above has just been typed.
        (before,) = [one.code for one in TYPED if "set_tracking_uri" in one.code]
        reader.python(before + code)
    else:
        reader.python(code)
    after = packages(reader)
    if "setup_sagemaker_project" in code:
        assert not after
    elif "register_teacher_model" in code:
        assert list(after) == ["teacher-vit-tiny-phase2-v1"]
        assert after["teacher-vit-tiny-phase2-v1"]["ModelApprovalStatus"] == "Approved"
    elif "launch_student" in code:
        assert {name: one["ModelApprovalStatus"] for name, one in after.items()} == {
            "teacher-vit-tiny-phase2-v1": "Approved",
            "student-efficientnet-lite0-stage1-v1": "PendingManualApproval",
            "student-efficientnet-lite0-stage2-v1": "PendingManualApproval",
        }
    elif "update-model-package" in code:
        assert after["student-efficientnet-lite0-stage2-v1"]["ModelApprovalStatus"] == "Approved"
