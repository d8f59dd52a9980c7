"""A synthesised deployment as the tests read it: templates with their references resolved."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = "000000000000"
REGION = "us-east-2"


@dataclass(frozen=True)
class Resource:
    """One resource of a template, its properties resolved."""

    stack: str
    logical_id: str
    type: str
    properties: dict[str, Any]
    body: dict[str, Any]
    path: str


class Assembly:
    """The templates of ``cards-<environment>-{registry,access,automation}``."""

    STACKS = ("registry", "access", "automation")

    def __init__(self, folder: Path, environment: str) -> None:
        self.folder = folder
        present = [*self.STACKS, "network"]
        self.names = {
            stack: f"cards-{environment}-{stack}"
            for stack in present
            if (folder / f"cards-{environment}-{stack}.template.json").is_file()
        }
        self.templates: dict[str, dict[str, Any]] = {
            stack: json.loads((folder / f"{name}.template.json").read_text())
            for stack, name in self.names.items()
        }

    @cached_property
    def resources(self) -> list[Resource]:
        found = []
        for stack, template in self.templates.items():
            for logical_id, body in template["Resources"].items():
                found.append(
                    Resource(
                        stack,
                        logical_id,
                        body["Type"],
                        self.resolve(stack, body.get("Properties", {})),
                        body,
                        body.get("Metadata", {}).get("aws:cdk:path", ""),
                    )
                )
        return found

    def of_type(self, kind: str, stack: str | None = None) -> list[Resource]:
        return [
            each for each in self.resources if each.type == kind and stack in (None, each.stack)
        ]

    def outputs(self, stack: str) -> dict[str, Any]:
        return {
            name: self.resolve(stack, body["Value"])
            for name, body in self.templates[stack].get("Outputs", {}).items()
        }

    def resolve(self, stack: str, value: Any) -> Any:
        """Follows references to names and ARNs; names that AWS makes up are the logical ids."""
        if isinstance(value, list):
            return [self.resolve(stack, each) for each in value]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((key, argument),) = value.items()
            if key == "Ref":
                return self._named(stack, argument, "Ref")
            if key == "Fn::GetAtt":
                return self._named(stack, *argument)
            if key == "Fn::Join":
                separator, parts = argument
                return separator.join(self.resolve(stack, part) for part in parts)
            if key == "Fn::GetStackOutput":
                other = next(s for s, name in self.names.items() if name == argument["StackName"])
                output = self.templates[other]["Outputs"][argument["OutputName"]]
                return self.resolve(other, output["Value"])
            if key.startswith("Fn::"):
                raise AssertionError(f"{key} is not resolved by these tests")
        return {key: self.resolve(stack, each) for key, each in value.items()}

    def _named(self, stack: str, logical_id: str, attribute: str) -> str:
        if logical_id == "AWS::AccountId":
            return ACCOUNT
        pseudo = {"AWS::URLSuffix": "amazonaws.com", "AWS::Region": REGION}
        if logical_id in pseudo:
            return pseudo[logical_id]
        body = self.templates[stack]["Resources"][logical_id]
        properties = body.get("Properties", {})
        prefix = f"{ACCOUNT}:"
        if body["Type"] == "AWS::S3::Bucket":
            name = self.resolve(stack, properties["BucketName"])
            return name if attribute == "Ref" else f"arn:aws:s3:::{name}"
        if body["Type"] == "AWS::SageMaker::ModelPackageGroup":
            name = properties["ModelPackageGroupName"]
            return f"arn:aws:sagemaker:{REGION}:{prefix}model-package-group/{name}"
        if body["Type"] == "AWS::SNS::Topic":
            return f"arn:aws:sns:{REGION}:{prefix}{logical_id}"
        if attribute == "Ref" or body["Type"].startswith("AWS::EC2::"):
            return logical_id
        kinds = {
            "AWS::IAM::Role": f"arn:aws:iam::{prefix}role/",
            "AWS::Lambda::Function": f"arn:aws:lambda:{REGION}:{prefix}function:",
            "AWS::SQS::Queue": f"arn:aws:sqs:{REGION}:{prefix}",
            "AWS::IoT::RoleAlias": f"arn:aws:iot:{REGION}:{prefix}rolealias/",
            "AWS::ECR::Repository": f"arn:aws:ecr:{REGION}:{prefix}repository/",
            "AWS::KMS::Key": f"arn:aws:kms:{REGION}:{prefix}key/",
            "AWS::Events::Rule": f"arn:aws:events:{REGION}:{prefix}rule/",
            "AWS::Logs::LogGroup": f"arn:aws:logs:{REGION}:{prefix}log-group:",
            "AWS::SageMaker::MlflowApp": f"arn:aws:sagemaker:{REGION}:{prefix}mlflow-app/",
            "AWS::SageMaker::MlflowTrackingServer": (
                f"arn:aws:sagemaker:{REGION}:{prefix}mlflow-tracking-server/"
            ),
        }
        return f"{kinds[body['Type']]}{logical_id}"

    def statements(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every statement of every policy that gives something to a role or a person."""
        for each in self.resources:
            if each.type in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"):
                for statement in each.properties["PolicyDocument"]["Statement"]:
                    yield each.path, statement
            if each.type == "AWS::IAM::Role":
                for policy in each.properties.get("Policies", []):
                    for statement in policy["PolicyDocument"]["Statement"]:
                        yield each.path, statement

    def grants(self, role: str) -> list[dict[str, Any]]:
        """The statements that a role holds, by its construct's path within its stack."""
        owner = next(
            each
            for each in self.of_type("AWS::IAM::Role")
            if each.path.split("/", 1)[1] == f"{role}/Resource"
        )
        found: list[dict[str, Any]] = []
        for each in self.of_type("AWS::IAM::Policy"):
            if owner.logical_id in each.properties["Roles"]:
                found += each.properties["PolicyDocument"]["Statement"]
        return found


def as_list(value: Any) -> list[Any]:
    """AWS writes a list of one as the one."""
    return value if isinstance(value, list) else [value]
