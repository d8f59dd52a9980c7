"""On a schedule: what no event told is found, and handed to the functions that put it right.

This function reads everything and writes nothing but where it stopped.
"""

from __future__ import annotations

import json
from typing import Any

import boto3

from lambdas.events import log
from lambdas.metrics import count
from lambdas.settings import deployment, kept_releases, recipe, required
from registry.automation.reconciliation import COMPILER, PUBLISHER, REGISTRAR, Finding, reconcile

FUNCTIONS = {
    REGISTRAR: required("REGISTER_FUNCTION"),
    COMPILER: required("COMPILE_FUNCTION"),
    PUBLISHER: required("PUBLISH_FUNCTION"),
}
RECIPE = recipe()
#: What is kept back of the function's time to write down where it stopped.
_MARGIN_MS = 30_000

_deployment = deployment(keep_releases=kept_releases())
_lambda = boto3.client("lambda")


def _act(finding: Finding) -> None:
    log(finding.step, package=finding.what, result="handed on")
    _lambda.invoke(
        FunctionName=FUNCTIONS[finding.function],
        InvocationType="Event",
        Payload=json.dumps({"detail": dict(finding.event)}).encode(),
    )


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Goes through the versions until all are looked at or the time is up."""
    report = reconcile(
        _deployment,
        RECIPE,
        _act,
        has_time=lambda: context.get_remaining_time_in_millis() > _MARGIN_MS,
    )
    # Only a run that came to its end keeps the alarm of a stale reconciler quiet.
    outcome = "Reconciled" if report.finished else "ReconcilerInterrupted"
    count(outcome, VersionsLooked=report.looked, VersionsPutRight=len(report.findings))
    log(
        "reconciled" if report.finished else "goes on with the next run",
        versions=report.versions,
        looked=report.looked,
        put_right=len(report.findings),
    )
    return {
        "versions": report.versions,
        "looked": report.looked,
        "put_right": len(report.findings),
        "finished": report.finished,
    }
