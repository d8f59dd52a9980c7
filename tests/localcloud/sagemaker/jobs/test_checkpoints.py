"""Checkpoints: restored, copied while they are whole, copied at the end."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from localcloud.sagemaker.jobs import checkpoints
from localcloud.sagemaker.jobs.checkpoints import Checkpoints
from localcloud.sagemaker.jobs.container import JobError
from tests.running_cloud import until

pytestmark = pytest.mark.processes


class Place:
    """A container whose S3 is a dict."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.objects: dict[str, bytes] = {}
        self.uploads: list[str] = []
        self.writable = threading.Event()
        self.writable.set()

    def path(self, container_path: str) -> Path:
        return self.root / container_path.removeprefix("/opt/ml/")

    def download(self, uri: str, into: Path) -> int:
        found = {key: body for key, body in self.objects.items() if key.startswith(uri)}
        if not found:
            raise JobError(f"No S3 objects found under {uri!r}")
        for key, body in found.items():
            (into / key.removeprefix(uri)).write_bytes(body)
        return len(found)

    def upload(self, path: Path, uri: str) -> None:
        if not self.writable.is_set():
            raise JobError("denied")
        self.objects[uri] = path.read_bytes()
        self.uploads.append(uri)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr(checkpoints, "_SECONDS", 0.05)
    return Place(tmp_path)


def made(place: Any) -> Checkpoints:
    return Checkpoints({"S3Uri": "s3://b/c/"}, place)


def test_checkpoints_are_copied_during_the_job_each_state_once(place: Place) -> None:
    kept = made(place)
    kept.restore()
    kept.start()
    folder = place.root / "checkpoints"
    (folder / "one.pt").write_bytes(b"1")
    until(lambda: place.objects.get("s3://b/c/one.pt") == b"1", seconds=5)
    (folder / "one.pt").write_bytes(b"22")
    kept.finish()
    assert place.objects == {"s3://b/c/one.pt": b"22"}
    assert place.uploads == ["s3://b/c/one.pt"] * 2


def test_next_job_gets_the_checkpoints_and_does_not_upload_them_again(place: Place) -> None:
    place.objects["s3://b/c/one.pt"] = b"1"
    kept = made(place)
    kept.restore()
    kept.start()
    assert (place.root / "checkpoints/one.pt").read_bytes() == b"1"
    kept.finish()
    assert place.uploads == []


def test_missing_write_permission_fails_the_job_at_its_end(place: Place) -> None:
    kept = made(place)
    kept.restore()
    kept.start()
    place.writable.clear()
    (place.root / "checkpoints/one.pt").write_bytes(b"1")
    threading.Event().wait(0.3)
    with pytest.raises(JobError, match="denied"):
        kept.finish()
