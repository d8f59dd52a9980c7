"""Alarms: what needs a person at once, and the topic that they notify."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from constructs import Construct

from infra.constructs.functions.event_driven_function import EventDrivenFunction
from infra.settings import Settings

#: The metrics that the functions print (``lambdas/metrics.py``).
NAMESPACE = "CardRegistry"
_FIVE_MINUTES = cdk.Duration.minutes(5)


def counted(
    settings: Settings, name: str, period: cdk.Duration = _FIVE_MINUTES
) -> cloudwatch.Metric:
    """How often the functions counted something, as a metric."""
    return cloudwatch.Metric(
        namespace=NAMESPACE,
        metric_name=name,
        dimensions_map={"Environment": settings.environment},
        statistic="Sum",
        period=period,
    )


class Alarms(Construct):
    """An alarm for each way in which the automation can stand still.

    Args:
        scope: The stack.
        construct_id: Leads the logical ids.
        settings: What this deployment chose.
        topic: Receives the alarms.
        functions: The automation's functions.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        topic: sns.ITopic,
        functions: Sequence[EventDrivenFunction],
    ) -> None:
        super().__init__(scope, construct_id)
        self._topic = topic
        for each in functions:
            name = each.node.id
            function = each.function
            self._alarm(
                f"{name}Errors",
                function.metric_errors(period=_FIVE_MINUTES),
                f"{name} fails. Its log says why; failed events wait in its queue: cards dlq list",
            )
            self._alarm(
                f"{name}Throttles",
                function.metric_throttles(period=_FIVE_MINUTES),
                f"{name} is throttled: the account's Lambda concurrency is used up",
            )
            for kind, queue in (("Undelivered", each.undelivered), ("Failed", each.failed)):
                self._alarm(
                    f"{name}{kind}",
                    queue.metric_approximate_number_of_messages_visible(
                        period=_FIVE_MINUTES, statistic="Maximum"
                    ),
                    f"Events for {name} were given up. Look and send them again: cards dlq list, "
                    "cards dlq redrive",
                )
        self._alarm(
            "GateFailed",
            counted(settings, "GateFailed"),
            "A compiled model lost too much. The version says what: cards registry show",
        )
        self._alarm(
            "RunFailed",
            counted(settings, "RunFailed"),
            "A training job made no model. Its version says why: cards registry show",
        )
        self._alarm(
            "NotCompiled",
            counted(settings, "NotCompiled"),
            "An approved model could not be compiled. The version says why: cards registry show",
        )
        self._alarm(
            "ReleaseDamaged",
            counted(settings, "ReleaseDamaged"),
            "A release in a channel is not what was signed, and was withdrawn: somebody has "
            "changed the release bucket. The notice says what: cards release list",
        )
        if settings.devices:
            self._alarm(
                "RolloutHalted",
                counted(settings, "RolloutHalted"),
                "The self-test of a release failed on too many devices, and its roll-out was "
                "halted: cards devices list",
            )
        self._alarm(
            "VersionFailed",
            counted(settings, "VersionFailed"),
            "A version or a training job could not be checked; the others were. The reconciler's "
            "log says which and why: cards trace",
        )
        self._alarm(
            "HoldUnreadable",
            counted(settings, "HoldUnreadable"),
            "A channel's hold cannot be read and counts as none: somebody else has written it. "
            "Hold the channel again: cards release promote",
        )
        # Three runs in a row that did not end: what no event reported is not repaired.
        self._alarm(
            "ReconcilerStale",
            counted(settings, "Reconciled", cdk.Duration.minutes(3 * settings.reconcile_minutes)),
            "The reconciler has not run to its end for three turns: cards reconcile --dry-run",
            below=True,
        )

    def _alarm(
        self, name: str, metric: cloudwatch.Metric, description: str, *, below: bool = False
    ) -> None:
        operator = cloudwatch.ComparisonOperator
        data = cloudwatch.TreatMissingData
        alarm = metric.create_alarm(
            self,
            name,
            alarm_description=description,
            threshold=1,
            evaluation_periods=1,
            comparison_operator=(
                operator.LESS_THAN_THRESHOLD
                if below
                else operator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD
            ),
            treat_missing_data=data.BREACHING if below else data.NOT_BREACHING,
        )
        alarm.add_alarm_action(actions.SnsAction(self._topic))
