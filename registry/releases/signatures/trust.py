"""The keys that a client trusts: one is pinned by a person, its successors are signed for.

A deployment's key is pinned once, by its fingerprint. When the deployment changes its key, the old
key signs the new one in ``keys/rotation/<fingerprint of the old key>.json``: a client that has
missed several changes follows them one after the other, and there is no gap to skip.

>>> record = TrustedDeployment("dev/123456789012/us-east-2", "releases", ("PEM 1",))
>>> parse_trusted(record.to_dict(), "example") == record
True
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from registry.names import KEY_ROTATION_PREFIX
from registry.releases.signatures.envelope import (
    Envelope,
    EnvelopeError,
    Sign,
    Verify,
    open_payload,
    seal,
)
from registry.releases.signatures.envelope import read as read_envelope
from registry.untrusted.json_object import JsonObjectError, parse_object

#: Called with (public key PEM, signature DER, message); returns whether the key made the signature.
VerifyWithKey = Callable[[str, bytes, bytes], bool]

PAYLOAD_TYPE = "application/vnd.cards.key-rotation+json"
SCHEMA = 1
#: How many changes of the key a client follows, and remembers.
ROTATIONS_LIMIT = 64
#: Bytes of a trust file or a rotation document.
DOCUMENT_LIMIT = 256 * 1024
_PEM_LIMIT = 4096
_BEGIN, _END = "-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----"
_IDENTITY = re.compile(r"[a-z0-9-]{1,32}/[0-9]{12}/[a-z0-9-]{1,32}", re.ASCII)
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)


class TrustError(ValueError):
    """A key, or a change of keys, that is not to be trusted; names it, the cause, the remedy."""


@dataclass(frozen=True)
class TrustedDeployment:
    """What a client trusts of one deployment.

    Attributes:
        identity: ``<environment>/<account>/<region>``.
        bucket: Its release bucket.
        keys: Public keys, PEM; the pinned one first, then each successor. The last one must have
            signed a channel's statement; manifests may be of any.
    """

    identity: str
    bucket: str
    keys: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON object: a trust file, and the client's own record."""
        return {
            "schema": SCHEMA,
            "deployment": self.identity,
            "bucket": self.bucket,
            "keys": list(self.keys),
        }

    def verify_newest(self, verify: VerifyWithKey) -> Verify:
        """Accepts signatures of the newest key alone."""
        return lambda signature, message: verify(self.keys[-1], signature, message)

    def verify_any(self, verify: VerifyWithKey) -> Verify:
        """Accepts signatures of each key."""
        return lambda signature, message: any(
            verify(key, signature, message) for key in reversed(self.keys)
        )


def parse_trusted(document: object, label: str) -> TrustedDeployment:
    """Reads what :meth:`TrustedDeployment.to_dict` has made.

    Raises:
        TrustError: It is something else.
    """
    if not isinstance(document, Mapping) or document.get("schema") != SCHEMA:
        raise TrustError(f"{label}: is no trust file of schema {SCHEMA}")
    identity, bucket, keys = (document.get(key) for key in ("deployment", "bucket", "keys"))
    if not isinstance(identity, str) or not _IDENTITY.fullmatch(identity):
        raise TrustError(f"{label}: deployment is not <environment>/<account>/<region>")
    if not isinstance(bucket, str) or not _BUCKET.fullmatch(bucket):
        raise TrustError(f"{label}: bucket is no bucket's name")
    if not isinstance(keys, list) or not 1 <= len(keys) <= ROTATIONS_LIMIT + 1:
        raise TrustError(f"{label}: keys is no list of 1 to {ROTATIONS_LIMIT + 1} keys")
    if not all(isinstance(key, str) and len(key) <= _PEM_LIMIT for key in keys):
        raise TrustError(f"{label}: a key is no text of at most {_PEM_LIMIT} characters")
    return TrustedDeployment(identity, bucket, tuple(keys))


def trust_file(trusted: TrustedDeployment) -> str:
    """The content of a trust file, by which another machine pins the same."""
    return json.dumps(trusted.to_dict(), indent=2) + "\n"


def read_trust_file(path: Path) -> TrustedDeployment:
    """Reads a trust file.

    Raises:
        TrustError: It is none.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        body = file.read(DOCUMENT_LIMIT + 1)
    try:
        document = parse_object(body, DOCUMENT_LIMIT)
    except JsonObjectError:
        raise TrustError(f"{path}: is no trust file; pin the key again with --replace") from None
    trusted = parse_trusted(document, str(path))
    for key in trusted.keys:
        fingerprint(key)
    return trusted


def read_key_to_pin(path: Path) -> TrustedDeployment:
    """Reads a trust file that a person is about to pin.

    Raises:
        TrustError: It is none, or holds more keys than the one that is compared: each of them
            would count for manifests.
        OSError: It cannot be read.
    """
    found = read_trust_file(path)
    if len(found.keys) > 1:
        raise TrustError(
            f"{path}: holds {len(found.keys)} keys, and a person compares one; have it written "
            "anew: cards release trust --out FILE"
        )
    return found


def fingerprint(pem: str) -> str:
    """Hex SHA-256 of a public key's DER bytes (SubjectPublicKeyInfo).

    It is what ``openssl pkey -pubin -in key.pem -outform der | sha256sum`` prints.

    Raises:
        TrustError: It is no public key in PEM form.
    """
    body = pem.strip()
    if len(body) > _PEM_LIMIT or not (body.startswith(_BEGIN) and body.endswith(_END)):
        raise TrustError("signing key: is no public key in PEM form")
    try:
        encoded = "".join(body[len(_BEGIN) : -len(_END)].split())
        return hashlib.sha256(base64.b64decode(encoded, validate=True)).hexdigest()
    except (binascii.Error, ValueError):
        raise TrustError("signing key: is no public key in PEM form") from None


def rotation_key(old_fingerprint: str) -> str:
    """Where in the release bucket the successor of a key is."""
    return f"{KEY_ROTATION_PREFIX}{old_fingerprint}.json"


def sign_rotation(identity: str, old: str, new: str, sign: Sign, now: datetime) -> Envelope:
    """The old key's signature over its successor.

    Args:
        identity: The deployment's.
        old: The key in use, PEM.
        new: Its successor, PEM.
        sign: Signs with the old key.
        now: With its time zone.

    Raises:
        TrustError: They are one key.
    """
    before, after = fingerprint(old), fingerprint(new)
    if before == after:
        raise TrustError(f"signing key {before[:16]}…: cannot follow itself")
    document = {
        "schema": SCHEMA,
        "deployment": identity,
        "old": before,
        "new": after,
        "public_key": new,
        "issued": now.astimezone(UTC).isoformat(timespec="seconds"),
    }
    payload = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    return seal(PAYLOAD_TYPE, payload, sign, before)


def follow_rotation(
    trusted: TrustedDeployment, document: object, verify: VerifyWithKey, label: str
) -> TrustedDeployment:
    """Takes the successor of the newest key, for which that key has signed.

    Args:
        trusted: What is trusted so far.
        document: The rotation document, from outside.
        verify: Checks a signature.
        label: Names the document in errors.

    Raises:
        TrustError: It is malformed, of another deployment or key, not signed by the newest key, or
            one too many.
    """
    try:
        envelope = read_envelope(document, label)
        payload = open_payload(envelope, PAYLOAD_TYPE, trusted.verify_newest(verify), label)
        content = parse_object(payload, DOCUMENT_LIMIT)
    except (EnvelopeError, JsonObjectError) as error:
        raise TrustError(f"{label}: is no change of keys to follow ({error})") from None
    if content.get("schema") != SCHEMA:
        raise TrustError(f"{label}: is no change of keys of schema {SCHEMA}")
    if content.get("deployment") != trusted.identity:
        raise TrustError(f"{label}: is of another deployment than {trusted.identity}")
    new = content.get("public_key")
    if not isinstance(new, str) or content.get("new") != fingerprint(new):
        raise TrustError(f"{label}: its new key does not have the fingerprint that it names")
    known = {fingerprint(key) for key in trusted.keys}
    if content.get("old") != fingerprint(trusted.keys[-1]) or content["new"] in known:
        raise TrustError(f"{label}: does not lead from the newest key to a new one")
    if len(trusted.keys) > ROTATIONS_LIMIT:
        raise TrustError(f"{label}: more than {ROTATIONS_LIMIT} changes; pin the newest key")
    return replace(trusted, keys=(*trusted.keys, new))
