"""Reading EventBridge events: only names are taken from them, never state.

Shapes: https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from registry.automation.actions import SIGN_RELEASE
from registry.automation.observation import VersionRef
from registry.compilation.jobs import source_of
from registry.names import is_release_id, name_in_description, parse_compile_job

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.client import SageMakerClient

_NAME_LIMIT = 256


class EventError(ValueError):
    """An event without the name that its rule promises; it goes to the dead-letter queue."""


def detail(event: Mapping[str, Any], key: str) -> str:
    """A name in an event's detail, for example ``TrainingJobName``.

    Raises:
        EventError: It is missing, no text, or too long to be a name.
    """
    found = event.get("detail")
    value = found.get(key) if isinstance(found, Mapping) else None
    if not isinstance(value, str) or not 0 < len(value) <= _NAME_LIMIT:
        raise EventError(f"event {event.get('detail-type')!r} has no detail.{key}")
    return value


def version_ref(
    event: Mapping[str, Any], sagemaker: SageMakerClient, group: str
) -> VersionRef | None:
    """The version that an event is about: it names a version, or a compile job of one.

    Args:
        event: Of a version, of a processing job, or one of our functions' own.
        sagemaker: Finds the version of a job.
        group: The deployment's Model Package Group. Another environment of the account compiles
            versions of another group, and its jobs' events arrive here as well.

    Returns:
        None for a job that compiles no version of the group.

    Raises:
        EventError: The event names neither.
    """
    found = event.get("detail")
    named = found if isinstance(found, Mapping) else {}
    if "ModelPackageArn" in named:
        arn = detail(event, "ModelPackageArn")
        known = named.get("ModelName")
        return VersionRef(arn, name_in_description(known) if isinstance(known, str) else None)
    job = detail(event, "ProcessingJobName")
    arn_of_job = source_of(sagemaker, job)
    compiled = parse_compile_job(job)
    if arn_of_job is None or f":model-package/{group}/" not in arn_of_job:
        return None
    return VersionRef(arn_of_job, compiled and compiled[0])


def release_to_sign(event: Mapping[str, Any]) -> str | None:
    """The release that a person asks to sign again; None for any other event.

    Raises:
        EventError: It is no release's id.
    """
    found = event.get("detail")
    if not isinstance(found, Mapping) or SIGN_RELEASE not in found:
        return None
    release = detail(event, SIGN_RELEASE)
    if not is_release_id(release):
        raise EventError(f"event detail.{SIGN_RELEASE}: {release!r} is no release's id")
    return release


def log(message: str, **fields: object) -> None:
    """Writes one line of JSON, as Lambda's own logger would; ``package`` finds a version's
    lines, ``trace`` those that X-Ray has of the same call.

    Args:
        message: What is done.
        fields: Of what; those without a value are left out.
    """
    trace = os.environ.get("_X_AMZN_TRACE_ID", "").partition("Root=")[2].partition(";")[0]
    said = {key: value for key, value in (fields | {"trace": trace}).items() if value}
    print(json.dumps({"level": "INFO", "message": message, **said}, default=str), flush=True)
