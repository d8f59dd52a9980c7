"""An interrupted job's embeddings are taken up again, and only the right ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from export.fidelity.embedding_shards import EmbeddingShards
from export.fidelity.gate_images import GateImages, render_gate_images
from export.fidelity.measurement import embed, measure
from export.student_artifact import read_artifact
from recognition.search.gallery import l2_normalise
from tests.export.conftest import Exported


class Counting:
    """A model that counts images, and gives up after so many."""

    def __init__(self, seed: int = 0, limit: int = 10**9) -> None:
        self.matrix = np.random.default_rng(seed).normal(size=(3, 8))
        self.seen, self._left = 0, limit

    def embed(self, images: np.ndarray) -> np.ndarray:
        self._left -= len(images)
        if self._left < 0:
            raise KeyboardInterrupt
        self.seen += len(images)
        return l2_normalise((1 + images.mean(axis=(1, 2))) @ self.matrix)


@pytest.fixture
def gate_images(
    exported: Exported, artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> GateImages:
    monkeypatch.setattr("export.fidelity.gate_images.GROUP", 8)
    return render_gate_images(
        exported.cards_folder, read_artifact(artifact, tmp_path / "unpacked"), 10
    )


def shards(folder: Path, model: str = "a") -> EmbeddingShards:
    return EmbeddingShards(folder / "shards", {"int8": model * 64}, 8)


@pytest.mark.parametrize("limit", [0, 7, 8, 15, 16, 33])
def test_whatever_was_made_is_not_made_again(
    gate_images: GateImages, tmp_path: Path, limit: int
) -> None:
    whole = embed(gate_images.queries, {"int8": Counting()})["int8"]
    first = Counting(limit=limit)
    with pytest.raises(KeyboardInterrupt):
        embed(gate_images.queries, {"int8": first}, shards=shards(tmp_path))
    assert first.seen == limit // 8 * 8
    second = Counting()
    rows = embed(gate_images.queries, {"int8": second}, shards=shards(tmp_path))["int8"]
    assert second.seen == len(whole) - first.seen
    assert np.array_equal(rows, whole)


def test_another_model_makes_its_own(gate_images: GateImages, tmp_path: Path) -> None:
    embed(gate_images.gallery, {"int8": Counting()}, shards=shards(tmp_path))
    other = Counting(seed=1)
    rows = embed(gate_images.gallery, {"int8": other}, shards=shards(tmp_path, "b"))["int8"]
    assert other.seen == len(gate_images.gallery)
    assert np.array_equal(rows, embed(gate_images.gallery, {"int8": Counting(seed=1)})["int8"])


def test_only_what_changed_is_made_again(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 6, 6, 3), dtype=np.uint8)
    kept = shards(tmp_path)
    kept.keep("int8", images, Counting().embed(images))
    assert kept.find("int8", images) is not None
    changed = images.copy()
    changed[3, 0, 0, 0] ^= 1
    for other in (changed, images[:3], images[::-1]):
        assert kept.find("int8", other) is None
    assert kept.find("onnx", images) is None
    kept.remove()
    assert kept.find("int8", images) is None and not (tmp_path / "shards").exists()


@pytest.mark.parametrize("content", [b"", b"half", None])
def test_damaged_shard_is_made_again(tmp_path: Path, content: bytes | None) -> None:
    images = np.zeros((2, 4, 4, 3), np.uint8)
    kept = shards(tmp_path)
    kept.keep("int8", images, Counting().embed(images))
    (path,) = (tmp_path / "shards").iterdir()
    if content is None:
        np.save(path, np.full((2, 8), np.nan, np.float32))
    else:
        path.write_bytes(content)
    assert kept.find("int8", images) is None


def promise(path: Path, shape: tuple[int, ...]) -> None:
    """A header that promises more than follows."""
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        file.write(b"\0" * 64)


def archive(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, a=np.zeros((2, 8), np.float32))


def objects(path: Path) -> None:
    with path.open("wb") as file:
        np.save(file, np.array([{}], dtype=object), allow_pickle=True)


def too_long(path: Path) -> None:
    np.save(path, l2_normalise(np.ones((2, 8), np.float32)))
    with path.open("ab") as file:
        file.truncate(1 << 30)


@pytest.mark.parametrize(
    "write",
    [
        lambda path: promise(path, (2, 8)),
        lambda path: promise(path, (1 << 40, 1 << 20)),
        archive,
        objects,
        too_long,
    ],
)
def test_shard_that_is_not_the_expected_array_is_made_again(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    images = np.zeros((2, 4, 4, 3), np.uint8)
    kept = shards(tmp_path)
    kept.keep("int8", images, Counting().embed(images))
    (path,) = (tmp_path / "shards").iterdir()
    write(path)
    assert kept.find("int8", images) is None


def test_measuring_is_the_same_with_shards(gate_images: GateImages, tmp_path: Path) -> None:
    plain = measure(gate_images, {"int8": Counting()})["int8"]
    for _ in range(2):
        kept = measure(gate_images, {"int8": Counting()}, shards=shards(tmp_path))["int8"]
        assert np.array_equal(kept.embeddings.gallery, plain.embeddings.gallery)
        assert kept.evaluation.to_dict() == plain.evaluation.to_dict()
