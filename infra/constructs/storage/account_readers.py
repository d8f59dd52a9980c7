"""What other accounts may read: versions of the group and releases. They may change nothing."""

from __future__ import annotations

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3

from infra.constructs.storage.bucket_access import READ, listing, objects
from registry.names import CHANNELS_PREFIX, KEYS_PREFIX, RELEASES_PREFIX

#: What a device or another account's registry needs of the release bucket.
RELEASE_PREFIXES = (RELEASES_PREFIX, CHANNELS_PREFIX, KEYS_PREFIX)


def group_policy(
    stack: cdk.Stack, group_name: str, accounts: Sequence[str]
) -> iam.PolicyDocument | None:
    """The group's own policy, which lets accounts read it and its versions.

    Actions and resources are those of AWS's page on the subject:
    https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-ram-discover.html

    Args:
        stack: Gives account, region and partition.
        group_name: The group's name; its ARN cannot be referred to by its own policy.
        accounts: Their ids; none makes no policy.
    """
    if not accounts:
        return None

    def arn(resource: str, name: str) -> str:
        return stack.format_arn(service="sagemaker", resource=resource, resource_name=name)

    return iam.PolicyDocument(
        statements=[
            iam.PolicyStatement(
                sid="ReadGroup",
                principals=_principals(accounts),
                actions=["sagemaker:DescribeModelPackageGroup", "sagemaker:ListModelPackages"],
                resources=[arn("model-package-group", group_name)],
            ),
            iam.PolicyStatement(
                sid="ReadVersions",
                principals=_principals(accounts),
                actions=["sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages"],
                resources=[arn("model-package", f"{group_name}/*")],
            ),
        ]
    )


def grant_release_access(bucket: s3.Bucket, accounts: Sequence[str]) -> None:
    """Allows accounts to pull releases: list and read what lies below three prefixes.

    Args:
        bucket: The release bucket.
        accounts: Their ids; none changes nothing.
    """
    if not accounts:
        return
    for statement in (objects(bucket, READ, *RELEASE_PREFIXES), listing(bucket, *RELEASE_PREFIXES)):
        statement.add_principals(*_principals(accounts))
        bucket.add_to_resource_policy(statement)


def _principals(accounts: Sequence[str]) -> list[iam.IPrincipal]:
    return [iam.AccountPrincipal(account) for account in accounts]
