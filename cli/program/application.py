"""The ``cards`` command: its groups and commands."""

from __future__ import annotations

from typing import Annotated

import typer

from cli import local, recognise
from cli.data import commands as data
from cli.demo import command as demo
from cli.devices import commands as devices
from cli.export import commands as export
from cli.export import hailo, hef
from cli.index import commands as index
from cli.operations import dlq, doctor, reconcile, trace, verify_account
from cli.program.help_text import unwrap
from cli.registry import commands as registry
from cli.release import commands as release
from cli.report import command as report
from cli.train import commands as train

app = typer.Typer(
    name="cards",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""
    Card recognition, from teacher to chip: train, register, approve, compile, release, recognise.

    [bold]Everything on this machine, without an AWS account[/bold]

    \b
    cards demo                          the whole path, in 10 to 15 minutes
    cards local up                      AWS on this machine
    eval "$(cards local env)"           point this shell at it

    [bold]Step by step, the same against the local cloud or an account[/bold]

    \b
    cards data push my-cards/           card scans into the training bucket
    cards train teacher --cards S3URI --wait
    cards train student --stage both --cards S3URI --wait
    cards registry list                 what has been registered
    cards report NAME --open            the page to read before a version is approved
    cards release pull --out release/   the signed release of the approved student
    cards recognise release/ photo.jpg
    cards index add RELEASE --cards new-set/    more cards, without training
    cards trace NAME                    what happened to one version, with times
    cards doctor                        what does not work, and how to repair it
    cards verify-account                whether a real account accepts what the product does

    Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted, 141 the output's reader has gone.
    CARDS_DEBUG=1 shows a traceback where something fails.
    """,
)
app.add_typer(local.app, name="local")
app.add_typer(data.app, name="data")
app.add_typer(train.app, name="train")
app.add_typer(registry.app, name="registry")
app.add_typer(export.app, name="export")
app.add_typer(hef.app, name="hef")
app.add_typer(hailo.app, name="hailo")
app.add_typer(release.app, name="release")
app.add_typer(devices.app, name="devices")
app.add_typer(index.app, name="index")
app.add_typer(dlq.app, name="dlq")
app.command("trace", epilog=trace.EPILOG)(trace.trace)
app.command("report", epilog=report.EPILOG)(report.report)
app.command("reconcile", epilog=reconcile.EPILOG)(reconcile.reconcile)
app.command("recognise")(recognise.recognise)
app.command("demo")(demo.demo)
app.command("doctor", epilog=doctor.EPILOG)(doctor.doctor)
app.command("verify-account", epilog=verify_account.EPILOG)(verify_account.verify_account)


def _print_version(requested: bool) -> None:
    if requested:
        from importlib.metadata import PackageNotFoundError, version

        from cli.console import print_line

        try:
            print_line(version("card-recognition-registry"))
        except PackageNotFoundError:
            print_line("unknown: run from a source tree that is not installed")
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


unwrap(app)
