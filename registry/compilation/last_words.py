"""The last words of a compile job: whether trying it again could help.

SageMaker shows them as the job's ``ExitMessage``. A refusal is about what the job was given, and
comes again as often as it is tried; a fault is about the machine that it ran on.
"""

from __future__ import annotations

REFUSED, FAULT = "refused: ", "fault: "
#: Exit codes: a refusal's is that of wrong arguments, a fault's is EX_TEMPFAIL (sysexits.h).
REFUSED_CODE, FAULT_CODE = 2, 75


def is_refusal(message: str) -> bool:
    """Whether a job's exit message says that trying again is of no use."""
    return message.startswith(REFUSED)
