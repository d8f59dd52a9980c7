"""A device in a temporary folder, and a bucket in memory that answers as S3 does."""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from botocore.exceptions import ClientError

from edge.preflight.hailo_versions import HailoVersions
from edge.state.folder import CURRENT, PREVIOUS, StateFolder
from edge.stored_release import signed_manifest
from edge.update.bucket import file_matches
from edge.update.updating import Updater
from recognition.onnx_model import OnnxEmbedder
from recognition.reference_views import ReferenceViews, write_reference_views
from recognition.search.index import write_index
from registry.contract import Contract
from registry.releases import statement as statements
from registry.releases.manifest import canonical, files_of, sha256
from registry.releases.pull.bounded_transfer import Transfers
from registry.releases.pull.download import ReleaseSource
from registry.releases.signatures.trust import TrustedDeployment, trust_file
from tests.recognition.conftest import colour_layout_model
from tests.registry.releases.signed_releases import BUCKET, NOW, ReleaseBucket, fits

SHARED = {
    "embeddings.npy": b"rows" * 2000,
    "index.json": b'{"0": "base1-1"}',
}
#: Two releases of which three files are the same.
OLD = {"model.int8.onnx": b"old model" * 3000, "metadata.json": b"{}", **SHARED,
       "reference_views.npz": b"old views" * 500}  # fmt: skip
NEW = {"model.int8.onnx": b"new model" * 4000, "metadata.json": b'{"v": 2}', **SHARED,
       "reference_views.npz": b"new views" * 600}  # fmt: skip
CONTRACT = Contract(size=64, embedding_dim=96)


class Body(io.BytesIO):
    """An answer's body; ``cut`` ends it early, as a lost connection does."""

    cut: int | None = None

    def iter_chunks(self, size: int) -> Iterator[bytes]:
        while chunk := self.read(min(size, 4096)):
            if self.cut is not None and self.tell() > self.cut:
                raise ConnectionError("connection lost")
            yield chunk


@dataclass
class DeviceBucket(ReleaseBucket):
    """A release bucket with S3's conditions and ranges.

    Attributes:
        asked: How often each key was asked for.
        sent: How many bytes of each key were sent.
        cut: Byte of an answer at which the connection is lost, by key.
        ranges: Whether it knows ranges.
        written: Keys that devices have written, in order.
    """

    asked: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    cut: dict[str, int] = field(default_factory=dict)
    ranges: bool = True
    written: list[str] = field(default_factory=list)

    def get_object(self, **given: Any) -> dict[str, Any]:
        key = given["Key"]
        self.asked[key] += 1
        if key not in self.objects:
            super().get_object(Bucket=given["Bucket"], Key=key)
        content = self.objects[key]
        etag = f'"{hashlib.md5(content).hexdigest()}"'
        if given.get("IfNoneMatch") == etag:
            raise _error("304", "Not Modified")
        if given.get("IfMatch", etag) != etag:
            raise _error("PreconditionFailed", "At least one of the pre-conditions did not hold")
        answer: dict[str, Any] = {"ETag": etag}
        if self.ranges and "Range" in given:
            start = int(given["Range"].removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                raise _error("InvalidRange", "The requested range is not satisfiable")
            answer["ContentRange"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            content = content[start:]
        body = Body(content)
        body.cut = self.cut.get(key)
        self.sent[key] += len(content) if body.cut is None else min(body.cut, len(content))
        return {**answer, "Body": body}

    def put_object(self, **given: Any) -> dict[str, Any]:
        """Writes an object, as a device does with its report."""
        self.written.append(given["Key"])
        self.objects[given["Key"]] = given["Body"]
        return {}

    def publish(self, release: str, files: Mapping[str, bytes] = OLD, **changes: Any) -> str:
        """Writes a release with what a device needs; returns its manifest's SHA-256."""
        manifest = {
            "schema": 1,
            "release": release,
            "source": {"name": "student-efficientnet-lite0-stage2-v1"},
            "model": next(iter(files)),
            "contract": CONTRACT.to_dict(),
            "acceptance_threshold": 0.5,
            "files": {
                name: {"sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)}
                for name, body in files.items()
            },
            **changes,
        }
        body = canonical(manifest)
        signed = {"manifest.json": body, "manifest.sig": self.key.sign(body)}
        for name, content in {**files, **signed}.items():
            self.objects[f"releases/{release}/{name}"] = content
        return sha256(body)

    def state(self, release: str, serial: int, rollout: int) -> None:
        """Moves the stable channel for a share of the devices."""
        digest = sha256(self.objects[f"releases/{release}/manifest.json"])
        stated = statements.Statement(
            "stable", self.trusted().identity, serial, release, digest,
            NOW - timedelta(days=1), NOW + timedelta(days=29), rollout,
        )  # fmt: skip
        envelope = statements.sign(stated, self.key.sign, "key").to_dict()
        self.objects["channels/stable.json"] = json.dumps({"statement": envelope}).encode()


def _error(code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "GetObject")


@dataclass
class Device:
    """A device whose self-test is given.

    Attributes:
        bucket: Where its releases come from.
        folder: Its folder.
        trusted: What was pinned when it was set up.
        tested: The releases that were tested, by the names of their folders.
        test: The self-test.
        now: Its clock.
        name: Its id.
    """

    bucket: DeviceBucket
    folder: StateFolder
    trusted: TrustedDeployment
    tested: list[str] = field(default_factory=list)
    test: Callable[[Path], int] = lambda release: 8
    now: datetime = NOW
    name: str = "shop-12"
    hailo: HailoVersions = field(default_factory=HailoVersions)

    @classmethod
    def set_up(cls, root: Path, bucket: DeviceBucket) -> Device:
        """Pins the bucket's key."""
        device = cls(bucket, StateFolder(root / "device"), bucket.trusted())
        device.folder.make()
        device.folder.write(device.folder.trust, trust_file(device.trusted))
        return device

    def updater(self, **more: Any) -> Updater:
        from edge.stored_release import pinned

        def test(release: Path) -> int:
            self.tested.append(release.name)
            return self.test(release)

        source = ReleaseSource(
            self.bucket, pinned(self.folder), fits, Transfers(), lambda: self.now  # type: ignore[arg-type]
        )  # fmt: skip
        return Updater(
            self.folder, source, "stable", device=self.name, test=test,
            hailo=lambda: self.hailo, **more,
        )  # fmt: skip

    def in_use(self, link: str = CURRENT) -> str | None:
        """Id of the release that a link leads to, after all that a device needs was verified."""
        release = self.folder.linked(link)
        if release is None:
            return None
        manifest, _ = signed_manifest(release, self.trusted)
        listed = files_of(manifest, "manifest")
        for name in OLD:
            assert file_matches(release / name, listed[name]), f"{release.name}: {name}"
        return str(manifest["release"])

    @property
    def before(self) -> str | None:
        return self.in_use(PREVIOUS)


def working_files(tint: int = 0) -> dict[str, bytes]:
    """The files of a release that really recognises: 12 cards of plain, different layouts.

    Args:
        tint: Makes other embeddings of the same cards.
    """
    import tempfile

    rng = np.random.default_rng(3)
    squares = rng.integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)
    images = np.ascontiguousarray(squares.repeat(8, axis=1).repeat(8, axis=2))
    images[..., tint % 3] = images[..., tint % 3] // (1 + tint)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "model.int8.onnx").write_bytes(colour_layout_model(CONTRACT))
        rows = OnnxEmbedder(folder / "model.int8.onnx", CONTRACT).embed(images)
        known = rows[:10]
        digest = hashlib.sha256((folder / "model.int8.onnx").read_bytes()).hexdigest()
        write_index(folder, [f"base1-{n}" for n in range(10)], known, {"model_sha256": digest})
        cosines = rows @ known.T
        best = cosines.argmax(axis=1)
        shown = [0, 3, 6, 9, 10, 11]
        write_reference_views(
            folder / "reference_views.npz",
            ReferenceViews(
                images[shown],
                rows[shown],
                tuple(f"base1-{best[row]}" for row in shown),
                tuple(float(cosines[row].max()) for row in shown),
                threshold=0.9,
                cosine_mean=0.99,
                cosine_each=0.98,
            ),
        )
        return {
            name: (folder / name).read_bytes()
            for name in ("model.int8.onnx", "embeddings.npy", "index.json",
                         "metadata.json", "reference_views.npz")
        }  # fmt: skip


def trusted_of(bucket: ReleaseBucket) -> TrustedDeployment:
    """What a device pins of a bucket."""
    return TrustedDeployment(bucket.trusted().identity, BUCKET, bucket.trusted().keys)
