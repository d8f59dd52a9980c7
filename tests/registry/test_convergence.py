import itertools

import pytest

from registry.convergence import (
    ATTEMPT_LIMIT,
    Approval,
    JobState,
    Observation,
    Step,
    Verdict,
    next_step,
)

EVERY_OBSERVATION = [
    Observation(approval, releasable, job, attempts, verdict, released, current, recorded)
    for approval, releasable, job, attempts, verdict, released, current, recorded in (
        itertools.product(
            Approval,
            (False, True),
            JobState,
            (0, 1, ATTEMPT_LIMIT),
            Verdict,
            (False, True),
            (False, True),
            (False, True),
        )
    )
]


@pytest.mark.parametrize("step", Step)
def test_every_step_is_reached(step: Step) -> None:
    assert step in {next_step(seen) for seen in EVERY_OBSERVATION}


def test_nothing_happens_to_what_is_not_a_stage_2_student() -> None:
    steps = {next_step(seen) for seen in EVERY_OBSERVATION if not seen.releasable}
    assert steps == {Step.NOTHING}


def test_only_an_approved_version_with_a_passed_gate_is_published() -> None:
    published = [seen for seen in EVERY_OBSERVATION if next_step(seen) is Step.PUBLISH]
    assert published
    for seen in published:
        assert seen.approval is Approval.APPROVED
        assert (seen.job, seen.verdict) == (JobState.COMPLETED, Verdict.PASSED)
        assert not seen.released


def test_only_an_approved_version_is_compiled_and_never_twice_at_once() -> None:
    started = [seen for seen in EVERY_OBSERVATION if next_step(seen) is Step.START_COMPILATION]
    assert started
    for seen in started:
        assert seen.approval is Approval.APPROVED and not seen.released
        assert seen.job not in (JobState.RUNNING, JobState.STOPPING, JobState.COMPLETED)
        assert seen.attempts < ATTEMPT_LIMIT


def test_a_rejected_version_has_its_job_stopped_and_leaves_the_channel() -> None:
    running = Observation(Approval.REJECTED, True, JobState.RUNNING, 1)
    assert next_step(running) is Step.STOP_COMPILATION
    released = Observation(
        Approval.REJECTED, True, JobState.COMPLETED, 1, released=True, channel_current=False
    )
    assert next_step(released) is Step.MOVE_CHANNEL


def test_a_metadata_edit_on_a_released_version_does_nothing() -> None:
    settled = Observation(
        Approval.APPROVED, True, JobState.COMPLETED, 1, Verdict.PASSED, released=True
    )
    assert next_step(settled) is Step.NOTHING


def test_a_version_approved_again_is_published_without_compiling_again() -> None:
    seen = Observation(Approval.APPROVED, True, JobState.COMPLETED, 1, Verdict.PASSED)
    assert next_step(seen) is Step.PUBLISH


def test_a_stopped_compilation_is_started_again_a_bounded_number_of_times() -> None:
    assert next_step(Observation(Approval.APPROVED, True, JobState.STOPPED, 1)) is (
        Step.START_COMPILATION
    )
    assert next_step(Observation(Approval.APPROVED, True, JobState.STOPPED, ATTEMPT_LIMIT)) is (
        Step.RECORD_FAILURE
    )
