"""Versions side by side: differences, what is better, and what is noise."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import assume, given
from hypothesis import strategies as st

from registry.intervals import Rate, differ, difference, wilson_interval
from registry.versions.comparison import (
    METRICS,
    Row,
    Run,
    Subject,
    compare,
    training_hyperparameters,
)
from registry.versions.packages import Package
from tests.faults import Faults
from tests.registry.versions.test_queries import NOW
from tests.running_cloud import Client


def subject(label: str = "a", **metadata: str) -> Subject:
    return Subject(label, metadata)


def row(key: str, *subjects: Subject, section: str = "Metrics") -> Row:
    (found,) = [each for each in compare(subjects).sections[section] if each.key == key]
    return found


def test_a_clear_winner_is_best_and_nothing_is_tied_with_it() -> None:
    found = row("Top1", subject(Top1="0.60", Queries="1000"), subject(Top1="0.90", Queries="1000"))
    assert (found.best, found.tied, found.differs) == (1, (), True)


def test_a_difference_within_noise_is_said_to_be_so() -> None:
    found = row("Top1", subject(Top1="0.90", Queries="200"), subject(Top1="0.91", Queries="200"))
    assert (found.best, found.tied) == (1, (0,))


def test_less_is_better_where_it_is_less_that_is_wanted() -> None:
    few = subject(FalseAcceptRate="0.01", UnseenTest="5000")
    many = subject(FalseAcceptRate="0.10", UnseenTest="5000")
    assert row("FalseAcceptRate", many, few).best == 1


def test_a_metric_without_a_direction_has_no_best() -> None:
    assert row("Threshold", subject(Threshold="0.1"), subject(Threshold="0.9")).best is None


def test_equal_values_have_no_best_and_do_not_differ() -> None:
    found = row("Auroc", subject(Auroc="0.97"), subject(Auroc="0.97"))
    assert (found.best, found.differs) == (None, False)


def test_one_measured_version_among_unmeasured_ones_is_not_the_best() -> None:
    found = row("Top1", subject(Top1="0.9", Queries="10"), subject(Recipe="tiny"))
    assert (found.best, found.values, found.differs) == (None, ("0.9", None), True)


def test_the_measured_interval_is_taken_before_one_that_is_computed() -> None:
    metadata = {"Top1": "0.9", "Queries": "1000", "Top1Low": "0.7", "Top1High": "0.95"}
    assert row("Top1", subject(**metadata)).rates == (Rate(0.9, 0.7, 0.95),)
    (computed,) = row("Top1", subject(Top1="0.9", Queries="1000")).rates
    assert computed and (computed.low, computed.high) == wilson_interval(900, 1000)


@pytest.mark.parametrize(
    "metadata",
    [
        {"Top1": "good", "Queries": "10"},
        {"Top1": "1.7", "Queries": "10"},
        {"Top1": "nan", "Queries": "10"},
        {"Top1": "0.9", "Queries": "0"},
        {"Top1": "0.9", "Queries": "many"},
        {"Top1": "0.9"},
        {"Top1": "0.9", "Top1Low": "0.95", "Top1High": "0.99"},
    ],
)
def test_figures_that_cannot_be_are_shown_and_have_no_interval(metadata: dict[str, str]) -> None:
    found = row("Top1", subject(**metadata))
    assert found.values == (metadata["Top1"],) and found.rates == (None,)


def test_metadata_that_is_no_metric_stands_apart_and_bounds_are_not_repeated() -> None:
    one = subject(Top1="0.9", Top1Low="0.8", Top1High="0.95", Recipe="tiny", ModelName="a")
    two = subject(Top1="0.9", Recipe="full", Seed="1")
    metadata = compare([one, two]).sections["Metadata"]
    assert [(each.key, each.values) for each in metadata] == [
        ("Recipe", ("tiny", "full")),
        ("Seed", (None, "1")),
    ]


def test_hyper_parameters_and_runs_have_sections_of_their_own() -> None:
    run = Run("r1", "FINISHED", {"loss": 0.25}, {"loss": [(0, 1.0), (1, 0.25)]})
    one = Subject("a", {}, {"epochs": "3"}, run)
    two = Subject("b", {}, {"epochs": "5"}, None)
    sections = compare([one, two]).sections
    assert list(sections) == ["Hyper-parameters", "MLflow"]
    assert sections["Hyper-parameters"][0].values == ("3", "5")
    assert ("loss", ("0.25", None)) in [(each.key, each.values) for each in sections["MLflow"]]


def test_figures_of_different_card_sets_are_not_compared_in_silence() -> None:
    one, two = subject(CardSetDigest="a" * 64), subject(CardSetDigest="b" * 64)
    assert "different card sets" in compare([one, two]).notes[0]
    assert compare([one, one]).notes == ()
    other = subject(CardSetDigest="a" * 64, Queries="10")
    more = subject(CardSetDigest="a" * 64, Queries="20")
    assert "different numbers of views" in compare([other, more]).notes[0]


@given(
    st.lists(
        st.dictionaries(st.sampled_from([*METRICS, "Recipe", "Seed"]), st.text(max_size=6)),
        min_size=1,
        max_size=4,
    )
)
def test_whatever_stands_in_metadata_every_key_is_in_one_row(found: list[dict[str, str]]) -> None:
    compared = compare([Subject(str(at), each) for at, each in enumerate(found)])
    rows = [each for section in compared.sections.values() for each in section]
    assert sorted(each.key for each in rows) == sorted({key for each in found for key in each})
    for each in rows:
        assert each.values == tuple(metadata.get(each.key) for metadata in found)
        assert each.best not in each.tied


# --- intervals


def test_the_interval_of_a_difference_is_newcombes() -> None:
    # Newcombe (1998), table II, example (a), method 10: 56/70 and 48/80.
    one = Rate(56 / 70, *wilson_interval(56, 70))
    other = Rate(48 / 80, *wilson_interval(48, 80))
    assert difference(one, other) == pytest.approx((0.0524, 0.3339), abs=5e-5)


@given(
    st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
)
def test_a_difference_is_as_sure_one_way_as_the_other(
    one: tuple[int, int], other: tuple[int, int]
) -> None:
    rates = [Rate(hits / trials, *wilson_interval(hits, trials)) for hits, trials in (one, other)]
    low, high = difference(*rates)
    back = difference(*reversed(rates))
    assert low <= rates[0].value - rates[1].value <= high
    assert (-back[1], -back[0]) == pytest.approx((low, high))
    assert differ(*rates) == differ(*reversed(rates))
    assert not differ(rates[0], rates[0])
    assume(rates[0].high < rates[1].low or rates[1].high < rates[0].low)
    assert differ(*rates), "intervals that do not meet are told apart"


# --- what the training job was given


def version(job: str | None) -> Package:
    return Package(
        arn="arn:aws:sagemaker:us-east-2:000000000000:model-package/m/1",
        version=1,
        group="m",
        name=None,
        approval="Approved",
        description="",
        created=NOW,
        model_data_url="",
        image="",
        metadata={"TrainingJob": job} if job else {},
    )


class Jobs:
    """A SageMaker that knows one training job."""

    def describe_training_job(self, TrainingJobName: str) -> dict[str, Any]:
        assert TrainingJobName == "job"
        return {
            "HyperParameters": {
                "epochs": "3",
                "recipe": json.dumps("tiny"),
                "note": "not json",
                "sagemaker_program": json.dumps("train.py"),
            }
        }


def test_hyper_parameters_are_read_as_they_were_meant() -> None:
    assert training_hyperparameters(Jobs(), version("job")) == {
        "epochs": "3",
        "recipe": "tiny",
        "note": "not json",
    }


def test_a_version_without_a_job_or_whose_job_is_gone_has_none(
    client: Client, faults: Faults
) -> None:
    sagemaker = client("sagemaker")
    assert training_hyperparameters(sagemaker, version(None)) is None
    assert training_hyperparameters(sagemaker, version("gone")) is None
    faults.fail(sagemaker, "DescribeTrainingJob", "AccessDeniedException")
    with pytest.raises(ClientError, match="AccessDenied"):
        training_hyperparameters(sagemaker, version("job"))
