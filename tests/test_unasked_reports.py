"""Jobs, functions and the device's client send nothing unasked, and leave no id below home.

``cards recognise`` is observed in ``tests/recognition/test_telemetry.py``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from recognition.sample_cards.drawing import draw_card_set
from tests.observed_program import ROOT, ObservedProgram, run_observed

FUNCTIONS = ("register_model", "compile_approved", "publish_release", "reconcile")
LAMBDA_PYTHON = ROOT / ".venv-lambda" / "bin" / "python"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def observe(command: Sequence[str | Path], home: Path, **variables: str) -> ObservedProgram:
    return run_observed(command, home, {"PYTHONPATH": str(ROOT), **variables}, home.parent)


@pytest.mark.trained
@pytest.mark.processes
def test_training_job_sends_nothing_and_leaves_no_id_below_home(home: Path, tmp_path: Path) -> None:
    draw_card_set(tmp_path / "cards", 12, seed=3, height=96)
    out = tmp_path / "out"
    done = observe(
        [sys.executable, ROOT / "training/jobs/train_teacher.py", "--recipe", "tiny"],
        home,
        SM_CHANNEL_CARDS=str(tmp_path / "cards"),
        SM_MODEL_DIR=str(out / "model"),
        SM_OUTPUT_DIR=str(out / "output"),
        SM_OUTPUT_DATA_DIR=str(out / "output" / "data"),
    )
    assert done.code == 0, done.err
    # Matplotlib keeps a list of the machine's fonts there, which nobody else reads.
    written = [each for each in done.written if not each.startswith(".cache/matplotlib/fontlist")]
    assert (done.requests, written) == ((), [])


@pytest.mark.processes
@pytest.mark.parametrize("function", FUNCTIONS)
def test_function_sends_nothing_while_it_starts(home: Path, function: str) -> None:
    done = observe([LAMBDA_PYTHON, "-c", f"import lambdas.{function}"], home)
    # Its libraries are imported before it asks for the deployment's settings, which lack here.
    assert done.code == 0 or "the stack that made this function must set it" in done.err, done.err
    assert (done.requests, done.written) == ((), ())


@pytest.mark.processes
@pytest.mark.parametrize("command", ["status", "doctor"])
def test_device_s_client_sends_nothing_without_a_release(
    home: Path, tmp_path: Path, command: str
) -> None:
    program = [sys.executable, "-m", "edge.cli.main", command, "--state", tmp_path / "state"]
    done = observe(program, home)
    assert done.code in (0, 1) and "Traceback" not in done.err, done.err
    assert (done.requests, done.written) == ((), ())
