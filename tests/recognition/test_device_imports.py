"""What a device loads: no training framework, no AWS, and no drawing of sample cards."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: Needed by training, the demo or the cloud side alone.
NEVER = {"torch", "torchvision", "timm", "matplotlib", "boto3", "botocore", "mlflow", "onnx"}


def loaded_by(module: str) -> set[str]:
    """Names of all modules that importing one loads, in a process of its own."""
    code = f"import {module}, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_sample_cards_are_imported_by_nothing_else_in_recognition() -> None:
    own = ROOT / "recognition" / "sample_cards"
    others = [file for file in (ROOT / "recognition").rglob("*.py") if own not in file.parents]
    assert len(others) > 10
    for file in others:
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in getattr(node, "names", []) if hasattr(alias, "name")]
            modules = [getattr(node, "module", None) or "", *names]
            wrong = isinstance(node, ast.Import | ast.ImportFrom) and any(
                "sample_cards" in module for module in modules
            )
            assert not wrong, f"{file.relative_to(ROOT)}:{node.lineno} imports sample_cards"


@pytest.mark.processes
def test_recogniser_loads_what_a_device_has() -> None:
    loaded = loaded_by("recognition.recogniser")
    assert "onnxruntime" in loaded
    assert {name.partition(".")[0] for name in loaded} & NEVER == set()
    assert "recognition.sample_cards" not in loaded


@pytest.mark.processes
@pytest.mark.parametrize(
    "module", ["recognition.onnx_model", "recognition.retrieval", "recognition.views.effects"]
)
def test_module_that_reads_no_image_loads_no_image_library(module: str) -> None:
    loaded = {name.partition(".")[0] for name in loaded_by(module)}
    assert loaded & {*NEVER, "cv2", "PIL"} == set()
