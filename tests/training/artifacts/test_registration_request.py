"""The guide's call at the end of a training script, in a job's folders."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from recognition.card_sets.card_set import read_card_set
from registry.contract import Contract
from registry.registration.request import RegistrationRequest
from training.artifacts.inspection import InspectionError
from training.artifacts.registration_request import RequestError, register_student_model
from training.environment import JobEnvironment

PARENT = "arn:aws:sagemaker:us-east-2:000000000000:model-package/group/1"
#: What the guide's block shows.
SHOWN = {
    "architecture": "efficientnet_lite0",
    "stage": "stage1",
    "best_similarity": 0.9234,
    "teacher_model": "dinov3_vitl16",
}
#: What it leaves out: "full metadata".
FULL = {
    **SHOWN,
    "embedding_dim": 768,
    "num_classes": 17592,
    "hailo_compatible": True,
    "normalization": "BatchNorm",
    "training_approach": "embedding 1",
    "top1": 0.9,
    "queries": 920,
    "my_own_figure": 3,
    "card_set_digest": "0f3a",
    "parent_model_package_arn": PARENT,
}


@pytest.fixture
def job(tmp_path: Path) -> JobEnvironment:
    (tmp_path / "model").mkdir()
    save_file({"head.weight": torch.zeros(768, 10)}, tmp_path / "model/final.safetensors")
    return JobEnvironment(
        model_dir=tmp_path / "model",
        output_data_dir=tmp_path / "output/data",
        checkpoint_dir=tmp_path / "checkpoints",
        failure_file=tmp_path / "output/failure",
        channels={},
        job_name="job",
    )


def asked(job: JobEnvironment, **changes: Any) -> dict[str, Any]:
    metadata = {**FULL, **changes}
    given = {key: value for key, value in metadata.items() if value is not None}
    path = register_student_model(job.model_dir / "final.safetensors", given, job)
    assert path == job.output_data_dir / "registration.json"
    return dict(json.loads(path.read_text()))


def refused(job: JobEnvironment, *words: str, **changes: Any) -> None:
    with pytest.raises(RequestError) as error:
        asked(job, **changes)
    for word in words:
        assert word in str(error.value)
    assert not job.output_data_dir.exists(), "nothing is written"


def test_request_is_one_that_the_registry_takes(job: JobEnvironment) -> None:
    document = asked(job)
    request = RegistrationRequest.from_json(json.dumps(document).encode(), "test")
    assert (request.architecture, request.stage) == ("efficientnet-lite0", "stage1")
    assert request.parent_arn == PARENT
    assert request.metadata["Parameters"] == "7680", "counted"
    assert request.metadata["BestSimilarity"] == "0.9234"
    assert request.metadata["HailoCompatible"] == "true"
    assert request.metrics == {
        "similarity": 0.9234,
        "top1": 0.9,
        "queries": 920,
        "my_own_figure": 3,
    }
    assert request.contract == Contract()


def test_everything_that_is_missing_is_named_at_once(job: JobEnvironment) -> None:
    missing = ("EmbeddingDim", "NumClasses", "HailoCompatible", "Normalization", "Top1",
               "TrainingApproach", "card_set_digest", "parent_model_package_arn")  # fmt: skip
    changes = dict.fromkeys(FULL.keys() - SHOWN.keys())
    refused(job, *(f"{key} is missing" for key in missing), **changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"stage": "stage3"}, ["stage3"]),
        ({"best_similarity": 92.34}, ["92.34", "not a number from -1 to 1"]),
        ({"best_similarity": float("nan")}, ["best_similarity is not finite"]),
        ({"top1": 90.0}, ["top1", "per cent"]),
        ({"num_classes": 0}, ["num_classes says '0'"]),
        ({"hailo_compatible": "perhaps"}, ["true or false"]),
        ({"typo": "x"}, ["typo is not known here"]),
        ({"parameters": 4_700_000}, ["Parameters is 4700000", "7680 by the weights"]),
        ({"training_job": "x"}, ["training_job is not known here"]),
        ({"name_architecture": "Efficient Net"}, ["name_architecture"]),
        ({"architecture": "vit_large_patch16", "name_architecture": "x" * 40}, ["at most 21"]),
        ({"embedding_dim": 9000}, ["embedding_dim 9000"]),
    ],
)
def test_wrong_request_is_refused(
    job: JobEnvironment, changes: dict[str, Any], words: list[str]
) -> None:
    refused(job, *words, **changes)


def test_model_that_is_not_uploaded_is_refused(job: JobEnvironment, tmp_path: Path) -> None:
    elsewhere = tmp_path / "final.safetensors"
    elsewhere.write_bytes(b"x")
    for path in (elsewhere, job.model_dir / "missing.pth", job.model_dir):
        with pytest.raises(RequestError, match="no file below"):
            register_student_model(path, FULL, job)
    (job.model_dir / "final.safetensors").write_bytes(b"damaged")
    with pytest.raises(InspectionError):
        register_student_model(job.model_dir / "final.safetensors", FULL, job)


def test_register_takes_parent_and_card_set_from_the_job(
    job: JobEnvironment, card_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SM_HPS", json.dumps({"parent-model-package-arn": PARENT, "lr": 1}))
    monkeypatch.setenv("MLFLOW_RUN_ID", "9d5e")
    given = replace(job, channels={"cards": card_folder})
    document = asked(given, parent_model_package_arn=None, card_set_digest=None)
    assert document["parent_model_package_arn"] == PARENT
    assert document["card_set"]["digest"] == read_card_set(card_folder, Contract()).digest
    assert document["mlflow_run_id"] == "9d5e"


def test_register_with_own_files_needs_the_guides_keys_only(job: JobEnvironment) -> None:
    from training.recipe import resolve

    config = resolve("tiny", "student", "stage1", {})
    folder = job.model_dir
    (folder / "config.json").write_text(json.dumps(config.to_dict()))
    (folder / "contract.json").write_text(json.dumps(config.contract.to_dict()))
    (folder / "split.json").write_text(json.dumps({"known": ["a", "b"]}))
    (folder / "evaluation.json").write_text(json.dumps({"top1": 0.5, "queries": 24}))
    links = {"card_set_digest": "0f3a", "parent_model_package_arn": PARENT}
    rest = {"hailo_compatible": True, "normalization": "BatchNorm"}
    path = register_student_model(folder / "final.safetensors", {**SHOWN, **links, **rest}, job)
    document = json.loads(path.read_text())
    assert document["contract"]["size"] == 32
    metadata = document["metadata"]
    assert (metadata["NumClasses"], metadata["Top1"], metadata["Recipe"]) == ("2", "0.5", "tiny")
    assert "embedding 1" in metadata["TrainingApproach"]
    with pytest.raises(RequestError, match=r"Architecture is .*lite1.* and .*lite0"):
        register_student_model(
            folder / "final.safetensors",
            {**SHOWN, **links, **rest, "architecture": "efficientnet_lite1"},
            job,
        )
