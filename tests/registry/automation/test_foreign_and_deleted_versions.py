"""Events and objects that name a version which did not make them: a living release stays.

A ghost is a version that does not exist, or one that bears the name of another.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from registry.names import RETIRED
from registry.versions.metadata import COMPILE_FAILED_JOB, COMPILE_FAILURE, RELEASE
from tests.registry.automation.automation_world import World, functions
from tests.registry.automation.test_histories import begin
from tests.registry.memory_aws import ACCOUNT, GROUP, REGION, RELEASES, TRAINING

NAME = "student-efficientnet-lite0-stage2-v1"
NOBODY = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package/{GROUP}/999"
JOB_ARN = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:training-job/made-it"


@pytest.fixture(scope="module")
def code() -> Iterator[list[dict[str, ModuleType]]]:
    with functions() as loaded:
        yield loaded


@pytest.fixture
def world(code: list[dict[str, ModuleType]]) -> World:
    """One version, released, and its channels."""
    made = begin(code, ["released"])
    assert list(made.complete_releases()) == [NAME]
    return made


def call(world: World, detail: dict[str, Any]) -> None:
    """Both functions get the event, and everything that follows from it happens."""
    for function in ("compile", "publish"):
        world.code[0][function].handler({"detail": detail}, None)
    world.rest()


def assert_released(world: World, notices: int) -> None:
    """The version's release is there, both channels point to it, and nobody was notified."""
    assert world.wrong() == []
    (release,) = world.complete_releases()[NAME]
    for channel in ("candidate", "stable"):
        assert world.channel(channel).release == release
    assert len(world.aws.told) == notices


@pytest.mark.parametrize(
    "arn",
    [
        NOBODY,
        NOBODY.replace(GROUP, "others"),
        NOBODY.replace(ACCOUNT, "210987654321"),
        "arn:x",
        "../releases",
        "x" * 256,
    ],
)
def test_direct_call_with_missing_version_and_existing_name_changes_nothing(
    world: World, arn: str
) -> None:
    notices = len(world.aws.told)
    call(world, {"ModelPackageArn": arn, "ModelName": NAME})
    assert_released(world, notices)


@pytest.mark.parametrize("source", [NOBODY, "arn:x", None])
def test_foreign_job_of_a_similar_name_changes_nothing(world: World, source: str | None) -> None:
    notices = len(world.aws.told)
    (own,) = world.aws.jobs
    foreign = f"{own.rpartition('-')[0]}-7"
    environment = {} if source is None else {"CARDS_SOURCE_PACKAGE_ARN": source}
    world.aws.jobs[foreign] = {
        **world.aws.jobs[own],
        "ProcessingJobName": foreign,
        "Environment": environment,
    }
    world.aws.end_job(foreign, "Completed")
    world.rest()
    world.reconcile()
    world.rest()
    assert_released(world, notices)


def pending(world: World, name: str, **more: Any) -> str:
    """A pending version whose metadata bear another version's name."""
    arn = world.register()
    world.aws.packages[arn]["CustomerMetadataProperties"]["ModelName"] = name
    world.aws.packages[arn] |= more
    return arn


@pytest.mark.parametrize("description", ["no name at all", f"{NAME}: stage2 student, x", None])
@pytest.mark.parametrize("status", ["PendingManualApproval", "Rejected", "Approved"])
def test_version_with_the_name_of_another_in_its_metadata_does_not_change_the_other(
    world: World, description: str | None, status: str
) -> None:
    claim(world, JOB_ARN)
    living = world.versions[0]
    world.aws.packages[living]["MetadataProperties"] = {"GeneratedBy": JOB_ARN}
    more = {} if description is None else {"ModelPackageDescription": description}
    arn = pending(world, NAME, **more)
    world.decide(arn, status)
    release = world.complete_releases()[NAME]
    world.rest()
    world.edit(arn)
    world.rest()
    world.reconcile()
    world.rest()
    assert world.complete_releases()[NAME] == release
    metadata = world.aws.packages[living]["CustomerMetadataProperties"]
    assert metadata[RELEASE] == release[0]
    assert world.channel("stable").package_arn == living or description is None
    if description is not None and status == "Approved":
        failure = world.aws.packages[arn]["CustomerMetadataProperties"][COMPILE_FAILURE]
        assert failure.startswith("its name was given to another version")


def claim(world: World, source: str) -> None:
    line, _, version = NAME.rpartition("-v")
    body = json.dumps({"name": NAME, "source": source}).encode()
    world.aws._store((TRAINING, f"names/{line}/v{version}.json"), body)


def test_version_without_claim_and_with_the_name_of_another_cannot_replace_its_release(
    world: World,
) -> None:
    """Nobody has claimed the name: the release's own manifest says whose it is."""
    living = world.versions[0]
    arn = pending(world, NAME, ModelPackageDescription=f"{NAME}: stage2 student, x")
    manifest = manifest_of(world)
    world.decide(arn, "Approved")
    world.rest()
    assert manifest_of(world) == manifest and manifest["source"]["arn"] == living
    metadata = world.aws.packages[arn]["CustomerMetadataProperties"]
    assert "has the same name" in metadata[COMPILE_FAILURE]


def manifest_of(world: World) -> dict[str, Any]:
    (release,) = world.complete_releases()[NAME]
    return dict(json.loads(world.aws.objects[RELEASES, f"releases/{release}/manifest.json"][0]))


def register_again(world: World) -> tuple[str, str]:
    """The version is deleted and registered again under its name; old and new ARN."""
    old = world.versions.pop()
    row = world.aws.packages.pop(old)
    world.aws._serial += 1
    new = f"{old.rpartition('/')[0]}/{world.aws._serial}"
    kept = {k: v for k, v in row["CustomerMetadataProperties"].items() if k != RELEASE}
    world.aws.packages[new] = {
        **row,
        "ModelPackageArn": new,
        "ModelApprovalStatus": "PendingManualApproval",
        "CustomerMetadataProperties": kept,
        "CreationTime": world.aws.tick(),
    }
    world.versions.append(new)
    return old, new


@pytest.mark.parametrize("late", ["before the new release", "after the new release", "never"])
def test_version_registered_again_gets_its_own_release_despite_a_late_event(
    world: World, late: str
) -> None:
    old, new = register_again(world)
    event = {"ModelPackageArn": old, "ModelName": NAME}
    if late == "before the new release":
        call(world, event)
    world.decide(new, "Approved")
    world.rest()
    if late == "after the new release":
        call(world, event)
    assert manifest_of(world)["source"]["arn"] == new
    assert world.channel("stable").package_arn == new
    assert world.wrong() == []
    metadata = world.aws.packages[new]["CustomerMetadataProperties"]
    assert COMPILE_FAILED_JOB not in metadata and metadata[RELEASE]


@pytest.mark.parametrize("status", ["PendingManualApproval", "Rejected"])
def test_release_of_a_deleted_version_is_withdrawn_where_its_name_is_registered_again(
    world: World, status: str
) -> None:
    """No channel keeps it, although the name lives, and the reconciler finds it at any age."""
    _, new = register_again(world)
    world.decide(new, status)
    world.later()
    world.later()
    for _ in range(2):
        world.reconcile()
        world.rest()
    assert world.complete_releases() == {}
    assert world.channel("stable").release is None
    assert world.wrong() == []


def test_release_of_a_deleted_version_is_withdrawn_where_its_name_is_free(world: World) -> None:
    world.delete(world.versions[0])
    world.reconcile()
    world.rest()
    assert world.complete_releases() == {} and world.channel("candidate").release is None


def test_retired_release_of_an_existing_version_keeps_its_files(world: World) -> None:
    (release,) = world.complete_releases()[NAME]
    prefix = f"releases/{release}/"
    body = world.aws.objects[RELEASES, prefix + "manifest.json"][0]
    world.aws._store((RELEASES, prefix + RETIRED), body)
    world.later()
    files = {key for bucket, key in world.aws.objects if bucket == RELEASES}
    call(world, {"ModelPackageArn": NOBODY, "ModelName": NAME})
    assert {key for bucket, key in world.aws.objects if bucket == RELEASES} == files
