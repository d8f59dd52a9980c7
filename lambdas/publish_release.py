"""A compile job has ended -> its release is published, or its failure is recorded.

The only function that may write releases, move channels and sign manifests. Called by the job's
event, and by ``compile_approved`` with the version's ARN.
"""

from __future__ import annotations

from typing import Any

from lambdas.events import log, version_ref
from lambdas.settings import deployment, kept_releases, notifier, recipe, required
from registry.automation.actions import MOVE_CHANNELS, converge, move_channels, publish_actions
from registry.convergence import Step

RECIPE = recipe()

_deployment = deployment(signing_key_arn=required("SIGNING_KEY_ARN"), keep_releases=kept_releases())
_actions = publish_actions(_deployment, notifier(), RECIPE)


def handler(event: dict[str, Any], context: Any) -> dict[str, str]:
    """Takes the next step of the event's version."""
    if event.get("detail") == MOVE_CHANNELS:
        moved = move_channels(_deployment)
        log(Step.MOVE_CHANNEL.value, result=moved)
        return {"package": "", "step": Step.MOVE_CHANNEL.name, "result": moved}
    about = version_ref(event, _deployment.sagemaker)
    if about is None:
        log("not ours", event=str(event.get("detail", ""))[:200])
        return {"package": "", "step": "NOTHING", "result": "no compile job of ours"}
    outcome = converge(_deployment, about, RECIPE, _actions)
    log(outcome.step.value, package=outcome.package, result=outcome.result)
    return {"package": outcome.package, "step": outcome.step.name, "result": outcome.result}
