"""The two archives that a training job leaves: read once, hashed, and checked to be the job's own.

``model.tar.gz`` holds the model and its evaluation, ``output.tar.gz`` the request to register it:
the digests of the archives cover all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, cast

from registry.aws import split_s3_uri
from registry.names import REPORT_PAGE_LIMIT
from registry.object_identity import (
    CLOCK_DIFFERENCE,
    HashedObject,
    ObjectMissingError,
    ObjectVersion,
    read_object,
)
from registry.registration.request import (
    REQUEST_FILE,
    REQUEST_LIMIT,
    RegistrationError,
    RegistrationRequest,
)
from registry.untrusted.archives import ArchiveError, read_members
from registry.versions.report_page import PAGE_FILE

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

MODEL_FILE, OUTPUT_FILE = "model.tar.gz", "output.tar.gz"
#: All that a job leaves beside its model, unpacked: a function reads it to the end.
OUTPUT_LIMIT = 1024**3


@dataclass(frozen=True)
class JobOutput:
    """What a training job left beside its model.

    Attributes:
        request: To register the model.
        page: The approver's page, an HTML file; None where the job made none.
        archive: What both were read from.
    """

    request: RegistrationRequest
    page: bytes | None
    archive: ObjectVersion


def read_request(s3: S3Client, job: Mapping[str, Any]) -> RegistrationRequest:
    """What a completed training job says about its model.

    Raises:
        RegistrationError: It says nothing, or nothing that could be registered.
    """
    return read_output(s3, job).request


def read_output(s3: S3Client, job: Mapping[str, Any]) -> JobOutput:
    """What a completed training job left beside its model.

    Raises:
        RegistrationError: It says nothing, or nothing that could be registered.
    """
    job_name = job["TrainingJobName"]
    uri = f"{job['ModelArtifacts']['S3ModelArtifacts'].rpartition('/')[0]}/{OUTPUT_FILE}"
    label = f"training job {job_name}: {REQUEST_FILE}"
    try:
        stream = HashedObject(s3, uri)
        found = read_members(
            cast(IO[bytes], stream),
            {REQUEST_FILE: REQUEST_LIMIT, PAGE_FILE: REPORT_PAGE_LIMIT},
            label=split_s3_uri(uri)[1],
            total_bytes=OUTPUT_LIMIT,
        )
        if REQUEST_FILE not in found:
            raise ArchiveError(f"{split_s3_uri(uri)[1]}: {REQUEST_FILE} is not in it")
    except ObjectMissingError as error:
        raise RegistrationError(f"{label}: {error}; the job wrote no output data") from None
    except ArchiveError as error:
        raise RegistrationError(f"training job {job_name}: {error}") from error
    request = RegistrationRequest.from_json(found[REQUEST_FILE], label)
    return JobOutput(request, found.get(PAGE_FILE), stream.finish())


def read_archive(s3: S3Client, job: Mapping[str, Any]) -> ObjectVersion:
    try:
        return read_object(s3, job["ModelArtifacts"]["S3ModelArtifacts"])
    except ObjectMissingError as error:
        raise RegistrationError(
            f"training job {job['TrainingJobName']}: {error}; train it again"
        ) from None


def require_written_by_job(job: Mapping[str, Any], file: str, found: ObjectVersion) -> None:
    """Refuses bytes that somebody put in the place of the job's own.

    SageMaker uploads both archives before it sets the job's end, so that whatever was written
    later is not the job's.
    """
    end = job.get("TrainingEndTime")
    if end is not None and found.modified > end + CLOCK_DIFFERENCE:
        raise RegistrationError(
            f"training job {job['TrainingJobName']}: {file} was written at "
            f"{found.modified:%Y-%m-%d %H:%M:%S} UTC, after the job had ended; it is not the job's"
        )
