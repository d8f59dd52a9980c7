"""A person's decision on a version: whether it is allowed, and what is recorded about it.

SageMaker keeps the decision: ``ModelApprovalStatus``, and who, when and why in
``ApprovalDescription`` (at most 1,024 characters of one line). The automation looks at the status
alone, so that the console and the AWS CLI approve just as well. Neither asks whether the version
was validated; this does.
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateModelPackage.html
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError, HTTPClientError

from registry.aws_errors import Meaning, means
from registry.untrusted.text import DESCRIPTION_LIMIT, one_line, shortened
from registry.versions.metadata import FAILURE_REASON
from registry.versions.packages import APPROVED, REJECTED, Package, describe
from registry.versions.validation import current_validation

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.client import SageMakerClient
    from mypy_boto3_sagemaker.literals import ModelApprovalStatusType

#: Characters of the description for the faults of validation, where it was overridden.
_FAULTS_LIMIT = 300
#: Seconds before each attempt to read an update back.
_READ_DELAYS = (0.0, 0.5, 1.0, 2.0)
_VERB = {APPROVED: "Approved", REJECTED: "Rejected"}


class ApprovalError(ValueError):
    """A decision that is not allowed, or was not kept; names the version and the remedy."""


@dataclass(frozen=True)
class Decision:
    """What is to be written.

    Attributes:
        status: ``Approved`` or ``Rejected``.
        description: Who decided, when and why: one line.
        overridden: Faults of validation in a version that is approved in spite of them.
    """

    status: ModelApprovalStatusType
    description: str
    overridden: tuple[str, ...] = ()


@dataclass(frozen=True)
class ApprovalResult:
    """The result of a decision.

    Attributes:
        package: The version as it is now.
        previous: Its status before.
        decision: What was written; None where it had the status already.
    """

    package: Package
    previous: str
    decision: Decision | None


def decide(
    package: Package,
    status: ModelApprovalStatusType,
    *,
    reason: str,
    person_arn: str,
    when: datetime,
    override: bool = False,
) -> Decision | None:
    """Judges a decision; None where the version has that status already.

    Args:
        package: The version as it is.
        status: ``Approved`` or ``Rejected``.
        reason: In the person's words.
        person_arn: ARN of the person.
        when: With its time zone.
        override: Approve what has no passed validation.

    Raises:
        ApprovalError: The version may not be approved, or the reason cannot be written.
    """
    reason = _checked(reason, package.label)
    if status == package.approval:
        return None
    overridden: tuple[str, ...] = ()
    if status == APPROVED:
        overridden = _faults(package)
        if overridden and not override:
            raise ApprovalError(
                f"{package.label}: has no passed validation: {'; '.join(overridden)}; approve it "
                "all the same with --override and a --reason that says why"
            )
    without = (
        f" without a passed validation ({shortened('; '.join(overridden), _FAULTS_LIMIT)})"
        if overridden
        else ""
    )
    day = when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = f"{_VERB[status]}{without} by {person_arn} on {day}: {reason}"
    # Faults repeat what others wrote (a job's last words); SageMaker takes one line.
    text = one_line(text)
    if len(text) > DESCRIPTION_LIMIT:
        limit = DESCRIPTION_LIMIT - (len(text) - len(reason))
        raise ApprovalError(
            f"{package.label}: the reason has {len(reason)} characters and SageMaker keeps "
            f"{limit} beside who and when; shorten it"
        )
    return Decision(status, text, overridden)


def apply(
    sagemaker: SageMakerClient,
    package: Package,
    status: ModelApprovalStatusType,
    *,
    reason: str,
    person_arn: str,
    override: bool = False,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    sleep: Callable[[float], None] = time.sleep,
) -> ApprovalResult:
    """Decides, writes the decision into the version, and reads it back.

    SageMaker has no conditional update: of two people at once the later one wins. So what was
    written is read back, and another person's decision is reported. An update whose response was
    lost is found in the same way.

    Args:
        sagemaker: A boto3 SageMaker client.
        package: The version, as it was read a moment ago.
        status: ``Approved`` or ``Rejected``.
        reason: In the person's words.
        person_arn: ARN of the person.
        override: Approve what has no passed validation.
        now: The clock.
        sleep: Waits so many seconds.

    Raises:
        ApprovalError: It is not allowed, another person decided meanwhile, or the version is gone.
    """
    decision = decide(
        package, status, reason=reason, person_arn=person_arn, when=now(), override=override
    )
    if decision is None:
        return ApprovalResult(package, package.approval, None)
    lost: Exception | None = None
    try:
        sagemaker.update_model_package(
            ModelPackageArn=package.arn,
            ModelApprovalStatus=decision.status,
            ApprovalDescription=decision.description,
        )
    except HTTPClientError as error:
        lost = error
    except ClientError as error:
        if not means(error, Meaning.CONCURRENT_UPDATE):
            raise
        lost = error
    for delay in _READ_DELAYS:
        sleep(delay)
        seen = describe(sagemaker, package.arn)
        if seen is None:
            raise ApprovalError(f"{package.label}: was deleted meanwhile")
        if (seen.approval, seen.approval_description) == (decision.status, decision.description):
            return ApprovalResult(seen, package.approval, decision)
        if (seen.approval, seen.approval_description) != (
            package.approval,
            package.approval_description,
        ):
            raise ApprovalError(
                f"{package.label}: is {seen.approval} by a decision of "
                f"{seen.modified_by or 'another person'} taken meanwhile "
                f"({seen.approval_description or 'no reason given'}); look at it and decide again"
            )
    if lost:
        raise lost
    raise ApprovalError(
        f"{package.label}: SageMaker took the decision and still shows {package.approval}; "
        "look again in a minute: cards registry show"
    )


def _checked(reason: str, label: str) -> str:
    """The reason without outer blanks.

    Raises:
        ApprovalError: It is empty, or holds what a line cannot show.
    """
    reason = reason.strip()
    if not reason:
        raise ApprovalError(f"{label}: the reason is empty; say why with --reason")
    strange = sorted({letter for letter in reason if not letter.isprintable()})
    if strange:
        found = ", ".join(f"U+{ord(letter):04X}" for letter in strange[:5])
        raise ApprovalError(
            f"{label}: the reason holds a line end or another character that cannot be shown "
            f"({found}); SageMaker keeps one line of text"
        )
    return reason


def _faults(package: Package) -> tuple[str, ...]:
    """Faults of validation in a version that may be approved.

    Raises:
        ApprovalError: There is nothing to approve, also with an override.
    """
    if FAILURE_REASON in package.metadata:
        raise ApprovalError(
            f"{package.label}: its training run failed "
            f"({shortened(package.metadata[FAILURE_REASON], _FAULTS_LIMIT)}); there is no model "
            "to approve, also not with --override; train it again"
        )
    if not package.model_data_url:
        raise ApprovalError(
            f"{package.label}: has no model artifact, so there is nothing to approve; register "
            "it from its training job"
        )
    if package.name is None:
        raise ApprovalError(
            f"{package.arn}: has no name by the convention; register it under one and approve that"
        )
    return current_validation(package.name, package.metadata).faults
