"""AWS in memory, as far as the automation uses it: fast enough for thousands of histories.

Every request is checked against the service's own model (botocore's), and every answer has the form
that the product reads. What differs from AWS: everything is consistent at once. Two handlers at
once, crashes and delays come from the hook that is called around each request.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import botocore.session
from botocore import xform_name
from botocore.exceptions import ClientError, ParamValidationError
from botocore.validate import ParamValidator

ACCOUNT, REGION = "123456789012", "us-east-2"
GROUP, TRAINING, RELEASES = "models", "training-bucket", "release-bucket"
PUBLISHER_ROLE = f"arn:aws:iam::{ACCOUNT}:role/publisher"
#: Identities as SageMaker records them: of a person, and of the publishing function.
PERSON = {"Arn": f"arn:aws:iam::{ACCOUNT}:user/person", "PrincipalId": "AIDAPERSON"}
FUNCTION = {
    "Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/publisher/publish",
    "PrincipalId": "AROAPUBLISHER:publish",
}
#: What the operations begin with that change something.
WRITES = ("Create", "Put", "Copy", "Delete", "Update", "Stop", "Publish", "Invoke")
TERMINAL = ("Completed", "Failed", "Stopped")
_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


class Crash(BaseException):
    """The function's process ends here; BaseException, since no handler survives it."""


@cache
def _operations(service: str) -> dict[str, tuple[str, Any]]:
    model = botocore.session.Session().get_service_model(service)
    return {
        xform_name(name): (name, model.operation_model(name).input_shape)
        for name in model.operation_names
    }


def error(operation: str, code: str, message: str = "", status: int = 400) -> ClientError:
    return ClientError(
        {
            "Error": {"Code": code, "Message": message},
            "ResponseMetadata": {"HTTPStatusCode": status},
        },
        operation,
    )


@dataclass
class MemoryAws:
    """One account's state, and the events that its changes send.

    Attributes:
        spoil: What a copy does to the bytes.
        around: Called with (operation, ``before`` or ``after``) around each request.
        events: What EventBridge would deliver, oldest first.
        invoked: Asynchronous invocations of functions: (function, payload).
        told: Messages that people were sent.
        calls: How many requests were made.
    """

    around: Callable[[str, str], None] = lambda operation, when: None
    spoil: Callable[[bytes], bytes] = lambda body: body
    events: list[dict[str, Any]] = field(default_factory=list)
    invoked: list[tuple[str, bytes]] = field(default_factory=list)
    told: list[dict[str, Any]] = field(default_factory=list)
    calls: int = 0
    packages: dict[str, dict[str, Any]] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    training_jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    objects: dict[tuple[str, str], tuple[bytes, str, datetime]] = field(default_factory=dict)
    #: Everything that was ever written to a place, oldest first; the ids are the numbers.
    object_versions: dict[tuple[str, str], list[tuple[bytes, str, datetime]]] = field(
        default_factory=dict
    )
    clock: datetime = field(default_factory=lambda: datetime.now(UTC))
    job_tags: dict[str, dict[str, str]] = field(default_factory=dict)
    #: Who makes the next change that no client makes: a person.
    caller: dict[str, str] = field(default_factory=lambda: dict(PERSON))
    _serial: int = 0

    def client(self, service: str) -> Any:
        return _Client(self, service)

    def tick(self) -> datetime:
        self.clock += timedelta(milliseconds=20)
        return self.clock

    def request(self, service: str, method: str, given: dict[str, Any]) -> Any:
        operation, shape = _operations(service)[method]
        if shape is not None:
            # boto3 itself spells a source that is given as an object.
            checked = {**given, "CopySource": "x"} if "CopySource" in given else given
            faults = ParamValidator().validate(checked, shape)
            if faults.has_errors():
                raise ParamValidationError(report=faults.generate_report())
        self.calls += 1
        self.tick()
        self.around(operation, "before")
        person, self.caller = self.caller, FUNCTION
        try:
            answer = getattr(self, f"_{method}")(given)
        finally:
            self.caller = person
        self.around(operation, "after")
        return answer

    # --- SageMaker: versions

    def _describe_model_package(self, given: dict[str, Any]) -> dict[str, Any]:
        found = self.packages.get(given["ModelPackageName"])
        if found is None:
            raise error("DescribeModelPackage", "ValidationException", "it does not exist.")
        return {**found, "CustomerMetadataProperties": dict(found["CustomerMetadataProperties"])}

    def _list_model_packages(self, given: dict[str, Any]) -> dict[str, Any]:
        rows = [
            row
            for row in reversed(self.packages.values())
            if given.get("ModelApprovalStatus") in (None, row["ModelApprovalStatus"])
            and row["CreationTime"] >= given.get("CreationTimeAfter", row["CreationTime"])
        ]
        start = int(given.get("NextToken", "0"))
        page = {"ModelPackageSummaryList": rows[start : start + given["MaxResults"]]}
        more = start + given["MaxResults"]
        return {**page, "NextToken": str(more)} if more < len(rows) else page

    def _create_model_package(self, given: dict[str, Any]) -> dict[str, Any]:
        for row in self.packages.values():
            if row["_token"] == given["ClientToken"]:
                return row
        self._serial += 1
        arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package/{GROUP}/{self._serial}"
        self.packages[arn] = {
            "CustomerMetadataProperties": {},
            **{key: value for key, value in given.items() if key != "ClientToken"},
            "_token": given["ClientToken"],
            "ModelPackageArn": arn,
            "CreationTime": self.clock,
        }
        self._changed(arn)
        return self.packages[arn]

    def _update_model_package(self, given: dict[str, Any]) -> dict[str, Any]:
        found = self.packages.get(given["ModelPackageArn"])
        if found is None:
            raise error("UpdateModelPackage", "ValidationException", "it does not exist.")
        found["LastModifiedBy"] = {"IamIdentity": dict(self.caller)}
        for key in ("ModelApprovalStatus", "ApprovalDescription", "ModelLifeCycle"):
            if key in given:
                found[key] = given[key]
        metadata = dict(found["CustomerMetadataProperties"])
        metadata |= given.get("CustomerMetadataProperties", {})
        for key in given.get("CustomerMetadataPropertiesToRemove", []):
            metadata.pop(key, None)
        found["CustomerMetadataProperties"] = metadata
        found["LastModifiedTime"] = self.clock
        self._changed(given["ModelPackageArn"])
        return {}

    def _delete_model_package(self, given: dict[str, Any]) -> dict[str, Any]:
        self.packages.pop(given["ModelPackageName"], None)
        return {}

    def _changed(self, arn: str) -> None:
        self.events.append({"detail": {"ModelPackageArn": arn, "ModelPackageGroupName": GROUP}})

    # --- SageMaker: jobs

    def _list_tags(self, given: dict[str, Any]) -> dict[str, Any]:
        tags = self.job_tags.get(given["ResourceArn"], {})
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}

    def _create_processing_job(self, given: dict[str, Any]) -> dict[str, Any]:
        name = given["ProcessingJobName"]
        if name in self.jobs:
            raise error("CreateProcessingJob", "ResourceInUse", "already exists")
        arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:processing-job/{name}"
        self.jobs[name] = {
            **given,
            "ProcessingJobArn": arn,
            "ProcessingJobStatus": "InProgress",
            "CreationTime": self.clock,
        }
        return {"ProcessingJobArn": arn}

    def _describe_processing_job(self, given: dict[str, Any]) -> dict[str, Any]:
        if given["ProcessingJobName"] not in self.jobs:
            raise error(
                "DescribeProcessingJob", "ValidationException", "Could not find requested job"
            )
        return dict(self.jobs[given["ProcessingJobName"]])

    def _list_processing_jobs(self, given: dict[str, Any]) -> dict[str, Any]:
        rows = [
            dict(job)
            for name, job in self.jobs.items()
            if given.get("NameContains", "") in name
            and job["CreationTime"]
            > given.get("CreationTimeAfter", datetime.min.replace(tzinfo=UTC))
            and given.get("StatusEquals") in (None, job["ProcessingJobStatus"])
        ]
        return {"ProcessingJobSummaries": rows}

    def _stop_processing_job(self, given: dict[str, Any]) -> dict[str, Any]:
        job = self.jobs[given["ProcessingJobName"]]
        if job["ProcessingJobStatus"] in TERMINAL:
            raise error("StopProcessingJob", "ValidationException", "has ended")
        job["ProcessingJobStatus"] = "Stopping"
        return {}

    def end_job(self, name: str, status: str, message: str = "") -> None:
        """What the job itself does."""
        job = self.jobs[name]
        job |= {"ProcessingJobStatus": status, "ProcessingEndTime": self.tick()}
        if message:
            job["ExitMessage"] = message
        detail = {"ProcessingJobName": name, "ProcessingJobStatus": status}
        self.events.append({"detail": detail})

    def _describe_training_job(self, given: dict[str, Any]) -> dict[str, Any]:
        return dict(self.training_jobs[given["TrainingJobName"]])

    def _list_training_jobs(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"TrainingJobSummaries": []}

    def _list_artifacts(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"ArtifactSummaries": [{"ArtifactArn": "arn:aws:sagemaker:::artifact/x"}]}

    # --- S3, KMS, SNS, Lambda

    def _get_object(self, given: dict[str, Any]) -> dict[str, Any]:
        body, etag, when = self._stored("GetObject", given)
        return {**self._head(given), "Body": _Body(body), "ETag": etag, "LastModified": when}

    def _head_object(self, given: dict[str, Any]) -> dict[str, Any]:
        _, etag, when = self._stored("HeadObject", given)
        return {**self._head(given), "ETag": etag, "LastModified": when}

    def _head(self, given: dict[str, Any]) -> dict[str, Any]:
        body, _, _ = self._stored("HeadObject", given)
        written = self.object_versions[given["Bucket"], given["Key"]]
        newest = str(len(written) - 1)
        return {"ContentLength": len(body), "VersionId": given.get("VersionId", newest)}

    def _put_object(self, given: dict[str, Any]) -> dict[str, Any]:
        place = given["Bucket"], given["Key"]
        there = self.objects.get(place)
        if given.get("IfNoneMatch") == "*" and there:
            raise error("PutObject", "PreconditionFailed", status=412)
        if "IfMatch" in given and (there is None or there[1] != given["IfMatch"]):
            code, status = ("PreconditionFailed", 412) if there else ("NoSuchKey", 404)
            raise error("PutObject", code, status=status)
        body = given["Body"]
        self._store(place, body if isinstance(body, bytes) else body.encode())
        return {"ETag": self.objects[place][1]}

    def _copy_object(self, given: dict[str, Any]) -> dict[str, Any]:
        source = given["CopySource"]
        body, etag, _ = self._stored("CopyObject", source)
        if given.get("CopySourceIfMatch", etag) != etag:
            raise error("CopyObject", "PreconditionFailed", status=412)
        self._store((given["Bucket"], given["Key"]), body)
        checksum = base64.b64encode(hashlib.sha256(self.spoil(body)).digest()).decode()
        return {"CopyObjectResult": {"ChecksumSHA256": checksum}}

    def _delete_object(self, given: dict[str, Any]) -> dict[str, Any]:
        self.objects.pop((given["Bucket"], given["Key"]), None)
        return {}

    def _list_objects_v2(self, given: dict[str, Any]) -> dict[str, Any]:
        prefix, cut = given.get("Prefix", ""), given.get("Delimiter")
        contents, common = [], dict[str, None]()
        for (bucket, key), (body, etag, when) in sorted(self.objects.items()):
            if bucket != given["Bucket"] or not key.startswith(prefix):
                continue
            if cut and cut in key[len(prefix) :]:
                common[prefix + key[len(prefix) :].partition(cut)[0] + cut] = None
            else:
                row = {"Key": key, "LastModified": when, "Size": len(body), "ETag": etag}
                contents.append(row)
        return {"Contents": contents, "CommonPrefixes": [{"Prefix": each} for each in common]}

    def _stored(self, operation: str, given: dict[str, Any]) -> tuple[bytes, str, datetime]:
        place = given["Bucket"], given["Key"]
        found = self.objects.get(place)
        if "VersionId" in given:
            versions = self.object_versions.get(place, [])
            number = int(given["VersionId"])
            found = versions[number] if number < len(versions) else None
        if found is None:
            raise error(operation, "NoSuchKey" if operation != "HeadObject" else "404")
        return found

    def _store(self, place: tuple[str, str], body: bytes) -> None:
        etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
        self.objects[place] = (body, f'"{etag}"', self.clock)
        self.object_versions.setdefault(place, []).append(self.objects[place])

    def _sign(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"Signature": b"signature of " + given["Message"]}

    def _verify(self, given: dict[str, Any]) -> dict[str, Any]:
        if given["Signature"] != b"signature of " + given["Message"]:
            raise error("Verify", "KMSInvalidSignatureException")
        return {"SignatureValid": True}

    def _get_public_key(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"PublicKey": b"key"}

    def _publish(self, given: dict[str, Any]) -> dict[str, Any]:
        self.told.append(given)
        return {"MessageId": str(self.calls)}

    def _invoke(self, given: dict[str, Any]) -> dict[str, Any]:
        self.invoked.append((given["FunctionName"], given["Payload"]))
        return {"StatusCode": 202}


class _Body(io.BytesIO):
    def iter_chunks(self, size: int) -> Iterator[bytes]:
        while chunk := self.read(size):
            yield chunk


class _Client:
    def __init__(self, aws: MemoryAws, service: str) -> None:
        self._aws, self._service = aws, service

    def __getattr__(self, method: str) -> Callable[..., Any]:
        return lambda **given: self._aws.request(self._service, method, given)

    def get_paginator(self, method: str) -> _Pages:
        return _Pages(self, method)


class _Pages:
    def __init__(self, client: _Client, method: str) -> None:
        self._client, self._method = client, method

    def paginate(self, **given: Any) -> Iterator[dict[str, Any]]:
        yield getattr(self._client, self._method)(**given)
