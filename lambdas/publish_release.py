"""A compile job has ended -> its release is published, or its failure is recorded.

The only function that may write releases, move channels and sign manifests. Called by the job's
event, by ``compile_approved`` with the version's ARN, and by people who sign a release again.
"""

from __future__ import annotations

from typing import Any

from lambdas.events import log, release_to_sign, version_ref
from lambdas.settings import (
    compile_settings,
    deployment,
    kept_releases,
    notifier,
    required,
    rollout_failures,
    signing_keys,
    with_approval_rules,
)
from registry.automation.actions import MOVE_CHANNELS, converge, publish_actions
from registry.automation.halted_rollouts import HALT, HALT_ROLLOUTS, halt_rollouts
from registry.automation.moving_channels import move_channels
from registry.convergence import Step
from registry.releases.verification import sign_release

COMPILE_SETTINGS = compile_settings()

_deployment = with_approval_rules(
    deployment(
        signing_key_arn=required("SIGNING_KEY_ARN"),
        signing_key_arns=signing_keys(),
        keep_releases=kept_releases(),
        statement_days=int(required("STATEMENT_DAYS")),
        rollout_failures=rollout_failures(),
    )
)
_notifier = notifier()
_actions = publish_actions(_deployment, _notifier, COMPILE_SETTINGS)


def handler(event: dict[str, Any], context: Any) -> dict[str, str]:
    """Takes the next step of the event's version."""
    if event.get("detail") == MOVE_CHANNELS:
        moved = move_channels(_deployment, _notifier)
        log(Step.MOVE_CHANNEL.value, result=moved)
        return {"package": "", "step": Step.MOVE_CHANNEL.name, "result": moved}
    if event.get("detail") == HALT_ROLLOUTS:
        halted = halt_rollouts(_deployment, _notifier)
        log(HALT, result=halted)
        return {"package": "", "step": "HALT_ROLLOUT", "result": halted}
    release = release_to_sign(event)
    if release is not None:
        signed = ", ".join(sign_release(_deployment, release)) or "nothing to sign"
        log("sign the release", release=release, result=signed)
        return {"package": "", "step": "SIGN", "result": signed}
    about = version_ref(event, _deployment.sagemaker, _deployment.group_name)
    if about is None:
        log("not ours", event=str(event.get("detail", ""))[:200])
        return {"package": "", "step": "NOTHING", "result": "no compile job of ours"}
    outcome = converge(_deployment, about, COMPILE_SETTINGS, _actions)
    log(outcome.step.value, package=outcome.package, result=outcome.result)
    return {"package": outcome.package, "step": outcome.step.name, "result": outcome.result}
