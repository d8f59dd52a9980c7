"""The loss terms: every file here declares one as ``TERM``, and is found by being here.

A file that declares none, or one that is incomplete, stops the program when it is imported.

Example: a new term is a file such as ``terms/norm.py``.

    def norm_loss(embeddings: Tensor) -> Tensor:
        return (embeddings.norm(dim=1) - 1).square().mean()

    TERM = LossTerm(
        "norm",
        frozenset({TEACHER, STUDENT}),
        lambda batch, settings, module: norm_loss(batch.embeddings),
    )
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping

from training.losses.term import HEAVIEST, LossTerm, Setting, checked

#: Every loss term by name.
TERMS: Mapping[str, LossTerm] = checked(
    {
        each.name: importlib.import_module(f"{__name__}.{each.name}")
        for each in pkgutil.iter_modules(__path__)
    }
)
#: Every setting of a loss term, its weight among them, by the name under which a recipe sets it.
SETTINGS: Mapping[str, Setting] = {
    **{term.weight: Setting(0.0, 0.0, HEAVIEST) for term in TERMS.values()},
    **{key: setting for term in TERMS.values() for key, setting in term.settings.items()},
}


def terms_of(model_type: str) -> tuple[str, ...]:
    """The names of the terms that a type of model can be trained by."""
    return tuple(name for name, term in TERMS.items() if model_type in term.model_types)
