"""Recipes: named sets of settings, and what a run makes of one.

A recipe is a JSON file in ``training/recipes``: ``all`` holds what every stage shares, and
``phase2`` (the teacher), ``stage1`` and ``stage2`` (the student) hold their own settings.

Example:
    >>> from training.recipe import parse_arguments, resolve
    >>> given = parse_arguments(["--image-size", "96", "--steps=100"])
    >>> config = resolve("demo", "student", "stage1", given)
    >>> config.image_size, config.steps, config.backbone
    (96, 100, 'efficientnet_lite0')
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from training.config import ConfigError, TrainingConfig, convert_setting

RECIPES = Path(__file__).resolve().parent / "recipes"
#: Settings that the job determines; they cannot be given.
_BY_JOB = {"initial_weights", "inherited_weights"}


def recipe_names() -> tuple[str, ...]:
    """The names of all recipes."""
    return tuple(sorted(path.stem for path in RECIPES.glob("*.json")))


def resolve(
    recipe: str, model_type: str, stage: str, overrides: Mapping[str, Any]
) -> TrainingConfig:
    """Lays hyper-parameters over a recipe over the defaults.

    Args:
        recipe: One of :func:`recipe_names`.
        model_type: ``teacher`` or ``student``.
        stage: The stage; the recipe must have a section of that name.
        overrides: Values by key, as text or typed. Hyphens in keys count as underscores.

    Raises:
        ConfigError: No such recipe, an unknown key, or a value that a field cannot hold.
    """
    if recipe not in recipe_names():
        raise ConfigError(f"recipe {recipe!r}: is none of {', '.join(recipe_names())}")
    document = json.loads((RECIPES / f"{recipe}.json").read_text(encoding="utf-8"))
    if stage not in document:
        raise ConfigError(f"recipe {recipe}: has no section {stage!r}")
    values: dict[str, Any] = {}
    for section in ("all", stage):
        for key, value in document[section].items():
            values[key] = convert_setting(key, value, f"recipe {recipe}, {section}: ")
    fixed = {"recipe": recipe, "model_type": model_type, "stage": stage}
    lengths = {"steps", "epochs"} & {given.replace("-", "_") for given in overrides}
    if len(lengths) == 1:
        # A length that is asked for replaces the recipe's, in whichever unit that has it.
        values |= {"steps": 0, "epochs": 0.0, "most_steps": 0}
    for given, value in overrides.items():
        key = given.replace("-", "_")
        if key in fixed or key in _BY_JOB:
            raise ConfigError(f"hyper-parameter {given}: is decided by the job and its recipe")
        values[key] = convert_setting(key, value, "hyper-parameter ")
    return TrainingConfig.from_settings({**values, **fixed})


def parse_arguments(arguments: Sequence[str]) -> dict[str, str]:
    """Hyper-parameters as SageMaker's script mode passes them: ``--key value`` or ``--key=value``.

    Raises:
        ConfigError: An argument that is no ``--key``, a key without value, or a key given twice.
    """
    found: dict[str, str] = {}
    waiting = list(arguments)
    while waiting:
        word = waiting.pop(0)
        if not word.startswith("--") or len(word) < 3:
            raise ConfigError(f"argument {word!r}: expected --key value")
        key, equals, value = word[2:].partition("=")
        if not equals:
            if not waiting:
                raise ConfigError(f"argument --{key}: has no value")
            value = waiting.pop(0)
        key = key.replace("-", "_")
        if key in found:
            raise ConfigError(f"argument --{key}: is given twice")
        found[key] = value
    return found
