"""Drawn cards, a student of random weights, its graph and its INT8 build; made once."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.compiler import CompiledModel
from export.fidelity import gate_images
from export.graphs.onnx_export import OnnxReport, export_onnx
from export.int8 import OnnxInt8
from recognition.card_sets.card_set import CardSet, read_card_set
from recognition.sample_cards.drawing import draw_card_set
from recognition.views.camera import camera_views
from registry.contract import Contract
from tests.export.student import SEED, SmallStudent, random_student, write_artifact

CONTRACT = Contract(size=32, embedding_dim=768)
CARDS = 12
CALIBRATION_IMAGES = 40
SCANS_LICENCE = "CC-BY-4.0, by Ada Example"


@dataclass(frozen=True)
class Exported:
    """A student with everything that was made of it."""

    contract: Contract
    cards: CardSet
    cards_folder: Path
    student: SmallStudent
    views: np.ndarray
    model: Path
    report: OnnxReport
    int8: CompiledModel

    def gallery(self) -> np.ndarray:
        """The clean scans."""
        return self.cards.first_scans(self.contract)


@pytest.fixture(scope="session", autouse=True)
def views_rendered_once() -> Iterator[None]:
    """Equal arguments give equal views, and each compile job here renders the same ones again."""
    made: dict[bytes, tuple[np.ndarray, np.ndarray]] = {}

    def views(scans: np.ndarray, card_ids: Sequence[str], **given: Any) -> Any:
        words = repr((scans.shape, tuple(card_ids), sorted(given.items()))).encode()
        key = hashlib.sha256(scans.tobytes() + words).digest()
        if key not in made:
            made[key] = camera_views(scans, card_ids, **given)
        images, labels = made[key]
        return images.copy(), labels.copy()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate_images, "camera_views", views)
        yield


@pytest.fixture(scope="session")
def contract() -> Contract:
    return CONTRACT


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("export")
    draw_card_set(folder / "cards", CARDS, seed=SEED, height=128)
    (folder / "cards/LICENSE").write_text(SCANS_LICENCE)
    cards = read_card_set(folder / "cards", CONTRACT)
    views, _ = camera_views(
        cards.first_scans(CONTRACT, scale=2),
        cards.card_ids,
        size=CONTRACT.size,
        seed=SEED,
        stream="calibration",
        per_card=4,
    )
    student = random_student(CONTRACT, views)
    model = folder / "model.onnx"
    report = export_onnx(student, CONTRACT, model, views[:8])
    int8 = OnnxInt8().compile(model, views[:CALIBRATION_IMAGES], CONTRACT, folder)
    return Exported(CONTRACT, cards, folder / "cards", student, views, model, report, int8)


@pytest.fixture(scope="session")
def _artifact(exported: Exported, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artifact")
    graph = exported.model.read_bytes()
    write_artifact(folder, exported.cards, exported.contract, exported.student, graph)
    return folder


@pytest.fixture
def artifact(_artifact: Path, tmp_path: Path) -> Path:
    """A copy of the student's artifact that a test may spoil: ``model.tar.gz`` and ``content``."""
    return Path(shutil.copytree(_artifact, tmp_path / "artifact"))


@pytest.fixture
def drawn_cards(exported: Exported, tmp_path: Path) -> Callable[[], Path]:
    """Gives a copy of the card set that a test may spoil."""

    def copy() -> Path:
        return Path(shutil.copytree(exported.cards_folder, tmp_path / "cards"))

    return copy
