"""A release bucket in memory, with releases as the automation signs them."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from registry.contract import Contract
from registry.releases import statement as statements
from registry.releases.manifest import canonical, sha256
from registry.releases.pull.bounded_transfer import Transfers
from registry.releases.pull.download import ReleaseSource
from registry.releases.signatures.trust import (
    TrustedDeployment,
    fingerprint,
    rotation_key,
    sign_rotation,
)
from tests.registry.releases.signatures.p256 import Key

BUCKET = "releases"
DEPLOYMENT = "dev/123456789012/us-east-2"
NOW = datetime(2026, 1, 10, tzinfo=UTC)
OLD_FILES = {"model.int8.onnx": b"the old model" * 50, "metadata.json": b"{}"}
NEW_FILES = {"model.int8.onnx": b"the new model" * 70, "metadata.json": b'{"v": 2}'}


def pem(key: Key) -> str:
    body = base64.encodebytes(key.der).decode()
    return f"-----BEGIN PUBLIC KEY-----\n{body}-----END PUBLIC KEY-----\n"


def fits(key: str, signature: bytes, message: bytes) -> bool:
    public = load_pem_public_key(key.encode())
    assert isinstance(public, ec.EllipticCurvePublicKey)
    try:
        public.verify(signature, message, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


class _Body(io.BytesIO):
    def iter_chunks(self, size: int) -> Iterator[bytes]:
        while chunk := self.read(size):
            yield chunk


@dataclass
class ReleaseBucket:
    """The objects, and the S3 client that reads them.

    Attributes:
        key: The signing key in use.
        objects: Content by key.
        listable: Whether the reader may list the bucket; if not, S3 denies what is missing.
    """

    key: Key = field(default_factory=Key)
    objects: dict[str, bytes] = field(default_factory=dict)
    listable: bool = True

    def get_object(self, **given: Any) -> dict[str, Any]:
        assert given["Bucket"] == BUCKET
        if given["Key"] not in self.objects:
            code = "NoSuchKey" if self.listable else "AccessDenied"
            raise ClientError({"Error": {"Code": code, "Message": "no"}}, "GetObject")
        return {"Body": _Body(self.objects[given["Key"]])}

    def publish(self, release: str, files: Mapping[str, bytes] = OLD_FILES, **changes: Any) -> str:
        """Writes a release; returns its manifest's SHA-256."""
        manifest = {
            "schema": 1,
            "release": release,
            "model": "model.int8.onnx",
            "contract": Contract().to_dict(),
            "acceptance_threshold": 0.7,
            "files": {
                name: {"sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)}
                for name, body in files.items()
            },
            **changes,
        }
        body = canonical(manifest)
        for name, content in {
            **files,
            "manifest.json": body,
            "manifest.sig": self.key.sign(body),
        }.items():
            self.objects[f"releases/{release}/{name}"] = content
        return sha256(body)

    def point(
        self,
        release: str | None,
        serial: int,
        *,
        channel: str = "stable",
        deployment: str = DEPLOYMENT,
        lifetime: timedelta = timedelta(days=30),
    ) -> None:
        """Moves a channel, with a signed statement."""
        digest = release and sha256(self.objects[f"releases/{release}/manifest.json"])
        stated = statements.Statement(
            channel, deployment, serial, release, digest, NOW - timedelta(days=1),
            NOW - timedelta(days=1) + lifetime,
        )  # fmt: skip
        envelope = statements.sign(stated, self.key.sign, "key").to_dict()
        self.objects[f"channels/{channel}.json"] = json.dumps(
            {"release": release, "statement": envelope}
        ).encode()

    def rotate(self, deployment: str = DEPLOYMENT) -> Key:
        """Changes the key; the old one signs the new one. Returns the old one."""
        old, new = self.key, Key()
        envelope = sign_rotation(deployment, pem(old), pem(new), old.sign, NOW)
        key = rotation_key(fingerprint(pem(old)))
        self.objects[key] = json.dumps(envelope.to_dict()).encode()
        self.key = new
        return old

    def trusted(self) -> TrustedDeployment:
        """What a client has that pins the key now."""
        return TrustedDeployment(DEPLOYMENT, BUCKET, (pem(self.key),))

    def source(
        self, trusted: TrustedDeployment | None = None, transfers: Transfers | None = None
    ) -> ReleaseSource:
        return ReleaseSource(
            self,  # type: ignore[arg-type]
            trusted or self.trusted(),
            fits,
            transfers or Transfers(),
            lambda: NOW,
        )


def content(folder: Path) -> dict[str, bytes]:
    """A release's own files on disk."""
    return {name: (folder / name).read_bytes() for name in OLD_FILES}
