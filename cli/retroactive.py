"""Registering from a finished training job: what both of the guide's scripts do."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.aws import Aws
from cli.errors import CliError

if TYPE_CHECKING:
    from registry.packages import Package
    from registry.registration import Registration
    from training.artifact_inspection import Inspection

#: How many of the newest jobs are looked at for one that nobody registered.
_LOOK_BACK = 50


def register_newest(aws: Aws, model_type: str) -> tuple[Registration | None, list[str]]:
    """Registers the newest finished job of ours that is not registered yet.

    Returns:
        The registration, or None where every job is registered; and the names of those that are.
    """
    from registry.registration import register_training_job

    deployment, sagemaker = aws.deployment, aws.client("sagemaker")
    registered: list[str] = []
    pages = sagemaker.get_paginator("list_training_jobs").paginate(
        NameContains=f"{model_type}-",
        StatusEquals="Completed",
        SortBy="CreationTime",
        SortOrder="Descending",
        PaginationConfig={"MaxItems": _LOOK_BACK},
    )
    for page in pages:
        for row in page["TrainingJobSummaries"]:
            made = register_training_job(
                sagemaker,
                aws.client("s3"),
                bucket=deployment.training_bucket,
                job_name=row["TrainingJobName"],
                group=deployment.group_name,
            )
            if made.outcome == "already registered" and made.name:
                registered.append(made.name)
            elif made.outcome.startswith("registered"):
                return made, registered
    return None, registered


def register_job(
    aws: Aws,
    job_name: str,
    *,
    model_type: str,
    stage: str,
    architecture: str | None,
    parent: Package | None,
    stated: dict[str, str],
) -> Registration:
    """Registers one finished job: by its own request where it wrote one, else from what it left.

    Raises:
        CliError: There is no such job, or its line of names is not known.
        RegistrationError: As :func:`registry.retroactive.register`.
    """
    from registry.aws import is_missing
    from registry.failed_runs import line_of
    from registry.names import ModelName
    from registry.registration import register_training_job
    from registry.retroactive import UnknownFactsError, facts_of, register

    sagemaker, s3 = aws.client("sagemaker"), aws.client("s3")
    bucket, group = aws.deployment.training_bucket, aws.deployment.group_name
    try:
        job = sagemaker.describe_training_job(TrainingJobName=job_name)
    except Exception as error:
        if is_missing(error):
            raise CliError(f"training job {job_name}: does not exist in {aws.region}") from None
        raise
    line = line_of(job)
    if line is not None:
        return register_training_job(sagemaker, s3, bucket=bucket, job_name=job_name, group=group)
    if job["TrainingJobStatus"] != "Completed":
        raise CliError(
            f"training job {job_name}: is {job['TrainingJobStatus']}; "
            "only a completed one has a model"
        )
    counted = _inspected(aws, job)
    if not architecture:
        seen = (
            f" (the artifact is a {counted.vision_transformer})"
            if (counted.vision_transformer)
            else ""
        )
        raise CliError(
            f"training job {job_name}: its name in the registry is not known{seen}; give the "
            "architecture part of it, such as --architecture dinov3-vitl16"
        )
    facts = facts_of(job, model_type, {"Parameters": str(counted.parameters)})
    while True:
        try:
            return register(
                sagemaker,
                s3,
                group=group,
                bucket=bucket,
                job=job,
                line=ModelName(model_type, architecture, stage, 1),
                facts=facts,
                stated=stated,
                by=aws.client("sts").get_caller_identity()["Arn"],
                parent=parent,
            )
        except UnknownFactsError as error:
            if not sys.stdin.isatty():
                raise
            stated = {**stated, **_asked(error.missing, model_type, stage)}


def run(
    aws: Aws,
    model_type: str,
    job: str | None,
    *,
    stage: str,
    architecture: str | None,
    stated: list[str] | None,
    as_json: bool,
    parent: Package | None = None,
) -> None:
    """What both scripts do: register a job, or the newest one, and tell what came of it.

    Raises:
        CliError: There is no job to register.
    """
    from cli.console import print_json, say

    if job:
        made: Registration | None = register_job(
            aws,
            job,
            model_type=model_type,
            stage=stage,
            architecture=architecture,
            parent=parent,
            stated=parse_statements(stated or []),
        )
        registered: list[str] = []
    else:
        made, registered = register_newest(aws, model_type)
    if made is None and not registered:
        raise CliError(
            f"no finished {model_type} job is in this deployment; train one: "
            f"cards train {model_type} --cards …, or name one: --job NAME"
        )
    if made is None and as_json:
        print_json({"outcome": "already registered", "names": registered})
    elif made is None:
        say(f"every finished {model_type} job is registered: {', '.join(registered)}")
    elif as_json:
        print_json(
            {
                "outcome": made.outcome,
                "name": made.name,
                "arn": made.arn,
                "detail": made.detail or None,
            }
        )
    else:
        say(f"{made.outcome}: {made.name}")
        for line in filter(None, (made.arn, made.detail)):
            say(f"  {line}")


def parse_statements(pairs: list[str]) -> dict[str, str]:
    """Reads ``KEY=VALUE`` pairs.

    Raises:
        CliError: A pair without ``=``, or a key twice.
    """
    stated: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key or not value:
            raise CliError(f"--set {pair}: must be KEY=VALUE, such as --set NumClasses=17592")
        if key in stated:
            raise CliError(f"--set {key}: is given twice")
        stated[key] = value
    return stated


def _inspected(aws: Aws, job: dict[str, Any]) -> Inspection:
    from registry.archives import extract
    from registry.aws import split_s3_uri
    from training.artifact_inspection import inspect

    bucket, key = split_s3_uri(job["ModelArtifacts"]["S3ModelArtifacts"])
    with tempfile.TemporaryDirectory(prefix="cards-artifact-") as folder:
        archive = Path(folder) / "model.tar.gz"
        aws.client("s3").download_file(bucket, key, str(archive))
        extract(archive, Path(folder) / "model")
        return inspect(Path(folder) / "model")


def _asked(missing: tuple[str, ...], model_type: str, stage: str) -> dict[str, str]:
    import typer

    from registry.metadata_schema import SCHEMAS

    schema = SCHEMAS[model_type, stage]
    return {
        key: typer.prompt(f"{key}: {schema[key].meaning} ({schema[key].form.words})")
        for key in missing
    }
