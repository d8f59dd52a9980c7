"""Each loss term declares everything about itself; what is missing stops the program at import."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from registry.names import STUDENT, TEACHER
from training.config import ConfigError
from training.losses import terms
from training.losses.criterion import Criterion
from training.losses.term import LossInputs, LossTerm, Need, Setting, TermError, checked
from training.losses.terms import SETTINGS, TERMS, terms_of
from training.recipe import resolve

ROOT = Path(__file__).resolve().parents[3]
SOUND = LossTerm("norm", frozenset({TEACHER}), lambda batch, settings, module: batch.views.sum())


def test_terms_are_the_files_of_the_folder() -> None:
    files = {path.stem for path in Path(terms.__file__).parent.glob("*.py")} - {"__init__"}
    assert set(TERMS) == files
    assert terms_of(TEACHER) == ("arcface", "contrastive")
    assert set(terms_of(STUDENT)) == files


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ({"norm": SimpleNamespace()}, "norm.py: declares no TERM"),
        ({"norm": SimpleNamespace(TERM="norm")}, "norm.py: declares no TERM"),
        ({"other": SimpleNamespace(TERM=SOUND)}, "other.py: its TERM is named 'norm'"),
    ],
)
def test_module_without_its_term_raises(modules: dict[str, object], message: str) -> None:
    with pytest.raises(TermError, match=message):
        checked(modules)


def test_two_terms_with_one_setting_raise() -> None:
    one = replace(SOUND, settings={"scale": Setting(1, 0, 2)})
    two = replace(one, name="other")
    with pytest.raises(TermError, match="norm and other: both declare scale"):
        checked({"norm": SimpleNamespace(TERM=one), "other": SimpleNamespace(TERM=two)})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "Norm"}, "the name must be"),
        ({"model_types": frozenset()}, "model_types must be"),
        ({"model_types": frozenset({"pupil"})}, "model_types must be"),
        ({"compute": None}, "has no function"),
        ({"needs": frozenset({"teacher"})}, "which nothing provides"),
        ({"needs": frozenset({Need.MAPS})}, "needs a teacher, so it cannot train one"),
        ({"needs": frozenset({Need.PROTOTYPES})}, "has no part that is built of them"),
        ({"settings": {"scale": Setting(3, 0, 2)}}, "scale is 3"),
        ({"settings": {"weight_norm": Setting(1, 0, 2)}}, "is no name of a setting"),
    ],
)
def test_incomplete_declaration_raises(changes: dict[str, object], message: str) -> None:
    with pytest.raises(TermError, match=message):
        replace(SOUND, **changes)  # type: ignore[arg-type]


def test_unknown_weight_in_the_settings_raises() -> None:
    with pytest.raises(ConfigError, match="weight_cosine: is no setting"):
        resolve("tiny", STUDENT, "stage1", {"weight_cosine": 1})


@pytest.mark.processes
def test_declarations_are_read_without_torch() -> None:
    """Submitting a job must work, and start fast, where torch is not installed."""
    code = "import sys; sys.modules['torch'] = None; import training.config, training.losses.terms"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=120)


@pytest.mark.parametrize("name", sorted(TERMS))
def test_every_term_is_computed_by_its_own_function(name: str) -> None:
    """Its own value, times its weight, and a gradient: no term stands in for another."""
    generator = torch.Generator().manual_seed(0)

    def rows(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    weights = {key: 0 for key in SETTINGS if key.startswith("weight_")}
    config = resolve("tiny", STUDENT, "stage2", {**weights, f"weight_{name}": 2, "scan_share": 0.5})
    student = rows(6, 8).requires_grad_()
    maps = rows(6, 4, 4, 4).requires_grad_()
    batch = LossInputs(
        student, student[:3] * 0.9, torch.arange(6), rows(6, 8), rows(6, 8), maps, rows(6, 5, 4, 4)
    )
    criterion = Criterion(config, rows(6, 8), (4, 5))
    assert set(dict(criterion.named_children())) == ({name} if TERMS[name].build else set())
    values = criterion(batch)
    assert list(values) == [name]
    module = dict(criterion.named_children()).get(name)
    own = TERMS[name].compute(batch, config.losses, module)
    assert values[name].item() == pytest.approx(2 * own.item())
    values[name].backward()
    moved = maps if Need.MAPS in TERMS[name].needs else student
    assert moved.grad is not None and (moved.grad != 0).any()


def test_terms_differ_in_value() -> None:
    """A term that fell through to another's function would have its value."""
    generator = torch.Generator().manual_seed(1)

    def rows(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    batch = LossInputs(
        rows(4, 6), rows(4, 6), torch.arange(4), rows(4, 6), rows(4, 6),
        rows(4, 3, 4, 4), rows(4, 3, 4, 4),
    )  # fmt: skip
    every = {f"weight_{name}": 1 for name in TERMS}
    config = resolve("tiny", STUDENT, "stage2", every)
    values = Criterion(config, rows(4, 6), (3, 3))(batch)
    assert len({round(value.item(), 6) for value in values.values()}) == len(TERMS) == 8


@pytest.mark.parametrize("name", ["embedding", "attention", "feature_map"])
def test_term_without_what_it_needs_raises(name: str) -> None:
    weights = {key: 0 for key in SETTINGS if key.startswith("weight_")}
    config = resolve("tiny", STUDENT, "stage1", {**weights, f"weight_{name}": 1})
    batch = LossInputs(torch.ones(2, 8), torch.ones(1, 8), torch.arange(2))
    with pytest.raises(ValueError, match=f"loss term {name}: this loss term needs"):
        Criterion(config, None, (4, 4))(batch)
