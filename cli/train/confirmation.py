"""Questions to a person at a terminal: before jobs that cost money, and after Ctrl-C."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cli.console import print_stderr
from cli.errors import CliError

if TYPE_CHECKING:
    from cli.train.options import TrainingRequest
    from training.submission.estimate import Estimate


def confirm(request: TrainingRequest, estimates: Sequence[Estimate | None]) -> None:
    """Asks whether to submit, where somebody can answer and the jobs cost money.

    Args:
        request: Says whether it may ask at all.
        estimates: One a job; None where nothing is known.

    Raises:
        CliError: The answer was no.
    """
    from cli.train.estimate import total

    if request.yes or request.as_json or request.dry_run or request.aws.is_local:
        return
    if not _can_ask():
        return
    price = total([each.price if each else None for each in estimates])
    several = f"send these {len(estimates)} jobs one after the other"
    question = "send it" if len(estimates) == 1 else several
    if not _yes(f"{question}{'' if price is None else f', about USD {price:.2f}'}?"):
        raise CliError("nothing was sent")


def wants_to_stop(job_name: str) -> bool:
    """After Ctrl-C: whether to stop the job, too; without an answer it continues."""
    if not _can_ask():
        return False
    try:
        return _yes(f"cards: stop {job_name}, too? What it has learnt so far is kept.")
    except KeyboardInterrupt:
        return False


def _yes(question: str) -> bool:
    # On stderr, which a person sees even where stdout goes to a file.
    print_stderr(f"{question} [y/N] ")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _can_ask() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()
