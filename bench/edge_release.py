"""A device with a release of full size, and the bucket that it came from, both on this machine."""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from edge.signature import signature_fits
from edge.state.folder import StateFolder
from edge.update.updating import Updater
from registry.compilers import ONNX_INT8
from registry.contract import Contract
from registry.releases import statement as statements
from registry.releases.manifest import canonical, sha256
from registry.releases.pull.download import ReleaseSource
from registry.releases.signatures.trust import TrustedDeployment, trust_file

BUCKET, DEPLOYMENT = "releases", "dev/123456789012/us-east-2"


class _Body(io.BytesIO):
    def iter_chunks(self, size: int) -> Iterator[bytes]:
        while chunk := self.read(size):
            yield chunk


@dataclass
class MemoryBucket:
    """A release bucket in memory, signed with a key of its own.

    Attributes:
        objects: Content by key.
        sent: Bytes of each key that were sent.
        requests: How often each key was asked for.
    """

    objects: dict[str, bytes] = field(default_factory=dict)
    sent: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    _key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def get_object(self, **given: Any) -> dict[str, Any]:
        """S3's GetObject, with ``IfNoneMatch``."""
        key = given["Key"]
        self.requests[key] += 1
        if key not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        content = self.objects[key]
        etag = f'"{hashlib.sha256(content).hexdigest()}"'
        if given.get("IfNoneMatch") == etag:
            raise ClientError({"Error": {"Code": "304"}}, "GetObject")
        self.sent[key] += len(content)
        return {"Body": _Body(content), "ETag": etag}

    def publish(self, release: str, files: Mapping[str, bytes], contract: Contract) -> None:
        """Writes a signed release and makes stable point to it."""
        manifest = canonical(
            {
                "schema": 1,
                "release": release,
                "model": ONNX_INT8.model_file,
                "contract": contract.to_dict(),
                "acceptance_threshold": 0.5,
                "files": {
                    name: {"sha256": sha256(body), "bytes": len(body)}
                    for name, body in files.items()
                },
            }
        )
        signed = {"manifest.json": manifest, "manifest.sig": self._sign(manifest)}
        for name, content in {**files, **signed}.items():
            self.objects[f"releases/{release}/{name}"] = content
        now = datetime.now(UTC).replace(microsecond=0)
        stated = statements.issue(
            "stable", DEPLOYMENT, release, sha256(manifest),
            after=len(self.objects) + int(now.timestamp()), now=now, lifetime=timedelta(days=30),
        )  # fmt: skip
        envelope = statements.sign(stated, self._sign, "key").to_dict()
        self.objects["channels/stable.json"] = json.dumps({"statement": envelope}).encode()

    def _sign(self, message: bytes) -> bytes:
        return self._key.sign(message, ec.ECDSA(SHA256()))

    def trusted(self) -> TrustedDeployment:
        """What a device pins."""
        pem = self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return TrustedDeployment(DEPLOYMENT, BUCKET, (pem.decode(),))


def updater(bucket: MemoryBucket, folder: StateFolder) -> Updater:
    """An update of a device from this bucket, with the real self-test."""
    folder.make()
    if not folder.trust.exists():
        folder.write(folder.trust, trust_file(bucket.trusted()))
    source = ReleaseSource(bucket, bucket.trusted(), signature_fits)  # type: ignore[arg-type]
    return Updater(folder, source, "stable")


def release_files(folder: Path, size: int, rows: int) -> tuple[dict[str, bytes], Contract]:
    """The files of a release: a student of random weights as INT8, an index of random rows.

    Speed does not depend on the weights, nor does an exact search on the rows.
    """
    from bench.export import student
    from export.graphs.onnx_export import export_onnx
    from export.int8 import OnnxInt8
    from recognition.onnx_model import OnnxEmbedder
    from recognition.reference_views import ReferenceViews, write_reference_views
    from recognition.sample_cards.drawing import draw_card
    from recognition.search.index import FILES, write_index
    from recognition.views.camera import camera_views

    model, config = student(size)
    contract = config.contract
    scans = np.stack([_square(draw_card(number, height=2 * size), 2 * size) for number in range(8)])
    views, _ = camera_views(
        scans, [f"card-{n}" for n in range(8)], size=size, seed=0, stream="query", per_card=4
    )
    export_onnx(model, contract, folder / "model.onnx", views[:4])
    made = OnnxInt8().compile(folder / "model.onnx", views, contract, folder)
    shown = OnnxEmbedder(made.path, contract).embed(views[::4])
    gallery = np.random.default_rng(0).normal(size=(rows, contract.embedding_dim))
    gallery[: len(shown)] = shown
    ids = [f"set{number % 100}-{number}" for number in range(rows)]
    write_index(folder, ids, gallery, {"model_sha256": sha256(made.path.read_bytes())})
    write_reference_views(
        folder / "reference_views.npz",
        ReferenceViews(
            views[::4], shown, tuple(ids[: len(shown)]), (1.0,) * len(shown), 0.5, 0.99, 0.98
        ),
    )
    names = (made.path.name, *FILES, "reference_views.npz")
    return {name: (folder / name).read_bytes() for name in names}, contract


def _square(image: np.ndarray, size: int) -> np.ndarray:
    from recognition.card_sets.scan import stretch

    return stretch(image, size)
