"""The index of associations, against a plain list of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.sagemaker import store
from localcloud.sagemaker.store import Associations

ENDS = st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd"))


def record(ends: tuple[str, str]) -> dict[str, Any]:
    return {"SourceArn": ends[0], "DestinationArn": ends[1], "AssociationType": "Produced"}


@given(st.lists(st.tuples(st.booleans(), ENDS)))
def test_index_finds_what_a_list_holds(steps: list[tuple[bool, tuple[str, str]]]) -> None:
    indexed, listed = Associations(), list[dict[str, Any]]()
    for adds, ends in steps:
        there = record(ends) in listed
        assert (indexed.find(*ends) is not None) == there
        if adds and not there:
            indexed.add(record(ends))
            listed.append(record(ends))
        elif not adds and there:
            indexed.remove(*ends)
            listed.remove(record(ends))
    assert list(indexed) == listed
    assert len(indexed) == len(listed)
    for key in "abcd":
        assert indexed.from_source(key) == [r for r in listed if r["SourceArn"] == key]
        assert indexed.to_destination(key) == [r for r in listed if r["DestinationArn"] == key]
    assert list(Associations(indexed)) == listed


def test_saved_associations_are_found_after_loading() -> None:
    before = store.dump()
    saved = {"1|us-east-2": vars(store.Store()) | {"associations": [record(("a", "b"))]}}
    try:
        store.load(saved)
        (loaded,) = store.every_store().values()
        assert loaded.associations.from_source("a") == [record(("a", "b"))]
        assert store.dump()["1|us-east-2"]["associations"] == [record(("a", "b"))]
    finally:
        store.load(before)


def test_association_that_is_not_there_cannot_be_removed() -> None:
    with pytest.raises(KeyError):
        Associations().remove("a", "b")
