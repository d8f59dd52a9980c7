"""A deployment of an earlier state, with models in it, becomes today's and loses nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cloud import BIN, ROOT, Cloud, context, started
from tests.e2e.handmade import FILES, HandmadeRelease, make_release
from tests.infra.test_stacks import STATEFUL
from tests.model_signing_tool import verify_with_tool

CLI = str(BIN / "cards")
#: The registry stack as it was when the registry first worked (November 2026), account and all.
FIRST = ROOT / "tests/infra/templates/registry-v1.json"
STACK = "cards-dev-registry"
DIGEST = hashlib.sha256(b"a manifest of then").digest()
RELEASE = "releases/r/model.onnx"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A cloud of its own, with nothing in it but the CDK's toolkit."""
    with started(tmp_path_factory.mktemp("upgrade")) as running:
        running.bootstrap()
        yield running


@dataclass(frozen=True)
class Then:
    """What was there before the upgrade.

    Attributes:
        resources: Physical ids of the stateful resources, by logical id.
        group: The group's description.
        package: The description of a version that was registered.
        object: Version and ETag of an object of the release bucket.
        release: A version and its release, from before there were `model.sig`, `provenance.sig` and
            signed channels.
        key: The signing key's ARN.
        signature: What it signed.
        public_key: What verifies that.
    """

    resources: dict[str, str]
    group: dict[str, Any]
    package: dict[str, Any]
    object: tuple[str, str]
    release: HandmadeRelease
    key: str
    signature: bytes
    public_key: bytes


def physical_ids(cloud: Cloud) -> dict[str, str]:
    """Of the registry stack's resources that must survive."""
    found = cloud.client("cloudformation").describe_stack_resources(StackName=STACK)
    return {
        row["LogicalResourceId"]: row["PhysicalResourceId"]
        for row in found["StackResources"]
        if row["LogicalResourceId"] in STATEFUL
    }


def group_and_version(cloud: Cloud, arn: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both descriptions, without the answer's own headers."""
    sagemaker = cloud.client("sagemaker")
    package = sagemaker.describe_model_package(ModelPackageName=arn)
    group = sagemaker.describe_model_package_group(
        ModelPackageGroupName=package["ModelPackageGroupName"]
    )
    for answer in (group, package):
        del answer["ResponseMetadata"]
    return group, package


def stored(cloud: Cloud, bucket: str) -> tuple[str, str]:
    found = cloud.client("s3").head_object(Bucket=bucket, Key=RELEASE)
    return found["VersionId"], found["ETag"]


@pytest.fixture(scope="module")
def then(cloud: Cloud) -> Then:
    """The first template, deployed, with a version, an object and a signature made in it."""
    formation = cloud.client("cloudformation")
    formation.create_stack(
        StackName=STACK,
        TemplateBody=FIRST.read_text(),
        Capabilities=["CAPABILITY_IAM"],
        EnableTerminationProtection=True,
    )
    formation.get_waiter("stack_create_complete").wait(
        StackName=STACK, WaiterConfig={"Delay": 1, "MaxAttempts": 120}
    )
    rows = formation.describe_stacks(StackName=STACK)["Stacks"][0]["Outputs"]
    outputs = {row["OutputKey"]: row["OutputValue"] for row in rows}
    arn = cloud.client("sagemaker").create_model_package(
        ModelPackageGroupName=outputs["GroupName"],
        ModelPackageDescription="teacher-dinov3-vitl16-phase2-v1: of then",
        ModelApprovalStatus="Approved",
        CustomerMetadataProperties={"ModelName": "teacher-dinov3-vitl16-phase2-v1"},
    )["ModelPackageArn"]
    cloud.client("s3").put_object(Bucket=outputs["ReleaseBucket"], Key=RELEASE, Body=b"of then")
    kms, key = cloud.client("kms"), outputs["SigningKeyArn"]
    release = make_release(
        cloud,
        outputs["GroupName"],
        outputs["TrainingBucket"],
        outputs["ReleaseBucket"],
        key,
        "01234567",
    )
    group, package = group_and_version(cloud, arn)
    return Then(
        resources=physical_ids(cloud),
        group=group,
        package=package,
        object=stored(cloud, outputs["ReleaseBucket"]),
        release=release,
        key=key,
        signature=kms.sign(
            KeyId=key, Message=DIGEST, MessageType="DIGEST", SigningAlgorithm="ECDSA_SHA_256"
        )["Signature"],
        public_key=kms.get_public_key(KeyId=key)["PublicKey"],
    )


@pytest.fixture(scope="module")
def upgraded(cloud: Cloud, then: Then) -> Cloud:
    """Today's templates, deployed over it by the real command line."""
    cloud.deploy({})
    return cloud


def test_first_template_had_what_must_survive(then: Then) -> None:
    later = {"CompilerRepositoryF30F4ED2", "DataKey17AFBB84"}
    assert set(then.resources) == set(STATEFUL) - later


def test_no_stateful_resource_is_another_one(upgraded: Cloud, then: Then) -> None:
    today = physical_ids(upgraded)
    assert today.items() >= then.resources.items()
    assert set(today) == set(STATEFUL)
    deleted = [
        event
        for event in upgraded.client("cloudformation").describe_stack_events(StackName=STACK)[
            "StackEvents"
        ]
        if event["LogicalResourceId"] in STATEFUL and "DELETE" in event["ResourceStatus"]
    ]
    assert deleted == []


def test_versions_and_objects_are_those_of_then(upgraded: Cloud, then: Then) -> None:
    found = group_and_version(upgraded, then.package["ModelPackageArn"])
    assert found == (then.group, then.package)
    assert stored(upgraded, upgraded.deployment.release_bucket) == then.object
    rows = upgraded.json(CLI, "registry", "list", "--json")
    approval = {row["arn"]: row["approval"] for row in rows}
    arns = (then.package["ModelPackageArn"], then.release.arn)
    assert approval == dict.fromkeys(arns, "Approved")


def release_objects(cloud: Cloud, then: Then) -> dict[str, bytes]:
    s3, bucket = cloud.client("s3"), cloud.deployment.release_bucket
    return {
        key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in then.release.objects
    }


def listed(cloud: Cloud) -> dict[str, Any]:
    """The one release, as the command lists it."""
    (row,) = cloud.json(CLI, "release", "list", "--json")
    return dict(row)


def words(text: str) -> str:
    return " ".join(text.split())


def test_release_without_signatures_is_kept_and_commands_say_so(
    upgraded: Cloud, then: Then
) -> None:
    assert release_objects(upgraded, then) == then.release.objects
    row = listed(upgraded)
    assert row["release"] == then.release.release
    assert row["channels"] == ["candidate", "stable"]
    assert row["missing_signatures"] == ["manifest.sig", "model.sig", "provenance.sig"]
    for command in ("list", "show"):
        said = words(upgraded.must(CLI, "release", command))
        assert "was signed by an earlier version of this product and lacks" in said
        assert "cards release sign --all" in said
    upgraded.must(CLI, "release", "trust", "--yes")
    refused = upgraded.run(CLI, "release", "pull", "--out", str(upgraded.folder / "channel"))
    assert refused.returncode == 1 and "has no signed statement" in refused.stderr
    assert "cards release sign --all" in refused.stderr
    folder = str(upgraded.folder / "unsigned")
    upgraded.must(CLI, "release", "pull", "--out", folder, "--release", then.release.release)
    said = words(upgraded.must(CLI, "release", "verify", folder))
    assert "without model.sig and provenance.sig" in said and "cards release sign --all" in said


@pytest.fixture(scope="module")
def signed_again(upgraded: Cloud, then: Then) -> Cloud:
    """The one command."""
    said = words(upgraded.must(CLI, "release", "sign", "--all"))
    assert f"stable -> {then.release.release}" in said
    return upgraded


def test_one_command_signs_again_and_pull_and_verify_pass(signed_again: Cloud, then: Then) -> None:
    now = release_objects(signed_again, then)
    differing = {key for key, body in then.release.objects.items() if now[key] != body}
    # ECDSA makes another signature of the same manifest each time.
    assert differing <= {f"releases/{then.release.release}/manifest.sig"}
    assert listed(signed_again)["missing_signatures"] == []
    folder: Path = signed_again.folder / "signed"
    signed_again.must(CLI, "release", "pull", "--out", str(folder))
    assert {name: (folder / name).read_bytes() for name in FILES} == FILES
    said = signed_again.must(CLI, "release", "verify", str(folder))
    assert "is what was signed" in said and "without" not in said
    tool = verify_with_tool(folder, folder / "signing-key.pem")
    assert tool.returncode == 0, tool.stdout + tool.stderr


def test_key_signs_on_and_what_it_signed_holds(upgraded: Cloud, then: Then) -> None:
    kms, key = upgraded.client("kms"), upgraded.deployment.signing_key_arn
    assert key == then.key
    assert kms.get_public_key(KeyId=key)["PublicKey"] == then.public_key
    verified = kms.verify(
        KeyId=key,
        Message=DIGEST,
        MessageType="DIGEST",
        Signature=then.signature,
        SigningAlgorithm="ECDSA_SHA_256",
    )
    assert verified["SignatureValid"] is True


def test_stack_is_still_protected_from_deletion(upgraded: Cloud) -> None:
    found = upgraded.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
    assert found["EnableTerminationProtection"] is True


def test_after_a_deployment_nothing_differs(upgraded: Cloud) -> None:
    """With ``--fail``, a difference is a failure of the command."""
    said = diff(upgraded)
    assert said.returncode == 0, said.stdout + said.stderr
    assert "Number of stacks with differences: 0" in said.stdout + said.stderr


def test_difference_is_reported(upgraded: Cloud) -> None:
    said = diff(upgraded, reader_accounts="222222222222")
    assert said.returncode == 1
    assert "ModelPackageGroupPolicy" in said.stdout + said.stderr


def diff(cloud: Cloud, **settings: str) -> Any:
    cdk = str(ROOT / "node_modules/.bin/cdk")
    out = str(cloud.folder / "diff.out")
    words = ("--no-notices", "--fail", "--output", out, *context(settings))
    return cloud.run(cdk, "diff", "--all", *words)
