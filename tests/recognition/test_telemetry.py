"""Recognising sends nothing and writes nothing below the home directory."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.observed_program import run_observed

pytestmark = pytest.mark.processes


@pytest.fixture
def command(release: Path, scans: np.ndarray, tmp_path: Path) -> list[str]:
    """``cards recognise`` with a release and a scan."""
    image = tmp_path / "scan.png"
    Image.fromarray(scans[3]).save(image)
    return [sys.executable, "-m", "cli.main", "recognise", str(release), str(image), "--json"]


def test_recognise_sends_and_writes_nothing(command: list[str], tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    done = run_observed(command, home)
    assert (done.code, done.err) == (0, "")
    assert '"card-3"' in done.out
    assert done.requests == ()
    assert done.written == ()


def test_recognise_without_writable_home_prints_no_warning(command: list[str]) -> None:
    # Below a file: no user, not even root, can create it.
    done = run_observed(command, Path("/dev/null/home"))
    assert (done.code, done.err) == (0, "")


def test_chosen_report_is_observed(command: list[str], tmp_path: Path) -> None:
    """The observation finds what it looks for, where a user switches reports on."""
    home = tmp_path / "home"
    home.mkdir()
    done = run_observed(command, home, {"ORT_DISABLE_TELEMETRY": "0"})
    assert done.code == 0
    assert any(path.endswith("deviceid") for path in done.written)
