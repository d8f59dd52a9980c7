"""One version and one training job as AWS would describe them, with a deployment's own names."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from registry.deployment import DeployedNames

STUDENT, TEACHER = "student-efficientnet-lite0-stage2-v1", "teacher-vit-tiny-phase2-v1"
JOB = "teacher-demo-20260101-000000-0000"
DIGEST = "0" * 64


@dataclass(frozen=True)
class ExampleState:
    """What the steps of a dry run are about.

    Attributes:
        names: What is deployed.
        account: Twelve digits.
        region: AWS's name of it.
        image: A container's image.
    """

    names: DeployedNames
    account: str
    region: str
    image: str

    def arn(self, kind: str, name: str) -> str:
        """ARN of something of SageMaker's."""
        return f"arn:aws:sagemaker:{self.region}:{self.account}:{kind}/{name}"

    def version(self, number: int) -> str:
        """ARN of a version of the group."""
        return self.arn("model-package", f"{self.names.group_name}/{number}")

    def metadata(self, kind: str) -> dict[str, str]:
        """Metadata of a kind of model as the schema's own examples have it."""
        from registry.versions.metadata import RESERVED, template

        fields = template()["kinds"][kind]
        return {
            key: str(field["example"])
            for key, field in fields.items()
            if field["required"] or key not in RESERVED
        }

    def described(self, arn: str) -> dict[str, Any]:
        """DescribeModelPackage's answer; the first version was made from the second."""
        bucket = self.names.training_bucket
        first = arn == self.version(1)
        parent = {"ParentModelPackageArn": self.version(2)} if first else {}
        return {
            "ModelPackageArn": arn,
            "ModelPackageGroupName": self.names.group_name,
            "ModelPackageDescription": f"{STUDENT}: stage2 student, of a dry run",
            "ModelApprovalStatus": "PendingManualApproval",
            "CreationTime": datetime.now(UTC),
            "InferenceSpecification": {
                "Containers": [
                    {
                        "Image": self.image,
                        "ModelDataUrl": f"s3://{bucket}/jobs/{JOB}/output/model.tar.gz",
                    }
                ]
            },
            "MetadataProperties": {"GeneratedBy": self.arn("training-job", JOB)},
            "CustomerMetadataProperties": {
                "CardSetUri": f"s3://{bucket}/cards/set/",
                "CardSetDigest": DIGEST,
                "TrainingJob": JOB,
                **parent,
            },
        }

    def training_job(self) -> dict[str, Any]:
        """DescribeTrainingJob's answer."""
        bucket = self.names.training_bucket
        return {
            "TrainingJobName": JOB,
            "TrainingJobArn": self.arn("training-job", JOB),
            "TrainingJobStatus": "Stopped",
            "CreationTime": datetime.now(UTC),
            "TrainingStartTime": datetime.now(UTC),
            "TrainingEndTime": datetime.now(UTC),
            "LastModifiedTime": datetime.now(UTC),
            "ModelArtifacts": {"S3ModelArtifacts": f"s3://{bucket}/jobs/{JOB}/output/model.tar.gz"},
            "HyperParameters": {"recipe": '"demo"'},
            "AlgorithmSpecification": {
                "TrainingImage": self.image,
                "TrainingInputMode": "File",
            },
            "RoleArn": self.names.training_role_arn,
            "InputDataConfig": [
                {
                    "ChannelName": "cards",
                    "DataSource": {
                        "S3DataSource": {
                            "S3DataType": "S3Prefix",
                            "S3Uri": f"s3://{bucket}/cards/set/",
                        }
                    },
                }
            ],
            "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/jobs"},
            "ResourceConfig": {
                "InstanceType": "ml.m5.xlarge",
                "InstanceCount": 1,
                "VolumeSizeInGB": 30,
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
            "CheckpointConfig": {"S3Uri": f"s3://{bucket}/jobs/{JOB}/checkpoints"},
            "Environment": {"CARDS_INFERENCE_IMAGE": self.image},
        }
