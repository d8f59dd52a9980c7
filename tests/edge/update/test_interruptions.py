"""Killed, out of disk or without power at every step, a device is on one whole release."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge.rollback import roll_back
from edge.state.folder import StateFolder
from tests.edge.device import Device
from tests.edge.power_cut import EAGER, STRICT, Disk
from tests.registry.releases.signed_releases import NOW

#: How a process ends.
FINISHED, REACHED = 0, 3
KILL, FULL_DISK = "SIGKILL", "disk full"
POWER = {"power, strict disk": STRICT, "power, eager disk": EAGER}
#: Calls that change the file system, beside ``open``.
_CHANGES = frozenset(
    f"os.{name}"
    for name in ("chmod", "link", "mkdir", "remove", "rename", "rmdir", "symlink", "truncate")
)
#: Steps that need space; a full disk refuses them.
_WRITES = ("os.mkdir", "os.link", "os.symlink", "os.rename", "fsync")


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model follows what is written through; a real disk would only take its time."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


class Interruption:
    """Ends this process, or a call of its, at the n-th step from now on.

    Every call that Python makes into the file system and that changes it is a step, and so is every
    ``fsync``, before which written bytes are nowhere safe. What only reads leaves the same disk.
    """

    def __init__(self, step: int, how: str, root: Path, survived: Path) -> None:
        self.reached: str | None = None
        self._left, self._how, self._survived = step, how, survived
        self._main, self._busy = threading.get_ident(), False
        self._disk = Disk(root) if how in POWER else None
        self._fsync = os.fsync
        os.fsync = self._synced
        sys.addaudithook(self._audit)

    def _synced(self, descriptor: int) -> None:
        self._step("fsync")
        self._fsync(descriptor)
        if self._disk is not None:
            self._busy = True
            self._disk.fsync(descriptor)
            self._busy = False

    def _audit(self, event: str, args: tuple[Any, ...]) -> None:
        writes = event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if writes or event in _CHANGES:
            self._step(event)

    def _step(self, event: str) -> None:
        if self._busy or threading.get_ident() != self._main:
            return
        if self._how == FULL_DISK and event not in _WRITES:
            return
        self._left -= 1
        if self._left:
            return
        self.reached = event
        self._busy = True
        if self._how == FULL_DISK:
            self._busy = False
            raise OSError(errno.ENOSPC, "No space left on device")
        if self._disk is not None:
            self._disk.survive(POWER[self._how], self._survived)
        os.kill(os.getpid(), signal.SIGKILL)


def in_child(work: Callable[[], int]) -> int:
    """Runs it in a forked process; its result, 1 where it raised, 9 where it was killed."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with contextlib.suppress(OSError):
                code = work()
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) & 0xFF if os.WIFEXITED(status) else 9


def each_step(
    device: Device,
    tmp_path: Path,
    how: str,
    work: Callable[[Device], object],
    check: Callable[[Device, str], None],
) -> int:
    """Interrupts the work at each of its steps, each time from the same start; counts them."""
    start = device.folder.root
    for step in range(1, 2000):
        place, survived = tmp_path / f"{step}", tmp_path / f"{step}-survived"
        shutil.copytree(start, place, symlinks=True)
        there = Device(device.bucket, StateFolder(place), device.trusted)

        def run(there: Device = there, step: int = step, survived: Path = survived) -> int:
            at = Interruption(step, how, there.folder.root, survived)
            work(there)
            return REACHED if at.reached else FINISHED

        ended = in_child(run)
        if ended == FINISHED:
            check(there, f"{how}, not interrupted")
            return step - 1
        if survived.exists():
            there.folder = StateFolder(survived)
        check(there, f"{how} at step {step}")
        shutil.rmtree(place)
        shutil.rmtree(survived, ignore_errors=True)
    raise AssertionError("the work does not end")


@pytest.mark.processes
@pytest.mark.parametrize("how", [KILL, FULL_DISK, *POWER])
def test_interrupted_update_leaves_the_old_or_the_new_release(
    device: Device, tmp_path: Path, how: str
) -> None:
    found: set[str | None] = set()

    def check(there: Device, label: str) -> None:
        found.add(there.in_use())
        assert there.in_use() in ("old", "new"), label
        result = there.updater().run()
        assert there.in_use() == "new", f"{label}: {result.text}"
        assert there.before == "old", label
        names = {path.name.rpartition("-")[0] for path in there.folder.releases.iterdir()}
        assert names == {"old", "new"}, label

    steps = each_step(device, tmp_path, how, lambda there: there.updater().run(), check)
    assert steps > (30 if how == FULL_DISK else 50), "the steps were not found"
    assert found == {"old", "new"}


@pytest.mark.processes
@pytest.mark.parametrize("how", [KILL, FULL_DISK, *POWER])
def test_interrupted_first_update_leaves_no_release_or_the_whole(
    device: Device, tmp_path: Path, how: str
) -> None:
    for link in ("current", "previous"):
        (device.folder.root / link).unlink(missing_ok=True)
    for folder in (device.folder.releases, device.folder.blobs):
        shutil.rmtree(folder)
        folder.mkdir()
    (device.folder.root / "record.json").unlink()
    found: set[str | None] = set()

    def check(there: Device, label: str) -> None:
        found.add(there.in_use())
        assert there.in_use() in (None, "new"), label
        there.updater().run()
        assert there.in_use() == "new", label

    each_step(device, tmp_path, how, lambda there: there.updater().run(), check)
    assert found == {None, "new"}


@pytest.mark.processes
@pytest.mark.parametrize("how", [KILL, FULL_DISK, *POWER])
def test_interrupted_rollback_leaves_either_release(
    device: Device, tmp_path: Path, how: str
) -> None:
    device.updater().run()
    found: set[str | None] = set()

    def work(there: Device) -> None:
        roll_back(there.folder, there.trusted, "blurred", NOW)

    def check(there: Device, label: str) -> None:
        found.add(there.in_use())
        assert there.in_use() in ("old", "new"), label
        if there.in_use() == "new":
            assert there.before == "old", label
            work(there)
        assert there.in_use() == "old", label

    steps = each_step(device, tmp_path, how, work, check)
    assert steps >= (5 if how == FULL_DISK else 15)
    assert found == {"old", "new"}
