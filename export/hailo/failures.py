"""Failures of the Hailo compiler, each as one line that says what to do.

Class names as published in hailo_model_zoo v2.18 and in Hailo's forum; none was seen here.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence

from export.calibration import CalibrationError
from export.compiler import CompileError, CompileFault
from export.deadline import Deadline, duration

#: By class name, of the error or of what it derives from.
REMEDIES = {
    "ParsingWithRecommendationException": "run cards export lint on the graph and replace what it "
    "names",
    "UnsupportedModelError": "run cards export lint on the graph and replace what it names",
    "MisspellNodeError": "the graph's node names changed; export it again",
    "BadInputsShape": "calibration images must be NHWC of the contract's size",
    "AccelerasResourceError": "the optimiser ran out of memory; take a larger instance",
    "BackendAllocatorException": "the model does not fit the chip; make it smaller",
    "AllocatorScriptParserException": "the model script is wrong for this compiler's version",
    "MemoryError": "the machine ran out of memory; take a larger instance",
}
#: Of the machine: another one, or another moment, may do.
FAULTS = frozenset({"AccelerasResourceError", "MemoryError"})
_LONGEST = 300


def explained(classes: Sequence[str], message: str) -> CompileError:
    """The error to raise for one of the compiler's.

    Args:
        classes: Names of its class and of those that it derives from, its own first.
        message: Its text.
    """
    if classes[0] == CalibrationError.__name__:  # not the compiler's: it was not asked yet
        return CompileError(message)
    lines = message.strip().splitlines()
    first = lines[0][:_LONGEST] if lines else "no message"
    known = next((name for name in classes if name in REMEDIES), None)
    remedy = REMEDIES[known] if known else "see compile.log"
    kind = CompileFault if known in FAULTS else CompileError
    return kind(f"the Hailo compiler says {classes[0]}: {first}; {remedy}")


def died(code: int, step: str, last: str) -> CompileError:
    """The error for a compiler that ended without a message.

    Args:
        code: Its exit code; a negative one is a signal's.
        step: What it was doing.
        last: Its log's last line.
    """
    number = -code if code < 0 else code - 128
    if number == signal.SIGKILL:
        return CompileFault(
            f"the Hailo compiler was killed while it did {step}, as the system does where memory "
            "runs out; take an instance with 32 GB or more"
        )
    how = f"exit code {code}"
    if number in signal.valid_signals():
        how = signal.Signals(number).name
    said = f", after: {last[:_LONGEST]}" if last else ""
    return CompileFault(
        f"the Hailo compiler died of {how} while it did {step}{said}; see compile.log"
    )


def too_slow(deadline: Deadline, step: str) -> CompileError:
    """The error for a compiler that was stopped at the job's deadline.

    Args:
        deadline: Of the job.
        step: What the compiler was doing.
    """
    return CompileError(
        f"the Hailo compiler was still doing {step} when {duration(deadline.usable_seconds)} of "
        f"the job's {duration(deadline.job_seconds)} had passed; raise "
        "cards.compile.max_runtime_seconds or take a faster instance"
    )
