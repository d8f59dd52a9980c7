"""The registry against the local cloud, with faults put between botocore and its answers."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from localcloud import LocalCloud
from tests.faults import Faults
from tests.running_cloud import Client, client_of, make_cloud


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    running = make_cloud(tmp_path_factory.mktemp("cloud"))
    running.start()
    yield running
    running.stop()


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
