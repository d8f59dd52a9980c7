"""The demo's device: its folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.demo.device import DemoDevice
from cli.errors import CliError
from registry.releases.signatures.trust import TrustedDeployment


@pytest.mark.parametrize("link", [False, True])
def test_folder_of_somebody_else_is_refused_and_left_alone(tmp_path: Path, link: bool) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "photo.jpg").write_bytes(b"photo")
    folder = own
    if link:
        folder = tmp_path / "device"
        folder.symlink_to(own)
    device = DemoDevice(folder, {}, tmp_path / "device.log")
    with pytest.raises(CliError, match="holds something else; move it"):
        device.set_up(TrustedDeployment("dev/1/us-east-2", "bucket", ("key",)))
    assert (own / "photo.jpg").read_bytes() == b"photo"
    assert sorted(each.name for each in own.iterdir()) == ["photo.jpg"]
