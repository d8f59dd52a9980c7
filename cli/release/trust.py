"""``cards release trust`` and ``rotate-key``: which signing key counts, and its successor."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.aws import DEFAULT_ENVIRONMENT, AwsSession, Environment
from cli.errors import CliError
from cli.options import AsJson
from cli.release import trust_store

if TYPE_CHECKING:
    from registry.releases.signatures.trust import TrustedDeployment

#: ``--deployment`` of the commands that work without the deployment's parameters.
DeploymentName = Annotated[
    str | None,
    typer.Option(
        "--deployment",
        envvar="CARDS_DEPLOYMENT",
        help="Which pinned deployment, as <environment>/<account>/<region>; by default the one "
        "that the account's parameters name.",
        rich_help_panel="AWS",
    ),
]
_FINGERPRINT_GROUP = 4


def trust(
    key: Annotated[
        Path | None,
        typer.Option(
            help="The public key, PEM, or a trust file that --out has written; by default AWS KMS "
            "is asked for the deployment's key."
        ),
    ] = None,
    fingerprint: Annotated[
        str | None,
        typer.Option(help="The fingerprint that the key must have; then nothing is asked."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Write a trust file for another machine, and pin nothing here."),
    ] = None,
    replace: Annotated[bool, typer.Option(help="Replace the key that is pinned.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask: the fingerprint was compared.")
    ] = False,
    as_json: AsJson = False,
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Pins a deployment's signing key on this machine, once.

    `pull` and `verify` accept no other key afterwards, except one that the pinned key has signed
    for (`cards release rotate-key`). Compare the fingerprint with the one that the same command
    shows to the administrator of the deployment.
    """
    from cli.console import print_json, print_line
    from recognition.atomic_files import write_atomically
    from registry.releases.signatures.trust import fingerprint as fingerprint_of
    from registry.releases.signatures.trust import trust_file

    found = _from_file(AwsSession(environment), key) if key else _from_aws(AwsSession(environment))
    shown = fingerprint_of(found.keys[-1])
    facts = {"deployment": found.identity, "bucket": found.bucket, "fingerprint": shown}
    if not as_json:
        for name, value in facts.items():
            print_line(f"{name:12}{_grouped(value) if name == 'fingerprint' else value}")
    if fingerprint is not None and _plain(fingerprint) != shown:
        raise CliError(f"--fingerprint: the key has the fingerprint {shown}; it is not trusted")
    if out is not None:
        # Whole or not at all, and readable for the device's service, whatever the umask.
        write_atomically(out, trust_file(found))
        if not as_json:
            print_line(f"written to {out}; there: cards release trust --key {out.name}")
        else:
            print_json({**facts, "file": str(out)})
        return
    pinned = trust_store.load(found.identity)
    if pinned == found or (pinned and key is None and _extends(pinned, found)):
        if not as_json:
            print_line("is pinned already")
    else:
        if pinned and not replace:
            raise CliError(
                f"{found.identity}: another key is pinned, {fingerprint_of(pinned.keys[-1])}; "
                "cards release pull follows a change that the pinned key has signed. To pin this "
                "one in its place: --replace"
            )
        if not yes and fingerprint is None:
            confirm(found)
        trust_store.save(found)
        if not as_json:
            print_line("pinned; cards release pull accepts this key only")
    if as_json:
        print_json(facts)


def confirm(found: TrustedDeployment) -> None:
    """Asks a person whether a key is to be trusted.

    Raises:
        CliError: Nobody can be asked.
        typer.Abort: The person declines.
    """
    if not sys.stdin.isatty():
        raise CliError(
            f"{found.identity}: nobody can be asked to compare the fingerprint; name it with "
            "--fingerprint, or say --yes"
        )
    typer.confirm("Is this the fingerprint of the deployment's signing key?", abort=True)


def trusted_deployment(aws: AwsSession, identity: str | None = None) -> TrustedDeployment:
    """What is pinned of a deployment; on a terminal a first key is shown, and pinned by a person.

    Raises:
        CliError: Nothing is pinned and nobody can be asked, or the pinned bucket is another.
    """
    from cli.console import print_stderr
    from registry.releases.signatures.trust import fingerprint as fingerprint_of

    found = trust_store.pinned_deployment(aws, identity)
    if found:
        return found
    if identity is not None or not sys.stdin.isatty():
        name = identity or aws.deployment.identity
        raise CliError(
            f"{name}: no signing key is pinned on this machine; compare its fingerprint and pin "
            "it: cards release trust"
        )
    offered = _from_aws(aws)
    print_stderr(f"{offered.identity}: its signing key is not pinned on this machine yet")
    print_stderr(f"fingerprint {_grouped(fingerprint_of(offered.keys[-1]))}")
    confirm(offered)
    trust_store.save(offered)
    return offered


def pin_own(aws: AwsSession) -> TrustedDeployment:
    """Pins the key of a deployment that the caller has just made."""
    found = _from_aws(aws)
    trust_store.save(found)
    return found


def rotate_key(
    as_json: AsJson = False,
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Signs the next signing key with the one in use, so that devices accept it.

    \b
    1  cdk deploy --all -c cards.signing_keys=2     makes the next key; the old one stays
    2  cards release rotate-key                     the old key signs the new one
    3  cdk deploy --all -c cards.signing_keys=2 -c cards.signing_key=2
                                                    from now on the new key signs
    4  cards release sign --all                     the new key signs the channels' statements

    A key in use that its predecessor has not signed for, because step 2 was left out, is signed for
    now; until then devices stay with the predecessor.

    It needs kms:Sign with the key in use, kms:GetPublicKey of both and s3:PutObject for keys/ in
    the release bucket. Repeating it changes nothing.
    """
    from cli.console import print_json, print_line
    from registry.releases.signatures.trust import rotation_key

    aws = AwsSession(environment)
    arns, in_use = _signing_keys(aws)
    if len(arns) < 2:
        raise CliError(_no_next_key(aws, in_use))
    last = min(in_use + 1, len(arns))
    signed = [_sign_successor(aws, *arns[count - 2 : count]) for count in range(2, last + 1)]
    old, new = signed[-1]
    if as_json:
        print_json({"old": old, "new": new, "document": rotation_key(old)})
        return
    for old, new in signed:
        print_line(f"{_grouped(old)}")
        print_line(f"  has signed for {_grouped(new)}")
    if last == in_use:
        print_line(_no_next_key(aws, in_use))
    else:
        print_line(
            f"next: cdk deploy --all -c cards.signing_keys={last} -c cards.signing_key={last}"
        )


def _sign_successor(aws: AwsSession, old_arn: str, new_arn: str) -> tuple[str, str]:
    """Signs a key with its predecessor, once; returns both fingerprints.

    Raises:
        CliError: Something else is stored in the signature's place.
    """
    import json
    from datetime import UTC, datetime

    from cli.release.verified_manifest import public_key_of
    from edge.signature import signature_fits
    from registry.aws import put_once
    from registry.releases.signatures.signing import SigningKey
    from registry.releases.signatures.trust import (
        DOCUMENT_LIMIT,
        TrustedDeployment,
        TrustError,
        follow_rotation,
        rotation_key,
        sign_rotation,
    )
    from registry.releases.signatures.trust import fingerprint as fingerprint_of
    from registry.untrusted.json_object import JsonObjectError, parse_object

    deployment = aws.deployment
    old, new = public_key_of(aws, old_arn), public_key_of(aws, new_arn)
    envelope = sign_rotation(
        deployment.identity,
        old,
        new,
        SigningKey(aws.client("kms"), old_arn).sign,
        datetime.now(UTC),
    )
    key = rotation_key(fingerprint_of(old))
    bucket = deployment.release_bucket
    body = (json.dumps(envelope.to_dict(), indent=2) + "\n").encode()
    put_once(aws.client("s3"), bucket, key, body, ContentType="application/json")
    before = TrustedDeployment(deployment.identity, bucket, (old,))
    stored = aws.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read(DOCUMENT_LIMIT + 1)
    try:
        document = parse_object(stored, DOCUMENT_LIMIT)
        after = follow_rotation(before, document, signature_fits, f"s3://{bucket}/{key}")
    except (JsonObjectError, TrustError) as error:
        raise CliError(
            f"s3://{bucket}/{key}: holds something else than this key's successor ({error}); "
            "devices cannot follow. Find out who wrote it, remove it, and repeat the command"
        ) from None
    if after.keys[-1] != new:
        raise CliError(
            f"s3://{bucket}/{key}: the key before {fingerprint_of(new)} has signed another "
            f"successor, {fingerprint_of(after.keys[-1])}; no second one can follow it"
        )
    return fingerprint_of(old), fingerprint_of(new)


def _signing_keys(aws: AwsSession) -> tuple[list[str], int]:
    """The ARNs of the signing keys that are made, and the number, from 1, of the one in use."""
    arns, in_use = list(aws.names.signing_keys), aws.deployment.signing_key_arn
    return (arns, arns.index(in_use) + 1) if in_use in arns else ([in_use, *arns[1:]], 1)


def _no_next_key(aws: AwsSession, in_use: int) -> str:
    return (
        f"environment {aws.environment}: no key follows the one in use; make it first: "
        f"cdk deploy --all -c cards.signing_keys={in_use + 1}"
    )


def _from_aws(aws: AwsSession) -> TrustedDeployment:
    from cli.release.verified_manifest import public_key_of
    from registry.releases.signatures.trust import TrustedDeployment

    deployment = aws.deployment
    key = public_key_of(aws, deployment.signing_key_arn)
    return TrustedDeployment(deployment.identity, deployment.release_bucket, (key,))


def _from_file(aws: AwsSession, path: Path) -> TrustedDeployment:
    """From a trust file, or from a PEM for the deployment of the caller's account.

    Raises:
        TrustError: It is neither.
    """
    from registry.releases.signatures.trust import (
        DOCUMENT_LIMIT,
        TrustedDeployment,
        TrustError,
        fingerprint,
        read_key_to_pin,
    )

    if path.stat().st_size > DOCUMENT_LIMIT:
        raise TrustError(f"{path}: is no key and no trust file")
    text = path.read_bytes().decode("ascii", errors="replace")
    if text.lstrip().startswith("{"):
        return read_key_to_pin(path)
    try:
        fingerprint(text)
    except TrustError:
        raise TrustError(f"{path}: is no public key in PEM form and no trust file") from None
    return TrustedDeployment(aws.deployment.identity, aws.deployment.release_bucket, (text,))


def _extends(pinned: TrustedDeployment, found: TrustedDeployment) -> bool:
    """Whether the offered key is the newest of those that are trusted."""
    return found.bucket == pinned.bucket and found.keys[-1] == pinned.keys[-1]


def _plain(fingerprint: str) -> str:
    return "".join(fingerprint.split()).replace(":", "").lower()


def _grouped(fingerprint: str) -> str:
    """In groups that two people can compare."""
    step = _FINGERPRINT_GROUP
    return " ".join(fingerprint[start : start + step] for start in range(0, len(fingerprint), step))
