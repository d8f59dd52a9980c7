"""Compares versions: what differs, what is better, and which differences are within noise."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from registry.aws_errors import is_missing
from registry.intervals import Rate, differ, wilson_interval
from registry.untrusted.json_object import parse_value
from registry.versions.metadata import CARD_SET_DIGEST, MODEL_NAME, TRAINING_JOB
from registry.versions.packages import Package
from registry.versions.queries import number

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.client import SageMakerClient


@dataclass(frozen=True)
class Metric:
    """A metric whose meaning is known.

    Attributes:
        better: 1 where more is better, -1 where less is, 0 where neither is.
        trials: The key of the number of trials behind a rate, or an empty string.
        bounds: The keys of the measured interval's ends, or empty strings.
    """

    better: int
    trials: str = ""
    bounds: tuple[str, str] = ("", "")


#: By metadata key. Rates in [0, 1]; similarities are cosines.
METRICS: Mapping[str, Metric] = {
    "Top1": Metric(1, "Queries", ("Top1Low", "Top1High")),
    "Top5": Metric(1, "Queries"),
    "Top1Unseen": Metric(1, "UnseenTest", ("Top1UnseenLow", "Top1UnseenHigh")),
    "Auroc": Metric(1),
    "FalseAcceptRate": Metric(-1, "UnseenTest"),
    "FalseAcceptTarget": Metric(0),
    "TrueAcceptRate": Metric(1, "Queries"),
    "AcceptedRight": Metric(1, "Queries"),
    "AddedCards": Metric(0),
    "Top1Added": Metric(1),
    "AcceptedRightAdded": Metric(1),
    "BestSimilarity": Metric(1),
    "Similarity": Metric(1),
    "CosineMean": Metric(1),
    "CosineWorst": Metric(1),
    "ValidationTop1": Metric(1),
    "ValidationTop1Unseen": Metric(1),
    # Cosines of one embedding space are not measured by another's: neither end is the better one.
    "MeanSimilarity": Metric(0),
    "MeanBestOther": Metric(0),
    "Threshold": Metric(0),
    "Queries": Metric(0),
    "Gallery": Metric(0),
    "Cards": Metric(0),
    "UnseenValidation": Metric(0),
    "UnseenTest": Metric(0),
}
#: SageMaker's SDK adds these to a job's hyper-parameters; they set nothing of the training.
_OF_THE_SDK = "sagemaker_"
#: What SageMaker takes as the name of a job; metadata that others wrote may hold anything.
_JOB_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")


@dataclass(frozen=True)
class TrackedRun:
    """A tracked run, as MLflow has it.

    Attributes:
        metrics: The last value of each.
        curves: (step, value) of a metric, in the order of the steps, by its name.
    """

    run_id: str
    status: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    curves: Mapping[str, Sequence[tuple[int, float]]] = field(default_factory=dict)


@dataclass(frozen=True)
class ComparedVersion:
    """One of the versions that are compared.

    Attributes:
        hyperparameters: Of its training job; None where there is no job to ask.
        run: Its tracked run; None where there is none, or none to be had.
    """

    label: str
    metadata: Mapping[str, str]
    hyperparameters: Mapping[str, str] | None = None
    run: TrackedRun | None = None


@dataclass(frozen=True)
class Row:
    """One thing of every version.

    Attributes:
        values: As text, in the order of the versions; None where a version does not have it.
        rates: The values with their intervals where it is a rate that was measured.
        best: The place of the best value; None where none is better than another.
        tied: Places of values that the best one does not differ from by more than noise.
    """

    key: str
    values: tuple[str | None, ...]
    rates: tuple[Rate | None, ...] = ()
    best: int | None = None
    tied: tuple[int, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether the versions do not all have the same."""
        return len(set(self.values)) > 1


@dataclass(frozen=True)
class Comparison:
    """Versions side by side.

    Attributes:
        sections: Rows by title: metrics, hyper-parameters, MLflow, metadata.
        notes: What must be known to read it.
    """

    labels: tuple[str, ...]
    sections: Mapping[str, tuple[Row, ...]]
    notes: tuple[str, ...]


def compare(versions: Sequence[ComparedVersion]) -> Comparison:
    """Puts versions side by side; rows in an order that does not depend on theirs."""
    metric_keys = [key for key in METRICS if any(key in each.metadata for each in versions)]
    # An interval without its metric is shown as it is.
    hidden = {bound for key in metric_keys for bound in METRICS[key].bounds if bound} | {MODEL_NAME}
    sections = {
        "Metrics": tuple(_metric_row(key, versions) for key in metric_keys),
        "Hyper-parameters": _plain_rows(versions, lambda each: each.hyperparameters or {}),
        "MLflow": _plain_rows(versions, _run_facts),
        "Metadata": _plain_rows(
            versions,
            lambda each: {
                key: value
                for key, value in each.metadata.items()
                if key not in METRICS and key not in hidden
            },
        ),
    }
    return Comparison(
        labels=tuple(each.label for each in versions),
        sections={title: rows for title, rows in sections.items() if rows},
        notes=tuple(_notes(versions)),
    )


def training_hyperparameters(
    sagemaker: SageMakerClient, package: Package
) -> Mapping[str, str] | None:
    """What a version's training job was given; None for a version that no job trained, or whose
    job is gone or of another account."""
    job = package.metadata.get(TRAINING_JOB)
    # A version that others registered may name its job in the metadata alone.
    foreign = package.generated_by and package.own_job != ("training-job", job)
    if not job or foreign or not _JOB_NAME.fullmatch(job):
        return None
    try:
        answer = sagemaker.describe_training_job(TrainingJobName=job)
    except ClientError as error:
        if is_missing(error):
            return None
        raise
    return {
        key: _unquoted(value)
        for key, value in answer.get("HyperParameters", {}).items()
        if not key.startswith(_OF_THE_SDK)
    }


def _metric_row(key: str, versions: Sequence[ComparedVersion]) -> Row:
    metric = METRICS[key]
    values = tuple(each.metadata.get(key) for each in versions)
    rates = tuple(_rate(metric, key, each.metadata) for each in versions)
    known = [(place, number(value)) for place, value in enumerate(values)]
    ranked = sorted(
        ((value * metric.better, place) for place, value in known if value is not None),
        reverse=True,
    )
    best = None
    if metric.better and len(ranked) > 1 and ranked[0][0] > ranked[-1][0]:
        best = ranked[0][1]
    tied = tuple(
        place
        for place, _ in known
        if best is not None and place != best and _within_noise(rates[best], rates[place])
    )
    return Row(key, values, rates, best, tied)


def _rate(metric: Metric, key: str, metadata: Mapping[str, str]) -> Rate | None:
    value = number(metadata.get(key))
    low, high = (number(metadata.get(bound)) for bound in metric.bounds)
    trials = number(metadata.get(metric.trials))
    if value is None or not 0 <= value <= 1:
        return None
    if low is not None and high is not None and low <= value <= high:
        return Rate(value, low, high)
    if trials is None or trials < 1:
        return None
    return Rate(value, *wilson_interval(round(value * trials), round(trials)))


def _within_noise(one: Rate | None, other: Rate | None) -> bool:
    return one is not None and other is not None and not differ(one, other)


def _plain_rows(
    versions: Sequence[ComparedVersion], facts: Callable[[ComparedVersion], Mapping[str, str]]
) -> tuple[Row, ...]:
    each = [facts(version) for version in versions]
    keys = sorted({key for one in each for key in one})
    return tuple(Row(key, tuple(one.get(key) for one in each)) for key in keys)


def _run_facts(version: ComparedVersion) -> Mapping[str, str]:
    if version.run is None:
        return {}
    return {
        "run": version.run.run_id,
        "status": version.run.status,
        **{key: f"{value:.6g}" for key, value in version.run.metrics.items()},
    }


def _notes(versions: Sequence[ComparedVersion]) -> list[str]:
    notes = []
    digests = {each.metadata.get(CARD_SET_DIGEST) for each in versions} - {None}
    if len(digests) > 1:
        notes.append("measured on different card sets: their metrics answer different questions")
    elif len({each.metadata.get("Queries") for each in versions} - {None}) > 1:
        notes.append("measured on different numbers of views: compare the intervals")
    return notes


def _unquoted(value: str) -> str:
    """A hyper-parameter as it was meant: SageMaker's SDK writes each as JSON."""
    try:
        read = parse_value(value)
    except ValueError:
        return value
    return read if isinstance(read, str) else value
