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
    ComparedVersion,
    Row,
    TrackedRun,
    compare,
    training_hyperparameters,
)
from registry.versions.packages import Package
from tests.faults import Faults
from tests.registry.versions.test_queries import NOW
from tests.running_cloud import Client


def compared(label: str = "a", **metadata: str) -> ComparedVersion:
    return ComparedVersion(label, metadata)


def row(key: str, *subjects: ComparedVersion, section: str = "Metrics") -> Row:
    (found,) = [each for each in compare(subjects).sections[section] if each.key == key]
    return found


def test_significantly_better_version_is_best_without_ties() -> None:
    found = row(
        "Top1", compared(Top1="0.60", Queries="1000"), compared(Top1="0.90", Queries="1000")
    )
    assert (found.best, found.tied, found.differs) == (1, (), True)


def test_difference_within_noise_is_marked_as_tied() -> None:
    found = row("Top1", compared(Top1="0.90", Queries="200"), compared(Top1="0.91", Queries="200"))
    assert (found.best, found.tied) == (1, (0,))


def test_lower_value_is_best_where_lower_is_better() -> None:
    few = compared(FalseAcceptRate="0.01", UnseenTest="5000")
    many = compared(FalseAcceptRate="0.10", UnseenTest="5000")
    assert row("FalseAcceptRate", many, few).best == 1


def test_metric_without_a_direction_has_no_best() -> None:
    assert row("Threshold", compared(Threshold="0.1"), compared(Threshold="0.9")).best is None


def test_equal_values_have_no_best_and_do_not_differ() -> None:
    found = row("Auroc", compared(Auroc="0.97"), compared(Auroc="0.97"))
    assert (found.best, found.differs) == (None, False)


def test_one_measured_version_among_unmeasured_ones_is_not_the_best() -> None:
    found = row("Top1", compared(Top1="0.9", Queries="10"), compared(Recipe="tiny"))
    assert (found.best, found.values, found.differs) == (None, ("0.9", None), True)


def test_measured_interval_is_taken_before_one_that_is_computed() -> None:
    metadata = {"Top1": "0.9", "Queries": "1000", "Top1Low": "0.7", "Top1High": "0.95"}
    assert row("Top1", compared(**metadata)).rates == (Rate(0.9, 0.7, 0.95),)
    (computed,) = row("Top1", compared(Top1="0.9", Queries="1000")).rates
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
def test_impossible_values_are_shown_without_interval(metadata: dict[str, str]) -> None:
    found = row("Top1", compared(**metadata))
    assert found.values == (metadata["Top1"],) and found.rates == (None,)


def test_other_metadata_has_its_own_section_without_interval_bounds() -> None:
    one = compared(Top1="0.9", Top1Low="0.8", Top1High="0.95", Recipe="tiny", ModelName="a")
    two = compared(Top1="0.9", Recipe="full", Seed="1")
    metadata = compare([one, two]).sections["Metadata"]
    assert [(each.key, each.values) for each in metadata] == [
        ("Recipe", ("tiny", "full")),
        ("Seed", (None, "1")),
    ]


def test_hyper_parameters_and_runs_have_sections_of_their_own() -> None:
    run = TrackedRun("r1", "FINISHED", {"loss": 0.25}, {"loss": [(0, 1.0), (1, 0.25)]})
    one = ComparedVersion("a", {}, {"epochs": "3"}, run)
    two = ComparedVersion("b", {}, {"epochs": "5"}, None)
    sections = compare([one, two]).sections
    assert list(sections) == ["Hyper-parameters", "MLflow"]
    assert sections["Hyper-parameters"][0].values == ("3", "5")
    assert ("loss", ("0.25", None)) in [(each.key, each.values) for each in sections["MLflow"]]


def test_metrics_of_different_card_sets_are_compared_with_a_note() -> None:
    one, two = compared(CardSetDigest="a" * 64), compared(CardSetDigest="b" * 64)
    assert "different card sets" in compare([one, two]).notes[0]
    assert compare([one, one]).notes == ()
    other = compared(CardSetDigest="a" * 64, Queries="10")
    more = compared(CardSetDigest="a" * 64, Queries="20")
    assert "different numbers of views" in compare([other, more]).notes[0]


@given(
    st.lists(
        st.dictionaries(st.sampled_from([*METRICS, "Recipe", "Seed"]), st.text(max_size=6)),
        min_size=1,
        max_size=4,
    )
)
def test_every_metadata_key_is_in_exactly_one_row(found: list[dict[str, str]]) -> None:
    compared = compare([ComparedVersion(str(at), each) for at, each in enumerate(found)])
    rows = [each for section in compared.sections.values() for each in section]
    assert sorted(each.key for each in rows) == sorted({key for each in found for key in each})
    for each in rows:
        assert each.values == tuple(metadata.get(each.key) for metadata in found)
        assert each.best not in each.tied


# --- intervals


def test_interval_of_a_difference_is_newcombes() -> None:
    # Newcombe (1998), table II, example (a), method 10: 56/70 and 48/80.
    one = Rate(56 / 70, *wilson_interval(56, 70))
    other = Rate(48 / 80, *wilson_interval(48, 80))
    assert difference(one, other) == pytest.approx((0.0524, 0.3339), abs=5e-5)


@given(
    st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
)
def test_difference_is_symmetric(one: tuple[int, int], other: tuple[int, int]) -> None:
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


HERE = "arn:aws:sagemaker:us-east-2:000000000000"


def version(job: str | None, place: str = HERE) -> Package:
    return Package(
        arn=f"{HERE}:model-package/m/1",
        version=1,
        group="m",
        name=None,
        approval="Approved",
        description="",
        created=NOW,
        model_data_url="",
        image="",
        metadata={"TrainingJob": job} if job else {},
        generated_by=f"{place}:training-job/{job}" if job else "",
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


def test_json_encoded_hyper_parameters_are_decoded() -> None:
    assert training_hyperparameters(Jobs(), version("job")) == {
        "epochs": "3",
        "recipe": "tiny",
        "note": "not json",
    }


@pytest.mark.parametrize(
    "place", [HERE.replace("00", "11"), HERE.replace("us-east-2", "eu-west-1")]
)
def test_training_job_of_another_account_or_region_is_not_looked_up(place: str) -> None:
    # A job of that name exists here, and is another one.
    assert training_hyperparameters(Jobs(), version("job", place)) is None


def test_version_without_training_job_has_no_hyper_parameters(
    client: Client, faults: Faults
) -> None:
    sagemaker = client("sagemaker")
    assert training_hyperparameters(sagemaker, version(None)) is None
    assert training_hyperparameters(sagemaker, version("gone")) is None
    faults.fail(sagemaker, "DescribeTrainingJob", "AccessDeniedException")
    with pytest.raises(ClientError, match="AccessDenied"):
        training_hyperparameters(sagemaker, version("job"))
