"""What recognises a card: a trained model, published features, a perceptual hash with ORB."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from recognition.card_sets.scan import stretch
from recognition.onnx_model import OnnxEmbedder
from recognition.search.gallery import l2_normalise
from registry.contract import Contract

if TYPE_CHECKING:
    from torch import Tensor

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
Embed = Callable[[Pixels], Floats]

#: Pixels at a side of the scans that the hash matcher keeps, in a card's proportion.
_HASHED = (256, 358)
#: Bits of the perceptual hash at a side: 256 bits, since 64 do not tell many cards apart.
_HASH_SIDE = 16
#: Candidates by hash that are looked at closely.
_SHORTLIST = 20
_FEATURES = 500
#: Lowe's ratio, and how far a point may lie from where the homography puts it, in pixels.
_RATIO, _REPROJECTION = 0.8, 5.0
_FEWEST_MATCHES = 8


class Matcher(Protocol):
    """Gives each card of a gallery a score for one or several frames of a card.

    Attributes:
        name: In the tables.
    """

    name: str

    def learn(self, scans: Sequence[Pixels]) -> None:
        """Takes the gallery: a clean scan of each card, uint8 RGB (h, w, 3)."""

    def describe(self, images: Pixels) -> Floats:
        """(N, D): what is kept of each picture, uint8 RGB (N, S, S, 3), a card in each."""

    def scores(self, described: Floats) -> Floats:
        """(N, cards): higher is more alike; of frames (N, F, D) that show one card each."""


class EmbeddingMatcher:
    """A network and cosines; several frames are averaged as unit vectors.

    Args:
        name: In the tables.
        embed: uint8 (N, size, size, 3) to unit rows (N, D).
        size: The network's input in pixels.
    """

    def __init__(self, name: str, embed: Embed, size: int) -> None:
        self.name = name
        self._embed, self._size = embed, size
        self._gallery: Floats = np.empty((0, 0), np.float32)

    def learn(self, scans: Sequence[Pixels]) -> None:
        """Embeds the scans."""
        self._gallery = self._embed(np.stack([stretch(scan, self._size) for scan in scans]))

    def describe(self, images: Pixels) -> Floats:
        """Embeddings."""
        return self._embed(np.stack([stretch(image, self._size) for image in images]))

    def scores(self, described: Floats) -> Floats:
        """Cosines with the mean of the frames."""
        return np.asarray(l2_normalise(described.mean(axis=1)) @ self._gallery.T, np.float32)


@dataclass(frozen=True)
class _Features:
    points: Floats
    descriptors: Pixels


class HashMatcher:
    """A perceptual hash (imagehash's pHash) finds candidates, ORB and a homography judge them.

    The score of a candidate is 1 and the number of points that agree with one homography, a
    hundredth each; of every other card the share of equal bits. Frames vote: scores are averaged.
    """

    name = "pHash + ORB"

    def __init__(self) -> None:
        self._orb = cv2.ORB.create(nfeatures=_FEATURES)
        self._matcher = cv2.BFMatcher(cv2.NORM_HAMMING)
        self._hashes: NDArray[np.bool_] = np.empty((0, 0), bool)
        self._features: list[_Features | None] = []

    def learn(self, scans: Sequence[Pixels]) -> None:
        """Hashes the scans and finds their points."""
        cards = [_card_shaped(scan) for scan in scans]
        self._hashes = np.stack([_hash(card) for card in cards])
        self._features = [self._found(card) for card in cards]

    def describe(self, images: Pixels) -> Floats:
        """(N, cards): each picture's scores."""
        return np.stack([self._row(_card_shaped(image)) for image in images])

    def scores(self, described: Floats) -> Floats:
        """The mean of the frames' scores."""
        return np.asarray(described.mean(axis=1), np.float32)

    def _row(self, card: Pixels) -> Floats:
        equal = (self._hashes == _hash(card)).mean(axis=1)
        row = np.asarray(equal, dtype=np.float32)
        found = self._found(card)
        for place in np.argsort(-equal, kind="stable")[:_SHORTLIST]:
            agreeing = self._agreeing(found, self._features[place])
            if agreeing:
                row[place] = 1 + agreeing / 100
        return row

    def _found(self, card: Pixels) -> _Features | None:
        grey = cv2.cvtColor(card, cv2.COLOR_RGB2GRAY)
        points, descriptors = self._orb.detectAndCompute(grey, None)
        if descriptors is None or len(points) < _FEWEST_MATCHES:
            return None
        places = np.asarray([point.pt for point in points], dtype=np.float32)
        return _Features(places, np.asarray(descriptors, dtype=np.uint8))

    def _agreeing(self, one: _Features | None, other: _Features | None) -> int:
        """How many points of two pictures agree with one homography."""
        if one is None or other is None:
            return 0
        pairs = self._matcher.knnMatch(one.descriptors, other.descriptors, k=2)
        good = [p[0] for p in pairs if len(p) == 2 and p[0].distance < _RATIO * p[1].distance]
        if len(good) < _FEWEST_MATCHES:
            return 0
        here = one.points[[match.queryIdx for match in good]]
        there = other.points[[match.trainIdx for match in good]]
        matrix, inside = cv2.findHomography(here, there, cv2.RANSAC, _REPROJECTION)
        return 0 if matrix is None else int(inside.sum())


def student_matcher(folder: Path) -> tuple[EmbeddingMatcher, int]:
    """A trained student as its training job left it, and its input in pixels.

    Args:
        folder: The files of its ``model.tar.gz``.

    Raises:
        ModelArchiveError: They are damaged, or no student's.
    """
    import torch

    from registry.names import STUDENT
    from training.artifacts.model_archive import load_model
    from training.reporting.evaluation import ModelEmbedder

    model, config = load_model(folder, STUDENT)
    embedder = ModelEmbedder(model, config, torch.device("cpu"))
    return EmbeddingMatcher("trained", embedder.embed, config.image_size), config.image_size


def shipped_matcher(model: Path, contract: Contract, name: str) -> EmbeddingMatcher:
    """A graph of a release, float or INT8, by ONNX Runtime.

    Args:
        model: The ``.onnx`` file.
        contract: Its preprocessing contract.
        name: In the tables.

    Raises:
        OnnxModelError: It is no such model.
    """
    embedder = OnnxEmbedder(model, contract, threads=os.cpu_count() or 1)
    return EmbeddingMatcher(name, embedder.embed, contract.size)


def published_matcher(size: int) -> EmbeddingMatcher:
    """The student's backbone with its published weights, nothing trained: pooled features.

    Args:
        size: The network's input in pixels.

    Raises:
        WeightsError: The package with the weights is not installed.
    """
    from registry.names import STUDENT
    from training.environment import JobEnvironment
    from training.models.pretrained import begin
    from training.recipe import resolve

    config = resolve("demo", STUDENT, "stage1", {"pretrained": True, "image_size": size})
    model, _ = begin(config, JobEnvironment.read({}))
    return _features_matcher(f"published weights, {size} px", model.backbone, size)


def features_matcher(folder: Path, name: str) -> EmbeddingMatcher:
    """The pooled features of a backbone that another program trained.

    Args:
        folder: Holds ``backbone.pt`` and ``features.json``, as
            ``bench.recognition.lightly_distillation`` leaves them.
        name: In the tables.

    Raises:
        OSError: A file is missing.
        RuntimeError: The weights are not those of the backbone.
    """
    import timm
    import torch

    told = json.loads((folder / "features.json").read_text(encoding="utf-8"))
    backbone = timm.create_model(told["backbone"], pretrained=False, num_classes=0)
    state = torch.load(folder / "backbone.pt", weights_only=True, map_location="cpu")
    backbone.load_state_dict(state)
    return _features_matcher(name, backbone, int(told["size"]))


def _features_matcher(name: str, backbone: Any, size: int) -> EmbeddingMatcher:
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    backbone.eval()
    contract = Contract(size=size)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (contract.mean, contract.std))

    def embed(images: Pixels) -> Floats:
        rows = []
        with torch.inference_mode():
            for start in range(0, len(images), 32):
                part: Tensor = torch.from_numpy(images[start : start + 32]).permute(0, 3, 1, 2)
                maps = backbone.forward_features((part.float() / 255 - mean) / std)
                rows.append(maps.mean(dim=(2, 3)).numpy())
        return l2_normalise(np.concatenate(rows))

    return EmbeddingMatcher(name, embed, size)


def _card_shaped(image: Pixels) -> Pixels:
    return np.asarray(cv2.resize(image, _HASHED, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _hash(card: Pixels) -> NDArray[np.bool_]:
    import imagehash
    from PIL import Image

    found = imagehash.phash(Image.fromarray(card), hash_size=_HASH_SIDE)
    return np.asarray(found.hash, dtype=bool).ravel()
