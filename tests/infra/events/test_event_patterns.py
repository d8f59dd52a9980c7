import pytest

from tests.infra.events.event_patterns import matches


def test_each_field_must_match_and_the_values_of_a_field_are_alternatives() -> None:
    pattern = {"source": ["a", "b"], "detail": {"status": ["done"]}}
    assert matches(pattern, {"source": "b", "detail": {"status": "done"}, "more": 1})
    assert not matches(pattern, {"source": "c", "detail": {"status": "done"}})
    assert not matches(pattern, {"source": "a", "detail": {"status": "going"}})


def test_missing_field_or_object_does_not_match() -> None:
    pattern = {"detail": {"path": {"to": ["x"]}}}
    assert not matches(pattern, {})
    assert not matches(pattern, {"detail": {"path": "x"}})


def test_prefix_matches_the_beginning_of_text_only() -> None:
    pattern = {"name": [{"prefix": "compile-"}]}
    assert matches(pattern, {"name": "compile-x"})
    assert not matches(pattern, {"name": "recompile-x"})
    assert not matches(pattern, {"name": 7})


def test_unknown_operator_is_refused() -> None:
    with pytest.raises(AssertionError, match="anything-but"):
        matches({"name": [{"anything-but": "x"}]}, {"name": "y"})
