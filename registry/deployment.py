"""What a deployment provisioned, found by its SSM parameters and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from registry.automation.observation import Places
from registry.names import (
    KEEP_ALL,
    LATER_PARAMETERS,
    NO_NETWORK,
    NO_REPOSITORY,
    NO_TOKEN,
    PARAMETER_ROOT,
    PARAMETERS,
)
from registry.releases.channels import BY_APPROVAL

DEFAULT_ENVIRONMENT = "dev"


class DeploymentError(RuntimeError):
    """Nothing, or not everything, is deployed; names what is missing and the remedy."""


@dataclass(frozen=True)
class Deployment:
    """Names and ARNs of one deployed environment, as the stacks wrote them to SSM.

    Attributes:
        environment: For example ``dev`` or ``prod``.
        mlflow_uri: ARN of the MLflow App or tracking server, or ``none``.
        compiler: ``hailo`` or ``onnx-int8``.
        hub_token_secret: Name or ARN of the secret that training jobs fetch published weights
            with, or ``none``.
        compiler_repository: Address of the repository for the image of Hailo's compiler, or
            ``none``.
        stable_channel: What moves the stable channel: ``approval`` or ``promotion``.
        keep_releases: How many of the newest releases are kept beside what channels need, or
            ``all``.
        register_function: Names of the automation's functions; empty where an earlier state is
            deployed.
        notice_topic_arn: Where people are told.
        job_subnets: Ids of the subnets that jobs run in, joined by commas, or ``none``.
        job_security_group: Id of their security group, or ``none``.
    """

    environment: str
    group_name: str
    training_bucket: str
    mlflow_bucket: str
    mlflow_uri: str
    release_bucket: str
    training_role_arn: str
    compile_role_arn: str
    signing_key_arn: str
    compiler: str
    hub_token_secret: str = NO_TOKEN
    compiler_repository: str = NO_REPOSITORY
    stable_channel: str = BY_APPROVAL
    keep_releases: str = KEEP_ALL
    register_function: str = ""
    compile_function: str = ""
    publish_function: str = ""
    reconciler_function: str = ""
    notice_topic_arn: str = ""
    job_subnets: str = NO_NETWORK
    job_security_group: str = NO_NETWORK

    def places(self, sagemaker: Any, s3: Any) -> Places:
        """What looking at versions needs, of this deployment.

        Args:
            sagemaker: A boto3 SageMaker client.
            s3: A boto3 S3 client.
        """
        return Places(
            sagemaker,
            s3,
            self.group_name,
            self.training_bucket,
            self.release_bucket,
            self.stable_channel,
            None if self.keep_releases == KEEP_ALL else int(self.keep_releases),
        )

    @classmethod
    def read(cls, ssm: Any, environment: str = DEFAULT_ENVIRONMENT) -> Deployment:
        """Reads ``/cards/<environment>/*``.

        Args:
            ssm: A boto3 SSM client.
            environment: Which deployment.

        Raises:
            DeploymentError: A parameter is missing.
        """
        path = f"{PARAMETER_ROOT}/{environment}/"
        found: dict[str, str] = {}
        for page in ssm.get_paginator("get_parameters_by_path").paginate(Path=path):
            for parameter in page["Parameters"]:
                found[parameter["Name"].removeprefix(path)] = parameter["Value"]
        missing = [key for key in PARAMETERS if key not in found and key not in LATER_PARAMETERS]
        if missing:
            raise DeploymentError(
                f"environment {environment!r}: SSM parameters {', '.join(missing)} are not under "
                f"{path}; deploy it with: cdk deploy --all -c cards.environment={environment}"
            )
        values = {key.replace("-", "_"): value for key, value in found.items()}
        known = {field.name for field in fields(cls)}
        return cls(environment=environment, **{k: v for k, v in values.items() if k in known})
