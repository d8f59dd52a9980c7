"""HailoRT's client against a stand-in of its interface; nothing here has run on a chip."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from edge.runtimes.choice import load_model, runtime_of, runtime_version
from edge.runtimes.hailo import SERVICE_VARIABLE, HailoBusyError, HailoEmbedder, HailoError
from recognition.onnx_model import OnnxEmbedder
from recognition.search.gallery import l2_normalise
from registry.contract import Contract
from tests.edge.runtimes.hailo_stand_in import (
    DRIVER_VERSION,
    OUT_OF_DEVICES,
    TIMEOUT,
    Chip,
    HailoRTException,
    HailoRTInvalidHEFException,
    HailoRTTimeout,
    plug_in,
)
from tests.export.hailo.hef_writer import HAILO8, Description, Layer, hef
from tests.recognition.conftest import colour_layout_model

CONTRACT = Contract(size=64, embedding_dim=96)
SHAPES = {"input_shape": (64, 64, 3), "output_shape": (1, 1, 96)}


def plain(image: np.ndarray) -> np.ndarray:
    """A network: the means of 32 by 3 parts of the image."""
    return image.reshape(32, -1, 3).mean(axis=1).astype(np.float32).reshape(-1)


@pytest.fixture
def chip(monkeypatch: pytest.MonkeyPatch) -> Chip:
    return plug_in(monkeypatch, Chip(plain, **SHAPES))  # type: ignore[arg-type]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.hef"
    path.write_bytes(hef(description=card_model().content()))
    return path


def card_model(**changes: object) -> Description:
    layers = (
        Layer("in", False, (64, 64, 3)),
        Layer("out", True, (1, 1, 96), zero_point=12.0, scale=0.1),
    )
    return Description(layers=layers, **changes)  # type: ignore[arg-type]


def images(count: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, 64, 64, 3), dtype=np.uint8)


def test_embeddings_are_the_chip_s_rows_of_length_1_in_order(chip: Chip, model: Path) -> None:
    given = images(9)
    rows = HailoEmbedder(model, CONTRACT).embed(given)
    assert np.allclose(rows, l2_normalise(np.stack([plain(image) for image in given])), atol=1e-6)
    assert rows.dtype == np.float32


def test_several_images_are_under_way_and_never_more_than_the_queue_takes(
    chip: Chip, model: Path
) -> None:
    chip.queue = 3
    HailoEmbedder(model, CONTRACT).embed(images(12))
    assert chip.most_running == 3


def test_image_that_is_not_in_one_piece_is_copied(chip: Chip, model: Path) -> None:
    given = images(2)[:, :, ::-1]
    rows = HailoEmbedder(model, CONTRACT).embed(given)
    assert np.allclose(rows[0], l2_normalise(plain(np.ascontiguousarray(given[0]))[None])[0])


def test_chip_and_processor_answer_alike_for_the_same_network(
    monkeypatch: pytest.MonkeyPatch, model: Path, tmp_path: Path
) -> None:
    """Same preprocessing, same normalisation: only the arithmetic may differ."""
    onnx = tmp_path / "model.onnx"
    onnx.write_bytes(colour_layout_model(CONTRACT))
    processor = OnnxEmbedder(onnx, CONTRACT)

    def network(image: np.ndarray) -> np.ndarray:
        return processor.embed(image.reshape(1, 64, 64, 3))[0] * 17

    plug_in(monkeypatch, Chip(network, **SHAPES))  # type: ignore[arg-type]
    given = images(4)
    rows = HailoEmbedder(model, CONTRACT).embed(given)
    assert np.allclose(rows, processor.embed(given), atol=1e-6)


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (HailoRTException(OUT_OF_DEVICES), HailoBusyError, "enable --now hailort.service"),
        (HailoRTException(DRIVER_VERSION), HailoError, "--reinstall hailo-dkms hailort"),
        (HailoRTException("odd"), HailoError, "cards-edge doctor compares the versions"),
    ],
)
def test_device_that_does_not_open_says_what_to_do(
    chip: Chip, model: Path, error: Exception, kind: type[HailoError], reason: str
) -> None:
    chip.open_error = error
    with pytest.raises(kind, match=reason) as caught:
        HailoEmbedder(model, CONTRACT)
    assert type(caught.value) is kind and "\n" not in str(caught.value)


def test_hef_that_hailort_refuses_gives_the_chip_back(chip: Chip, model: Path) -> None:
    chip.model_error = HailoRTInvalidHEFException("Invalid HEF. See hailort.log")
    with pytest.raises(HailoError, match="does not run this HEF"):
        HailoEmbedder(model, CONTRACT)
    assert chip.opened == 0


def test_chip_that_hangs_ends_with_a_time_out(chip: Chip, model: Path) -> None:
    chip.hangs = True
    embedder = HailoEmbedder(model, CONTRACT, timeout_ms=20)
    with pytest.raises(HailoError, match=f"{TIMEOUT}; the chip does not answer"):
        embedder.embed(images(5))


def test_failure_that_only_the_callback_is_told_is_raised(chip: Chip, model: Path) -> None:
    embedder = HailoEmbedder(model, CONTRACT)
    chip.job_error = HailoRTTimeout(TIMEOUT)
    with pytest.raises(HailoError, match="the chip does not answer"):
        embedder.embed(images(1))


def test_shapes_other_than_the_contract_s_are_refused(
    monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    chip = plug_in(monkeypatch, Chip(plain, (64, 64, 3), (1, 1, 48)))
    with pytest.raises(HailoError, match="the contract says"):
        HailoEmbedder(model, CONTRACT)
    assert chip.opened == 0


def test_hef_for_another_chip_is_refused_before_the_chip_is_opened(
    chip: Chip, tmp_path: Path
) -> None:
    path = tmp_path / "model.hef"
    path.write_bytes(hef(description=card_model(architecture=HAILO8).content()))
    with pytest.raises(HailoError, match="made for hailo8, not for hailo8l"):
        HailoEmbedder(path, CONTRACT)
    assert not chip.params


def test_images_of_another_form_are_refused(chip: Chip, model: Path) -> None:
    with pytest.raises(HailoError, match="takes uint8 images"):
        HailoEmbedder(model, CONTRACT).embed(images(1).astype(np.float32))


def test_chip_is_shared_where_the_variable_says_so(
    chip: Chip, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    HailoEmbedder(model, CONTRACT).close()
    monkeypatch.setenv(SERVICE_VARIABLE, "1")
    HailoEmbedder(model, CONTRACT).close()
    assert [params.multi_process_service for params in chip.params] == [False, True]
    assert chip.params[1].group_id == "SHARED" and chip.opened == 0


def test_machine_without_hailort_says_what_to_install(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "hailo_platform", None)
    with pytest.raises(HailoError, match="sudo apt install hailo-all"):
        HailoEmbedder(model, CONTRACT)
    assert runtime_version("HailoRT") == "HailoRT missing"


def test_runtime_follows_from_the_model_s_file(chip: Chip, model: Path, tmp_path: Path) -> None:
    assert (runtime_of("model.hef"), runtime_of("model.int8.onnx")) == ("HailoRT", "ONNX Runtime")
    assert isinstance(load_model(model, CONTRACT), HailoEmbedder)
    assert runtime_version("HailoRT") == "HailoRT 4.20.0"
    onnx = tmp_path / "model.int8.onnx"
    onnx.write_bytes(colour_layout_model(CONTRACT))
    assert isinstance(load_model(onnx, CONTRACT), OnnxEmbedder)
