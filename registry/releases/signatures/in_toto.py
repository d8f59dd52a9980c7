"""in-toto statements: signed claims about files, named by their SHA-256.

The format is in-toto Statement v1 (https://github.com/in-toto/attestation/tree/main/spec/v1) in a
DSSE envelope.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from registry.releases.signatures.envelope import (
    PAYLOAD_LIMIT,
    Envelope,
    EnvelopeError,
    Verify,
    open_payload,
)
from registry.untrusted.json_object import JsonObjectError, parse_object

PAYLOAD_TYPE = "application/vnd.in-toto+json"
_STATEMENT = "https://in-toto.io/Statement/v1"


def statement(
    predicate_type: str, predicate: Mapping[str, Any], subject: list[dict[str, Any]]
) -> bytes:
    """The bytes of a statement: canonical JSON.

    Args:
        predicate_type: URI of what is claimed.
        predicate: The claim.
        subject: What it is about: ``{"name": …, "digest": {"sha256": …}}`` each.
    """
    document = {
        "_type": _STATEMENT,
        "subject": subject,
        "predicateType": predicate_type,
        "predicate": predicate,
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def verified(envelope: Envelope, predicate_type: str, verify: Verify, label: str) -> dict[str, Any]:
    """A statement, after its signature and its types were checked.

    Args:
        envelope: From outside.
        predicate_type: The claim that is expected.
        verify: Checks a signature.
        label: Names it in errors.

    Raises:
        EnvelopeError: It is not signed by a trusted key, or is another statement.
    """
    payload = open_payload(envelope, PAYLOAD_TYPE, verify, label)
    try:
        document = parse_object(payload, PAYLOAD_LIMIT)
    except JsonObjectError as error:
        raise EnvelopeError(f"{label}: its payload {error}") from None
    if document.get("_type") != _STATEMENT:
        raise EnvelopeError(f"{label}: its payload is no in-toto statement")
    if document.get("predicateType") != predicate_type:
        raise EnvelopeError(
            f"{label}: predicateType is {str(document.get('predicateType'))[:100]!r}, "
            f"expected {predicate_type!r}"
        )
    if not isinstance(document.get("predicate"), dict):
        raise EnvelopeError(f"{label}: its predicate is no JSON object")
    return document
