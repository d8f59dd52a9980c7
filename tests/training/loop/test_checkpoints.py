"""A run that is killed goes on, and ends as if nothing had happened."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from training.config import TrainingConfig
from training.distributed.ranks import SINGLE_PROCESS
from training.errors import TrainingError
from training.loop.checkpoints import Checkpoints, Identity

pytestmark = [pytest.mark.trained, pytest.mark.processes]

ROOT = Path(__file__).resolve().parents[3]
PARENT = "arn:aws:sagemaker:us-east-2:123456789012:model-package/cards/7"
CPU = torch.device("cpu")
Tiny = Callable[..., TrainingConfig]


def identity(config: TrainingConfig, cards: str = "c" * 64, **models: str) -> Identity:
    return Identity.of(config, cards, models)


def test_newest_whole_one_is_read(tmp_path: Path, tiny: Tiny) -> None:
    kept = Checkpoints(tmp_path, identity(tiny()), SINGLE_PROCESS)
    assert kept.load(CPU) is None
    for step in (3, 6, 9):
        kept.save(step, {"weights": torch.full((2,), float(step))})
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "step-000000006.pt",
        "step-000000009.pt",
    ]
    found = kept.load(CPU)
    assert found is not None and found[0] == 9
    assert torch.equal(found[1]["weights"], torch.tensor([9.0, 9.0]))
    # Half of a file, as a disk that was pulled leaves it: the one before it serves.
    newest = tmp_path / "step-000000009.pt"
    newest.write_bytes(newest.read_bytes()[:400])
    found = kept.load(CPU)
    assert found is not None and found[0] == 6
    for path in tmp_path.iterdir():
        path.write_bytes(b"nothing")
    with pytest.raises(TrainingError, match=r"nothing in it can be read.*remove these files"):
        kept.load(CPU)
    kept.remove()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"config": {"learning_rate": 0.5}}, "setting learning_rate 0.001 there, 0.5 here"),
        ({"config": {"seed": 2}}, "setting seed 1 there, 2 here"),
        ({"cards": "d" * 64}, "card set"),
        ({"models": {"teacher": "b"}}, "channel teacher 'a' there, 'b' here"),
    ],
)
def test_another_runs_checkpoint_is_refused(
    tmp_path: Path, tiny: Tiny, other: dict[str, Any], words: str
) -> None:
    Checkpoints(tmp_path, identity(tiny(), teacher="a"), SINGLE_PROCESS).save(1, {})
    config = tiny(**other.get("config", {}))
    mine = identity(config, other.get("cards", "c" * 64), **other.get("models", {"teacher": "a"}))
    with pytest.raises(TrainingError, match="is of another run") as refusal:
        Checkpoints(tmp_path, mine, SINGLE_PROCESS).load(CPU)
    assert words in str(refusal.value) and "a checkpoint folder of its own" in str(refusal.value)


def test_resume_with_other_machine_settings_continues(tmp_path: Path, tiny: Tiny) -> None:
    Checkpoints(tmp_path, identity(tiny()), SINGLE_PROCESS).save(1, {})
    faster = identity(tiny(render_threads=8, checkpoint_minutes=1, threads=2))
    assert Checkpoints(tmp_path, faster, SINGLE_PROCESS).load(CPU) is not None


class Payload:
    """Runs code when a pickle of it is read without care."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, ("harm",)


def test_checkpoint_cannot_run_code(
    tmp_path: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    content = io.BytesIO()
    torch.save({"identity": {}, "step": 1, "state": Payload()}, content)
    (folder / "step-000000001.pt").write_bytes(content.getvalue())
    with pytest.raises(TrainingError, match="nothing in it can be read"):
        Checkpoints(folder, identity(tiny()), SINGLE_PROCESS).load(CPU)
    assert not (tmp_path / "harm").exists()


def test_compressed_checkpoint_is_not_unpacked(tmp_path: Path, tiny: Tiny) -> None:
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    content = io.BytesIO()
    torch.save({"identity": {}, "step": 1, "state": torch.zeros(1024**2)}, content)
    with (
        zipfile.ZipFile(content) as old,
        zipfile.ZipFile(folder / "step-000000001.pt", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for member in old.namelist():
            new.writestr(member, old.read(member))
    with pytest.raises(TrainingError, match="compressed members"):
        Checkpoints(folder, identity(tiny()), SINGLE_PROCESS).load(CPU)


@pytest.mark.parametrize("how", ["write", "sync"])
def test_full_disk_keeps_the_previous_checkpoint(
    tmp_path: Path, tiny: Tiny, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    kept = Checkpoints(tmp_path, identity(tiny()), SINGLE_PROCESS)
    kept.save(1, {"weights": torch.ones(3)})

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if how == "sync":
        monkeypatch.setattr(os, "fsync", full)
    else:
        # What torch's own writer says when the disk is full.
        def broken(*_: object) -> None:
            raise RuntimeError("[enforce fail at inline_container.cc] PytorchStreamWriter failed")

        monkeypatch.setattr(torch, "save", broken)
    with pytest.raises(TrainingError, match=r"No space left on device.*--volume-gb") as refusal:
        kept.save(2, {"weights": torch.ones(3)})
    assert "\n" not in str(refusal.value)
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000001.pt"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_checkpoint_on_a_full_disk_raises(tmp_path: Path, tiny: Tiny) -> None:
    kept = Checkpoints(tmp_path, identity(tiny()), SINGLE_PROCESS)
    (tmp_path / "step-000000002.partial").symlink_to("/dev/full")
    with pytest.raises(TrainingError, match="No space left on device"):
        kept.save(2, {"weights": torch.ones(300_000)})
    assert not list(tmp_path.iterdir())


class Job:
    """An entry point in a process of its own, as SageMaker runs it."""

    def __init__(self, out: Path, script: str, *arguments: str, **channels: Path) -> None:
        self.out = out
        self.checkpoints = out / "checkpoints"
        keep = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        variables = {
            "SM_MODEL_DIR": str(out / "model"),
            "SM_OUTPUT_DATA_DIR": str(out / "output" / "data"),
            "SM_OUTPUT_DIR": str(out / "output"),
            **{f"SM_CHANNEL_{name.upper()}": str(path) for name, path in channels.items()},
        }
        self._command = [sys.executable, str(ROOT / "training/jobs" / script), *arguments]
        self._environment = {
            **keep,
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "PYTHONUNBUFFERED": "1",
            **variables,
        }

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._command,
            env=self._environment,
            cwd=self.out.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def finish(self) -> str:
        process = self.start()
        output, _ = process.communicate(timeout=240)
        assert process.returncode == 0, output
        return output

    def interrupt(self, number: int) -> tuple[int, str]:
        """Sends a signal as soon as there is a checkpoint."""
        process = self.start()
        ends = time.monotonic() + 120
        while not list(self.checkpoints.glob("step-*.pt")):
            assert process.poll() is None and time.monotonic() < ends, process.communicate()[0]
            time.sleep(0.02)
        process.send_signal(number)
        output, _ = process.communicate(timeout=120)
        return process.returncode, output

    def result(self) -> tuple[bytes, dict[str, Any]]:
        evaluation = json.loads((self.out / "model/evaluation.json").read_text())
        return (self.out / "model/model.safetensors").read_bytes(), evaluation


# With every kind of state: average, virtual cards, early stopping, dropped paths, kept answers.
TEACHER = (
    *("--recipe", "tiny", "--steps", "60", "--validations", "3", "--patience", "3"),
    *("--drop-path", "0.2", "--frozen-share", "0.2", "--depth", "2"),
)
STUDENT = (
    *("--recipe", "tiny", "--stage", "1", "--steps", "16", "--parent-model-package-arn", PARENT),
    *("--weight-feature-map", "0", "--teacher-views", "2"),
)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_killed_teacher_resumes_to_the_same_result(
    card_folder: Path, tmp_path: Path, number: signal.Signals
) -> None:
    whole = Job(tmp_path / "whole", "train_teacher.py", *TEACHER, cards=card_folder)
    whole.finish()
    assert not list(whole.checkpoints.glob("*")), "a run that has ended leaves none"
    # A checkpoint after every step; how often is no part of what is trained.
    often = (*TEACHER, "--checkpoint-minutes", "0")
    job = Job(tmp_path / "killed", "train_teacher.py", *often, cards=card_folder)
    code, output = job.interrupt(number)
    if number == signal.SIGTERM:
        assert code == 143, output
        reason = (job.out / "output/failure").read_text()
        assert "stopped by SIGTERM after step" in reason and "goes on from there" in reason
    else:
        assert code == -signal.SIGKILL
    assert not (job.out / "model/model.safetensors").exists()
    assert "resumed after step" in job.finish()
    assert job.result() == whole.result()


def test_killed_student_resumes_to_the_same_result(card_folder: Path, tmp_path: Path) -> None:
    Job(tmp_path / "t", "train_teacher.py", "--recipe", "tiny", cards=card_folder).finish()
    channels = {"cards": card_folder, "teacher": tmp_path / "t" / "model"}
    script = "train_student_distillation.py"
    whole = Job(tmp_path / "whole", script, *STUDENT, **channels)
    whole.finish()
    often = (*STUDENT, "--checkpoint-minutes", "0")
    job = Job(tmp_path / "killed", script, *often, **channels)
    job.interrupt(signal.SIGKILL)
    assert "resumed after step" in job.finish()
    assert job.result() == whole.result()


def test_resumed_job_with_other_settings_is_refused(card_folder: Path, tmp_path: Path) -> None:
    often = (*TEACHER, "--checkpoint-minutes", "0")
    Job(tmp_path / "job", "train_teacher.py", *often, cards=card_folder).interrupt(signal.SIGTERM)
    other = Job(tmp_path / "job", "train_teacher.py", *often, "--seed", "9", cards=card_folder)
    process = other.start()
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "is of another run (setting seed 1 there, 9 here)" in output
    assert "Traceback" not in output
