"""The weighted terms of a run: computed, and holding what is trained with the model."""

from __future__ import annotations

from torch import Tensor, nn

from training.config import TrainingConfig
from training.losses.term import LossInputs, Need, TermContext
from training.losses.terms import TERMS


class Criterion(nn.Module):
    """The weighted terms of a configuration.

    Args:
        config: Names the terms, their weights and their settings.
        prototypes: (known cards, D) initial directions, where a term needs them: for a student the
            teacher's embeddings of the clean scans, for a teacher random directions.
        map_channels: Channels of the student's and of the teacher's map, where a term compares
            maps.

    Raises:
        ValueError: A term's needs are not met.
    """

    def __init__(
        self,
        config: TrainingConfig,
        prototypes: Tensor | None = None,
        map_channels: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.weights = config.terms
        self._settings = config.losses
        context = TermContext(config.seed, prototypes, map_channels)
        for name in self.weights:
            term = TERMS[name]
            if Need.PROTOTYPES in term.needs and prototypes is None:
                raise ValueError(f"{name} needs prototypes")
            if Need.MAPS in term.needs and map_channels is None:
                raise ValueError(f"{name} compares maps and needs their channels")
            if term.build is not None:
                self.add_module(name, term.build(context))

    def forward(self, batch: LossInputs) -> dict[str, Tensor]:
        """Weighted scalar terms by name; their sum is the loss.

        Raises:
            ValueError: The batch lacks what a term needs.
        """
        built = dict(self.named_children())
        values = {}
        for name, weight in self.weights.items():
            try:
                value = TERMS[name].compute(batch, self._settings, built.get(name))
            except ValueError as error:
                raise ValueError(f"loss term {name}: {error}") from error
            values[name] = weight * value
        return values
