"""One deployed environment: its names, as the stacks wrote them to SSM, and its clients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from registry.clock import utc_now
from registry.names import (
    BY_APPROVAL,
    KEEP_ALL,
    LATER_PARAMETERS,
    NO_KEYS,
    NO_NETWORK,
    NO_REPORTS,
    NO_REPOSITORY,
    NO_TOKEN,
    PARAMETER_ROOT,
    PARAMETERS,
    STATEMENT_DAYS,
)

if TYPE_CHECKING:
    from mypy_boto3_kms.client import KMSClient
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_sagemaker.client import SageMakerClient
    from mypy_boto3_ssm.client import SSMClient

DEFAULT_ENVIRONMENT = "dev"

#: Returns the boto3 client of a service, for example ``boto3.client`` or a session's.
ClientFactory = Callable[[str], Any]


class DeploymentError(RuntimeError):
    """Nothing, or not everything, is deployed; names what is missing and the remedy."""


@dataclass(frozen=True)
class Deployment:
    """A deployment as the registry works with it: clients, names, settings and clock.

    A client is made when it is first used, so that a function pays for the services it calls.

    Attributes:
        client: Makes the boto3 client of a service.
        group_name: The model package group.
        training_bucket: Card sets, jobs' outputs and the claimed names.
        release_bucket: Releases and channels.
        signing_key_arn: The asymmetric KMS key (ECC P-256) that signs manifests; empty for a
            caller that publishes nothing.
        stable_channel: What moves the stable channel: ``approval`` or ``promotion``.
        keep_releases: How many of the newest releases are kept besides those in use; None for all.
        environment: For example ``dev`` or ``prod``.
        statement_days: How many days a channel statement is valid.
        signing_key_arns: Every key that releases may be signed by, oldest first.
        four_eyes: Whether a version that its submitter approved is not released.
        publisher_role_arn: Role of the function that publishes, which alone updates versions
            beside people; empty for a caller that observes and updates none.
        rollout_failures: The share of failed self-tests beyond which a roll-out is halted, 0 to 1;
            None where devices report nothing.
        now: The clock.
    """

    client: ClientFactory
    group_name: str
    training_bucket: str
    release_bucket: str
    signing_key_arn: str = ""
    stable_channel: str = BY_APPROVAL
    keep_releases: int | None = None
    environment: str = DEFAULT_ENVIRONMENT
    statement_days: int = STATEMENT_DAYS
    signing_key_arns: tuple[str, ...] = ()
    four_eyes: bool = False
    publisher_role_arn: str = ""
    rollout_failures: float | None = None
    now: Callable[[], datetime] = utc_now

    @property
    def identity(self) -> str:
        """``<environment>/<account>/<region>``, which channel statements name; account and region
        are the signing key's.

        Raises:
            DeploymentError: The signing key is not known.
        """
        parts = self.signing_key_arn.split(":")
        if len(parts) < 6:
            raise DeploymentError(
                f"environment {self.environment!r}: the signing key {self.signing_key_arn!r} is no "
                "ARN of a key; deploy again"
            )
        return f"{self.environment}/{parts[4]}/{parts[3]}"

    @cached_property
    def sagemaker(self) -> SageMakerClient:
        """The boto3 SageMaker client."""
        client: SageMakerClient = self.client("sagemaker")
        return client

    @cached_property
    def s3(self) -> S3Client:
        """The boto3 S3 client."""
        client: S3Client = self.client("s3")
        return client

    @cached_property
    def kms(self) -> KMSClient:
        """The boto3 KMS client."""
        client: KMSClient = self.client("kms")
        return client


@dataclass(frozen=True)
class DeployedNames:
    """Names and ARNs of one deployed environment, as the stacks wrote them to SSM.

    Attributes:
        environment: For example ``dev`` or ``prod``.
        mlflow_uri: ARN of the MLflow App or tracking server, or ``none``.
        compiler: Name of a compiler, see :data:`registry.compilers.COMPILERS`.
        hub_token_secret: Name or ARN of the secret that training jobs fetch published weights
            with, or ``none``.
        compiler_repository: Address of the repository for the image of Hailo's compiler, or
            ``none``.
        stable_channel: What moves the stable channel: ``approval`` or ``promotion``.
        keep_releases: How many of the newest releases are kept besides those in use, or ``all``.
        four_eyes: ``true`` where a version that its submitter approved is not released.
        publisher_role_arn: Role of the function that publishes.
        register_function: Names of the automation's functions; empty where an earlier state is
            deployed.
        notice_topic_arn: The SNS topic of the notices.
        signing_key_arns: Every signing key that is deployed, oldest first, joined by commas, or
            ``none`` where an earlier state is deployed.
        rollout_failures: The share of failed self-tests beyond which a roll-out is halted, or
            ``none`` where devices report nothing.
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
    four_eyes: str = "false"
    publisher_role_arn: str = ""
    register_function: str = ""
    compile_function: str = ""
    publish_function: str = ""
    reconciler_function: str = ""
    notice_topic_arn: str = ""
    signing_key_arns: str = NO_KEYS
    rollout_failures: str = NO_REPORTS
    job_subnets: str = NO_NETWORK
    job_security_group: str = NO_NETWORK

    @property
    def signing_keys(self) -> tuple[str, ...]:
        """The ARN of every signing key that is deployed, oldest first."""
        if self.signing_key_arns == NO_KEYS:
            return (self.signing_key_arn,)
        return tuple(self.signing_key_arns.split(","))

    def deployment(self, client: ClientFactory) -> Deployment:
        """The deployment with these names.

        Args:
            client: Makes the boto3 client of a service.
        """
        return Deployment(
            client,
            self.group_name,
            self.training_bucket,
            self.release_bucket,
            self.signing_key_arn,
            self.stable_channel,
            kept_count(self.keep_releases),
            self.environment,
            signing_key_arns=self.signing_keys,
            four_eyes=self.four_eyes == "true",
            publisher_role_arn=self.publisher_role_arn,
            rollout_failures=accepted_failures(self.rollout_failures),
        )

    @classmethod
    def read(cls, ssm: SSMClient, environment: str = DEFAULT_ENVIRONMENT) -> DeployedNames:
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


def accepted_failures(text: str) -> float | None:
    """The share of failed self-tests that is accepted, by the parameter or variable that says it;
    None where devices report nothing.

    Raises:
        DeploymentError: It is neither a number from 0 to 1 nor ``none``.
    """
    if text == NO_REPORTS:
        return None
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise DeploymentError(
            f"rollout-failures {text!r}: must be a number from 0 to 1 or {NO_REPORTS!r}; deploy "
            "again with -c cards.rollout_failures=…"
        )
    return share


def kept_count(text: str) -> int | None:
    """The number of releases to keep by the parameter or variable that says it; None for all.

    Raises:
        DeploymentError: It is neither a whole number nor ``all``.
    """
    if text == KEEP_ALL:
        return None
    if not (text.isascii() and text.isdigit()):
        raise DeploymentError(
            f"keep-releases {text!r}: must be a whole number or {KEEP_ALL!r}; deploy again with "
            "-c cards.keep_releases=…"
        )
    return int(text)
