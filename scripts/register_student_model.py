#!/usr/bin/env python3
"""Registers a student after the fact, from its finished training job."""

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


def register_student(
    job: Job = None,
    stage: Annotated[
        str | None, typer.Option(help="stage1 or stage2, for a job that does not say it.")
    ] = None,
    parent: Annotated[
        str | None,
        typer.Option(
            help="Name or ARN of what it was made from, for a job that does not say it: a "
            "teacher for stage 1, a stage-1 student for stage 2."
        ),
    ] = None,
    architecture: Annotated[
        str | None,
        typer.Option(
            help="Architecture part of its name, such as efficientnet-lite0, where no rule makes "
            "it from what the job says."
        ),
    ] = None,
    state: Statements = None,
    weights: Weights = "",
    as_json: AsJson = False,
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Registers a student from its finished training job.

    A job of this product says everything itself. Of any other, what its record and its artifact
    say is read (of a model.onnx in it also whether the Hailo compiler is expected to take it).
    Sources that contradict each other are refused, and what none of them says is asked for.

    \b
    python scripts/register_student_model.py
    python scripts/register_student_model.py --job distil-7 --parent teacher-dinov3-vitl16-phase2-v1
    """
    register(
        environment,
        "student",
        job,
        stage=stage,
        architecture=architecture,
        parent=parent,
        statements=state,
        weights=weights,
        as_json=as_json,
    )


if __name__ == "__main__":
    script(register_student)
