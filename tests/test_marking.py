"""Markers of slow tests are complete, counted when they are left out, and kept together."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import properties
from tests.properties import QUICK_EXAMPLES
from tests.running_cloud import ROOT
from tests.scheduling import unit

pytestmark = pytest.mark.processes
# An installed package is called tests, too.
HOOKS = f"""
import sys, types
sys.modules["tests"] = tests = types.ModuleType("tests")
tests.__path__ = [{str(ROOT / "tests")!r}]
from tests.marking import *
"""
TESTS = """
import subprocess, sys
import pytest, torch

def start():
    subprocess.run([sys.executable, "--version"], check=True)

def train():
    weight = torch.nn.Parameter(torch.ones(1))
    weight.sum().backward()
    torch.optim.SGD([weight]).step()

def test_unmarked_start(): start()
def test_unmarked_training(): train()
@pytest.mark.processes
def test_marked_start(): start()
@pytest.mark.trained
def test_marked_training(): train()
def test_neither(): pass
"""


@pytest.fixture(autouse=True)
def no_quick_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests say themselves whether a run is quick."""
    monkeypatch.delenv("CARDS_QUICK", raising=False)


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs these five tests with the hooks of this project's own."""
    (folder / "conftest.py").write_text(HOOKS)
    (folder / "test_five.py").write_text(TESTS)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n  processes: x\n  trained: x\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", *words, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    print(done.stdout + done.stderr)
    return done


def test_start_or_training_without_its_marker_fails(tmp_path: Path) -> None:
    shown = run(tmp_path, "-c", str(tmp_path / "pytest.ini")).stdout
    assert "2 failed, 3 passed" in shown
    assert "test_unmarked_start starts python" in shown
    assert "test_unmarked_training trains a model" in shown


@pytest.mark.parametrize("processes", ["0", "2"])
def test_left_out_tests_are_counted_by_reason(tmp_path: Path, processes: str) -> None:
    only = "not processes and not trained and not deployed"
    shown = run(tmp_path, "-c", str(tmp_path / "pytest.ini"), "-n", processes, "-m", only).stdout
    assert "left out: 1 processes (starts other programs, or asks the local cloud)" in shown
    assert "left out: 1 trained (trains a model)" in shown
    assert "examples of each property" not in shown, "CARDS_QUICK is not set"


def test_quick_run_says_that_it_tries_fewer_examples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARDS_QUICK", "1")
    shown = run(tmp_path, "-c", str(tmp_path / "pytest.ini"), "-k", "neither").stdout
    assert f"{QUICK_EXAMPLES} examples of each property at most; make test runs all" in shown


def test_quick_run_tries_fewer_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(properties, "IS_QUICK", True)
    assert (properties.examples(500), properties.examples(8)) == (QUICK_EXAMPLES, 8)
    monkeypatch.setattr(properties, "IS_QUICK", False)
    assert (properties.examples(500), properties.examples(8)) == (500, 8)


def test_files_that_share_a_deployment_are_one_unit() -> None:
    first = unit("tests/e2e/test_whole_path.py::test_a")
    assert first == unit("tests/e2e/test_deployed_roles.py::test_b[x]")
    assert unit("tests/e2e/test_upgrade.py::test_a") == "tests/e2e/test_upgrade.py"
