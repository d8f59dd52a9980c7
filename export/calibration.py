"""Calibration images: what is shown to a quantiser, and what it really saw."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


class CalibrationError(ValueError):
    """Images that are none of the contract's; says of which type and shape they are."""


@dataclass(frozen=True)
class CalibrationRecord:
    """Identity and statistics of a set of images.

    Attributes:
        images: How many.
        sha256: Of their bytes, in order: uint8 RGB NHWC.
        mean: By channel, 0 to 255.
        std: By channel, 0 to 255.
        roughness: Mean difference of values side by side, 0 to 255: noise is rough, a photograph is
            smooth, however bright they are.
    """

    images: int
    sha256: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    roughness: float

    def to_dict(self) -> dict[str, Any]:
        """The form that stands in reports."""
        return asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> CalibrationRecord:
        """The inverse of :meth:`to_dict`, also after JSON has made lists of its triples."""
        triples = {key: tuple(document[key]) for key in ("mean", "std")}
        return cls(**{**document, **triples})


def require_images(images: NDArray[Any]) -> None:
    """Raises CalibrationError unless these are uint8 (N, S, S, 3).

    Calibration data in NCHW or already normalised are the usual mistakes.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3:
        raise CalibrationError(
            f"calibration images must be uint8 (N, S, S, 3), not {images.dtype} {images.shape}"
        )


class Recorder:
    """Measures images one batch after another, as they are handed over."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._images = self._pixels = self._steps = self._pairs = 0
        self._sum = np.zeros(3, dtype=np.int64)
        self._squares = np.zeros(3, dtype=np.int64)

    def add(self, images: Pixels) -> None:
        """Takes uint8 (N, S, S, 3).

        Raises:
            CalibrationError: Another type or shape.
        """
        require_images(images)
        for image in images:
            self._digest.update(image.tobytes())
            values = image.reshape(-1, 3).astype(np.int64)
            self._sum += values.sum(axis=0)
            self._squares += (values**2).sum(axis=0)
            self._pixels += len(values)
            beside = np.abs(np.diff(image.astype(np.int16), axis=1))
            self._steps += int(beside.sum())
            self._pairs += beside.size
        self._images += len(images)

    def record(self) -> CalibrationRecord:
        """What has been taken so far.

        Raises:
            CalibrationError: Nothing.
        """
        if not self._images:
            raise CalibrationError("no calibration images were handed over")
        mean = self._sum / self._pixels
        std = np.sqrt(np.maximum(self._squares / self._pixels - mean**2, 0))
        return CalibrationRecord(
            images=self._images,
            sha256=self._digest.hexdigest(),
            mean=(float(mean[0]), float(mean[1]), float(mean[2])),
            std=(float(std[0]), float(std[1]), float(std[2])),
            roughness=self._steps / max(1, self._pairs),
        )


def tints(images: Pixels) -> NDArray[np.float64]:
    """Mean red minus mean blue of each image: uint8 (N, S, S, 3) to (N,), -255 to 255."""
    means: NDArray[np.float64] = images.mean(axis=(1, 2), dtype=np.float64)
    return means[:, 0] - means[:, 2]


def record(images: Pixels) -> CalibrationRecord:
    """Measures images of shape (N, S, S, 3), uint8; see :class:`Recorder`.

    Raises:
        CalibrationError: None, or of another type or shape.
    """
    recorder = Recorder()
    recorder.add(images)
    return recorder.record()
