"""``cards-edge doctor``: everything that a device needs, each with its remedy."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from edge.cli.command import FAILED, Commands, add_channel, options_of, show
from edge.cli.device_checks import BAD, findings
from edge.preflight.hailo_versions import read_hailo_versions
from edge.preflight.hailo_versions import run as run_program
from edge.state.folder import StateFolder
from registry.clock import utc_now

_SECONDS = 30.0


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "doctor",
        parents=[common],
        help="check chip, versions, key, release, disk, clock, camera, network",
        description=f"Checks everything that a device needs. Exit code {FAILED} if one is bad.",
    )
    add_channel(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command."""
    options = options_of(arguments)
    found = list(
        findings(
            options.folder,
            read_hailo_versions(),
            run_program,
            utc_now(),
            lambda: _why_unreachable(options.folder, arguments.channel),
        )
    )
    show(
        options,
        {"findings": [asdict(each) for each in found]},
        *(f"{each.level:5}{each.subject:9}{each.text}" for each in found),
    )
    return FAILED if any(each.level == BAD for each in found) else 0


def _why_unreachable(folder: StateFolder, channel: str) -> str | None:
    from botocore.exceptions import BotoCoreError, ClientError

    from edge.signature import signature_fits
    from edge.stored_release import pinned
    from edge.update.bucket import poll
    from edge.update.s3_client import s3_client
    from registry.releases.manifest import ManifestError
    from registry.releases.pull.bounded_transfer import TransferError, TransferLimits, Transfers
    from registry.releases.pull.download import ReleaseSource
    from registry.releases.pull.pulled_folder import DownloadError

    trusted = pinned(folder)
    client = s3_client(trusted.identity.rpartition("/")[2])
    source = ReleaseSource(client, trusted, signature_fits, Transfers(TransferLimits(_SECONDS)))
    try:
        poll(source, channel, None)
    except (BotoCoreError, ClientError, DownloadError, ManifestError, TransferError) as error:
        return f"s3://{trusted.bucket}: {error}"
    return None
