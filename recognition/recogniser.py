"""Recognises a card with a published release, and rejects cards that are not in its index."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recognition.card_sets.scan import stretch
from recognition.embedding_model import EmbeddingModel
from recognition.file_digest import file_sha256
from recognition.index import EMBEDDINGS, GRAPH, METADATA, ROWS, IndexFileError, ReferenceIndex
from recognition.onnx_model import OnnxEmbedder, OnnxModelError
from registry.compilers import COMPILERS, compiler_of_file
from registry.contract import Contract
from registry.releases.manifest import MANIFEST, MANIFEST_LIMIT, ManifestError, files_of, parse

Pixels = NDArray[np.uint8]

CANDIDATES = 5
#: Files of a release that every recogniser needs, beside its model.
INDEX_FILES = (EMBEDDINGS, GRAPH, ROWS, METADATA)


class RecogniserError(ValueError):
    """A release that cannot be used here; one line that says why and what to do."""


@dataclass(frozen=True)
class Recognition:
    """The answer for one image.

    Attributes:
        card_id: The card, or None where nothing was similar enough.
        similarity: Cosine of the best candidate.
        threshold: The release's acceptance threshold.
        candidates: Best cards first, as (card id, cosine).
    """

    card_id: str | None
    similarity: float
    threshold: float
    candidates: tuple[tuple[str, float], ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "card_id": self.card_id,
            "similarity": self.similarity,
            "threshold": self.threshold,
            "candidates": [
                {"card_id": card, "similarity": value} for card, value in self.candidates
            ],
        }


class Recogniser:
    """A release's model, index and threshold.

    Attributes:
        release: The release's id.
        contract: How images are prepared.
        threshold: Similarity from which a match counts.
        index: The reference index.
    """

    def __init__(
        self,
        release: str,
        contract: Contract,
        threshold: float,
        index: ReferenceIndex,
        embedder: EmbeddingModel,
    ) -> None:
        self.release = release
        self.contract = contract
        self.threshold = threshold
        self.index = index
        self._embedder = embedder

    @classmethod
    def load(
        cls, release_dir: Path, threads: int = 1, embedder: EmbeddingModel | None = None
    ) -> Recogniser:
        """Loads a pulled release; the signature was verified when it was pulled.

        Args:
            release_dir: Folder with ``manifest.json`` and the files that it names.
            threads: Cores for the model.
            embedder: Runs the model instead of ONNX Runtime, as a HEF needs.

        Raises:
            RecogniserError: The folder is no complete release, its files are not those of the
                manifest, or its model cannot run here.
        """
        folder = Path(release_dir)
        manifest = _manifest(folder)
        threshold = float(manifest["acceptance_threshold"])
        if not math.isfinite(threshold):
            raise RecogniserError(f"{folder / MANIFEST}: acceptance_threshold is not a number")
        contract = Contract.from_dict(manifest["contract"])
        model = str(manifest["model"])
        _check_files(folder, manifest, (model, *INDEX_FILES))
        try:
            index = ReferenceIndex.load(folder)
            if embedder is None:
                _require_onnx_runtime(folder / model)
                embedder = OnnxEmbedder(folder / model, contract, threads, parallel="operators")
        except (IndexFileError, OnnxModelError) as error:
            raise RecogniserError(f"release in {folder}: {error}") from None
        made_by = index.metadata.get("model_sha256")
        if made_by is not None and made_by != files_of(manifest, str(folder))[model].sha256:
            raise RecogniserError(
                f"release in {folder}: the index is of another model than {model}; pull it again"
            )
        if index.dimensions != contract.embedding_dim:
            raise RecogniserError(
                f"release in {folder}: the index has {index.dimensions} dimensions, "
                f"the contract {contract.embedding_dim}"
            )
        return cls(str(manifest["release"]), contract, threshold, index, embedder)

    def recognise(self, image: Pixels) -> Recognition:
        """Recognises the card that fills an image.

        Args:
            image: uint8 RGB (h, w, 3), the card roughly framed.

        Raises:
            RecogniserError: Not such an image.
        """
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise RecogniserError(
                f"expected a uint8 RGB image (height, width, 3), got {image.dtype} {image.shape}"
            )
        square = stretch(image, self.contract.size)
        return self.answer(self.embed(square[None])[0])

    def embed(self, squares: Pixels) -> NDArray[np.float32]:
        """Embeds uint8 RGB (N, S, S, 3), S the contract's size; float32 (N, D), of length 1."""
        return self._embedder.embed(squares)

    def answer(self, embedding: NDArray[np.float32]) -> Recognition:
        """The answer to an embedding (D,), such as the mean of several views of one card."""
        candidates = self.index.search(embedding, CANDIDATES)
        best, similarity = candidates[0]
        return Recognition(
            card_id=best if similarity >= self.threshold else None,
            similarity=similarity,
            threshold=self.threshold,
            candidates=tuple(candidates),
        )


def _require_onnx_runtime(model: Path) -> None:
    """Raises RecogniserError for a model that another runtime than ONNX Runtime runs."""
    kind = compiler_of_file(model.name)
    if kind is None or not kind.runs_on_onnx_runtime:
        here = ", ".join(each.name for each in COMPILERS if each.runs_on_onnx_runtime)
        device = kind.device if kind else "something that this code does not know"
        raise RecogniserError(
            f"{model}: runs on {device}, not here; use a release of the {here} compiler"
        )


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        if path.stat().st_size > MANIFEST_LIMIT:
            raise RecogniserError(f"{path}: too large for a manifest")
        return parse(path.read_bytes(), str(path))
    except OSError as error:
        raise RecogniserError(
            f"{path}: cannot be read ({error.strerror or error}); "
            "is this a folder that `cards release pull` has written?"
        ) from None
    except ManifestError as error:
        raise RecogniserError(str(error)) from None


def _check_files(folder: Path, manifest: dict[str, Any], needed: tuple[str, ...]) -> None:
    listed = files_of(manifest, str(folder / MANIFEST))
    for name in needed:
        if name not in listed:
            raise RecogniserError(f"{folder / MANIFEST}: the release lists no {name}")
        path = folder / name
        try:
            digest = file_sha256(path)
        except OSError as error:
            raise RecogniserError(
                f"{path}: cannot be read ({error.strerror or error}); pull the release again"
            ) from None
        if digest != listed[name].sha256:
            raise RecogniserError(
                f"{path}: not the file of the manifest (SHA-256 differs); pull the release again"
            )
