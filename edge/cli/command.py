"""What every command of ``cards-edge`` shares: its arguments, its errors, its output."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from edge.state.folder import DEFAULT_STATE, STATE_VARIABLE, StateFolder
from registry.channels import CHANNELS
from registry.names import STABLE_CHANNEL
from registry.untrusted.text import printable

#: What a command adds itself to.
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
#: The channel, where ``--channel`` names no other.
CHANNEL_VARIABLE = "CARDS_EDGE_CHANNEL"
#: Exit codes: refused or failed; wrong usage; the network or S3 does not answer (EX_TEMPFAIL).
FAILED, USAGE, UNREACHABLE = 1, 2, 75


class CommandError(Exception):
    """Ends a command with one line and an exit code."""

    def __init__(self, text: str, code: int = FAILED) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True)
class Options:
    """What all commands were given.

    Attributes:
        folder: The device's folder.
        as_json: Print for machines.
    """

    folder: StateFolder
    as_json: bool


def common_arguments() -> argparse.ArgumentParser:
    """Arguments of every command."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(
        "--state",
        type=Path,
        default=Path(os.environ.get(STATE_VARIABLE) or DEFAULT_STATE),
        metavar="FOLDER",
        help=f"the device's folder; by default ${STATE_VARIABLE}, or {DEFAULT_STATE}",
    )
    parser.add_argument("--json", action="store_true", dest="as_json", help="for machines")
    return parser


def add_channel(parser: argparse.ArgumentParser) -> None:
    """Adds ``--channel``."""
    parser.add_argument(
        "--channel",
        choices=[channel.name for channel in CHANNELS],
        default=os.environ.get(CHANNEL_VARIABLE) or STABLE_CHANNEL,
        help=f"the channel to follow; by default ${CHANNEL_VARIABLE}, or {STABLE_CHANNEL}",
    )


def options_of(arguments: argparse.Namespace) -> Options:
    """The options that all commands share."""
    return Options(StateFolder(arguments.state.absolute()), arguments.as_json)


def show(options: Options, document: Mapping[str, Any], *lines: str) -> None:
    """Prints a result: the document for machines, or lines for people."""
    if options.as_json:
        print(json.dumps(document))
        return
    for line in lines:
        print(printable(line))


def tell(text: str) -> None:
    """Prints one line to standard error, where the journal keeps it."""
    print(f"cards-edge: {printable(text)}", file=sys.stderr)


def fail(text: str, code: int = FAILED) -> NoReturn:
    """Ends the command.

    Raises:
        CommandError: Always.
    """
    raise CommandError(text, code)
