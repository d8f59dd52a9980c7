"""What S3 can hold, and the name that a file gets there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.s3_keys import key_fault, storable_name


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("a/b.png", None),
        ("ä/é b😀.png", None),
        ("a\udcff", "not UTF-8"),
        ("a\x1b", "control"),
        ("a\x9b", "control"),
        ("a\nb", "control"),
        ("a\uffff", "control"),
        ("", "empty"),
        ("a//b", "empty"),
        ("a/../b", "empty"),
        ("é" * 512, None),
        ("é" * 513, "1026 bytes"),
    ],
)
def test_name_that_s3_cannot_hold_is_reported(key: str, words: str | None) -> None:
    fault = key_fault(key)
    assert fault is None if words is None else fault and words in fault


@given(st.text(st.characters(codec=None, exclude_characters="/\0"), min_size=1, max_size=300))
def test_every_name_gets_one_that_s3_can_hold(name: str) -> None:
    stored = storable_name(name, 3, "ab" * 32)
    assert key_fault(stored) is None
    assert stored == name or stored.startswith("scan-0003-abababababab")
