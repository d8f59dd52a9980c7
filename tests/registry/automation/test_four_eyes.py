"""Four eyes: what its submitter approved is not released; stages mirror and start nothing."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

import pytest

from registry.automation.reconciliation import Repair, reconcile
from registry.versions.four_eyes import FIRST_SUBMITTED_BY, SUBMITTED_BY
from tests.registry.automation.automation_world import World, functions
from tests.registry.memory_aws import ACCOUNT, PERSON, REGION

JOB = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:training-job/student-stage2"
OTHER = {"Arn": f"arn:aws:iam::{ACCOUNT}:user/other", "PrincipalId": "AIDAOTHER"}


@pytest.fixture(scope="module")
def code() -> Iterator[list[dict[str, ModuleType]]]:
    with functions(four_eyes=True) as loaded:
        yield loaded


def submitted(code: list[dict[str, ModuleType]], **tags: str) -> tuple[World, str]:
    """A world with one pending version whose training job has these tags."""
    world = World(code)
    arn = world.register()
    world.aws.packages[arn]["MetadataProperties"] = {"GeneratedBy": JOB}
    world.aws.job_tags[JOB] = tags
    world.rest()
    return world, arn


def approve(world: World, arn: str, person: dict[str, str]) -> None:
    world.aws.caller = dict(person)
    world.decide(arn, "Approved")
    world.rest()


def released(world: World) -> bool:
    return bool(world.complete_releases())


@pytest.mark.parametrize("key", [SUBMITTED_BY, FIRST_SUBMITTED_BY])
def test_version_approved_by_its_submitter_is_not_compiled_and_a_notice_is_sent(
    code: list[dict[str, ModuleType]], key: str
) -> None:
    tags = {SUBMITTED_BY: "AIDASOMEONE", key: PERSON["PrincipalId"]}
    world, arn = submitted(code, **tags)
    approve(world, arn, PERSON)
    assert world.aws.jobs == {}
    failure = world.aws.packages[arn]["CustomerMetadataProperties"]["CompileFailure"]
    assert "approved it and has submitted its training" in failure
    assert len(world.aws.told) == 1
    # The publisher's own update hides the approver from SageMaker; the stage keeps who it was.
    for _ in range(3):
        world.edit_as_publisher(arn)
        world.reconcile()
        world.rest()
    assert world.aws.jobs == {} and len(world.aws.told) == 1


def test_reconciler_says_why_the_approval_does_not_count(
    code: list[dict[str, ModuleType]],
) -> None:
    world, arn = submitted(code, **{SUBMITTED_BY: PERSON["PrincipalId"]})
    world.aws.caller = dict(PERSON)
    world.decide(arn, "Approved")
    world.queue.clear()  # Every event is lost.
    repairs: list[Repair] = []
    module = code[0]["reconcile"]
    reconcile(module._deployment, module.COMPILE_SETTINGS, repairs.append, resume=False)
    (repair,) = repairs
    assert repair.step.startswith("record the failure: four eyes: ")
    assert "another person types cards registry approve" in repair.step


def test_version_that_another_person_approves_afterwards_is_released(
    code: list[dict[str, ModuleType]],
) -> None:
    world, arn = submitted(code, **{SUBMITTED_BY: PERSON["PrincipalId"]})
    approve(world, arn, PERSON)
    assert not released(world)
    world.aws.packages[arn]["CustomerMetadataProperties"]["ReportPage"] = "a" * 64
    world.decide(arn, "Rejected")
    approve(world, arn, OTHER)
    assert released(world)
    notice = str(world.aws.told[-1]["Message"])
    assert "aws s3 cp s3://" in notice and "/fidelity.html" in notice, "the release's page"
    assert world.aws.packages[arn]["ModelLifeCycle"] == {
        "Stage": "Stable",
        "StageStatus": "Released",
        "StageDescription": f"Approved by {OTHER['PrincipalId']} on page {'a' * 64}",
    }


def test_version_whose_submitter_is_not_recorded_is_not_compiled(
    code: list[dict[str, ModuleType]],
) -> None:
    world, arn = submitted(code)
    approve(world, arn, OTHER)
    assert world.aws.jobs == {}
    failure = world.aws.packages[arn]["CustomerMetadataProperties"]["CompileFailure"]
    assert "who submitted its training is not recorded" in failure


def test_retry_does_not_compile_what_its_submitter_approved(
    code: list[dict[str, ModuleType]],
) -> None:
    world, arn = submitted(code, **{SUBMITTED_BY: PERSON["PrincipalId"]})
    approve(world, arn, PERSON)
    world.aws.events.append({"detail": {"ModelPackageArn": arn, "CompileAgain": True}})
    world.rest()
    assert world.aws.jobs == {}


def test_storm_of_life_cycle_updates_leads_to_no_step(code: list[dict[str, ModuleType]]) -> None:
    world, arn = submitted(code, **{SUBMITTED_BY: PERSON["PrincipalId"]})
    approve(world, arn, OTHER)
    stage = world.aws.packages[arn]["ModelLifeCycle"]
    jobs, objects, told = dict(world.aws.jobs), dict(world.aws.objects), len(world.aws.told)
    for number in range(50):
        other = {"Stage": "Stable", "StageStatus": "Released", "StageDescription": f"n{number}"}
        world.aws._update_model_package({"ModelPackageArn": arn, "ModelLifeCycle": other})
    world.rest()
    assert (world.aws.jobs, world.aws.objects, len(world.aws.told)) == (jobs, objects, told)
    wrong = {"Stage": "Candidate", "StageStatus": "Released"}
    world.aws._update_model_package({"ModelPackageArn": arn, "ModelLifeCycle": wrong})
    world.rest()
    assert world.aws.packages[arn]["ModelLifeCycle"]["Stage"] == stage["Stage"]
    assert (world.aws.jobs, world.aws.objects, len(world.aws.told)) == (jobs, objects, told)
