"""``cards-edge update`` and ``rollback``: the release in use, brought forward and set back."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from edge.cli.command import (
    FAILED,
    UNREACHABLE,
    Commands,
    add_channel,
    fail,
    options_of,
    show,
    tell,
)
from edge.cli.version import version
from registry.clock import utc_now
from registry.untrusted.text import one_line

if TYPE_CHECKING:
    from edge.update.reporting import Reporter
    from edge.update.updating import Updater, UpdateResult

#: ``1``: the device reports to its deployment.
REPORT_VARIABLE = "CARDS_EDGE_REPORT"


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Adds both commands."""
    parser = commands.add_parser(
        "update",
        parents=[common],
        help="take the channel's release, if there is a new one that works here",
        description="Asks the channel, verifies its statement, checks that this device can run the "
        "release, fetches what has changed, tests the release with its reference views, and only "
        "then uses it. Whatever ends this, the old release or the new one is in use, whole. "
        f"Exit code {UNREACHABLE}: the network or S3 does not answer.",
    )
    add_channel(parser)
    parser.add_argument(
        "--retry", action="store_true", help="try releases again that this device refuses"
    )
    parser.add_argument(
        "--timeout", type=float, default=3600.0, metavar="SECONDS", help="for everything together"
    )
    parser.add_argument(
        "--report",
        action=argparse.BooleanOptionalAction,
        default=os.environ.get(REPORT_VARIABLE) == "1",
        help="write afterwards to the deployment's bucket what runs here: daily, or when it has "
        f"changed; off unless ${REPORT_VARIABLE} is 1",
    )
    parser.set_defaults(run=update)
    parser = commands.add_parser(
        "rollback",
        parents=[common],
        help="go back to the release before",
        description="Goes back to the release before, and does not take the one that is left "
        "again until the channel states another (or: cards-edge update --retry).",
    )
    parser.add_argument("--reason", default="rolled back by hand", help="for the record")
    parser.set_defaults(run=rollback)


def update(arguments: argparse.Namespace) -> int:
    """Runs ``update``."""
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        CredentialRetrievalError,
        NoCredentialsError,
    )

    from edge.iot_credentials import NO_ANSWER
    from edge.signature import signature_fits
    from edge.stored_release import pinned
    from edge.update.reporting import Reporter
    from edge.update.s3_client import s3_client
    from edge.update.updating import Updater
    from registry.releases.pull.bounded_transfer import TransferError, TransferLimits, Transfers
    from registry.releases.pull.download import ReleaseSource

    options = options_of(arguments)
    trusted = pinned(options.folder)
    region = trusted.identity.rpartition("/")[2]
    source = ReleaseSource(
        s3_client(region), trusted, signature_fits, Transfers(TransferLimits(arguments.timeout))
    )
    updater = Updater(
        options.folder,
        source,
        arguments.channel,
        retry=arguments.retry,
        progress=lambda name, size: tell(f"fetching {name} ({size / 2**20:.1f} MiB)"),
    )
    reporter = Reporter(options.folder, source, arguments.channel, version())
    try:
        result = _run(updater, reporter if arguments.report else None)
    except NoCredentialsError:
        fail(
            "no AWS credentials: set AWS_PROFILE or AWS_ACCESS_KEY_ID in /etc/cards-edge.env, or a "
            "credential_process in ~/.aws/config"
        )
    except CredentialRetrievalError as error:
        away = NO_ANSWER in str(error)
        fail(f"{one_line(str(error))}; the release in use stays", UNREACHABLE if away else FAILED)
    except ClientError as error:
        answer = error.response.get("Error", {})
        fail(
            f"s3://{trusted.bucket}: {answer.get('Code')}: {answer.get('Message')}; the device "
            "needs s3:GetObject for channels/*, releases/* and keys/*"
        )
    except (BotoCoreError, TransferError) as error:
        fail(f"s3://{trusted.bucket}: {error}; the release in use stays", UNREACHABLE)
    show(
        options,
        {
            "updated": result.updated,
            "release": result.release,
            "outcome": result.text,
            "fetched_bytes": result.fetched,
        },
        result.text,
    )
    return 0


def _run(updater: Updater, reporter: Reporter | None) -> UpdateResult:
    """Updates, and reports how that ended; a report that cannot be written is one line."""
    from botocore.exceptions import BotoCoreError

    from edge.state.folder import StateError
    from edge.update.reporting import ReportError
    from registry.releases.pull.bounded_transfer import TransferError

    def report(error: Exception | None) -> None:
        try:
            if reporter:
                reporter.report(error)
        except ReportError as fault:
            tell(str(fault))

    try:
        result = updater.run()
    except (BotoCoreError, StateError, TransferError):
        raise  # Nothing answers, or another update is running, which reports.
    except Exception as error:
        report(error)
        raise
    report(None)
    return result


def rollback(arguments: argparse.Namespace) -> int:
    """Runs ``rollback``."""
    from edge.rollback import roll_back
    from edge.stored_release import pinned

    options = options_of(arguments)
    release = roll_back(
        options.folder, pinned(options.folder), arguments.reason, utc_now(), by_hand=True
    )
    show(options, {"release": release}, f"in use: {release}")
    return 0
