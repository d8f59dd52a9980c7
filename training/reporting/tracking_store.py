"""``mlflow.set_tracking_uri("s3://bucket/mlflow")``: a tracking store that MLflow itself lacks.

An entry point of this package (group ``mlflow.tracking_store``, scheme ``s3``; see
https://mlflow.org/docs/latest/ml/plugins/). It finds the MLflow App or tracking server that keeps
its artifacts at the address, and hands over to the plug-in ``sagemaker-mlflow``, which talks to it.
"""

from __future__ import annotations

import os
import sys
from typing import Any


def open_store(store_uri: str, artifact_uri: str | None = None) -> Any:
    """Makes the store for an address in S3.

    Args:
        store_uri: For example ``s3://bucket/mlflow``.
        artifact_uri: Given by MLflow; an App or server knows its own.

    Raises:
        MlflowException: No MLflow is behind the address; with what there is and the remedy.
    """
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError
    from mlflow.exceptions import MlflowException

    from registry.tracking.tracking_uri import TrackingUriError, resolve

    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    session = boto3.Session(region_name=region)
    if not session.region_name:
        raise MlflowException(f"{store_uri}: no AWS region is set; export AWS_REGION=us-east-2")
    try:
        found = resolve(session.client("ssm"), store_uri, session.region_name)
    except (TrackingUriError, ValueError) as error:
        raise MlflowException(str(error)) from None
    except (BotoCoreError, ClientError) as error:
        raise MlflowException(
            f"{store_uri}: the deployments' SSM parameters cannot be read ({error})"
        ) from None
    if found.stands_for:
        print(
            f"mlflow: {store_uri} stands for {found.artifacts} of deployment "
            f"{found.environment!r} here",
            file=sys.stderr,
        )
    return _store(found.uri)


def _store(arn: str) -> Any:
    import mlflow
    from mlflow.store.tracking.rest_store import RestStore
    from sagemaker_mlflow.host_creds import get_host_creds

    def credentials() -> Any:
        # The plug-in's headers and signatures are for the address that MLflow has at that moment.
        if not mlflow.get_tracking_uri().startswith("arn:"):
            mlflow.set_tracking_uri(arn)
        return get_host_creds(arn)

    store: Any = RestStore
    return store(credentials)
