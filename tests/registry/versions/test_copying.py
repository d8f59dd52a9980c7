"""Copying a version to another account: all that it needs, once, waiting for approval there."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import replace
from typing import Any

import boto3
import pytest

from localcloud import LocalCloud
from registry.deployment import Deployment
from registry.names import parse_name
from registry.versions.copying import CopyError, copy_version
from registry.versions.metadata import PROMOTED_FROM
from registry.versions.packages import NewPackage, Package, create, describe
from tests.faults import Faults
from tests.registry.registration.training_jobs import request

NAME = "student-efficientnet-lite0-stage2-v3"
PRODUCTION = "222222222222"


def deployment_in(cloud: LocalCloud, account: str) -> Deployment:
    """A deployment in an account of its own."""
    key = cloud.env()["AWS_ACCESS_KEY_ID"] if account == "000000000000" else account
    session = boto3.Session(key, cloud.env()["AWS_SECRET_ACCESS_KEY"], region_name="us-east-2")
    sagemaker, s3 = (
        session.client(name, endpoint_url=cloud.endpoint) for name in ("sagemaker", "s3")
    )
    name = uuid.uuid4().hex[:8]
    sagemaker.create_model_package_group(ModelPackageGroupName=f"models-{name}")
    s3.create_bucket(
        Bucket=f"training-{name}", CreateBucketConfiguration={"LocationConstraint": "us-east-2"}
    )
    clients = {"sagemaker": sagemaker, "s3": s3}
    return Deployment(clients.__getitem__, f"models-{name}", f"training-{name}", f"releases-{name}")


@pytest.fixture
def development(cloud: LocalCloud) -> Deployment:
    return deployment_in(cloud, "000000000000")


@pytest.fixture
def production(cloud: LocalCloud) -> Deployment:
    return deployment_in(cloud, PRODUCTION)


@pytest.fixture
def approved(development: Deployment) -> Package:
    put = development.s3.put_object
    put(Bucket=development.training_bucket, Key="jobs/a/output/model.tar.gz", Body=b"weights")
    for key in ("a/front.png", "b/front.png", ".complete.json"):
        put(Bucket=development.training_bucket, Key=f"cards/0a1b/{key}", Body=key.encode())
    put(Bucket=development.training_bucket, Key="model-quality/x.json", Body=b"{}")
    arn = create(
        development.sagemaker,
        development.group_name,
        NewPackage(
            name=parse_name(NAME),
            approval="Approved",
            summary="top-1 0.9",
            model_data_url=f"s3://{development.training_bucket}/jobs/a/output/model.tar.gz",
            image="image",
            metadata={
                **request(model_type="student")["metadata"],
                "Stage": "stage2",
                "Top1": "0.9",
                "CardSetUri": f"s3://{development.training_bucket}/cards/0a1b/",
                "ParentModel": "student-efficientnet-lite0-stage1-v1",
                "ParentModelPackageArn": "arn:aws:sagemaker:x:1:model-package/g/1",
                "Release": "r",
            },
            generated_by="arn:aws:sagemaker:us-east-2:000000000000:training-job/a",
            quality_uri=f"s3://{development.training_bucket}/model-quality/x.json",
        ),
    )
    found = describe(development.sagemaker, arn)
    assert found
    return found


def stored(of: Deployment) -> dict[str, bytes]:
    rows = of.s3.list_objects_v2(Bucket=of.training_bucket).get("Contents", [])
    return {
        row["Key"]: of.s3.get_object(Bucket=of.training_bucket, Key=row["Key"])["Body"].read()
        for row in rows
    }


def test_copied_version_has_what_compilation_needs_and_waits_for_approval(
    development: Deployment, production: Deployment, approved: Package
) -> None:
    arn = copy_version(development, production, approved)
    assert f":{PRODUCTION}:" in arn
    there = describe(production.sagemaker, arn)
    assert there and there.name == approved.name and there.approval == "PendingManualApproval"
    assert there.metadata[PROMOTED_FROM] == approved.arn
    assert there.metadata["ParentModel"] == approved.metadata["ParentModel"]
    assert not {"Release", "ParentModelPackageArn"} & set(there.metadata)
    files = stored(production)
    assert (
        files[there.model_data_url.removeprefix(f"s3://{production.training_bucket}/")]
        == b"weights"
    )
    assert there.metadata["CardSetUri"] == f"s3://{production.training_bucket}/cards/0a1b/"
    for key in ("a/front.png", "b/front.png", ".complete.json"):
        assert files[f"cards/0a1b/{key}"] == key.encode()
    assert there.quality_uri == f"s3://{production.training_bucket}/model-quality/{NAME}.json"


def test_repeated_copy_copies_nothing_and_makes_no_second_version(
    development: Deployment, production: Deployment, approved: Package
) -> None:
    first = copy_version(development, production, approved)
    copied: list[str] = []
    assert (
        copy_version(development, production, approved, lambda key, size: copied.append(key))
        == first
    )
    assert copied == []
    rows = production.sagemaker.list_model_packages(ModelPackageGroupName=production.group_name)
    assert len(rows["ModelPackageSummaryList"]) == 1


def test_interrupted_copy_continues_without_copying_again(
    cloud: LocalCloud, development: Deployment, production: Deployment, approved: Package
) -> None:
    faults = Faults()
    faults.fail(production.sagemaker, "CreateModelPackage", "InternalFailure", times=99, status=500)
    with pytest.raises(Exception, match="InternalFailure"):
        copy_version(development, production, approved)
    copied: list[str] = []
    secret = cloud.env()["AWS_SECRET_ACCESS_KEY"]
    session = boto3.Session(PRODUCTION, secret, region_name="us-east-2")
    endpoint = production.sagemaker.meta.endpoint_url
    well = replace(
        production, client=lambda service: session.client(service, endpoint_url=endpoint)
    )
    copy_version(development, well, approved, lambda key, size: copied.append(key))
    assert copied == []


@pytest.mark.parametrize("approval", ["PendingManualApproval", "Rejected"])
def test_unapproved_version_is_refused(
    development: Deployment, production: Deployment, approved: Package, approval: str
) -> None:
    with pytest.raises(CopyError, match="approve it here"):
        copy_version(development, production, replace(approved, approval=approval))
    assert stored(production) == {}


def test_name_of_another_version_in_target_is_refused(
    development: Deployment, production: Deployment, approved: Package
) -> None:
    production.s3.put_object(
        Bucket=production.training_bucket,
        Key="names/student-efficientnet-lite0-stage2/v3.json",
        Body=b'{"name": "x", "source": "arn:aws:sagemaker:::training-job/other"}',
    )
    with pytest.raises(CopyError, match="another version's name"):
        copy_version(development, production, approved)


def test_unreadable_claim_in_target_is_refused(
    development: Deployment, production: Deployment, approved: Package
) -> None:
    production.s3.put_object(
        Bucket=production.training_bucket,
        Key="names/student-efficientnet-lite0-stage2/v3.json",
        Body=b"not JSON",
    )
    with pytest.raises(CopyError, match="unreadable claim"):
        copy_version(development, production, approved)


@pytest.mark.parametrize("missing", ["model_data_url", "CardSetUri"])
def test_version_that_cannot_be_compiled_is_refused(
    development: Deployment, production: Deployment, approved: Package, missing: str
) -> None:
    changes: dict[str, Any] = {missing: ""}
    if missing == "CardSetUri":
        metadata = {k: v for k, v in approved.metadata.items() if k != missing}
        changes = {"metadata": metadata}
    with pytest.raises(CopyError, match="is not recorded"):
        copy_version(development, production, replace(approved, **changes))


def recorded(development: Deployment, approved: Package, body: bytes) -> Package:
    """The version as one is registered today: with the digest and S3 version of its archive."""
    digest = hashlib.sha256(body).hexdigest()
    return replace(approved, metadata={**approved.metadata, "ModelArchive": digest})


def test_copied_version_names_the_archive_of_its_own_bucket(
    development: Deployment, production: Deployment, approved: Package
) -> None:
    production.s3.put_bucket_versioning(
        Bucket=production.training_bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    source = recorded(development, approved, b"weights")
    there = describe(production.sagemaker, copy_version(development, production, source))
    assert there
    key = there.model_data_url.removeprefix(f"s3://{production.training_bucket}/")
    found = production.s3.head_object(Bucket=production.training_bucket, Key=key)
    digest = hashlib.sha256(b"weights").hexdigest()
    assert there.metadata["ModelArchive"] == f"{digest} {found['VersionId']}"


def test_copy_of_an_archive_that_was_replaced_is_refused(
    development: Deployment, production: Deployment, approved: Package
) -> None:
    source = recorded(development, approved, b"others")
    with pytest.raises(CopyError, match="and the registered archive"):
        copy_version(development, production, source)
    rows = production.sagemaker.list_model_packages(ModelPackageGroupName=production.group_name)
    assert rows["ModelPackageSummaryList"] == []
