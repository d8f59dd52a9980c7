"""What is sent to SageMaker, held against botocore's own model of the service."""

# Over 400 lines: each test compares one field of the same request with the service model.

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3
import pytest
from botocore import model
from botocore.awsrequest import AWSResponse
from botocore.session import get_session
from botocore.validate import ParamValidator

from registry.deployment import DeployedNames
from registry.names import parse_name
from registry.versions.packages import Package
from training.config import ConfigError
from training.submission import submit

REGION = "us-east-2"
ACCOUNT = "111122223333"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
CARDS = "s3://training-bucket/cards/0123456789ab"
DEPLOYMENT = DeployedNames(
    environment="dev",
    group_name="pokemon-card-recognition-models",
    training_bucket="training-bucket",
    mlflow_bucket="mlflow-bucket",
    mlflow_uri=f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:mlflow-app/app-1",
    release_bucket="release-bucket",
    training_role_arn=f"arn:aws:iam::{ACCOUNT}:role/training",
    compile_role_arn=f"arn:aws:iam::{ACCOUNT}:role/compile",
    signing_key_arn=f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1",
    compiler="onnx-int8",
)


def package(name: str, version: int = 1) -> Package:
    """A registered version of that name."""
    return Package(
        arn=f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package/group/{version}",
        version=version,
        group="group",
        name=parse_name(name),
        approval="Approved",
        description=name,
        created=datetime(2026, 1, 2, tzinfo=UTC),
        model_data_url=f"s3://training-bucket/jobs/{name}/output/model.tar.gz",
        image="image",
        metadata={},
    )


TEACHER = package("teacher-dinov3-vits16-phase2-v1", 1)
STAGE1 = package("student-efficientnet-lite0-stage1-v4", 7)


def plan(**changes: Any) -> submit.TrainingPlan:
    """A plan of a teacher by the demo recipe, with changes."""
    given: dict[str, Any] = {
        "region": REGION,
        "kind": "teacher",
        "cards_uri": CARDS,
        "recipe": "demo",
        **changes,
    }
    return submit.plan(DEPLOYMENT, **given)


def stage2(**changes: Any) -> submit.TrainingPlan:
    """A plan of a second stage."""
    return plan(**{"kind": "student", "stage": 2, "teacher": TEACHER, "initial": STAGE1, **changes})


PLANS = {
    "teacher": lambda: plan(),
    "stage 1": lambda: plan(kind="student", stage=1, teacher=TEACHER),
    "stage 2": lambda: stage2(),
    "many GPUs, spot": lambda: stage2(
        compute=submit.Compute("ml.p4d.24xlarge", 2, spot=True), commit="a" * 40
    ),
    "every setting of the machines": lambda: stage2(
        compute=submit.Compute(
            "ml.m5.xlarge",
            max_run_seconds=7200,
            volume_gb=40,
            keep_alive_seconds=600,
            subnets=("subnet-0123456789abcdef0",),
            security_groups=("sg-0123456789abcdef0",),
            kms_key=KEY,
            tags={"Team": "vision"},
        )
    ),
    "a key, and disks of the machine's own": lambda: plan(
        compute=submit.Compute("ml.g5.xlarge", kms_key="alias/cards")
    ),
    "given weights": lambda: plan(recipe="full", weights_uri="s3://training-bucket/weights/"),
    "another region": lambda: plan(region="eu-west-1"),
}


def test_jobs_run_in_the_deployment_s_network_unless_another_is_named() -> None:
    inside = replace(
        DEPLOYMENT,
        job_subnets="subnet-0123456789abcdef0,subnet-0123456789abcdef1",
        job_security_group="sg-0123456789abcdef0",
    )
    given: dict[str, Any] = {
        "region": REGION, "kind": "teacher", "cards_uri": CARDS, "recipe": "demo"
    }  # fmt: skip
    placed = submit.plan(inside, **given).compute
    assert placed.subnets == ("subnet-0123456789abcdef0", "subnet-0123456789abcdef1")
    assert placed.security_groups == ("sg-0123456789abcdef0",)
    other = submit.Compute(
        "ml.m5.xlarge", subnets=("subnet-aaaaaaaa",), security_groups=("sg-bbbbbbbb",)
    )
    assert submit.plan(inside, **given, compute=other).compute.subnets == ("subnet-aaaaaaaa",)
    assert plan().compute.subnets == ()


@cache
def request_of(name: str) -> dict[str, Any]:
    """The SDK takes seconds for a request; tests that only read one share it."""
    return submit.request(PLANS[name]())


@pytest.mark.parametrize("name", PLANS)
def test_every_request_fits_the_service_model(name: str) -> None:
    request = request_of(name)
    shape = (
        get_session()
        .get_service_model("sagemaker")
        .operation_model("CreateTrainingJob")
        .input_shape
    )
    report = ParamValidator().validate(request, shape)
    assert not report.has_errors(), report.generate_report()
    assert list(violations(request, shape, "request")) == []


def violations(value: Any, shape: model.Shape, path: str) -> Iterator[str]:
    """What ParamValidator does not look at: patterns, longest values and enumerations."""
    if isinstance(shape, model.StructureShape):
        for name, member in value.items():
            yield from violations(member, shape.members[name], f"{path}.{name}")
    elif isinstance(shape, model.MapShape):
        for key, member in value.items():
            yield from violations(key, shape.key, f"{path} key {key}")
            yield from violations(member, shape.value, f"{path}.{key}")
    elif isinstance(shape, model.ListShape):
        for at, member in enumerate(value):
            yield from violations(member, shape.member, f"{path}[{at}]")
        if len(value) > shape.metadata.get("max", len(value)):
            yield f"{path}: {len(value)} entries"
    elif isinstance(shape, model.StringShape):
        pattern = shape.metadata.get("pattern")
        if pattern and "\\p{" not in pattern and not re.fullmatch(pattern, value):
            yield f"{path}: {value!r} does not match {pattern}"
        if len(value) > shape.metadata.get("max", len(value)):
            yield f"{path}: {len(value)} characters"
        if shape.enum and value not in shape.enum:
            yield f"{path}: {value!r} is none of {shape.enum}"


def test_request_check_finds_requests_that_aws_would_refuse() -> None:
    shape = (
        get_session()
        .get_service_model("sagemaker")
        .operation_model("CreateTrainingJob")
        .input_shape
    )
    request = deepcopy(request_of("teacher"))
    request["TrainingJobName"] = "no_underscores_please"
    request["ResourceConfig"]["InstanceType"] = "ml.none"
    assert len(list(violations(request, shape, "request"))) == 2


def test_teacher_is_sent_as_script_mode_expects() -> None:
    made = plan(hyperparameters={"steps": 12}, commit="c" * 40)
    request = submit.request(made)
    parameters = {key: json.loads(value) for key, value in request["HyperParameters"].items()}
    assert parameters["sagemaker_program"] == "training/jobs/train_teacher.py"
    assert parameters["sagemaker_submit_directory"] == (
        f"s3://training-bucket/source/{made.job_name}/source/sourcedir.tar.gz"
    )
    assert parameters["recipe"] == "demo"
    assert parameters["steps"] == 12
    assert request["OutputDataConfig"] == {"S3OutputPath": "s3://training-bucket/jobs"}
    assert request["CheckpointConfig"]["S3Uri"] == (
        f"s3://training-bucket/jobs/{made.job_name}/checkpoints"
    )
    assert request["RoleArn"] == DEPLOYMENT.training_role_arn
    assert channels(request) == {"cards": CARDS + "/"}
    assert request["Environment"]["MLFLOW_TRACKING_URI"] == DEPLOYMENT.mlflow_uri
    assert request["Environment"]["CARDS_COMMIT"] == "c" * 40
    assert "sagemaker_torch_distributed_enabled" not in parameters
    assert "DebugHookConfig" not in request
    assert request["ProfilerConfig"] == {"DisableProfiler": True}


def test_deployment_without_mlflow_names_no_tracking_server() -> None:
    made = submit.plan(
        replace(DEPLOYMENT, mlflow_uri="none"),
        region=REGION,
        kind="teacher",
        cards_uri=CARDS,
        recipe="demo",
    )
    assert "MLFLOW_TRACKING_URI" not in made.environment


def test_stage_2_gets_both_models_and_its_parent_is_stage_1() -> None:
    request = request_of("stage 2")
    assert channels(request) == {
        "cards": CARDS + "/",
        "teacher": TEACHER.model_data_url,
        "initial": STAGE1.model_data_url,
    }
    parameters = {key: json.loads(value) for key, value in request["HyperParameters"].items()}
    assert parameters["parent-model-package-arn"] == STAGE1.arn
    assert parameters["stage"] == 2


def test_stage_1_has_its_teacher_for_a_parent() -> None:
    made = plan(kind="student", stage=1, teacher=TEACHER)
    assert made.hyperparameters["parent-model-package-arn"] == TEACHER.arn
    assert set(made.channels) == {"cards", "teacher"}


@pytest.mark.parametrize("region", ["us-east-2", "eu-west-1", "eu-south-1"])
def test_mistake_03_images_match_region_and_framework_version(region: str) -> None:
    made = plan(region=region)
    for image in (made.image, made.environment["CARDS_INFERENCE_IMAGE"]):
        assert f".{region}." in image
        assert ":2.8.0-" in image


@pytest.mark.parametrize(
    ("instance", "count", "distributed"),
    [
        ("ml.m5.xlarge", 1, False),
        ("ml.g5.xlarge", 1, False),
        ("ml.g6e.16xlarge", 1, False),
        ("ml.p3.2xlarge", 1, False),
        ("ml.g5.xlarge", 2, True),
        ("ml.g5.12xlarge", 1, True),
        ("ml.p4d.24xlarge", 1, True),
        ("ml.p5en.48xlarge", 4, True),
    ],
)
def test_torchrun_starts_where_there_are_several_gpus_and_only_there(
    instance: str, count: int, distributed: bool
) -> None:
    assert plan(compute=submit.Compute(instance, count)).distributed is distributed


REFUSED = {
    "a student without a teacher": ({"kind": "student", "stage": 1}, "distilled from a teacher"),
    "a student of stage 3": ({"kind": "student", "stage": 3, "teacher": TEACHER}, "--stage 3"),
    "stage 2 without stage 1": (
        {"kind": "student", "stage": 2, "teacher": TEACHER},
        "stage-1 student",
    ),
    "stage 2 on top of a teacher": (
        {"kind": "student", "stage": 2, "teacher": TEACHER, "initial": TEACHER},
        "not from teacher-dinov3",
    ),
    "a student as a teacher": (
        {"kind": "student", "stage": 1, "teacher": STAGE1},
        "not from student-efficientnet",
    ),
    "a teacher with a parent": ({"teacher": TEACHER}, "no parent"),
    "two machines without a GPU": (
        {"compute": submit.Compute("ml.m5.xlarge", 2)},
        "--count 2",
    ),
    "no SageMaker instance": ({"compute": submit.Compute("p4d.24xlarge")}, "--instance p4d"),
    "a setting of the command's own": ({"hyperparameters": {"stage": 2}}, "--hp stage"),
    "a setting of the SDK's": ({"hyperparameters": {"sagemaker_program": "x"}}, "--hp sagemaker"),
}


@pytest.mark.parametrize(("changes", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_plan_contradicting_arguments_raises(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(submit.SubmitError, match=words):
        plan(**changes)


@pytest.mark.parametrize("changes", [{"recipe": "demmo"}, {"hyperparameters": {"learnin_rate": 1}}])
def test_wrong_setting_is_refused_before_submission(changes: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        plan(**changes)


def test_submit_sends_the_code_and_the_planned_request(tmp_path: Any) -> None:
    """The SDK's real requests, kept before they reach a network."""
    sent: list[Any] = []

    def keep(request: Any, **_: Any) -> AWSResponse:
        body = request.body
        if hasattr(body, "read"):
            body = body.read()
        sent.append((request, body))
        host = request.url.split("/")[2]
        answer = b'{"TrainingJobArn": "arn:aws:sagemaker:x"}' if "sagemaker" in host else b""
        if host.startswith("sts."):
            answer = (
                b"<GetCallerIdentityResponse><GetCallerIdentityResult><UserId>AROAROLE:someone"
                b"</UserId></GetCallerIdentityResult></GetCallerIdentityResponse>"
            )
        return AWSResponse(request.url, 200, {}, _Raw(answer))

    session = boto3.Session(
        aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION
    )
    session.events.register("before-send.*", keep)
    made = plan()
    assert submit.submit(made, session) == made.job_name

    hosts = [request.url.split("/")[2] for request, _ in sent]
    # Nobody else is called: no telemetry, no other bucket.
    assert sorted({host.split(".")[-3] for host in hosts}) == [REGION]
    uploads = [(request, body) for request, body in sent if ".s3." in request.url]
    assert [request.method for request, _ in uploads] == ["PUT"]
    upload, body = uploads[0]
    assert upload.url.endswith(f"source/{made.job_name}/source/sourcedir.tar.gz")
    assert "x-amz-server-side-encryption" not in {key.lower() for key in upload.headers}
    names = archive_names(bytes(body))
    assert {
        "requirements.txt",
        made.entry_point,
        "registry/names.py",
        "recognition/views/camera.py",
        "export/__init__.py",
    } <= names
    assert not [name for name in names if "__pycache__" in name or name.startswith("cli")]
    created = json.loads(sent[-1][1])
    expected = submit.request(made)
    expected["Tags"].append({"Key": "SubmittedBy", "Value": "AROAROLE:someone"})
    expected["Environment"]["CARDS_PAGE_SUBMITTED_BY"] = "AROAROLE:someone"
    assert created == expected


class _Raw:
    """The part of urllib3's response that botocore reads."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self._content


def archive_names(body: bytes) -> set[str]:
    """The files in an uploaded archive; boto3 may have framed it with checksums (aws-chunked)."""
    start = body.index(b"\x1f\x8b")
    with tarfile.open(fileobj=io.BytesIO(body[start:]), mode="r|gz") as tar:
        return {member.name for member in tar if member.isfile()}


def channels(request: dict[str, Any]) -> dict[str, str]:
    """Address by channel name."""
    return {
        entry["ChannelName"]: entry["DataSource"]["S3DataSource"]["S3Uri"]
        for entry in request["InputDataConfig"]
    }


def test_every_setting_of_the_machines_arrives() -> None:
    request = request_of("every setting of the machines")
    resources = request["ResourceConfig"]
    assert resources["KeepAlivePeriodInSeconds"] == 600
    assert (resources["VolumeSizeInGB"], resources["VolumeKmsKeyId"]) == (40, KEY)
    assert request["OutputDataConfig"]["KmsKeyId"] == KEY
    assert request["StoppingCondition"]["MaxRuntimeInSeconds"] == 7200
    assert request["VpcConfig"] == {
        "Subnets": ["subnet-0123456789abcdef0"],
        "SecurityGroupIds": ["sg-0123456789abcdef0"],
    }
    assert {"Key": "Team", "Value": "vision"} in request["Tags"]


def test_disks_inside_the_machine_are_given_no_key_and_that_is_said() -> None:
    """SageMaker refuses VolumeKmsKeyId for instances with local storage (ml.g5, ml.p4d, …)."""
    request = request_of("a key, and disks of the machine's own")
    assert "VolumeKmsKeyId" not in request["ResourceConfig"]
    assert request["OutputDataConfig"]["KmsKeyId"] == "alias/cards"
    made = plan(compute=submit.Compute("ml.p4d.24xlarge", kms_key="alias/cards"))
    assert any("ml.p4d.24xlarge encrypts its own disks" in note for note in made.notes)


@pytest.mark.parametrize("alias", ["alias/cards", f"arn:aws:kms:{REGION}:{ACCOUNT}:alias/cards"])
def test_alias_is_refused_where_disks_take_a_key(alias: str) -> None:
    with pytest.raises(submit.SubmitError, match=f"--kms-key {alias}: SageMaker takes no alias"):
        plan(compute=submit.Compute("ml.m5.xlarge", kms_key=alias))


def test_tag_of_the_commands_own_is_not_replaced() -> None:
    with pytest.raises(submit.SubmitError, match="--tag Recipe: is set by the command itself"):
        plan(compute=submit.Compute("ml.m5.xlarge", tags={"Recipe": "mine"}))


def test_given_weights_are_a_channel_and_stage_2_has_none() -> None:
    channels = {
        each["ChannelName"]: each["DataSource"]["S3DataSource"]["S3Uri"]
        for each in request_of("given weights")["InputDataConfig"]
    }
    assert channels["weights"] == "s3://training-bucket/weights/"
    with pytest.raises(submit.SubmitError, match=r"--weights .*stage 2 begins with stage 1"):
        stage2(weights_uri="s3://b/w.pth")
    with pytest.raises(submit.SubmitError, match="must be an S3 address"):
        plan(weights_uri="weights.pth")


def test_console_finds_every_figure_that_the_log_has() -> None:
    """Each definition reads the line that the job really prints, and no other figure."""
    import io as text

    from training.reporting.progress import ConsoleObserver
    from training.reporting.tracking import Tracker

    stream = text.StringIO()
    report = ConsoleObserver("student stage1", Tracker(), stream)
    figures = {name: float(number) for number, name in enumerate(submit.METRICS, start=1)}
    report.step(40, 300, 1600)
    report.metrics(40, figures)
    line = stream.getvalue().strip()
    assert line.startswith("student stage1: step=40/300 loss=1 ")
    definitions = request_of("teacher")["AlgorithmSpecification"]["MetricDefinitions"]
    assert len(definitions) <= 40
    for definition in definitions:
        found = re.findall(definition["Regex"], line)
        assert [float(value) for value in found] == [figures[definition["Name"]]]


def test_pack_of_too_small_scans_is_refused_before_submission() -> None:
    large = plan(cards_uri=f"{CARDS}-packed-224/")  # twice the demo recipe's 112 px
    assert large.channels["cards"] == f"{CARDS}-packed-224/"
    with pytest.raises(submit.SubmitError, match=r"packed at 208 px .* needs 224 .*--size 112"):
        plan(cards_uri=f"{CARDS}-packed-208")


def test_job_request_has_the_digests_of_its_channels() -> None:
    """An S3 address says where something lies, and not what lies there."""
    teacher = replace(TEACHER, metadata={"ModelArchive": f"{'a' * 64} v1"})
    initial = replace(STAGE1, metadata={"ModelArchive": f"{'b' * 64} v2"})
    made = stage2(teacher=teacher, initial=initial, cards_digest="c" * 64)
    digests = {
        name.removeprefix("CARDS_CHANNEL_DIGEST_"): value
        for name, value in made.environment.items()
        if name.startswith("CARDS_CHANNEL_DIGEST_")
    }
    assert digests == {"CARDS": "c" * 64, "TEACHER": "a" * 64, "INITIAL": "b" * 64}


def test_job_of_unrecorded_parents_has_no_digests_to_compare() -> None:
    assert not [name for name in stage2().environment if "DIGEST" in name]
