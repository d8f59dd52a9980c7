"""The automation: four functions behind rules and a schedule. Deleting this stack loses nothing."""

from __future__ import annotations

from functools import partial

import aws_cdk as cdk
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.access_stack import AccessStack
from infra.constructs.access import automation_grants as grants
from infra.constructs.functions import sagemaker_events as patterns
from infra.constructs.functions.event_driven_function import EventDrivenFunction
from infra.constructs.functions.function_environment import FunctionEnvironment
from infra.constructs.jobs.job_code import JobCode
from infra.constructs.monitoring.alarms import Alarms
from infra.constructs.monitoring.compiler_notice import announce_compiler
from infra.constructs.monitoring.cost_budget import CostBudget
from infra.constructs.monitoring.dashboard import AutomationDashboard
from infra.constructs.monitoring.notice_key import NoticeKey
from infra.constructs.monitoring.notice_topic import NoticeTopic
from infra.constructs.published_value import publish_value
from infra.constructs.source_asset import source_asset
from infra.network_stack import NetworkStack
from infra.registry_stack import RegistryStack
from infra.settings import KMS, Settings


class AutomationStack(cdk.Stack):
    """Register what was trained, compile what was approved, publish what was compiled; and on
    a schedule repair what no event reported."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        registry: RegistryStack,
        access: AccessStack,
        network: NetworkStack | None = None,
        env: cdk.Environment,
    ) -> None:
        super().__init__(
            scope, construct_id, env=env, description="Card recognition: rules and functions"
        )
        announce_compiler(self, settings)
        job_code = JobCode(self, "JobCode", reader=access.compile_role)
        variables = FunctionEnvironment(
            settings=settings, registry=registry, access=access, network=network
        )
        function = partial(
            EventDrivenFunction,
            self,
            code=lambda_.Code.from_asset(**source_asset("registry", "lambdas")),
            log_retention_days=settings.log_retention_days,
        )
        topic = NoticeTopic(
            self,
            "Notices",
            email=settings.notify_email,
            key=NoticeKey(self, "NoticeKey") if settings.encryption == KMS else None,
        )
        register = function(
            "RegisterModel",
            handler="lambdas.register_model.handler",
            description="A training job has ended: its model becomes a version of the group",
            pattern=patterns.ended_training_jobs(registry.training_bucket.bucket_name),
            environment=variables.register(topic.topic_arn),
            statements=grants.register_statements(registry, topic.topic_arn),
            # Reads the whole archive for its digest: a large teacher's has some gigabytes.
            timeout=cdk.Duration.minutes(15),
            memory_mib=1769,
        )
        publish = function(
            "PublishRelease",
            handler="lambdas.publish_release.handler",
            description="A compile job has ended: its release is published",
            pattern=patterns.ended_compile_jobs(),
            environment=variables.publish(topic.topic_arn),
            statements=grants.publish_statements(
                registry,
                topic.topic_arn,
                deletes_old_releases=settings.keep_releases is not None,
                reads_reports=settings.devices,
            ),
            # Copies the compiled files and hashes them.
            timeout=cdk.Duration.minutes(10),
            memory_mib=1024,
        )
        assert publish.function.role
        publisher_role_arn = publish.function.role.role_arn
        publish.function.add_environment("PUBLISHER_ROLE_ARN", publisher_role_arn)
        compile_ = function(
            "CompileApproved",
            handler="lambdas.compile_approved.handler",
            description="A version has changed: its compilation starts or stops",
            pattern=patterns.changed_packages(registry.group.group_name),
            environment=variables.compile(
                job_code.uri, publish.function.function_name, publisher_role_arn
            ),
            statements=grants.compile_statements(
                registry, access.compile_role, publish.function.function_arn
            ),
            # Copies the archive, and hashes one whose digest is not recorded.
            timeout=cdk.Duration.minutes(10),
        )
        # At a job's end one function publishes or records, and the other tries again.
        compile_.handle_events_of(publish.rule)
        reconcile = function(
            "Reconcile",
            handler="lambdas.reconcile.handler",
            description="On a schedule: what no event reported is found and repaired",
            every=cdk.Duration.minutes(settings.reconcile_minutes),
            environment=variables.reconcile(
                register.function.function_name,
                compile_.function.function_name,
                publish.function.function_name,
                publisher_role_arn,
            ),
            statements=grants.reconcile_statements(
                registry,
                [each.function.function_arn for each in (register, compile_, publish)],
                reads_reports=settings.devices,
            ),
            timeout=cdk.Duration.minutes(15),
        )
        functions = (register, compile_, publish, reconcile)
        Alarms(self, "Alarms", settings=settings, topic=topic, functions=functions)
        AutomationDashboard(self, "Dashboard", settings=settings, functions=functions)
        publish_value(
            self,
            settings.environment,
            "compiler",
            settings.compiler_kind.name,
            "What compiles models",
        )
        if settings.monthly_budget_usd:
            CostBudget(
                self,
                "Budget",
                environment=settings.environment,
                monthly_usd=settings.monthly_budget_usd,
                topic=topic,
            )
        for key, value, description in (
            ("stable-channel", settings.stable_channel, "What moves the stable channel"),
            ("keep-releases", settings.kept_releases, "How many of the newest releases stay"),
            (
                "four-eyes",
                "true" if settings.four_eyes else "false",
                "Whether a submitter's own approval does not count",
            ),
            (
                "rollout-failures",
                settings.accepted_failures,
                "The share of failed self-tests beyond which a roll-out is halted",
            ),
            ("publisher-role-arn", publisher_role_arn, "Role of the function that publishes"),
            ("notice-topic-arn", topic.topic_arn, "Topic of notices to people"),
            ("register-function", register.function.function_name, "Registers what was trained"),
            ("compile-function", compile_.function.function_name, "Compiles what was approved"),
            ("publish-function", publish.function.function_name, "Publishes what was compiled"),
            ("reconciler-function", reconcile.function.function_name, "Finds what was lost"),
        ):
            publish_value(self, settings.environment, key, value, description)
        for each in functions:
            cdk.CfnOutput(self, f"{each.node.id}Function", value=each.function.function_name)
