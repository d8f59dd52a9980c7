#!/usr/bin/env python3
"""Distils a student in both stages on eight A100s: `cards train student` on that machine."""

from __future__ import annotations

from cli.program.interrupts import exit_at_once, main_name

if __name__ == "__main__":
    exit_at_once(main_name())

from typing import Annotated

import typer

from cli.aws import DEFAULT_ENVIRONMENT, AwsSession, Environment
from cli.options import AsJson
from cli.program.entry_point import script

INSTANCE = "ml.p4d.24xlarge"


def launch(
    cards: Annotated[
        str | None,
        typer.Option(
            help="Card set: a folder or an S3 address. By default the teacher's own, or where it "
            "does not say one the newest that was pushed."
        ),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(help="Training recipe. By default the teacher's own.")
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(help="Name or ARN of the teacher. By default the newest approved one."),
    ] = None,
    instance: Annotated[str, typer.Option(help="SageMaker instance type.")] = INSTANCE,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show stage 1's request and send nothing.")
    ] = False,
    as_json: AsJson = False,
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Distils a student: stage 1, then stage 2 from what stage 1 made; each is registered.

    One process for each of the machine's GPUs; the batch of the recipe is divided among them.

    \b
    python scripts/launch_student_distillation_8xA100.py --dry-run
    python scripts/launch_student_distillation_8xA100.py --recipe demo --instance ml.m5.xlarge
    """
    from cli.data.upload import newest
    from cli.errors import CliError
    from cli.find_version import find_parent, find_teacher
    from cli.train.commands import Stage, student
    from registry.versions.metadata import CARD_SET_URI

    aws = AwsSession(environment)
    source = find_parent(aws, teacher) if teacher else find_teacher(aws)
    card_set = cards or source.metadata.get(CARD_SET_URI)
    card_set = card_set or newest(aws.client("s3"), aws.deployment.training_bucket)
    if not card_set:
        raise CliError(
            f"{source.label} does not say what it was trained on, and no card set was pushed: "
            "cards data push DIR"
        )
    student(
        cards=card_set,
        stage=Stage.both,
        parent=source.arn,
        recipe=recipe or source.metadata.get("Recipe", "full"),
        instance=instance,
        wait=not dry_run,
        dry_run=dry_run,
        as_json=as_json,
        environment=environment,
    )


if __name__ == "__main__":
    script(launch)
