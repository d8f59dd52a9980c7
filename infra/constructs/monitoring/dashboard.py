"""One page that shows how approvals become releases, and what stands in their way."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.constructs.functions.event_driven_function import EventDrivenFunction
from infra.constructs.monitoring.alarms import NAMESPACE, counted
from infra.settings import Settings

_HOUR = cdk.Duration.hours(1)
#: A student waits; an approval starts a compilation, and ends in one of the others.
_OUTCOMES = (
    *("Waiting", "CompilationStarted", "Released", "Withdrawn"),
    *("GateFailed", "NotCompiled", "RunFailed", "VersionFailed"),
    *("ReleaseDamaged", "HoldUnreadable", "RolloutHalted"),
)


class AutomationDashboard(cloudwatch.Dashboard):
    """``cards-<environment>``: outcomes, lead time, failures by cause, queues, the reconciler.

    Args:
        scope: The stack.
        construct_id: Decides the logical id.
        settings: What this deployment chose.
        functions: The automation's functions.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        settings: Settings,
        functions: Sequence[EventDrivenFunction],
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            dashboard_name=f"cards-{settings.environment}",
            default_interval=cdk.Duration.days(7),
        )

        def lead(statistic: str) -> cloudwatch.Metric:
            return cloudwatch.Metric(
                namespace=NAMESPACE,
                metric_name="LeadTimeSeconds",
                dimensions_map={"Environment": settings.environment},
                statistic=statistic,
                period=_HOUR,
            )

        outcomes = [counted(settings, name, _HOUR) for name in _OUTCOMES]
        self.add_widgets(
            _graph("Approvals and outcomes", outcomes),
            _graph("From approval to release (s)", [lead("p50"), lead("p95"), lead("Maximum")]),
        )
        self.add_widgets(
            _graph("Errors", [each.function.metric_errors(period=_HOUR) for each in functions]),
            _graph(
                "Events given up",
                [
                    queue.metric_approximate_number_of_messages_visible(
                        period=_HOUR, statistic="Maximum"
                    )
                    for each in functions
                    for queue in (each.undelivered, each.failed)
                ],
            ),
        )
        self.add_widgets(
            _graph(
                "Reconciler",
                [
                    counted(settings, name, _HOUR)
                    for name in ("Reconciled", "VersionsLooked", "VersionsRepaired")
                ],
            ),
            _graph("Duration", [each.function.metric_duration(period=_HOUR) for each in functions]),
        )


def _graph(title: str, metrics: Sequence[cloudwatch.IMetric]) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=list(metrics), width=12, height=6)
