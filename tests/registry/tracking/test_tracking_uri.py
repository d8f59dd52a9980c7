"""Which MLflow an address in S3 means."""

from __future__ import annotations

from typing import Any

import pytest

from registry.tracking.tracking_uri import TrackingUriError, resolve
from tests.running_cloud import Client

APP = "arn:aws:sagemaker:us-east-2:000000000000:mlflow-app/app-1"
OTHER = "arn:aws:sagemaker:us-east-2:000000000000:mlflow-tracking-server/prod"
GUIDE = "s3://pokemon-card-training-us-east-2/mlflow"


@pytest.fixture
def ssm(client: Client) -> Any:
    ssm = client("ssm")
    names = [
        parameter["Name"]
        for page in ssm.get_paginator("get_parameters_by_path").paginate(
            Path="/cards/", Recursive=True
        )
        for parameter in page["Parameters"]
    ]
    for name in names:
        ssm.delete_parameter(Name=name)
    return ssm


def deploy(ssm: Any, environment: str, bucket: str, uri: str) -> None:
    for key, value in (("mlflow-bucket", bucket), ("mlflow-uri", uri), ("group-name", "x")):
        ssm.put_parameter(Name=f"/cards/{environment}/{key}", Value=value, Type="String")


@pytest.mark.parametrize("address", ["s3://runs/mlflow", "s3://runs/mlflow/", "s3://runs"])
def test_address_means_the_deployment_that_keeps_its_artifacts_there(
    ssm: Any, address: str
) -> None:
    deploy(ssm, "dev", "others", APP)
    deploy(ssm, "prod", "runs", OTHER)
    found = resolve(ssm, address, "us-east-2")
    assert (found.uri, found.environment, found.stands_for) == (OTHER, "prod", False)


def test_guide_s_address_stands_for_the_default_deployment(ssm: Any) -> None:
    deploy(ssm, "a-first", "others", OTHER)
    deploy(ssm, "dev", "runs", APP)
    found = resolve(ssm, GUIDE, "us-east-2")
    assert (found.uri, found.artifacts, found.stands_for) == (APP, "s3://runs/mlflow", True)


def test_existing_bucket_with_the_guides_name_is_used(ssm: Any) -> None:
    deploy(ssm, "dev", "runs", APP)
    deploy(ssm, "prod", "pokemon-card-training-us-east-2", OTHER)
    found = resolve(ssm, GUIDE, "us-east-2")
    assert (found.uri, found.stands_for) == (OTHER, False)


def test_guide_s_address_of_another_region_is_not_this_region_s(ssm: Any) -> None:
    deploy(ssm, "dev", "runs", APP)
    with pytest.raises(TrackingUriError, match="s3://runs/mlflow"):
        resolve(ssm, GUIDE, "eu-west-1")


def test_unknown_address_names_what_there_is(ssm: Any) -> None:
    with pytest.raises(TrackingUriError, match="cdk deploy --all makes one"):
        resolve(ssm, "s3://nowhere/mlflow", "us-east-2")
    deploy(ssm, "dev", "runs", APP)
    for address in ("s3://nowhere/mlflow", "s3://runs/elsewhere"):
        with pytest.raises(TrackingUriError, match=r"there are: s3://runs/mlflow"):
            resolve(ssm, address, "us-east-2")


def test_bucket_without_a_server_says_how_to_get_one(ssm: Any) -> None:
    deploy(ssm, "prod", "runs", "none")
    with pytest.raises(TrackingUriError, match=r"cards.environment=prod -c cards.mlflow=app"):
        resolve(ssm, "s3://runs/mlflow", "us-east-2")


def test_parameters_come_in_pages(ssm: Any) -> None:
    # SSM gives ten a page.
    for number in range(8):
        deploy(ssm, f"env{number}", f"bucket{number}", APP)
    assert resolve(ssm, "s3://bucket7/mlflow", "us-east-2").environment == "env7"
