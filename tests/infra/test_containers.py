from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from infra.constructs.jobs.containers import (
    TRAINING_CPU_TAG,
    containers_account,
    training_cpu_image,
)


def sdk_table() -> dict[str, Any]:
    """The SageMaker SDK's own list of PyTorch training images, newest version with our tag."""
    found = importlib.util.find_spec("sagemaker")
    if not found or not found.submodule_search_locations:
        pytest.skip("the sagemaker SDK is not installed")
    file = Path(found.submodule_search_locations[0]) / "image_uri_config" / "pytorch.json"
    versions = json.loads(file.read_text())["training"]["versions"]
    return versions[TRAINING_CPU_TAG.partition("-")[0]]


def test_accounts_of_the_containers_are_those_of_the_sdk() -> None:
    registries = sdk_table()["registries"]
    assert len(registries) > 30
    assert {region: containers_account(region) for region in registries} == registries


def test_version_is_one_that_the_sdk_knows() -> None:
    assert "py312" in sdk_table()["py_versions"] and "py312" in TRAINING_CPU_TAG


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("us-east-2", "763104351884.dkr.ecr.us-east-2.amazonaws.com"),
        ("eu-south-1", "692866216735.dkr.ecr.eu-south-1.amazonaws.com"),
        ("cn-north-1", "727897471807.dkr.ecr.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_image_lies_in_the_region(deployment: Any, region: str, host: str) -> None:
    assert training_cpu_image(region) == f"{host}/pytorch-training:{TRAINING_CPU_TAG}"
