"""The deployment's signing key in AWS KMS: ECDSA over P-256 with SHA-256.

KMS signs and verifies digests, so messages of any length never leave the caller.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from registry.aws import put_once
from registry.aws_errors import Meaning, means
from registry.deployment import Deployment
from registry.names import KEYS_PREFIX
from registry.releases.signatures.envelope import Envelope, Verify, seal
from registry.releases.signatures.trust import fingerprint

if TYPE_CHECKING:
    from mypy_boto3_kms.client import KMSClient

SIGNING_ALGORITHM: Final = "ECDSA_SHA_256"
_SIGNATURE_LIMIT = 1024


@dataclass(frozen=True)
class SigningKey:
    """A key of KMS, as :mod:`registry.releases.signatures.envelope` needs it.

    Attributes:
        kms: A boto3 KMS client.
        arn: The key's ARN.
    """

    kms: KMSClient
    arn: str

    def sign(self, message: bytes) -> bytes:
        """The signature of a message, DER-encoded."""
        answer = self.kms.sign(
            KeyId=self.arn,
            Message=hashlib.sha256(message).digest(),
            MessageType="DIGEST",
            SigningAlgorithm=SIGNING_ALGORITHM,
        )
        return bytes(answer["Signature"])

    def verify(self, signature: bytes, message: bytes) -> bool:
        """Whether this key made the signature of the message.

        Raises:
            ClientError: KMS did not answer: it is not known.
        """
        if not 0 < len(signature) <= _SIGNATURE_LIMIT:
            return False  # KMS refuses such requests.
        try:
            answer = self.kms.verify(
                KeyId=self.arn,
                Message=hashlib.sha256(message).digest(),
                MessageType="DIGEST",
                Signature=signature,
                SigningAlgorithm=SIGNING_ALGORITHM,
            )
        except ClientError as error:
            if not means(error, Meaning.WRONG_SIGNATURE):
                raise
            return False
        return bool(answer["SignatureValid"])

    def seal(self, payload_type: str, payload: bytes) -> Envelope:
        """A signed envelope; its key id is the key's fingerprint."""
        return seal(payload_type, payload, self.sign, self.fingerprint)

    @cached_property
    def public_key_pem(self) -> bytes:
        """The public half, PEM."""
        return public_key_pem(self.kms, self.arn)

    @property
    def fingerprint(self) -> str:
        """Hex SHA-256 of the public half (DER SubjectPublicKeyInfo)."""
        return fingerprint(self.public_key_pem.decode())


def signing_key(deployment: Deployment) -> SigningKey:
    """The key that a deployment signs with."""
    return SigningKey(deployment.kms, deployment.signing_key_arn)


def verify_by_any_key(deployment: Deployment) -> Verify:
    """Accepts signatures of each key of the deployment, as those of releases; the newest first."""
    arns = dict.fromkeys((deployment.signing_key_arn, *reversed(deployment.signing_key_arns)))
    keys = [SigningKey(deployment.kms, arn) for arn in arns]
    return lambda signature, message: any(key.verify(signature, message) for key in keys)


def public_key_pem(kms: KMSClient, key: str) -> bytes:
    """The public half of the signing key, as PEM (SubjectPublicKeyInfo)."""
    der = base64.b64encode(kms.get_public_key(KeyId=key)["PublicKey"]).decode()
    lines = "\n".join(der[start : start + 64] for start in range(0, len(der), 64))
    return f"-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----\n".encode()


def public_key_name(key_arn: str) -> str:
    """The public key's object in the release bucket."""
    return f"{KEYS_PREFIX}{key_arn.rpartition('/')[2]}.pem"


def put_public_key(deployment: Deployment) -> None:
    """Writes the public key beside the releases, once."""
    put_once(
        deployment.s3,
        deployment.release_bucket,
        public_key_name(deployment.signing_key_arn),
        signing_key(deployment).public_key_pem,
    )
