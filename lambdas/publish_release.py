"""A compile job has ended -> its release is published, or its failure is recorded.

The only function that may write releases, move channels and sign manifests. Called by the job's
event, and by ``compile_approved`` with the version's ARN.
"""

from __future__ import annotations

from typing import Any

import boto3

from lambdas.events import log, subject
from lambdas.settings import board, kept_releases, places, recipe, required
from registry.automation.actions import MOVE_CHANNELS, converge, move_channels, publish_actions
from registry.convergence import Step
from registry.releases.publication import Publisher

RECIPE = recipe()

_places = places(kept_releases())
_publisher = Publisher(
    sagemaker=_places.sagemaker,
    s3=_places.s3,
    kms=boto3.client("kms"),
    group=_places.group,
    training_bucket=_places.training_bucket,
    release_bucket=_places.release_bucket,
    signing_key=required("SIGNING_KEY_ARN"),
    board=board(),
    stable=_places.stable,
)
_actions = publish_actions(_publisher, RECIPE)


def handler(event: dict[str, Any], context: Any) -> dict[str, str]:
    """Looks at the version that the event is about and takes its next step."""
    if event.get("detail") == MOVE_CHANNELS:
        moved = move_channels(_publisher)
        log(Step.MOVE_CHANNEL.value, result=moved)
        return {"package": "", "step": Step.MOVE_CHANNEL.name, "result": moved}
    about = subject(event, _places.sagemaker)
    if about is None:
        log("not ours", event=str(event.get("detail", ""))[:200])
        return {"package": "", "step": "NOTHING", "result": "no compile job of ours"}
    outcome = converge(_places, about, RECIPE, _actions)
    log(outcome.step.value, package=outcome.package, result=outcome.result)
    return {"package": outcome.package, "step": outcome.step.name, "result": outcome.result}
