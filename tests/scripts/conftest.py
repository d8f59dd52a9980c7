"""A cloud with what a deployment tells the scripts, and the scripts as a user runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from localcloud import LocalCloud
from tests.registry.registration.training_jobs import TrainingJobs
from tests.running_cloud import Client, client_of, publish_parameters

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Place:
    """A cloud with what a deployment tells the commands, and no stacks."""

    client: Client
    jobs: TrainingJobs
    group: str
    variables: dict[str, str]

    def script(self, name: str, *words: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, str(ROOT / "scripts" / name), *words],
            cwd=ROOT,
            env={"PATH": os.defpath, "PYTHONPATH": str(ROOT), **self.variables},
            capture_output=True,
            text=True,
            timeout=120,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        print(done.stdout + done.stderr)
        return done

    def answer(self, name: str, *words: str) -> Any:
        """What a script that succeeds says to a machine."""
        done = self.script(name, *words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def refused(self, name: str, *words: str) -> str:
        """The one line that a script ends with that does nothing."""
        before = self.versions()
        done = self.script(name, *words)
        assert done.returncode == 1 and done.stdout == "", done
        assert done.stderr.startswith(f"{name}: ") and done.stderr.count("\n") == 1, done.stderr
        assert self.versions() == before, "nothing is registered"
        return done.stderr

    def version(self, arn: str) -> dict[str, Any]:
        return dict(self.client("sagemaker").describe_model_package(ModelPackageName=arn))

    def versions(self) -> list[str]:
        answer = self.client("sagemaker").list_model_packages(ModelPackageGroupName=self.group)
        return [row["ModelPackageArn"] for row in answer["ModelPackageSummaryList"]]

    def job(self, name: str) -> dict[str, Any]:
        return dict(self.client("sagemaker").describe_training_job(TrainingJobName=name))

    def as_user(self, *actions: str) -> Place:
        """The same as a person with these rights and no others."""
        iam, name = self.client("iam"), f"person-{uuid.uuid4().hex[:8]}"
        iam.create_user(UserName=name)
        rights = [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]
        iam.put_user_policy(
            UserName=name,
            PolicyName="own",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": rights}),
        )
        key = iam.create_access_key(UserName=name)["AccessKey"]
        keys = {
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        }
        return replace(self, variables={**self.variables, **keys})


@pytest.fixture
def place(cloud: LocalCloud) -> Place:
    client = client_of(cloud)
    unique = uuid.uuid4().hex[:8]
    bucket, group = f"training-{unique}", f"models-{unique}"
    client("s3").create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "us-east-2"}
    )
    client("sagemaker").create_model_package_group(ModelPackageGroupName=group)
    jobs = TrainingJobs.in_bucket(client, bucket)
    publish_parameters(
        client, unique, training_bucket=bucket, group_name=group, training_role_arn=jobs.role
    )
    return Place(client, jobs, group, {**cloud.env(), "CARDS_ENVIRONMENT": unique})
