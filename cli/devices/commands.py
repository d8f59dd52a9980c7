"""``cards devices list|show``: what devices report, every field of it from outside."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.aws import DEFAULT_ENVIRONMENT, AwsSession, Environment
from cli.errors import CliError
from cli.options import AsJson

if TYPE_CHECKING:
    from registry.fleet.device_report import DeviceReport
    from registry.fleet.stored_reports import FleetReports, StoredReport
    from registry.releases.statement import Statement

app = typer.Typer(
    no_args_is_help=True,
    help="""
    Devices: what runs on each, as they report it themselves.

    \b
    cards devices list            release, self-test and last report of each
    cards devices show shop-12    all that one of them says
    """,
)
#: How many objects that are no reports are named.
_NAMED = 3


@app.command("list", epilog="Example: cards devices list --json")
def list_(as_json: AsJson = False, environment: Environment = DEFAULT_ENVIRONMENT) -> None:
    """Lists the devices that report, and how far each channel's release has come.

    A device reports where its configuration says so. The time is S3's; the rest is what the device
    says. The newest 2,000 reports are read.
    """
    from cli.console import print_json, print_line, print_table
    from registry.fleet.stored_reports import read_reports

    aws = AwsSession(environment)
    found = read_reports(aws.client("s3"), aws.deployment.release_bucket)
    reports = [each.report for each in found.stored]
    spread = [_spread(stated, reports) for stated in _statements(aws)]
    if as_json:
        print_json(
            {
                "devices": [_document(each) for each in found.stored],
                "channels": spread,
                "unreadable": found.unreadable,
                "left_out": found.left_out,
            }
        )
        return
    if not found.stored:
        off = "" if aws.deployment.rollout_failures is not None else " (cards.devices is false)"
        print_line(
            f"s3://{aws.deployment.release_bucket}/devices/: no device has reported{off}; "
            "docs/devices.md says how one does"
        )
    else:
        print_table(
            ["DEVICE", "RELEASE", "SELF-TEST", "RUNTIME", "LAST REPORT"],
            [
                [
                    each.report.device,
                    each.report.release or "none",
                    _self_test(each.report),
                    each.report.runtime or "none",
                    f"{each.written:%Y-%m-%d %H:%M}",
                ]
                for each in found.stored
            ],
        )
        for channel in spread:
            print_line(
                f"{channel['channel']} -> {channel['release']}, for {channel['rollout']} % of the "
                f"devices: {channel['running']} of {len(reports)} run it; the self-test failed on "
                f"{channel['failed']} of {channel['tested']}"
            )
    _say_what_was_not_read(found)


@app.command(epilog="Example: cards devices show shop-12")
def show(
    device: Annotated[str, typer.Argument(help="The device's id, as cards devices list shows it.")],
    as_json: AsJson = False,
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Shows what one device reports, and whether it takes part in the roll-out of its channel."""
    from cli.console import print_json, print_line
    from registry.fleet.device_report import DeviceReportError, is_device_id
    from registry.fleet.stored_reports import read_report

    if not is_device_id(device):
        raise CliError(f"{device!r} is no device's id: 1 to 128 letters, digits and :_-")
    aws = AwsSession(environment)
    try:
        stored = read_report(aws.client("s3"), aws.deployment.release_bucket, device)
    except DeviceReportError as error:
        raise CliError(f"device {device}: its report cannot be read: it {error}") from None
    if stored is None:
        raise CliError(f"device {device}: has reported nothing; cards devices list shows who has")
    share = _takes_part(aws, stored.report)
    if as_json:
        print_json({**_document(stored), "rollout": share})
        return
    report, test = stored.report, stored.report.self_test
    rows = [
        ("device", report.device),
        ("release", report.release or "none"),
        ("before it", report.previous or "none"),
        ("runtime", report.runtime or "none"),
        ("self-test", _self_test(report) + (f" ({test.release})" if test else "")),
        ("reason", test.reason if test else ""),
        ("update error", report.update_error),
        ("channel", f"{report.channel}, serial {report.serial}"),
        ("roll-out", share or ""),
        ("client", report.client),
        ("last report", f"{stored.written:%Y-%m-%d %H:%M} (its clock: {report.at:%Y-%m-%d %H:%M})"),
    ]
    for name, value in rows:
        if value:
            print_line(f"{name:14}{value}")


def _document(stored: StoredReport) -> dict[str, Any]:
    report = stored.report
    return {**asdict(report), "at": report.at.isoformat(), "reported": stored.written.isoformat()}


def _self_test(report: DeviceReport) -> str:
    if report.self_test is None:
        return "none"
    return "passed" if report.self_test.passed else "failed"


def _statements(aws: AwsSession) -> list[Statement]:
    """What the channels state, the signatures not verified: devices do that."""
    from registry.channels import CHANNELS
    from registry.releases.pointers import ChannelError, read_channel

    found = []
    for channel in CHANNELS:
        try:
            stored = read_channel(aws.client("s3"), aws.deployment.release_bucket, channel.name)
        except ChannelError:
            continue  # cards release list says so.
        if stored and stored.statement and stored.statement.release:
            found.append(stored.statement)
    return found


def _spread(stated: Statement, reports: list[DeviceReport]) -> dict[str, Any]:
    """How far a channel's release has come."""
    from registry.fleet.rollout_failures import count_self_tests

    counts = count_self_tests(reports, str(stated.manifest_sha256))
    return {
        "channel": stated.channel,
        "release": stated.release,
        "rollout": stated.rollout,
        "running": sum(report.release == stated.release for report in reports),
        "tested": counts.tested,
        "failed": counts.failed,
    }


def _takes_part(aws: AwsSession, report: DeviceReport) -> str | None:
    """Whether a device takes its channel's release now, in words; None without a statement."""
    from edge.update.rollout import takes_part

    for stated in _statements(aws):
        if stated.channel == report.channel:
            part = takes_part(report.device, str(stated.manifest_sha256), stated.rollout)
            return f"{'among' if part else 'not among'} the {stated.rollout} % for {stated.release}"
    return None


def _say_what_was_not_read(found: FleetReports) -> None:
    from cli.console import print_stderr

    if found.left_out:
        print_stderr(f"cards: {found.left_out} older reports were not read")
    if found.unreadable:
        count = len(found.unreadable)
        named = [f"{key} {why}" for key, why in list(found.unreadable.items())[:_NAMED]]
        more = count - len(named)
        objects = "1 object is" if count == 1 else f"{count} objects are"
        print_stderr(
            f"cards: {objects} no device's report: {'; '.join(named)}"
            + (f" and {more} more" if more else "")
        )
