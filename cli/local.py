"""``cards local``: AWS on this machine."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.errors import CliError
from cli.options import AsJson

if TYPE_CHECKING:
    from localcloud import LocalCloud, Status

app = typer.Typer(
    no_args_is_help=True,
    help="""
    AWS on this machine: S3, SSM, KMS, Lambda, EventBridge, SageMaker and MLflow on one endpoint.

    \b
    cards local up
    eval "$(cards local env)"     aws, cdk, boto3 and cards now use it
    cards local down              stops it; its state stays
    cards local reset             deletes its state
    """,
)

DEFAULT_PORT = 4566
DEFAULT_STATE = Path(".local-cloud")
StateDir = Annotated[
    Path,
    typer.Option(
        envvar="CARDS_LOCAL_STATE",
        help="Where its buckets, jobs and logs are kept.",
        rich_help_panel="Which",
    ),
]
Port = Annotated[
    int,
    typer.Option(
        min=1,
        max=65535,
        envvar="CARDS_LOCAL_PORT",
        help="Its port on 127.0.0.1.",
        rich_help_panel="Which",
    ),
]


@app.command(epilog="Example: cards local up --port 4567 --state-dir /tmp/cloud")
def up(state_dir: StateDir = DEFAULT_STATE, port: Port = DEFAULT_PORT) -> None:
    """Starts it and waits until all of it answers; it stays when the command ends."""
    from cli.console import activity, print_line, seconds

    which = cloud(state_dir, port)
    if which.status().running:
        with activity("waiting for the local cloud") as task:
            status = which.start(task.update)
        _refuse_ended_services(which, status, state_dir, port)
        print_line(f"running already at {status.endpoint}")
        _print_starting_services(which, status)
        return
    # Before anything is made that a refusal would leave behind.
    which.check_ports()
    began = time.monotonic()
    with activity("starting the local cloud") as task:
        status = which.start(task.update)
    _refuse_ended_services(which, status, state_dir, port)
    print_line(f"{which.endpoint} is up ({seconds(time.monotonic() - began)})")
    if status.after_kill:
        print_line(killed_before(options(state_dir, port)))
    _print_starting_services(which, status)
    print_line(f'next: eval "$(cards local env{options(state_dir, port)})"')


def killed_before(which: str) -> str:
    """What may be wrong after the server was killed, and the remedy; for :func:`options`."""
    return (
        "the local cloud was killed in its last run, so its last seconds are missing; "
        f"if a deployment fails: cards local reset{which}"
    )


def _print_starting_services(which: LocalCloud, status: Status) -> None:
    from cli.console import print_line

    for name in status.starting:
        print_line(f"{name} is still starting; its log: {which.mlflow_log}")


def _refuse_ended_services(which: LocalCloud, status: Status, state_dir: Path, port: int) -> None:
    if status.ended:
        again = options(state_dir, port)
        raise CliError(
            f"{', '.join(status.ended)} has ended, and the rest runs at {status.endpoint}; its "
            f"log: {which.mlflow_log}; cards local down{again}, then cards local up{again}, "
            "starts it again"
        )


@app.command(epilog="Example: cards local down")
def down(state_dir: StateDir = DEFAULT_STATE, port: Port = DEFAULT_PORT) -> None:
    """Stops it, jobs included; its state stays for the next start."""
    from cli.console import activity, print_line

    which = cloud(state_dir, port)
    if not which.status().running:
        print_line("is not running")
        return
    with activity("stopping the local cloud"):
        which.stop()
    print_line(f"stopped; its state is in {which.state_dir}")


@app.command(epilog="Example: cards local status --json")
def status(
    state_dir: StateDir = DEFAULT_STATE, port: Port = DEFAULT_PORT, as_json: AsJson = False
) -> None:
    """Shows whether it runs and answers, and where. Exits with 1 where a part of it does not."""
    from cli.console import print_json, print_table

    which = cloud(state_dir, port)
    now = which.status()
    facts = {
        "running": now.running,
        "answers": now.answers,
        "starting": ", ".join(now.starting) or None,
        "ended": ", ".join(now.ended) or None,
        "pid": now.pid,
        "endpoint": now.endpoint,
        "mlflow": now.mlflow_url,
        "state": str(now.state_dir),
        "log": str(now.log),
    }
    if as_json:
        print_json(facts)
    else:
        print_table(
            ["FACT", "VALUE"], [[name, "–" if v is None else str(v)] for name, v in facts.items()]
        )
    if not now.answers or now.ended:
        raise typer.Exit(1)


@app.command(epilog='Example: eval "$(cards local env)"')
def env(
    state_dir: StateDir = DEFAULT_STATE, port: Port = DEFAULT_PORT, as_json: AsJson = False
) -> None:
    """Prints the variables that point aws, cdk, boto3 and cards at it, for a shell's eval."""
    from cli.console import print_json, print_line
    from registry.telemetry import OPT_OUTS

    which = cloud(state_dir, port)
    # With the opt-outs: cdk, MLflow and a Python of the user's own run in the same shell.
    variables = which.env() | {name: os.environ[name] for name in OPT_OUTS}
    if as_json:
        print_json(variables)
        return
    # These would win over the variables below: a profile over the credentials, for example.
    print_line(f"unset {' '.join(which.contradicting_variables())}")
    for name, value in variables.items():
        print_line(f"export {name}={shlex.quote(value)}")


@app.command(epilog="Example: cards local logs --follow")
def logs(
    state_dir: StateDir = DEFAULT_STATE,
    port: Port = DEFAULT_PORT,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
) -> None:
    """Prints the end of its own log; jobs and functions log to CloudWatch Logs, as in AWS."""
    from cli.console import print_line

    log = Path(cloud(state_dir, port).log)
    if not log.is_file():
        raise CliError(f"{log}: is not there; cards local up starts the local cloud")
    with log.open(encoding="utf-8", errors="replace") as file:
        for line in deque(file, maxlen=lines):
            print_line(line.rstrip("\n"))
        while follow:
            line = file.readline()
            if line:
                print_line(line.rstrip("\n"))
            else:
                time.sleep(0.3)


@app.command(epilog="Example: cards local reset --yes")
def reset(
    state_dir: StateDir = DEFAULT_STATE,
    port: Port = DEFAULT_PORT,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Stops it and deletes its state: buckets, models, releases, experiments."""
    from cli.console import print_line

    which = cloud(state_dir, port)
    folder = Path(which.state_dir)
    if not folder.exists():
        which.delete_state()
        print_line(f"{folder}: does not exist; nothing to delete")
        return
    # A folder that this never made must not be deleted by a mistyped --state-dir.
    which.check_deletable()
    if not yes:
        if not sys.stdin.isatty():
            raise CliError(f"{folder}: would be deleted with all that is in it; say --yes")
        typer.confirm(f"Delete {folder} and all that is in it?", abort=True)
    which.delete_state()
    print_line(f"{folder} is deleted")


def cloud(state_dir: Path | None = None, port: int = DEFAULT_PORT) -> LocalCloud:
    """The local cloud of a state folder and port, running or not."""
    from cli.external_commands import ROOT
    from localcloud import LocalCloud

    return LocalCloud(
        state_dir=(state_dir or DEFAULT_STATE).absolute(),
        port=port,
        job_python=Path(sys.executable),
        lambda_python=ROOT / ".venv-lambda" / "bin" / "python",
    )


def options(state_dir: Path | None, port: int) -> str:
    """The options that name a local cloud, with a space in front; empty for the default one."""
    words = []
    if state_dir is not None and state_dir != DEFAULT_STATE:
        words += ["--state-dir", shlex.quote(str(state_dir))]
    if port != DEFAULT_PORT:
        words += ["--port", str(port)]
    return "".join(f" {word}" for word in words)
