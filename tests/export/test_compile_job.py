"""The compile job from its arguments to every file that a release is made of."""

# Over 400 lines: every test reads what one compile job left, and that job is the costly part.

from __future__ import annotations

import contextlib
import errno
import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from export import compile_job
from export.compile_job import main
from export.compiler import CompileFault
from export.fidelity.gate_images import render_gate_images
from export.int8 import OnnxInt8
from export.student_artifact import read_artifact
from recognition.acceptance.rounding_noise import QUANTISED_NOISE
from recognition.acceptance.rule import AcceptanceRule
from recognition.onnx_model import OnnxEmbedder
from recognition.reference_views import read_reference_views
from recognition.search.gallery import TIE, l2_normalise
from recognition.search.index import ReferenceIndex
from recognition.search.match_score import MatchScore
from registry.compilation.last_words import FAULT_CODE, REFUSED_CODE, is_refusal
from registry.versions import metadata
from reports.gate_figures import nameless
from tests.export.conftest import CONTRACT, SCANS_LICENCE, Exported
from tests.export.hailo import stand_in as hailo_stand_in
from tests.export.student import WEIGHTS, pack
from tests.reports.test_page import Read

ROOT = Path(__file__).resolve().parents[2]
NAME = "student-small-stage2-v1"
ARN = "arn:aws:sagemaker:eu-north-1:123456789012:model-package/cards/7"
COMPILE_SETTINGS = {"compiler": "onnx-int8", "calibration_images": 30}
#: A student that nobody trained is hurt more by 8 bits than a trained one.
LENIENT = {**COMPILE_SETTINGS, "gate": {"cosine_mean": 0.98, "cosine_p5": 0.96, "top1_drop": 0.05}}


@dataclass(frozen=True)
class Job:
    """What one run of the job was given, and what it left."""

    model: Path
    cards: Path
    output: Path
    message: Path

    def run(self, compile_settings: object = LENIENT, **options: str) -> int:
        text = (
            compile_settings if isinstance(compile_settings, str) else json.dumps(compile_settings)
        )
        return main(self.arguments({"--settings": text, **options}))

    def arguments(self, options: dict[str, str]) -> list[str]:
        words = {
            "--model": str(self.model),
            "--cards": str(self.cards),
            "--output": str(self.output),
            "--message": str(self.message),
            "--compiler": "onnx-int8",
            "--max-runtime-seconds": "21600",
            "--source-name": NAME,
            "--source-arn": ARN,
            **{"--" + key.strip("-").replace("_", "-"): value for key, value in options.items()},
        }
        return [word for pair in words.items() for word in pair]

    def read(self, name: str) -> Any:
        return json.loads((self.output / name).read_text())


def job_in(folder: Path, artifact: Path, cards: Path) -> Job:
    return Job(artifact, cards, folder / "output", folder / "words" / "message")


@pytest.fixture
def job(tmp_path: Path, artifact: Path, exported: Exported) -> Job:
    return job_in(tmp_path, artifact, exported.cards_folder)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, exported: Exported, _artifact: Path) -> Job:
    """A job that ran to its end; tests only read what it left."""
    job = job_in(tmp_path_factory.mktemp("job"), _artifact, exported.cards_folder)
    assert job.run() == 0
    return job


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_compile_job_leaves_every_file_that_a_release_needs(done: Job) -> None:
    compilation = done.read("compilation.json")
    assert compilation["ship"] == [
        "model.int8.onnx",
        "model.onnx",
        "embeddings.npy",
        "index.json",
        "metadata.json",
        "reference_views.npz",
        "fidelity.json",
        "fidelity.html",
    ]
    assert compilation["files"].keys() == set(compilation["ship"])
    for name, identity in compilation["files"].items():
        path = done.output / name
        assert identity == {"sha256": sha256(path), "bytes": path.stat().st_size}
    assert compilation["model"] == "model.int8.onnx"
    assert (compilation["source_name"], compilation["source_arn"]) == (NAME, ARN)
    assert (compilation["compiler"], compilation["stage"]) == ("onnx-int8", "int8")
    assert compilation["architecture"] == "small"
    assert compilation["contract"] == CONTRACT.to_dict()
    assert compilation["compile_settings"] == LENIENT
    left = {str(path.relative_to(done.output)) for path in done.output.rglob("*") if path.is_file()}
    assert left == {
        *compilation["ship"],
        "compilation.json",
        "model.batch.onnx",
        "onnx/model.tar.gz",
        "int8/model.tar.gz",
    }


def test_the_gate_s_word_is_also_the_last_word(done: Job) -> None:
    fidelity = done.read("fidelity.json")
    assert fidelity["verdict"] == "passed", fidelity["reasons"]
    assert done.message.read_text() == "fidelity gate passed"
    figures = fidelity["figures"]
    assert figures["pytorch_top1"] == 0.5, "must come from the artifact's evaluation"
    assert figures["onnx_cosine_mean"] > 0.9999
    assert figures["channels_swapped"] < figures["channels_as_fed"] - 0.01
    assert 0 <= figures["compiled_auroc"] <= 1 and 0 <= figures["onnx_auroc"] <= 1
    assert fidelity["thresholds"]["cosine_mean"] == 0.98


def test_the_report_says_that_calibration_was_short(done: Job) -> None:
    calibration = done.read("fidelity.json")["calibration"]
    assert calibration["images"] == calibration["requested"] == 30
    assert calibration["warning"] == "fewer than the 256 images that are advised"


def test_the_index_is_of_the_model_that_ships(
    done: Job, exported: Exported, tmp_path: Path
) -> None:
    artifact = read_artifact(done.model, tmp_path)
    index = ReferenceIndex.load(done.output)
    known = exported.cards.only(artifact.split.known)
    assert sorted(index.card_ids) == sorted(artifact.split.known)
    shipped = OnnxEmbedder(done.output / "model.int8.onnx", exported.contract)
    rows = shipped.embed(known.first_scans(exported.contract))
    for card_id, row in zip(known.card_ids, rows, strict=True):
        (best,) = index.search(row, 1)
        assert best[0] == card_id and best[1] == pytest.approx(1, abs=1e-3)
    document = done.read("metadata.json")
    assert document["model_sha256"] == sha256(done.output / "model.int8.onnx")
    assert document["card_set"] == exported.cards.digest


def test_the_threshold_turns_unseen_validation_cards_away(
    done: Job, exported: Exported, tmp_path: Path
) -> None:
    artifact = read_artifact(done.model, tmp_path)
    threshold = done.read("compilation.json")["acceptance_threshold"]
    unseen_views = render_gate_images(exported.cards_folder, artifact, 30).unseen_validation.all()
    shipped = OnnxEmbedder(done.output / "model.int8.onnx", exported.contract)
    gallery = ReferenceIndex.load(done.output).rows.unit()
    best = (shipped.embed(unseen_views) @ gallery.T).max(axis=1)
    assert (best >= threshold).mean() <= 0.01
    noise = MatchScore().noise(best.max(), QUANTISED_NOISE, TIE)
    assert best.max() + 0.5 * noise < threshold < best.max() + 1.5 * noise
    # Computed by other kernels, as another processor would: no view is on the other side.
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    path = str(done.output / "model.int8.onnx")
    plain = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = plain.get_inputs()[0].name
    rows = np.concatenate([plain.run(None, {name: view[None]})[0] for view in unseen_views])
    other = (l2_normalise(rows) @ gallery.T).max(axis=1)
    assert (other != best).any(), "the other kernels round alike: this test shows nothing"
    assert (other >= threshold).mean() <= 0.01
    # The rule says the same, and what so few cards can show.
    acceptance = done.read("compilation.json")["acceptance"]
    rule = AcceptanceRule.from_dict(acceptance)
    assert rule.threshold() == threshold and set(rule.thresholds) == {1, 3}
    cards = len(artifact.split.unseen_validation)
    assert acceptance["cards"] == cards
    assert acceptance["estimate"] <= 0.01 < acceptance["bound"]


def registrable(stage: str, package: dict[str, Any]) -> list[str]:
    """What the registry would say against a package of the report."""
    stated = {key: metadata.plain(value) for key, value in package["metadata"].items()}
    measured = metadata.kept_metrics("student", stage, package["metrics"])
    return metadata.faults("student", stage, {**stated, **measured})


@pytest.mark.parametrize(("stage", "file"), [("onnx", "model.onnx"), ("int8", "model.int8.onnx")])
def test_packages_are_registrable_and_measured(done: Job, stage: str, file: str) -> None:
    package = next(p for p in done.read("compilation.json")["packages"] if p["stage"] == stage)
    assert registrable(stage, package) == []
    assert package["metadata"]["SizeBytes"] == str((done.output / file).stat().st_size)
    assert package["metadata"]["Sha256"] == sha256(done.output / file)
    assert package["metadata"]["Parameters"] == str(23_472 + 112 + 256 * 768 + 768)
    assert all(isinstance(value, float) for value in package["metrics"].values())
    figures = done.read("fidelity.json")["figures"]
    prefix = "onnx_" if stage == "onnx" else ""
    assert package["metrics"]["false_accept_target"] == 0.01
    assert package["metrics"]["cosine_mean"] == figures[f"{prefix}cosine_mean"]
    assert package["metrics"]["top1"] == pytest.approx(
        figures[f"{'onnx' if stage == 'onnx' else 'compiled'}_top1"]
    )
    with tarfile.open(done.output / package["artifact"]) as tar:
        twin = ["model.batch.onnx"] if stage == "onnx" else []
        assert sorted(tar.getnames()) == sorted([file, "contract.json", *twin])
        content = tar.extractfile(file)
        assert content is not None
        assert hashlib.sha256(content.read()).hexdigest() == sha256(done.output / file)


def test_running_again_gives_the_same_bytes(
    done: Job, artifact: Path, drawn_cards: Callable[[], Path], tmp_path: Path
) -> None:
    again = job_in(tmp_path, artifact, drawn_cards())
    assert again.run() == 0
    assert again.run() == 0, "a job may be repeated over what it left"
    for path in sorted(done.output.rglob("*")):
        if path.is_file():
            name = path.relative_to(done.output)
            assert path.read_bytes() == (again.output / name).read_bytes(), name


def test_a_graph_that_takes_no_batches_is_compiled_without_its_twin(
    job: Job, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def fixed(model: onnx.ModelProto) -> onnx.ModelProto:
        raise ValueError("late: Reshape fixes the batch")

    monkeypatch.setattr("export.graphs.batch_graph.batched", fixed)
    assert job.run() == 0
    assert "without model.batch.onnx" in capfd.readouterr().out
    with tarfile.open(job.output / "onnx" / "model.tar.gz") as tar:
        assert sorted(tar.getnames()) == ["contract.json", "model.onnx"]


def test_a_failed_gate_is_a_result(job: Job) -> None:
    strict = {**COMPILE_SETTINGS, "gate": {"cosine_mean": 0.9999999}}
    assert job.run(strict) == 0
    fidelity = job.read("fidelity.json")
    assert fidelity["verdict"] == "failed"
    assert fidelity["reasons"][0].startswith("compiled against ONNX: mean cosine is 0.9")
    assert job.message.read_text().startswith("fidelity gate failed: compiled against ONNX")
    assert job.read("compilation.json")["stage"] == "int8"


@pytest.mark.processes
def test_hailo_s_compiler_is_behind_the_same_job(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the stand-in: which files, names and packages such a release consists of."""
    hailo_stand_in.install(monkeypatch, tmp_path / "sdk")
    assert job.run({**LENIENT, "compiler": "hailo"}, compiler="hailo") == 0
    assert job.read("fidelity.json")["verdict"] == "passed"
    compilation = job.read("compilation.json")
    assert compilation["ship"][:2] == ["model.hef", "model.onnx"]
    assert (compilation["model"], compilation["stage"]) == ("model.hef", "hailo8l")
    assert [package["stage"] for package in compilation["packages"]] == ["onnx", "hailo8l"]
    package = compilation["packages"][1]
    assert registrable("hailo8l", package) == []
    assert package["artifact"] == "hailo8l/model.tar.gz"
    assert package["metadata"]["Toolchain"] == (
        "hailo_sdk_client 3.33.0, hef_sdk 3.33.0, optimisation_level 1"
    )
    ReferenceIndex.load(job.output)


def unreadable_graph(job: Job) -> None:
    (job.model / "content" / "model.onnx").write_bytes(b"\xff" * 100)
    pack(job.model / "content", job.model / "model.tar.gz")


def weights_elsewhere(job: Job) -> None:
    """The graph names a file outside of its folder as its weights."""
    path = job.model / "content" / "model.onnx"
    graph = onnx.load(path)
    tensor = max(graph.graph.initializer, key=lambda each: len(each.raw_data))
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../../../../../../../etc/passwd")
    path.write_bytes(graph.SerializeToString())
    pack(job.model / "content", job.model / "model.tar.gz")


def no_archive(job: Job) -> None:
    (job.model / "model.tar.gz").unlink()


def no_cards(job: Job) -> None:
    shutil.rmtree(job.cards)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (unreadable_graph, "model.onnx: is no ONNX graph"),
        (weights_elsewhere, "model.onnx: has its weights in other files"),
        (no_archive, "model.tar.gz: is missing"),
        (no_cards, "does not exist"),
    ],
)
def test_a_fault_is_one_line_and_a_code(
    job: Job,
    drawn_cards: Callable[[], Path],
    capfd: pytest.CaptureFixture[str],
    spoil: Callable[[Job], None],
    words: str,
) -> None:
    job = Job(job.model, drawn_cards(), job.output, job.message)
    spoil(job)
    assert job.run() == REFUSED_CODE
    assert is_refusal(job.message.read_text()) and words in job.message.read_text()
    last = capfd.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("compile job: refused: ") and words in last
    assert not (job.output / "compilation.json").exists()


@pytest.mark.parametrize(
    ("compile_settings", "words"),
    [
        ("{", "not JSON (Expecting property name"),
        ("[]", "must be a JSON object"),
        ({**COMPILE_SETTINGS, "gate": 1}, "must be a JSON object, and its gate another"),
        ({**COMPILE_SETTINGS, "gate": {"cosine": 1}}, "cosine is none of"),
        ({**COMPILE_SETTINGS, "calibration_images": 0}, "calibration_images is 0"),
        ({**COMPILE_SETTINGS, "calibration_images": "64"}, "calibration_images is '64'"),
        ({**COMPILE_SETTINGS, "calibration_images": 10**12}, "must be 1 to 100000"),
    ],
)
def test_compile_settings_that_cannot_be_followed(
    job: Job, compile_settings: object, words: str
) -> None:
    assert job.run(compile_settings) == REFUSED_CODE
    assert words in job.message.read_text()


def test_a_name_by_another_convention(job: Job) -> None:
    assert job.run(source_name="my-model") == REFUSED_CODE
    assert "my-model" in job.message.read_text()


def test_the_unexpected_also_leaves_last_words(
    job: Job, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("neither here\nnor there")

    monkeypatch.setattr(compile_job, "render_gate_images", broken)
    assert job.run() == FAULT_CODE
    assert job.message.read_text().startswith("fault: unexpected KeyError: ")
    assert "Traceback" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "fault: [Errno 28] No space left"),
        (CompileFault("the compiler was killed; take a larger instance"), "fault: the compiler"),
        (MemoryError(), "fault: unexpected MemoryError: MemoryError"),
    ],
)
def test_a_fault_of_the_machine_is_worth_another_try(
    job: Job, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(OnnxInt8, "compile", fails)
    assert job.run() == FAULT_CODE
    message = job.message.read_text()
    assert message.startswith(words) and not is_refusal(message)
    assert not (job.output / "compilation.json").exists()
    monkeypatch.undo()
    assert job.run() == 0, "and it goes well over what the other left"


@pytest.mark.processes
def test_compile_job_starts_as_the_container_starts_it(done: Job, tmp_path: Path) -> None:
    """From a folder with nothing but the rooms that are shipped with it, and without torch."""
    for room in ("export", "recognition", "registry"):
        shutil.copytree(ROOT / room, tmp_path / "src" / room)
    (tmp_path / "src" / "torch.py").write_text("raise ImportError('no torch here')")
    job = job_in(tmp_path, done.model, done.cards)
    options = {"--settings": json.dumps(LENIENT)}
    ran = subprocess.run(
        [sys.executable, "-m", "export.compile_job", *job.arguments(options)],
        cwd=tmp_path / "src",
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    assert "fidelity gate passed" in ran.stdout.splitlines()[-1]
    assert job.read("compilation.json") == done.read("compilation.json")


@pytest.mark.processes
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="processes are seen in /proc")
def test_a_job_that_is_stopped_takes_the_compiler_with_it(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The compiler's process has a session of its own, which a stop does not reach."""
    hailo_stand_in.install(monkeypatch, tmp_path / "sdk", step="compile", kind="hang")
    compile_settings = json.dumps({**LENIENT, "compiler": "hailo"})
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    def workers() -> list[Path]:
        """Those of this test: their requests lie in its folder."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                words = path.read_bytes()
                if b"export.hailo.worker" in words and str(scratch).encode() in words:
                    found.append(path)
        return found

    words = job.arguments({"--settings": compile_settings, "--compiler": "hailo"})
    running = subprocess.Popen(
        [sys.executable, "-m", "export.compile_job", *words],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(scratch)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        log = job.output / "compile.log"
        limit = time.monotonic() + 90
        while not (log.exists() and "Solving" in log.read_text()):
            assert time.monotonic() < limit, "its log must be there while it runs"
            time.sleep(0.1)
        assert len(workers()) == 1
        running.terminate()
        assert running.wait(30) == FAULT_CODE
        assert workers() == []
    finally:
        running.kill()
        running.wait()
        for path in workers():
            os.kill(int(path.parent.name), signal.SIGKILL)


@pytest.mark.processes
def test_hailo_compiler_past_the_job_limit_is_explained(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lower limit on the job's run time must reach the compiler: SageMaker explains nothing."""
    hailo_stand_in.install(monkeypatch, tmp_path / "sdk", step="compile", kind="hang")
    monkeypatch.setattr(compile_job, "_began", time.monotonic())
    begun = time.monotonic()
    code = job.run({**LENIENT, "compiler": "hailo"}, compiler="hailo", max_runtime_seconds="12")
    assert time.monotonic() - begun < 60
    assert code == REFUSED_CODE
    message = job.message.read_text()
    assert is_refusal(message) and "the Hailo compiler was still doing" in message
    assert "max_runtime_seconds" in message


@pytest.mark.parametrize("value", ["0", "-1", "soon"])
def test_run_time_limit_that_is_no_positive_number_is_refused(job: Job, value: str) -> None:
    with pytest.raises(SystemExit) as caught:
        job.run(max_runtime_seconds=value)
    assert caught.value.code == REFUSED_CODE


def test_requirements_are_the_project_s_pins() -> None:
    wanted = [
        line
        for line in (ROOT / "export" / "requirements.txt").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    pins = (ROOT / "pyproject.toml").read_text()
    assert wanted and not any(line.startswith("torch") for line in wanted)
    for line in wanted:
        assert f'"{line}"' in pins, f"{line} differs from pyproject.toml"


def test_lock_holds_digests_of_every_package_at_the_versions_that_are_tested() -> None:
    """``make lock`` writes it; the job installs from it with ``--require-hashes``."""
    text = (ROOT / "export" / "requirements.lock").read_text()
    locked = {}
    for entry in text.replace("\\\n", " ").splitlines():
        pinned, *digests = entry.split("--hash=")
        name, _, version = pinned.partition(";")[0].strip().partition("==")
        assert digests and all(re.fullmatch(r"sha256:[0-9a-f]{64}\s*", each) for each in digests)
        locked[name.lower().replace("_", "-")] = version
    pins = {}
    for file in ("constraints.txt", "export/requirements.txt"):
        for line in (ROOT / file).read_text().splitlines():
            name, equals, version = line.partition("==")
            if equals:
                pins[name.lower().replace("_", "-")] = version
    assert {name: pins.get(name) for name in locked} == locked
    direct = (ROOT / "export" / "requirements.txt").read_text().splitlines()
    assert {line.partition("==")[0] for line in direct if "==" in line} <= set(locked)
    installed = {name: importlib.metadata.version(name) for name in locked if name != "colorama"}
    assert installed == {name: version for name, version in locked.items() if name != "colorama"}


def test_archive_with_another_digest_than_approved_is_refused(job: Job) -> None:
    assert job.run(model_sha256="0" * 64) == REFUSED_CODE
    assert "what was registered and approved" in job.message.read_text()
    assert not (job.output / "compilation.json").exists()


def test_card_set_with_another_digest_than_registered_is_refused(job: Job) -> None:
    assert job.run(cards_digest="0" * 64) == REFUSED_CODE
    assert "a scan was added, removed or changed" in job.message.read_text()
    assert not (job.output / "compilation.json").exists()


def test_report_names_the_archive_and_the_card_set_that_were_read(
    done: Job, exported: Exported
) -> None:
    compilation = done.read("compilation.json")
    assert compilation["model_archive_sha256"] == sha256(done.model / "model.tar.gz")
    assert compilation["card_set"]["digest"] == exported.cards.digest


def test_reference_views_are_answered_alike_by_what_ships(done: Job, exported: Exported) -> None:
    reference = read_reference_views(done.output / "reference_views.npz")
    shipped = OnnxEmbedder(done.output / "model.int8.onnx", exported.contract)
    rows = shipped.embed(reference.views)
    assert (np.einsum("ij,ij->i", rows, reference.embeddings) > 0.999).all()
    index = ReferenceIndex.load(done.output)
    for row, card_id, similarity in zip(
        rows, reference.card_ids, reference.similarities, strict=True
    ):
        ((found, cosine),) = index.search(row, 1)
        assert found == card_id and cosine == pytest.approx(similarity, abs=1e-3)
    assert reference.threshold == done.read("compilation.json")["acceptance_threshold"]
    gate: Any = LENIENT["gate"]
    assert (reference.cosine_mean, reference.cosine_each) == (
        gate["cosine_mean"],
        gate["cosine_p5"],
    )
    assert len(reference.views) == 8


def test_report_and_page_state_the_licence_of_the_scans(done: Job) -> None:
    assert done.read("compilation.json")["card_set"]["licence"] == SCANS_LICENCE
    page = " ".join(Read((done.output / "fidelity.html").read_text()).text.split())
    assert f"Licence of the scans{SCANS_LICENCE}" in page


def test_report_and_page_name_the_weights_that_the_student_descends_from(done: Job) -> None:
    assert done.read("compilation.json")["weights"] == [WEIGHTS]
    assert done.read("fidelity.json")["weights"] == [
        {"name": "lite0==0.1.0", "sha256": "ab" * 32, "licence": "Apache-2.0"}
    ]
    page = " ".join(Read((done.output / "fidelity.html").read_text()).text.split())
    assert "Licence of the weights" in page and "Apache-2.0 (of lite0==0.1.0" in page


def test_page_says_what_compiling_changed_in_words(done: Job) -> None:
    """Every figure of the gate has a name and a meaning, and the numbers are the report's."""
    report = done.read("fidelity.json")
    assert nameless(report["figures"]) == []
    read = Read((done.output / "fidelity.html").read_text())
    shown = {
        each["data-gate"]: float(each["data-value"] or "nan")
        for _, each in read.elements
        if "data-gate" in each
    }
    assert shown and {key: report["figures"][key] for key in shown} == shown
    named = next(
        float(each["data-value"] or "nan")
        for _, each in read.elements
        if each.get("data-figure") == "accepted_right"
    )
    acceptance = done.read("compilation.json")["acceptance"]
    assert named == acceptance["accepted_right"]
    text = " ".join(read.text.split())
    for each in ("What compiling changed", "Agreement, worst card", "No chip", "What happens next"):
        assert each in text
    for key in report["figures"]:
        assert "_" not in key or key not in text, f"{key} is a raw key"


def test_paired_answers_of_the_page_add_up_to_the_evaluation(done: Job) -> None:
    read = Read((done.output / "fidelity.html").read_text())
    found = [each["data-difference"] for _, each in read.elements if "data-difference" in each]
    differences = [float(each) for each in found]
    figures = done.read("fidelity.json")["figures"]
    assert differences[2] == pytest.approx(-figures["top1_drop"])
