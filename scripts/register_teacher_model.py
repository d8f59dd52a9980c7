#!/usr/bin/env python3
"""Registers a teacher after the fact, from its finished training job."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.aws import DEFAULT_ENVIRONMENT, Aws, Environment
from cli.options import AsJson
from cli.program import script


def register(
    job: Annotated[
        str | None,
        typer.Option(help="Training job. By default the newest finished one not yet registered."),
    ] = None,
    architecture: Annotated[
        str | None,
        typer.Option(help="Architecture part of its name, such as dinov3-vitl16."),
    ] = None,
    stage: Annotated[str, typer.Option(help="phase1 or phase2.")] = "phase2",
    state: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE that neither the job nor its artifact says."),
    ] = None,
    as_json: AsJson = False,
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Registers a teacher from its finished training job.

    The artifact's place, hyper-parameters, metrics, instance, duration and image are read from the
    job, parameters from the artifact. What neither says is asked for, and never invented.
    """
    from cli.retroactive import run
    from registry.names import TEACHER

    run(
        Aws(environment),
        TEACHER,
        job,
        stage=stage,
        architecture=architecture,
        stated=state,
        as_json=as_json,
    )


if __name__ == "__main__":
    script(register)
