"""What is typed as a filter: bounds on metrics, times, metadata conditions, kinds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.names import STAGES
from registry.versions.packages import PENDING
from registry.versions.queries import (
    Filters,
    QueryError,
    Threshold,
    parse_since,
    parse_where,
)
from tests.registry.versions.test_queries import NOW, row


@pytest.mark.parametrize(
    ("text", "key", "sign", "bound"),
    [
        ("Top1>=0.8", "Top1", ">=", 0.8),
        ("top1_unseen > .5", "Top1Unseen", ">", 0.5),
        ("FalseAcceptRate<=1e-2", "FalseAcceptRate", "<=", 0.01),
        ("Seed==3", "Seed", "=", 3.0),
        ("cosine worst<-0.1", "CosineWorst", "<", -0.1),
    ],
)
def test_bound_is_parsed(text: str, key: str, sign: str, bound: float) -> None:
    assert Threshold.parse(text) == Threshold(key, sign, bound)


@pytest.mark.parametrize(
    "text", ["", "Top1", "Top1>=", ">=0.8", "Top1=>0.8", "Top1>=nan", "Top1>inf", "a<b<1"]
)
def test_malformed_bound_is_refused(text: str) -> None:
    with pytest.raises(QueryError, match="is no bound"):
        Threshold.parse(text)


@given(value=st.floats(-1e6, 1e6), bound=st.floats(-1e6, 1e6))
def test_bound_holds_as_its_sign_says(value: float, bound: float) -> None:
    metadata = {"Top1": repr(value)}
    holds = {
        sign: Threshold("Top1", sign, bound).holds(metadata) for sign in (">=", "<=", ">", "<")
    }
    assert holds[">="] == (not holds["<"]) == (value >= bound)
    assert holds["<="] == (not holds[">"]) == (value <= bound)


def test_metric_that_is_missing_or_no_number_is_within_no_bound() -> None:
    for metadata in ({}, {"Top1": "good"}, {"Top1": "nan"}, {"Top1": ""}):
        assert not Threshold.parse("Top1<=1").holds(metadata)
        assert not Threshold.parse("Top1>=0").holds(metadata)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("7d", NOW - timedelta(days=7)),
        ("12h", NOW - timedelta(hours=12)),
        ("90m", NOW - timedelta(minutes=90)),
        ("2w", NOW - timedelta(days=14)),
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T10:00+02:00", datetime(2026, 1, 31, 8, tzinfo=UTC)),
    ],
)
def test_time_is_a_date_or_an_age(text: str, moment: datetime) -> None:
    assert parse_since(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "7", "-7d", "999999w", "2026-13-01", "7٣d"])
def test_malformed_time_is_refused(text: str) -> None:
    with pytest.raises(QueryError, match="7d"):
        parse_since(text, NOW)


def test_metadata_condition_is_a_key_and_a_value() -> None:
    assert parse_where("Recipe=tiny") == ("Recipe", "tiny")
    assert parse_where("Uri=s3://b/k?a=b") == ("Uri", "s3://b/k?a=b")
    for text in ("Recipe", "=tiny", "Recipe="):
        with pytest.raises(QueryError, match="Recipe=tiny"):
            parse_where(text)


@pytest.mark.parametrize(
    "wrong", [{"approval": "Yes"}, {"model_type": "robot"}, {"stage": "stage9"}]
)
def test_filter_for_unknown_type_or_stage_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(QueryError, match="is none of"):
        Filters(**wrong)


@settings(deadline=None)
@given(st.lists(st.sampled_from([(k, s) for k in STAGES for s in STAGES[k]]), max_size=20))
def test_filter_keeps_exactly_what_its_name_says(kinds: list[tuple[str, str]]) -> None:
    rows = [row(at + 1, f"{kind}-x-{stage}-v{at + 1}", PENDING) for at, (kind, stage) in
            enumerate(kinds)]  # fmt: skip
    for kind, stage in set(kinds):
        chosen = Filters(model_type=kind, stage=stage)
        assert [r.version for r in rows if chosen.keep(r)] == [
            at + 1 for at, each in enumerate(kinds) if each == (kind, stage)
        ]
