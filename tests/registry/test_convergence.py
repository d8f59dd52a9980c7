"""The one right next step, over every observation there can be."""

import itertools
from dataclasses import replace
from functools import cache
from pathlib import Path

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
from scripts.convergence_table import table
from tests.properties import stride

BOOLEANS = (False, True)
RELIABILITY = Path(__file__).resolve().parents[2] / "docs/reliability.md"


@cache
def observations() -> list[tuple[Observation, Step]]:
    """Every observation there can be, and its step; in a quick run every 11th."""
    values = {
        "approval": Approval,
        "releasable": BOOLEANS,
        "compilable": BOOLEANS,
        "job": JobState,
        "attempts": (0, 1, ATTEMPT_LIMIT),
        "refused": BOOLEANS,
        "verdict": Verdict,
        "released": BOOLEANS,
        "released_otherwise": BOOLEANS,
        "leads": BOOLEANS,
        "channel_current": BOOLEANS,
        "announced": BOOLEANS,
        "superseded": BOOLEANS,
        "retired": BOOLEANS,
        "failure_recorded": BOOLEANS,
    }
    seen = [
        Observation(**dict(zip(values, each, strict=True)))  # type: ignore[arg-type]
        for each in itertools.islice(itertools.product(*values.values()), 0, None, stride(11))
    ]
    found = [(each, next_step(each)) for each in seen]
    # A stale release changes the step of those alone that have none.
    stale = [replace(each, stale=True) for each, step in found if step is Step.NOTHING]
    return found + [(each, next_step(each)) for each in stale]


def where(step: Step) -> list[Observation]:
    """All observations that lead to a step; there are some."""
    found = [seen for seen, next_ in observations() if next_ is step]
    assert found
    return found


def test_every_step_is_reached() -> None:
    # The stage comes last: see the test below.
    assert {step for _, step in observations()} == set(Step) - {Step.RECORD_STAGE}


def test_stage_is_recorded_once_nothing_else_is_left_to_do() -> None:
    for seen, step in observations():
        recorded = step is Step.NOTHING and seen.releasable
        expected = Step.RECORD_STAGE if recorded else step
        assert next_step(replace(seen, stage_recorded=False)) is expected


def test_stale_release_is_withdrawn_after_every_other_step() -> None:
    for seen, step in observations()[::101]:
        with_stale = next_step(replace(seen, stale=True))
        waits = step in (Step.NOTHING, Step.WITHDRAW_STALE) and seen.releasable
        assert with_stale is (Step.WITHDRAW_STALE if waits else step)


def test_nothing_happens_to_what_is_not_a_stage_2_student() -> None:
    assert {step for seen, step in observations() if not seen.releasable} == {Step.NOTHING}


def test_only_an_approved_version_with_a_passed_gate_is_published() -> None:
    for seen in where(Step.PUBLISH):
        assert seen.approval is Approval.APPROVED and not seen.released
        assert (seen.job, seen.verdict) == (JobState.COMPLETED, Verdict.PASSED)


def test_only_an_approved_version_is_compiled_and_never_twice_at_once() -> None:
    for seen in where(Step.START_COMPILATION):
        assert seen.approval is Approval.APPROVED and seen.compilable and not seen.released
        assert seen.job in (JobState.NONE, JobState.STOPPED, JobState.FAILED)
        assert seen.attempts < ATTEMPT_LIMIT


def test_a_refusal_is_not_tried_again_and_a_fault_is() -> None:
    failed = Observation(Approval.APPROVED, True, job=JobState.FAILED, attempts=1)
    assert next_step(failed) is Step.START_COMPILATION
    for seen in where(Step.START_COMPILATION):
        assert not (seen.job is JobState.FAILED and seen.refused)


def test_unapproved_version_is_neither_compiled_nor_released() -> None:
    for seen, step in observations():
        if seen.releasable and seen.approval is not Approval.APPROVED:
            visible = seen.released or seen.released_otherwise or seen.announced
            if visible or not seen.channel_current:
                assert step is Step.WITHDRAW
            elif seen.superseded:
                assert step is Step.RETIRE
            elif seen.job is JobState.RUNNING:
                assert step is Step.STOP_COMPILATION
            else:
                assert step is (Step.WITHDRAW_STALE if seen.stale else Step.NOTHING)


def test_newer_compile_settings_compile_again_only_the_version_that_leads_the_channel() -> None:
    older = {"released_otherwise": True, "announced": True}
    leading = Observation(Approval.APPROVED, True, leads=True, **older)
    assert next_step(leading) is Step.START_COMPILATION
    history = Observation(Approval.APPROVED, True, leads=False, **older)
    assert next_step(history) is Step.NOTHING


def test_a_metadata_edit_on_a_released_version_does_nothing() -> None:
    settled = Observation(
        Approval.APPROVED,
        True,
        job=JobState.COMPLETED,
        attempts=1,
        verdict=Verdict.PASSED,
        released=True,
        announced=True,
    )
    assert next_step(settled) is Step.NOTHING


def test_a_failure_is_recorded_once() -> None:
    for seen in where(Step.RECORD_FAILURE):
        assert not seen.failure_recorded and seen.approval is Approval.APPROVED


@pytest.mark.parametrize("job", [JobState.STOPPED, JobState.FAILED])
def test_number_of_attempts_is_limited(job: JobState) -> None:
    seen = Observation(Approval.APPROVED, True, job=job, attempts=ATTEMPT_LIMIT)
    assert next_step(seen) is Step.RECORD_FAILURE


def test_the_table_in_the_documentation_is_that_of_the_code() -> None:
    assert table() in RELIABILITY.read_text()
