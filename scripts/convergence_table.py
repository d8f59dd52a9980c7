"""The table of next steps in ``docs/reliability.md``, made from the code.

python -m scripts.convergence_table
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from registry.convergence import Approval, JobState, Observation, Verdict, next_step

_NOT_APPROVED = Approval.REJECTED
_RELEASES = {
    "none": {},
    "with other compile settings, and it leads the channels": {
        "released_otherwise": True,
        "leads": True,
    },
    "with other compile settings, and a newer version leads": {
        "released_otherwise": True,
        "leads": False,
    },
    "with these compile settings": {"released": True},
    "to be retired": {"released": True, "superseded": True},
    "retired": {"retired": True},
}
_JOBS = {
    "none": {"job": JobState.NONE},
    "running": {"job": JobState.RUNNING, "attempts": 1},
    "stopping": {"job": JobState.STOPPING, "attempts": 1},
    "stopped": {"job": JobState.STOPPED, "attempts": 1},
    "failed by a fault": {"job": JobState.FAILED, "attempts": 1},
    "failed by a fault, third time": {"job": JobState.FAILED, "attempts": 3},
    "failed by a refusal": {"job": JobState.FAILED, "attempts": 1, "refused": True},
    "completed, gate passed": {
        "job": JobState.COMPLETED,
        "attempts": 1,
        "verdict": Verdict.PASSED,
    },
    "completed, gate failed or no report": {
        "job": JobState.COMPLETED,
        "attempts": 1,
        "verdict": Verdict.FAILED,
    },
}
_HEAD = (
    "approval",
    "release",
    "compile job",
    "next step",
    "where its failure is recorded",
    "where a channel is wrong",
)


def rows() -> Iterator[tuple[str, ...]]:
    """Each combination and its steps; what differs in nothing is one row."""
    for approval, release in itertools.product((Approval.APPROVED, _NOT_APPROVED), _RELEASES):
        by_steps: dict[tuple[str, ...], list[str]] = {}
        for job in _JOBS:
            there = release not in ("none", "retired")
            facts = {**_RELEASES[release], **_JOBS[job], "announced": there}
            variants: tuple[dict[str, bool], ...] = (
                {},
                {"failure_recorded": True},
                {"channel_current": False},
            )
            steps = tuple(
                next_step(Observation(approval, True, **{**facts, **variant})).value  # type: ignore[arg-type]
                for variant in variants
            )
            by_steps.setdefault(steps, []).append(job)
        words = "approved" if approval is Approval.APPROVED else "anything else, or deleted"
        for steps, jobs in by_steps.items():
            yield words, release, "any" if len(jobs) == len(_JOBS) else "; ".join(jobs), *steps


def table() -> str:
    """The table in Markdown."""
    lines = [_HEAD, ("---",) * len(_HEAD), *rows()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    print(table())
