"""Channel statements: signed, of one channel and deployment, with a serial that only grows."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.releases.signatures.envelope import seal
from registry.releases.statement import (
    PAYLOAD_TYPE,
    SERIAL_LIMIT,
    Statement,
    StatementError,
    issue,
    parse,
    unverified,
    verified,
)
from tests.registry.releases.signatures.p256 import Key

KEY, OTHER = Key(), Key()
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
DEPLOYMENT = "dev/123456789012/us-east-2"
MONTH = timedelta(days=30)


def made(release: str | None = "student-a-stage2-v1.onnx-int8.0a1b2c3d", **more: Any) -> Statement:
    given: dict[str, Any] = {"after": 0, "now": NOW, "lifetime": MONTH, **more}
    return issue("stable", DEPLOYMENT, release, "0" * 64 if release else None, **given)


def sign(statement: Statement, key: Key) -> dict[str, Any]:
    return seal(PAYLOAD_TYPE, statement.payload(), key.sign, "k").to_dict()


def check(document: object, channel: str = "stable", deployment: str = DEPLOYMENT) -> Statement:
    return verified(document, KEY.verify, channel=channel, deployment=deployment, label="x")


@pytest.mark.parametrize("release", ["student-a-stage2-v1.onnx-int8.0a1b2c3d", None])
def test_signed_statement_is_read_back(release: str | None) -> None:
    statement = made(release)
    document = json.loads(json.dumps(sign(statement, KEY)))
    assert check(document) == unverified(document, "x") == statement


@pytest.mark.parametrize(
    ("statement", "signer", "cause"),
    [
        (made(), OTHER, "no signature of a trusted key"),
        (replace(made(), channel="candidate"), KEY, "speaks of channel 'candidate', not 'stable'"),
        (
            replace(made(), deployment="prod/123456789012/us-east-2"),
            KEY,
            "of deployment 'prod/123456789012/us-east-2', not 'dev/",
        ),
    ],
)
def test_verified_refuses_foreign_statement(statement: Statement, signer: Key, cause: str) -> None:
    with pytest.raises(StatementError, match=cause):
        check(sign(statement, signer))


def test_verified_refuses_another_signed_payload_type() -> None:
    """A signature over another kind of document is no channel statement."""
    other = seal("application/vnd.in-toto+json", made().payload(), KEY.sign, "")
    with pytest.raises(StatementError, match="payloadType is 'application/vnd"):
        check(other.to_dict())


@given(
    after=st.integers(0, 2**40),
    seconds=st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=8),
)
def test_serial_grows_whatever_the_clock_says(after: int, seconds: list[int]) -> None:
    serials = [after]
    for offset in seconds:
        now = NOW + timedelta(seconds=offset)
        serials.append(made(after=serials[-1], now=now).serial)
    assert serials == sorted(set(serials))


def test_serial_grows_after_the_pointer_was_deleted() -> None:
    """Nothing is known of the earlier statements, and devices still accept the new one."""
    first = made()
    later = made(after=0, now=NOW + timedelta(minutes=1))
    assert later.serial > first.serial


def test_statement_is_due_when_a_third_of_its_time_is_left() -> None:
    statement = made()
    assert not statement.is_due(NOW + timedelta(days=19, hours=23))
    assert statement.is_due(NOW + timedelta(days=20))
    assert not statement.has_expired(NOW + timedelta(days=29, hours=23))
    assert statement.has_expired(NOW + MONTH)


GOOD = json.loads(made().payload())


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"schema": 2}, "schema '2'"),
        ({"schema": True}, "schema 'True'"),
        ({"serial": 0}, "serial must be"),
        ({"serial": True}, "serial must be"),
        ({"serial": 1.5}, "serial must be"),
        ({"serial": SERIAL_LIMIT + 1}, "serial must be"),
        ({"rollout": 101}, "rollout must be"),
        ({"rollout": -1}, "rollout must be"),
        ({"release": None}, "must be given together"),
        ({"manifest_sha256": None}, "must be given together"),
        ({"release": "../x"}, "no release's id"),
        ({"release": 7}, "no release's id"),
        ({"manifest_sha256": "0" * 63}, "no SHA-256 digest"),
        ({"issued": "2026-11-01T12:00:00"}, "issued has no time zone"),
        ({"issued": "yesterday"}, "no channel statement"),
        ({"issued": "0001-01-01T00:00:00+14:00"}, "no channel statement"),
        ({"expires": GOOD["issued"]}, "expires is not after issued"),
        ({"channel": ""}, "channel must be"),
        ({"channel": "\x1b[2J"}, "channel must be"),
        ({"deployment": "x" * 300}, "deployment must be"),
    ],
)
def test_parse_of_wrong_field_names_it(change: dict[str, Any], cause: str) -> None:
    with pytest.raises(StatementError, match=cause):
        parse(json.dumps({**GOOD, **change}).encode(), "x")


@pytest.mark.parametrize(
    "payload",
    [b"", b"[]", b"\xff", b"[" * 8000, b"{" + b" " * 9000 + b"}", b'{"schema": ' + b"9" * 6000],
)
def test_parse_of_hostile_bytes_raises_statement_error(payload: bytes) -> None:
    with pytest.raises(StatementError, match="x: is no channel statement"):
        parse(payload, "x")
