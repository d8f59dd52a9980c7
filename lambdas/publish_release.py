"""A compile job has ended -> its release is published, or its failure is recorded.

The only function that may write releases and sign their manifests. Called by the job's event,
and by ``compile_approved`` with the version's ARN.
"""

from __future__ import annotations

from typing import Any

import boto3

from lambdas.events import detail, log
from lambdas.settings import recipe, required
from registry.automation import Places, converge, publish_actions
from registry.compilation import source_of
from registry.releases import Publisher

RECIPE = recipe()

_sagemaker = boto3.client("sagemaker")
_s3 = boto3.client("s3")
_places = Places(
    sagemaker=_sagemaker,
    s3=_s3,
    group=required("GROUP_NAME"),
    training_bucket=required("TRAINING_BUCKET"),
    release_bucket=required("RELEASE_BUCKET"),
)
_publisher = Publisher(
    sagemaker=_sagemaker,
    s3=_s3,
    kms=boto3.client("kms"),
    group=_places.group,
    training_bucket=_places.training_bucket,
    release_bucket=_places.release_bucket,
    signing_key=required("SIGNING_KEY_ARN"),
)
_actions = publish_actions(_publisher, RECIPE)


def handler(event: dict[str, Any], context: Any) -> dict[str, str]:
    """Looks at the version that the event's job was started for and takes its next step."""
    if "ModelPackageArn" in (event.get("detail") or {}):
        arn = detail(event, "ModelPackageArn")
    else:
        job_name = detail(event, "ProcessingJobName")
        source = source_of(_sagemaker, job_name)
        if source is None:
            log("not ours", processing_job=job_name)
            return {"package": "", "step": "NOTHING", "result": f"{job_name} is no compile job"}
        arn = source
    outcome = converge(_places, arn, RECIPE, _actions)
    log(outcome.step.value, package=outcome.package, result=outcome.result)
    return {"package": outcome.package, "step": outcome.step.name, "result": outcome.result}
