"""``cards release``: what is released, and who may move, fetch and check it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from cli.aws import DEFAULT_ENVIRONMENT, AwsSession, Environment
from cli.options import AsJson
from cli.release import diff, move_channel, pull, retry, sign, trust

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

    from registry.releases.folders import Folder

app = typer.Typer(
    no_args_is_help=True,
    help="""
    Releases: signed folders that a device can trust.

    \b
    cards release list                   what there is, and the channels
    cards release show                   the stable one's manifest, verified
    cards release trust                  pins the signing key on this machine, once
    cards release pull --out release/    onto a device
    cards release verify release/        is it what was signed?
    cards release diff ID                what differs from the stable one
    cards release rollback --reason "…"  stable to the one before
    cards release promote --reason "…"   stable to the candidate
    cards release rollout 50 --reason "…"  so many devices of the stable one
    cards release retry NAME             compile again what failed
    cards release sign --all             add signatures that older releases lack
    cards release rotate-key             the next signing key, signed by the one in use
    """,
)
app.command("promote", epilog='Example: cards release promote --reason "a week on ten devices"')(
    move_channel.promote
)
app.command("rollback", epilog='Example: cards release rollback --reason "misreads foils"')(
    move_channel.rollback
)
app.command("rollout", epilog='Example: cards release rollout 50 --reason "a week of 10 %"')(
    move_channel.rollout
)
app.command("retry", epilog="Example: cards release retry student-efficientnet-lite0-stage2-v1")(
    retry.retry
)
app.command("diff", epilog="Example: cards release diff student-efficientnet-lite0-stage2-v2.…")(
    diff.diff
)

app.command("trust", epilog="Example: cards release trust --key dev.trust.json")(trust.trust)
app.command("pull", epilog="Example: cards release pull --channel stable --out release/")(pull.pull)
app.command("verify", epilog="Example: cards release verify release/ --key trusted.pem")(
    pull.verify
)
app.command("sign", epilog="Example: cards release sign --all")(sign.sign)
app.command("rotate-key", epilog="Example: cards release rotate-key")(trust.rotate_key)

Channel = Annotated[str, typer.Option(help="Whose release is meant.")]
STABLE = "stable"


@app.command("list", epilog="Example: cards release list --json")
def list_(as_json: AsJson = False, environment: Environment = DEFAULT_ENVIRONMENT) -> None:
    """Lists the complete releases, newest first, and the channels that point to each."""
    from cli.console import print_json, print_line, print_table
    from registry.channels import CHANNELS
    from registry.releases.pointers import read, read_hold

    aws = AwsSession(environment)
    s3, bucket = aws.client("s3"), aws.deployment.release_bucket
    pointers = {each.name: read(s3, bucket, each.name)[0] for each in CHANNELS}
    holds = {each.name: read_hold(s3, bucket, each.name) for each in CHANNELS if each.may_be_held}
    found = releases(s3, bucket)

    def channels(release: str) -> list[str]:
        return [
            each for each, pointer in pointers.items() if pointer and pointer.release == release
        ]

    if as_json:
        print_json(
            [
                {
                    "release": each.release,
                    "published": each.published.isoformat() if each.published else None,
                    "stable": STABLE in channels(each.release),
                    "channels": channels(each.release),
                    "missing_signatures": list(each.missing_signatures),
                }
                for each in found
            ]
        )
    elif not found:
        print_line(f"s3://{bucket}: no release yet; approve a stage-2 student and one appears")
    else:
        print_table(
            ["RELEASE", "PUBLISHED", "CHANNEL"],
            [
                [
                    each.release,
                    f"{each.published:%Y-%m-%d %H:%M}",
                    ", ".join(channels(each.release)),
                ]
                for each in found
            ],
        )
        _print_missing_signatures(found)
        for channel, held in holds.items():
            if held:
                share = "" if held.rollout == 100 else f", for {held.rollout} % of the devices"
                print_line(
                    f"{channel} is held at {held.pointer.release}{share} by {held.by} "
                    f"since {held.at}"
                )
                print_line(f"  {held.reason}")


@app.command(epilog="Example: cards release show student-efficientnet-lite0-stage2-v1.onnx-int8-…")
def show(
    release: Annotated[
        str | None, typer.Argument(help="A release's id; by default the channel's.")
    ] = None,
    channel: Channel = STABLE,
    as_json: AsJson = False,
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Shows a release's manifest, its signature verified."""
    from cli.console import print_json
    from cli.release.show_manifest import print_manifest
    from cli.release.verified_manifest import manifest_of
    from registry.releases.folders import folder
    from registry.releases.pull.download import release_in_channel

    aws = AwsSession(environment)
    s3, bucket = aws.client("s3"), aws.deployment.release_bucket
    manifest = manifest_of(aws, release or release_in_channel(s3, bucket, channel))
    if as_json:
        print_json(manifest)
        return
    print_manifest(manifest)
    found = folder(s3, bucket, manifest["release"])
    _print_missing_signatures([found] if found else [])


def releases(s3: S3Client, bucket: str) -> list[Folder]:
    """The complete releases, newest first."""
    from registry.releases.folders import complete, folders

    found = {each.release: each for each in folders(s3, bucket)}
    return [found[release] for release in complete(found.values())]


def _print_missing_signatures(found: list[Folder]) -> None:
    """Releases of earlier versions of this product, and the command that signs them again."""
    from cli.console import print_line

    for each in found:
        if each.missing_signatures:
            print_line(
                f"{each.release} was signed by an earlier version of this product and lacks "
                f"{', '.join(each.missing_signatures)}: cards release sign --all"
            )
