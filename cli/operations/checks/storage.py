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

    from registry.aws_errors import is_missing
    from registry.names import group_of

    name = context.deployment.group_name
    try:
        found = context.client("sagemaker").describe_model_package_group(ModelPackageGroupName=name)
    except ClientError as error:
        if not is_missing(error):
            raise
        yield failed(f"{name} does not exist", "python scripts/setup_sagemaker_project.py")
        return
    fault = judge_group(name, str(found["ModelPackageGroupStatus"]), context.deploy)
    if fault:
        yield fault
        return
    if name != group_of(context.environment):
        yield warning(
            f"{name} is not {group_of(context.environment)}, which is the name by default",
            "leave it, or deploy without cards.group_name",
        )
        return
    yield ok(name)


def judge_group(name: str, status: str, deploy: str) -> CheckResult | None:
    """The group's status; None where versions can be registered in it."""
    if status == "Completed":
        return None
    if status in ("Pending", "InProgress"):
        return warning(f"{name} is being created ({status})", "wait until it is done")
    if status == "Deleting":
        return failed(f"{name} is being deleted; nothing is registered", f"wait, then: {deploy}")
    if status == "DeleteFailed":
        return failed(
            f"{name} is {status}: it could not be deleted because it has versions",
            f"aws sagemaker delete-model-package-group --model-package-group-name {name} after its "
            f"versions are deleted, then: {deploy}",
        )
    return failed(f"{name} is {status}; nothing is registered", deploy)


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
    """The three buckets answer, in this region, and keep overwritten objects."""
    from botocore.exceptions import ClientError

    from registry.aws_errors import is_denied, is_missing

    found = context.names
    well = []
    for name in (found.training_bucket, found.mlflow_bucket, found.release_bucket):
        try:
            answer = context.client("s3").head_bucket(Bucket=name)
        except ClientError as error:
            if is_missing(error):
                yield failed(f"s3://{name} does not exist", context.restore)
            elif is_denied(error):
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
        versioning = str(
            context.client("s3").get_bucket_versioning(Bucket=name).get("Status", "never enabled")
        )
        fault = judge_versioning(name, versioning)
        if fault:
            yield fault
            continue
        well.append(name)
    if len(well) == 3:
        yield ok(", ".join(well))


def judge_versioning(bucket: str, status: str) -> CheckResult | None:
    """Whether a bucket keeps overwritten objects; None where it does."""
    if status == "Enabled":
        return None
    return failed(
        f"s3://{bucket}: versioning is {status.lower()}; overwritten and deleted objects are lost",
        f"aws s3api put-bucket-versioning --bucket {bucket} "
        "--versioning-configuration Status=Enabled",
    )


def signing_key(context: CheckContext) -> Iterator[CheckResult]:
    """The key that signs releases can be used."""
    key = context.deployment.signing_key_arn
    described = context.client("kms").describe_key(KeyId=key)["KeyMetadata"]
    yield judge_key(
        key, str(described["KeyState"]), "nothing is released", "every device trusts it"
    )


def data_key(context: CheckContext) -> Iterator[CheckResult]:
    """The key that encrypts the buckets' objects can be used, where it is no key of S3's own."""
    from botocore.exceptions import ClientError

    from registry.aws_errors import is_missing

    bucket = context.names.training_bucket
    try:
        rules = context.client("s3").get_bucket_encryption(Bucket=bucket)[
            "ServerSideEncryptionConfiguration"
        ]["Rules"]
    except ClientError as error:
        if not is_missing(error):
            raise
        rules = []
    defaults = [rule.get("ApplyServerSideEncryptionByDefault", {}) for rule in rules]
    key = next((each["KMSMasterKeyID"] for each in defaults if each.get("KMSMasterKeyID")), None)
    if key is None:
        yield ok("S3's own")
        return
    described = context.client("kms").describe_key(KeyId=key)["KeyMetadata"]
    without = "nothing in the buckets can be read"
    yield judge_key(key, str(described["KeyState"]), without, f"then {without}")


def judge_key(key: str, state: str, without: str, deletion: str) -> CheckResult:
    """A key that is disabled, or is going to be deleted, cannot be used.

    Args:
        key: Its ARN.
        state: KMS's ``KeyState``.
        without: What does not work while it is disabled.
        deletion: What its deletion means.
    """
    if state == "Enabled":
        return ok(key)
    if state == "PendingDeletion":
        return failed(
            f"{key} will be deleted; {deletion}",
            f"aws kms cancel-key-deletion --key-id {key} && aws kms enable-key --key-id {key}",
        )
    return failed(f"{key} is {state}; {without}", f"aws kms enable-key --key-id {key}")


CHECKS = (
    Check("group", group, ("deployment",)),
    Check("names", names, ("group",)),
    Check("buckets", buckets, ("deployment",)),
    Check("signing key", signing_key, ("deployment",)),
    Check("data key", data_key, ("buckets",)),
)
