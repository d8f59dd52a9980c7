"""The registry against the local cloud, with faults put between botocore and its answers."""

from __future__ import annotations

import os
import uuid
from typing import Any

import pytest

from localcloud import LocalCloud
from tests.faults import Faults
from tests.registry.automation.automation_world import TALLY
from tests.running_cloud import Client, client_of


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What ``make chaos`` shows: how often the automation was disturbed, and what that did."""
    if not os.environ.get("CARDS_CHAOS"):
        return
    terminalreporter.write_line(f"{'DISTURBANCE':40}{'REQUESTS':>10}{'LOST':>8}{'TWICE':>8}")
    for name, (count, lost, twice) in TALLY.items():
        terminalreporter.write_line(f"{name:40}{count:>10}{lost:>8}{twice:>8}")


@pytest.fixture
def client(cloud: LocalCloud) -> Client:
    """Clients of the test's own: a fault that it plants reaches nobody else."""
    return client_of(cloud)


@pytest.fixture
def group(client: Client) -> str:
    """An empty model package group."""
    name = f"models-{uuid.uuid4().hex[:12]}"
    client("sagemaker").create_model_package_group(ModelPackageGroupName=name)
    return name


@pytest.fixture
def bucket(client: Client) -> str:
    """An empty bucket."""
    name = f"training-{uuid.uuid4().hex[:12]}"
    client("s3").create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": "us-east-2"}
    )
    return name


@pytest.fixture
def faults() -> Faults:
    return Faults()
