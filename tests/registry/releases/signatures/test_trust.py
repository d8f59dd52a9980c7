"""Trust files, fingerprints and the documents that lead from one key to the next."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from registry.releases.signatures.trust import (
    ROTATIONS_LIMIT,
    TrustedDeployment,
    TrustError,
    fingerprint,
    follow_rotation,
    parse_trusted,
    read_key_to_pin,
    sign_rotation,
    trust_file,
)
from tests.registry.releases.signatures.p256 import Key
from tests.registry.releases.signed_releases import BUCKET, DEPLOYMENT, NOW, fits, pem


def test_fingerprint_is_of_the_keys_bytes_whatever_the_lines_of_its_pem() -> None:
    key = Key()
    expected = hashlib.sha256(key.der).hexdigest()
    one_line = pem(key).splitlines()
    assert fingerprint(pem(key)) == expected
    assert fingerprint("\n".join([one_line[0], "".join(one_line[1:-1]), one_line[-1]])) == expected


@pytest.mark.parametrize(
    "text",
    ["", "no key", "-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----", "x" * 10_000],
)
def test_fingerprint_of_no_key_raises(text: str) -> None:
    with pytest.raises(TrustError, match="PEM"):
        fingerprint(text)


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"deployment": "../../etc"},
        {"deployment": "dev/1/us-east-2"},
        {"bucket": "A/B"},
        {"keys": []},
        {"keys": [1]},
        {"keys": ["x" * 5000]},
        {"keys": ["x"] * (ROTATIONS_LIMIT + 2)},
        {"keys": None},
    ],
)
def test_malformed_trust_file_raises(change: dict[str, object]) -> None:
    document = TrustedDeployment(DEPLOYMENT, BUCKET, ("key",)).to_dict()
    assert parse_trusted(document, "x").keys == ("key",)
    with pytest.raises(TrustError):
        parse_trusted({**document, **change}, "x")
    with pytest.raises(TrustError):
        parse_trusted([document], "x")


def test_file_with_a_second_key_is_not_pinned(tmp_path: Path) -> None:
    """A person compares the last key's fingerprint, and each key would count for manifests."""
    mine, theirs = Key(), Key()
    path = tmp_path / "dev.trust.json"
    path.write_text(trust_file(TrustedDeployment(DEPLOYMENT, BUCKET, (pem(theirs), pem(mine)))))
    with pytest.raises(TrustError, match="holds 2 keys, and a person compares one"):
        read_key_to_pin(path)
    path.write_text(trust_file(TrustedDeployment(DEPLOYMENT, BUCKET, (pem(mine),))))
    assert read_key_to_pin(path).keys == (pem(mine),)


def test_key_cannot_follow_itself() -> None:
    key = Key()
    with pytest.raises(TrustError, match="cannot follow itself"):
        sign_rotation(DEPLOYMENT, pem(key), pem(key), key.sign, NOW)


def test_circle_of_keys_is_not_followed() -> None:
    one, two = Key(), Key()
    trusted = TrustedDeployment(DEPLOYMENT, BUCKET, (pem(one),))
    there = sign_rotation(DEPLOYMENT, pem(one), pem(two), one.sign, NOW).to_dict()
    back = sign_rotation(DEPLOYMENT, pem(two), pem(one), two.sign, NOW).to_dict()
    after = follow_rotation(trusted, there, fits, "x")
    with pytest.raises(TrustError, match="does not lead from the newest key to a new one"):
        follow_rotation(after, back, fits, "x")


def test_changed_rotation_document_raises() -> None:
    one, two = Key(), Key()
    trusted = TrustedDeployment(DEPLOYMENT, BUCKET, (pem(one),))
    document = sign_rotation(DEPLOYMENT, pem(one), pem(two), one.sign, NOW).to_dict()
    text = json.dumps(document)
    assert follow_rotation(trusted, json.loads(text), fits, "x").keys[-1] == pem(two)
    for field in ("payload", "payloadType"):
        value = document[field]
        changed = {**document, field: value[:10] + ("A" if value[10] != "A" else "B") + value[11:]}
        with pytest.raises(TrustError):
            follow_rotation(trusted, changed, fits, "x")
    for other in (None, [], {}, {"payload": 1}):
        with pytest.raises(TrustError):
            follow_rotation(trusted, other, fits, "x")
