#!/usr/bin/env python3
"""Registers a teacher after the fact, from its finished training job."""

from __future__ import annotations

from cli.program.interrupts import exit_at_once, main_name

if __name__ == "__main__":
    exit_at_once(main_name())

from typing import Annotated

import typer

from cli.aws import DEFAULT_ENVIRONMENT, Environment
from cli.options import AsJson
from cli.program.entry_point import script
from cli.registry.register_job import Job, Statements, Weights, register


def register_teacher(
    job: Job = None,
    stage: Annotated[
        str | None,
        typer.Option(help="phase1 or phase2; by default what the job says, else phase2."),
    ] = None,
    architecture: Annotated[
        str | None,
        typer.Option(
            help="Architecture part of its name, such as dinov3-vitl16, where no rule makes it "
            "from what the job says."
        ),
    ] = None,
    state: Statements = None,
    weights: Weights = "",
    as_json: AsJson = False,
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Registers a teacher from its finished training job.

    A job of this product says everything itself. Of any other, the artifact's place,
    hyper-parameters, metrics, instance, duration and image are read from the job; parameters,
    embedding length and shape from the artifact. Sources that contradict each other are refused,
    and what none of them says is asked for, never invented.

    \b
    python scripts/register_teacher_model.py
    python scripts/register_teacher_model.py --job dinov3-finetune-7 --set NumClasses=17592
    """
    register(
        environment,
        "teacher",
        job,
        stage=stage,
        architecture=architecture,
        parent=None,
        statements=state,
        weights=weights,
        as_json=as_json,
    )


if __name__ == "__main__":
    script(register_teacher)
