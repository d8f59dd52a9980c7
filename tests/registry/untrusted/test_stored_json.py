"""Objects in buckets that anybody may have written: one reader, one kind of error."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.untrusted.json_object import DEPTH_LIMIT, JsonObjectError, parse_object, parse_value
from registry.untrusted.stored_json import StoredJsonError, read_json
from tests.registry.memory_aws import TRAINING, MemoryAws, error

KEY = "folder/object.json"
#: What is no JSON object within the limits, by why.
POISONED = {
    "no JSON": b"[1, 2",
    "empty": b"",
    "a list": b"[]",
    "null": b"null",
    "text": b'"x"',
    "nested lists": b'{"a": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "nested objects": b'{"a": ' * 30_000 + b"1" + b"}" * 30_000,
    "a little too deep": b'{"a": ' + b"[" * DEPTH_LIMIT + b"1" + b"]" * DEPTH_LIMIT + b"}",
    "too long": b'{"a": "' + b"x" * 200_000 + b'"}',
    "no UTF-8": b'{"a": "\xff"}',
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "a lone surrogate": rb'{"a": "\ud800"}',
    "a lone surrogate as a key": rb'{"\udfff": 1}',
    "a number of 5000 digits": b'{"a": ' + b"9" * 5000 + b"}",
    "a number that no float holds": b'{"a": 1' + b"0" * 400 + b"}",
    "a number that becomes infinite": b'{"a": [1e999]}',
    "no number": b'{"a": {"b": NaN}}',
    "infinity": b'{"a": -Infinity}',
}


@pytest.mark.parametrize("why", POISONED)
def test_read_json_of_poisoned_object_raises_one_error_with_its_address(why: str) -> None:
    aws = MemoryAws()
    aws._store((TRAINING, KEY), POISONED[why])
    with pytest.raises(StoredJsonError, match=f"^s3://{TRAINING}/{KEY} (is|has) ") as refused:
        read_json(aws.client("s3"), TRAINING, KEY, 100_000)
    assert len(str(refused.value)) < 300 and "\n" not in str(refused.value)
    assert refused.value.etag == aws.objects[TRAINING, KEY][1]


def test_read_json_of_missing_object_returns_none() -> None:
    assert read_json(MemoryAws().client("s3"), TRAINING, KEY) is None


def test_read_json_raises_what_s3_refuses() -> None:
    aws = MemoryAws()

    def throttle(operation: str, when: str) -> None:
        raise error(operation, "SlowDown")

    aws.around = throttle
    with pytest.raises(Exception, match="SlowDown"):
        read_json(aws.client("s3"), TRAINING, KEY)


@given(
    st.dictionaries(
        st.text(),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers(1 - 2**63, 2**63 - 1)
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
            max_leaves=20,
        ),
        max_size=5,
    )
)
def test_every_object_within_the_limits_is_read_as_it_was_written(document: dict) -> None:  # type: ignore[type-arg]
    assert parse_object(json.dumps(document).encode(), 10**6) == document


@given(st.binary(max_size=200))
def test_any_bytes_give_an_object_or_the_one_error(body: bytes) -> None:
    try:
        assert isinstance(parse_object(body, 100), dict)
    except JsonObjectError as refused:
        assert "\n" not in str(refused)


def test_value_nested_too_deep_raises() -> None:
    with pytest.raises(JsonObjectError, match="nested deeper"):
        parse_value("[" * 2000)
