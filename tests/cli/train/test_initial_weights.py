"""``cards train … --weights`` looks at the weights before anything is submitted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save, save_file

from tests.cli.command import Done, cards, refused
from tests.cli.conftest import TRAINING_BUCKET, Stack
from training.models.networks import build_model
from training.recipe import resolve


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    model = build_model(resolve("tiny", "teacher", "phase2", {})).backbone
    return {key: value.contiguous() for key, value in model.state_dict().items()}


def put(aws: Stack, key: str, body: bytes) -> str:
    aws.client("s3").put_object(Bucket=TRAINING_BUCKET, Key=key, Body=body)
    return f"s3://{TRAINING_BUCKET}/{key}"


def train(aws: Stack, weights: Any, *options: str, kind: str = "teacher") -> Done:
    put(aws, "cards/some/a/front.png", b"x")
    uri = f"s3://{TRAINING_BUCKET}/cards/some"
    return cards("train", kind, "--cards", uri, "--recipe", "tiny", "--weights", str(weights),
                 "--dry-run", *options)  # fmt: skip


def channel(done: Done) -> str:
    assert done.code == 0, done.err
    channels = done.json["request"]["InputDataConfig"]
    found = next(each for each in channels if each["ChannelName"] == "weights")
    return str(found["DataSource"]["S3DataSource"]["S3Uri"])


def test_local_file_is_named_with_its_layout(
    aws: Stack, tmp_path: Path, state: dict[str, torch.Tensor]
) -> None:
    torch.save({"state_dict": state}, tmp_path / "mine.pth")
    done = train(aws, tmp_path / "mine.pth")
    assert "mine.pth: timm's ViT, fits vit_small_patch16_dinov3" in done.err
    uri = channel(done)
    assert uri.startswith(f"s3://{TRAINING_BUCKET}/weights/") and uri.endswith("/mine.pth")
    listed = aws.client("s3").list_objects_v2(
        Bucket=TRAINING_BUCKET, Prefix=uri.removeprefix(f"s3://{TRAINING_BUCKET}/")
    )
    assert listed["KeyCount"] == 0  # a dry run uploads nothing


def test_local_file_is_uploaded_once(
    aws: Stack, tmp_path: Path, state: dict[str, torch.Tensor]
) -> None:
    from cli.train.initial_weights import weights_uri

    file = tmp_path / "model.safetensors"
    save_file(state, file)
    config = resolve("tiny", "teacher", "phase2", {})
    s3 = aws.client("s3")
    uri = weights_uri(s3, TRAINING_BUCKET, str(file), config, dry_run=False)
    key = uri.removeprefix(f"s3://{TRAINING_BUCKET}/")
    first = s3.get_object(Bucket=TRAINING_BUCKET, Key=key)
    assert first["Body"].read() == file.read_bytes()
    assert weights_uri(s3, TRAINING_BUCKET, str(file), config, dry_run=False) == uri
    assert s3.head_object(Bucket=TRAINING_BUCKET, Key=key)["LastModified"] == first["LastModified"]


BROKEN = {
    b"": "is empty",
    b"<!doctype html>": "web page",
    b"version https://git-lfs.github.com/spec/v1\n": "Git-LFS pointer",
    b"nothing": "is text ('nothing')",
}


@pytest.mark.parametrize("content", BROKEN)
@pytest.mark.parametrize("place", ["file", "s3"])
def test_file_that_is_no_checkpoint_is_refused_before_submission(
    aws: Stack, tmp_path: Path, content: bytes, place: str
) -> None:
    file = tmp_path / "dinov3.pth"
    file.write_bytes(content)
    given = str(file) if place == "file" else put(aws, f"weights/{len(content)}/d.pth", content)
    refused(train(aws, given), "--weights", BROKEN[content])


@pytest.mark.parametrize("place", ["file", "s3"])
def test_weights_of_another_network_are_refused(
    aws: Stack, tmp_path: Path, place: str, state: dict[str, torch.Tensor]
) -> None:
    given = {key: value for key, value in state.items() if not key.startswith("blocks.0.mlp")}
    file = tmp_path / "other.safetensors"
    save_file(given, file)
    uri = str(file) if place == "file" else put(aws, "weights/o/o.safetensors", save(given))
    refused(train(aws, uri), "timm's ViT", "does not fit the backbone", "tensors are missing")


def test_safetensors_in_s3_are_named_by_their_header(
    aws: Stack, state: dict[str, torch.Tensor]
) -> None:
    uri = put(aws, "weights/good/model.safetensors", save(state))
    done = train(aws, uri)
    assert channel(done) == uri
    assert "model.safetensors: timm's ViT, fits" in done.err


def test_safetensors_in_s3_that_are_cut_short_are_refused(
    aws: Stack, state: dict[str, torch.Tensor]
) -> None:
    uri = put(aws, "weights/cut/model.safetensors", save(state)[:-10])
    refused(train(aws, uri), "cut short")


def test_prefix_without_one_checkpoint_is_refused(aws: Stack) -> None:
    uri = f"s3://{TRAINING_BUCKET}/weights/none/"
    refused(train(aws, uri), uri, "found none")


def test_file_that_is_not_there_is_refused(aws: Stack, tmp_path: Path) -> None:
    refused(train(aws, tmp_path / "no.pth"), "no.pth", "is no file")
