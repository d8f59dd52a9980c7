"""The order of training jobs, and what each is made from."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cli.aws import AwsSession
from cli.train.job_sequence import plan_jobs
from cli.train.options import TrainingRequest
from registry.versions.packages import Package

WEIGHTS = "s3://b/backbone.safetensors"


def request() -> TrainingRequest:
    return TrainingRequest(
        AwsSession(), "s3://b/cards", "tiny", {}, {}, WEIGHTS, True, False, False, False
    )


def version(number: int) -> Package:
    url = f"s3://b/jobs/{number}/output/model.tar.gz"
    when = datetime(2026, 1, 2, tzinfo=UTC)
    return Package(f"arn:{number}", number, "group", None, "Approved", "", when, url, "", {})


def test_teacher_and_both_stages_are_chained() -> None:
    teacher, stage1, stage2 = plan_jobs(request(), train_teacher=True, stages=(1, 2))
    assert [job.title for job in (teacher, stage1, stage2)] == [
        "teacher", "student stage 1", "student stage 2",
    ]  # fmt: skip
    assert (teacher.teacher, teacher.initial) == (None, None)
    assert (stage1.teacher, stage1.initial) == (teacher, None)
    assert (stage2.teacher, stage2.initial) == (teacher, stage1)


def test_both_stages_learn_from_the_registered_teacher() -> None:
    registered = version(1)
    stage1, stage2 = plan_jobs(request(), stages=(1, 2), teacher=registered)
    assert (stage1.teacher, stage1.initial) == (registered, None)
    assert (stage2.teacher, stage2.initial) == (registered, stage1)


def test_stage_2_alone_starts_from_the_registered_stage_1() -> None:
    teacher, initial = version(1), version(2)
    (stage2,) = plan_jobs(request(), stages=(2,), teacher=teacher, initial=initial)
    assert (stage2.teacher, stage2.initial) == (teacher, initial)


@pytest.mark.parametrize("stages", [(1,), (1, 2), (2,)])
@pytest.mark.parametrize("train_teacher", [True, False])
def test_initial_weights_go_to_the_first_job_only(
    train_teacher: bool, stages: tuple[int, ...]
) -> None:
    jobs = plan_jobs(request(), train_teacher=train_teacher, stages=stages, teacher=version(1))
    assert [job.weights for job in jobs] == [WEIGHTS, *[None] * (len(jobs) - 1)]


def test_each_job_has_the_settings_of_its_own_stage() -> None:
    jobs = plan_jobs(request(), train_teacher=True, stages=(1, 2))
    assert [job.config.stage for job in jobs] == ["phase2", "stage1", "stage2"]
