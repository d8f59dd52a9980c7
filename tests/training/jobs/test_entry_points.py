"""Both entry points, end to end, as SageMaker calls them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from registry.registration.request import RegistrationRequest
from registry.versions.metadata import check, kept_metrics, plain
from reports.evidence import Evidence
from training.jobs import train_student_distillation, train_teacher

PARENT = "arn:aws:sagemaker:us-east-2:123456789012:model-package/cards/7"
ROOT = Path(__file__).resolve().parents[3]


def variables(out: Path, **channels: Path) -> dict[str, str]:
    return {
        "SM_MODEL_DIR": str(out / "model"),
        "SM_OUTPUT_DATA_DIR": str(out / "output" / "data"),
        "SM_OUTPUT_DIR": str(out / "output"),
        **{f"SM_CHANNEL_{name.upper()}": str(path) for name, path in channels.items()},
    }


def run(script: str, out: Path, *arguments: str, **channels: Path) -> None:
    """Runs an entry point as a process of its own."""
    # Which kernels compute is the machine's, and decides the last digits.
    kinds = ("PATH", "HOME", "OPENBLAS_", "OMP_", "MKL_")
    keep = {key: value for key, value in os.environ.items() if key.startswith(kinds)}
    answer = subprocess.run(
        [sys.executable, str(ROOT / "training" / "jobs" / script), *arguments],
        env={**keep, "PYTHONPATH": str(ROOT), **variables(out, **channels)},
        cwd=out.parent,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.fixture(scope="module")
def made(card_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Teacher, stage 1 and stage 2, made by the tiny recipe."""
    root = tmp_path_factory.mktemp("jobs")
    teacher, one, two = (root / name for name in ("teacher", "stage1", "stage2"))
    student = ("--recipe", "tiny", "--parent-model-package-arn", PARENT)
    run("train_teacher.py", teacher, "--recipe", "tiny", cards=card_folder)
    run(
        "train_student_distillation.py",
        one,
        *student,
        "--stage",
        "1",
        cards=card_folder,
        teacher=teacher / "model",
    )
    run(
        "train_student_distillation.py",
        two,
        *student,
        "--stage",
        "2",
        cards=card_folder,
        teacher=teacher / "model",
        initial=one / "model",
    )
    return {"teacher": teacher, "stage1": one, "stage2": two}


def read(path: Path) -> Any:
    return json.loads(path.read_text())


@pytest.mark.processes
def test_jobs_write_all_files(made: dict[str, Path]) -> None:
    common = {"model.safetensors", "config.json", "contract.json", "evaluation.json", "split.json"}
    extra = {"model.onnx", "reference.npz"}
    for name, folder in made.items():
        left = {path.name for path in (folder / "model").iterdir()}
        assert left == common | (set() if name == "teacher" else extra)
        assert {path.name for path in (folder / "output").rglob("*")} == {
            "data",
            "evidence.json",
            "registration.json",
            "report.html",
        }


@pytest.mark.processes
@pytest.mark.parametrize("name", ["teacher", "stage1", "stage2"])
def test_jobs_keep_the_answers_that_their_evaluation_counted(
    made: dict[str, Path], name: str
) -> None:
    kept = Evidence.from_json((made[name] / "output" / "data" / "evidence.json").read_bytes())
    evaluation = read(made[name] / "model" / "evaluation.json")
    assert float(kept.views.first().mean()) == evaluation["top1"]
    assert float(kept.views.named().mean()) == evaluation["accepted_right"]
    assert len(kept.views.outcomes) == evaluation["queries"]
    assert kept.training is not None
    assert (kept.lint is None) == (name == "teacher")


@pytest.mark.processes
@pytest.mark.parametrize("name", ["teacher", "stage1", "stage2"])
def test_registry_takes_the_request(made: dict[str, Path], name: str) -> None:
    body = (made[name] / "output" / "data" / "registration.json").read_bytes()
    request = RegistrationRequest.from_json(body, name)
    stated = {key: plain(value) for key, value in request.metadata.items()}
    metrics = kept_metrics(request.model_type, request.stage, request.metrics)
    assert "Top1" in metrics and "AcceptedRight" in metrics
    check(request.model_type, request.stage, {**stated, **metrics})
    evaluation = read(made[name] / "model" / "evaluation.json")
    assert request.metrics["top1"] == evaluation["top1"]
    assert request.metrics["queries"] == evaluation["queries"] == 30
    assert request.parent_arn == (None if name == "teacher" else PARENT)
    assert request.metadata["NumClasses"] == str(
        len(read(made[name] / "model/split.json")["known"])
    )


@pytest.mark.processes
def test_students_metadata_is_measured(made: dict[str, Path]) -> None:
    for stage in ("stage1", "stage2"):
        request = read(made[stage] / "output" / "data" / "registration.json")
        metadata = request["metadata"]
        similarity = read(made[stage] / "model" / "evaluation.json")["similarity"]
        assert float(metadata["BestSimilarity"]) == pytest.approx(similarity, abs=1e-4)
        assert (
            metadata["TeacherModel"] == read(made["teacher"] / "model/config.json")["architecture"]
        )
        assert metadata["Normalization"] == "BatchNorm"
        assert ("arcface" in metadata["TrainingApproach"]) == (stage == "stage2")


@pytest.mark.processes
def test_shipped_graph_gives_the_reference_embeddings(
    made: dict[str, Path], card_folder: Path
) -> None:
    from recognition.onnx_model import OnnxEmbedder
    from recognition.search.frames import FRAMES
    from recognition.views.camera import views_per_card
    from recognition.views.digest import card_digest, views_digest
    from training.config import TrainingConfig
    from training.data.batches import CardDataset

    folder = made["stage2"] / "model"
    config = TrainingConfig.from_dict(read(folder / "config.json"))
    cards = CardDataset.load(card_folder, config)
    per_card = views_per_card(config.query_views, len(cards.split.known), FRAMES)
    total = per_card * len(cards.split.known)
    views, ids = cards.views(cards.split.known, "query", total)
    reference = np.load(folder / "reference.npz", allow_pickle=False)
    assert reference["card_ids"].tolist() == ids
    each = [card_digest(views[i : i + per_card]) for i in range(0, total, per_card)]
    assert str(reference["views_digest"]) == views_digest(each)
    assert (int(reference["seed"]), int(reference["per_card"])) == (config.seed, per_card)
    ours = OnnxEmbedder(folder / "model.onnx", config.contract).embed(views)
    assert (ours * reference["embeddings"]).sum(axis=1).min() > 0.9999


@pytest.mark.trained
@pytest.mark.processes
def test_same_run_again_gives_the_same_files(
    made: dict[str, Path], card_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = tmp_path / "again"
    channels = {"cards": card_folder, "teacher": made["teacher"] / "model"}
    for key, value in variables(again, **channels).items():
        monkeypatch.setenv(key, value)
    arguments = ["--recipe", "tiny", "--stage", "1", "--parent-model-package-arn", PARENT]
    assert train_student_distillation.main(arguments) == 0
    for name in ("model.safetensors", "evaluation.json", "split.json"):
        first, second = ((folder / "model" / name) for folder in (made["stage1"], again))
        assert first.read_bytes() == second.read_bytes(), name


@pytest.mark.parametrize(
    ("arguments", "spoil", "message"),
    [
        (["--recipe", "tiny", "--step", "5"], None, "step: is no setting; did you mean steps?"),
        (["--recipe", "tiny"], "unset", "channel cards: SM_CHANNEL_CARDS is not set"),
        (["--recipe", "tiny"], "missing", "is no folder; it must hold one folder a card"),
        (["--recipe", "tiny"], "empty", "holds no usable card"),
        (["--recipe", "tiny"], "broken", "holds no usable card; first problem:"),
    ],
)
def test_failure_is_one_line_in_the_failure_file(
    arguments: list[str],
    spoil: str | None,
    message: str,
    card_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    channel = tmp_path / "channel"
    if spoil != "missing":
        channel.mkdir()
    if spoil is None:
        shutil.copytree(card_folder, channel, dirs_exist_ok=True)
    if spoil == "broken":
        (channel / "card").mkdir()
        (channel / "card" / "front.png").write_bytes(b"\x89PNG broken")
    for key, value in variables(tmp_path, cards=channel).items():
        monkeypatch.setenv(key, value)
    if spoil == "unset":
        monkeypatch.delenv("SM_CHANNEL_CARDS")
    assert train_teacher.main(arguments) == 1
    reason = (tmp_path / "output" / "failure").read_text()
    assert message in reason and "\n" not in reason
    assert capsys.readouterr().err.strip().splitlines()[-1] == f"error: {reason}"
    assert not (tmp_path / "model").exists() and not (tmp_path / "output" / "data").exists()


@pytest.mark.processes
@pytest.mark.parametrize(
    ("arguments", "channels", "message"),
    [
        (["--stage", "3"], {}, "--stage '3': must be 1 or 2"),
        (["--stage", "1"], {"teacher": "stage1"}, "is a student, expected a teacher"),
        (["--stage", "1", "--image-size", "40"], {"teacher": "teacher"}, "set --image-size 32"),
        (["--stage", "2"], {"teacher": "teacher"}, "channel initial: SM_CHANNEL_INITIAL"),
        (
            ["--stage", "2"],
            {"teacher": "teacher", "initial": "stage2"},
            "holds efficientnet_lite0 of stage2; stage 2 goes on from efficientnet_lite0 of stage1",
        ),
    ],
)
def test_student_of_the_wrong_parents_is_refused(
    arguments: list[str],
    channels: dict[str, str],
    message: str,
    made: dict[str, Path],
    card_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folders = {name: made[source] / "model" for name, source in channels.items()}
    for key, value in variables(tmp_path, cards=card_folder, **folders).items():
        monkeypatch.setenv(key, value)
    given = ["--recipe", "tiny", "--parent-model-package-arn", PARENT, *arguments]
    assert train_student_distillation.main(given) == 1
    assert message in (tmp_path / "output" / "failure").read_text()
