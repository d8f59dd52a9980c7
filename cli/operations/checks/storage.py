"""The group, the buckets and the signing key."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from cli.operations.checks.check import (
    Check,
    CheckContext,
    CheckResult,
    failed,
    ok,
    unchecked,
    warning,
)

#: How many versions are looked through for names, newest first.
_VERSIONS = 500


def group(context: CheckContext) -> Iterator[CheckResult]:
    """The model package group is there, under the guide's name."""
    from botocore.exceptions import ClientError

    from registry.aws import is_missing
    from registry.names import GROUP

    name = context.deployment.group_name
    try:
        context.client("sagemaker").describe_model_package_group(ModelPackageGroupName=name)
    except ClientError as error:
        if not is_missing(error):
            raise
        yield failed(f"{name} does not exist", "python scripts/setup_sagemaker_project.py")
        return
    if name != GROUP:
        yield warning(
            f"{name} is not {GROUP}, which the guide's commands name",
            "leave it, or deploy without cards.group_name",
        )
        return
    yield ok(name)


def names(context: CheckContext) -> Iterator[CheckResult]:
    """Every version has a name by the convention."""
    from registry.versions.packages import iterate

    rows = list(
        islice(iterate(context.client("sagemaker"), context.deployment.group_name), _VERSIONS)
    )
    nameless = [row for row in rows if row.name is None]
    looked = (
        f"the newest {_VERSIONS} versions" if len(rows) == _VERSIONS else f"{len(rows)} versions"
    )
    if nameless:
        yield warning(
            f"{len(nameless)} of {looked} have no name by the convention, the newest of them "
            f"{nameless[0].arn}; nothing of ours acts on them",
            "register them under one: python scripts/register_student_model.py --help",
        )
    else:
        yield ok(f"{looked}, all named by the convention")


def buckets(context: CheckContext) -> Iterator[CheckResult]:
    """The three buckets answer, in this region."""
    from botocore.exceptions import ClientError

    found = context.names
    well = []
    for name in (found.training_bucket, found.mlflow_bucket, found.release_bucket):
        try:
            answer = context.client("s3").head_bucket(Bucket=name)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code == "404":
                yield failed(f"s3://{name} does not exist", context.deploy)
            elif code == "403":
                yield unchecked(
                    f"s3://{name}: you may not see it", f"aws s3api head-bucket --bucket {name}"
                )
            else:
                raise
            continue
        region = answer.get("BucketRegion") or answer["ResponseMetadata"]["HTTPHeaders"].get(
            "x-amz-bucket-region", context.aws.region
        )
        if region != context.aws.region:
            yield failed(
                f"s3://{name} lies in {region}; jobs in {context.aws.region} cannot use it",
                f"export AWS_REGION={region}",
            )
            continue
        well.append(name)
    if len(well) == 3:
        yield ok(", ".join(well))


def signing_key(context: CheckContext) -> Iterator[CheckResult]:
    """The key that signs releases can be used."""
    key = context.deployment.signing_key_arn
    described = context.client("kms").describe_key(KeyId=key)["KeyMetadata"]
    yield judge_key(key, str(described["KeyState"]))


def judge_key(key: str, state: str) -> CheckResult:
    """A key that is disabled, or is going to be deleted, signs nothing."""
    if state == "Enabled":
        return ok(key)
    if state == "PendingDeletion":
        return failed(
            f"{key} will be deleted; every device trusts it",
            f"aws kms cancel-key-deletion --key-id {key} && aws kms enable-key --key-id {key}",
        )
    return failed(f"{key} is {state}; nothing is released", f"aws kms enable-key --key-id {key}")


CHECKS = (
    Check("group", group, ("deployment",)),
    Check("names", names, ("group",)),
    Check("buckets", buckets, ("deployment",)),
    Check("signing key", signing_key, ("deployment",)),
)
