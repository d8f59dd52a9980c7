"""What jobs will probably take, said before the first is sent, and what is asked about it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cli.console import print_line, print_stderr, seconds
from cli.errors import CliError

if TYPE_CHECKING:
    from cli.train.options import Order
    from training.config import TrainingConfig
    from training.submission.estimate import Estimate
    from training.submission.training_plan import TrainingPlan

#: Seconds to wait for the price list: an estimate is no reason to hold a job up.
_CONNECT, _READ = 3, 10


@dataclass(frozen=True)
class Job:
    """A job that is going to be sent; it cannot be planned before its parent is registered.

    Attributes:
        title: For people, such as ``student stage 1``.
        config: What recipe and hyper-parameters come to.
    """

    title: str
    config: TrainingConfig


def jobs(order: Order, kinds: Sequence[tuple[str, int | None]]) -> list[Job]:
    """The jobs of a chain, by kind and stage.

    Raises:
        ConfigError: A setting that one of them cannot take; none has been paid for by then.
    """
    from training.config import resolve
    from training.submission.submit import STUDENT_STAGES

    found = []
    for kind, stage in kinds:
        name = STUDENT_STAGES[stage] if stage else "phase2"
        config = resolve(order.recipe, kind, name, order.hyperparameters)
        found.append(Job(f"{kind} stage {stage}" if stage else kind, config))
    return found


def announce(order: Order, plan: TrainingPlan, chain: Sequence[Job]) -> list[Estimate | None]:
    """Estimates the jobs of a chain and prints that; for machines it is in the documents instead.

    Args:
        order: What was asked for.
        plan: The first job's; all of them have its machines and its card set.
        chain: All jobs, that first one included.
    """
    found = _estimates(order, plan, chain)
    if not order.as_json and not order.dry_run:
        for line in lines(order, plan, chain, found):
            print_line(line)
    return found


def agreed(order: Order, found: Sequence[Estimate | None]) -> None:
    """Asks whether to send, where there is someone to ask and something to pay.

    Raises:
        CliError: The answer was no.
    """
    if order.yes or order.as_json or order.dry_run or order.aws.is_local or not _can_ask():
        return
    price = _sum([each.price if each else None for each in found])
    what = "send it" if len(found) == 1 else f"send these {len(found)} jobs one after the other"
    if not _yes(f"{what}{'' if price is None else f', about USD {price:.2f}'}?"):
        raise CliError("nothing was sent")


def wants_to_stop(job_name: str) -> bool:
    """After Ctrl-C: whether the job itself shall stop; without an answer it goes on."""
    if not _can_ask():
        return False
    try:
        return _yes(f"cards: stop {job_name}, too? What it has learnt so far is kept.")
    except KeyboardInterrupt:
        return False


def lines(
    order: Order, plan: TrainingPlan, chain: Sequence[Job], found: Sequence[Estimate | None]
) -> list[str]:
    """The estimates for people: each job's, and the sum of several."""
    compute = plan.compute
    machines = f"{compute.instance_count} × {compute.instance_type}"
    if compute.spot:
        machines += ", spare capacity"
    told = []
    for job, each in zip(chain, found, strict=True):
        if each is None:
            told.append(
                f"{job.title} on {machines}; how many cards there are is not known: no estimate"
            )
            continue
        told.append(f"{job.title} on {machines}: {each.steps} steps, {each.images} images")
        if not order.aws.is_local:
            told += [f"  {words}" for words in _words(each.seconds, each.price, each.ceiling)]
            told += [f"  {each.note}"] if each.note else []
    if order.aws.is_local:
        return [*told, "on this machine; costs nothing"]
    if len(chain) > 1:
        sums = (
            _sum([getattr(each, name, None) for each in found])
            for name in ("seconds", "price", "ceiling")
        )
        told += [f"all {len(chain)} jobs: {words}" for words in _words(*sums)]
    if compute.spot:
        told.append(
            "spare capacity is cheaper than the list price; by how much is not known before"
        )
    told += plan.notes
    return told


def _words(time: float | None, price: float | None, ceiling: float | None) -> list[str]:
    told = []
    if time is not None:
        told.append(f"about {seconds(time)}, give or take a factor of two")
    at_most = f"at most USD {ceiling:.2f} before SageMaker stops it" if ceiling is not None else ""
    if price is not None:
        told.append(f"about USD {price:.2f} at list price, {at_most}")
    elif at_most:
        told.append(f"{at_most}, at list price")
    return told


def _sum(values: Sequence[float | None]) -> float | None:
    """The sum; None where one of them is not known."""
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _estimates(order: Order, plan: TrainingPlan, chain: Sequence[Job]) -> list[Estimate | None]:
    from training.submission.estimate import estimate

    scans = _scans(order, plan.channels["cards"])
    if scans is None:
        return [None for _ in chain]
    price, note = _price(order, plan)
    return [
        estimate(
            job.config,
            plan.compute,
            scans,
            teacher=_teacher(job.config),
            instance_price=price,
            note=note,
        )
        for job in chain
    ]


def _teacher(config: TrainingConfig) -> TrainingConfig | None:
    """The teacher that the recipe itself would train; the very one may be another."""
    from registry.names import TEACHER
    from training.config import ConfigError, resolve

    if config.model_type == TEACHER:
        return None
    try:
        return resolve(config.recipe, TEACHER, "phase2", {})
    except ConfigError:
        return None


def _price(order: Order, plan: TrainingPlan) -> tuple[float | None, str]:
    if order.aws.is_local:
        return None, ""
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    from training.submission.estimate import instance_price

    soon = Config(connect_timeout=_CONNECT, read_timeout=_READ, retries={"total_max_attempts": 1})
    try:
        # The price list is served in a few regions only, for all of them.
        client = order.aws.session.client("pricing", region_name="us-east-1", config=soon)
        return instance_price(client, plan.region, plan.compute.instance_type), ""
    except (ClientError, BotoCoreError, ValueError) as error:
        return None, f"no price: {' '.join(str(error).split())[:160]}"


def _scans(order: Order, cards_uri: str) -> int | None:
    """How many scans a card set has, by the marker that pushing it left."""
    import json

    from botocore.exceptions import BotoCoreError, ClientError

    from cli.data.upload import MARKER
    from registry.aws import split_s3_uri

    if order.dry_run and not order.cards.startswith("s3://"):
        from pathlib import Path

        from cli.data.upload import read_cards

        return read_cards(Path(order.cards)).images
    bucket, prefix = split_s3_uri(cards_uri.rstrip("/") + "/")
    try:
        answer: Any = order.aws.client("s3").get_object(Bucket=bucket, Key=prefix + MARKER)
        return int(json.loads(answer["Body"].read(4096))["images"])
    except (ClientError, BotoCoreError, ValueError, KeyError, TypeError):
        return None


def _yes(question: str) -> bool:
    # On stderr, which a person sees even where stdout goes to a file.
    print_stderr(f"{question} [y/N] ")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _can_ask() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()
