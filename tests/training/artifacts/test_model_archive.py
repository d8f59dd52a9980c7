from __future__ import annotations

import json
import pickle
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from registry.weight_origins import WeightOrigin
from training.artifacts.model_archive import (
    ModelArchiveError,
    approach_text,
    load_model,
    normalisation_text,
    write_json,
)
from training.config import TrainingConfig
from training.models.networks import build_model

Tiny = Callable[..., TrainingConfig]


@pytest.fixture
def teacher(tmp_path: Path, tiny: Tiny) -> Path:
    folder = tmp_path / "made"
    folder.mkdir()
    config = tiny()
    save_file(build_model(config).state_dict(), folder / "model.safetensors")
    write_json(folder / "config.json", config.to_dict())
    return folder


def packed(folder: Path) -> Path:
    channel = folder.parent / "channel"
    channel.mkdir()
    with tarfile.open(channel / "model.tar.gz", "w:gz") as tar:
        for file in folder.iterdir():
            tar.add(file, file.name)
    return channel


def test_channels_archive_and_an_unpacked_folder_give_the_same_model(teacher: Path) -> None:
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        one, two = (load_model(f, "teacher")[0](images) for f in (teacher, packed(teacher)))
    assert torch.equal(one, two)


def test_student_is_not_taken_for_a_teacher(teacher: Path) -> None:
    with pytest.raises(ModelArchiveError, match="is a teacher, expected a student"):
        load_model(teacher, "student")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_missing_file_is_named(teacher: Path, name: str) -> None:
    (teacher / name).unlink()
    with pytest.raises(ModelArchiveError, match=f"{name} is not in it"):
        load_model(teacher, "teacher")


def test_weights_of_another_shape_are_refused(teacher: Path) -> None:
    document = json.loads((teacher / "config.json").read_text())
    write_json(teacher / "config.json", {**document, "depth": 2})
    with pytest.raises(ModelArchiveError, match=r"cannot be loaded: Error.* Missing key"):
        load_model(teacher, "teacher")


def test_pickle_is_not_loaded(teacher: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "sprung",))

    (teacher / "model.safetensors").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(ModelArchiveError, match="cannot be loaded"):
        load_model(teacher, "teacher")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"seed": "x"}', '{"unknown": 1}', '{"depth": 1e9}']
)
def test_damaged_configuration_is_one_clear_line(teacher: Path, text: str) -> None:
    (teacher / "config.json").write_text(text)
    with pytest.raises(ModelArchiveError, match="cannot be loaded") as caught:
        load_model(teacher, "teacher")
    assert "\n" not in str(caught.value)


def test_load_model_damaged_archive_raises(tmp_path: Path) -> None:
    (tmp_path / "model.tar.gz").write_bytes(b"not a tar")
    with pytest.raises(ModelArchiveError, match=r"model\.tar\.gz: not a readable tar"):
        load_model(tmp_path, "teacher")


def test_write_json_with_nan_raises(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert not list(tmp_path.iterdir())


def test_mistake_10_training_approach_names_the_terms_that_were_used(tiny: Tiny) -> None:
    text = approach_text(tiny("stage1", weight_kl=0))
    assert "embedding 1" in text and "relational 1" in text
    assert "kl" not in text and "arcface" not in text


def test_training_approach_names_every_weight_that_a_model_descends_from(tiny: Tiny) -> None:
    lite = WeightOrigin("lite0==0.1.0", "ab" * 32, "Apache-2.0")
    dino = WeightOrigin("dino.pth", "cd" * 32, "LicenseRef-DINOv3")
    text = approach_text(tiny("stage1"))
    assert text.startswith("from random weights; ")
    config = replace(tiny("stage1"), initial_weights=lite.line, inherited_weights=dino.line)
    assert approach_text(config).startswith(
        "from lite0==0.1.0 (Apache-2.0, abababababab), "
        "descends from dino.pth (LicenseRef-DINOv3, cdcdcdcdcdcd); "
    )


def test_normalisation_is_counted_from_the_modules(tiny: Tiny) -> None:
    assert normalisation_text(build_model(tiny("stage1"))) == "BatchNorm"
    assert normalisation_text(build_model(tiny())) == "BatchNorm + LayerNorm"
