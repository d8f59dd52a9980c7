"""A version with the model of an earlier one, and more cards in its index.

New sets appear more often than models are trained. The new version has the earlier one's very model
archive and a card set of its own, so that a person's approval is bound to both by their digests,
and everything that follows (compilation, gate, signature, channels, rollback) knows nothing of it:
the compile job indexes the cards that the model's own split does not name, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from registry.deployment import Deployment
from registry.names import ModelName, parse_name
from registry.object_identity import ObjectIdentity
from registry.registration.register import Registration
from registry.registration.request import RegistrationError
from registry.versions import model_card, model_quality
from registry.versions.metadata import (
    ADDED_CARDS,
    APPROVAL_REASON,
    CARD_SET_DIGEST,
    CARD_SET_URI,
    COMPILE_FAILED_JOB,
    COMPILE_FAILURE,
    INSTANCE_COUNT,
    INSTANCE_TYPE,
    MLFLOW_RUN,
    MODEL_ARCHIVE,
    MODEL_NAME,
    OUTPUT_ARCHIVE,
    PARENT_ARN,
    PARENT_NAME,
    PROMOTED_FROM,
    RELEASE,
    REPORT_PAGE,
    TRAINING_JOB,
    TRAINING_SECONDS,
    VALIDATION,
    VALIDATION_FAULTS,
    kept_metrics,
)
from registry.versions.metadata_schema import ADDED, RETRIEVAL
from registry.versions.name_claims import claim_exact_name, claim_name
from registry.versions.packages import (
    APPROVED,
    PENDING,
    NewPackage,
    Package,
    create,
    describe,
    find,
)
from registry.versions.validation import validate

#: Of the parent alone: its run, its name, what became of it.
_PARENTS_OWN = frozenset(
    {
        MODEL_NAME,
        PARENT_ARN,
        PARENT_NAME,
        APPROVAL_REASON,
        PROMOTED_FROM,
        OUTPUT_ARCHIVE,
        REPORT_PAGE,
    }
    | {TRAINING_JOB, TRAINING_SECONDS, INSTANCE_TYPE, INSTANCE_COUNT, MLFLOW_RUN}
    | {RELEASE, COMPILE_FAILURE, COMPILE_FAILED_JOB, VALIDATION, VALIDATION_FAULTS}
)


@dataclass(frozen=True)
class GrownCardSet:
    """The parent's card set with the added cards.

    Attributes:
        uri: Where it lies, ``s3://bucket/prefix/``.
        digest: Its digest.
        added: How many cards were added since the model was trained.
    """

    uri: str
    digest: str
    added: int


def source_of(parent: Package, cards: GrownCardSet) -> str:
    """What the new version is made by, as its name's claim says it: the same for the same cards."""
    return f"{parent.arn}#cards/{cards.digest}"


def require_model(parent: Package) -> ModelName:
    """The name of a version that cards can be added to.

    Raises:
        RegistrationError: It is no approved stage-2 student, or the digest of its archive is not
            recorded.
    """
    if parent.name is None or not parent.name.releasable:
        raise RegistrationError(
            f"{parent.label}: is no stage-2 student; cards are added to what leads to a release"
        )
    if parent.approval != APPROVED:
        raise RegistrationError(
            f"{parent.label}: is {parent.approval}; cards are added to the index of an approved "
            "version"
        )
    if ObjectIdentity.parse(parent.metadata.get(MODEL_ARCHIVE, "")) is None:
        raise RegistrationError(
            f"{parent.label}: was registered before digests of archives were recorded, so nobody "
            "can tell which model was approved; train it again"
        )
    return parent.name


def claim(deployment: Deployment, parent: Package, cards: GrownCardSet) -> Registration:
    """Gives the new version its name, and finds the version where it was registered before.

    Safe to repeat: the name belongs to this model with these cards.

    Raises:
        RegistrationError: Cards cannot be added to this version.
    """
    first = require_model(parent)
    source = source_of(parent, cards)
    bucket = deployment.training_bucket
    if parent.generated_by:
        # A version that was registered by hand has its name without a claim.
        claim_exact_name(deployment.s3, bucket, first, parent.generated_by)
    name = claim_name(
        deployment.s3,
        bucket,
        first.model_type,
        first.architecture,
        first.stage,
        source=source,
        since=parent.created,
    )
    row = find(deployment.sagemaker, deployment.group_name, name, created_after=parent.created)
    found = describe(deployment.sagemaker, row.arn) if row else None
    if found is None:
        return Registration("claimed", None, str(name))
    if found.generated_by != source:
        raise RegistrationError(
            f"{name}: was registered by hand under a name that it did not claim; type the same "
            "again once that version is deleted"
        )
    return Registration("already registered", found.arn, str(name))


def register(
    deployment: Deployment, parent: Package, cards: GrownCardSet, metrics: Mapping[str, float]
) -> Registration:
    """Registers the version, waiting for approval; repeated, it finds the version that it made.

    Args:
        deployment: Clients and names.
        parent: The version whose model it has.
        cards: The card set that it is compiled with.
        metrics: What was measured with the whole index: of the known cards' views, and of the
            added ones' (``top1_added`` and the like).

    Raises:
        RegistrationError: Cards cannot be added to this version.
        MetadataError: The metadata is incomplete or contradictory.
    """
    claimed = claim(deployment, parent, cards)
    if claimed.arn:
        return claimed
    name = parse_name(str(claimed.name))
    measured = kept_metrics(name.model_type, name.stage, metrics)
    # What was measured with another index says nothing about this one.
    retrieval = {key for key in parent.metadata if key in RETRIEVAL or key in ADDED}
    kept = {k: v for k, v in parent.metadata.items() if k not in _PARENTS_OWN | retrieval}
    metadata = {
        **kept,
        **measured,
        ADDED_CARDS: str(cards.added),
        CARD_SET_URI: cards.uri,
        CARD_SET_DIGEST: cards.digest,
        PARENT_ARN: parent.arn,
        PARENT_NAME: parent.label,
    }
    metadata |= validate(name, metadata).metadata()
    source = source_of(parent, cards)
    package = NewPackage(
        name=name,
        approval=PENDING,
        summary=_summary(parent, cards, metrics),
        model_data_url=parent.model_data_url,
        image=parent.image,
        metadata=metadata,
        generated_by=source,
        commit=parent.commit or None,
        quality_uri=model_quality.put(deployment.s3, deployment.training_bucket, name, metrics),
        card=model_card.card(
            name,
            metadata,
            metrics,
            artifact=parent.model_data_url,
            image=parent.image,
            job_arn=source,
        ),
    )
    arn = create(deployment.sagemaker, deployment.group_name, package)
    return Registration("registered", arn, str(name))


def _summary(parent: Package, cards: GrownCardSet, metrics: Mapping[str, float]) -> str:
    """The sentence that follows the name in the version's description."""
    parts = [f"the model of {parent.label} with {cards.added} more cards in its index"]
    for key, words in (("top1_added", "of their views"), ("top1", "of the other cards' views")):
        if key in metrics:
            parts.append(f"top-1 {metrics[key]:.3f} {words}")
    return ", ".join(parts)
