"""Who may do what, asked of the deployed roles: every call with every role's credentials.

A role's credentials come the way that it is used: a function's from a function that is given the
role, a job's from a job that SageMaker runs in it, a policy's for people from a user who has it. A
role may make the calls that stand beside its name, and each other call of the list is denied.
One file: the list of calls and the lists of roles are read against each other.
"""

# Over 400 lines: it is one table of calls, with every role's answer to each.

from __future__ import annotations

import contextlib
import io
import json
import uuid
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.e2e.cloud import Cloud, until

PROBE = "role-probe"
#: What the probing versions are called; no automation compiles a teacher.
NAME = "teacher-probe-phase1-v1"
STUDENT = "student-probe-stage2-v1"
COMPILED = "student-probe-onnx-v1"
FUNCTIONS = ("RegisterModel", "CompileApproved", "PublishRelease", "Reconcile")
PEOPLE = ("Approver", "Operator", "Releaser", "ImageBuilder")
_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
Client = Callable[[str], Any]


@dataclass
class Place:
    """What the calls are about, made by the account's root."""

    cloud: Cloud

    def __post_init__(self) -> None:
        self.deployment = self.cloud.deployment
        self.training, self.releases = (
            self.deployment.training_bucket,
            self.deployment.release_bucket,
        )
        self.made: list[str] = []

    @cached_property
    def version(self) -> str:
        """A version of the group that leads to nothing."""
        return self.register(self.cloud.client)

    def register(
        self, client: Client, name: str = NAME, approval: str = "PendingManualApproval"
    ) -> str:
        arn = client("sagemaker").create_model_package(
            ModelPackageGroupName=self.deployment.group_name,
            ModelPackageDescription=f"{name}: a test's",
            ModelApprovalStatus=approval,
            CustomerMetadataProperties={"ModelName": name},
        )["ModelPackageArn"]
        self.made.append(arn)
        return str(arn)

    @cached_property
    def job(self) -> str:
        """A compile job that has ended."""
        name = f"compile-{PROBE}-{uuid.uuid4().hex[:8]}"
        self.start(self.cloud.client, name)
        ended(self.cloud, name)
        return name

    def start(self, client: Client, name: str, *words: str, role: str = "", to: str = "") -> None:
        """Starts a processing job that runs a line of shell."""
        outputs = {
            "ProcessingOutputConfig": {
                "Outputs": [
                    {
                        "OutputName": "out",
                        "S3Output": {
                            "S3Uri": f"s3://{self.training}/{to}",
                            "LocalPath": "/opt/ml/processing/output",
                            "S3UploadMode": "EndOfJob",
                        },
                    }
                ]
            }
        }
        client("sagemaker").create_processing_job(
            ProcessingJobName=name,
            RoleArn=role or self.deployment.compile_role_arn,
            AppSpecification={
                "ImageUri": "image",
                "ContainerEntrypoint": ["bash", "-c", " ".join(words) or "true"],
            },
            ProcessingResources={
                "ClusterConfig": {
                    "InstanceCount": 1,
                    "InstanceType": "ml.m5.large",
                    "VolumeSizeInGB": 1,
                }
            },
            **(outputs if to else {}),
        )

    @cached_property
    def outputs(self) -> dict[str, str]:
        stacks = self.cloud.client("cloudformation").describe_stacks()["Stacks"]
        return {o["OutputKey"]: o["OutputValue"] for s in stacks for o in s.get("Outputs", [])}

    @cached_property
    def queue(self) -> str:
        """The queue of what the compile function failed on."""
        urls = self.cloud.client("sqs").list_queues()["QueueUrls"]
        return next(url for url in urls if "CompileApprovedFailed" in url)

    @cached_property
    def rule(self) -> str:
        rules = self.cloud.client("events").list_rules()["Rules"]
        return next(rule["Name"] for rule in rules if "CompileApprovedRule" in rule["Name"])

    def clean(self) -> None:
        """Removes what the calls have left, but jobs, which stay."""
        sagemaker, s3 = self.cloud.client("sagemaker"), self.cloud.client("s3")
        for arn in self.made:
            sagemaker.delete_model_package(ModelPackageName=arn)
        for row in sagemaker.list_artifacts(SourceUri=PROBE)["ArtifactSummaries"]:
            sagemaker.delete_artifact(ArtifactArn=row["ArtifactArn"])
        for bucket in (self.training, self.releases):
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
                for key in (entry["Key"] for entry in page.get("Contents", [])):
                    if PROBE in key or key.endswith(".hold.json"):
                        s3.delete_object(Bucket=bucket, Key=key)


def ended(cloud: Cloud, job: str) -> None:
    sagemaker = cloud.client("sagemaker")

    def completed() -> bool:
        found = sagemaker.describe_processing_job(ProcessingJobName=job)
        assert found["ProcessingJobStatus"] in ("InProgress", "Completed"), found
        return bool(found["ProcessingJobStatus"] == "Completed")

    until(completed, 60, f"{job} has ended")


# ---- Credentials


def of_function(place: Place, function: str) -> dict[str, str]:
    """From a function of the test's own in the role of a deployed one."""
    lambda_ = place.cloud.client("lambda")
    configuration = lambda_.get_function_configuration(FunctionName=place.cloud.function(function))
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr(
            "probe.py",
            f"import os\ndef handler(*_):\n return {{key: os.environ[key] for key in {_KEYS}}}",
        )
    lambda_.create_function(
        FunctionName=f"{PROBE}-{function}",
        Runtime="python3.12",
        Role=configuration["Role"],
        Handler="probe.handler",
        Code={"ZipFile": body.getvalue()},
    )
    answer = lambda_.invoke(FunctionName=f"{PROBE}-{function}", Payload=b"{}")
    lambda_.delete_function(FunctionName=f"{PROBE}-{function}")
    return dict(json.loads(answer["Payload"].read()))


def of_job(place: Place, role: str, folder: str) -> dict[str, str]:
    """From a job that SageMaker runs in the role, which leaves them where the role may write."""
    name = f"{PROBE}-{uuid.uuid4().hex[:8]}"
    line = "env | grep ^AWS_ > /opt/ml/processing/output/env"
    place.start(place.cloud.client, name, line, role=role, to=f"{folder}{name}")
    ended(place.cloud, name)
    answer = place.cloud.client("s3").get_object(Bucket=place.training, Key=f"{folder}{name}/env")
    lines = answer["Body"].read().decode().splitlines()
    found = dict(line.partition("=")[::2] for line in lines)
    return {key: found[key] for key in _KEYS}


@contextlib.contextmanager
def of_person(place: Place, policy: str) -> Iterator[dict[str, str]]:
    """From a user who has one of the policies for people, and nothing else."""
    iam, name = place.cloud.client("iam"), f"{PROBE}-{policy}"
    arn = place.outputs[f"{policy}PolicyArn"]
    iam.create_user(UserName=name)
    iam.attach_user_policy(UserName=name, PolicyArn=arn)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    yield dict(zip(_KEYS, (key["AccessKeyId"], key["SecretAccessKey"]), strict=False))
    iam.delete_access_key(UserName=name, AccessKeyId=key["AccessKeyId"])
    iam.detach_user_policy(UserName=name, PolicyArn=arn)
    iam.delete_user(UserName=name)


@pytest.fixture(scope="module")
def place(deployed: Cloud) -> Iterator[Place]:
    found = Place(deployed)
    s3 = deployed.client("s3")
    for bucket, keys in (
        (found.training, ("cards/", "jobs/", "source/", "compilations/", "names/", "approved/")),
        (found.training, ("report-pages/",)),
        (found.releases, ("releases/", "channels/")),
    ):
        for key in keys:
            s3.put_object(Bucket=bucket, Key=f"{key}{PROBE}/file", Body=b"x")
    for kind in ("TrainingJobs", "ProcessingJobs"):
        with contextlib.suppress(deployed.client("logs").exceptions.ResourceAlreadyExistsException):
            deployed.client("logs").create_log_group(logGroupName=f"/aws/sagemaker/{kind}")
    yield found
    found.clean()


@pytest.fixture(scope="module")
def clients(place: Place) -> Iterator[dict[str, Client]]:
    """What makes the clients of each role."""
    deployment = place.deployment
    with contextlib.ExitStack() as people:
        credentials = {
            "TrainingRole": of_job(place, deployment.training_role_arn, "jobs/"),
            "CompileRole": of_job(place, deployment.compile_role_arn, "compilations/"),
            **{name: of_function(place, name) for name in FUNCTIONS},
            **{name: people.enter_context(of_person(place, name)) for name in PEOPLE},
        }
        yield {name: client_of(place.cloud, keys) for name, keys in credentials.items()}


def client_of(cloud: Cloud, keys: dict[str, str]) -> Client:
    session = boto3.Session(
        **{key.lower(): value for key, value in keys.items()},
        region_name=cloud.variables["AWS_REGION"],
    )
    return cache(partial(session.client, endpoint_url=cloud.variables["AWS_ENDPOINT_URL"]))


# ---- Calls

Call = Callable[[Client, Place], Any]


def get(bucket: str, key: str) -> Call:
    return lambda c, p: c("s3").get_object(Bucket=getattr(p, bucket), Key=key)


def put(bucket: str, key: str) -> Call:
    return lambda c, p: c("s3").put_object(Bucket=getattr(p, bucket), Key=key, Body=b"x")


def put_new(bucket: str, key: str) -> Call:
    return lambda c, p: c("s3").put_object(
        Bucket=getattr(p, bucket), Key=key, Body=b"x", IfNoneMatch="*"
    )


def delete(bucket: str, key: str) -> Call:
    return lambda c, p: c("s3").delete_object(Bucket=getattr(p, bucket), Key=key)


def invoke(function: str) -> Call:
    """Asks for the right alone: a dry run."""
    return lambda c, p: c("lambda").invoke(
        FunctionName=p.cloud.function(function), InvocationType="DryRun"
    )


def update(**change: Any) -> Call:
    return lambda c, p: c("sagemaker").update_model_package(ModelPackageArn=p.version, **change)


def measure(kind: str) -> Call:
    return lambda c, p: c("cloudwatch").put_metric_data(
        Namespace=f"/aws/sagemaker/{kind}", MetricData=[{"MetricName": PROBE, "Value": 1.0}]
    )


def log(kind: str) -> Call:
    return lambda c, p: c("logs").create_log_stream(
        logGroupName=f"/aws/sagemaker/{kind}", logStreamName=f"{PROBE}/{uuid.uuid4().hex}"
    )


OTHER_MODEL = {
    "Containers": [{"Image": "image", "ModelDataUrl": "s3://other/model.tar.gz"}],
    "SupportedContentTypes": ["application/x-npy"],
    "SupportedResponseMIMETypes": ["application/x-npy"],
}


def new_job() -> str:
    return f"{PROBE}-{uuid.uuid4().hex[:8]}"


CALLS: dict[str, Call] = {
    # Versions
    "describe-version": lambda c, p: c("sagemaker").describe_model_package(
        ModelPackageName=p.version
    ),
    "list-versions": lambda c, p: c("sagemaker").list_model_packages(
        ModelPackageGroupName=p.deployment.group_name
    ),
    "describe-group": lambda c, p: c("sagemaker").describe_model_package_group(
        ModelPackageGroupName=p.deployment.group_name
    ),
    "search": lambda c, p: c("sagemaker").search(Resource="ModelPackage"),
    "register": lambda c, p: p.register(c),
    "register-approved-teacher": lambda c, p: p.register(c, approval="Approved"),
    "register-approved-student": lambda c, p: p.register(c, STUDENT, "Approved"),
    "register-compiled": lambda c, p: p.register(c, COMPILED, "Approved"),
    "approve": update(ModelApprovalStatus="Approved"),
    "reject": update(ModelApprovalStatus="Rejected"),
    "approve-with-a-note": update(
        ModelApprovalStatus="Approved", CustomerMetadataProperties={"Note": PROBE}
    ),
    "note": update(CustomerMetadataProperties={"Note": PROBE}),
    "record-release": update(CustomerMetadataProperties={"Release": PROBE}),
    "remove-release": update(CustomerMetadataPropertiesToRemove=["Release"]),
    "rewrite-metrics": update(CustomerMetadataProperties={"Top1": "1"}),
    "rewrite-metrics-approving": update(
        ModelApprovalStatus="Approved", CustomerMetadataProperties={"Top1": "1"}
    ),
    "rewrite-card-set-approving": update(
        ModelApprovalStatus="Approved",
        CustomerMetadataProperties={"CardSetUri": "s3://other/cards/"},
    ),
    "remove-metrics-approving": update(
        ModelApprovalStatus="Approved", CustomerMetadataPropertiesToRemove=["Top1"]
    ),
    "replace-model": update(InferenceSpecification=OTHER_MODEL),
    # SageMaker has no condition key for the artifact's address: its bytes are compared instead.
    "replace-model-approving": update(
        ModelApprovalStatus="Approved", InferenceSpecification=OTHER_MODEL
    ),
    "set-stage": update(ModelLifeCycle={"Stage": "Stable", "StageStatus": "Released"}),
    "set-stage-approving": update(
        ModelApprovalStatus="Approved",
        ModelLifeCycle={"Stage": "Stable", "StageStatus": "Released"},
    ),
    "delete-version": lambda c, p: c("sagemaker").delete_model_package(ModelPackageName=p.version),
    # Jobs
    "start-compile-job": lambda c, p: p.start(c, f"compile-{new_job()}"),
    "start-other-job": lambda c, p: p.start(c, new_job()),
    "start-compile-job-as-trainer": lambda c, p: p.start(
        c, f"compile-{new_job()}", role=p.deployment.training_role_arn
    ),
    "describe-compile-job": lambda c, p: c("sagemaker").describe_processing_job(
        ProcessingJobName=p.job
    ),
    "stop-compile-job": lambda c, p: c("sagemaker").stop_processing_job(ProcessingJobName=p.job),
    "list-compile-jobs": lambda c, p: c("sagemaker").list_processing_jobs(),
    "start-training-job": lambda c, p: c("sagemaker").create_training_job(
        TrainingJobName=new_job(),
        RoleArn=p.deployment.training_role_arn,
        AlgorithmSpecification={"TrainingImage": "image", "TrainingInputMode": "File"},
        OutputDataConfig={"S3OutputPath": f"s3://{p.training}/jobs"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    ),
    "describe-training-job": lambda c, p: c("sagemaker").describe_training_job(
        TrainingJobName=PROBE
    ),
    "list-training-jobs": lambda c, p: c("sagemaker").list_training_jobs(),
    "training-metric": measure("TrainingJobs"),
    "processing-metric": measure("ProcessingJobs"),
    "metric-of-ours": lambda c, p: c("cloudwatch").put_metric_data(
        Namespace="CardRegistry", MetricData=[{"MetricName": "Released", "Value": 1.0}]
    ),
    "training-log": log("TrainingJobs"),
    "processing-log": log("ProcessingJobs"),
    # Lineage and MLflow
    "write-lineage": lambda c, p: c("sagemaker").create_artifact(
        ArtifactName=PROBE, ArtifactType="Model", Source={"SourceUri": PROBE}
    ),
    "list-lineage": lambda c, p: c("sagemaker").list_artifacts(SourceUri=PROBE),
    "describe-mlflow": lambda c, p: c("sagemaker").describe_mlflow_app(Arn=p.deployment.mlflow_uri),
    # The training bucket
    "read-cards": get("training", f"cards/{PROBE}/file"),
    "write-cards": put_new("training", f"cards/{PROBE}/file"),
    "list-cards": lambda c, p: c("s3").list_objects_v2(Bucket=p.training, Prefix="cards/"),
    "list-training-bucket": lambda c, p: c("s3").list_objects_v2(Bucket=p.training),
    "read-job": get("training", f"jobs/{PROBE}/file"),
    "write-job": put("training", f"jobs/{PROBE}/file"),
    "read-approved": get("training", f"approved/{PROBE}/file"),
    "write-approved": put("training", f"approved/{PROBE}/file"),
    "read-source": get("training", f"source/{PROBE}/file"),
    "read-compilation": get("training", f"compilations/{PROBE}/file"),
    "write-compilation": put("training", f"compilations/{PROBE}/file"),
    "read-name": get("training", f"names/{PROBE}/file"),
    "claim-name": put_new("training", f"names/{PROBE}/file"),
    "overwrite-cards": put("training", f"cards/{PROBE}/file"),
    "overwrite-name": put("training", f"names/{PROBE}/file"),
    "write-quality": put("training", f"model-quality/{PROBE}/file"),
    "read-report-page": get("training", f"report-pages/{PROBE}/file"),
    "write-report-page": put("training", f"report-pages/{PROBE}/file"),
    "write-reconciler": put("training", f"reconciler/{PROBE}.json"),
    # The release bucket
    "read-release": get("releases", f"releases/{PROBE}/file"),
    "write-release": put("releases", f"releases/{PROBE}/model.onnx"),
    "write-manifest": put_new("releases", f"releases/{PROBE}/manifest.json"),
    "withdraw-release": delete("releases", f"releases/{PROBE}/manifest.json"),
    "delete-release-file": delete("releases", f"releases/{PROBE}/file"),
    "read-channel": get("releases", f"channels/{PROBE}/file"),
    "write-channel": put("releases", f"channels/{PROBE}.json"),
    "delete-channel": delete("releases", f"channels/{PROBE}.json"),
    "hold-stable": put("releases", "channels/stable.hold.json"),
    "end-hold-of-stable": delete("releases", "channels/stable.hold.json"),
    "write-key": put_new("releases", f"keys/{PROBE}.pem"),
    "overwrite-manifest": put("releases", f"releases/{PROBE}/manifest.json"),
    "overwrite-key": put("releases", f"keys/{PROBE}.pem"),
    # The key, people, functions
    "sign": lambda c, p: c("kms").sign(
        KeyId=p.deployment.signing_key_arn,
        Message=b"x",
        MessageType="RAW",
        SigningAlgorithm="ECDSA_SHA_256",
    ),
    "read-public-key": lambda c, p: c("kms").get_public_key(KeyId=p.deployment.signing_key_arn),
    "describe-key": lambda c, p: c("kms").describe_key(KeyId=p.deployment.signing_key_arn),
    "publish-notice": lambda c, p: c("sns").publish(
        TopicArn=p.deployment.notice_topic_arn, Message=PROBE
    ),
    **{f"call-{name}": invoke(name) for name in FUNCTIONS},
    "describe-function": lambda c, p: c("lambda").get_function_configuration(
        FunctionName=p.cloud.function("CompileApproved")
    ),
    "change-function": lambda c, p: c("lambda").update_function_configuration(
        FunctionName=p.cloud.function("CompileApproved"), Description=PROBE
    ),
    "describe-queue": lambda c, p: c("sqs").get_queue_attributes(QueueUrl=p.queue),
    "take-from-queue": lambda c, p: c("sqs").receive_message(QueueUrl=p.queue),
    "describe-rule": lambda c, p: c("events").describe_rule(Name=p.rule),
    "disable-rule": lambda c, p: c("events").disable_rule(Name=p.rule),
    "describe-access-stack": lambda c, p: c("cloudformation").describe_stacks(
        StackName="cards-dev-access"
    ),
    "list-automation-stack": lambda c, p: c("cloudformation").list_stack_resources(
        StackName="cards-dev-automation"
    ),
    "read-parameters": lambda c, p: c("ssm").get_parameters_by_path(Path="/cards/dev/"),
    "write-parameter": lambda c, p: c("ssm").put_parameter(
        Name="/cards/dev/group-name", Value=PROBE, Type="String", Overwrite=True
    ),
    # Rights
    "widen-rights": lambda c, p: c("iam").put_role_policy(
        RoleName=p.deployment.training_role_arn.rpartition("/")[2],
        PolicyName=PROBE,
        PolicyDocument="{}",
    ),
    "simulate-rights": lambda c, p: c("iam").simulate_principal_policy(
        PolicySourceArn=p.deployment.training_role_arn, ActionNames=["s3:GetObject"]
    ),
    "become-trainer": lambda c, p: c("sts").assume_role(
        RoleArn=p.deployment.training_role_arn, RoleSessionName=PROBE
    ),
    # The compiler's image
    "sign-in-to-ecr": lambda c, p: c("ecr").get_authorization_token(),
    "push-image": lambda c, p: c("ecr").initiate_layer_upload(
        repositoryName=p.deployment.compiler_repository.rpartition("/")[2]
    ),
}
#: What is no more than an answer of the service, where the call is allowed.
ANSWERED = {
    "describe-training-job": "ValidationException",  # There is none of that name.
    "stop-compile-job": "ValidationException",  # It has ended.
    "claim-name": "PreconditionFailed",  # It has an owner.
}

_LOOK_AT_VERSIONS = "describe-version list-versions"
_LOOK_AT_RELEASES = "read-compilation read-release read-channel"
MAY = {
    "TrainingRole": "read-cards list-cards read-job write-job read-source training-metric "
    "training-log describe-mlflow sign-in-to-ecr",
    "CompileRole": "read-cards list-cards read-approved write-compilation processing-metric "
    "processing-log sign-in-to-ecr",
    "RegisterModel": f"{_LOOK_AT_VERSIONS} register register-approved-teacher "
    "describe-training-job read-job read-name "
    "claim-name write-quality write-report-page publish-notice",
    "CompileApproved": f"{_LOOK_AT_VERSIONS} {_LOOK_AT_RELEASES} start-compile-job "
    "describe-compile-job stop-compile-job list-compile-jobs describe-training-job write-lineage "
    "list-lineage read-job read-name read-approved write-approved call-PublishRelease",
    "PublishRelease": f"{_LOOK_AT_VERSIONS} {_LOOK_AT_RELEASES} register-compiled note "
    "record-release remove-release replace-model set-stage "
    "describe-compile-job list-compile-jobs read-job read-approved read-name claim-name "
    "write-quality write-release write-manifest withdraw-release write-channel hold-stable "
    "write-key sign read-public-key publish-notice",
    "Reconcile": f"{_LOOK_AT_VERSIONS} {_LOOK_AT_RELEASES} describe-training-job "
    "list-training-jobs describe-compile-job list-compile-jobs list-lineage read-name "
    "read-job read-approved write-reconciler call-RegisterModel call-CompileApproved "
    "call-PublishRelease",
    "Approver": f"{_LOOK_AT_VERSIONS} describe-group search approve reject approve-with-a-note "
    "replace-model-approving read-parameters read-report-page",
    "Operator": f"{_LOOK_AT_VERSIONS} {_LOOK_AT_RELEASES} describe-group list-compile-jobs "
    "list-cards list-training-bucket describe-mlflow describe-key describe-function describe-queue "
    "describe-rule describe-access-stack list-automation-stack read-parameters simulate-rights "
    "read-report-page",
    "Releaser": f"{_LOOK_AT_VERSIONS} {_LOOK_AT_RELEASES} describe-training-job "
    "list-training-jobs describe-compile-job list-compile-jobs list-lineage read-name hold-stable "
    "end-hold-of-stable read-public-key call-RegisterModel call-CompileApproved "
    "call-PublishRelease call-Reconcile describe-function describe-queue take-from-queue "
    "list-automation-stack read-parameters",
    "ImageBuilder": "read-parameters sign-in-to-ecr push-image",
}


def is_denied(error: ClientError) -> bool:
    code = error.response["Error"]["Code"]
    return "AccessDenied" in code or code in ("AuthorizationError", "UnauthorizedOperation")


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("role", MAY)
def test_role_may_make_its_calls_and_no_others(
    place: Place, clients: dict[str, Client], role: str, call: str
) -> None:
    allowed = call in MAY[role].split()
    try:
        CALLS[call](clients[role], place)
    except ClientError as error:
        if is_denied(error):
            assert not allowed, error
        else:
            assert allowed, f"{role} was not denied: {error}"
            assert error.response["Error"]["Code"] == ANSWERED.get(call), error
    else:
        assert allowed, f"{role} was not denied"


def test_every_grant_of_a_role_is_in_the_list_of_calls() -> None:
    assert {call for calls in MAY.values() for call in calls.split()} <= set(CALLS)
