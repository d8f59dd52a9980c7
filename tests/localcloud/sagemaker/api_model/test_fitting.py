"""Yes or no must be what the words say: one finds no fault where the other does not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from botocore.model import ShapeResolver
from hypothesis import example, given
from hypothesis import strategies as st

from localcloud.sagemaker.api_model import service_model
from localcloud.sagemaker.api_model.fitting import check_of

_MODEL: Any = {
    "Node": {
        "type": "structure",
        "required": ["Name"],
        "members": {
            "Name": {"shape": "Name"},
            "Status": {"shape": "Status"},
            "Size": {"shape": "Size"},
            "Share": {"shape": "Share"},
            "Ready": {"shape": "Ready"},
            "Made": {"shape": "Made"},
            "Data": {"shape": "Data"},
            "Labels": {"shape": "Labels"},
            "Nodes": {"shape": "Nodes"},
        },
    },
    "Name": {"type": "string", "min": 1, "max": 4, "pattern": "[a-z]*"},
    "Status": {"type": "string", "enum": ["on", "off"]},
    "Size": {"type": "integer", "min": 0, "max": 9},
    "Share": {"type": "double"},
    "Ready": {"type": "boolean"},
    "Made": {"type": "timestamp"},
    "Data": {"type": "blob"},
    "Labels": {
        "type": "map",
        "key": {"shape": "Name"},
        "value": {"shape": "Status"},
        "max": 2,
    },
    "Nodes": {"type": "list", "member": {"shape": "Node"}, "min": 1},
}
_NODE: Any = ShapeResolver(_MODEL).get_shape_by_name("Node")
_PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 12),
    st.floats(allow_nan=False),
    st.sampled_from(["", "a", "abcd", "abcde", "A", "on", "off"]),
    st.just(datetime(2026, 1, 1, tzinfo=UTC)),
)
_KEYS = st.sampled_from([*_NODE.members, "a", "on", "Unknown"])
_ANY = st.recursive(
    _PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=4)
)


def right(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Values of the shape, some of whose members may be anything."""

    def member(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        return strategy | _ANY

    return st.fixed_dictionaries(
        {"Name": st.sampled_from(["a", "abcd"])},
        optional={
            "Status": member(st.sampled_from(["on", "off"])),
            "Size": member(st.integers(0, 9)),
            "Made": member(st.floats(0, 1)),
            "Labels": member(st.dictionaries(st.just("a"), st.just("on"))),
            "Nodes": member(st.lists(inner, min_size=1, max_size=2)),
        },
    )


@given(_ANY | st.recursive(right(_ANY), right))
@example({"Name": "a", "Nodes": [{"Name": "a", "Nodes": [{"Name": "A"}]}]})
@example({"Name": "a", "Size": True})
@example({"Name": "a", "Made": True})
@example({"Name": "a", "Labels": {"a": None}})
@example({"Name": None})
def test_value_fits_where_there_is_no_fault(value: Any) -> None:
    assert check_of(_NODE)(value) == (not list(service_model._faults(_NODE, value, "")))


def test_fault_has_its_words() -> None:
    assert service_model.faults_of(_NODE, {"Name": "a"}) == []
    assert service_model.faults_of(_NODE, {"Name": "a", "Size": 10}) == [
        "Value '10' at 'size' failed to satisfy constraint: "
        "Member must have value less than or equal to 9"
    ]
