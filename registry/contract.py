"""The one preprocessing contract that training, ONNX, calibration, the HEF and the device share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

SMALLEST_SIZE = 32
LARGEST_SIZE = 1024


class ContractError(ValueError):
    """A contract that cannot be right: the message names the field and what it must be."""


@dataclass(frozen=True)
class Contract:
    """What goes into a card model and what comes out.

    In: one uint8 image of shape (size, size, 3), RGB, channels last (NHWC with a batch of 1); the
    scan or view is stretched to the square with area interpolation. Normalisation,
    ``(x / 255 - mean) / std`` per channel, is part of the network, so that a device feeds the
    bytes of its camera. Out: ``embedding_dim`` float32 values; the host divides by their L2 norm.

    Attributes:
        size: Side of the square input, in pixels.
        embedding_dim: Length of the embedding.
        mean: Channel means in RGB order, of values scaled to [0, 1] (ImageNet's, as
            ``timm`` gives them for ``efficientnet_lite0``).
        std: Channel standard deviations, likewise.
    """

    size: int = 224
    embedding_dim: int = 768
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    def __post_init__(self) -> None:
        if not SMALLEST_SIZE <= self.size <= LARGEST_SIZE or self.size % 8:
            raise ContractError(
                f"contract: size {self.size} must be a multiple of 8 between "
                f"{SMALLEST_SIZE} and {LARGEST_SIZE} pixels"
            )
        if not 1 <= self.embedding_dim <= 8192:
            raise ContractError(f"contract: embedding_dim {self.embedding_dim} must be 1 to 8192")
        for name in ("mean", "std"):
            values = getattr(self, name)
            if len(values) != 3 or not all(0 < value < 1 for value in values):
                raise ContractError(f"contract: {name} {values} must be three numbers in (0, 1)")

    def to_dict(self) -> dict[str, Any]:
        """The form that stands in manifests and beside weights."""
        return {
            "size": self.size,
            "layout": "NHWC",
            "channels": "RGB",
            "dtype": "uint8",
            "resize": "stretch-area",
            "mean": list(self.mean),
            "std": list(self.std),
            "normalisation": "inside the network",
            "embedding_dim": self.embedding_dim,
            "l2": "on the host",
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Contract:
        """Reads :meth:`to_dict`'s form back; refuses a form that this code does not follow.

        Raises:
            ContractError: A field is missing, of the wrong type, or of another contract
                (BGR, NCHW, …): such a model must not be fed by this code.
        """
        if not isinstance(document, Mapping):
            raise ContractError("contract: not a JSON object")
        try:
            contract = cls(
                size=int(document["size"]),
                embedding_dim=int(document["embedding_dim"]),
                mean=tuple(float(value) for value in document["mean"]),  # type: ignore[arg-type]
                std=tuple(float(value) for value in document["std"]),  # type: ignore[arg-type]
            )
        except KeyError as error:
            raise ContractError(f"contract: {error.args[0]} is missing") from None
        except (TypeError, ValueError, OverflowError) as error:
            raise ContractError(f"contract: {error}") from None
        expected = contract.to_dict()
        for key, value in expected.items():
            if document.get(key) != value:
                raise ContractError(
                    f"contract: {key} is {document.get(key)!r}, this code follows {value!r}"
                )
        return contract

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the canonical JSON form; equal digests mean equal preprocessing."""
        canonical = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()
