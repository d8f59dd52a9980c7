"""A version has changed, or its compile job has ended -> it is compiled, or stopped; recorded.

Every version comes by here, however it was made, and again whenever somebody decides on it: so
this is where SageMaker Lineage is written.

This function may start and stop compile jobs. It may not write releases: what there is to
publish, to withdraw or to record it hands to the function that may, which gets the event of a
job's end itself.
"""

from __future__ import annotations

import json
from typing import Any

import boto3

from lambdas.events import log, version_ref
from lambdas.metrics import count
from lambdas.settings import (
    compile_job_settings,
    compile_settings,
    deployment,
    required,
    with_approval_rules,
)
from registry.automation.actions import compile_actions, converge
from registry.automation.observation import VersionState
from registry.convergence import Step
from registry.lineage.record import record_version
from registry.versions.packages import PENDING, describe
from registry.versions.report_page import decided_on

PUBLISH_FUNCTION = required("PUBLISH_FUNCTION")
COMPILE_SETTINGS = compile_settings()

_deployment = with_approval_rules(deployment())
_lambda = boto3.client("lambda")


def _hand_over(state: VersionState) -> str:
    detail = {"ModelPackageArn": state.version.arn, "ModelName": str(state.name)}
    _lambda.invoke(
        FunctionName=PUBLISH_FUNCTION,
        InvocationType="Event",
        Payload=json.dumps({"detail": detail}).encode(),
    )
    return f"handed to {PUBLISH_FUNCTION}"


_actions = compile_actions(_deployment, COMPILE_SETTINGS, compile_job_settings(), _hand_over)
_after_a_job = {step: _actions[step] for step in (Step.START_COMPILATION, Step.STOP_COMPILATION)}


def handler(event: dict[str, Any], context: Any) -> dict[str, str]:
    """Takes the next step of the event's version, and records its lineage."""
    detail = event.get("detail") or {}
    about = version_ref(event, _deployment.sagemaker, _deployment.group_name)
    if about is None:
        log("not ours", event=str(detail)[:200])
        return {"package": "", "step": "NOTHING", "result": "no compile job of ours"}
    of_a_job = "ModelPackageArn" not in detail
    outcome = converge(
        _deployment,
        about,
        COMPILE_SETTINGS,
        _after_a_job if of_a_job else _actions,
        again=detail.get("CompileAgain") is True,
    )
    log(outcome.step.value, package=outcome.package, result=outcome.result)
    if outcome.step is Step.START_COMPILATION:
        count("CompilationStarted", outcome.package)
    if not of_a_job:
        _record_lineage(about.arn, outcome.package)
    return {"package": outcome.package, "step": outcome.step.name, "result": outcome.result}


def _record_lineage(arn: str, label: str) -> None:
    """Last, so that a failure here delays no release; the event is tried again."""
    package = describe(_deployment.sagemaker, arn)
    if package is None or package.group != _deployment.group_name:
        return
    if package.approval != PENDING and decided_on(package):
        # The publishing function keeps it on the version; this line is there even if it never runs.
        log(f"{package.approval} on a page", package=label, page=decided_on(package))
    for change in record_version(_deployment.sagemaker, package):
        log(f"lineage {change.done}", package=label, kind=change.kind, entity=change.name)
