"""Calibration images: what is shown to a quantiser, and what it really saw."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class CalibrationRecord:
    """Identity and statistics of a set of images.

    Attributes:
        images: How many.
        sha256: Of their bytes, in order: uint8 RGB NHWC.
        mean: By channel, 0 to 255.
        std: By channel, 0 to 255.
    """

    images: int
    sha256: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def to_dict(self) -> dict[str, Any]:
        """The form that stands in reports."""
        return asdict(self)


class Recorder:
    """Measures images one batch after another, as they are handed over."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._images = self._pixels = 0
        self._sum = np.zeros(3, dtype=np.int64)
        self._squares = np.zeros(3, dtype=np.int64)

    def add(self, images: Pixels) -> None:
        """Takes uint8 (N, S, S, 3).

        Raises:
            ValueError: Another type or shape: calibration data in NCHW or already normalised is
                the usual mistake.
        """
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3:
            raise ValueError(
                f"calibration images must be uint8 (N, S, S, 3), not {images.dtype} {images.shape}"
            )
        for image in images:
            self._digest.update(image.tobytes())
            values = image.reshape(-1, 3).astype(np.int64)
            self._sum += values.sum(axis=0)
            self._squares += (values**2).sum(axis=0)
            self._pixels += len(values)
        self._images += len(images)

    def record(self) -> CalibrationRecord:
        """What has been taken so far.

        Raises:
            ValueError: Nothing.
        """
        if not self._images:
            raise ValueError("no calibration images were handed over")
        mean = self._sum / self._pixels
        std = np.sqrt(np.maximum(self._squares / self._pixels - mean**2, 0))
        return CalibrationRecord(
            images=self._images,
            sha256=self._digest.hexdigest(),
            mean=(float(mean[0]), float(mean[1]), float(mean[2])),
            std=(float(std[0]), float(std[1]), float(std[2])),
        )


def record(images: Pixels) -> CalibrationRecord:
    """Measures images of shape (N, S, S, 3), uint8; see :class:`Recorder`.

    Raises:
        ValueError: None, or of another type or shape.
    """
    recorder = Recorder()
    recorder.add(images)
    return recorder.record()
