"""Who may do what: roles of jobs, and policies for approvers, operators and releasers."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.constructs.access.device_access import DeviceAccess
from infra.constructs.access.operator_grants import (
    operator_statements,
    parameter_statement,
    releaser_statements,
    submitter_statement,
)
from infra.constructs.access.version_grants import deciding_statement
from infra.constructs.jobs.containers import repository_arn, training_cpu_image
from infra.constructs.jobs.hub_token import hub_token_statements
from infra.constructs.jobs.job_runtime import job_runtime
from infra.constructs.model_group import READ_PACKAGES
from infra.constructs.published_value import publish_value
from infra.constructs.service_role import SageMakerRole
from infra.constructs.storage.bucket_access import READ, WRITE, listing, objects
from infra.network_stack import NetworkStack
from infra.registry_stack import RegistryStack
from infra.settings import Settings
from registry.names import (
    APPROVED_PREFIX,
    CARDS_PREFIX,
    COMPILATIONS_PREFIX,
    JOBS_PREFIX,
    NO_NETWORK,
    NO_TOKEN,
    REPORT_PAGES_PREFIX,
    SOURCE_PREFIX,
    WEIGHTS_PREFIX,
)


class AccessStack(cdk.Stack):
    """Roles and policies. The trainer's cannot register, approve or release anything."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        registry: RegistryStack,
        network: NetworkStack | None = None,
        env: cdk.Environment,
    ) -> None:
        super().__init__(
            scope, construct_id, env=env, description="Card recognition: roles of jobs and people"
        )
        bucket = registry.training_bucket
        containers = training_cpu_image(self.region)
        self.compile_image = settings.compiler_image or settings.compile.image or containers
        joining = network.joining_statements() if network else []
        read_by_training = (CARDS_PREFIX, JOBS_PREFIX, SOURCE_PREFIX, WEIGHTS_PREFIX)
        self.training_role = SageMakerRole(
            self,
            "TrainingRole",
            description="Training jobs: read cards and earlier jobs, write their own output",
            statements=[
                objects(bucket, READ, *read_by_training),
                objects(bucket, WRITE, JOBS_PREFIX),
                listing(bucket, *read_by_training),
                *registry.mlflow.logging_statements(),
                *hub_token_statements(self, settings.hub_token_secret),
                *joining,
                *job_runtime(
                    self, kind="TrainingJobs", repositories=[repository_arn(self, containers)]
                ),
            ],
        )
        self.compile_role = SageMakerRole(
            self,
            "CompileRole",
            description="Compile jobs: read cards and an approved model, write the compilation",
            statements=[
                objects(bucket, READ, CARDS_PREFIX, APPROVED_PREFIX),
                objects(bucket, WRITE, COMPILATIONS_PREFIX),
                listing(bucket, CARDS_PREFIX, APPROVED_PREFIX, COMPILATIONS_PREFIX),
                *joining,
                *job_runtime(
                    self,
                    kind="ProcessingJobs",
                    repositories=[repository_arn(self, self.compile_image)],
                ),
            ],
        )
        publish_value(
            self,
            settings.environment,
            "hub-token-secret",
            settings.hub_token_secret or NO_TOKEN,
            "Secret with the token for published weights",
        )
        for key, value, description in (
            ("job-subnets", ",".join(network.subnets) if network else NO_NETWORK, "Jobs' subnets"),
            (
                "job-security-group",
                network.security_group if network else NO_NETWORK,
                "Jobs' security group",
            ),
        ):
            publish_value(self, settings.environment, key, value, description)
        approver = iam.ManagedPolicy(
            self,
            "Approver",
            description="Look at the models of the group, approve and reject them",
            statements=[
                parameter_statement(self),
                registry.group.packages(
                    *READ_PACKAGES,
                    "sagemaker:BatchDescribeModelPackage",
                    "sagemaker:DescribeModelPackageGroup",
                ),
                deciding_statement(registry.group),
                submitter_statement(self),
                objects(bucket, READ, REPORT_PAGES_PREFIX),
                # SageMaker has no resource level for listing groups, which the console begins
                # with, nor for searching.
                iam.PolicyStatement(
                    actions=["sagemaker:ListModelPackageGroups", "sagemaker:Search"],
                    resources=["*"],
                ),
            ],
        )
        if settings.devices:
            DeviceAccess(
                self,
                "Devices",
                environment=settings.environment,
                bucket=registry.release_bucket,
            )
        operator = iam.ManagedPolicy(
            self,
            "Operator",
            description="Look at the whole deployment, as cards doctor does",
            statements=operator_statements(self, settings, registry, self.compile_image),
        )
        releaser = iam.ManagedPolicy(
            self,
            "Releaser",
            description="Promote, roll back, compile again, send given-up events again",
            statements=releaser_statements(self, settings, registry),
        )
        builder = iam.ManagedPolicy(
            self,
            "ImageBuilder",
            description="Push the image of Hailo's compiler",
            statements=[
                parameter_statement(self),
                *registry.compiler_repository.pushing_statements(),
            ],
        )
        for key, role in (("training", self.training_role), ("compile", self.compile_role)):
            publish_value(
                self, settings.environment, f"{key}-role-arn", role.role_arn, f"Role of {key} jobs"
            )
        for name, policy in (
            ("Approver", approver),
            ("Operator", operator),
            ("Releaser", releaser),
            ("ImageBuilder", builder),
        ):
            cdk.CfnOutput(
                self,
                f"{name}PolicyArn",
                value=policy.managed_policy_arn,
                description="For people",
            )
