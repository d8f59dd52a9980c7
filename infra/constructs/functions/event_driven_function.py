"""A Lambda function behind EventBridge rules, with nothing lost between the two."""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.constructs.nag import accept

# Delivery (EventBridge to Lambda) and execution (Lambda's own asynchronous retry) are two
# settings of AWS; each has its own queue for what it gave up on.
DELIVERY_ATTEMPTS = 24
EXECUTION_RETRIES = 2
EVENT_AGE = cdk.Duration.hours(6)
QUEUE_RETENTION = cdk.Duration.days(14)


class EventDrivenFunction(Construct):
    """A function, its role, log group, rule and two dead-letter queues.

    Args:
        scope: The stack.
        construct_id: Leads the logical ids.
        handler: ``lambdas.<file>.handler``.
        code: The shared archive.
        description: Of function and rule.
        pattern: Which events of the default bus reach the function.
        every: In place of a pattern: how often it is called.
        environment: The function's variables.
        statements: All that its role may do besides writing its own log.
        log_retention_days: How long log lines are kept; a value that CloudWatch Logs takes.
        timeout: After this long the call has failed; two minutes unless given.
        memory_mib: Also decides the share of a CPU.

    Attributes:
        function: The function.
        rule: The rule that fires it.
        undelivered: Events that EventBridge could not deliver.
        failed: Events that the function could not handle.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        handler: str,
        code: lambda_.Code,
        description: str,
        pattern: events.EventPattern | None = None,
        every: cdk.Duration | None = None,
        environment: Mapping[str, str],
        statements: Sequence[iam.PolicyStatement],
        log_retention_days: int,
        timeout: cdk.Duration | None = None,
        memory_mib: int = 512,
    ) -> None:
        super().__init__(scope, construct_id)
        self.undelivered = self._queue("Undelivered")
        self.failed = self._queue("Failed")
        log_group = logs.LogGroup(self, "Log", removal_policy=cdk.RemovalPolicy.DESTROY)
        # The construct takes only its own enumeration, which has no member by number.
        typing.cast(
            logs.CfnLogGroup, log_group.node.default_child
        ).retention_in_days = log_retention_days
        role = iam.Role(
            self,
            "Role",
            description=description,
            # No other account's function may assume the role (the confused deputy).
            assumed_by=iam.ServicePrincipal(
                "lambda.amazonaws.com",
                conditions={"StringEquals": {"aws:SourceAccount": cdk.Stack.of(self).account}},
            ),
        )
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["logs:CreateLogStream", "logs:PutLogEvents"],
                resources=[log_group.log_group_arn],
            )
        )
        for statement in statements:
            role.add_to_policy(statement)
        self.function = lambda_.Function(
            self,
            "Function",
            runtime=lambda_.Runtime.PYTHON_3_12,
            architecture=lambda_.Architecture.ARM_64,
            handler=handler,
            code=code,
            description=description,
            environment=dict(environment),
            role=role,
            timeout=timeout or cdk.Duration.minutes(2),
            memory_size=memory_mib,
            log_group=log_group,
            logging_format=lambda_.LoggingFormat.JSON,
            # One trace from the event through the functions that hand a version to each other.
            tracing=lambda_.Tracing.ACTIVE,
            dead_letter_queue=self.failed,
            retry_attempts=EXECUTION_RETRIES,
            max_event_age=EVENT_AGE,
        )
        accept(self.function, "L1", "The version that the jobs' containers and the tests run")
        accept(self.undelivered, "SQS3", "It is a dead-letter queue: of the rule's target")
        self.rule = events.Rule(
            self,
            "Rule",
            description=description,
            event_pattern=pattern,
            schedule=events.Schedule.rate(every) if every else None,
        )
        self.handle_events_of(self.rule)

    def handle_events_of(self, rule: events.Rule) -> None:
        """Also handles the events of another function's rule."""
        rule.add_target(
            targets.LambdaFunction(
                self.function,
                dead_letter_queue=self.undelivered,
                retry_attempts=DELIVERY_ATTEMPTS,
                max_event_age=EVENT_AGE,
            )
        )

    def _queue(self, construct_id: str) -> sqs.Queue:
        return sqs.Queue(
            self,
            construct_id,
            enforce_ssl=True,
            encryption=sqs.QueueEncryption.SQS_MANAGED,
            retention_period=QUEUE_RETENTION,
        )
