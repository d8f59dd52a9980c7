"""Registering from a finished training job: what both of the guide's scripts do."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.aws import AwsSession
from cli.errors import CliError
from registry.untrusted.text import one_line

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

    from registry.deployment import Deployment
    from registry.registration.register import Registration
    from registry.registration.retroactive import ArtifactFacts, Statement
    from registry.versions.metadata_schema import Form

Job = Annotated[
    str | None,
    typer.Option(help="Training job. By default the newest finished one not yet registered."),
]
Statements = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Metadata that neither the job nor its artifact says; repeatable. It is kept that, "
        "and by whom, it was stated.",
    ),
]
Weights = Annotated[
    str, typer.Option(help="Which file of the artifact holds the model, where there are several.")
]
#: How many names of registered versions are said where there is nothing to do.
_SHOWN = 5


def register(
    environment: str,
    model_type: str,
    job_name: str | None,
    *,
    stage: str | None,
    architecture: str | None,
    parent: str | None,
    statements: list[str] | None,
    weights: str,
    as_json: bool,
) -> None:
    """Registers a job's model, or the newest job's that nobody registered, and says so.

    Raises:
        CliError: There is no such job or none at all, it has not ended, or the caller may not
            register.
    """
    from cli.console import print_json, print_line
    from cli.find_version import find_parent
    from registry.registration.retroactive import Statement

    aws = AwsSession(environment)
    deployment = aws.deployment
    stated = parse_statements(statements or [])
    with _rights(aws):
        job = _described(aws, job_name) if job_name else _newest(deployment, model_type, as_json)
        if job is None:
            return
        statement = Statement(
            model_type,
            stage=stage,
            architecture=architecture,
            parent=find_parent(aws, parent) if parent else None,
            stated=stated,
            by=str(aws.client("sts").get_caller_identity()["Arn"]),
        )
        made = _register(aws, job, statement, weights)
    if made.arn is None:
        raise CliError(f"training job {job['TrainingJobName']}: {made.outcome} ({made.detail})")
    _name_on_run(aws, made)
    if as_json:
        document = {"outcome": made.outcome, "name": made.name, "arn": made.arn}
        print_json({**document, "detail": made.detail or None})
    else:
        print_line(f"{made.outcome}: {made.name}")
        print_line(f"  {made.arn}")
        if made.detail:
            print_line(f"  {made.detail}")


def parse_statements(pairs: list[str]) -> dict[str, str]:
    """Reads ``KEY=VALUE`` pairs.

    Raises:
        CliError: A pair without ``=``, or a key twice.
    """
    stated: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key or not value.strip():
            raise CliError(f"--set {pair}: must be KEY=VALUE, such as --set NumClasses=17592")
        if key in stated:
            raise CliError(f"--set {key}: is given twice")
        stated[key] = value.strip()
    return stated


def _described(aws: AwsSession, job_name: str) -> dict[str, Any]:
    from botocore.exceptions import ClientError

    from registry.aws_errors import is_missing

    try:
        return dict(aws.deployment.sagemaker.describe_training_job(TrainingJobName=job_name))
    except ClientError as error:
        if is_missing(error):
            raise CliError(f"training job {job_name}: does not exist in {aws.region}") from None
        raise


def _newest(deployment: Deployment, model_type: str, as_json: bool) -> Mapping[str, Any] | None:
    """The newest job that is not registered and says what it is; None, and it is said, where
    each one is registered."""
    from cli.console import print_json, print_line
    from registry.registration.retroactive import jobs_by_registration, registers_itself

    registered: list[str] = []
    silent: list[str] = []
    for job, name in jobs_by_registration(deployment, model_type):
        if job is None:
            registered.append(name)
        elif registers_itself(deployment, job):
            return job
        else:
            silent.append(name)
    if silent:
        raise CliError(
            f"training job {silent[0]}: does not say what its model is, and every other "
            f"{model_type} job is registered; name it: --job {silent[0]}"
        )
    if not registered:
        raise CliError(
            f"no finished {model_type} job is in this deployment; train one: "
            f"cards train {model_type} --cards …, or name one: --job NAME"
        )
    if as_json:
        print_json({"outcome": "already registered", "names": registered})
    else:
        more = f" and {len(registered) - _SHOWN} more" if len(registered) > _SHOWN else ""
        print_line(
            f"every finished {model_type} job is registered: {', '.join(registered[:_SHOWN])}{more}"
        )
    return None


def _register(
    aws: AwsSession, job: Mapping[str, Any], statement: Statement, weights: str
) -> Registration:
    """By the job's own request where it wrote one, else from what it left."""
    from dataclasses import replace

    from registry.registration.register import register_training_job
    from registry.registration.retroactive import (
        ArtifactFacts,
        UnknownFactsError,
        register,
        registers_itself,
    )

    if registers_itself(aws.deployment, job):
        return register_training_job(aws.deployment, job["TrainingJobName"])
    found: ArtifactFacts = ArtifactFacts()
    if job["TrainingJobStatus"] == "Completed":
        found = _inspected(aws.deployment.s3, job, statement.model_type, weights)
    while True:
        try:
            return register(aws.deployment, job, found, statement)
        except UnknownFactsError as error:
            if not sys.stdin.isatty():
                raise
            statement = replace(statement, stated={**statement.stated, **_prompted(error.missing)})


def _inspected(
    s3: S3Client, job: Mapping[str, Any], model_type: str, weights: str
) -> ArtifactFacts:
    """Reads the artifact from S3 as it comes; nothing of it is unpacked to disk but pickles."""
    from botocore.exceptions import ClientError

    from registry.aws import split_s3_uri
    from registry.aws_errors import is_missing
    from registry.untrusted.archives import ArchiveError, walk
    from training.artifacts.inspection import InspectionError, inspect

    uri = job["ModelArtifacts"]["S3ModelArtifacts"]
    if not uri.endswith(".tar.gz"):
        raise CliError(
            f"{uri}: is no model.tar.gz, which a model package needs; the job was told to leave "
            "its output uncompressed"
        )
    bucket, key = split_s3_uri(uri)
    try:
        # The stubs give a body no type of the standard library, though it is read like a file.
        stream: Any = s3.get_object(Bucket=bucket, Key=key)["Body"]
    except ClientError as error:
        if is_missing(error):
            raise CliError(f"{uri}: is not there any more, so there is no model") from None
        raise
    try:
        return inspect(walk(stream, key), model_type, weights)
    except (ArchiveError, InspectionError) as error:
        raise CliError(f"{uri}: {error}") from None


def _prompted(missing: tuple[str, ...]) -> dict[str, str]:
    """Asks a person at a terminal; a value of another form is requested again."""
    from registry.versions.metadata_schema import SCHEMAS

    fields = {key: each for schema in SCHEMAS.values() for key, each in schema.items()}
    answers = {}
    for key in missing:
        form = fields[key].form

        def checked(text: str, form: Form = form) -> str:
            if not form.fits(text.strip()):
                raise typer.BadParameter(f"must be {form.words}")
            return text.strip()

        answers[key] = typer.prompt(
            f"{key}: {fields[key].meaning} ({form.words})", value_proc=checked
        )
    return answers


def _name_on_run(aws: AwsSession, made: Registration) -> None:
    """Names the version on its MLflow run, as the function does that registers after an event."""
    from cli.console import print_stderr
    from registry.names import NO_MLFLOW
    from registry.tracking.mlflow_api import (
        PACKAGE_ARN_TAG,
        PACKAGE_NAME_TAG,
        MlflowError,
        set_tags,
    )

    uri = aws.names.mlflow_uri
    if not made.mlflow_run_id or not made.arn or uri == NO_MLFLOW:
        return
    tags = {PACKAGE_ARN_TAG: made.arn, PACKAGE_NAME_TAG: made.name or ""}
    try:
        set_tags(aws.session, uri, made.mlflow_run_id, tags)
    except MlflowError as error:
        print_stderr(f"registered, but its MLflow run does not name it yet: {one_line(str(error))}")


@contextmanager
def _rights(aws: AwsSession) -> Iterator[None]:
    """Says what a caller lacks who may not do what registering needs."""
    from botocore.exceptions import ClientError

    from registry.aws_errors import is_denied

    try:
        yield
    except ClientError as error:
        if not is_denied(error):
            raise
        said = one_line(str(error.response["Error"].get("Message", "")))
        raise CliError(
            f"{error.operation_name} is denied ({said}); registering needs, beside reading jobs "
            "and artifacts, sagemaker:CreateModelPackage in the group, s3:PutObject below names/ "
            f"and model-quality/ of {aws.deployment.training_bucket}; cards doctor looks closer"
        ) from None
