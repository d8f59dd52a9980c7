"""Finding the versions that a command names or leaves to be found."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cli.aws import AwsSession
from cli.errors import CliError

if TYPE_CHECKING:
    from collections.abc import Callable

    from registry.names import ModelName
    from registry.versions.packages import Package


#: What training jobs are called; their pages name them where a version has no name yet.
_JOB = re.compile(r"(teacher|student)-[a-z0-9-]{1,40}-\d{8}-\d{6}-[0-9a-f]{4}", re.ASCII)


def find_package(aws: AwsSession, name_or_arn: str) -> Package:
    """The version that a person means by a name, an ARN, or the training job that made it.

    Raises:
        ModelNameError: Neither an ARN nor a name by the convention, nor a job's.
        CliError: There is no such version.
    """
    from registry.names import parse_name
    from registry.versions.packages import describe
    from registry.versions.queries import find_by_name

    sagemaker, group = aws.client("sagemaker"), aws.deployment.group_name
    arn: str | None = name_or_arn
    if _JOB.fullmatch(name_or_arn):
        arn = _made_by(aws, name_or_arn)
    elif not name_or_arn.startswith("arn:"):
        row = find_by_name(sagemaker, group, parse_name(name_or_arn))
        arn = row.arn if row else None
    found = describe(sagemaker, arn) if arn else None
    if found is None:
        raise CliError(f"{name_or_arn}: is not in {group}; cards registry list shows what is")
    return found


def _made_by(aws: AwsSession, job: str) -> str | None:
    """ARN of the version that a training job made, or None."""
    from registry.versions.metadata import TRAINING_JOB
    from registry.versions.queries import Filters, pages

    found = pages(
        aws.client("sagemaker"),
        aws.deployment.group_name,
        Filters(where=((TRAINING_JOB, job),)),
    )
    return next((row.arn for page in found for row in page.rows), None)


def find_parent(aws: AwsSession, name_or_arn: str) -> Package:
    """The version that ``--parent`` means, with the option named in a failure."""
    try:
        return find_package(aws, name_or_arn)
    except (CliError, ValueError) as error:
        raise CliError(f"--parent {error}") from None


def find_teacher(aws: AwsSession) -> Package:
    """The newest approved teacher.

    Raises:
        CliError: There is none.
    """
    from registry.names import TEACHER
    from registry.versions.packages import APPROVED

    return _newest(
        aws,
        lambda name: name.model_type == TEACHER,
        "no approved teacher is registered; train one first: cards train teacher --cards …",
        approval=APPROVED,
    )


def find_initial(aws: AwsSession) -> Package:
    """The newest stage-1 student that nobody rejected.

    Raises:
        CliError: There is none.
    """
    return _newest(
        aws,
        lambda name: name.stage == "stage1",
        "no stage-1 student is registered; train one first: cards train student --stage 1 …",
    )


def find_teacher_of(aws: AwsSession, student: Package) -> Package:
    """The teacher that a student was distilled from, by its recorded parents.

    Raises:
        CliError: None of its ancestors is a teacher.
    """
    from registry.lineage.ancestry import ancestors
    from registry.names import TEACHER

    for ancestor in ancestors(aws.client("sagemaker"), student):
        if ancestor.name and ancestor.name.model_type == TEACHER:
            return ancestor
    raise CliError(f"--parent {student.label}: no teacher is among its recorded parents")


def _newest(
    aws: AwsSession,
    wanted: Callable[[ModelName], bool],
    otherwise: str,
    approval: str | None = None,
) -> Package:
    from registry.versions.packages import REJECTED, describe, iterate

    sagemaker = aws.client("sagemaker")
    for row in iterate(sagemaker, aws.deployment.group_name, approval=approval):
        if row.name and wanted(row.name) and row.approval != REJECTED:
            found = describe(sagemaker, row.arn)
            if found:
                return found
    raise CliError(otherwise)
