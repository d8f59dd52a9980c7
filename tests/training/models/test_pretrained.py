"""Initial weights: from a checkpoint, by a token that nobody else sees, or at random."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest
import torch
from botocore.stub import Stubber
from safetensors.torch import save_file

from training.config import TrainingConfig
from training.environment import TOKEN_SECRET, JobEnvironment
from training.models.networks import build_model
from training.models.pretrained import WeightsError, begin, hub_token

Tiny = Callable[..., TrainingConfig]


def environment(weights: Path | None = None) -> JobEnvironment:
    variables = {"SM_MODEL_DIR": "/nowhere/model"}
    if weights:
        variables["SM_CHANNEL_WEIGHTS"] = str(weights)
    return JobEnvironment.read(variables)


def checkpoint(config: TrainingConfig, seed: int) -> dict[str, torch.Tensor]:
    """The backbone of another model of the same shape, as timm saves one."""
    from dataclasses import replace

    state = build_model(replace(config, seed=seed)).backbone.state_dict()
    return {name: value.contiguous() for name, value in state.items()}


@pytest.mark.parametrize("stage", ["phase2", "stage1"])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_checkpoint_in_the_channel_is_where_the_backbone_begins(
    tiny: Tiny, tmp_path: Path, stage: str, suffix: str
) -> None:
    config = tiny(stage)
    state = checkpoint(config, seed=99)
    file = tmp_path / f"backbone{suffix}"
    if suffix == ".pth":
        torch.save(state, file)
    else:
        save_file(state, file)
    model, found = begin(config, environment(tmp_path))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert found.initial_weights == f"{file.name} sha256:{digest} NOASSERTION"
    assert all(torch.equal(model.backbone.state_dict()[k], v) for k, v in state.items())
    # The head is the run's own, and without the channel so is everything.
    plain, none = begin(config, environment())
    assert none == config
    key = next(iter(plain.projection.state_dict()))
    assert torch.equal(plain.projection.state_dict()[key], model.projection.state_dict()[key])


def test_dinov3_s_own_shape_takes_its_publisher_s_names(tiny: Tiny, tmp_path: Path) -> None:
    # Meta's checkpoints name the tokens and the scale otherwise than timm does; timm translates.
    config = tiny(depth=1, layer_scale=1e-5)
    state = checkpoint(config, seed=7)
    theirs = {
        name.replace("reg_token", "storage_tokens").replace("gamma_1", "ls1.gamma")
        .replace("gamma_2", "ls2.gamma"): value
        for name, value in state.items()
    }  # fmt: skip
    assert "storage_tokens" in theirs
    torch.save(theirs, tmp_path / "dinov3.pth")
    model, _ = begin(config, environment(tmp_path))
    assert torch.equal(model.backbone.reg_token, state["reg_token"])


def test_channel_without_one_checkpoint_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"must hold one file ending in .*found none"):
        begin(tiny(), environment(tmp_path))
    for name in ("one.pth", "two.safetensors"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(WeightsError, match=r"found one\.pth, two\.safetensors"):
        begin(tiny(), environment(tmp_path))


def test_checkpoint_of_another_shape_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    save_file(checkpoint(tiny(width=96), seed=1), tmp_path / "other.safetensors")
    with pytest.raises(
        WeightsError, match=r"other\.safetensors \(timm's ViT\) does not fit.*another shape"
    ):
        begin(tiny(width=64), environment(tmp_path))


class Payload:
    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, ("harm",)


def test_checkpoint_cannot_run_code(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "weights"
    folder.mkdir()
    torch.save({"state_dict": Payload()}, folder / "weights.pth")
    with pytest.raises(WeightsError):
        begin(tiny(), environment(folder))
    assert not (tmp_path / "harm").exists()


SECRET = "cards/hub-token"


@pytest.mark.parametrize("text", ["hf_abc123", '{"token": "hf_abc123"}', " hf_abc123\n"])
def test_token_is_set_only_during_the_download_of_weights(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    client = boto3.client("secretsmanager", "us-east-2", aws_access_key_id="a",
                          aws_secret_access_key="b")  # fmt: skip
    with Stubber(client) as stub:
        stub.add_response(
            "get_secret_value",
            {"ARN": f"arn:aws:secretsmanager:us-east-2:123456789012:secret:{SECRET}-AbCdEf",
             "Name": SECRET, "SecretString": text},
            {"SecretId": SECRET},
        )  # fmt: skip
        with hub_token({TOKEN_SECRET: SECRET}, client):
            assert os.environ["HF_TOKEN"] == "hf_abc123"
        assert "HF_TOKEN" not in os.environ


@pytest.mark.parametrize("text", [" ", "{}", "two words", '{"key": "x"}'])
def test_secret_without_a_token_is_refused_and_never_quoted(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    client = boto3.client("secretsmanager", "us-east-2", aws_access_key_id="a",
                          aws_secret_access_key="b")  # fmt: skip
    with Stubber(client) as stub:
        stub.add_response("get_secret_value", {"SecretString": text}, {"SecretId": SECRET})
        refused = pytest.raises(WeightsError, match="holds no token")
        with refused as refusal, hub_token({TOKEN_SECRET: SECRET}, client):
            pass
    assert text in (" ", "{}") or text not in str(refusal.value)


def test_secret_that_may_not_be_read_names_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    client = boto3.client("secretsmanager", "us-east-2", aws_access_key_id="a",
                          aws_secret_access_key="b")  # fmt: skip
    with Stubber(client) as stub:
        stub.add_client_error("get_secret_value", "AccessDeniedException")
        refused = pytest.raises(WeightsError, match=r"GetSecretValue on it .setting hub_token_sec")
        with refused, hub_token({TOKEN_SECRET: SECRET}, client):
            pass


def test_mistake_16_token_is_in_no_job_request(tiny: Tiny) -> None:
    """The hub's token is read from Secrets Manager, and is no variable or hyper-parameter."""
    from registry.deployment import DeployedNames
    from training.submission import submit

    deployment = DeployedNames(
        "dev", "group", "training", "mlflow", "none", "releases",
        "arn:aws:iam::123456789012:role/training", "arn:aws:iam::123456789012:role/compile",
        "arn:aws:kms:us-east-2:123456789012:key/1", "onnx-int8", SECRET,
    )  # fmt: skip
    made = submit.plan(
        deployment, region="us-east-2", kind="teacher", cards_uri="s3://training/cards/1/",
        recipe="full",
    )  # fmt: skip
    request = json.dumps(submit.request(made), default=str)
    assert made.environment[TOKEN_SECRET] == SECRET
    assert "HF_TOKEN" not in request and "hf_" not in request
    # A recipe that fetches nothing is told of no secret.
    small = submit.plan(
        deployment, region="us-east-2", kind="teacher", cards_uri="s3://training/cards/1/",
        recipe="demo",
    )  # fmt: skip
    assert TOKEN_SECRET not in small.environment


@pytest.mark.processes
def test_whole_job_takes_the_channel(card_folder: Path, tiny: Tiny, tmp_path: Path) -> None:
    import sys

    weights = tmp_path / "weights"
    weights.mkdir()
    save_file(checkpoint(tiny(), seed=5), weights / "backbone.safetensors")
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, str(root / "training/jobs/train_teacher.py"), "--recipe", "tiny"],
        env={
            "PATH": os.environ["PATH"], "PYTHONPATH": str(root),
            "SM_MODEL_DIR": str(tmp_path / "model"),
            "SM_OUTPUT_DATA_DIR": str(tmp_path / "output/data"),
            "SM_OUTPUT_DIR": str(tmp_path / "output"),
            "SM_CHANNEL_CARDS": str(card_folder), "SM_CHANNEL_WEIGHTS": str(weights),
        },
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    request = json.loads((tmp_path / "output/data/registration.json").read_text())
    digest = hashlib.sha256((weights / "backbone.safetensors").read_bytes()).hexdigest()
    origin = f"backbone.safetensors (NOASSERTION, {digest[:12]})"
    assert request["metadata"]["TrainingApproach"].startswith(f"from {origin}")
    assert request["weights"] == [
        {"name": "backbone.safetensors", "sha256": digest, "licence": "NOASSERTION"}
    ]
    written = json.loads((tmp_path / "model/config.json").read_text())
    assert written["initial_weights"] == f"backbone.safetensors sha256:{digest} NOASSERTION"
