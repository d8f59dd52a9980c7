"""A release on the device's disk: its manifest, used only after its signature is verified."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge.signature import signature_fits
from edge.state.folder import StateError, StateFolder
from registry.releases.manifest import (
    MANIFEST,
    MANIFEST_LIMIT,
    SIGNATURE,
    ManifestError,
    parse,
    sha256,
)
from registry.releases.pull.pulled_folder import SIGNATURE_LIMIT, STATEMENT_FILE
from registry.releases.signatures.envelope import PAYLOAD_LIMIT
from registry.releases.signatures.trust import TrustedDeployment, TrustError, read_trust_file
from registry.releases.statement import Statement, StatementError, unverified, verified
from registry.untrusted.json_object import JsonObjectError, parse_object


def pinned(folder: StateFolder) -> TrustedDeployment:
    """The deployment whose key is pinned on this device.

    Raises:
        StateError: None is.
        TrustError: The file is damaged.
    """
    try:
        return read_trust_file(folder.trust)
    except OSError as error:
        raise StateError(
            f"{folder.trust}: no signing key is pinned ({error.strerror}); get a trust file from "
            "who administers the deployment (cards release trust --out FILE), then: "
            "cards-edge trust FILE"
        ) from None


def stored_statement(release: Path, trusted: TrustedDeployment) -> Statement | None:
    """The verified statement beside a release; None where it is missing or not to be followed."""
    try:
        envelope = parse_object(_read(release / STATEMENT_FILE, PAYLOAD_LIMIT), PAYLOAD_LIMIT)
        return verified(
            envelope,
            trusted.verify_any(signature_fits),
            channel=unverified(envelope, STATEMENT_FILE).channel,
            deployment=trusted.identity,
            label=STATEMENT_FILE,
        )
    except (OSError, JsonObjectError, StatementError, TrustError):
        return None


def signed_manifest(release: Path, trusted: TrustedDeployment) -> tuple[dict[str, Any], str]:
    """A release's manifest and its SHA-256.

    Its own signature counts, or that of the statement which names it.

    Raises:
        ManifestError: It cannot be read, or is not what a trusted key has signed.
    """
    try:
        body = _read(release / MANIFEST, MANIFEST_LIMIT)
    except OSError as error:
        raise ManifestError(f"{release}: has no manifest ({error.strerror})") from None
    digest = sha256(body)
    stated = stored_statement(release, trusted)
    if stated is None or stated.manifest_sha256 != digest:
        try:
            signature = _read(release / SIGNATURE, SIGNATURE_LIMIT)
        except OSError:
            signature = b""
        if not trusted.verify_any(signature_fits)(signature, body):
            raise ManifestError(
                f"{release}: the signature of its manifest is no trusted key's; do not use it"
            )
    return parse(body, str(release)), digest


def device_files(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """The files of a release that a device needs; reports and the ONNX original stay behind.

    Raises:
        ManifestError: The release lacks one of them.
    """
    from recognition.reference_views import REFERENCE_VIEWS
    from recognition.search.index import FILES as INDEX_FILES

    needed = (str(manifest["model"]), *INDEX_FILES, REFERENCE_VIEWS)
    missing = [name for name in needed if name not in manifest["files"]]
    if missing:
        raise ManifestError(
            f"{manifest['release']}: has no {', '.join(missing)}; it was published by an earlier "
            "version of this product: approve the version again, so that it is compiled anew"
        )
    return needed


def _read(path: Path, limit: int) -> bytes:
    with path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ManifestError(f"{path}: is longer than {limit} bytes")
    return content
