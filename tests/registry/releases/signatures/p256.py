"""A P-256 key as the automation and a device use one, without AWS."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256

from registry.contract import Contract


@dataclass(frozen=True)
class Key:
    """Signs and verifies as AWS KMS does with ``ECDSA_SHA_256``."""

    private: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def sign(self, message: bytes) -> bytes:
        return self.private.sign(message, ec.ECDSA(SHA256()))

    def verify(self, signature: bytes, message: bytes) -> bool:
        try:
            self.private.public_key().verify(signature, message, ec.ECDSA(SHA256()))
        except InvalidSignature:
            return False
        return True

    @property
    def der(self) -> bytes:
        """The public half, DER SubjectPublicKeyInfo."""
        return self.private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )


@dataclass(frozen=True)
class KmsOfKey:
    """The calls of AWS KMS that :class:`registry.releases.signatures.signing.SigningKey` makes."""

    key: Key

    def sign(self, **given: Any) -> dict[str, bytes]:
        algorithm = ec.ECDSA(Prehashed(SHA256()))
        return {"Signature": self.key.private.sign(given["Message"], algorithm)}

    def get_public_key(self, **given: Any) -> dict[str, bytes]:
        return {"PublicKey": self.key.der}


def example_manifest(release: str, files: Mapping[str, bytes]) -> dict[str, Any]:
    """A manifest of some files."""
    return {
        "schema": 1,
        "release": release,
        "name": "student-efficientnet-lite0-int8-v1",
        "source": {"name": "student-efficientnet-lite0-stage2-v1", "arn": "arn:aws:sagemaker:x"},
        "compiler": "onnx-int8",
        "compile_settings": {"compiler": "onnx-int8"},
        "image": "image@sha256:" + "1" * 64,
        "compile_job": "arn:aws:sagemaker:us-east-2:1:processing-job/compile-x",
        "compiled_at": "2026-01-02T03:04:05+00:00",
        "model": next(iter(files)),
        "contract": Contract().to_dict(),
        "acceptance_threshold": 0.7,
        "card_set": {"digest": "d" * 64, "cards": 12},
        "gate": {"verdict": "passed", "figures": {}},
        "lineage": [{"name": "student-efficientnet-lite0-stage2-v1", "arn": "arn:x"}],
        "files": {
            name: {"sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)}
            for name, body in files.items()
        },
        "compilation_report_sha256": "2" * 64,
    }
