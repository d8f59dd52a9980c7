"""The guide's queries in a group with packages that others made."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localcloud import LocalCloud
from registry.names import GROUP, ModelName
from registry.versions.packages import APPROVED, NewPackage, create
from tests.cli.command import cards
from tests.e2e.guides.guide_reader import Block, blocks
from tests.running_cloud import Account, publish_parameters

ROOT = Path(__file__).resolve().parents[3]
GUIDES = (ROOT / "docs/guide.md", ROOT.parent / "shared/guide/MODEL_REGISTRY_GUIDE.md")
NAME = "student-x-stage2-v1"
IMAGE = "763104351884.dkr.ecr.us-east-2.amazonaws.com/pytorch-inference:2.6.0-cpu-py312"
CONTAINER = {"Image": IMAGE, "ModelDataUrl": "s3://elsewhere/model.tar.gz"}
SPECIFICATION = {
    "Containers": [CONTAINER],
    "SupportedContentTypes": ["text/csv"],
    "SupportedResponseMIMETypes": ["text/csv"],
}
#: What other tools write: each is approved and newer than the student.
FOREIGN: list[dict[str, Any]] = [
    {"InferenceSpecification": SPECIFICATION},
    {"SourceUri": "s3://elsewhere/model"},
    {"InferenceSpecification": SPECIFICATION, "ModelPackageDescription": "a student of ours"},
    {"InferenceSpecification": SPECIFICATION, "ModelPackageDescription": "student-: é"},
    {"InferenceSpecification": SPECIFICATION, "ModelPackageDescription": " :"},
    {
        "InferenceSpecification": SPECIFICATION,
        "ModelPackageDescription": "teacher-vit-phase2-v1 of another product",
        "CustomerMetadataProperties": {"ModelType": "student", "Top1": "high", "owner": "x"},
    },
    {
        "InferenceSpecification": SPECIFICATION,
        "CustomerMetadataProperties": {"ModelName": "student-x-stage2-v9", "Parameters": "-"},
    },
    {
        "InferenceSpecification": SPECIFICATION,
        "ModelPackageDescription": "teacher-x-phase2-v7: numbers that are none",
        "CustomerMetadataProperties": {
            **{"Top1": "nan", "Top1Low": "inf", "Top1High": "1e999", "Queries": "1 000"},
            **{"Parameters": "-1", "TrainingSeconds": "1e400", "SizeBytes": "0x10"},
            **{"Threshold": ".", "Release": "..", "MlflowRunId": "x", "CardSetUri": "cards"},
        },
    },
    {
        "InferenceSpecification": SPECIFICATION,
        "ModelPackageDescription": "teacher-x-phase2-v8: no such parent",
        "CustomerMetadataProperties": {
            **{"ParentModelPackageArn": "arn:nothing", "ParentModel": "none", "TrainingJob": "/"},
            **{"Validation": "perhaps", "ModelType": "student", "Stage": "stage2"},
        },
    },
]


def queries() -> list[Block]:
    """The Python blocks of both guides that list the group's versions."""
    return [
        block
        for guide in GUIDES
        if guide.is_file()
        for block in blocks(guide, "python")
        if "ModelPackageSummaryList" in block.code
    ]


@pytest.fixture(scope="module")
def group(cloud: LocalCloud) -> Account:
    """A student, and a dozen newer packages of others; in an account of its own."""
    account = Account.new(cloud)
    sagemaker = account.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName=GROUP)
    buckets = {f"{each}_bucket": f"{each}-{account.number}" for each in ("release", "training")}
    for bucket in buckets.values():
        account.client("s3").create_bucket(
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "us-east-2"}
        )
    publish_parameters(account.client, group_name=GROUP, **buckets)
    metadata = {
        "ModelType": "student",
        "Stage": "stage2",
        "TrainingJob": "t",
        "FailureReason": "none: for a test",
    }
    student = NewPackage(
        name=ModelName("student", "x", "stage2", 1),
        approval=APPROVED,
        summary="for a test",
        model_data_url="s3://somewhere/model.tar.gz",
        image=IMAGE,
        metadata=metadata,
        generated_by=f"arn:aws:sagemaker:us-east-2:{account.number}:training-job/t",
    )
    create(sagemaker, GROUP, student)
    for package in FOREIGN * 2:
        sagemaker.create_model_package(
            ModelPackageGroupName=GROUP, ModelApprovalStatus="Approved", **package
        )
    return account


@pytest.fixture
def variables(group: Account) -> Iterator[dict[str, str]]:
    """This process's environment points at the account."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("AWS_"):
                patch.delenv(name)
        for name, value in group.variables.items():
            patch.setenv(name, value)
        yield dict(os.environ)


@pytest.mark.processes
@pytest.mark.parametrize("block", queries(), ids=lambda block: block.id)
def test_python_block_survives_foreign_versions(
    block: Block, group: Account, variables: dict[str, str]
) -> None:
    code = block.code.replace("sm_client.list-model-packages", "sm_client.list_model_packages")
    done = subprocess.run(
        [sys.executable, "-c", code], env=variables, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    first = f"arn:aws:sagemaker:us-east-2:{group.number}:model-package/{GROUP}/1"
    if "MaxResults" not in block.code:
        assert first in done.stdout


@pytest.mark.parametrize(
    "command",
    ["registry list", "registry versions", f"registry show {NAME}", "registry latest",
     f"registry lineage {NAME}", f"registry lineage {NAME} --format mermaid",
     "registry list --type student --status Approved --since 7d",
     "registry list --all --json", "registry search student",
     "registry versions student-x-stage2", f"report {NAME} --json", "report --all --json",
     "registry search --metric Top1>=0.01 --json"],
)  # fmt: skip
def test_command_survives_foreign_versions(
    command: str, variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = cards(*command.split())
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize("number", range(2, 2 + len(FOREIGN)))
def test_foreign_version_is_shown_by_its_arn(
    number: int, group: Account, variables: dict[str, str], tmp_path: Path
) -> None:
    arn = f"arn:aws:sagemaker:us-east-2:{group.number}:model-package/{GROUP}/{number}"
    shown = cards("registry", "show", arn)
    assert (shown.code, shown.err) == (0, "")
    assert cards("registry", "compare", NAME, arn).code == 0
    lineage = cards("registry", "lineage", arn)
    assert (lineage.code, lineage.err) == (0, "")
    page = tmp_path / "page.html"
    for words in ((arn,), (NAME, "--against", arn)):
        done = cards("report", *words, "--output", str(page))
        assert (done.code, done.err) == (0, "")
        assert page.is_file()


def test_latest_is_the_student_that_is_named_by_the_convention(
    group: Account, variables: dict[str, str]
) -> None:
    assert cards("registry", "latest", "--json").json["name"] == NAME
