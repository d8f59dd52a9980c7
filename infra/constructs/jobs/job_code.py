"""The code that the compile job runs, uploaded at deployment like a function's."""

from __future__ import annotations

from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from infra.constructs.source_asset import source_asset

#: The packages that the compile job imports.
JOB_PACKAGES = ("registry", "recognition", "reports", "export")


class JobCode(Construct):
    """An archive of the job's packages, readable by the role of the job.

    Exactly this archive may be read, not the bootstrap bucket, which holds the code of every CDK
    app of the account. A job that was waiting for its instance while new code was deployed fails
    to read the old archive, and is started again with the new one.

    Args:
        scope: The stack that starts jobs: code and permission change together.
        construct_id: Leads the logical ids.
        reader: The compile role.

    Attributes:
        uri: ``s3://…`` address of the zip archive.
    """

    def __init__(self, scope: Construct, construct_id: str, *, reader: iam.IRole) -> None:
        super().__init__(scope, construct_id)
        asset = s3_assets.Asset(self, "Archive", **source_asset(*JOB_PACKAGES))
        self.uri = asset.s3_object_url
        iam.Policy(
            self,
            "Read",
            roles=[reader],
            statements=[
                iam.PolicyStatement(
                    actions=["s3:GetObject"],
                    resources=[asset.bucket.arn_for_objects(asset.s3_object_key)],
                ),
                # SageMaker lists an input's address before it downloads it.
                iam.PolicyStatement(
                    actions=["s3:ListBucket"],
                    resources=[asset.bucket.bucket_arn],
                    conditions={"StringLike": {"s3:prefix": [f"{asset.s3_object_key}*"]}},
                ),
            ],
        )
