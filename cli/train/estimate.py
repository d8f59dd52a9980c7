"""Time and price of jobs, printed before the first is submitted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cli.console import print_line, seconds

if TYPE_CHECKING:
    from cli.train.job_sequence import PlannedJob
    from cli.train.options import TrainingRequest
    from training.config import TrainingConfig
    from training.submission.estimate import Estimate
    from training.submission.training_plan import TrainingPlan

#: Seconds to wait for the price list: an estimate is no reason to hold a job up.
_CONNECT, _READ = 3, 10


def estimate_jobs(
    request: TrainingRequest, plan: TrainingPlan, jobs: Sequence[PlannedJob]
) -> list[Estimate | None]:
    """Estimates each job of a sequence; None for each where the card set's size is not known.

    Args:
        request: What was asked for.
        plan: The first job's; all jobs have its machines and its card set.
        jobs: All jobs, that first one included.
    """
    from training.submission.estimate import estimate

    scans = _scans(request, plan.channels["cards"])
    if scans is None:
        return [None for _ in jobs]
    price, note = _price(request, plan)
    return [
        estimate(
            job.config,
            plan.compute,
            scans,
            teacher=_teacher(job.config),
            instance_price=price,
            note=note,
        )
        for job in jobs
    ]


def print_estimates(
    request: TrainingRequest,
    plan: TrainingPlan,
    jobs: Sequence[PlannedJob],
    estimates: Sequence[Estimate | None],
) -> None:
    """Prints the estimates for people; for machines they are in the documents instead."""
    if not request.as_json and not request.dry_run:
        for line in estimate_lines(request, plan, jobs, estimates):
            print_line(line)


def estimate_lines(
    request: TrainingRequest,
    plan: TrainingPlan,
    jobs: Sequence[PlannedJob],
    estimates: Sequence[Estimate | None],
) -> list[str]:
    """The estimates for people: each job's, and the sum of several."""
    compute = plan.compute
    machines = f"{compute.instance_count} × {compute.instance_type}"
    if compute.spot:
        machines += ", spare capacity"
    lines = []
    for job, each in zip(jobs, estimates, strict=True):
        if each is None:
            lines.append(
                f"{job.title} on {machines}; how many cards there are is not known: no estimate"
            )
            continue
        lines.append(f"{job.title} on {machines}: {each.steps} steps, {each.images} images")
        if not request.aws.is_local:
            lines += [f"  {words}" for words in _expected(each.seconds, each.price, each.ceiling)]
            lines += [f"  {each.note}"] if each.note else []
    if request.aws.is_local:
        return [*lines, "on this machine; costs nothing"]
    if len(jobs) > 1:
        sums = (
            total([getattr(each, name, None) for each in estimates])
            for name in ("seconds", "price", "ceiling")
        )
        lines += [f"all {len(jobs)} jobs: {words}" for words in _expected(*sums)]
    if compute.spot:
        lines.append(
            "spare capacity is cheaper than the list price; by how much is not known before"
        )
    lines += plan.notes
    return lines


def _expected(time: float | None, price: float | None, ceiling: float | None) -> list[str]:
    lines = []
    if time is not None:
        lines.append(f"about {seconds(time)}, give or take a factor of two")
    at_most = f"at most USD {ceiling:.2f} before SageMaker stops it" if ceiling is not None else ""
    if price is not None:
        lines.append(f"about USD {price:.2f} at list price, {at_most}")
    elif at_most:
        lines.append(f"{at_most}, at list price")
    return lines


def total(values: Sequence[float | None]) -> float | None:
    """The sum of all values; None where one of them is not known."""
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _teacher(config: TrainingConfig) -> TrainingConfig | None:
    """The teacher that the recipe itself would train; the very one may be another."""
    from registry.names import TEACHER
    from training.config import ConfigError
    from training.recipe import resolve

    if config.model_type == TEACHER:
        return None
    try:
        return resolve(config.recipe, TEACHER, "phase2", {})
    except ConfigError:
        return None


def _price(request: TrainingRequest, plan: TrainingPlan) -> tuple[float | None, str]:
    if request.aws.is_local:
        return None, ""
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    from training.submission.estimate import instance_price

    soon = Config(connect_timeout=_CONNECT, read_timeout=_READ, retries={"total_max_attempts": 1})
    try:
        # The price list is served in a few regions only, for all of them.
        client = request.aws.session.client("pricing", region_name="us-east-1", config=soon)
        return instance_price(client, plan.region, plan.compute.instance_type), ""
    except (ClientError, BotoCoreError, ValueError) as error:
        return None, f"no price: {' '.join(str(error).split())[:160]}"


def _scans(request: TrainingRequest, cards_uri: str) -> int | None:
    """How many scans a card set has, by the marker that pushing it left."""
    from botocore.exceptions import BotoCoreError, ClientError

    from cli.data.upload import MARKER
    from registry.aws import split_s3_uri
    from registry.untrusted.stored_json import read_json

    if request.dry_run and not request.cards.startswith("s3://"):
        from pathlib import Path

        from cli.data.upload import read_cards

        return read_cards(Path(request.cards)).images
    bucket, prefix = split_s3_uri(cards_uri.rstrip("/") + "/")
    try:
        marker = read_json(request.aws.client("s3"), bucket, prefix + MARKER, 4096)
        return int(marker.document["images"]) if marker else None
    except (ClientError, BotoCoreError, ValueError, KeyError, TypeError, OverflowError):
        return None
