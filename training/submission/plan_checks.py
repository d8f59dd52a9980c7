"""What a training plan may be asked for: refused here, before a machine is paid for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from recognition.card_sets.pack import pack_size
from registry.names import STUDENT, TEACHER
from registry.versions.four_eyes import FIRST_SUBMITTED_BY, SUBMITTED_BY
from registry.versions.packages import Package
from training.config import TrainingConfig
from training.submission.sdk_session import takes_disk_key
from training.submission.training_plan import MOST_TAGS, Compute, SubmitError

#: Stages that are submitted, by the command's short name for them.
STUDENT_STAGES = {1: "stage1", 2: "stage2"}
_HYPERPARAMETER = re.compile(r"[a-z][a-z0-9_-]{0,99}", re.ASCII)
_RESERVED = {"recipe", "stage", "parent-model-package-arn"}


def check_pack(cards_uri: str, config: TrainingConfig) -> None:
    """The job would refuse a pack of too small scans too, after the instance has been paid for."""
    packed = re.search(r"-packed-([0-9]{1,5})/?$", cards_uri)
    needed = config.scan_scale * config.image_size
    if packed and int(packed[1]) < needed:
        raise SubmitError(
            f"--cards {cards_uri}: its scans are packed at {packed[1]} px and the recipe needs "
            f"{needed} ({config.scan_scale} times its image size); prepare them anew: "
            f"cards data prepare … --size {pack_size(needed)}"
        )


def checked_parent(
    kind: str, stage: int | None, teacher: Package | None, initial: Package | None
) -> Package | None:
    if kind == TEACHER:
        if stage or teacher or initial:
            raise SubmitError("a teacher has no stage and no parent")
        return None
    if kind != STUDENT:
        raise SubmitError(f"{kind!r} is neither {TEACHER} nor {STUDENT}")
    if stage not in STUDENT_STAGES:
        raise SubmitError(f"--stage {stage}: must be 1 or 2")
    if teacher is None or teacher.name is None or teacher.name.model_type != TEACHER:
        given = teacher.label if teacher else "nothing"
        raise SubmitError(
            f"--parent: a student of stage {stage} is distilled from a teacher, not from {given}; "
            "cards registry list shows what there is"
        )
    if stage == 1:
        if initial:
            raise SubmitError(f"--parent {initial.label}: stage 1 goes on from nothing")
        return teacher
    if initial is None or initial.name is None or initial.name.stage != STUDENT_STAGES[1]:
        given = initial.label if initial else "nothing"
        raise SubmitError(f"--parent: stage 2 goes on from a stage-1 student, not from {given}")
    return initial


def checked_hyperparameters(given: Mapping[str, Any]) -> dict[str, Any]:
    for key in given:
        if not _HYPERPARAMETER.fullmatch(key) or key.startswith("sagemaker_"):
            raise SubmitError(f"--hp {key}: is no name of a hyper-parameter")
        if key in _RESERVED:
            raise SubmitError(f"--hp {key}: is set by the command itself; use its own option")
    return dict(given)


def checked_tags(deployment_tags: Mapping[str, str], compute: Compute) -> dict[str, str]:
    """The deployment's tags and the caller's; neither may hide the other."""
    twice = sorted({*deployment_tags, SUBMITTED_BY, FIRST_SUBMITTED_BY} & set(compute.tags))
    if twice:
        raise SubmitError(f"--tag {twice[0]}: is set by the command itself")
    tags = {**deployment_tags, **compute.tags}
    # Who submits the job is one more.
    if len(tags) + 1 > MOST_TAGS:
        raise SubmitError(
            f"--tag: {len(tags) + 1} tags with the command's own; AWS takes {MOST_TAGS}"
        )
    return tags


def notes_on_key(compute: Compute) -> tuple[str, ...]:
    """What there is to say about the caller's key: not every disk takes one, none an alias."""
    if not compute.kms_key:
        return ()
    if not takes_disk_key(compute.instance_type):
        return (f"{compute.instance_type} encrypts its own disks; --kms-key is for the output",)
    if compute.kms_key.startswith("alias/") or ":alias/" in compute.kms_key:
        raise SubmitError(
            f"--kms-key {compute.kms_key}: SageMaker takes no alias for the disks of "
            f"{compute.instance_type}; give the key's id or ARN"
        )
    return ()
