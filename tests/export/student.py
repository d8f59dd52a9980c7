"""A small student that nobody trained, and the archive that its training job would leave."""

from __future__ import annotations

import itertools
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from recognition.card_sets.card_set import CardSet
from recognition.card_sets.split import split_cards
from recognition.search.gallery import l2_normalise
from recognition.views.camera import camera_views
from recognition.views.digest import card_digest, scans_digest, views_digest
from registry.contract import Contract

SEED = 5
QUERY_VIEWS_PER_CARD = 4
UNSEEN_VIEWS = 24


class SmallStudent(nn.Module):
    """The student's kinds of layers, few of them: Conv, BatchNorm, ReLU6, Linear, BatchNorm."""

    def __init__(self, contract: Contract) -> None:
        super().__init__()
        widths = (3, 16, 32, 64)
        blocks: list[nn.Module] = []
        for inputs, outputs in itertools.pairwise(widths):
            blocks += [
                nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU6(),
            ]
        self.backbone = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.projection = nn.Sequential(
            nn.Linear(4 * widths[-1], contract.embedding_dim, bias=False),
            nn.BatchNorm1d(contract.embedding_dim),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Normalised float32 (N, 3, S, S) to (N, D)."""
        embeddings: Tensor = self.projection(self.backbone(images))
        return embeddings


def normalised(images: np.ndarray, contract: Contract) -> Tensor:
    """The contract's words, one by one: x / 255, minus the mean, by the deviation, NCHW."""
    values = images.astype(np.float32) / np.float32(255)
    values = (values - np.float32(contract.mean)) / np.float32(contract.std)
    return torch.from_numpy(np.ascontiguousarray(values.transpose(0, 3, 1, 2)))


#: Published weights that it says that it began with.
WEIGHTS = f"lite0==0.1.0 sha256:{'ab' * 32} Apache-2.0"


def random_student(contract: Contract, images: np.ndarray) -> SmallStudent:
    """Random weights; BatchNorm has seen images once, so that embeddings differ by card."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        student = SmallStudent(contract)
    for module in student.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = 1.0
    student.train()
    with torch.no_grad():
        student(normalised(images, contract))
    return student.eval()


def embedded(student: nn.Module, contract: Contract, images: np.ndarray) -> np.ndarray:
    """PyTorch's embeddings, rows of length 1."""
    with torch.inference_mode():
        return l2_normalise(student(normalised(images, contract)).numpy())


def write_artifact(
    folder: Path, cards: CardSet, contract: Contract, student: SmallStudent, graph: bytes
) -> None:
    """Writes ``model.tar.gz`` as the training job does."""
    split = split_cards(cards.card_ids, SEED)
    scans = cards.only(split.known).first_scans(contract, scale=2)
    views, _ = camera_views(
        scans,
        split.known,
        size=contract.size,
        seed=SEED,
        stream="query",
        per_card=QUERY_VIEWS_PER_CARD,
    )
    content = folder / "content"
    content.mkdir(parents=True)
    (content / "model.onnx").write_bytes(graph)
    np.savez(
        content / "reference.npz",
        embeddings=embedded(student, contract, views),
        card_ids=np.asarray([card for card in split.known for _ in range(QUERY_VIEWS_PER_CARD)]),
        seed=np.int64(SEED),
        per_card=np.int64(QUERY_VIEWS_PER_CARD),
        stream=np.asarray("query"),
        scans_digest=np.asarray(scans_digest(cards.cards)),
        views_digest=np.asarray(
            views_digest(
                card_digest(views[i : i + QUERY_VIEWS_PER_CARD])
                for i in range(0, len(views), QUERY_VIEWS_PER_CARD)
            )
        ),
    )
    documents: dict[str, dict[str, Any]] = {
        "config.json": {
            "backbone": "small-student",
            "unseen_views": UNSEEN_VIEWS,
            "initial_weights": WEIGHTS,
        },
        "contract.json": contract.to_dict(),
        "split.json": split.to_dict(),
        "evaluation.json": {"top1": 0.5},
    }
    for name, document in documents.items():
        (content / name).write_text(json.dumps(document))
    pack(content, folder / "model.tar.gz")


def pack(content: Path, archive: Path) -> None:
    """Packs a folder's files."""
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        for file in sorted(content.iterdir()):
            tar.add(file, arcname=file.name)


def without_normalisation(model: onnx.ModelProto) -> None:
    """Feeds 0 to 255 to the network: the graph's own Mul and Add become × 1 and + 0."""
    for name, value in (("Mul", 1.0), ("Add", 0.0)):
        node = next(node for node in model.graph.node if node.op_type == name)
        constant = next(t for t in model.graph.initializer if t.name in node.input)
        values = np.full(list(constant.dims), value, np.float32)
        constant.CopyFrom(onnx.numpy_helper.from_array(values, constant.name))


def changed(graph: bytes, change: Callable[[onnx.ModelProto], None]) -> bytes:
    """A copy of a graph with something changed in it, still a valid graph."""
    model = onnx.load_from_string(graph)
    change(model)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
