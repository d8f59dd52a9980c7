"""Recognises a card with a published release, and rejects cards that are not in its index."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recognition.acceptance.rule import AcceptanceRule
from recognition.card_sets.scan import stretch
from recognition.embedding_model import EmbeddingModel
from recognition.file_digest import file_sha256
from recognition.onnx_model import OnnxEmbedder, OnnxModelError
from recognition.search.frames import mean_of_frames
from recognition.search.index import FILES as INDEX_FILES
from recognition.search.index import IndexFileError, ReferenceIndex
from registry.compilers import COMPILERS, compiler_of_file
from registry.contract import Contract
from registry.releases.manifest import MANIFEST, MANIFEST_LIMIT, ManifestError, files_of, parse

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

CANDIDATES = 5
#: The levels of an answer.
PRINTING, ARTWORK = "printing", "artwork"


class RecogniserError(ValueError):
    """A release that cannot be used here; one line that says why and what to do."""


@dataclass(frozen=True)
class Recognition:
    """The answer for one card, seen once or in several frames.

    Attributes:
        card_id: The nearest card, or None where the score is below the threshold.
        similarity: Cosine of the best candidate.
        threshold: The release's acceptance threshold for so many frames.
        candidates: Best cards first, as (card id, cosine).
        score: What was compared with the threshold; the similarity where a release has no other.
        frames: How many images the answer is of.
        level: ``printing`` where the answer is that very card, ``artwork`` where it is one of the
            :attr:`printings` of its artwork; None where the card is rejected.
        printings: The cards of the index that share the nearest one's artwork, itself among them,
            best first; empty where it shares it with none.
    """

    card_id: str | None
    similarity: float
    threshold: float
    candidates: tuple[tuple[str, float], ...]
    score: float | None = None
    frames: int = 1
    level: str | None = None
    printings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "card_id": self.card_id,
            "level": self.level,
            "printings": list(self.printings),
            "similarity": self.similarity,
            "score": self.similarity if self.score is None else self.score,
            "threshold": self.threshold,
            "frames": self.frames,
            "candidates": [
                {"card_id": card, "similarity": value} for card, value in self.candidates
            ],
        }


class Recogniser:
    """A release's model, index and acceptance rule.

    Attributes:
        release: The release's id.
        contract: How images are prepared.
        rule: Which answers count.
        index: The reference index.
    """

    def __init__(
        self,
        release: str,
        contract: Contract,
        rule: AcceptanceRule,
        index: ReferenceIndex,
        embedder: EmbeddingModel,
    ) -> None:
        self.release = release
        self.contract = contract
        self.rule = rule
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
        try:
            rule = AcceptanceRule.from_manifest(manifest)
        except ValueError as error:
            raise RecogniserError(f"{folder / MANIFEST}: {error}") from None
        contract = Contract.from_dict(manifest["contract"])
        model = str(manifest["model"])
        digests = _check_files(folder, manifest, (model, *INDEX_FILES))
        try:
            index = ReferenceIndex.load(folder, known=digests)
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
        return cls(str(manifest["release"]), contract, rule, index, embedder)

    @property
    def threshold(self) -> float:
        """Score from which an answer for one frame counts."""
        return self.rule.threshold()

    def recognise(self, image: Pixels) -> Recognition:
        """Recognises the card that fills an image.

        Args:
            image: uint8 RGB (h, w, 3), the card roughly framed.

        Raises:
            RecogniserError: Not such an image.
        """
        return self.recognise_frames([image])

    def recognise_frames(self, images: Sequence[Pixels]) -> Recognition:
        """Recognises one card from several frames of it.

        Args:
            images: uint8 RGB (h, w, 3) each, the same card in all of them; sizes may differ.

        Raises:
            RecogniserError: No images, or something else than such an image.
        """
        if not images:
            raise RecogniserError("no image was given; at least one frame is needed")
        squares = np.stack([self._prepared(image) for image in images])
        return self.answer(mean_of_frames(self.embed(squares)), len(images))

    def _prepared(self, image: Pixels) -> Pixels:
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise RecogniserError(
                f"expected a uint8 RGB image (height, width, 3), got {image.dtype} {image.shape}"
            )
        return stretch(image, self.contract.size)

    def embed(self, squares: Pixels) -> Floats:
        """Embeds uint8 RGB (N, S, S, 3), S the contract's size; float32 (N, D), of length 1."""
        return self._embedder.embed(squares)

    def answer(self, embedding: Floats, frames: int = 1) -> Recognition:
        """The answer to an embedding (D,), such as the mean of several frames of one card.

        Args:
            embedding: The query.
            frames: How many frames it is of, which decides the threshold.
        """
        candidates, ranked = self._nearest(embedding)
        best, similarity = candidates[0]
        threshold = self.rule.threshold(frames)
        score = float(self.rule.score.of([ranked])[0])
        printings = self._printings(best, embedding)
        accepted = score >= threshold
        margin = printings[0][1] - printings[1][1] if len(printings) > 1 else math.inf
        level = PRINTING if self.rule.names_printing(margin) else ARTWORK
        return Recognition(
            card_id=best if accepted else None,
            similarity=similarity,
            threshold=threshold,
            candidates=tuple(candidates[:CANDIDATES]),
            score=score,
            frames=frames,
            level=level if accepted else None,
            printings=tuple(card for card, _ in printings),
        )

    def _nearest(self, query: Floats) -> tuple[list[tuple[str, float]], list[float]]:
        """The nearest cards, and the cosines of as many artworks as the score looks at."""
        wanted = max(CANDIDATES, self.rule.score.ranks)
        while True:
            candidates = self.index.search(query, wanted)
            ranked: dict[str, float] = {}
            for card_id, cosine in candidates:
                ranked.setdefault(self.index.artwork(card_id), cosine)
            if len(ranked) >= self.rule.score.ranks or len(candidates) < wanted:
                return candidates, list(ranked.values())
            wanted *= 4

    def _printings(self, best: str, query: Floats) -> list[tuple[str, float]]:
        """The cards of the best one's artwork, itself first; none where it is its only one."""
        mates = self.index.printings(best)
        if len(mates) < 2:
            return []
        found = self.index.cosines(query, mates)
        return sorted(found.items(), key=lambda item: (item[0] != best, -item[1], item[0]))


def _require_onnx_runtime(model: Path) -> None:
    """Raises RecogniserError for a model that another runtime than ONNX Runtime runs."""
    kind = compiler_of_file(model.name)
    if kind is None or not kind.runs_on_onnx_runtime:
        runnable = ", ".join(each.name for each in COMPILERS if each.runs_on_onnx_runtime)
        device = kind.device if kind else "something that this code does not know"
        raise RecogniserError(
            f"{model}: runs on {device}, not here; use a release of the {runnable} compiler"
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


def _check_files(folder: Path, manifest: dict[str, Any], needed: tuple[str, ...]) -> dict[str, str]:
    """The SHA-256 of a release's files, each that of the manifest."""
    listed = files_of(manifest, str(folder / MANIFEST))
    found = {}
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
        found[name] = digest
    return found
