"""Running a shipped graph: the same numbers however it is threaded, and nothing else accepted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

from recognition.card_sets.scan import stretch
from recognition.onnx_model import OnnxEmbedder, OnnxModelError
from registry.contract import Contract

Maker = Callable[..., bytes]


@pytest.fixture
def path(tmp_path: Path, make_model: Maker) -> Path:
    (tmp_path / "model.onnx").write_bytes(make_model())
    return tmp_path / "model.onnx"


@pytest.fixture
def images(scans: np.ndarray, contract: Contract) -> np.ndarray:
    return np.stack([stretch(scan, contract.size) for scan in scans])


def test_embeddings_equal_the_same_arithmetic_in_numpy(
    path: Path, images: np.ndarray, contract: Contract
) -> None:
    found = OnnxEmbedder(path, contract).embed(images[:5])
    scaled = (images[:5] / 255.0 - contract.mean) / contract.std
    small = scaled.reshape(5, 8, 8, 8, 8, 3).mean(axis=(2, 4)).transpose(0, 3, 1, 2)
    centre = np.kron(np.eye(3), np.eye(64) - np.full((64, 64), 1 / 64))
    project = centre @ np.random.default_rng(7).normal(size=(192, contract.embedding_dim))
    rows = small.reshape(5, 192) @ project
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    assert found.dtype == np.float32 and found.shape == (5, contract.embedding_dim)
    np.testing.assert_allclose(found, rows, atol=1e-4)


def test_threads_change_nothing_but_the_time(
    path: Path, images: np.ndarray, contract: Contract
) -> None:
    many = np.concatenate([images, images[::-1], images])
    seen: list[int] = []
    alone = OnnxEmbedder(path, contract).embed(many, progress=seen.append)
    assert sum(seen) == len(many) and len(seen) > 1
    np.testing.assert_array_equal(OnnxEmbedder(path, contract, threads=3).embed(many), alone)
    within = OnnxEmbedder(path, contract, threads=2, parallel="operators").embed(many)
    np.testing.assert_allclose(within, alone, atol=1e-5)
    # A slice that is not contiguous in memory is fed as what it shows.
    np.testing.assert_array_equal(OnnxEmbedder(path, contract).embed(many[::-1]), alone[::-1])


def test_no_images_give_no_rows(path: Path, contract: Contract) -> None:
    none = np.empty((0, contract.size, contract.size, 3), np.uint8)
    assert OnnxEmbedder(path, contract).embed(none).shape == (0, contract.embedding_dim)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"input_type": TensorProto.FLOAT}, r"input is tensor\(float\)"),
        ({"shape": ["batch", 64, 64, 3]}, r"input is tensor\(uint8\) \['batch', 64"),
        ({"outputs": 32}, r"output is tensor\(float\) \[1, 32\]"),
    ],
)
def test_model_of_another_contract_is_refused(
    tmp_path: Path, make_model: Maker, contract: Contract, options: dict, words: str
) -> None:
    (tmp_path / "model.onnx").write_bytes(make_model(**options))
    with pytest.raises(OnnxModelError, match=words):
        OnnxEmbedder(tmp_path / "model.onnx", contract)


def test_model_of_another_size_is_refused(path: Path, contract: Contract) -> None:
    with pytest.raises(OnnxModelError, match=r"the contract says tensor\(uint8\) \[1, 96, 96, 3\]"):
        OnnxEmbedder(path, Contract(size=96, embedding_dim=contract.embedding_dim))


def test_file_that_is_no_model_is_one_clear_line(tmp_path: Path, contract: Contract) -> None:
    with pytest.raises(OnnxModelError, match="cannot be read"):
        OnnxEmbedder(tmp_path / "none.onnx", contract)
    (tmp_path / "text.onnx").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(OnnxModelError, match="ONNX Runtime refuses it") as caught:
        OnnxEmbedder(tmp_path / "text.onnx", contract)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((2, 64, 64, 3), np.float32),
        np.zeros((64, 64, 3), np.uint8),
        np.zeros((1, 3, 64, 64), np.uint8),
        np.zeros((1, 32, 32, 3), np.uint8),
    ],
)
def test_other_images_are_refused(path: Path, contract: Contract, wrong: np.ndarray) -> None:
    with pytest.raises(OnnxModelError, match="takes uint8 images"):
        OnnxEmbedder(path, contract).embed(wrong)
