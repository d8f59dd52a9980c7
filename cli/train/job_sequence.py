"""Which jobs a command submits, in which order, and what each is made from: decided once.

Estimate, confirmation, submission and ``--json`` all read the same :class:`PlannedJob` values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cli.train.options import TrainingRequest
    from registry.versions.packages import Package
    from training.config import TrainingConfig

TEACHER_KIND, STUDENT_KIND = "teacher", "student"


@dataclass(frozen=True, eq=False)
class PlannedJob:
    """One job that is going to be submitted.

    Attributes:
        kind: ``teacher`` or ``student``.
        stage: 1 or 2 of a student; None for a teacher.
        config: What recipe and hyper-parameters come to.
        teacher: What a student learns from: a registered version, or an earlier job.
        initial: What stage 2 starts from: a registered version, or an earlier job.
        weights: A backbone's checkpoint to begin with: a local file, or its S3 URI.
    """

    kind: str
    stage: int | None
    config: TrainingConfig
    teacher: Package | PlannedJob | None = None
    initial: Package | PlannedJob | None = None
    weights: str | None = None

    @property
    def title(self) -> str:
        """The job on its own, such as ``student stage 1``."""
        return f"{self.kind} stage {self.stage}" if self.stage else self.kind

    @property
    def short_title(self) -> str:
        """The job beside the others of its sequence, such as ``stage 1``."""
        return f"stage {self.stage}" if self.stage else f"the {self.kind}"


def plan_jobs(
    request: TrainingRequest,
    *,
    train_teacher: bool = False,
    stages: Sequence[int] = (),
    teacher: Package | None = None,
    initial: Package | None = None,
) -> list[PlannedJob]:
    """The jobs in the order in which they are submitted: teacher, stage 1, stage 2.

    Args:
        request: Recipe, hyper-parameters and initial weights; the weights are the first job's.
        train_teacher: Whether the sequence begins with a teacher, from which the students learn.
        stages: The student's stages to train, in order.
        teacher: The registered teacher, where none is trained here.
        initial: The registered stage-1 student that stage 2 starts from, where stage 1 is not
            trained here.

    Raises:
        ConfigError: A setting that one of the jobs cannot take; nothing has been submitted yet.
    """
    jobs: list[PlannedJob] = []
    source: Package | PlannedJob | None = teacher
    start: Package | PlannedJob | None = initial

    def add(kind: str, stage: int | None) -> PlannedJob:
        weights = None if jobs else request.weights
        config = _config(request, kind, stage)
        jobs.append(
            PlannedJob(kind, stage, config, weights=weights)
            if kind == TEACHER_KIND
            else PlannedJob(kind, stage, config, source, start if stage == 2 else None, weights)
        )
        return jobs[-1]

    if train_teacher:
        source = add(TEACHER_KIND, None)
    for stage in stages:
        start = add(STUDENT_KIND, stage)
    return jobs


def _config(request: TrainingRequest, kind: str, stage: int | None) -> TrainingConfig:
    from training.recipe import resolve
    from training.submission.plan_checks import STUDENT_STAGES

    name = STUDENT_STAGES[stage] if stage else "phase2"
    return resolve(request.recipe, kind, name, request.hyperparameters)
