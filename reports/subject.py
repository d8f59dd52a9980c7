"""What is known of one version, from wherever it comes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from registry.compilers import compiled_stages
from registry.names import ModelName
from registry.weight_origins import WeightOrigin
from reports.evidence import Evidence
from reports.figures import MEANINGS, Figure, from_evaluation, from_metadata
from reports.page import Row


@dataclass(frozen=True)
class Subject:
    """What is known of one version.

    Attributes:
        label: What commands call it: its name, or the job that made it.
        metadata: Of the registry.
        name: By the convention, with any number where a job does not know its own yet; None where
            it has none.
        approval: SageMaker's word.
        evaluation: ``evaluation.json``; None where it cannot be had.
        evidence: ``evidence.json``; None where the version has none.
        lacking: Why evaluation or evidence cannot be had, where that is another reason than age.
        hyperparameters: Of its training job; None where they cannot be had.
        facts: What the registry says beside its metadata.
        message: The words of the person who submitted the training.
        weights: Published weights that it descends from; None where nobody knows.
        title: What the page is called; the label where it is empty.
    """

    label: str
    metadata: Mapping[str, str]
    name: ModelName | None = None
    approval: str = "PendingManualApproval"
    evaluation: Mapping[str, Any] | None = None
    evidence: Evidence | None = None
    lacking: str = ""
    hyperparameters: Mapping[str, str] | None = None
    facts: tuple[Row, ...] = ()
    message: str = ""
    weights: tuple[WeightOrigin, ...] | None = None
    title: str = ""

    @property
    def compiled(self) -> bool:
        """Whether a compile job made it; the trained model's page has what was seen in training."""
        return self.name is not None and self.name.stage in compiled_stages()

    @property
    def figures(self) -> dict[str, Figure]:
        """What was measured; the evaluation before the registry's rounded figures."""
        found = from_metadata(self.metadata) | from_evaluation(self.evaluation or {})
        return {key: found[key] for key in MEANINGS if key in found}
