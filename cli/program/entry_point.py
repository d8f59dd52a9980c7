"""Runs a command line of this product: one line on stderr for an error, and the exit code."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from typing import Any, cast

import typer

from cli.console import print_stderr, safe_text
from cli.errors import debugging, describe
from cli.loopback import bypass_proxy
from cli.program.closed_pipe import PipeWriter
from cli.program.help_text import unwrap
from cli.program.interrupts import INTERRUPTED, Interrupts, main_name, raising

#: Wrong usage and its like, which typer shows with the usage of the command.
_ClickException = cast(type[Exception], typer.BadParameter.__bases__[0].__bases__[0])


def run(app: Callable[..., Any], name: str, arguments: list[str] | None = None) -> None:
    """Runs it and exits.

    The exit code is 0; 1 after one line on stderr; 2 for wrong usage; 130 after Ctrl-C; 141 when
    the reader of its output has gone, which is no error and prints nothing.

    Args:
        app: A typer application.
        name: What it is called by, in its help and its errors.
        arguments: The command line without its first word; ``sys.argv`` by default.
    """
    bypass_proxy(os.environ)
    out, err = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = cast(Any, PipeWriter(out)), cast(Any, PipeWriter(err))
    try:
        with raising() as interrupts:
            code = _exit_code(app, name, arguments, interrupts)
            sys.stdout.flush()
    except KeyboardInterrupt:  # a second one, while the first is being reported
        code = INTERRUPTED
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.stdout, sys.stderr = out, err
    sys.exit(code)


def _exit_code(
    app: Callable[..., Any], name: str, arguments: list[str] | None, interrupts: Interrupts
) -> int:
    try:
        # Not standalone: typer would end with 1 for a closed pipe, and show an error's text raw.
        code = app(args=arguments, prog_name=name, standalone_mode=False)
    except _ClickException as error:
        return _wrong_usage(error)
    except (Exception, KeyboardInterrupt) as error:
        stopped = (error, error.__cause__, error.__context__)
        if interrupts.seen or any(isinstance(each, KeyboardInterrupt) for each in stopped):
            code = INTERRUPTED
        elif isinstance(error, typer.Abort):
            _print_error(name, "stopped: the question was not answered with yes")
            return 1
        else:
            if debugging():
                print_stderr(traceback.format_exc())
            _print_error(name, describe(error))
            return 1
    if code == INTERRUPTED:
        _print_error(name, "interrupted")
    return code if isinstance(code, int) else 0


def _wrong_usage(error: Any) -> int:
    """Shows what typer says of the command line, whose words may hold escape codes."""
    from typer import rich_utils

    shown = safe_text(error.format_message())
    error.format_message = lambda: shown
    rich_utils.rich_format_error(error)
    return int(error.exit_code)


def script(command: Callable[..., Any]) -> None:
    """Runs a script that is one command."""
    app = typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.command()(command)
    unwrap(app)
    run(app, main_name())


def _print_error(name: str, line: str) -> None:
    print_stderr(f"{name}: {line}")
