"""A version's state has changed -> it is compiled, or its compilation is stopped.

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
    """Looks at the version that the event names and takes its next step."""
    outcome = converge(_places, detail(event, "ModelPackageArn"), RECIPE, _actions)
    log(outcome.step.value, package=outcome.package, result=outcome.result)
    return {"package": outcome.package, "step": outcome.step.name, "result": outcome.result}
