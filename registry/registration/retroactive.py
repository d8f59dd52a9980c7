"""Registering a model after the fact, from the name of the training job that made it.

For jobs that wrote no request: trained before there was a registry, or elsewhere. What the job's
record and the artifact say is taken from there; what neither says is requested, all at
once, and recorded with who stated it. No value is invented, and the artifact is not moved.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from registry.aws import NEWEST_FIRST
from registry.deployment import Deployment
from registry.lineage.ancestry import ancestors
from registry.names import (
    CARDS_CHANNEL,
    JOBS_PREFIX,
    STAGES,
    STUDENT,
    TEACHER,
    ModelNameError,
    check_line,
)
from registry.registration.facts import (
    ContradictionError,
    Fact,
    decoded,
    line_word,
    merge_facts,
    metadata_key,
    metric_facts,
    of_kind,
    own_metrics,
    setting_facts,
)
from registry.registration.failed_runs import PARENT_PARAMETER, line_of
from registry.registration.job_archives import read_request
from registry.registration.job_facts import channel_uri
from registry.registration.register import Registration, register_version
from registry.registration.request import RegistrationError
from registry.versions.metadata import (
    CARD_SET_URI,
    PARENT_ARN,
    PARENT_NAME,
    RESERVED,
    STATED,
    TRAINING_JOB,
    stated_by,
)
from registry.versions.metadata_schema import COSINE, SCHEMAS, SHARE
from registry.versions.packages import Package, PackageSummary, describe
from registry.versions.queries import Filters, pages

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.client import SageMakerClient

#: The stage of a teacher's job that does not say another.
_FINISHED_TEACHER = "phase2"
#: What a student of each stage is made from: the parent's type and stages.
_PARENTS = {"stage1": (TEACHER, STAGES[TEACHER]), "stage2": (STUDENT, ("stage1",))}
#: Stages that a training job makes; the others are compiled.
_TRAINED = {TEACHER: STAGES[TEACHER], STUDENT: tuple(_PARENTS)}


class UnknownFactsError(RegistrationError):
    """What neither the job nor the artifact says.

    Attributes:
        missing: The metadata keys, in the schema's order.
    """

    def __init__(self, message: str, missing: tuple[str, ...]) -> None:
        super().__init__(message)
        self.missing = missing


@dataclass(frozen=True)
class ArtifactFacts:
    """What an artifact says about its model.

    Attributes:
        facts: What files beside the weights say, and the graph.
        counted: What the weights' shapes say; others' words for the same are preferred.
        metrics: What its own evaluation measured, under this product's names.
        architecture: The architecture's word in a name, where its own configuration says it.
    """

    facts: tuple[Fact, ...] = ()
    counted: tuple[Fact, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    architecture: str | None = None


@dataclass(frozen=True)
class Statement:
    """What a person says about a model.

    Attributes:
        model_type: ``teacher`` or ``student``.
        stage: Of the name; None where the job is to say it.
        architecture: Of the name, likewise.
        parent: The version that it was made from; a student has one.
        stated: Metadata by key.
        by: Who says it: an ARN.
    """

    model_type: str
    stage: str | None = None
    architecture: str | None = None
    parent: Package | None = None
    stated: Mapping[str, str] = field(default_factory=dict)
    by: str = ""


def registers_itself(deployment: Deployment, job: Mapping[str, Any]) -> bool:
    """Whether a job of this deployment wrote what its model is, so that no person has to say it."""
    output = job.get("OutputDataConfig", {}).get("S3OutputPath", "")
    if not output.rstrip("/").startswith(
        f"s3://{deployment.training_bucket}/{JOBS_PREFIX.rstrip('/')}"
    ):
        return False
    if line_of(job) is not None:
        return True
    try:
        return job["TrainingJobStatus"] == "Completed" and bool(read_request(deployment.s3, job))
    except RegistrationError:
        return False


def registered_as(deployment: Deployment, job: Mapping[str, Any]) -> PackageSummary | None:
    """The version that a training job was registered as, under any name."""
    this = Filters(where=((TRAINING_JOB, job["TrainingJobName"]),), since=job["CreationTime"])
    return next(
        (
            row
            for page in pages(deployment.sagemaker, deployment.group_name, this)
            for row in page.rows
        ),
        None,
    )


def jobs_by_registration(
    deployment: Deployment, model_type: str
) -> Iterator[tuple[Mapping[str, Any] | None, str]]:
    """The deployment's completed jobs of a type, newest first.

    Yields:
        The job and its name where it is not registered; None and the version's name where it is.
    """
    # Every version that has a name says its type in its description, so that none is left out.
    known = {
        (row.metadata or {}).get(TRAINING_JOB): str(row.name)
        for page in pages(
            deployment.sagemaker,
            deployment.group_name,
            Filters(model_type=model_type, text=model_type),
        )
        for row in page.rows
    }
    listed = deployment.sagemaker.get_paginator("list_training_jobs").paginate(
        NameContains=f"{model_type}-",
        StatusEquals="Completed",
        **NEWEST_FIRST,
    )
    for page in listed:
        for row in page["TrainingJobSummaries"]:
            name = row["TrainingJobName"]
            if name in known:
                yield None, known[name]
                continue
            job = deployment.sagemaker.describe_training_job(TrainingJobName=name)
            output = job["OutputDataConfig"]["S3OutputPath"]
            if output.startswith(f"s3://{deployment.training_bucket}/{JOBS_PREFIX.rstrip('/')}"):
                yield job, name


def register(
    deployment: Deployment, job: Mapping[str, Any], found: ArtifactFacts, statement: Statement
) -> Registration:
    """Registers a finished job's model; repeated, it finds the version that it made.

    Args:
        deployment: Clients and names.
        job: DescribeTrainingJob's answer.
        found: What is in the job's artifact.
        statement: What a person states about the model.

    Raises:
        UnknownFactsError: Required keys that no source has; every one is named.
        RegistrationError: The job is not completed, sources contradict each other, a student has
            no parent or a wrong one, or the name is not known.
        MetadataError: A value is of the wrong form.
    """
    label = f"training job {job['TrainingJobName']}"
    if job["TrainingJobStatus"] != "Completed":
        raise RegistrationError(
            f"{label}: is {job['TrainingJobStatus']}; only a completed one has a model"
        )
    existing = registered_as(deployment, job)
    if existing:
        return Registration("already registered", existing.arn, str(existing.name or existing.arn))
    measured = own_metrics(
        {each["MetricName"]: each["Value"] for each in job.get("FinalMetricDataList") or []}
    )
    facts = [
        *(Fact(key, value, "the kind") for key, value in of_kind(statement.model_type).items()),
        *found.facts,
        *setting_facts(job.get("HyperParameters") or {}, "hyper-parameter"),
        *metric_facts(measured, "the job's metric"),
    ]
    stage = _stage(label, facts, statement)
    parent = _parent(deployment, label, job, stage, statement)
    if parent:
        facts += _parent_facts(deployment.sagemaker, parent)
    metadata = _merged_metadata(label, facts, found.counted, stage, statement)
    line = (statement.model_type, _architecture(label, metadata, found, statement), stage)
    cards = channel_uri(job, CARDS_CHANNEL)
    if cards:
        metadata[CARD_SET_URI] = cards
    if parent:
        metadata |= {PARENT_ARN: parent.arn, PARENT_NAME: parent.label}
    metrics = _reported({**measured, **found.metrics}, metadata, statement)
    return register_version(deployment, job, line, metadata, metrics)


def _stage(label: str, facts: Sequence[Fact], statement: Statement) -> str:
    """The stage that is stated or that a source says; two that differ are refused."""
    stages = _TRAINED[statement.model_type]
    word = stages[0].rstrip("0123456789")
    said = [Fact("Stage", statement.stage, "--stage")] if statement.stage else []
    for fact in facts:
        if fact.key == "Stage":
            value = f"{word}{fact.value}" if fact.value.isdigit() else fact.value
            said.append(Fact("Stage", value, fact.source))
    known = [fact for fact in said if fact.value in stages]
    if statement.stage and statement.stage not in stages:
        raise RegistrationError(f"--stage {statement.stage}: is none of {', '.join(stages)}")
    for other in known[1:]:
        if other.value != known[0].value:
            raise RegistrationError(
                f"{label}: its stage is {known[0].value} by {known[0].source} and {other.value} "
                f"by {other.source}"
            )
    if known:
        return known[0].value
    if statement.model_type == TEACHER:
        return _FINISHED_TEACHER
    raise RegistrationError(f"{label}: does not say its stage: --stage stage1 or --stage stage2")


def _parent(
    deployment: Deployment, label: str, job: Mapping[str, Any], stage: str, statement: Statement
) -> Package | None:
    """The version that a student was made from, checked to be one that it can be made from."""
    if statement.model_type != STUDENT:
        return None
    parent = statement.parent
    if parent is None:
        arn = str(decoded((job.get("HyperParameters") or {}).get(PARENT_PARAMETER, "")))
        parent = describe(deployment.sagemaker, arn) if arn.startswith("arn:") else None
    if parent is None:
        raise RegistrationError(
            f"{label}: a student needs the version that it was made from: --parent NAME"
        )
    kind, stages = _PARENTS[stage]
    name = parent.name
    fits = name is not None and name.model_type == kind and name.stage in stages
    if parent.group != deployment.group_name or not fits:
        raise RegistrationError(
            f"--parent {parent.label}: a student of {stage} is made from a {kind} of "
            f"{' or '.join(stages)} in {deployment.group_name}"
        )
    return parent


def _parent_facts(sagemaker: SageMakerClient, parent: Package) -> list[Fact]:
    for each in (parent, *ancestors(sagemaker, parent)):
        if each.name and each.name.model_type == TEACHER:
            return [Fact("TeacherModel", each.name.architecture, f"its parent {each.name}")]
    return []


def _merged_metadata(
    label: str, facts: Sequence[Fact], counted: Sequence[Fact], stage: str, statement: Statement
) -> dict[str, str]:
    """Everything that is known, agreed and complete."""
    schema = SCHEMAS[statement.model_type, stage]
    _check_statements(statement.stated, set(schema))
    stated = [Fact(key, value, "what is stated") for key, value in statement.stated.items()]
    said = [fact for fact in facts if fact.key != "Stage"]
    try:
        # Shapes come last: of what means the same, a configuration's words are preferred.
        merged = merge_facts([Fact("Stage", stage, "the name"), *said, *stated, *counted], schema)
    except ContradictionError as error:
        raise RegistrationError(
            f"{label}: {error}; find out which is right first, nothing is registered"
        ) from None
    wrong = [key for key, value in statement.stated.items() if not schema[key].form.fits(value)]
    if wrong:
        raise RegistrationError(
            "; ".join(f"--set {key}: is not {schema[key].form.words}" for key in wrong)
        )
    # A figure that was measured and is of no use must not be lost in silence.
    lost = [
        key
        for key in merged.unusable
        if key not in merged.metadata and schema[key].form in (SHARE, COSINE)
    ]
    missing = tuple(dict.fromkeys([*merged.missing, *lost]))
    if missing:
        why = "".join(f"; {line}" for line in merged.unusable.values())
        raise UnknownFactsError(
            f"{label}: neither the job nor its artifact says {', '.join(missing)}{why}; "
            "state what you know: " + " ".join(f"--set {key}=…" for key in missing),
            missing,
        )
    metadata = dict(merged.metadata)
    known = {
        fact.key
        for fact in (*said, *counted)
        if fact.key in schema and schema[fact.key].form.fits(fact.value)
    }
    alone = sorted(set(statement.stated) - known)
    if alone:
        metadata[STATED] = stated_by(alone, statement.by)
    return metadata


def _check_statements(stated: Mapping[str, str], known: set[str]) -> None:
    open_keys = sorted(known - RESERVED)
    for key in stated:
        if key in open_keys:
            continue
        if key in RESERVED:
            raise RegistrationError(f"--set {key}: is written by the registry alone")
        near = difflib.get_close_matches(key, open_keys, n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; it has {', '.join(open_keys)}"
        raise RegistrationError(f"--set {key}: the schema has no such key{hint}")


def _architecture(
    label: str, metadata: Mapping[str, str], found: ArtifactFacts, statement: Statement
) -> str:
    """The architecture's word in the name."""
    text = metadata["Architecture"]
    word = statement.architecture or found.architecture or line_word(text)
    counted = [fact.value for fact in found.counted if fact.key == "Architecture"]
    seen = f" (the artifact is a {counted[0]})" if counted else ""
    try:
        if word:
            check_line(statement.model_type, word, STAGES[statement.model_type][0])
            return word
    except ModelNameError as error:
        raise RegistrationError(f"--architecture: {error}") from None
    raise RegistrationError(
        f"{label}: no rule makes a name of the architecture {text!r}{seen}; give that part of "
        "it, such as --architecture dinov3-vitl16"
    )


def _reported(
    metrics: Mapping[str, float], metadata: Mapping[str, str], statement: Statement
) -> dict[str, float]:
    """Metrics for the quality report; a statement stands for what was of no use."""
    stated = {
        name: float(metadata[metadata_key(name)])
        for name in {*metrics, "top1", "top5", "queries"}
        if metadata_key(name) in statement.stated
    }
    return {**metrics, **stated}
