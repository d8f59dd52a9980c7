"""The units for systemd are valid, hardened, and start what is installed."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from edge.cli.command import UNREACHABLE
from edge.cli.main import parser

FOLDER = Path(__file__).resolve().parents[2] / "edge/systemd"
#: systemd's own measure, 0 (safe) to 10.
LARGEST_EXPOSURE = 2.5


def unit(name: str) -> configparser.ConfigParser:
    found = configparser.ConfigParser(strict=False, interpolation=None)
    found.optionxform = str  # type: ignore[assignment, method-assign]
    found.read_string((FOLDER / name).read_text())
    return found


def test_service_runs_the_update_as_its_own_user() -> None:
    service = unit("cards-edge-update.service")["Service"]
    program, *words = service["ExecStart"].split()
    assert program == "/usr/local/bin/cards-edge"
    assert parser().parse_args(words).run.__name__ == "update"
    assert service["User"] == "cards-edge" and service["ProtectSystem"] == "strict"
    assert service["StateDirectory"] == "cards-edge"
    # Without a network the timer comes again; nobody is told of a fault.
    assert service["SuccessExitStatus"] == str(UNREACHABLE)


@pytest.mark.parametrize("name", ["serve", "watch"])
def test_services_that_stay_start_what_they_are_named_after(name: str) -> None:
    found = unit(f"cards-edge-{name}.service")
    service = found["Service"]
    program, *words = service["ExecStart"].split()
    variable, _, flags = service["Environment"].strip('"').partition("=")
    assert program == "/usr/local/bin/cards-edge" and words == [name, f"${variable}"]
    assert parser().parse_args([name, *flags.split()]).run.__module__ == f"edge.cli.{name}"
    assert service["User"] == "cards-edge" and service["ProtectSystem"] == "strict"
    assert service["StateDirectory"] == "cards-edge" and service["Restart"] == "on-failure"
    assert found["Install"]["WantedBy"] == "multi-user.target"


def test_timer_asks_at_a_random_moment_also_after_the_start() -> None:
    timer = unit("cards-edge-update.timer")["Timer"]
    assert timer["OnBootSec"] and timer["OnUnitInactiveSec"] and timer["RandomizedDelaySec"]


@pytest.mark.processes
@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze")
def test_systemd_finds_no_fault_and_little_exposure() -> None:
    for path in FOLDER.glob("*.service"):
        done = subprocess.run(
            ["systemd-analyze", "security", "--offline=true", "--no-pager", str(path)],
            capture_output=True, text=True,
        )  # fmt: skip
        if "Overall exposure level" not in done.stdout:
            pytest.skip(f"systemd-analyze cannot look at files: {done.stderr[:200]}")
        level = float(done.stdout.rpartition(": ")[2].split()[0])
        assert level <= LARGEST_EXPOSURE, done.stdout[-800:]
        verified = subprocess.run(
            ["systemd-analyze", "verify", "--man=no", str(path)], capture_output=True, text=True
        )
        ours = [line for line in verified.stderr.splitlines() if path.name in line]
        # The program is not installed on this machine.
        assert [line for line in ours if "is not executable" not in line] == []
