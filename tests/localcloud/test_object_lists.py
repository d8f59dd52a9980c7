"""Lists from the index of a bucket's keys, against those that MiniStack makes without one."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ministack.services import s3

from localcloud.patches.object_lists import ListedObjects, list_objects_by_index, page_of

# MiniStack's own, whatever a test of this process patches.
_collect = s3._collect_list_entries
_KEYS = st.text("ab/\U0010ffff", min_size=1, max_size=4)
_STEPS = st.lists(st.tuples(st.sampled_from(["put", "pop", "delete"]), _KEYS), max_size=20)


def objects_after(steps: list[tuple[str, str]]) -> ListedObjects:
    found = ListedObjects({"a/b": 0})
    for what, key in steps:
        if what == "put":
            found[key] = key
        elif what == "pop":
            assert found.pop(key, None) in (None, 0, key)
        elif key in found:
            del found[key]
    return found


@given(
    _STEPS,
    st.sampled_from(["", "a", "a/", "b/a", "\U0010ffff"]),
    st.sampled_from(["", "/", "b", "ab", "\U0010ffff"]),
    st.integers(0, 5),
    st.sampled_from(["", "a", "a/", "b/a", "b", "/"]),
)
def test_page_is_ministacks(
    steps: list[tuple[str, str]], prefix: str, delimiter: str, size: int, after: str
) -> None:
    objects = objects_after(steps)
    expected = _collect(dict(objects), prefix, delimiter, size, after)
    assert tuple(page_of(objects, prefix, delimiter, size, after)) == tuple(expected)


@given(_STEPS)
def test_order_is_that_of_the_keys(steps: list[tuple[str, str]]) -> None:
    objects = objects_after(steps)
    assert objects.order == sorted(objects)


def test_what_is_not_there_cannot_be_removed() -> None:
    objects = ListedObjects({"a": 1})
    with pytest.raises(KeyError):
        del objects["b"]
    with pytest.raises(KeyError):
        objects.pop("b")
    assert objects.order == ["a"]


def test_many_objects_are_not_written_at_once() -> None:
    objects = ListedObjects()
    with pytest.raises(NotImplementedError):
        objects.update(a=1)
    with pytest.raises(NotImplementedError):
        objects.setdefault("a", 1)
    with pytest.raises(NotImplementedError):
        objects.clear()


def test_each_bucket_has_an_index(monkeypatch: pytest.MonkeyPatch) -> None:
    buckets: Any = copy.copy(s3._buckets)
    buckets._data = {("1", "there"): {"objects": {"b": 1, "a": 2}}}
    monkeypatch.setattr(s3, "_buckets", buckets)
    monkeypatch.setattr(s3, "_collect_list_entries", s3._collect_list_entries)
    list_objects_by_index()
    buckets.set_scoped("1", None, "new", {"objects": {}})
    buckets._data.setdefault(("1", "restored"), {"objects": {}}).update(region="r")
    for name in ("there", "new", "restored"):
        objects = buckets.get_scoped("1", None, name)["objects"]
        objects["c"] = 3
        assert objects.order[-1] == "c"
    assert buckets.get_scoped("1", None, "there")["objects"].order == ["a", "b", "c"]
    assert s3._collect_list_entries is page_of
