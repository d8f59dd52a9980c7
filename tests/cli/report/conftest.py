"""A deployment with a live version, one that waits, and one without evidence."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from localcloud import LocalCloud
from tests.cli.report.registered import BUCKET, GROUP, LIVE, NEW, OLD, RELEASES, register
from tests.reports import examples
from tests.running_cloud import Account, Client, publish_parameters


@pytest.fixture(scope="session")
def registered_account(cloud: LocalCloud) -> Account:
    """An account with a live version, one that waits, and one without evidence."""
    made = Account.new(cloud)
    ours = made.client
    publish_parameters(
        ours, group_name=GROUP, training_bucket=BUCKET, release_bucket=RELEASES,
        stable_channel="approval",
    )  # fmt: skip
    region = {"LocationConstraint": "us-east-2"}
    for bucket in (BUCKET, RELEASES):
        ours("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration=region)
    ours("sagemaker").create_model_package_group(ModelPackageGroupName=GROUP)
    live = register(ours, LIVE, examples.evidence(examples.LIVE_OUTCOMES), Recipe="full")
    pointer = {"release": f"{LIVE}.onnx-int8-0", "package_arn": live, "name": LIVE}
    ours("s3").put_object(
        Bucket=RELEASES, Key="channels/stable.json", Body=json.dumps(pointer).encode()
    )
    register(ours, NEW, examples.evidence())
    register(ours, OLD, None)
    return made


@pytest.fixture(scope="module")
def client(registered_account: Account) -> Iterator[Client]:
    """Clients of that account; commands work in it, too, until the module ends."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in registered_account.variables.items():
            patch.setenv(name, value)
        yield registered_account.client
