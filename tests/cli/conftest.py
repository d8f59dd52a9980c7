"""An account with the buckets, signing key and parameters that the commands read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from localcloud import LocalCloud
from tests.running_cloud import Account, publish_parameters

REGION = "us-east-2"
TRAINING_BUCKET = "training-bucket"
RELEASE_BUCKET = "release-bucket"


@dataclass(frozen=True)
class Stack:
    """An account of the shared cloud, and the key that signs its releases."""

    account: Account
    signing_key: str

    def client(self, service: str) -> Any:
        return self.account.client(service)

    @property
    def variables(self) -> dict[str, str]:
        return self.account.variables


@pytest.fixture(scope="session")
def stack(cloud: LocalCloud) -> Stack:
    """Buckets, a signing key and the parameters of environment ``dev``."""
    account = Account.new(cloud)
    s3, kms = account.client("s3"), account.client("kms")
    for bucket in (TRAINING_BUCKET, RELEASE_BUCKET):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    key = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    publish_parameters(
        account.client,
        group_name="pokemon-card-recognition-models",
        training_bucket=TRAINING_BUCKET,
        mlflow_bucket="mlflow-bucket",
        release_bucket=RELEASE_BUCKET,
        training_role_arn=f"arn:aws:iam::{account.number}:role/training",
        compile_role_arn=f"arn:aws:iam::{account.number}:role/compile",
        signing_key_arn=key,
        compiler="onnx-int8",
    )
    return Stack(account, key)


@pytest.fixture
def aws(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Stack:
    """The endpoint, with this process's environment pointing at it; no signing key is pinned."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    for name, value in stack.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CARDS_TRUST_STORE", str(tmp_path_factory.mktemp("trusted-keys")))
    return stack


@pytest.fixture(scope="session")
def card_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve drawn cards."""
    from recognition.sample_cards.drawing import draw_card_set

    folder = tmp_path_factory.mktemp("cards") / "drawn"
    draw_card_set(folder, 12, seed=3)
    return folder
