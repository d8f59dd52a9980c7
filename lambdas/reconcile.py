"""On a schedule: repairs for lost events are found, and handed to the functions that make them.

This function reads everything and writes nothing but where it stopped.
"""

from __future__ import annotations

import json
from typing import Any

import boto3

from lambdas.events import log
from lambdas.metrics import count
from lambdas.settings import (
    compile_settings,
    deployment,
    kept_releases,
    required,
    rollout_failures,
    signing_keys,
    with_approval_rules,
)
from registry.automation.reconciliation import COMPILER, PUBLISHER, REGISTRAR, Repair, reconcile

FUNCTIONS = {
    REGISTRAR: required("REGISTER_FUNCTION"),
    COMPILER: required("COMPILE_FUNCTION"),
    PUBLISHER: required("PUBLISH_FUNCTION"),
}
COMPILE_SETTINGS = compile_settings()
#: The part of the function's time that is reserved for recording where it stopped.
_MARGIN_MS = 30_000

_deployment = with_approval_rules(
    deployment(
        signing_key_arn=required("SIGNING_KEY_ARN"),
        signing_key_arns=signing_keys(),
        keep_releases=kept_releases(),
        rollout_failures=rollout_failures(),
    )
)
_lambda = boto3.client("lambda")


def _act(repair: Repair) -> None:
    log(repair.step, package=repair.what, result="forwarded")
    _lambda.invoke(
        FunctionName=FUNCTIONS[repair.function],
        InvocationType="Event",
        Payload=json.dumps({"detail": dict(repair.event)}).encode(),
    )


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Checks the versions until all are done or the time is up."""
    report = reconcile(
        _deployment,
        COMPILE_SETTINGS,
        _act,
        has_time=lambda: context.get_remaining_time_in_millis() > _MARGIN_MS,
    )
    for failure in report.failures:
        log("failed", package=failure.what, result=failure.cause)
        count("VersionFailed", failure.what)
    for channel, cause in report.unreadable_holds.items():
        log("hold unreadable", channel=channel, result=cause)
        count("HoldUnreadable")
    if report.unreadable_reports:
        log("device reports unreadable", result=report.unreadable_reports)
        count("DeviceReportUnreadable")
    # Only a finished run resets the alarm of a stale reconciler.
    outcome = "Reconciled" if report.finished else "ReconcilerInterrupted"
    count(outcome, VersionsLooked=report.looked, VersionsRepaired=len(report.repairs))
    log(
        "reconciled" if report.finished else "goes on with the next run",
        versions=report.versions,
        looked=report.looked,
        repaired=len(report.repairs),
        failed=len(report.failures),
    )
    return {
        "versions": report.versions,
        "looked": report.looked,
        "repaired": len(report.repairs),
        "failed": len(report.failures),
        "finished": report.finished,
    }
