"""``model.sig``: a release's signature by OpenSSF Model Signing (OMS) v1.0, for standard tools.

It is an in-toto statement in a DSSE envelope in a Sigstore bundle v0.3, signed with the
deployment's key; the specification is https://github.com/ossf/model-signing-spec. With the tool
``model-signing`` and no network::

    model_signing verify key release/ --signature release/model.sig --public_key trusted.pem
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from registry.releases.manifest import UNSIGNED_FILES
from registry.releases.signatures.envelope import EnvelopeError, Verify
from registry.releases.signatures.envelope import read as read_envelope
from registry.releases.signatures.in_toto import PAYLOAD_TYPE, statement, verified
from registry.releases.signatures.signing import SigningKey

MODEL_SIGNATURE = "model.sig"
PREDICATE = "https://model_signing/signature/v1.0"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"


def payload(name: str, files: Mapping[str, str]) -> bytes:
    """What is signed.

    Args:
        name: The release's id.
        files: Hex SHA-256 by the name of each file, the manifest among them.
    """
    resources = [
        {"name": file, "algorithm": "sha256", "digest": files[file]} for file in sorted(files)
    ]
    root = hashlib.sha256(b"".join(bytes.fromhex(row["digest"]) for row in resources))
    return statement(
        PREDICATE,
        {
            "resources": resources,
            "serialization": {
                "method": "files",
                "hash_type": "sha256",
                "allow_symlinks": False,
                "ignore_paths": list(UNSIGNED_FILES),
            },
        },
        [{"name": name, "digest": {"sha256": root.hexdigest()}}],
    )


def sign(key: SigningKey, name: str, files: Mapping[str, str]) -> bytes:
    """The content of ``model.sig``.

    Args:
        key: Signs it.
        name: The release's id.
        files: Hex SHA-256 by the name of each file, the manifest among them.
    """
    bundle = {
        "mediaType": BUNDLE,
        "verificationMaterial": {
            # The tool compares this with the SHA-256 of the PEM that it is given.
            "publicKey": {"hint": hashlib.sha256(key.public_key_pem).hexdigest()},
            "tlogEntries": [],
        },
        "dsseEnvelope": key.seal(PAYLOAD_TYPE, payload(name, files)).to_dict(),
    }
    return (json.dumps(bundle, indent=2) + "\n").encode()


def check(document: object, files: Mapping[str, str], verify: Verify, label: str) -> None:
    """Checks that a bundle signs exactly these files.

    Args:
        document: The JSON of ``model.sig``.
        files: Hex SHA-256 by the name of each file that is there, the manifest among them.
        verify: Checks a signature.
        label: Names it in errors.

    Raises:
        EnvelopeError: It is malformed, not signed by a trusted key, or signs other files.
    """
    bundle = document if isinstance(document, Mapping) else {}
    if bundle.get("mediaType") != BUNDLE:
        raise EnvelopeError(f"{label}: is no Sigstore bundle v0.3")
    envelope = read_envelope(bundle.get("dsseEnvelope"), label)
    predicate = verified(envelope, PREDICATE, verify, label)["predicate"]
    if _resources(predicate, label) != dict(files):
        raise EnvelopeError(f"{label}: signs other files than those of the release")


def _resources(predicate: Mapping[str, Any], label: str) -> dict[str, str]:
    listed = predicate.get("resources")
    rows = [row for row in listed if isinstance(row, Mapping)] if isinstance(listed, list) else []
    found = {
        str(row.get("name")): str(row.get("digest"))
        for row in rows
        if row.get("algorithm") == "sha256"
    }
    if not isinstance(listed, list) or len(found) != len(listed):
        raise EnvelopeError(f"{label}: its resources are no list of SHA-256 digests")
    return found
