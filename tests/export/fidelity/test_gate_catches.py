"""Each mistake that was ever made, put into the compile job: none of them gets past the gate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from export import compile_job
from export.compiler import CompiledModel
from export.hailo import compiler as hailo
from export.int8 import OnnxInt8
from recognition.onnx_model import OnnxEmbedder
from recognition.search import index, index_rows
from registry.compilation.last_words import REFUSED_CODE, is_refusal
from tests.export.conftest import Exported
from tests.export.hailo import stand_in as hailo_stand_in
from tests.export.hailo.hef_writer import HAILO8
from tests.export.student import changed, pack, without_normalisation
from tests.export.test_compile_job import LENIENT, Job, job_in

Change = Callable[[np.ndarray], np.ndarray]


@pytest.fixture
def job(tmp_path: Path, artifact: Path, exported: Exported) -> Job:
    return job_in(tmp_path, artifact, exported.cards_folder)


@pytest.fixture
def by_hailo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The compiler's stand-in is installed."""
    hailo_stand_in.install(monkeypatch, tmp_path / "sdk")


def run_by_hailo(job: Job) -> int:
    return job.run({**LENIENT, "compiler": "hailo"}, compiler="hailo")


def reasons(job: Job, run: Callable[[Job], int] = Job.run) -> str:
    """The job's own word: that it did its work, and that the gate stopped the model."""
    assert run(job) == 0
    fidelity = job.read("fidelity.json")
    assert fidelity["verdict"] == "failed"
    assert job.message.read_text().startswith("fidelity gate failed: ")
    return "; ".join(fidelity["reasons"])


def calibrated_on(monkeypatch: pytest.MonkeyPatch, change: Change) -> None:
    """Between the contract and the quantiser, somebody changes the images."""
    right = OnnxInt8.compile

    def wrong(self: OnnxInt8, model: Path, images: np.ndarray, *rest: Any) -> CompiledModel:
        return right(self, model, np.ascontiguousarray(change(images)), *rest)

    monkeypatch.setattr(OnnxInt8, "compile", wrong)


def hailo_calibrated_on(monkeypatch: pytest.MonkeyPatch, change: Change) -> None:
    """The same on the way to the Hailo compiler's process."""
    right = hailo._request

    def wrong(graph: onnx.ModelProto, images: np.ndarray, *rest: Any) -> dict[str, Any]:
        return right(graph, change(images), *rest)

    monkeypatch.setattr(hailo, "_request", wrong)


def swapped(images: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(images[..., ::-1])


def noise(images: np.ndarray) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, images.shape, dtype=np.uint8)


def scaled_to_one(images: np.ndarray) -> np.ndarray:
    return (images // 255).astype(np.uint8)


@pytest.mark.processes
@pytest.mark.parametrize("run", [Job.run, run_by_hailo])
def test_job_without_a_mistake_passes(job: Job, by_hailo: None, run: Callable[[Job], int]) -> None:
    """Otherwise nothing below would prove anything."""
    assert run(job) == 0
    fidelity = job.read("fidelity.json")
    assert fidelity["verdict"] == "passed", fidelity["reasons"]


@pytest.mark.parametrize("change", [swapped, noise, scaled_to_one], ids=lambda c: c.__name__)
def test_calibration_on_other_images(
    job: Job, monkeypatch: pytest.MonkeyPatch, change: Change
) -> None:
    """BGR, noise, and images that were scaled to [0, 1]: digest and statistics tell each."""
    calibrated_on(monkeypatch, change)
    assert "calibration: the quantiser was shown other images than the contract made" in reasons(
        job
    )


@pytest.mark.processes
@pytest.mark.parametrize("change", [swapped, noise, scaled_to_one], ids=lambda c: c.__name__)
def test_calibration_of_hailo_on_other_images(
    job: Job, by_hailo: None, monkeypatch: pytest.MonkeyPatch, change: Change
) -> None:
    """The digest is taken where the compiler is called, in its own process."""
    hailo_calibrated_on(monkeypatch, change)
    found = reasons(job, run_by_hailo)
    assert "calibration: the quantiser was shown other images than the contract made" in found
    assert "cosine" not in found, "the digest is what this is about"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (swapped, "calibration: the images agree better with their cards' scans"),
        (noise, "calibration: the images are"),
        (scaled_to_one, "calibration: the images' mean"),
    ],
    ids=["swapped", "noise", "scaled_to_one"],
)
def test_calibration_on_other_images_that_the_job_itself_made(
    job: Job, monkeypatch: pytest.MonkeyPatch, change: Change, words: str
) -> None:
    """Where the mistake is made earlier the digests agree, and the statistics do not."""
    right = compile_job.render_gate_images

    def wrong(*given: Any) -> Any:
        gate_images = right(*given)
        object.__setattr__(gate_images, "calibration", change(gate_images.calibration))
        return gate_images

    monkeypatch.setattr(compile_job, "render_gate_images", wrong)
    found = reasons(job)
    assert words in found and "other images" not in found


def test_calibration_in_nchw(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    calibrated_on(monkeypatch, lambda images: images.transpose(0, 3, 1, 2))
    assert job.run() == REFUSED_CODE
    message = job.message.read_text()
    assert is_refusal(message) and "the contract says uint8 ('N', 32, 32, 3)" in message
    assert not (job.output / "compilation.json").exists()


def test_calibration_in_nchw_that_the_job_itself_made(
    job: Job, by_hailo: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused before a compiler is asked."""
    right = compile_job.render_gate_images

    def wrong(*given: Any) -> Any:
        gate_images = right(*given)
        planes = np.ascontiguousarray(gate_images.calibration.transpose(0, 3, 1, 2))
        object.__setattr__(gate_images, "calibration", planes)
        return gate_images

    monkeypatch.setattr(compile_job, "render_gate_images", wrong)
    assert run_by_hailo(job) == REFUSED_CODE
    assert "uint8 (N, S, S, 3)" in job.message.read_text()
    assert not (job.output / "compile.log").exists()


@pytest.mark.processes
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda images: images.transpose(0, 3, 1, 2), "holds uint8 (30, 3, 32, 32)"),
        (lambda images: images / np.float32(255), "holds float32 (30, 32, 32, 3)"),
    ],
    ids=["NCHW", "normalised"],
)
def test_calibration_of_hailo_in_another_form(
    job: Job, by_hailo: None, monkeypatch: pytest.MonkeyPatch, change: Change, words: str
) -> None:
    """On the way to the compiler: it takes any numbers."""
    hailo_calibrated_on(monkeypatch, change)
    assert run_by_hailo(job) == REFUSED_CODE
    message = job.message.read_text()
    assert is_refusal(message) and words in message
    assert ", not uint8 (" in message
    assert not (job.output / "compilation.json").exists()


def test_red_and_blue_exchanged_at_inference(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    class Exchanging(OnnxEmbedder):
        def embed(self, images: np.ndarray, *rest: Any) -> np.ndarray:
            return super().embed(swapped(images), *rest)

    monkeypatch.setattr(
        OnnxInt8, "embedder", lambda self, made, contract: Exchanging(made.path, contract)
    )
    assert "channel order: known images agree better with red and blue exchanged" in reasons(job)


def test_network_without_its_normalisation(
    job: Job, exported: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The compiled model is fed 0 to 255 where the network expects the normalised image."""

    right = OnnxInt8.compile

    def wrong(self: OnnxInt8, model: Path, *rest: Any) -> CompiledModel:
        other = job.model / "bare.onnx"
        other.write_bytes(changed(model.read_bytes(), without_normalisation))
        return right(self, other, *rest)

    monkeypatch.setattr(OnnxInt8, "compile", wrong)
    assert "compiled against ONNX: mean cosine" in reasons(job)


@pytest.mark.processes
def test_script_without_its_normalisation(
    job: Job, by_hailo: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chip is fed 0 to 255, and nothing on it normalises; before quantisation it shows, too."""
    right = hailo.model_script

    def wrong(*given: Any) -> str:
        return right(*given).partition("\n")[2]

    monkeypatch.setattr(hailo, "model_script", wrong)
    found = reasons(job, run_by_hailo)
    assert "compiled against ONNX: mean cosine" in found
    assert "the compiler's graph before quantisation against ONNX: mean cosine" in found


@pytest.mark.processes
def test_red_and_blue_exchanged_at_inference_by_hailo(
    job: Job, by_hailo: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = hailo.Emulator.embed
    monkeypatch.setattr(hailo.Emulator, "embed", lambda self, images: right(self, swapped(images)))
    assert "channel order: known images agree better" in reasons(job, run_by_hailo)


def test_model_that_gives_every_card_one_point(job: Job, exported: Exported) -> None:
    """Trained to nothing, exported faithfully, compiled faithfully: all cosines are 1."""

    def collapsed(model: onnx.ModelProto) -> None:
        layer = next(node for node in model.graph.node if node.op_type == "Gemm")
        weight = next(t for t in model.graph.initializer if t.name == layer.input[1])
        nothing = 1e-9 * onnx.numpy_helper.to_array(weight)
        weight.CopyFrom(onnx.numpy_helper.from_array(nothing, weight.name))

    content = job.model / "content"
    graph = changed(exported.model.read_bytes(), collapsed)
    (content / "model.onnx").write_bytes(graph)
    with np.load(content / "reference.npz") as saved:
        arrays = dict(saved)
    session = onnx_rows(graph)
    arrays["embeddings"] = np.tile(session, (len(arrays["card_ids"]), 1))
    np.savez(content / "reference.npz", **arrays)
    pack(content, job.model / "model.tar.gz")
    found = reasons(job)
    assert "the gallery's embeddings collapse" in found
    assert "cosine" not in found, "the collapse check is what this is about"


def onnx_rows(graph: bytes) -> np.ndarray:
    """The one embedding, of length 1."""
    import onnxruntime

    image = np.zeros((1, 32, 32, 3), np.uint8)
    row = onnxruntime.InferenceSession(graph).run(None, {"image": image})[0][0]
    return np.asarray(row / np.linalg.norm(row), np.float32)


def test_index_of_another_model(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    right = index.write_index

    def wrong(directory: Path, ids: Any, rows: np.ndarray, *rest: Any) -> None:
        right(directory, ids, np.roll(rows, 1, axis=0), *rest)

    monkeypatch.setattr(compile_job, "write_index", wrong)
    assert "index: its rows are not the embeddings of the model that ships" in reasons(job)


def test_index_with_another_s_row_map(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    right = index.write_index

    def wrong(directory: Path, ids: Sequence[str], *rest: Any) -> None:
        right(directory, [*ids[1:], ids[0]], *rest)

    monkeypatch.setattr(compile_job, "write_index", wrong)
    found = reasons(job)
    assert "rows hold another card's id" in found and "embeddings" not in found


def test_search_that_is_wrong_on_this_processor(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows and ids are right; the integer products that every query begins with are not."""
    right = index_rows.Int8Rows.scan

    def wrong(self: index_rows.Int8Rows, vector: np.ndarray) -> tuple[np.ndarray, float]:
        cosines, error = right(self, vector)
        return np.roll(cosines, 1), error

    monkeypatch.setattr(index_rows.Int8Rows, "scan", wrong)
    found = reasons(job)
    assert "of its answers are as similar as the nearest card" in found
    assert "embeddings" not in found


@pytest.mark.processes
def test_mistake_13_hef_for_another_chip_fails_the_job(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hailo_stand_in.install(monkeypatch, tmp_path / "sdk", chip=HAILO8)
    assert job.run({**LENIENT, "compiler": "hailo"}, compiler="hailo") == REFUSED_CODE
    message = job.message.read_text()
    assert "hailo8" in message and "hailo8l" in message and is_refusal(message)
    assert not (job.output / "model.hef").exists()
    assert not (job.output / "compilation.json").exists()


def test_onnx_file_of_another_student(job: Job, exported: Exported) -> None:
    from export.graphs.onnx_export import export_onnx
    from tests.export.student import random_student

    other = random_student(exported.contract, 255 - exported.views)
    content = job.model / "content"
    export_onnx(other, exported.contract, content / "model.onnx", exported.views[:2])
    pack(content, job.model / "model.tar.gz")
    assert "ONNX against PyTorch" in reasons(job)
