#!/usr/bin/env python3
"""Registers a student after the fact, from its finished training job."""

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
    stage: Annotated[
        str, typer.Option(help="stage1 or stage2, for a job that does not say it.")
    ] = "stage1",
    parent: Annotated[
        str | None,
        typer.Option(help="Name or ARN of what it was made from, for a job that does not say it."),
    ] = None,
    architecture: Annotated[
        str | None,
        typer.Option(help="Architecture part of its name, such as efficientnet-lite0."),
    ] = None,
    state: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE that neither the job nor its artifact says."),
    ] = None,
    as_json: AsJson = False,
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Registers a student from its finished training job.

    A job of this product says everything itself. Of any other job, what its record and its artifact
    say is read, and the rest is asked for.
    """
    from cli.parents import parent as find
    from cli.retroactive import run
    from registry.names import STUDENT

    aws = Aws(environment)
    run(
        aws,
        STUDENT,
        job,
        stage=stage,
        architecture=architecture,
        stated=state,
        as_json=as_json,
        parent=find(aws, parent) if parent else None,
    )


if __name__ == "__main__":
    script(register)
