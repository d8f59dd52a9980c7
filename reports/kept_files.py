"""What a training job kept of a version, read from its archives wherever these lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from registry.untrusted.json_object import parse_object
from registry.untrusted.text import one_line
from reports.evidence import EVIDENCE, Evidence
from reports.outcomes.view_outcomes import EvidenceError

EVALUATION, CONFIG = "evaluation.json", "config.json"
#: The longest of these two, in bytes.
FILE_LIMIT = 4 * 1024**2


@dataclass(frozen=True)
class KeptFiles:
    """What was read of an archive.

    Attributes:
        files: By name the bytes of those of its members that were asked for and are there.
        fault: Why nothing was read; empty where something was, or there is no archive.
    """

    files: Mapping[str, bytes] = field(default_factory=dict)
    fault: str = ""


def other_archive(file: str) -> KeptFiles:
    """An archive that is not the one that was registered: nothing of it counts."""
    return KeptFiles(fault=f"{file} is not the one that was registered: its SHA-256 differs")


def evaluation(model: KeptFiles) -> tuple[dict[str, Any] | None, str]:
    """``evaluation.json`` of a model's archive, or why it cannot be had."""
    body = model.files.get(EVALUATION)
    if body is None:
        return None, model.fault or (f"{EVALUATION} is not in its archive" if model.files else "")
    try:
        return parse_object(body, FILE_LIMIT), ""
    except ValueError as error:
        return None, f"{EVALUATION} {one_line(str(error))}"


def evidence(output: KeptFiles) -> tuple[Evidence | None, str]:
    """``evidence.json`` of a job's output, or why it cannot be had.

    A version from before there was one has no fault: the reason is its age.
    """
    if EVIDENCE not in output.files:
        return None, output.fault
    try:
        return Evidence.from_json(output.files[EVIDENCE]), ""
    except EvidenceError as error:
        return None, one_line(str(error))
