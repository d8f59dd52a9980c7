"""``cards export lint`` on the shared graphs that exporters of well-known tools wrote."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest

from tests.cli.command import cards

CASES = Path(__file__).resolve().parents[3].parent / "shared" / "cases"


def case(name: str) -> Path:
    path = CASES / name
    if not path.is_file():
        pytest.skip(f"the shared case {name} is missing")
    return path


def test_lint_of_the_training_mode_case_finds_the_normalisation() -> None:
    done = cards("export", "lint", str(case("lint-training-mode.onnx")))
    assert done.code == 1
    assert "/b/BatchNormalization: BatchNormalization in training mode; export" in done.out


def test_lint_of_the_listed_initialisers_case_sees_one_input(tmp_path: Path) -> None:
    path = case("lint-initialisers-as-inputs.onnx")
    done = cards("export", "lint", str(path))
    assert done.code == 0, done.out
    assert done.out.splitlines()[-1] == "nothing that the Hailo parser is expected to refuse"
    assert cards("export", "batch", str(path), "--out", str(tmp_path / "b.onnx")).code == 0
    (taken,) = onnxruntime.InferenceSession(str(tmp_path / "b.onnx")).get_inputs()
    assert taken.shape == ["batch", 3, 16, 16]
