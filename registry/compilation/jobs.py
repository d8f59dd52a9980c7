"""Compile jobs: SageMaker Processing jobs that turn an approved student into a device's file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from registry.aws import NEWEST_FIRST
from registry.aws_errors import Meaning, is_missing, means
from registry.compilation import approved_model, job_identity, reports
from registry.compilation.approved_model import ApprovedModel
from registry.compilation.compile_settings import CompileSettings
from registry.compilation.last_words import is_refusal
from registry.convergence import JobState, Verdict
from registry.names import (
    COMPILATIONS_PREFIX,
    COMPILE_JOB_PREFIX,
    ModelName,
    compile_job_name,
    parse_compile_job,
)
from registry.object_identity import CLOCK_DIFFERENCE
from registry.telemetry import OPT_OUTS
from registry.untrusted.stored_json import StoredJsonError, read_json
from registry.versions.metadata import CARD_SET_DIGEST, CARD_SET_URI
from registry.versions.packages import Package

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_sagemaker.client import SageMakerClient

SOURCE_ARN = "CARDS_SOURCE_PACKAGE_ARN"
#: Arguments by which a job refuses other bytes than those that were registered.
MODEL_DIGEST_ARGUMENT, CARDS_DIGEST_ARGUMENT = "--model-sha256", "--cards-digest"
_ROOT = "/opt/ml/processing"
_REPORT_LIMIT = 4 * 1024**2
# Unpacks the code that `cdk deploy` uploaded, installs what the container lacks, and hands over.
# What the job makes is signed: packages are taken by their digests alone, and never built here.
_ENTRYPOINT = (
    f"cd {_ROOT}/input/code && python3 -m zipfile -e *.zip src && cd src && "
    "python3 -m pip install -q --require-hashes --only-binary :all: -r export/requirements.lock && "
    'exec python3 -m export.compile_job "$@"'
)


class CompilationError(ValueError):
    """A version that cannot be compiled as it is; names it, the cause and the remedy."""


@dataclass(frozen=True)
class CompileJobSettings:
    """Where and how compile jobs run, from the deployment's settings.

    Attributes:
        max_runtime_seconds: The job's time limit; see :mod:`registry.compilation.job_time_limit`.
        subnets: Ids of the subnets that they run in; none where SageMaker places them.
        security_group: Id of their security group there.
    """

    role_arn: str
    instance_type: str
    max_runtime_seconds: int
    code_uri: str
    training_bucket: str
    volume_gb: int = 30
    subnets: tuple[str, ...] = ()
    security_group: str = ""


@dataclass(frozen=True)
class CompileJob:
    """One compile job, or that there is none.

    Attributes:
        name: The job's name; empty where there is none.
        attempt: Its number among those of its version and compile settings, from 1.
        reason: Why it failed, where it did.
        refused: Whether it failed for what it was given: trying again is of no use.
        created: When it was started.
    """

    name: str = ""
    state: JobState = JobState.NONE
    attempt: int = 0
    reason: str = ""
    refused: bool = False
    created: datetime | None = None


@dataclass(frozen=True)
class CompileJobs:
    """The compile jobs of one version.

    Attributes:
        newest: The newest with the compile settings that were asked about.
        running: Names of all that run, with any compile settings.
        first_created: When the first with those compile settings was started.
        attempts: How many there are with those compile settings.
        next_attempt: The first number that no such job has that was created since the version.
        foreign: Why jobs of this version's do not count.
    """

    newest: CompileJob
    running: tuple[str, ...] = ()
    first_created: datetime | None = None
    attempts: int = 0
    next_attempt: int = 1
    foreign: tuple[str, ...] = ()

    def with_reason(self, reason: str) -> CompileJobs:
        """A copy with another reason, where one is given."""
        return replace(self, newest=replace(self.newest, reason=reason)) if reason else self


def jobs_of(
    sagemaker: SageMakerClient,
    arn: str,
    name: ModelName,
    compile_settings: CompileSettings,
    fault: Callable[[Mapping[str, Any]], str] = lambda job: "",
    version_created: datetime | None = None,
) -> CompileJobs:
    """Finds the compile jobs of a version: those that were started for it.

    A job of another version can have the same name but for its number: one of a version that was
    deleted and registered again, or one that somebody started by hand.

    Args:
        sagemaker: A boto3 SageMaker client.
        arn: The version.
        name: Its name.
        compile_settings: The compile settings of the jobs to count.
        fault: Says of a job, as SageMaker describes it, why it is not one that this deployment
            started; empty where it is. By default every job is believed.
        version_created: When the version was created; None where it is gone, and all that the
            account ever ran is read.
    """
    newest, running, created, taken, foreign = CompileJob(), [], [], set[int](), []
    contains = f"{COMPILE_JOB_PREFIX}{name}-"
    for row in list_jobs(sagemaker, contains, version_created=version_created):
        found = parse_compile_job(row["ProcessingJobName"])
        if found is None or found[0] != name:
            continue
        if found[1] == compile_settings.id:
            taken.add(found[2])
        described = _describe(sagemaker, row["ProcessingJobName"])
        if described is None or described.get("Environment", {}).get(SOURCE_ARN) != arn:
            continue
        why = fault(described)
        if why:
            foreign.append(why)
            continue
        job = _job(row, found[2])
        if job.state is JobState.RUNNING:
            running.append(job.name)
        if found[1] == compile_settings.id:
            created.append(row["CreationTime"])
            newest = max(newest, job, key=lambda each: each.attempt)
    return CompileJobs(
        newest,
        tuple(sorted(running)),
        min(created, default=None),
        len(created),
        next(number for number in count(1) if number not in taken),
        tuple(foreign),
    )


def list_jobs(
    sagemaker: SageMakerClient,
    contains: str = COMPILE_JOB_PREFIX,
    state: JobState | None = None,
    version_created: datetime | None = None,
) -> Iterator[Mapping[str, Any]]:
    """The processing jobs with some words in their names, newest first.

    Args:
        sagemaker: A boto3 SageMaker client.
        contains: The words.
        state: Only jobs in that state.
        version_created: When the version, or the oldest of several, was created that the jobs were
            started for: what an account ran before is not read.
    """
    query: dict[str, Any] = {
        "NameContains": contains,
        "StatusEquals": state and state.value,
        "CreationTimeAfter": version_created and version_created - CLOCK_DIFFERENCE,
    }
    asked = {key: value for key, value in query.items() if value}
    for page in sagemaker.get_paginator("list_processing_jobs").paginate(**asked, **NEWEST_FIRST):
        yield from page["ProcessingJobSummaries"]


def _job(row: Mapping[str, Any], attempt: int) -> CompileJob:
    exit_message = row.get("ExitMessage", "")
    return CompileJob(
        row["ProcessingJobName"],
        JobState(row["ProcessingJobStatus"]),
        attempt,
        # The job's own message says more than SageMaker's.
        exit_message or row.get("FailureReason", ""),
        is_refusal(exit_message),
        row["CreationTime"],
    )


def start(
    sagemaker: SageMakerClient,
    s3: S3Client,
    source: Package,
    compile_settings: CompileSettings,
    settings: CompileJobSettings,
    attempt: int,
) -> str:
    """Starts a compile job of the bytes that were registered, and returns its name.

    A job of that name that is there already, and was started for this version, is taken for the
    same job; whether it is, its publication checks (:mod:`registry.compilation.job_identity`). A
    job of another version that had the same name has used up its number.

    Raises:
        CompilationError: The version lacks what a compilation needs.
    """
    _require_compilable(source)
    try:
        model = approved_model.pin(s3, settings.training_bucket, source)
    except approved_model.ApprovedModelError as error:
        raise CompilationError(str(error)) from None
    for number in count(attempt):
        request = job_request(source, model, compile_settings, settings, number)
        job_name = str(request["ProcessingJobName"])
        job_identity.record_start(s3, settings.training_bucket, request)
        try:
            sagemaker.create_processing_job(**request)
        except ClientError as error:
            if not means(error, Meaning.TAKEN):
                raise
            there = _describe(sagemaker, job_name)
            if there and there.get("Environment", {}).get(SOURCE_ARN) != source.arn:
                continue
        return job_name
    raise AssertionError("numbers do not end")


def _require_compilable(source: Package) -> None:
    if source.name is None:
        raise CompilationError(f"{source.arn}: has no name by the convention; register it again")
    cards_uri = source.metadata.get(CARD_SET_URI)
    if not source.model_data_url or not cards_uri:
        missing = CARD_SET_URI if source.model_data_url else "model artifact"
        raise CompilationError(
            f"{source.name}: its {missing} is not recorded, so it cannot be compiled; "
            "register it from its training job"
        )


def job_request(
    source: Package,
    model: ApprovedModel,
    compile_settings: CompileSettings,
    settings: CompileJobSettings,
    attempt: int,
) -> dict[str, Any]:
    """CreateProcessingJob's parameters.

    Args:
        source: The version; has a name and a card set.
        model: The very archive to compile.
        compile_settings: How it is compiled.
        settings: Where.
        attempt: The number of the job among those of its version and compile settings, from 1.
    """
    assert source.name is not None
    job_name = compile_job_name(source.name, compile_settings.id, attempt)
    arguments = {
        "--model": f"{_ROOT}/input/model",
        MODEL_DIGEST_ARGUMENT: model.sha256,
        "--cards": f"{_ROOT}/input/cards",
        "--output": f"{_ROOT}/output",
        "--compiler": compile_settings.compiler,
        "--source-name": str(source.name),
        "--source-arn": source.arn,
        "--settings": compile_settings.text,
        "--message": "/opt/ml/output/message",
        "--max-runtime-seconds": str(settings.max_runtime_seconds),
    }
    if source.metadata.get(CARD_SET_DIGEST):
        arguments[CARDS_DIGEST_ARGUMENT] = source.metadata[CARD_SET_DIGEST]
    request: dict[str, Any] = {
        "ProcessingJobName": job_name,
        "RoleArn": settings.role_arn,
        "AppSpecification": {
            "ImageUri": compile_settings.image,
            "ContainerEntrypoint": ["bash", "-c", _ENTRYPOINT, "compile"],
            "ContainerArguments": [word for pair in arguments.items() for word in pair],
        },
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": settings.instance_type,
                "VolumeSizeInGB": settings.volume_gb,
            }
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": settings.max_runtime_seconds},
        "ProcessingInputs": [
            _input("code", settings.code_uri),
            _input("model", model.uri),
            _input("cards", source.metadata[CARD_SET_URI]),
        ],
        "ProcessingOutputConfig": {
            "Outputs": [
                {
                    "OutputName": "compilation",
                    "S3Output": {
                        "S3Uri": f"s3://{settings.training_bucket}/{COMPILATIONS_PREFIX}{job_name}",
                        "LocalPath": f"{_ROOT}/output",
                        "S3UploadMode": "EndOfJob",
                    },
                }
            ]
        },
        "Environment": {**OPT_OUTS, SOURCE_ARN: source.arn},
    }
    if settings.subnets:
        request["NetworkConfig"] = {
            "VpcConfig": {
                "Subnets": list(settings.subnets),
                "SecurityGroupIds": [settings.security_group],
            }
        }
    return request


def stop(sagemaker: SageMakerClient, job_name: str) -> None:
    """Stops a compile job; one that has just ended by itself is no error."""
    try:
        sagemaker.stop_processing_job(ProcessingJobName=job_name)
    except ClientError as error:
        if not means(error, Meaning.ENDED):
            raise


def source_of(sagemaker: SageMakerClient, job_name: str) -> str | None:
    """The ARN of the version that a compile job was started for; None for any other job."""
    job = _describe(sagemaker, job_name)
    arn = (job or {}).get("Environment", {}).get(SOURCE_ARN)
    return str(arn) if arn else None


def _describe(sagemaker: SageMakerClient, job_name: str) -> Mapping[str, Any] | None:
    try:
        return sagemaker.describe_processing_job(ProcessingJobName=job_name)
    except ClientError as error:
        if is_missing(error):
            return None
        raise


def read_report(s3: S3Client, bucket: str, job_name: str, file: str) -> dict[str, Any]:
    """Reads a JSON report (``fidelity.json``, ``compilation.json``) of a completed compile job.

    Raises:
        CompilationError: Missing, too long, no JSON object, or a field has the wrong type.
    """
    key = f"{COMPILATIONS_PREFIX}{job_name}/{file}"
    try:
        found = read_json(s3, bucket, key, _REPORT_LIMIT)
        if found is None:
            raise CompilationError(f"{job_name}: s3://{bucket}/{key} does not exist")
        reports.check(file, found.document)
    except CompilationError:
        raise
    except StoredJsonError as error:
        raise CompilationError(f"{job_name}: {error}") from None
    except ValueError as error:
        raise CompilationError(f"{job_name}: {file}: {error}") from None
    return found.document


def gate_verdict(report: Mapping[str, Any]) -> Verdict:
    """The gate's verdict in ``fidelity.json``; anything but a clear pass is a failure."""
    return Verdict.PASSED if report.get("verdict") == Verdict.PASSED.value else Verdict.FAILED


def _input(name: str, uri: str) -> dict[str, Any]:
    return {
        "InputName": name,
        "S3Input": {
            "S3Uri": uri,
            "LocalPath": f"{_ROOT}/input/{name}",
            "S3DataType": "S3Prefix",
            "S3InputMode": "File",
            "S3DataDistributionType": "FullyReplicated",
        },
    }
