"""Whether a key made a signature: ECDSA over P-256 with SHA-256, as AWS KMS signs."""

from __future__ import annotations


def signature_fits(pem: str, signature: bytes, message: bytes) -> bool:
    """Whether a key made an ECDSA P-256 SHA-256 signature (DER, as KMS gives it).

    Raises:
        TrustError: The key is no such key.
    """
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    from registry.releases.signatures.trust import TrustError

    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise TrustError(f"signing key: is no public key in PEM form ({error})") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise TrustError("signing key: is no ECDSA key over P-256")
    try:
        key.verify(signature, message, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True
