"""What SageMaker Lineage should hold about one version: a pure function of what is recorded.

    data set ──ContributedTo──▶ distillation ──Produced──▶ model ──AssociatedWith──▶ approval
    parent ───ContributedTo──────────▲                       ▲
       └────────────────────DerivedFrom──────────────────────┘

An artifact is identified by the address of what it represents, an action by its name. Both are
computed from the version alone, so that every recording of it writes the same entities.

Entities and associations: https://docs.aws.amazon.com/sagemaker/latest/dg/lineage-tracking-entities.html
Limits: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateAction.html
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from registry.compilers import COMPILERS, ONNX_FORMAT, ONNX_STAGE
from registry.names import CARDS_CHANNEL, LINEAGE_ACTION_PREFIX, ModelName, name_in_description
from registry.untrusted.text import aws_line
from registry.versions.metadata import (
    ADDED_CARDS,
    APPROVAL_REASON,
    CARD_SET_DIGEST,
    CARD_SET_URI,
    FAILURE_REASON,
    MLFLOW_RUN,
    PARENT_NAME,
)
from registry.versions.packages import PENDING, Package

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.literals import ActionStatusType, AssociationEdgeTypeType

ENTITY_NAME_LIMIT = 120
DESCRIPTION_LIMIT = 3072
URI_LIMIT = 2048
PROPERTY_LIMIT = 2500
ORIGIN_LIMIT = 1024

#: Types as SageMaker's own entities and SDK use them.
DATA_SET = "DataSet"
MODEL = "Model"
APPROVAL = "Approval"
#: By stage: what was done to make such a version.
MADE_BY = {
    "phase1": "Training",
    "phase2": "Training",
    "stage1": "Distillation",
    "stage2": "Distillation",
    ONNX_STAGE: "Export",
    **{kind.stage: "Compilation" for kind in COMPILERS},
}
#: What was done to make a version with the model of another one of its line.
ADDITION = "Indexing"
_PACKAGE_ARN = re.compile(r"arn:aws[a-z-]*:sagemaker:[a-z0-9-]*:[0-9]{12}:model-package/[\w/-]+")
_FORMATS = {ONNX_STAGE: ONNX_FORMAT} | {kind.stage: kind.file_format for kind in COMPILERS}


@dataclass(frozen=True)
class Artifact:
    """A thing with an address: a data set, a version.

    Attributes:
        source_uri: Its address. SageMaker keeps one artifact for each.
        properties: Written on creation; an artifact that SageMaker created keeps its own.
    """

    source_uri: str
    type: str
    name: str
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Action:
    """Something that was done.

    Attributes:
        source_uri: The job's ARN, or the version's for a decision about it.
        status: ``Completed``, ``Failed`` or ``Stopped``.
        written_once: Not updated later; a decision stays as it was first recorded.
    """

    name: str
    type: str
    source_uri: str
    source_type: str
    status: ActionStatusType
    description: str
    properties: Mapping[str, str]
    commit: str = ""
    generated_by: str = ""
    written_once: bool = False


@dataclass(frozen=True)
class Association:
    """An edge; its ends are an artifact's address or an action's name."""

    source: str
    destination: str
    type: AssociationEdgeTypeType


@dataclass(frozen=True)
class Graph:
    """Entities, and the edges between them, in the order in which they are written."""

    artifacts: tuple[Artifact, ...]
    actions: tuple[Action, ...]
    associations: tuple[Association, ...]

    def without(self, source_uri: str) -> Graph:
        """The graph less one artifact and its edges: where it ends."""
        return Graph(
            tuple(each for each in self.artifacts if each.source_uri != source_uri),
            self.actions,
            tuple(e for e in self.associations if source_uri not in (e.source, e.destination)),
        )


@dataclass(frozen=True)
class JobRecord:
    """What DescribeTrainingJob or DescribeProcessingJob adds to a version.

    Attributes:
        kind: ``TrainingJob`` or ``ProcessingJob``.
        image: The container image that it ran in.
        cards_uri: The card set that it was given, or an empty string.
    """

    arn: str
    kind: str
    status: str
    image: str
    cards_uri: str

    @classmethod
    def from_description(cls, answer: Mapping[str, Any]) -> JobRecord:
        """Reads an answer of DescribeTrainingJob or DescribeProcessingJob."""
        if "TrainingJobArn" in answer:
            uris = {
                each.get("ChannelName"): each.get("DataSource", {}).get("S3DataSource", {})
                for each in answer.get("InputDataConfig", [])
            }
            kind, image = "TrainingJob", answer.get("AlgorithmSpecification", {})
        else:
            uris = {
                each.get("InputName"): each.get("S3Input", {})
                for each in answer.get("ProcessingInputs", [])
            }
            kind, image = "ProcessingJob", answer.get("AppSpecification", {})
        return cls(
            arn=answer[f"{kind}Arn"],
            kind=kind,
            status=answer[f"{kind}Status"],
            image=image.get("TrainingImage") or image.get("ImageUri") or "",
            cards_uri=uris.get(CARDS_CHANNEL, {}).get("S3Uri", ""),
        )


def version_graph(package: Package, job: JobRecord | None) -> Graph:
    """Everything that Lineage should hold about a version, its inputs and its approval.

    Args:
        package: The version.
        job: The job that made it, where there is such a record.
    """
    model = model_artifact(package.arn, package.name)
    made = _production(package, job)
    artifacts, edges = [model], []
    uri, digest = card_set(package)
    uri = uri or (aws_line(job.cards_uri, URI_LIMIT) if job else "")
    if uri:
        data = _data_set(uri, digest)
        artifacts.append(data)
        edges.append(Association(data.source_uri, made.name, "ContributedTo"))
    if parent_of(package):
        parent_name = name_in_description(package.metadata.get(PARENT_NAME, ""))
        parent = model_artifact(parent_of(package), parent_name)
        artifacts.append(parent)
        edges.append(Association(parent.source_uri, made.name, "ContributedTo"))
        edges.append(Association(parent.source_uri, model.source_uri, "DerivedFrom"))
    # A failed run has a version in the registry, and produced nothing.
    done = made.status == "Completed"
    edges.append(Association(made.name, model.source_uri, "Produced" if done else "AssociatedWith"))
    actions = [made]
    approval = _approval(package)
    if approval:
        actions.append(approval)
        edges.append(Association(model.source_uri, approval.name, "AssociatedWith"))
    return Graph(tuple(artifacts), tuple(actions), tuple(edges))


def made_by(package: Package) -> str:
    """What was done to make a version, for example ``Distillation``."""
    if package.name is None:
        return "Registration"
    parent = name_in_description(package.metadata.get(PARENT_NAME, ""))
    own_line = parent is not None and parent.line == package.name.line
    grown = own_line and ADDED_CARDS in package.metadata
    return ADDITION if grown else MADE_BY[package.name.stage]


def card_set(package: Package) -> tuple[str, str]:
    """Address and digest of the cards that a version was trained on; empty where not recorded."""
    known = package.metadata
    return aws_line(known.get(CARD_SET_URI, ""), URI_LIMIT), known.get(CARD_SET_DIGEST, "")


def parent_of(package: Package) -> str:
    """The ARN of a version's parent; empty where what it records is none.

    SageMaker numbers the versions of a group in the order in which they are registered, and a
    version is registered after its parent. So a parent whose number is not lower is none, and the
    edges of a group's versions never lead back to where they started.
    """
    arn = package.parent_arn or ""
    if not _PACKAGE_ARN.fullmatch(arn) or arn == package.arn:
        return ""
    (group, number), (own_group, own) = (
        (place, each) for place, _, each in (arn.rpartition("/"), package.arn.rpartition("/"))
    )
    if group == own_group and number.isdecimal() and own.isdecimal():
        return arn if int(number) < int(own) else ""
    return arn


def model_artifact(arn: str, name: ModelName | None) -> Artifact:
    """A version's artifact: the same whether the version itself names it or its child does."""
    properties = {"ModelPackageArn": arn}
    if name:
        properties |= {
            "ModelName": str(name),
            "Stage": name.stage,
            "Format": _FORMATS.get(name.stage, "PyTorch"),
        }
    return Artifact(arn, MODEL, _entity_name(str(name) if name else _tail(arn), arn), properties)


def _data_set(uri: str, digest: str) -> Artifact:
    return Artifact(
        source_uri=uri,
        type=DATA_SET,
        name=_entity_name("cards", digest[:12], uri),
        properties=_nonempty({CARD_SET_DIGEST: digest}),
    )


def _production(package: Package, job: JobRecord | None) -> Action:
    """The training, distillation, export or compilation that made a version."""
    kind = made_by(package)
    failure = package.metadata.get(FAILURE_REASON, "")
    uri, digest = card_set(package)
    stopped = bool(job and job.status == "Stopped")
    # No job adds cards: what such a version says it is made by names its parent and the cards.
    generated_by = "" if kind == ADDITION else package.generated_by
    origin = job.arn if job else aws_line(generated_by, ORIGIN_LIMIT)
    return Action(
        name=LINEAGE_ACTION_PREFIX + _entity_name(kind.lower(), _short(package), package.arn),
        type=kind,
        source_uri=origin or package.arn,
        source_type=job.kind if job else ("Job" if origin else "ModelPackage"),
        status=("Stopped" if stopped else "Failed") if failure else "Completed",
        description=aws_line(package.description, DESCRIPTION_LIMIT),
        properties=_nonempty(
            {
                "ModelPackageArn": package.arn,
                "Job": origin,
                "ContainerImage": job.image if job else "",
                "GitCommit": package.commit,
                CARD_SET_URI: uri or (job.cards_uri if job else ""),
                CARD_SET_DIGEST: digest,
                MLFLOW_RUN: package.metadata.get(MLFLOW_RUN, ""),
                FAILURE_REASON: failure,
            }
        ),
        commit=aws_line(package.commit, ORIGIN_LIMIT),
        generated_by=origin,
    )


def _approval(package: Package) -> Action | None:
    """The current decision; None while a version waits for one.

    Our own approvals put who, when and why into the description, so each is an action of its
    own. For a decision in the console, who changed the version last is recorded under SageMaker's
    own field names, because a later change of another property updates them as well.
    """
    if package.approval == PENDING:
        return None
    reason = (
        package.approval_description
        or package.metadata.get(APPROVAL_REASON, "")
        or package.metadata.get(FAILURE_REASON, "")
    )
    changed = package.modified or package.created
    return Action(
        name=LINEAGE_ACTION_PREFIX
        + _entity_name(
            "approval",
            _short(package),
            f"{package.arn} {package.approval} {package.approval_description}",
        ),
        type=APPROVAL,
        source_uri=package.arn,
        source_type="ModelPackage",
        status="Completed",
        description=aws_line(
            f"{package.approval}: {reason or 'no reason given'}", DESCRIPTION_LIMIT
        ),
        properties=_nonempty(
            {
                "ModelPackageArn": package.arn,
                "ModelApprovalStatus": package.approval,
                "ApprovalDescription": package.approval_description,
                APPROVAL_REASON: package.metadata.get(APPROVAL_REASON, ""),
                "LastModifiedBy": package.modified_by or "",
                "LastModifiedTime": changed.isoformat(timespec="seconds"),
            }
        ),
        written_once=True,
    )


def _short(package: Package) -> str:
    return str(package.name) if package.name else _tail(package.arn)


def _tail(arn: str) -> str:
    """``group/version`` of a version's ARN."""
    return arn.partition("model-package/")[2] or arn


def _entity_name(*words: str) -> str:
    """Words, and a digest of the last one, within ``[a-zA-Z0-9](-*[a-zA-Z0-9]){0,119}``.

    The digest keeps names apart that differ in what the pattern does not allow, and the same
    model's name in two groups of an account.
    """
    *said, identity = words
    text = re.sub(r"[^a-zA-Z0-9]+", "-", "-".join(word for word in said if word)).strip("-")
    digest = hashlib.sha256(identity.encode()).hexdigest()[:8]
    limit = ENTITY_NAME_LIMIT - len(LINEAGE_ACTION_PREFIX) - len(digest) - 1
    return f"{text[:limit].strip('-') or 'unnamed'}-{digest}"


def _nonempty(properties: Mapping[str, str]) -> dict[str, str]:
    """The properties that have a value, within SageMaker's limits."""
    return {key: aws_line(value, PROPERTY_LIMIT) for key, value in properties.items() if value}
