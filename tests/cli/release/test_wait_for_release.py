"""Following an approved version to its release, against botocore's models."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.response import StreamingBody
from botocore.stub import Stubber

from cli.automation_functions import _error_in, last_error
from cli.aws import AwsSession
from cli.errors import CliError
from cli.release import wait_for_release as release_wait
from cli.release.wait_for_release import wait_for_release
from registry.deployment import DeployedNames
from registry.names import parse_name
from registry.versions.packages import Package
from training.submission.watch import JobFailed

WHEN = datetime(2026, 1, 2, tzinfo=UTC)
NAME = "student-efficientnet-lite0-stage2-v1"
ARN = "arn:aws:sagemaker:us-east-2:000000000000:model-package/group/3"
OTHER = "arn:aws:sagemaker:us-east-2:000000000000:model-package/group/4"
NEWER = "student-efficientnet-lite0-stage2-v2"
JOB = f"compile-{NAME}-01234567-1"
STUDENT = Package(
    ARN, 3, "group", parse_name(NAME), "Approved", "", WHEN, "s3://b/model.tar.gz", "", {}
)


class Cloud:
    """Clients that answer what a test lays out, in order."""

    def __init__(self) -> None:
        session = boto3.Session("x", "x", region_name="us-east-2")
        names = ("sagemaker", "s3", "logs", "cloudformation", "lambda")
        clients = {name: session.client(name) for name in names}
        self.on = {name: Stubber(client) for name, client in clients.items()}
        for stub in self.on.values():
            stub.activate()
        self.aws = AwsSession()
        self.aws.__dict__["clients"] = clients
        self.aws.__dict__["names"] = DeployedNames(
            "dev", "group", "t", "m", "none", "releases", "role", "role", "key", "onnx-int8"
        )

    def jobs(self, *names: str) -> None:
        self.on["sagemaker"].add_response(
            "list_processing_jobs",
            {
                "ProcessingJobSummaries": [
                    {
                        "ProcessingJobName": name,
                        "ProcessingJobArn": "arn",
                        "CreationTime": WHEN,
                        "ProcessingJobStatus": "InProgress",
                    }
                    for name in names
                ]
            },
        )

    def version(self, **metadata: str) -> None:
        self.on["sagemaker"].add_response(
            "describe_model_package",
            {
                "ModelPackageName": "x",
                "ModelPackageArn": ARN,
                "ModelPackageStatus": "Completed",
                "ModelPackageStatusDetails": {"ValidationStatuses": []},
                "CreationTime": WHEN,
                "CustomerMetadataProperties": {"ModelName": NAME, **metadata},
            },
        )

    def job(self, status: str, **more: Any) -> None:
        resources = {"InstanceCount": 1, "InstanceType": "ml.m5.xlarge", "VolumeSizeInGB": 1}
        self.on["sagemaker"].add_response(
            "describe_processing_job",
            {
                "ProcessingJobName": JOB,
                "ProcessingJobArn": "arn",
                "ProcessingJobStatus": status,
                "ProcessingResources": {"ClusterConfig": resources},
                "AppSpecification": {"ImageUri": "x"},
                "CreationTime": WHEN,
                **more,
            },
            {"ProcessingJobName": JOB},
        )
        self.on["logs"].add_response("describe_log_streams", {"logStreams": []})

    def pointer(self, arn: str | None) -> None:
        if arn is None:
            self.on["s3"].add_client_error("get_object", "NoSuchKey")
            return
        body = json.dumps({"release": f"{NAME}.r", "package_arn": arn, "name": NAME}).encode()
        self.on["s3"].add_response(
            "get_object", {"Body": StreamingBody(io.BytesIO(body), len(body)), "ETag": '"e"'}
        )

    def releases(self, *names: str) -> None:
        self.on["s3"].add_response(
            "list_objects_v2",
            {
                "Contents": [
                    {"Key": f"releases/{name}/manifest.json", "LastModified": WHEN}
                    for name in names
                ]
            },
        )

    def manifest(self, arn: str) -> None:
        body = json.dumps({"source": {"arn": arn}}).encode()
        self.on["s3"].add_response(
            "get_object", {"Body": StreamingBody(io.BytesIO(body), len(body)), "ETag": '"e"'}
        )

    def nobody_holds_stable(self) -> None:
        self.on["s3"].add_client_error("get_object", "NoSuchKey")

    def folders(self, *names: str) -> None:
        self.on["s3"].add_response(
            "list_objects_v2", {"CommonPrefixes": [{"Prefix": f"releases/{n}/"} for n in names]}
        )

    def approved(self, arn: str, name: str) -> None:
        self.on["sagemaker"].add_response(
            "list_model_packages",
            {
                "ModelPackageSummaryList": [
                    {
                        "ModelPackageArn": arn,
                        "ModelPackageDescription": name,
                        "CreationTime": WHEN,
                        "ModelPackageStatus": "Completed",
                        "ModelApprovalStatus": "Approved",
                    }
                ]
            },
        )

    def function_log(self, *lines: str) -> None:
        self.on["cloudformation"].add_response(
            "describe_stacks",
            {
                "Stacks": [
                    {
                        "StackName": "cards-dev-automation",
                        "CreationTime": WHEN,
                        "StackStatus": "CREATE_COMPLETE",
                        "Outputs": [
                            {"OutputKey": f"{name}Function", "OutputValue": f"the-{name}"}
                            for name in ("RegisterModel", "CompileApproved", "PublishRelease")
                        ],
                    }
                ]
            },
            {"StackName": "cards-dev-automation"},
        )
        self.on["lambda"].add_response(
            "get_function_configuration", {"LoggingConfig": {"LogGroup": "/its/log"}}
        )
        self.on["logs"].add_response(
            "filter_log_events", {"events": [{"message": line} for line in lines]}
        )


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    monkeypatch.setattr(release_wait.time, "sleep", lambda _: None)
    made = Cloud()
    yield made
    for stub in made.on.values():
        stub.assert_no_pending_responses()


def test_version_is_followed_from_approval_to_the_channel(cloud: Cloud) -> None:
    cloud.jobs("compile-of-somebody-else")
    cloud.version()
    cloud.jobs(JOB)
    cloud.job("InProgress")
    cloud.job("Completed")
    cloud.pointer(None)
    cloud.version()
    cloud.pointer(OTHER)
    cloud.releases()
    cloud.version()
    cloud.pointer(ARN)
    assert wait_for_release(cloud.aws, STUDENT, lambda update: None) == f"{NAME}.r"


def test_release_of_an_older_version_is_not_waited_for(cloud: Cloud) -> None:
    cloud.jobs(JOB)
    cloud.job("Completed")
    cloud.pointer(OTHER)
    cloud.releases(f"{NAME}.r")
    cloud.approved(OTHER, NEWER)
    cloud.folders(f"{NAME}.r", f"{NEWER}.r")
    cloud.releases(f"{NEWER}.r")
    cloud.manifest(OTHER)
    cloud.nobody_holds_stable()
    assert wait_for_release(cloud.aws, STUDENT, lambda update: None) == f"{NAME}.r"


def test_release_that_is_about_to_be_stable_is_waited_for(cloud: Cloud) -> None:
    cloud.jobs(JOB)
    cloud.job("Completed")
    cloud.pointer(OTHER)
    cloud.releases(f"{NAME}.r")
    cloud.approved(ARN, NAME)
    cloud.folders(f"{NAME}.r")
    cloud.releases(f"{NAME}.r")
    cloud.manifest(ARN)
    cloud.nobody_holds_stable()
    cloud.version()
    cloud.pointer(ARN)
    assert wait_for_release(cloud.aws, STUDENT, lambda update: None) == f"{NAME}.r"


def test_failed_gate_is_shown_with_its_result(cloud: Cloud) -> None:
    cloud.jobs(JOB)
    cloud.job("Completed")
    cloud.pointer(None)
    cloud.version(CompileFailure="fidelity gate failed: mean cosine is 0.7")
    with pytest.raises(CliError, match=r"stage2-v1: fidelity gate failed: mean cosine is 0\.7"):
        wait_for_release(cloud.aws, STUDENT, lambda update: None)


def test_failed_compile_job_is_shown_with_its_last_log_lines(cloud: Cloud) -> None:
    cloud.jobs(JOB)
    cloud.job("Failed", ExitMessage="no card can be read")
    with pytest.raises(JobFailed, match="no card can be read"):
        wait_for_release(cloud.aws, STUDENT, lambda update: None)


def test_timeout_shows_the_functions_log(cloud: Cloud) -> None:
    cloud.jobs()
    cloud.version()
    cloud.function_log(
        "START RequestId: 1",
        "Traceback (most recent call last):\n  File ...\nValueError: the old fault",
        '{"errorType": "ClientError", "errorMessage": "AccessDeniedException: not you"}',
        "END RequestId: 1",
    )
    with pytest.raises(CliError) as caught:
        wait_for_release(cloud.aws, STUDENT, lambda update: None, patience=0)
    words = str(caught.value)
    assert f"no job compile-{NAME}-" in words
    assert "CompileApproved said: ClientError: AccessDeniedException: not you" in words
    assert "--log-group-name /its/log" in words


def test_unreadable_log_does_not_hide_other_errors(cloud: Cloud) -> None:
    cloud.on["cloudformation"].add_client_error("describe_stacks", "ValidationError", "no stack")
    assert "no stack" in last_error(cloud.aws, "RegisterModel")


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("ValueError: no", "ValueError: no"),
        (
            "registry.versions.packages.MetadataError: no",
            "registry.versions.packages.MetadataError: no",
        ),
        ('{"level": "ERROR", "message": "no"}', "no"),
        ('{"level": "INFO", "message": "an error was mended"}', ""),
        ("INIT_START Runtime Version: python:3.12", ""),
        ("note: this is no fault", ""),
        ("[1, 2]", ""),
    ],
)
def test_error_lines_are_distinguished_from_other_lines(line: str, fault: str) -> None:
    assert _error_in(line) == fault


def test_cause_below_an_error_line_is_shown(cloud: Cloud) -> None:
    cloud.function_log("x.ParamValidationError: Parameter validation failed:\nUnknown: y")
    assert "Parameter validation failed: Unknown: y" in last_error(cloud.aws, "RegisterModel")
