"""One local cloud for these tests, on a free port with a state folder of its own.

At the end its log is read: every answer that these tests were given must fit botocore's model.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from localcloud import LocalCloud
from localcloud.sagemaker.actions import UNFIT
from tests.running_cloud import Client, client_of, make_cloud, make_role


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    running = make_cloud(tmp_path_factory.mktemp("cloud"))
    running.start()
    yield running
    running.stop()
    unfit = [line for line in running.log.read_text().splitlines() if UNFIT in line]
    assert not unfit, "\n".join(unfit)


@pytest.fixture(scope="session")
def client(cloud: LocalCloud) -> Client:
    return client_of(cloud)


@pytest.fixture(scope="session")
def bucket(client: Client) -> str:
    client("s3").create_bucket(
        Bucket="work", CreateBucketConfiguration={"LocationConstraint": "us-east-2"}
    )
    return "work"


@pytest.fixture(scope="session")
def role(client: Client, bucket: str) -> str:
    """A job's role: may use the bucket's folder `allowed/` and write logs."""
    return make_role(
        client,
        "job-role",
        "sagemaker.amazonaws.com",
        [
            {
                "Effect": "Allow",
                "Action": ["s3:GetObject", "s3:PutObject"],
                "Resource": f"arn:aws:s3:::{bucket}/allowed/*",
            },
            {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{bucket}"},
            {"Effect": "Allow", "Action": "logs:*", "Resource": "*"},
        ],
    )
