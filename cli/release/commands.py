"""``cards release``: what is released, fetched and checked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.aws import DEFAULT_ENVIRONMENT, AwsSession, Environment
from cli.options import AsJson
from cli.release import diff, move_channel, retry

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3.client import S3Client

app = typer.Typer(
    no_args_is_help=True,
    help="""
    Releases: signed folders that a device can trust.

    \b
    cards release list                   what there is, and the channels
    cards release show                   the stable one's manifest, verified
    cards release pull --out release/    onto a device
    cards release verify release/        is it what was signed?
    cards release diff ID                what differs from the stable one
    cards release rollback --reason "…"  stable to the one before
    cards release promote --reason "…"   stable to the candidate
    cards release retry NAME             compile again what failed
    """,
)
app.command("promote", epilog='Example: cards release promote --reason "a week on ten devices"')(
    move_channel.promote
)
app.command("rollback", epilog='Example: cards release rollback --reason "misreads foils"')(
    move_channel.rollback
)
app.command("retry", epilog="Example: cards release retry student-efficientnet-lite0-stage2-v1")(
    retry.retry
)
app.command("diff", epilog="Example: cards release diff student-efficientnet-lite0-stage2-v2.…")(
    diff.diff
)

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
        return [each for each, to in pointers.items() if to and to.release == release]

    if as_json:
        print_json(
            [
                {
                    "release": name,
                    "published": when.isoformat(),
                    "stable": STABLE in channels(name),
                    "channels": channels(name),
                }
                for when, name in found
            ]
        )
    elif not found:
        print_line(f"s3://{bucket}: no release yet; approve a stage-2 student and one appears")
    else:
        print_table(
            ["RELEASE", "PUBLISHED", "CHANNEL"],
            [[name, f"{when:%Y-%m-%d %H:%M}", ", ".join(channels(name))] for when, name in found],
        )
        for channel, held in holds.items():
            if held:
                print_line(
                    f"{channel} is held at {held.pointer.release} by {held.by} since {held.at}"
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
    from cli.release.verified_manifest import manifest_of
    from registry.releases.download import release_in_channel

    aws = AwsSession(environment)
    manifest = manifest_of(
        aws,
        release or release_in_channel(aws.client("s3"), aws.deployment.release_bucket, channel),
    )
    if as_json:
        print_json(manifest)
    else:
        print_manifest(manifest)


@app.command(epilog="Example: cards release pull --channel stable --out release/")
def pull(
    out: Annotated[Path, typer.Option(help="The folder to make.")] = Path("release"),
    channel: Channel = STABLE,
    release: Annotated[
        str | None, typer.Option(help="A release's id, in place of the channel's.")
    ] = None,
    as_json: AsJson = False,
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Downloads a release, checks signature and digests, and only then puts it in place.

    A release that was pulled to the folder before is replaced; anything else in its place is
    left alone and refused.
    """
    from cli.console import activity, print_json, size

    aws = AwsSession(environment)
    with activity("pulling") as task:
        manifest = pull_release(
            aws, out, channel, release, lambda file, count: task.update(f"{file} ({size(count)})")
        )
    if as_json:
        print_json({"folder": str(out), "manifest": manifest})
    else:
        print_manifest(manifest)
        from cli.console import print_line

        print_line(f"verified, in {out}")


@app.command(epilog="Example: cards release verify release/ --key trusted.pem")
def verify(
    folder: Annotated[Path, typer.Argument(help="A pulled release.", show_default=False)],
    key: Annotated[
        Path | None,
        typer.Option(
            help="PEM of the key to trust; by default the deployment's own signing key is asked "
            "from AWS KMS."
        ),
    ] = None,
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Checks a release on disk: the manifest's signature, each file's size and digest.

    The key beside the release proves nothing to somebody who doubts the release, so it is not
    used: give one that you trust, or let AWS be asked.
    """
    from cli.console import print_line
    from cli.release.verified_manifest import public_key, verify_signature
    from registry.releases.download import verify_folder

    trusted = key.read_bytes() if key else public_key(AwsSession(environment))
    manifest = verify_folder(folder, public_key=trusted, verify=verify_signature)
    print_line(
        f"{folder}: {manifest['release']} is what was signed, {len(manifest['files'])} files"
    )


def pull_release(
    aws: AwsSession,
    out: Path,
    channel: str = STABLE,
    release: str | None = None,
    progress: Callable[[str, int], None] | None = None,
) -> dict[str, Any]:
    """Pulls and verifies; returns the manifest.

    Raises:
        DownloadError: There is no such release.
        ManifestError: It is not what was signed.
    """
    from cli.release.verified_manifest import public_key, verify_signature
    from registry.releases import download

    s3, bucket = aws.client("s3"), aws.deployment.release_bucket
    return download.pull(
        s3,
        bucket,
        release or download.release_in_channel(s3, bucket, channel),
        out,
        public_key=public_key(aws),
        verify=verify_signature,
        progress=progress,
    )


def releases(s3: S3Client, bucket: str) -> list[tuple[Any, str]]:
    """The complete releases, newest first: (when, id)."""
    from registry.releases.folders import folders

    found = [(each.published, each.release) for each in folders(s3, bucket) if each.published]
    return sorted(found, reverse=True)


def print_manifest(manifest: dict[str, Any]) -> None:
    """Prints what matters of a manifest."""
    from cli.console import print_line, print_table, size

    print_line(manifest["release"])
    card_set = manifest.get("card_set", {})
    facts = [
        ["Model", str(manifest.get("name", "–"))],
        ["Made from", str(manifest.get("source", {}).get("name", "–"))],
        ["Compiler", str(manifest.get("compiler", "–"))],
        ["Compiled at", str(manifest.get("compiled_at", "–"))],
        ["Input", f"{manifest['contract']['size']} px, uint8 RGB NHWC"],
        ["Accepted from", f"cosine {float(manifest['acceptance_threshold']):.4f}"],
        ["Cards", f"{card_set.get('cards', '–')} ({str(card_set.get('digest', '–'))[:12]})"],
        ["Gate", str(manifest.get("gate", {}).get("verdict", "–"))],
    ]
    print_table(["FACT", "VALUE"], facts)
    files = manifest["files"]
    print_table(
        ["FILE", "SIZE", "SHA-256"],
        [[name, size(entry["bytes"]), entry["sha256"][:16]] for name, entry in files.items()],
        right=[1],
    )
