"""``cards release pull`` and ``verify``: a release is taken from the key that is pinned only."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.aws import DEFAULT_ENVIRONMENT, AwsSession, Environment
from cli.errors import CliError
from cli.options import AsJson
from cli.release.trust import DeploymentName, trusted_deployment

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from registry.releases.pull.download import PulledRelease
    from registry.releases.signatures.trust import TrustedDeployment
    from registry.releases.statement import Statement

STABLE = "stable"
_TIMEOUT = 3600.0


def pull(
    out: Annotated[Path, typer.Option(help="The folder to make.")] = Path("release"),
    channel: Annotated[str, typer.Option(help="Whose release is meant.")] = STABLE,
    release: Annotated[
        str | None, typer.Option(help="A release's id, in place of the channel's.")
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=1, help="Seconds after which it is given up.")
    ] = _TIMEOUT,
    as_json: AsJson = False,
    deployment: DeploymentName = None,
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Downloads a release, checks signature and digests, and only then puts it in place.

    The deployment's key must be pinned: `cards release trust`. The channel's signed statement must
    be of this deployment and not older than one that the folder has seen. At every moment the
    folder is the old release or the new one, whole. A release that was pulled to the folder before
    is replaced; anything else in its place is left alone and refused. Folder and files are
    readable for every user of the machine (0755, 0644), whatever the umask.
    """
    from cli.console import activity, print_json, print_line, print_stderr, size
    from cli.release.show_manifest import print_manifest

    aws = AwsSession(environment)
    trusted = trusted_deployment(aws, deployment)
    with activity("pulling") as task:
        done = pull_release(
            aws,
            out,
            trusted,
            channel=channel,
            release=release,
            timeout=timeout,
            progress=lambda file, count: task.update(f"{file} ({size(count)})"),
        )
    stated = done.statement
    if stated and done.expired:
        print_stderr(_expired(stated))
    if as_json:
        print_json(
            {
                "folder": str(out),
                "manifest": done.manifest,
                "statement": stated and _facts(stated),
                "expired": done.expired,
            }
        )
        return
    print_manifest(done.manifest)
    if stated:
        print_line(
            f"channel {stated.channel}, statement {stated.serial}, valid until "
            f"{stated.expires:%Y-%m-%d %H:%M} UTC"
        )
    print_line(f"verified, in {out}")


def pull_release(
    aws: AwsSession,
    out: Path,
    trusted: TrustedDeployment,
    *,
    channel: str = STABLE,
    release: str | None = None,
    timeout: float = _TIMEOUT,
    progress: Callable[[str, int], None] = lambda file, size: None,
) -> PulledRelease:
    """Pulls and verifies; remembers a change of keys that was followed.

    Raises:
        DownloadError, FolderError, ManifestError, StatementError, TransferError, TrustError: See
            :func:`registry.releases.pull.download.pull`.
    """
    from cli.release import trust_store
    from edge.signature import signature_fits
    from registry.releases.pull.bounded_transfer import TransferLimits, Transfers
    from registry.releases.pull.download import ReleaseSource
    from registry.releases.pull.download import pull as pull_

    source = ReleaseSource(
        aws.client("s3"), trusted, signature_fits, Transfers(TransferLimits(timeout))
    )
    done = pull_(source, out, channel=channel, release=release, progress=progress)
    if done.trusted != trusted:
        trust_store.save(done.trusted)
    return done


def verify(
    folder: Annotated[Path, typer.Argument(help="A pulled release.", show_default=False)],
    key: Annotated[
        Path | None,
        typer.Option(help="PEM of the key to trust; by default the key that is pinned."),
    ] = None,
    deployment: DeploymentName = None,
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Checks a release on disk: the manifest's signature, each file's size and digest, no others.

    The key beside the release proves nothing to somebody who doubts the release, so it is not
    used: the one that is pinned counts, or the one that you give. Which deployment's it is stands
    in the answer; `--deployment` accepts no other. Needs no network where the key is pinned.
    """
    from cli.console import print_line, print_stderr
    from edge.signature import signature_fits
    from registry.clock import utc_now
    from registry.releases.pull.pulled_folder import verify_folder
    from registry.releases.signatures.release_signatures import check_further_signatures

    trusted = _trusted_for(folder, key, deployment, environment)
    accepts = trusted.verify_any(signature_fits)
    stated = stored_statement(folder, trusted) if trusted.identity else None
    manifest = verify_folder(folder, accepts, stated.manifest_sha256 if stated else None)
    further = check_further_signatures(folder, manifest, accepts)
    signer = trusted.identity if key is None else f"the key in {key}"
    print_line(
        f"{folder}: {manifest['release']} is what was signed by {signer}, "
        f"{len(manifest['files'])} files"
    )
    if further.missing:
        print_line(
            f"  signed by an earlier version of this product, without "
            f"{' and '.join(further.missing)}; in the bucket they are added by: "
            "cards release sign --all"
        )
    if stated and stated.has_expired(utc_now()):
        print_stderr(_expired(stated))


def stored_statement(folder: Path, trusted: TrustedDeployment) -> Statement | None:
    """The statement beside a pulled release, verified; None where there is none.

    Raises:
        StatementError: It is not to be followed, or is of another release than the folder's.
    """
    from edge.signature import signature_fits
    from registry.releases.manifest import MANIFEST, sha256
    from registry.releases.pull.pulled_folder import STATEMENT_FILE
    from registry.releases.signatures.envelope import PAYLOAD_LIMIT
    from registry.releases.statement import StatementError, unverified, verified
    from registry.untrusted.json_object import JsonObjectError, parse_object

    path = folder / STATEMENT_FILE
    if not path.is_file():
        return None
    try:
        envelope = parse_object(path.read_bytes(), PAYLOAD_LIMIT)
    except JsonObjectError as error:
        raise StatementError(f"{path}: {error}; pull the release again") from None
    stated = verified(
        envelope,
        trusted.verify_any(signature_fits),
        channel=unverified(envelope, str(path)).channel,
        deployment=trusted.identity,
        label=str(path),
    )
    if stated.manifest_sha256 != sha256((folder / MANIFEST).read_bytes()):
        raise StatementError(f"{path}: states another manifest than the folder's; pull it again")
    return stated


def _trusted_for(
    folder: Path, key: Path | None, deployment: str | None, environment: str
) -> TrustedDeployment:
    from cli.release import trust_store
    from registry.releases.pull.pulled_folder import read_record
    from registry.releases.signatures.trust import (
        TrustedDeployment,
        TrustError,
        fingerprint,
        read_trust_file,
    )

    record = read_record(folder)
    if key is not None:
        text = key.read_bytes().decode("ascii", errors="replace")
        if text.lstrip().startswith("{"):
            return read_trust_file(key)
        try:
            fingerprint(text)
        except TrustError:
            raise TrustError(f"{key}: is no public key in PEM form and no trust file") from None
        return TrustedDeployment(record.deployment if record else "", "", (text,))
    if deployment is None and record is not None:
        found = trust_store.load(record.deployment)
        if found is None:
            raise CliError(
                f"{folder}: was pulled from {record.deployment}, whose key is not pinned on this "
                "machine: cards release trust, or name a key with --key"
            )
        return found
    return trusted_deployment(AwsSession(environment), deployment)


def _expired(stated: Statement) -> str:
    return (
        f"channel {stated.channel}: its statement expired on {_day(stated.expires)}: either "
        "nobody renews it, or somebody withholds newer ones; cards doctor shows which"
    )


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _facts(stated: Statement) -> dict[str, object]:
    return {
        "channel": stated.channel,
        "deployment": stated.deployment,
        "serial": stated.serial,
        "release": stated.release,
        "issued": stated.issued.isoformat(),
        "expires": stated.expires.isoformat(),
    }
