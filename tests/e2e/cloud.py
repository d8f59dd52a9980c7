"""A deployed local cloud as the tests of the whole path use it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from cli.aws import READ_SECONDS
from localcloud.ports import free_port
from registry.deployment import DeployedNames
from tests.running_cloud import PATIENCE

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
CARDS = 32
#: The version that is trained and released first, and another one of the same weights.
FIRST = "student-efficientnet-lite0-stage2-v1"
SECOND = "student-efficientnet-lite0-stage2-v2"

# Fewer calibration images than a deployment has: seconds instead of half a minute.
_QUICK = {"compile.calibration_images": "128"}
#: No quantised model agrees with the original to the last digit.
STRICT = {**_QUICK, "compile.gate.cosine_mean": "1.0"}
#: The e2e student trains for a minute; what it loses by quantisation is not what is tested.
LENIENT = {
    **_QUICK,
    "compile.gate.cosine_mean": "0.9",
    "compile.gate.cosine_p5": "0.8",
    "compile.gate.card_cosine": "0.7",
    "compile.gate.top1_drop": "0.05",
    "compile.gate.auroc_drop": "0.05",
}


@dataclass
class Cloud:
    """A running local cloud and what was deployed to it."""

    variables: dict[str, str]
    folder: Path

    def run(self, *command: str, timeout: int = 300) -> subprocess.CompletedProcess[str]:
        """Runs a command as a user would; its output is shown when a test fails."""
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )
        shown = f"{done.stdout}{done.stderr}"
        print(f"$ {' '.join(command)}\n{shown}")
        return done

    def must(self, *command: str, timeout: int = 300) -> str:
        """Runs a command that has to succeed and returns its output."""
        done = self.run(*command, timeout=timeout)
        assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout

    def cdk(self, *words: str) -> str:
        """Runs the real CDK command line; its assembly stays out of the checkout."""
        cdk = str(ROOT / "node_modules/.bin/cdk")
        return self.must(cdk, *words, "--no-notices", "--output", str(self.folder / "cdk.out"))

    def bootstrap(self) -> str:
        """Prepares the account for the CDK, as its user does once."""
        account, region = self.variables["CDK_DEFAULT_ACCOUNT"], self.variables["AWS_REGION"]
        return self.cdk("bootstrap", f"aws://{account}/{region}")

    def deploy(self, settings: dict[str, str]) -> str:
        """Deploys all stacks with some settings of our own."""
        return self.cdk("deploy", "--all", "--require-approval", "never", *context(settings))

    def account(self, number: str) -> Cloud:
        """Another AWS account of the same cloud, with a folder of its own."""
        keys = {"AWS_ACCESS_KEY_ID": number, "CDK_DEFAULT_ACCOUNT": number}
        folder = self.folder / number
        folder.mkdir()
        return Cloud({**self.variables, **keys}, folder)

    def json(self, *command: str, timeout: int = 300) -> Any:
        """Runs a command that answers in JSON."""
        return json.loads(self.must(*command, timeout=timeout))

    @cached_property
    def session(self) -> boto3.Session:
        return boto3.Session(
            aws_access_key_id=self.variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.variables["AWS_SECRET_ACCESS_KEY"],
            region_name=self.variables["AWS_REGION"],
        )

    def client(self, service: str) -> Any:
        # A function that takes longer than botocore waits would be called again.
        waits = Config(read_timeout=READ_SECONDS.get(service, 60))
        endpoint = self.variables["AWS_ENDPOINT_URL"]
        return self.session.client(service, endpoint_url=endpoint, config=waits)

    @cached_property
    def deployment(self) -> DeployedNames:
        return self.deployed()

    def deployed(self, environment: str = "dev") -> DeployedNames:
        """What an environment's stacks provisioned."""
        return DeployedNames.read(self.client("ssm"), environment)

    def function(self, logical: str) -> str:
        """The name of a deployed function, by its output of the automation stack."""
        outputs = self.client("cloudformation").describe_stacks(StackName="cards-dev-automation")[
            "Stacks"
        ][0]["Outputs"]
        return next(o["OutputValue"] for o in outputs if o["OutputKey"] == f"{logical}Function")


def context(settings: dict[str, str]) -> list[str]:
    """Settings as the CDK's command line takes them."""
    return [word for k, v in settings.items() for word in ("-c", f"cards.{k}={v}")]


@contextlib.contextmanager
def started(folder: Path) -> Iterator[Cloud]:
    """A local cloud of the caller's own, its state below a folder, stopped at the end."""
    from cli.external_commands import environment

    state = ["--state-dir", str(folder / "state"), "--port", str(free_port())]
    bare = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "CDK_", "MLFLOW_"))}
    cards = str(BIN / "cards")
    up = subprocess.run(
        [cards, "local", "up", *state], env=bare, capture_output=True, text=True, cwd=ROOT
    )
    assert up.returncode == 0, up.stdout + up.stderr
    try:
        printed = subprocess.run(
            [cards, "local", "env", "--json", *state],
            env=bare,
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        ).stdout
        yield Cloud(environment(json.loads(printed)), folder)
    finally:
        subprocess.run([cards, "local", "down", *state], env=bare, check=True, cwd=ROOT)


def until(check: Callable[[], Any], seconds: float, what: str) -> Any:
    """Waits until a check gives something true, and returns it."""
    end = time.monotonic() + PATIENCE * seconds
    while time.monotonic() < end:
        found = check()
        if found:
            return found
        time.sleep(0.3)
    raise AssertionError(f"not within {PATIENCE * seconds:g} s: {what}")


def decide(cloud: Cloud, arn: str, status: str) -> None:
    cloud.client("sagemaker").update_model_package(ModelPackageArn=arn, ModelApprovalStatus=status)


def channel(cloud: Cloud, name: str) -> str | None:
    """The release that a channel points to."""
    bucket = cloud.deployment.release_bucket
    body = cloud.client("s3").get_object(Bucket=bucket, Key=f"channels/{name}.json")["Body"].read()
    try:
        release = json.loads(body)["release"]
    except ValueError:  # Damaged by a test, and not repaired yet.
        return None
    return str(release) if release else None
