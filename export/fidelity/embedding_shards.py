"""Embeddings that an interrupted job has made already, kept until the job is done.

A shard is one group of images embedded by one model. It is found by the digests of both, so what
was made by another model or of other images is never taken for it.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.array_file import ArrayFileError, read_array
from export.calibration import Pixels
from recognition.atomic_files import atomic_file

Floats = NDArray[np.float32]
_UNIT = 1e-3


class EmbeddingShards:
    """Shards in a folder.

    Args:
        folder: Made when it is needed; nothing else lies in it.
        models: SHA-256 (hex) of each stage's model; a stage that is not named is not kept.
        dimensions: Length of an embedding.
    """

    def __init__(self, folder: Path, models: Mapping[str, str], dimensions: int) -> None:
        self._folder, self._models, self._dimensions = folder, dict(models), dimensions

    def find(self, stage: str, images: Pixels) -> Floats | None:
        """What the stage's model made of these images before: float32 (N, D), or None."""
        path = self._path(stage, images)
        if path is None or not path.is_file():
            return None
        try:
            found: Floats = read_array(path, np.float32, (len(images), self._dimensions))
        except ArrayFileError:
            return None
        if not np.abs(np.linalg.norm(found, axis=1) - 1).max() <= _UNIT:
            return None
        return found

    def keep(self, stage: str, images: Pixels, rows: Floats) -> None:
        """Keeps what the stage's model made of these images."""
        path = self._path(stage, images)
        if path is not None:
            with atomic_file(path) as partial, partial.open("wb") as file:
                np.save(file, rows, allow_pickle=False)

    def remove(self) -> None:
        """Deletes all of them: the job is done."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, stage: str, images: Pixels) -> Path | None:
        if stage not in self._models:
            return None
        digest = hashlib.sha256(f"{self._models[stage]} {images.shape}\n".encode())
        digest.update(np.ascontiguousarray(images).data)
        return self._folder / f"{stage}-{digest.hexdigest()[:32]}.npy"
