"""The options of ``cards train``, each defined once, and the request that they make."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.aws import AwsSession
from cli.errors import CliError

if TYPE_CHECKING:
    from training.submission.training_plan import Compute

_MACHINES = "Machines"

Cards = Annotated[
    str,
    typer.Option(
        help="The card set: an S3 prefix, or a folder (or a pack), which is pushed first.",
        show_default=False,
    ),
]
Recipe = Annotated[
    str,
    typer.Option(
        help="Sizes, steps and losses: tiny, demo, full, guide, or another recipe's name."
    ),
]
HyperParameters = Annotated[
    list[str] | None,
    typer.Option("--hp", metavar="KEY=VALUE", help="One setting on top of the recipe; repeatable."),
]
Weights = Annotated[
    str | None,
    typer.Option(
        metavar="FILE_OR_S3_URI",
        help="A backbone's checkpoint to begin with, instead of the hub's: DINOv3 as Meta, timm or "
        "transformers publish it. It is checked first; a local file is uploaded.",
    ),
]
Message = Annotated[
    str,
    typer.Option(
        "--message",
        "-m",
        metavar="TEXT",
        help="What the training is for, in one line: it stands on the page that people read "
        "before they decide.",
    ),
]
Wait = Annotated[bool, typer.Option("--wait", help="Follow the log until the model is registered.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print what would be sent to SageMaker; send nothing.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Send without asking.")]
Instance = Annotated[
    str | None,
    typer.Option(
        help="SageMaker instance; by default the one that the recipe is meant for.",
        rich_help_panel=_MACHINES,
    ),
]
Count = Annotated[int, typer.Option(min=1, help="How many instances.", rich_help_panel=_MACHINES)]
Spot = Annotated[
    bool,
    typer.Option(
        "--spot",
        help="Use spare capacity: cheaper, may be interrupted and then goes on by itself.",
        rich_help_panel=_MACHINES,
    ),
]
MaxRun = Annotated[
    float,
    typer.Option(
        "--max-run-hours", help="SageMaker stops the job after this.", rich_help_panel=_MACHINES
    ),
]
MaxWait = Annotated[
    float | None,
    typer.Option(
        "--max-wait-hours",
        help="With --spot: the same with the wait for capacity; twice the run by default.",
        rich_help_panel=_MACHINES,
    ),
]
Volume = Annotated[
    int, typer.Option("--volume-gb", help="Each machine's disk.", rich_help_panel=_MACHINES)
]
KeepAlive = Annotated[
    float,
    typer.Option(
        "--keep-alive-minutes",
        help="Keep the machines warm for the next job; they cost as if they ran.",
        rich_help_panel=_MACHINES,
    ),
]
Subnets = Annotated[
    list[str] | None,
    typer.Option(
        "--subnet", help="Run in a VPC: a subnet's id; repeatable.", rich_help_panel=_MACHINES
    ),
]
Groups = Annotated[
    list[str] | None,
    typer.Option(
        "--security-group", help="A security group's id; repeatable.", rich_help_panel=_MACHINES
    ),
]
KmsKey = Annotated[
    str | None,
    typer.Option(
        "--kms-key", help="Encrypts output and disks: a key's id or ARN.", rich_help_panel=_MACHINES
    ),
]
Tags = Annotated[
    list[str] | None,
    typer.Option(
        "--tag", metavar="KEY=VALUE", help="A tag of the job; repeatable.",
        rich_help_panel=_MACHINES,
    ),
]  # fmt: skip


@dataclass(frozen=True)
class TrainingRequest:
    """What a command is asked for, beside which model.

    Attributes:
        cards: S3 prefix of the card set, or a folder.
        machines: Fields of ``Compute``; None where the recipe decides.
        weights: A backbone's checkpoint: a local file, or its S3 URI.
        wait: Follow each job until its model is registered.
        dry_run: Show the request and submit nothing.
        yes: Submit without asking.
        as_json: Answer for machines.
        message: What the training is for, for those who decide.
    """

    aws: AwsSession
    cards: str
    recipe: str
    machines: dict[str, Any]
    hyperparameters: dict[str, Any]
    weights: str | None
    wait: bool
    dry_run: bool
    yes: bool
    as_json: bool
    message: str = ""

    def compute(self) -> Compute:
        """The machines: what was asked for, over what the recipe is meant for.

        Raises:
            SubmitError: SageMaker would not take them.
        """
        from training.submission.submit import default_compute

        given = {key: value for key, value in self.machines.items() if value is not None}
        return replace(default_compute(self.recipe), **given)


def machines(
    instance: str | None,
    count: int,
    spot: bool,
    max_run: float,
    max_wait: float | None,
    volume: int,
    keep_alive: float,
    subnets: list[str] | None,
    groups: list[str] | None,
    kms_key: str | None,
    tags: list[str] | None,
) -> dict[str, Any]:
    """The options about machines as fields of ``Compute``; None where the recipe decides."""
    return {
        "instance_type": instance,
        "instance_count": count,
        "spot": spot,
        "max_run_seconds": _seconds("--max-run-hours", 3600, max_run),
        "max_wait_seconds": (
            None if max_wait is None else _seconds("--max-wait-hours", 3600, max_wait)
        ),
        "volume_gb": volume,
        "keep_alive_seconds": _seconds("--keep-alive-minutes", 60, keep_alive),
        "subnets": tuple(subnets or ()),
        "security_groups": tuple(groups or ()),
        "kms_key": kms_key,
        "tags": pairs("--tag", tags or []),
    }


def _seconds(option: str, unit: int, value: float) -> int:
    """A time in whole seconds; what SageMaker takes is checked with the other limits."""
    if not math.isfinite(value):
        raise CliError(f"{option} {value}: must be a number")
    return round(unit * value)


def checked_message(text: str) -> str:
    """The words for those who decide, as a job can carry them.

    Raises:
        CliError: They are too long, or not one line that can be shown.
    """
    from training.page_facts import VALUE_LIMIT

    text = text.strip()
    if not text.isprintable() or len(text) > VALUE_LIMIT:
        raise CliError(f"--message: must be one line of at most {VALUE_LIMIT} characters")
    return text


def parse_hyperparameters(given: list[str]) -> dict[str, Any]:
    """Reads ``key=value`` pairs; a value that is JSON is taken as such, anything else as text.

    Raises:
        CliError: A pair without ``=``, or a key twice.
    """
    settings: dict[str, Any] = {}
    for key, text in pairs("--hp", given, "--hp epochs=3").items():
        try:
            settings[key] = json.loads(text)
        except ValueError:
            settings[key] = text
    return settings


def pairs(option: str, given: list[str], example: str = "") -> dict[str, str]:
    """Reads ``key=value`` pairs.

    Raises:
        CliError: A pair without ``=``, or a key twice.
    """
    found: dict[str, str] = {}
    for pair in given:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            hint = f", such as {example}" if example else ""
            raise CliError(f"{option} {pair}: must be KEY=VALUE{hint}")
        if key in found:
            raise CliError(f"{option} {key}: is given twice")
        found[key] = text
    return found
