"""The entry point of ``cards-edge``, which imports next to nothing before it can be stopped."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def expected_errors() -> tuple[type[BaseException], ...]:
    """What ends a command with one line, because the line says what to do.

    Imported when something has gone wrong: whatever was raised is loaded by then, and a command
    that needs no model starts without one.
    """
    from edge.frames.sources import CameraError
    from edge.iot_credentials import CredentialError
    from edge.preflight.compatibility import PreflightError
    from edge.runtimes.hailo import HailoError
    from edge.selftest.child import SelfTestError, SelfTestPostponedError
    from edge.state.folder import StateError
    from recognition.onnx_model import OnnxModelError
    from recognition.recogniser import RecogniserError
    from registry.channels import UnknownChannelError
    from registry.releases.manifest import ManifestError
    from registry.releases.pull.pulled_folder import DownloadError
    from registry.releases.signatures.trust import TrustError
    from registry.releases.statement import StatementError

    return (
        *(CameraError, CredentialError, DownloadError, HailoError, ManifestError),
        *(OnnxModelError, OSError),
        *(PreflightError, RecogniserError, SelfTestError, SelfTestPostponedError, StateError),
        *(StatementError, TrustError, UnknownChannelError),
    )


def parser() -> argparse.ArgumentParser:
    """All commands and their arguments."""
    import argparse

    from edge.cli import (
        credentials,
        doctor,
        recognise,
        serve,
        status,
        trust,
        units,
        update,
        watch,
    )
    from edge.cli.command import common_arguments
    from edge.cli.version import version

    made = argparse.ArgumentParser(
        prog="cards-edge",
        description="Recognises cards on this device, and keeps its release up to date.",
        epilog="First: cards-edge trust FILE, then cards-edge update. docs/devices.md has the "
        "set-up of a Raspberry Pi.",
    )
    made.add_argument("--version", action="version", version=version())
    commands = made.add_subparsers(title="commands", metavar="COMMAND", required=True)
    common = common_arguments()
    for module in (trust, update, status, doctor, recognise, watch, serve, units, credentials):
        module.add(commands, common)
    return made


def main(arguments: list[str] | None = None) -> int:
    """Runs a command and returns its exit code; Ctrl-C ends it with 130 and without a word."""
    try:
        return _run(arguments)
    except KeyboardInterrupt:  # also one in the middle of the imports, or while an error is told
        return 128 + signal.SIGINT


def _run(arguments: list[str] | None) -> int:
    from edge.cli.command import FAILED, CommandError, tell

    given = parser().parse_args(arguments)
    try:
        return int(given.run(given))
    except CommandError as error:
        tell(str(error))
        return error.code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except Exception as error:
        if not isinstance(error, expected_errors()):
            raise
        tell(str(error))
        return FAILED


if __name__ == "__main__":
    sys.exit(main())
