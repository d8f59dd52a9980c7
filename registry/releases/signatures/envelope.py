"""DSSE envelopes: a payload, its type, and signatures over both.

The format is DSSE v1 (https://github.com/secure-systems-lab/dsse), as in-toto, SLSA and OpenSSF
Model Signing use it. What is signed is :func:`signed_bytes`, which covers the type, so that a
payload of one type is never taken for one of another. Signing and verifying are given as functions:
the automation asks AWS KMS, a device uses a public key.

>>> signed_bytes("text/plain", b"hello")
b'DSSEv1 10 text/plain 5 hello'
>>> made = seal("text/plain", b"hello", lambda message: b"S" + message[:6], "key-1")
>>> read(made.to_dict(), "example") == made
True
>>> open_payload(made, "text/plain", lambda signature, message: signature == b"SDSSEv1", "example")
b'hello'
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

#: Signs a message (not its digest); returns an ECDSA P-256 SHA-256 signature, DER-encoded.
Sign = Callable[[bytes], bytes]
#: Called with (signature DER, message); returns whether a trusted key made the signature.
Verify = Callable[[bytes, bytes], bool]

PAYLOAD_LIMIT = 1024**2
SIGNATURES_LIMIT = 8
_SIGNATURE_LIMIT = 1024
_TEXT_LIMIT = 256


class EnvelopeError(ValueError):
    """An envelope that is malformed or that no trusted key signed; names it and the cause."""


@dataclass(frozen=True)
class Signature:
    """One signature of an envelope.

    Attributes:
        key_id: Which key made it, a hint that is not signed; may be empty.
        value: The signature, DER-encoded.
    """

    key_id: str
    value: bytes


@dataclass(frozen=True)
class Envelope:
    """A payload with its signatures.

    Attributes:
        payload_type: Its media type.
        payload: The bytes.
        signatures: At least one.
    """

    payload_type: str
    payload: bytes
    signatures: tuple[Signature, ...]

    def to_dict(self) -> dict[str, Any]:
        """The envelope as DSSE's JSON object."""
        return {
            "payload": base64.b64encode(self.payload).decode(),
            "payloadType": self.payload_type,
            "signatures": [
                {"keyid": each.key_id, "sig": base64.b64encode(each.value).decode()}
                for each in self.signatures
            ],
        }


def signed_bytes(payload_type: str, payload: bytes) -> bytes:
    """What a signature is made over: DSSE's pre-authentication encoding (PAE)."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def seal(payload_type: str, payload: bytes, sign: Sign, key_id: str) -> Envelope:
    """Signs a payload.

    Args:
        payload_type: Its media type.
        payload: The bytes, at most :data:`PAYLOAD_LIMIT`.
        sign: Makes the signature.
        key_id: Which key does; a hint for readers.

    Raises:
        EnvelopeError: The payload is longer than readers accept.
    """
    if len(payload) > PAYLOAD_LIMIT:
        raise EnvelopeError(
            f"{payload_type}: the payload has {len(payload)} bytes, readers accept {PAYLOAD_LIMIT}"
        )
    signature = Signature(key_id, sign(signed_bytes(payload_type, payload)))
    return Envelope(payload_type, payload, (signature,))


def read(document: object, label: str) -> Envelope:
    """Reads an envelope's JSON object and checks its form, not yet its signatures.

    Args:
        document: From outside.
        label: Names it in errors.

    Raises:
        EnvelopeError: It is no DSSE envelope, or exceeds a limit.
    """
    if not isinstance(document, Mapping):
        raise EnvelopeError(f"{label}: is no DSSE envelope (not a JSON object)")
    listed = document.get("signatures")
    if not isinstance(listed, list) or not 1 <= len(listed) <= SIGNATURES_LIMIT:
        raise EnvelopeError(f"{label}: signatures must be a list of 1 to {SIGNATURES_LIMIT}")
    signatures = []
    for row in listed:
        if not isinstance(row, Mapping):
            raise EnvelopeError(f"{label}: a signature is no JSON object")
        signatures.append(
            Signature(
                _text(row.get("keyid", ""), f"{label}: keyid"),
                _bytes(row.get("sig"), _SIGNATURE_LIMIT, f"{label}: sig"),
            )
        )
    return Envelope(
        _text(document.get("payloadType"), f"{label}: payloadType"),
        _bytes(document.get("payload"), PAYLOAD_LIMIT, f"{label}: payload"),
        tuple(signatures),
    )


def open_payload(envelope: Envelope, payload_type: str, verify: Verify, label: str) -> bytes:
    """The payload, after a trusted key's signature was found on it.

    Args:
        envelope: From :func:`read`.
        payload_type: The type that is expected.
        verify: Checks one signature.
        label: Names the envelope in errors.

    Raises:
        EnvelopeError: The payload is of another type, or no signature is a trusted key's.
    """
    if envelope.payload_type != payload_type:
        raise EnvelopeError(
            f"{label}: payloadType is {envelope.payload_type!r}, expected {payload_type!r}"
        )
    message = signed_bytes(envelope.payload_type, envelope.payload)
    if not any(verify(each.value, message) for each in envelope.signatures):
        raise EnvelopeError(f"{label}: no signature of a trusted key; do not use it")
    return envelope.payload


def _text(value: object, label: str) -> str:
    if not isinstance(value, str) or len(value) > _TEXT_LIMIT or not value.isascii():
        raise EnvelopeError(f"{label}: must be at most {_TEXT_LIMIT} ASCII characters")
    return value


def _bytes(value: object, limit: int, label: str) -> bytes:
    if not isinstance(value, str) or len(value) > (limit + 2) // 3 * 4:
        raise EnvelopeError(f"{label}: must be at most {limit} bytes, base64-encoded")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise EnvelopeError(f"{label}: is not base64") from None
