"""What a job will probably take, said before it is sent, and the question that follows."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from cli.console import complain, is_terminal, say, seconds
from cli.errors import CliError

if TYPE_CHECKING:
    from cli.train_options import Order
    from training.config import TrainingConfig
    from training.estimate import Estimate
    from training.training_plan import TrainingPlan


def announce(order: Order, plan: TrainingPlan) -> Estimate | None:
    """Prints the estimate of a job; for machines it is in the document instead."""
    found = _estimate(order, plan)
    if not order.as_json and not order.dry_run:
        for line in lines(order, plan, found):
            say(line)
    return found


def agreed(order: Order) -> bool:
    """Asks whether to send, where there is someone to ask and something to pay.

    Raises:
        CliError: The answer was no.
    """
    if order.yes or order.as_json or order.aws.is_local or not _can_ask():
        return True
    say("send it? [y/N] ")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise CliError("nothing was sent")
    return True


def wants_to_stop(job_name: str) -> bool:
    """After Ctrl-C: whether the job itself shall stop; without an answer it goes on."""
    if not _can_ask():
        return False
    complain(f"cards: stop {job_name}, too? What it has learnt so far is kept. [y/N] ")
    try:
        return sys.stdin.readline().strip().lower() in ("y", "yes")
    except KeyboardInterrupt:
        return False


def lines(order: Order, plan: TrainingPlan, found: Estimate | None) -> list[str]:
    """The estimate for people."""
    compute = plan.compute
    machines = f"{compute.instance_count} × {compute.instance_type}"
    if compute.spot:
        machines += ", spare capacity"
    title = f"{plan.kind}{f' stage {plan.stage}' if plan.stage else ''}"
    if found is None:
        return [f"{title} on {machines}; how many cards there are is not known: no estimate"]
    told = [f"{title} on {machines}: {found.steps} steps, {found.images} images"]
    if order.aws.is_local:
        return [*told, "  on this machine; costs nothing"]
    if found.seconds is not None:
        told.append(f"  about {seconds(found.seconds)}, give or take a factor of two")
    if found.price is not None and found.ceiling is not None:
        up_to = " (spare capacity is cheaper)" if compute.spot else ""
        told.append(
            f"  about USD {found.price:.2f} at list price, at most USD {found.ceiling:.2f} before "
            f"SageMaker stops it{up_to}"
        )
    if found.note:
        told.append(f"  {found.note}")
    return told


def _estimate(order: Order, plan: TrainingPlan) -> Estimate | None:
    from training.estimate import estimate

    scans = _scans(order, plan.channels["cards"])
    if scans is None:
        return None
    price, note = _price(order, plan)
    return estimate(
        plan.config, plan.compute, scans, teacher=_teacher(plan), instance_price=price, note=note
    )


def _teacher(plan: TrainingPlan) -> TrainingConfig | None:
    """The teacher that the recipe itself would train; the very one may be another."""
    from registry.names import TEACHER
    from training.config import ConfigError, resolve

    if plan.kind == TEACHER:
        return None
    try:
        return resolve(plan.config.recipe, TEACHER, "phase2", {})
    except ConfigError:
        return None


def _price(order: Order, plan: TrainingPlan) -> tuple[float | None, str]:
    if order.aws.is_local:
        return None, ""
    from botocore.exceptions import BotoCoreError, ClientError

    from training.estimate import instance_price

    try:
        # The price list is served in a few regions only, for all of them.
        client = order.aws.session.client("pricing", region_name="us-east-1")
        return instance_price(client, plan.region, plan.compute.instance_type), ""
    except (ClientError, BotoCoreError, ValueError) as error:
        return None, f"no price: {' '.join(str(error).split())[:160]}"


def _scans(order: Order, cards_uri: str) -> int | None:
    """How many scans a card set has, by the marker that pushing it left."""
    import json

    from botocore.exceptions import BotoCoreError, ClientError

    from cli.card_upload import MARKER
    from registry.aws import split_s3_uri

    if order.dry_run and not order.cards.startswith("s3://"):
        from pathlib import Path

        from cli.card_upload import read_cards

        return read_cards(Path(order.cards)).images
    bucket, prefix = split_s3_uri(cards_uri.rstrip("/") + "/")
    try:
        answer: Any = order.aws.client("s3").get_object(Bucket=bucket, Key=prefix + MARKER)
        return int(json.loads(answer["Body"].read(4096))["images"])
    except (ClientError, BotoCoreError, ValueError, KeyError, TypeError):
        return None


def _can_ask() -> bool:
    return sys.stdin.isatty() and is_terminal()
