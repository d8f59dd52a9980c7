"""Which compile jobs this deployment started: by what a job is, never by its name.

Whoever may create processing jobs may give one of them any name. So the function that starts
compile jobs first writes a record of what it is going to start: role, image, entry point,
arguments, inputs, outputs, environment and network. The record's key holds the digest of its
content, and only that function may write it. A job counts as this deployment's if SageMaker
describes it as one of its records has it, whatever was deployed in the meantime.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

from registry.aws import objects_below
from registry.names import APPROVED_PREFIX, parse_compile_job
from registry.object_identity import head
from registry.untrusted.stored_json import StoredJsonError, read_json

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_RECORD_LIMIT = 64 * 1024


class ForeignJobError(ValueError):
    """A compile job that this deployment did not start; names the job and what differs."""


def identity(job: Mapping[str, Any]) -> dict[str, Any]:
    """What a job is, from a CreateProcessingJob request or DescribeProcessingJob's answer.

    SageMaker adds defaults to what it was given; only fields that decide what runs, on which data
    and where its results go are taken, so that both give the same.

    Args:
        job: The request or the answer.
    """
    application = job.get("AppSpecification", {})
    network = job.get("NetworkConfig", {}).get("VpcConfig", {})
    return {
        "name": job["ProcessingJobName"],
        "role": job.get("RoleArn"),
        "image": application.get("ImageUri"),
        "entry point": list(application.get("ContainerEntrypoint", [])),
        "arguments": list(application.get("ContainerArguments", [])),
        "inputs": [_input(each) for each in job.get("ProcessingInputs", [])],
        "outputs": [
            _output(each) for each in job.get("ProcessingOutputConfig", {}).get("Outputs", [])
        ],
        "environment": dict(job.get("Environment", {})),
        "subnets": list(network.get("Subnets", [])),
        "security groups": list(network.get("SecurityGroupIds", [])),
    }


def record_start(s3: S3Client, bucket: str, request: Mapping[str, Any]) -> None:
    """Writes the record of a job that is about to be started; the same record may be there.

    Args:
        s3: A boto3 S3 client.
        bucket: The training bucket.
        request: CreateProcessingJob's parameters.
    """
    body = _canonical(identity(request))
    s3.put_object(
        Bucket=bucket,
        Key=_record_key(request["ProcessingJobName"], body),
        Body=body,
        ContentType="application/json",
    )


def require_started_here(s3: S3Client, bucket: str, job: Mapping[str, Any]) -> None:
    """Refuses a job that this deployment did not start.

    Args:
        s3: A boto3 S3 client.
        bucket: The training bucket.
        job: DescribeProcessingJob's answer.

    Raises:
        ForeignJobError: No record describes this job.
    """
    name = job["ProcessingJobName"]
    found = identity(job)
    body = _canonical(found)
    if head(s3, f"s3://{bucket}/{_record_key(name, body)}") is not None:
        return
    records = _records(s3, bucket, name)
    if not records:
        cause = "it has no record of having been started"
    else:
        differing = [key for key in found if found[key] != records[0].get(key)]
        cause = f"its {', '.join(differing) or 'record'} is not what was started"
    raise ForeignJobError(
        f"{name}: is no compile job of this deployment: {cause}; nothing of it is used; look who "
        "may create processing jobs and pass roles, and compile again with cards release retry"
    )


def argument(job: Mapping[str, Any], name: str) -> str | None:
    """The value of one of a job's arguments, for example ``--model-sha256``."""
    words = job.get("AppSpecification", {}).get("ContainerArguments", [])
    pairs = dict(zip(words[::2], words[1::2], strict=False))
    return pairs.get(name)


def _input(entry: Mapping[str, Any]) -> list[Any]:
    source = entry.get("S3Input")
    if not isinstance(source, Mapping):
        return [entry.get("InputName"), sorted(entry)]
    return [entry.get("InputName"), source.get("S3Uri"), source.get("LocalPath")]


def _output(entry: Mapping[str, Any]) -> list[Any]:
    target = entry.get("S3Output")
    if not isinstance(target, Mapping):
        return [entry.get("OutputName"), sorted(entry)]
    return [entry.get("OutputName"), target.get("S3Uri"), target.get("LocalPath")]


def _canonical(found: Mapping[str, Any]) -> bytes:
    return json.dumps(found, sort_keys=True, separators=(",", ":")).encode()


def _prefix(job_name: str) -> str:
    compiled = parse_compile_job(job_name)
    return f"{APPROVED_PREFIX}{compiled[0] if compiled else 'unnamed'}/{job_name}/"


def _record_key(job_name: str, body: bytes) -> str:
    return f"{_prefix(job_name)}{hashlib.sha256(body).hexdigest()}.json"


def _records(s3: S3Client, bucket: str, job_name: str) -> list[dict[str, Any]]:
    """The records of jobs of that name, for a message."""
    found = []
    for entry in islice(objects_below(s3, bucket, _prefix(job_name)), 10):
        with suppress(StoredJsonError):  # One that cannot be read describes no job.
            record = read_json(s3, bucket, entry["Key"], _RECORD_LIMIT)
            if record is not None:
                found.append(record.document)
    return found
