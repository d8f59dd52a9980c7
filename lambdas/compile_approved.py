"""A version's state has changed -> it is compiled, or its compilation is stopped; and recorded.

Every version comes by here, however it was made, and again whenever somebody decides on it: so
this is where SageMaker Lineage is written.

This function may start and stop compile jobs. It may not write releases: what there is to
publish, to withdraw or to record it hands to the function that may.
"""

from __future__ import annotations

import json
from typing import Any

import boto3

from lambdas.events import detail, log
from lambdas.settings import compile_settings, recipe, required
from registry.automation import Places, Situation, compile_actions, converge
from registry.lineage_record import record_version
from registry.packages import describe

PUBLISH_FUNCTION = required("PUBLISH_FUNCTION")
RECIPE = recipe()
SETTINGS = compile_settings()

_places = Places(
    sagemaker=boto3.client("sagemaker"),
    s3=boto3.client("s3"),
    group=required("GROUP_NAME"),
    training_bucket=SETTINGS.training_bucket,
    release_bucket=required("RELEASE_BUCKET"),
)
_lambda = boto3.client("lambda")


def _hand_over(situation: Situation) -> str:
    assert situation.package
    _lambda.invoke(
        FunctionName=PUBLISH_FUNCTION,
        InvocationType="Event",
        Payload=json.dumps({"detail": {"ModelPackageArn": situation.package.arn}}).encode(),
    )
    return f"handed to {PUBLISH_FUNCTION}"


_actions = compile_actions(_places, RECIPE, SETTINGS, _hand_over)


def handler(event: dict[str, Any], context: Any) -> dict[str, str]:
    """Looks at the version that the event names, takes its next step and records its lineage."""
    arn = detail(event, "ModelPackageArn")
    outcome = converge(_places, arn, RECIPE, _actions)
    log(outcome.step.value, package=outcome.package, result=outcome.result)
    # Last: lineage that cannot be written is tried again, and keeps no release back.
    package = describe(_places.sagemaker, arn)
    if package and package.group == _places.group:
        for change in record_version(_places.sagemaker, package):
            log(
                f"lineage {change.done}",
                package=outcome.package,
                kind=change.kind,
                entity=change.name,
            )
    return {"package": outcome.package, "step": outcome.step.name, "result": outcome.result}
