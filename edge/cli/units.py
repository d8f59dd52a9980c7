"""``cards-edge units``: where the units for systemd are."""

from __future__ import annotations

import argparse
from pathlib import Path

from edge.cli.command import Commands, options_of, show

FOLDER = Path(__file__).resolve().parents[1] / "systemd"


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "units",
        parents=[common],
        help="show the folder with the units for systemd",
        description='Shows the folder with the units for systemd: sudo cp "$(cards-edge units)"/* '
        "/etc/systemd/system/",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command."""
    show(options_of(arguments), {"folder": str(FOLDER)}, str(FOLDER))
    return 0
