"""DSSE envelopes: read within limits, opened only for a trusted key and the expected type."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.releases.signatures.envelope import (
    PAYLOAD_LIMIT,
    Envelope,
    EnvelopeError,
    open_payload,
    read,
    seal,
    signed_bytes,
)
from tests.registry.releases.signatures.p256 import Key

KEY, OTHER = Key(), Key()
TYPE = "application/example"


def test_signed_bytes_equal_the_specifications_example() -> None:
    """https://github.com/secure-systems-lab/dsse/blob/master/protocol.md, its test vector."""
    assert signed_bytes("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


@given(payload=st.binary(max_size=2000), key_id=st.text("abc0", max_size=64))
def test_sealed_payload_is_read_back(payload: bytes, key_id: str) -> None:
    document = json.loads(json.dumps(seal(TYPE, payload, KEY.sign, key_id).to_dict()))
    assert open_payload(read(document, "x"), TYPE, KEY.verify, "x") == payload


def test_open_payload_with_foreign_key_raises() -> None:
    made = seal(TYPE, b"payload", OTHER.sign, "")
    with pytest.raises(EnvelopeError, match="x: no signature of a trusted key"):
        open_payload(made, TYPE, KEY.verify, "x")


@pytest.mark.parametrize("changed", ["payload", "type"])
def test_open_payload_of_changed_envelope_raises(changed: str) -> None:
    made = seal(TYPE, b"payload", KEY.sign, "")
    if changed == "payload":
        made = Envelope(TYPE, b"another", made.signatures)
    else:
        made = Envelope("application/other", b"payload", made.signatures)
    with pytest.raises(EnvelopeError, match="no signature of a trusted key"):
        open_payload(made, made.payload_type, KEY.verify, "x")


def test_open_payload_of_another_type_raises_though_signed() -> None:
    made = seal("application/other", b"payload", KEY.sign, "")
    with pytest.raises(EnvelopeError, match="payloadType is 'application/other', expected"):
        open_payload(made, TYPE, KEY.verify, "x")


def test_open_payload_accepts_a_trusted_signature_beside_a_foreign_one() -> None:
    """As during the change from one key to the next."""
    made = seal(TYPE, b"payload", KEY.sign, "")
    foreign = seal(TYPE, b"payload", OTHER.sign, "")
    both = Envelope(TYPE, b"payload", foreign.signatures + made.signatures)
    assert open_payload(both, TYPE, KEY.verify, "x") == b"payload"


GOOD: dict[str, Any] = seal(TYPE, b"payload", KEY.sign, "key").to_dict()
LONG = base64.b64encode(bytes(PAYLOAD_LIMIT + 3)).decode()


@pytest.mark.parametrize(
    ("document", "cause"),
    [
        (None, "not a JSON object"),
        ([], "not a JSON object"),
        ({}, "signatures must be a list"),
        ({**GOOD, "signatures": []}, "signatures must be a list of 1 to 8"),
        ({**GOOD, "signatures": GOOD["signatures"] * 9}, "signatures must be a list of 1 to 8"),
        ({**GOOD, "signatures": ["sig"]}, "a signature is no JSON object"),
        ({**GOOD, "signatures": [{}]}, "sig: must be at most"),
        ({**GOOD, "signatures": [{"sig": "é"}]}, "sig: is not base64"),
        ({**GOOD, "signatures": [{"sig": "AA==", "keyid": 1}]}, "keyid: must be"),
        ({**GOOD, "signatures": [{"sig": "A" * 2000}]}, "sig: must be at most 1024 bytes"),
        ({**GOOD, "payload": "not base64!"}, "payload: is not base64"),
        ({**GOOD, "payload": 7}, "payload: must be"),
        ({**GOOD, "payload": LONG}, "payload: must be at most"),
        ({**GOOD, "payloadType": "x" * 300}, "payloadType: must be"),
        ({**GOOD, "payloadType": None}, "payloadType: must be"),
    ],
)
def test_read_of_malformed_envelope_names_the_field(document: object, cause: str) -> None:
    with pytest.raises(EnvelopeError, match=cause):
        read(document, "x")


def test_seal_of_a_payload_that_no_reader_accepts_raises() -> None:
    with pytest.raises(EnvelopeError, match="readers accept"):
        seal(TYPE, bytes(PAYLOAD_LIMIT + 1), KEY.sign, "")
