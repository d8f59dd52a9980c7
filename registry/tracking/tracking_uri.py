"""From an ``s3://`` address to the MLflow App or tracking server that keeps its artifacts there.

MLflow has no tracking store in S3: an address such as ``s3://bucket/mlflow`` is where artifacts
lie. People write it all the same, and what they mean can be found out: each deployment says in SSM
which bucket its MLflow uses, and which App or server that is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from registry.aws import split_s3_uri
from registry.deployment import DEFAULT_ENVIRONMENT
from registry.names import NO_MLFLOW, PARAMETER_ROOT

if TYPE_CHECKING:
    from mypy_boto3_ssm.client import SSMClient

#: Where an App or server of ours keeps artifacts, within its bucket.
ARTIFACT_PREFIX = "mlflow"
#: The address that the guide writes, for a region; it stands for the default deployment's.
GUIDE_BUCKET = "pokemon-card-training-{region}"


class TrackingUriError(LookupError):
    """An address that no MLflow is behind; names it, what there is, and the remedy."""


@dataclass(frozen=True)
class TrackingStore:
    """A deployment's MLflow.

    Attributes:
        uri: ARN of the App or tracking server, or ``none``.
        artifacts: Where its artifacts lie, for example ``s3://bucket/mlflow``.
        environment: The deployment.
        stands_for: Whether the address asked for is the guide's, and this is what it stands for.
    """

    uri: str
    artifacts: str
    environment: str
    stands_for: bool = False


def resolve(ssm: SSMClient, address: str, region: str) -> TrackingStore:
    """Finds the MLflow that an address means.

    Args:
        ssm: A boto3 SSM client.
        address: ``s3://bucket`` or ``s3://bucket/prefix``.
        region: The client's region, for the guide's own address.

    Raises:
        TrackingUriError: No deployment keeps artifacts there, or the one that does has no MLflow.
    """
    bucket, key = split_s3_uri(address)
    wanted = f"s3://{bucket}/{key.strip('/') or ARTIFACT_PREFIX}"
    stores = _stores(ssm)
    found = next((store for store in stores if store.artifacts == wanted), None)
    guide = f"s3://{GUIDE_BUCKET.format(region=region)}/{ARTIFACT_PREFIX}"
    if found is None and wanted == guide:
        meant = {store.environment: store for store in stores}
        chosen = meant.get(DEFAULT_ENVIRONMENT) or (stores[0] if len(stores) == 1 else None)
        if chosen:
            found = TrackingStore(chosen.uri, chosen.artifacts, chosen.environment, True)
    if found is None:
        there = ", ".join(store.artifacts for store in stores) or "none; cdk deploy --all makes one"
        raise TrackingUriError(
            f"{address}: no deployment keeps MLflow's artifacts there; there are: {there}"
        )
    if found.uri == NO_MLFLOW:
        raise TrackingUriError(
            f"{address}: deployment {found.environment!r} has this bucket and no MLflow; get one "
            f"with: cdk deploy --all -c cards.environment={found.environment} -c cards.mlflow=app"
        )
    return found


def _stores(ssm: SSMClient) -> list[TrackingStore]:
    """Every deployment's MLflow, in the order of their names."""
    found: dict[str, dict[str, str]] = {}
    pages = ssm.get_paginator("get_parameters_by_path").paginate(
        Path=f"{PARAMETER_ROOT}/", Recursive=True
    )
    for page in pages:
        for parameter in page["Parameters"]:
            environment, _, key = (
                parameter["Name"].removeprefix(f"{PARAMETER_ROOT}/").partition("/")
            )
            found.setdefault(environment, {})[key] = parameter["Value"]
    return [
        TrackingStore(
            values["mlflow-uri"], f"s3://{values['mlflow-bucket']}/{ARTIFACT_PREFIX}", environment
        )
        for environment, values in sorted(found.items())
        if "mlflow-bucket" in values and "mlflow-uri" in values
    ]
