"""What the demo does, smaller: deploy, train, register, approve, compile, release, recognise."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from recognition.card_sets.scan import decode_image
from recognition.search.index import ReferenceIndex
from recognition.views.camera import camera_views
from registry.releases.signatures.signing import public_key_pem
from tests.e2e.cloud import BIN, CARDS, LENIENT, STRICT, Cloud, until
from tests.model_signing_tool import verify_provenance_with_tool, verify_with_tool

AWS = str(BIN / "aws")
CLI = str(BIN / "cards")


def describe(cloud: Cloud, arn: str) -> dict[str, Any]:
    return dict(cloud.client("sagemaker").describe_model_package(ModelPackageName=arn))


def approve(cloud: Cloud, arn: str, status: str = "Approved") -> None:
    """The guide's own call."""
    cloud.must(
        AWS, "sagemaker", "update-model-package",
        "--model-package-arn", arn, "--model-approval-status", status,
    )  # fmt: skip


def compile_jobs(cloud: Cloud) -> list[dict[str, Any]]:
    return list(
        cloud.client("sagemaker").list_processing_jobs(
            NameContains="compile-student-", MaxResults=100
        )["ProcessingJobSummaries"]
    )


def pointer(cloud: Cloud) -> dict[str, Any] | None:
    s3 = cloud.client("s3")
    bucket = cloud.deployment.release_bucket
    # The candidate channel moves first.
    if not s3.list_objects_v2(Bucket=bucket, Prefix="channels/stable.json").get("Contents"):
        return None
    document = json.loads(s3.get_object(Bucket=bucket, Key="channels/stable.json")["Body"].read())
    return {key: document[key] for key in ("release", "package_arn", "name")}


def test_deploying_again_changes_nothing(deployed: Cloud) -> None:
    before = {stack["StackName"]: stack.get("LastUpdatedTime") for stack in stacks(deployed)}
    assert len(before) == 4, "three of ours and the toolkit's"
    deployed.deploy(STRICT)
    after = {stack["StackName"]: stack.get("LastUpdatedTime") for stack in stacks(deployed)}
    assert after == before


def stacks(cloud: Cloud) -> list[dict[str, Any]]:
    return list(cloud.client("cloudformation").describe_stacks()["Stacks"])


def test_every_version_is_registered_with_its_status_metadata_and_parent(
    deployed: Cloud, trained: dict[str, dict[str, Any]]
) -> None:
    teacher, stage1, stage2 = (
        describe(deployed, trained[stage]["model_package"])
        for stage in ("teacher", "stage1", "stage2")
    )
    assert teacher["ModelApprovalStatus"] == "Approved"
    assert stage1["ModelApprovalStatus"] == stage2["ModelApprovalStatus"] == "PendingManualApproval"
    assert trained["stage2"]["name"] == "student-efficientnet-lite0-stage2-v1"
    for package in (teacher, stage1, stage2):
        metadata = package["CustomerMetadataProperties"]
        assert package["ModelPackageDescription"].startswith(metadata["ModelName"] + ":")
        assert 0 <= float(metadata["Top1"]) <= 1
        assert int(metadata["Parameters"]) > 10_000
        # Registered after the upload, at the address that SageMaker gave.
        job = deployed.client("sagemaker").describe_training_job(
            TrainingJobName=metadata["TrainingJob"]
        )
        container = package["InferenceSpecification"]["Containers"][0]
        assert container["ModelDataUrl"] == job["ModelArtifacts"]["S3ModelArtifacts"]
        bucket, _, key = container["ModelDataUrl"].removeprefix("s3://").partition("/")
        assert deployed.client("s3").head_object(Bucket=bucket, Key=key)["ContentLength"] > 0
    parents = [
        p["CustomerMetadataProperties"].get("ParentModelPackageArn")
        for p in (teacher, stage1, stage2)
    ]
    assert parents == [None, teacher["ModelPackageArn"], stage1["ModelPackageArn"]]


def test_repeated_event_registers_nothing_twice(
    deployed: Cloud, trained: dict[str, dict[str, Any]]
) -> None:
    sagemaker, lambda_ = deployed.client("sagemaker"), deployed.client("lambda")
    group = deployed.deployment.group_name
    before = sagemaker.list_model_packages(ModelPackageGroupName=group)
    job = sagemaker.describe_training_job(TrainingJobName=trained["stage1"]["training_job"])
    event = {
        "source": "aws.sagemaker",
        "detail-type": "SageMaker Training Job State Change",
        "detail": {"TrainingJobName": job["TrainingJobName"], "TrainingJobStatus": "Completed"},
    }
    answer = lambda_.invoke(
        FunctionName=deployed.function("RegisterModel"), Payload=json.dumps(event).encode()
    )
    assert json.loads(answer["Payload"].read()) == {
        "outcome": "already registered",
        "package": trained["stage1"]["model_package"],
    }
    after = sagemaker.list_model_packages(ModelPackageGroupName=group)
    assert after["ModelPackageSummaryList"] == before["ModelPackageSummaryList"]


def test_approving_stage_1_releases_nothing(
    deployed: Cloud, trained: dict[str, dict[str, Any]]
) -> None:
    arn = trained["stage1"]["model_package"]
    event = {"detail": {"ModelPackageArn": arn}}
    approve(deployed, arn)
    answer = deployed.client("lambda").invoke(
        FunctionName=deployed.function("CompileApproved"), Payload=json.dumps(event).encode()
    )
    assert json.loads(answer["Payload"].read())["step"] == "NOTHING"
    assert compile_jobs(deployed) == []


@pytest.fixture
def no_right_to_start_jobs(deployed: Cloud) -> Iterator[None]:
    """Takes CreateProcessingJob from the compile function's role, and gives it back."""
    iam = deployed.client("iam")
    function = deployed.function("CompileApproved")
    role_arn = deployed.client("lambda").get_function_configuration(FunctionName=function)["Role"]
    role = role_arn.rpartition("/")[2]
    kept = {
        name: iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
    }
    removed = 0
    for name, document in kept.items():
        document = json.loads(json.dumps(document))
        for statement in document["Statement"]:
            actions = statement["Action"]
            actions = [actions] if isinstance(actions, str) else actions
            removed += "sagemaker:CreateProcessingJob" in actions
            statement["Action"] = [a for a in actions if a != "sagemaker:CreateProcessingJob"]
        document["Statement"] = [s for s in document["Statement"] if s["Action"]]
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))
    assert removed == 1, "the role's right to start jobs stands in exactly one statement"
    yield
    for name, document in kept.items():
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))


def test_without_the_right_to_start_jobs_the_path_ends_in_access_denied(
    deployed: Cloud, trained: dict[str, dict[str, Any]], no_right_to_start_jobs: None
) -> None:
    arn = trained["stage2"]["model_package"]
    approve(deployed, arn)
    answer = deployed.client("lambda").invoke(
        FunctionName=deployed.function("CompileApproved"),
        Payload=json.dumps({"detail": {"ModelPackageArn": arn}}).encode(),
    )
    error = json.loads(answer["Payload"].read())
    assert answer["FunctionError"]
    assert "AccessDenied" in error["errorMessage"]
    assert "CreateProcessingJob" in error["errorMessage"]
    assert compile_jobs(deployed) == []
    approve(deployed, arn, "PendingManualApproval")


def test_failed_gate_publishes_nothing_and_says_why(
    deployed: Cloud, trained: dict[str, dict[str, Any]]
) -> None:
    arn = trained["stage2"]["model_package"]
    approve(deployed, arn)

    def failure() -> str | None:
        return describe(deployed, arn)["CustomerMetadataProperties"].get("CompileFailure")

    reason = until(failure, 180, "the gate's failure stands on the version")
    assert "cosine" in reason and "1.0 is required" in reason
    assert pointer(deployed) is None
    rows = {row["name"]: row for row in deployed.json(CLI, "registry", "list", "--json")}
    assert rows["student-efficientnet-lite0-int8-v1"]["approval"] == "Rejected"
    approve(deployed, arn, "PendingManualApproval")


@pytest.fixture(scope="module")
def release(deployed: Cloud, trained: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """New compile settings, then approval by the AWS CLI; everything else happens by itself."""
    deployed.deploy(LENIENT)
    approve(deployed, trained["stage2"]["model_package"])
    return dict(until(lambda: pointer(deployed), 180, "the stable channel points to a release"))


@pytest.fixture(scope="module")
def pulled(deployed: Cloud, release: dict[str, Any]) -> Path:
    folder = deployed.folder / "release"
    untrusted = deployed.run(CLI, "release", "pull", "--out", str(folder))
    assert untrusted.returncode == 1 and "cards release trust" in untrusted.stderr
    deployed.must(CLI, "release", "trust", "--yes")
    deployed.must(CLI, "release", "pull", "--out", str(folder))
    return folder


def test_release_is_complete_signed_and_of_the_approved_version(
    deployed: Cloud, trained: dict[str, dict[str, Any]], release: dict[str, Any], pulled: Path
) -> None:
    assert release["package_arn"] == trained["stage2"]["model_package"]
    manifest = json.loads((pulled / "manifest.json").read_text())
    assert manifest["release"] == release["release"]
    assert manifest["source"]["name"] == trained["stage2"]["name"]
    assert manifest["compiler"] == "onnx-int8" and manifest["name"].endswith("-int8-v2")
    assert manifest["gate"]["verdict"] == "passed"
    assert {"model.int8.onnx", "model.onnx", "embeddings.npy", "index.json",
            "metadata.json", "fidelity.json"} <= set(manifest["files"])  # fmt: skip
    for name, file in manifest["files"].items():
        assert (pulled / name).stat().st_size == file["bytes"]
    assert not list(pulled.glob("*.hef")), "only the Hailo compiler makes a HEF"
    deployed.must(CLI, "release", "verify", str(pulled))


def test_openssf_model_signing_accepts_the_release_and_refuses_a_changed_file(
    deployed: Cloud, pulled: Path, tmp_path: Path
) -> None:
    trusted = tmp_path / "trusted.pem"
    key = deployed.deployment.signing_key_arn
    trusted.write_bytes(public_key_pem(deployed.client("kms"), key))
    for verify in (verify_with_tool, verify_provenance_with_tool):
        done = verify(pulled, trusted)
        assert done.returncode == 0, done.stdout + done.stderr
    changed = tmp_path / "release"
    shutil.copytree(pulled, changed)
    (changed / "metadata.json").write_bytes((changed / "metadata.json").read_bytes() + b" ")
    assert verify_with_tool(changed, trusted).returncode != 0


def test_release_with_one_changed_byte_is_refused(deployed: Cloud, pulled: Path) -> None:
    model = pulled / "embeddings.npy"
    good = model.read_bytes()
    model.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    try:
        refused = deployed.run(CLI, "release", "verify", str(pulled))
    finally:
        model.write_bytes(good)
    assert refused.returncode == 1
    assert "embeddings.npy" in refused.stderr and refused.stderr.count("\n") == 1


def test_lineage_goes_from_the_shipped_model_to_the_teacher(
    deployed: Cloud, trained: dict[str, dict[str, Any]], pulled: Path
) -> None:
    manifest = json.loads((pulled / "manifest.json").read_text())
    stages = [entry["name"].rsplit("-", 2)[1] for entry in manifest["lineage"]]
    assert stages == ["phase2", "stage1", "stage2", "onnx", "int8"]
    sagemaker = deployed.client("sagemaker")
    group = deployed.deployment.group_name
    arn = next(
        row["ModelPackageArn"]
        for row in sagemaker.list_model_packages(ModelPackageGroupName=group)[
            "ModelPackageSummaryList"
        ]
        if row["ModelPackageDescription"].startswith(manifest["name"])
    )
    walked = []
    while arn:
        metadata = describe(deployed, arn)["CustomerMetadataProperties"]
        walked.append(metadata["ModelName"])
        arn = metadata.get("ParentModelPackageArn")
    assert walked == [entry["name"] for entry in reversed(manifest["lineage"])]
    assert walked[-1] == trained["teacher"]["name"]


def test_automation_has_written_every_versions_lineage(deployed: Cloud, pulled: Path) -> None:
    sagemaker = deployed.client("sagemaker")
    versions = deployed.json(CLI, "registry", "list", "--json")

    def last_written() -> bool:
        """A decision's edge is the last that is written of a version."""
        decided = [row["arn"] for row in versions if row["approval"] != "PendingManualApproval"]
        found = [sagemaker.list_artifacts(SourceUri=arn)["ArtifactSummaries"] for arn in decided]
        return all(
            rows
            and sagemaker.list_associations(
                SourceArn=rows[0]["ArtifactArn"], DestinationType="Approval"
            )["AssociationSummaries"]
            for rows in found
        )

    until(last_written, 30, "every decision is in SageMaker Lineage")
    compared = deployed.json(CLI, "registry", "lineage", "--repair", "--json")
    assert compared == {"versions": len(versions), "changes": []}
    actions = sagemaker.list_actions(ActionType="Distillation")["ActionSummaries"]
    described = sagemaker.describe_action(ActionName=actions[0]["ActionName"])["Properties"]
    assert {"Job", "ContainerImage", "CardSetUri", "CardSetDigest"} <= set(described)


def test_lineage_is_drawn_from_the_cards_to_the_release(deployed: Cloud, pulled: Path) -> None:
    manifest = json.loads((pulled / "manifest.json").read_text())
    drawn = deployed.json(CLI, "registry", "lineage", manifest["name"], "--json")
    names = [node["name"] for node in drawn["nodes"]]
    assert names[0].startswith("card set ")
    assert names[-1] == manifest["release"]
    assert {entry["name"] for entry in manifest["lineage"]} <= set(names)


def test_compiled_model_is_registered_as_approved(deployed: Cloud, pulled: Path) -> None:
    listed = deployed.json(CLI, "registry", "list", "--json")
    rows = {row["name"]: row for row in listed}
    for stage in ("onnx", "int8"):
        assert rows[f"student-efficientnet-lite0-{stage}-v2"]["approval"] == "Approved"


def test_recognition_of_views_outside_the_training_set(
    deployed: Cloud, pulled: Path, card_folder: Path
) -> None:
    manifest = json.loads((pulled / "manifest.json").read_text())
    size = manifest["contract"]["size"]
    scans = {path.parent.name: path for path in sorted(card_folder.glob("*/*"))}
    known = set(ReferenceIndex.load(pulled).card_ids)
    assert 0 < len(known) < CARDS, "cards that nobody trained on stay out of the index"
    ids = sorted(known)
    pixels = np.stack(
        [cv2.resize(decode_image(scans[card].read_bytes()), (2 * size, 2 * size)) for card in ids]
    )
    # Another seed than the run's: views that neither training nor the gate has seen.
    views, _ = camera_views(pixels, ids, size=size, seed=4711, stream="query", per_card=2)
    folder = deployed.folder / "views"
    folder.mkdir()
    truth = {}
    for row, view in enumerate(views):
        path = folder / f"{row}.png"
        cv2.imwrite(str(path), cv2.cvtColor(view, cv2.COLOR_RGB2BGR))
        truth[str(path)] = ids[row // 2]
    answers = deployed.json(CLI, "recognise", str(pulled), *truth, "--json")
    right = [a for a in answers if a["candidates"][0]["card_id"] == truth[a["image"]]]
    # About three of four is usual after so short a training; chance is one in thirty.
    assert len(right) >= 0.35 * len(views)


def test_metadata_edit_compiles_and_publishes_nothing_again(
    deployed: Cloud, trained: dict[str, dict[str, Any]], release: dict[str, Any]
) -> None:
    jobs = len(compile_jobs(deployed))
    arn = trained["stage2"]["model_package"]
    deployed.client("sagemaker").update_model_package(
        ModelPackageArn=arn, CustomerMetadataProperties={"Note": "seen by a person"}
    )
    answer = deployed.client("lambda").invoke(
        FunctionName=deployed.function("CompileApproved"),
        Payload=json.dumps({"detail": {"ModelPackageArn": arn}}).encode(),
    )
    assert json.loads(answer["Payload"].read())["step"] == "NOTHING"
    assert len(compile_jobs(deployed)) == jobs == 2, "one with each set of compile settings"
    assert pointer(deployed) == release


def test_rejection_withdraws_the_release_and_approval_publishes_it_again(
    deployed: Cloud, trained: dict[str, dict[str, Any]], release: dict[str, Any], pulled: Path
) -> None:
    arn = trained["stage2"]["model_package"]
    approve(deployed, arn, "Rejected")
    until(lambda: (pointer(deployed) or {}).get("release") is None, 60, "the release is withdrawn")
    refused = deployed.run(CLI, "release", "pull", "--out", str(deployed.folder / "none"))
    assert refused.returncode == 1 and "points to no release" in refused.stderr
    assert not (deployed.folder / "none").exists()
    approve(deployed, arn)
    until(lambda: pointer(deployed) == release, 60, "the same release is back")
    assert len(compile_jobs(deployed)) == 2, "nothing was compiled again"
