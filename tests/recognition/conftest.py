"""A small card model that really recognises, and a release folder made with it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from recognition.card_sets.scan import stretch
from recognition.evaluation_metrics import Evaluation
from recognition.onnx_model import OnnxEmbedder
from recognition.retrieval import evaluate
from recognition.sample_cards.drawing import draw_card
from recognition.search.index import FILES, write_index
from recognition.views.camera import camera_views
from registry.contract import Contract

CONTRACT = Contract(size=64, embedding_dim=96)
CARDS = 40


def colour_layout_model(
    contract: Contract = CONTRACT,
    *,
    input_type: int = TensorProto.UINT8,
    shape: list[int | str] | None = None,
    outputs: int | None = None,
) -> bytes:
    """An ONNX graph that follows the contract: normalise, average to 8 x 8, project.

    The projection first takes each channel's mean off, then mixes by a fixed random matrix, so
    that light and white balance matter less than the layout of colours.
    """
    size, length = contract.size, outputs or contract.embedding_dim
    rng = np.random.default_rng(7)
    centre = np.kron(np.eye(3), np.eye(64) - np.full((64, 64), 1 / 64))
    project = (centre @ rng.normal(size=(192, length))).astype(np.float32)
    constants = {
        "full": np.float32(255),
        "mean": np.array(contract.mean, np.float32),
        "std": np.array(contract.std, np.float32),
        "flat": np.array([1, 192], np.int64),
        "project": project,
    }
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["float", "full"], ["unit"]),
        helper.make_node("Sub", ["unit", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "std"], ["scaled"]),
        helper.make_node("Transpose", ["scaled"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node(
            "AveragePool",
            ["planes"],
            ["small"],
            kernel_shape=[size // 8] * 2,
            strides=[size // 8] * 2,
        ),
        helper.make_node("Reshape", ["small", "flat"], ["row"]),
        helper.make_node("MatMul", ["row", "project"], ["embedding"]),
    ]
    graph = helper.make_graph(
        nodes,
        "colour-layout",
        [helper.make_tensor_value_info("image", input_type, shape or [1, size, size, 3])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, length])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


@pytest.fixture(scope="session")
def contract() -> Contract:
    return CONTRACT


@pytest.fixture(scope="session")
def make_model() -> Callable[..., bytes]:
    return colour_layout_model


@pytest.fixture(scope="session")
def scans() -> np.ndarray:
    """Scans of 40 drawn cards at twice the contract's size."""
    return np.stack([stretch(draw_card(n, height=160), 2 * CONTRACT.size) for n in range(CARDS)])


@pytest.fixture(scope="session")
def card_ids() -> list[str]:
    return [f"card-{n}" for n in range(CARDS)]


def seal(folder: Path, **changes: object) -> None:
    """Writes a manifest that agrees with the folder's files."""
    names = ["model.onnx", *FILES]
    manifest = {
        "schema": 1,
        "release": "student-colour-layout-stage2-v1.onnx-int8-0123abcd",
        "model": "model.onnx",
        "contract": CONTRACT.to_dict(),
        "acceptance_threshold": 0.5,
        "files": {
            name: {
                "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest(),
                "bytes": (folder / name).stat().st_size,
            }
            for name in names
        },
        **changes,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture(scope="session")
def reseal() -> Callable[..., None]:
    return seal


@pytest.fixture(scope="session")
def release_and_figures(
    tmp_path_factory: pytest.TempPathFactory, scans: np.ndarray, card_ids: list[str]
) -> tuple[Path, Evaluation]:
    """A release of 30 known cards; 5 cards set its threshold, 5 are unseen."""
    folder = tmp_path_factory.mktemp("release")
    (folder / "model.onnx").write_bytes(colour_layout_model())
    embedder = OnnxEmbedder(folder / "model.onnx", CONTRACT, threads=2)
    clean = np.stack([stretch(scan, CONTRACT.size) for scan in scans[:30]])
    gallery = embedder.embed(clean)

    def queries(part: slice) -> np.ndarray:
        views, _ = camera_views(
            scans[part], card_ids[part], size=CONTRACT.size, seed=1, stream="query", per_card=10
        )
        return embedder.embed(views)

    figures = evaluate(
        gallery,
        card_ids[:30],
        queries(slice(0, 30)),
        [card for card in card_ids[:30] for _ in range(10)],
        queries(slice(30, 35)),
        queries(slice(35, 40)),
        unseen_validation_ids=[card for card in card_ids[30:35] for _ in range(10)],
        unseen_test_ids=[card for card in card_ids[35:40] for _ in range(10)],
    )
    write_index(folder, card_ids[:30], gallery)
    seal(folder, acceptance_threshold=figures.threshold)
    return folder, figures


@pytest.fixture
def release(release_and_figures: tuple[Path, Evaluation], tmp_path: Path) -> Path:
    """A copy of the release that a test may spoil."""
    copy = tmp_path / "release"
    copy.mkdir()
    for path in release_and_figures[0].iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    return copy
