"""The faults that other tests plant do what they say."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from tests.faults import Faults, Killed
from tests.running_cloud import Account, Client


@pytest.fixture
def client(account: Account) -> Client:
    return account.client


def test_throttled_request_is_repeated_by_botocore(client: Client) -> None:
    faults = Faults()
    sagemaker = faults.client(client("sagemaker"))
    faults.throttle(sagemaker, "ListModelPackageGroups", times=2)
    assert sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"] == []
    assert faults.calls["ListModelPackageGroups"] == 3


def test_refused_request_does_not_reach_the_service(client: Client) -> None:
    faults = Faults()
    sagemaker = faults.client(client("sagemaker"))
    faults.fail(sagemaker, "CreateModelPackageGroup", "ConflictException")
    with pytest.raises(ClientError, match="ConflictException"):
        sagemaker.create_model_package_group(ModelPackageGroupName="refused")
    assert sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"] == []


def test_lost_answer_is_of_a_request_that_was_carried_out(client: Client) -> None:
    faults = Faults()
    s3 = faults.client(client("s3"))
    s3.create_bucket(Bucket="lost", CreateBucketConfiguration={"LocationConstraint": "us-east-2"})
    faults.lose_answer(s3, "PutObject")
    s3.put_object(Bucket="lost", Key="k", Body=b"x")
    assert faults.calls["PutObject"] == 2
    assert s3.get_object(Bucket="lost", Key="k")["Body"].read() == b"x"


def test_kill_happens_once_and_before_the_request(client: Client) -> None:
    faults = Faults()
    s3 = faults.client(client("s3"))
    faults.die_before(s3, "DeleteBucket")
    s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": "us-east-2"})
    with pytest.raises(Killed):
        s3.delete_bucket(Bucket="kept")
    assert faults.calls["DeleteBucket"] == 0
    s3.delete_bucket(Bucket="kept")
