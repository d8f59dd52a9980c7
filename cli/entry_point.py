"""Runs a command line of this product: one line on stderr for an error, and the exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

import typer

from cli.console import print_stderr
from cli.errors import debugging, describe
from cli.loopback import bypass_proxy


def run(app: Callable[..., Any], name: str, arguments: list[str] | None = None) -> None:
    """Runs it and exits: 0, 1 after one line on stderr, 2 for wrong usage, 130 for Ctrl-C.

    Args:
        app: A typer application.
        name: What it is called by, in its help and its errors.
        arguments: The command line without its first word; ``sys.argv`` by default.
    """
    bypass_proxy(os.environ)
    try:
        app(args=arguments, prog_name=name)
    except SystemExit as end:
        if end.code == 130:
            _print_error(name, "interrupted")
        raise
    except KeyboardInterrupt:
        _print_error(name, "interrupted")
        sys.exit(130)
    except BrokenPipeError:
        # The reader (head, less) has what it wants; Python must not complain again at its exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        if debugging():
            traceback.print_exc()
        _print_error(name, describe(error))
        sys.exit(1)


def script(command: Callable[..., Any]) -> None:
    """Runs a script that is one command."""
    app = typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.command()(command)
    run(app, os.path.basename(sys.argv[0]))


def _print_error(name: str, line: str) -> None:
    print_stderr(f"{name}: {line}")
