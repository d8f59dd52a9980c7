"""A service of another user reads what an update writes; nobody else writes there."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.edge.device import Device, DeviceBucket


@pytest.mark.parametrize("umask", [0o077, 0o022, 0o000])
def test_state_is_readable_for_every_user_and_writable_for_its_own_whatever_the_umask(
    umask: int, tmp_path: Path, bucket: DeviceBucket
) -> None:
    before = os.umask(umask)
    try:
        device = Device.set_up(tmp_path, bucket)
        assert device.updater().run().updated
    finally:
        os.umask(before)
    root = device.folder.root
    seen = [root, *(path for path in root.rglob("*") if not path.is_symlink())]
    modes = {str(path.relative_to(root)): stat.S_IMODE(path.stat().st_mode) for path in seen}
    private = {name: mode for name, mode in modes.items() if name.endswith(".lock")}
    assert set(private.values()) == {0o600}
    for path in seen:
        name = str(path.relative_to(root))
        if name not in private:
            assert modes[name] == (0o755 if path.is_dir() else 0o644), name
    assert (root / "current" / "manifest.json").is_file()
