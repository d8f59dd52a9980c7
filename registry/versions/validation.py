"""Whether a version was validated: the metrics that must be there, and their limits.

The verdict is written into the version when it is registered (``Validation``,
``ValidationFaults``), so that a console shows it. Approval reads
:func:`current_validation`, which also includes what was found later.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from registry.compilers import compiled_stages
from registry.intervals import wilson_interval
from registry.names import STUDENT, ModelName
from registry.untrusted.text import shortened
from registry.versions.metadata import (
    COMPILE_FAILURE,
    FAILURE_REASON,
    FIDELITY_GATE,
    VALIDATION,
    VALIDATION_FAULTS,
    plain,
)

PASSED = "passed"
FAILED = "failed"

_TRAINED_STUDENTS = ("stage1", "stage2")
#: Where the number of classes stands: trained models, compiled ones.
_CLASSES = ("NumClasses", "Cards")


@dataclass(frozen=True)
class Validation:
    """A verdict.

    Attributes:
        passed: Whether the version may be approved without an override.
        faults: Every reason against it; empty when it passed.
    """

    passed: bool
    faults: tuple[str, ...] = ()

    def metadata(self) -> dict[str, str]:
        """The verdict as a version's metadata."""
        if self.passed:
            return {VALIDATION: PASSED}
        return {VALIDATION: FAILED, VALIDATION_FAULTS: shortened(plain("; ".join(self.faults)))}


def validate(name: ModelName, metadata: Mapping[str, str]) -> Validation:
    """Computes the verdict on a version from its measurements.

    A version passes when it recognises held-out views better than by chance, and its kind's own
    conditions hold: a student that shall be compiled has the similarity to its teacher measured
    and a graph that the chip's compiler takes; a compiled one has passed its fidelity gate.

    Args:
        name: The version's name; it says the kind.
        metadata: All of its metadata.
    """
    if FAILURE_REASON in metadata:
        return Validation(False, (f"its training run failed: {metadata[FAILURE_REASON]}",))
    found = list(_retrieval(metadata))
    if name.model_type == STUDENT and name.stage in _TRAINED_STUDENTS:
        found += _student(metadata)
    if name.stage in compiled_stages():
        gate = metadata.get(FIDELITY_GATE)
        if gate != PASSED:
            found.append(f"its fidelity gate {'failed' if gate == FAILED else 'is not recorded'}")
    if COMPILE_FAILURE in metadata:
        found.append(f"its compilation failed: {metadata[COMPILE_FAILURE]}")
    return Validation(not found, tuple(found))


def current_validation(name: ModelName, metadata: Mapping[str, str]) -> Validation:
    """The verdict now: as recorded at registration, unless later metadata contradicts it."""
    recorded = metadata.get(VALIDATION)
    if FAILURE_REASON in metadata or recorded == PASSED:
        return validate(name, metadata)
    if recorded == FAILED:
        faults = metadata.get(VALIDATION_FAULTS, "its validation failed")
        return Validation(False, (faults,))
    return Validation(False, ("no validation is recorded",))


def _retrieval(metadata: Mapping[str, str]) -> Iterator[str]:
    """What is missing from, or wrong with, the figures on held-out views."""
    queries = _number(metadata, "Queries")
    top1 = _number(metadata, "Top1")
    if queries is None or queries < 1:
        yield "Queries is missing: it was not measured on held-out views"
    if top1 is None or not 0 <= top1 <= 1:
        yield "Top1 is missing or no rate from 0 to 1"
    classes = next((found for key in _CLASSES if (found := _number(metadata, key))), None)
    if classes is None or classes < 2:
        yield "NumClasses is missing or below 2, so that chance is not known"
        return
    if queries is None or queries < 1 or top1 is None or not 0 <= top1 <= 1:
        return
    trials = math.floor(queries)
    low, _ = wilson_interval(round(top1 * trials), trials)
    if low <= 1 / classes:
        yield (
            f"Top1 {top1:.3f} of {trials} views is not above chance ({1 / classes:.3f}); "
            f"its 95 % interval begins at {low:.3f}"
        )


def _student(metadata: Mapping[str, str]) -> Iterator[str]:
    similarity = _number(metadata, "BestSimilarity")
    if similarity is None or not -1 <= similarity <= 1:
        yield "BestSimilarity is missing or no cosine"
    if metadata.get("HailoCompatible") != "true":
        yield "HailoCompatible is not true: its graph has what the chip's compiler refuses"


def _number(metadata: Mapping[str, str], key: str) -> float | None:
    """A finite number in the metadata; None where there is none."""
    try:
        value = float(metadata[key])
    except (KeyError, TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None
