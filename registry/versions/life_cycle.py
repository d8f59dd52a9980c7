"""The life-cycle stage of a version: where its release stands, shown by SageMaker's console.

``ModelLifeCycle`` mirrors the state and decides nothing. The publishing function alone writes it;
IAM binds it to that (``sagemaker:ModelLifeCycle:Stage``), so it is also where the function keeps
who decided on the version, which its own updates would hide: SageMaker names the last person or
role that changed a version, whatever they changed.

>>> stage(("candidate",), "Approved", released=True, recorded=None)
LifeCycle(stage='Candidate', status='Released', description='')
>>> stage((), "Rejected", released=False, recorded=LifeCycle("Stable", "Released"))
LifeCycle(stage='Withdrawn', status='Rejected', description='')

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ModelLifeCycle.html
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.type_defs import ModelLifeCycleTypeDef

#: In a channel; released and in no channel; taken out of the channels; not released.
CANDIDATE, STABLE, ARCHIVED = "Candidate", "Stable", "Archived"
WITHDRAWN, REVIEW = "Withdrawn", "Review"
STAGES = (CANDIDATE, STABLE, ARCHIVED, WITHDRAWN, REVIEW)
RELEASED, FAILED = "Released", "Failed"
#: Channel -> stage; the last one that points to a version names its stage.
_OF_CHANNEL = {"candidate": CANDIDATE, "stable": STABLE}
_RELEASED_STAGES = (CANDIDATE, STABLE, ARCHIVED)
_APPROVED = "Approved"
_DECISION = re.compile(
    r"(Approved|Rejected|PendingManualApproval) by (\S{1,900})( on page [0-9a-f]{64})?", re.ASCII
)


@dataclass(frozen=True)
class LifeCycle:
    """A version's ``ModelLifeCycle``.

    Attributes:
        stage: One of :data:`STAGES`, as far as the publishing function wrote it.
        status: Of the stage.
        description: Who took the decision that stands, see :func:`with_decision`.
    """

    stage: str
    status: str
    description: str = ""

    @classmethod
    def read(cls, answer: Mapping[str, Any]) -> LifeCycle | None:
        """That of an answer of SageMaker; None where the version has none."""
        found = answer.get("ModelLifeCycle")
        if not found:
            return None
        return cls(found["Stage"], found["StageStatus"], found.get("StageDescription", ""))

    def request(self) -> ModelLifeCycleTypeDef:
        """As ``UpdateModelPackage`` takes it."""
        request: ModelLifeCycleTypeDef = {"Stage": self.stage, "StageStatus": self.status}
        if self.description:
            request["StageDescription"] = self.description
        return request

    def same_stage(self, other: LifeCycle | None) -> bool:
        """Whether stage and status are the same, whatever the description says."""
        return other is not None and (self.stage, self.status) == (other.stage, other.status)


def stage(
    channels: Collection[str], approval: str, *, released: bool, recorded: LifeCycle | None
) -> LifeCycle | None:
    """The life cycle that a version should have; None where it should stay without one.

    Args:
        channels: The channels that point to it.
        approval: Its approval, as SageMaker spells it.
        released: Whether it has a complete release.
        recorded: The life cycle that it has.
    """
    if approval == _APPROVED:
        pointing = [name for each, name in _OF_CHANNEL.items() if each in channels]
        if pointing or released:
            return LifeCycle(pointing[-1] if pointing else ARCHIVED, RELEASED)
    elif recorded and recorded.stage in _RELEASED_STAGES:
        return LifeCycle(WITHDRAWN, "Rejected" if approval == "Rejected" else "Pending")
    return recorded


def failed(recorded: LifeCycle | None) -> LifeCycle:
    """The life cycle of a version whose failure is recorded; one with a release keeps its own."""
    if recorded and recorded.stage in _RELEASED_STAGES:
        return recorded
    return LifeCycle(REVIEW, FAILED)


def with_decision(
    life_cycle: LifeCycle, approval: str, decided_by: str | None, page: str = ""
) -> LifeCycle:
    """The life cycle with who decided on the version, as :func:`decided_by` reads it.

    Args:
        life_cycle: Without that.
        approval: The decision that stands.
        decided_by: Principal id of who took it; None where nobody knows.
        page: SHA-256 of the page that it was taken on; empty where none is known.

    >>> with_decision(LifeCycle("Review", "Pending"), "Approved", "AROA1:bob", "0" * 64).description
    'Approved by AROA1:bob on page 0000000000000000000000000000000000000000000000000000000000000000'
    """
    words = f"{approval} by {decided_by}{f' on page {page}' if page else ''}"
    return replace(life_cycle, description=words if decided_by else "")


def recorded_decider(life_cycle: LifeCycle | None, approval: str) -> str | None:
    """Principal id of who took the decision that stands; None where another or none is recorded."""
    found = _DECISION.fullmatch(life_cycle.description) if life_cycle else None
    return found[2] if found and found[1] == approval else None
