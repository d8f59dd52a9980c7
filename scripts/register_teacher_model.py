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
    from cli.console import print_json, say
    from cli.errors import CliError
    from cli.retroactive import (
        document,
        parse_statements,
        register_job,
        register_newest,
        say_registered,
    )
    from registry.names import TEACHER

    aws = Aws(environment)
    if job:
        made = register_job(
            aws,
            job,
            model_type=TEACHER,
            stage=stage,
            architecture=architecture,
            parent=None,
            stated=parse_statements(state or []),
        )
    else:
        newest, registered = register_newest(aws, TEACHER)
        if newest is None and not registered:
            raise CliError(
                "no finished teacher job is in this deployment; train one: "
                "cards train teacher --cards …, or name one: --job NAME"
            )
        if newest is None:
            if as_json:
                print_json({"outcome": "already registered", "names": registered})
            else:
                say(f"every finished teacher job is registered: {', '.join(registered)}")
            return
        made = newest
    if as_json:
        print_json(document(made))
    else:
        say_registered(made)


if __name__ == "__main__":
    script(register)
