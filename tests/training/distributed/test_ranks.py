"""Several processes: one model, the batch divided, nothing multiplied."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.config import ConfigError, TrainingConfig
from training.data.batches import Batches, CardDataset
from training.distributed.ranks import Ranks

ROOT = Path(__file__).resolve().parents[3]
PARENT = "arn:aws:sagemaker:us-east-2:123456789012:model-package/cards/7"
Tiny = Callable[..., TrainingConfig]


@given(world=st.integers(1, 16), per_process=st.integers(1, 8), share=st.sampled_from([0.5, 1]))
def test_every_row_of_a_batch_is_one_processs(world: int, per_process: int, share: float) -> None:
    from training.recipe import resolve

    size = 2 * world * per_process
    config = resolve("tiny", "teacher", "phase2", {"batch_size": size, "scan_share": share})
    parts = [Ranks(rank, world, 0) for rank in range(world)]
    for ranks in parts:
        ranks.check(config)
    rows = [row for ranks in parts for row in ranks.rows(config)]
    assert sorted(rows) == list(range(size))
    assert {len(ranks.rows(config)) for ranks in parts} == {size // world}


def test_accumulated_parts_equal_the_whole_batch(tiny_cards: Callable[..., CardDataset]) -> None:
    cards = tiny_cards()
    whole = Batches(cards, 1).batch(0)
    parts = [Batches(cards, 1, ranks=Ranks(rank, 2, rank)).batch(0) for rank in range(2)]
    assert sum(part.fed for part in parts) == whole.fed
    for rank, part in enumerate(parts):
        rows = Ranks(rank, 2, rank).rows(cards.config)
        for name in ("views", "scans", "cards"):
            assert np.array_equal(getattr(part, name), getattr(whole, name)[rows])


def test_batch_that_cannot_be_divided_names_one_that_can(tiny: Tiny) -> None:
    config = tiny(batch_size=10)
    with pytest.raises(ConfigError, match="--batch-size 12") as refusal:
        Ranks(0, 2, 0).check(config)
    assert "2 processes" in str(refusal.value)
    Ranks(0, 2, 0).check(tiny(batch_size=12))


@pytest.mark.parametrize(
    "variables",
    [
        {"RANK": "2", "WORLD_SIZE": "2"},
        {"RANK": "x", "WORLD_SIZE": "2"},
        {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "1"},
        {"RANK": "-1", "WORLD_SIZE": "2"},
    ],
)
def test_contradictory_variables_are_refused(variables: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="WORLD_SIZE"):
        Ranks.read(variables)


def torchrun(
    processes: int, script: str, out: Path, *arguments: str, **channels: Path
) -> dict[str, Any]:
    """Runs an entry point as SageMaker's torch_distributed does; returns what it asks for."""
    keep = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    variables = {
        "SM_MODEL_DIR": str(out / "model"),
        "SM_OUTPUT_DATA_DIR": str(out / "output" / "data"),
        "SM_OUTPUT_DIR": str(out / "output"),
        **{f"SM_CHANNEL_{name.upper()}": str(path) for name, path in channels.items()},
    }
    launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    done = subprocess.run(
        [sys.executable, *launch, str(ROOT / "training/jobs" / script), *arguments],
        env={**keep, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **variables},
        cwd=out.parent,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [
        line for line in done.stdout.splitlines() if "trained on " in line and " images in " in line
    ]
    assert len(lines) == 1, "one process talks"
    request = json.loads((out / "output/data/registration.json").read_text())
    return {"images": lines[0].split("trained on ")[1].split()[0], **request}


WORKER = """
import sys
import torch
from torch import nn
from training.loop.averaging import recalibrate
from training.recipe import resolve
from training.data.batches import Batch
from training.losses.criterion import Criterion
from training.losses.term import LossInputs
from training.loop.training_loop import TrainingContext, train
from training.distributed.ranks import Ranks, joined, share_weights
from training.distributed.shared_norms import shared_statistics

ranks = Ranks.read()
config = resolve("tiny", "teacher", "phase2", {"ema_decay": 0, "clip_norm": 1e6})

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(ranks.rank)  # process 0's weights count
        # No bias before a norm: its gradient is rounding, which Adam makes steps of.
        convolution, linear = nn.Conv2d(3, 8, 2, bias=False), nn.Linear(8, 6, bias=False)
        self.backbone = nn.Sequential(convolution, nn.BatchNorm2d(8), nn.Flatten())
        self.projection = nn.Sequential(linear, nn.BatchNorm1d(6, momentum=0.3))
    def forward(self, images):
        return self.projection(torch.tanh(self.backbone(images)))
    def head_parameters(self):
        return self.projection.parameters()
    def trainable_backbone_parameters(self):
        return list(self.backbone.parameters())

def batches(first):
    generator = torch.Generator().manual_seed(7)
    rows = ranks.rows(config)
    for _ in range(first, 5):
        views, scans = torch.randn(2, 8, 3, 2, 2, generator=generator).numpy()
        numbers = torch.tensor(rows).numpy()
        yield Batch(views[rows], scans[rows], numbers, config.fed_scans // ranks.world,
                    numbers, numbers * 0)

def forward(model, batch):
    whole = torch.cat([torch.from_numpy(batch.views), torch.from_numpy(batch.scans[: batch.fed])])
    views, scans = model(whole).split([len(batch.views), batch.fed])
    return LossInputs(views, scans, torch.from_numpy(batch.cards))

class Silent:
    def step(self, *_): pass
    def metrics(self, *_): pass

model, criterion = Model(), Criterion(config, torch.eye(8, 6))
with joined(ranks, torch.device("cpu")), shared_statistics(model, ranks):
    share_weights(model, ranks)
    context = TrainingContext(Silent(), ranks)
    model, history = train(model, criterion, batches, forward, config, 5, context)
    measured = {f"trained {name}": value.clone() for name, value in model.named_buffers()}
    recalibrate(model, (torch.from_numpy(b.views) for b in batches(0)), model)
if ranks.first:
    # AdamW takes no notice of a gradient's scale; the last step's gradients are compared, too.
    gradients = {f"gradient of {name}": p.grad for name, p in model.named_parameters()}
    kept = {**model.state_dict(), **criterion.state_dict(), **measured, **gradients}
    torch.save(kept, sys.argv[1])
    assert history.images == 5 * (8 + 4), history.images
"""


@pytest.mark.processes
def test_two_processes_make_the_model_that_one_makes(tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text(WORKER)
    for processes in (1, 2):
        launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
        done = subprocess.run(
            [sys.executable, *launch, "worker.py", f"{processes}.pt"],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    one, two = (torch.load(tmp_path / f"{n}.pt", weights_only=True) for n in (1, 2))
    assert "trained backbone.1.running_var" in one and any("arcface" in name for name in one)
    assert int(one["backbone.1.num_batches_tracked"]) == 5
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.processes
@pytest.mark.parametrize("kept", [0, 2])
def test_two_processes_distil_the_student_that_one_distils(
    card_folder: Path, tmp_path: Path, kept: int
) -> None:
    torchrun(1, "train_teacher.py", tmp_path / "teacher", "--recipe", "tiny", cards=card_folder)
    made = {}
    for processes in (1, 2):
        made[processes] = torchrun(
            processes, "train_student_distillation.py", tmp_path / f"student-{processes}",
            "--recipe", "tiny", "--stage", "1", "--parent-model-package-arn", PARENT,
            # A rate at which Adam does not turn rounding into steps of another direction.
            "--learning-rate", "1e-5", "--weight-feature-map", "0", "--teacher-views", str(kept),
            cards=card_folder, teacher=tmp_path / "teacher/model",
        )  # fmt: skip
        assert made[processes]["stage"] == "stage1"
        # The batch that was asked for is divided: the same images, not twice as many.
        assert made[processes]["images"] == str(4 * (8 + 4))
        assert (tmp_path / f"student-{processes}/model/model.onnx").is_file()
    one, two = (np.load(tmp_path / f"student-{n}/model/reference.npz") for n in (1, 2))
    # Each process rendered and embedded its share of the views; together they are the same views.
    assert str(one["views_digest"]) == str(two["views_digest"])
    assert one["card_ids"].tolist() == two["card_ids"].tolist()
    assert (one["embeddings"] * two["embeddings"]).sum(axis=1).min() > 0.9999
    assert made[1]["metrics"]["top1"] == pytest.approx(made[2]["metrics"]["top1"], abs=0.051)


@pytest.mark.processes
def test_sigterm_to_one_process_stops_all(card_folder: Path, tmp_path: Path) -> None:
    variables = {
        "SM_MODEL_DIR": str(tmp_path / "model"),
        "SM_OUTPUT_DATA_DIR": str(tmp_path / "output" / "data"),
        "SM_OUTPUT_DIR": str(tmp_path / "output"),
        "SM_CHANNEL_CARDS": str(card_folder),
    }
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    job = str(ROOT / "training/jobs/train_teacher.py")
    arguments = ["--recipe", "tiny", "--steps", "5000", "--checkpoint-minutes", "0"]
    process = subprocess.Popen(
        [sys.executable, *launch, job, *arguments],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1",
             **variables},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    ends = time.monotonic() + 120
    while not list((tmp_path / "checkpoints").glob("step-*.pt")):
        assert process.poll() is None and time.monotonic() < ends
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=120)
    assert "stopped by SIGTERM after step" in (tmp_path / "output/failure").read_text(), output
    assert process.returncode != 0
