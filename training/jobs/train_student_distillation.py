"""SageMaker entry point: distils a student.

Channels ``cards``, ``teacher`` and, for stage 2, ``initial`` (stage 1's model). Hyper-parameters
``--recipe``, ``--stage`` (1 or 2), ``--parent-model-package-arn`` and any key of
``training.config.TrainingConfig``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from registry.names import STUDENT
from training.jobs.job import Job, run_job


def _load() -> Job:
    from training.jobs.distillation import distil_student

    return distil_student


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the job; returns the process's exit code."""
    return run_job(STUDENT, {"1": "stage1", "2": "stage2"}, _load, arguments)


if __name__ == "__main__":
    sys.exit(main())
