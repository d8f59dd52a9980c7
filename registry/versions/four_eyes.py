"""Four eyes: who submitted the training of a version is not who approves it.

Both are principal ids, which AWS itself writes: ``aws:userid`` of the person, for example
``AIDA…`` or ``AROA…:session``. A session name that is the same in two roles counts as the same
person: with IAM Identity Center it is the person's user name.

>>> fault("student-a-stage2-v1", {"AROA1:alice"}, "AROA2:bob")
''
>>> fault("student-a-stage2-v1", {"AROA1:alice"}, "AROA2:alice").partition(";")[0]
'four eyes: AROA2:alice approved it and has submitted its training'

What this relies on, and who could forge it, stands in ``docs/reliability.md``.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from registry.aws_errors import is_missing
from registry.versions.life_cycle import recorded_decider
from registry.versions.packages import PENDING, describe, iterate

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.client import SageMakerClient

    from registry.versions.packages import Package

#: Tags of a training job: who submitted it; of a resumed one also who submitted the first.
SUBMITTED_BY = "SubmittedBy"
FIRST_SUBMITTED_BY = "FirstSubmittedBy"


def fault(label: str, authors: Collection[str], approver: str | None) -> str:
    """Why an approval does not count; empty where it does.

    Args:
        label: The version's name, for the remedy.
        authors: Principal ids of who submitted its training or registered it.
        approver: Principal id of who approved it; None where nobody knows.
    """
    remedy = (
        f"cards registry reject {label} --reason …, then another person types "
        f"cards registry approve {label} --reason …"
    )
    if not authors:
        return (
            "four eyes: who submitted its training is not recorded; an administrator adds the tag "
            f"{SUBMITTED_BY} (a principal id) to its training job, then cards release retry {label}"
        )
    if approver is None:
        return f"four eyes: who approved it is not recorded; {remedy}"
    if any(_same_person(each, approver) for each in authors):
        return f"four eyes: {approver} approved it and has submitted its training; {remedy}"
    return ""


def objection(label: str, authors: Collection[str], person: str) -> str:
    """Why a person's approval would not count, before it is given; empty where it would.

    Args:
        label: The version's name, for the remedy.
        authors: Principal ids of who submitted its training or registered it.
        person: Principal id of who is about to approve it.
    """
    if not authors:
        return fault(label, authors, person)
    if any(_same_person(each, person) for each in authors):
        return (
            f"four eyes: {person} has submitted its training and cannot approve it; another "
            f"person types cards registry approve {label} --reason …"
        )
    return ""


@dataclass(frozen=True)
class WaitingVersion:
    """A version that waits for an approval, and whom the rule lets give it.

    Attributes:
        label: Its name.
        authors: Principal ids of who submitted or registered it, who cannot approve it; empty
            where nobody knows, and then nobody's approval counts.
        objection: Why the asked person's approval would not count; empty where it would.
    """

    label: str
    authors: tuple[str, ...]
    objection: str


def waiting(
    sagemaker: SageMakerClient, group: str, person: str, limit: int = 20
) -> list[WaitingVersion]:
    """The newest versions that wait for an approval and would then be released.

    Args:
        sagemaker: A boto3 SageMaker client.
        group: The model package group.
        person: Principal id of who asks.
        limit: At most so many.
    """
    rows = (
        row
        for row in iterate(sagemaker, group, approval=PENDING)
        if row.name is not None and row.name.releasable
    )
    found = []
    for row in islice(rows, limit):
        package = describe(sagemaker, row.arn)
        if package is None or package.approval != PENDING:
            continue
        known = authors(sagemaker, package)
        found.append(
            WaitingVersion(
                package.label, tuple(sorted(known)), objection(package.label, known, person)
            )
        )
    return found


def approver(package: Package, publisher_role_arn: str) -> str | None:
    """Principal id of who took the decision that stands; None where nobody knows.

    Who changed the version last is who decided, since an approver's policy allows no update
    without a decision. Where the publishing function did, the version says who decided before.
    """
    if is_session_of(package.modified_by, publisher_role_arn):
        return recorded_decider(package.life_cycle, package.approval)
    return package.modified_by_id


def authors(sagemaker: SageMakerClient, package: Package) -> frozenset[str]:
    """Principal ids of who submitted the version's training, and of who registered it.

    Empty where the training job does not say. A version that was copied from another account has
    its author in who copied it. All of this is fixed when the version is created: SageMaker
    updates neither ``MetadataProperties`` nor ``CreatedBy``.
    """
    created = {package.created_by_id} if package.created_by_id else set()
    kind, _ = package.own_job or ("", "")
    if kind != "training-job":
        return frozenset(created)
    submitted = _submitters(sagemaker, package.generated_by)
    return frozenset(submitted | created) if submitted else frozenset()


def is_session_of(arn: str | None, role_arn: str) -> bool:
    """Whether a principal is a session of a role; a session's ARN leaves the role's path out."""
    if not arn or arn.count(":") < 5 or role_arn.count(":") < 5:
        return False
    kind, _, rest = arn.rpartition(":")[2].partition("/")
    if kind == "role":
        return arn == role_arn
    same_account = arn.split(":")[4] == role_arn.split(":")[4]
    same_role = rest.partition("/")[0] == role_arn.rpartition("/")[2]
    return kind == "assumed-role" and same_account and same_role


def _submitters(sagemaker: SageMakerClient, job_arn: str) -> set[str]:
    try:
        pages = sagemaker.get_paginator("list_tags").paginate(ResourceArn=job_arn)
        tags = {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}
    except ClientError as error:
        if is_missing(error):
            return set()
        raise
    if SUBMITTED_BY not in tags:
        return set()
    return {tags[key] for key in (SUBMITTED_BY, FIRST_SUBMITTED_BY) if key in tags}


def _same_person(one: str, other: str) -> bool:
    session, other_session = (each.partition(":")[2] for each in (one, other))
    return one == other or (session != "" and session == other_session)
