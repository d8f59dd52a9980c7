"""When a compile job must stop by itself, so that it can still say why.

SageMaker kills a job at its run-time limit (``cards.compile.max_runtime_seconds``) and keeps no
explanation. Long steps therefore end earlier, by a margin in which the cause is written and the
output is uploaded. Example:

>>> Deadline(job_seconds=6 * 3600).usable_seconds / 3600
5.5
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

#: The margin: this share of the job's limit, and never more than so many seconds. It also covers
#: what SageMaker does before the job's code starts, such as the download of its inputs.
MARGIN_SHARE = 1 / 6
LONGEST_MARGIN_SECONDS = 1800.0


@dataclass(frozen=True)
class Deadline:
    """The time that the long steps of one job have together.

    Attributes:
        job_seconds: SageMaker's limit on the job's run time.
        started: When the job started, by :func:`time.monotonic`.
    """

    job_seconds: float
    started: float = field(default_factory=time.monotonic)

    @property
    def usable_seconds(self) -> float:
        """Seconds from the job's start to the deadline."""
        return self.job_seconds - min(LONGEST_MARGIN_SECONDS, MARGIN_SHARE * self.job_seconds)

    def remaining(self) -> float:
        """Seconds from now to the deadline, 0 once it has passed."""
        return max(0.0, self.started + self.usable_seconds - time.monotonic())


def duration(seconds: float) -> str:
    """A time span for people: ``50 s``, ``10 min``, ``5.5 h``."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 2 * 3600 else f"{seconds / 3600:.1f} h"
