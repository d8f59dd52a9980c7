"""Jobs run as SageMaker runs them: role, channels, script mode, outputs, events, reasons."""

# Over 400 lines: all tests send jobs to one server, which is started once.

from __future__ import annotations

import importlib.util
import io
import json
import tarfile
import textwrap
import zipfile
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud import LocalCloud
from tests.running_cloud import Client, client_of, make_role, queue_of, received, until

pytestmark = pytest.mark.processes

IMAGE = "763104351884.dkr.ecr.us-east-2.amazonaws.com/pytorch-training:2.8.0-cpu-py312"
SCRIPT = textwrap.dedent(
    """
    import argparse, json, os, pathlib, signal, sys, time
    import helper  # beside this file: PYTHONPATH holds the code's folder
    parser = argparse.ArgumentParser()
    parser.add_argument("--mode"); parser.add_argument("--rate", type=float)
    options = parser.parse_args()
    print("loss=0.5", flush=True)
    if options.mode == "fail":
        pathlib.Path(os.environ["SM_OUTPUT_DIR"], "failure").write_text("the data is bad")
        sys.exit(3)
    if options.mode in ("wait", "deaf"):
        pathlib.Path(os.environ["SM_MODEL_DIR"], "half").write_text("half a model")
        save = lambda *_: sys.exit(0)
        signal.signal(signal.SIGTERM, signal.SIG_IGN if options.mode == "deaf" else save)
        print("waiting", flush=True)
        time.sleep(60)
    if options.mode == "continue":
        kept = pathlib.Path("/opt/ml/checkpoints".replace("/opt/ml", os.environ["ROOT"]), "step")
        kept.write_text(str(int(kept.read_text()) + 1) if kept.exists() else "1")
    reported = {key: value for key, value in os.environ.items()}
    channel = pathlib.Path(os.environ["SM_CHANNEL_CARDS"])
    reported["files"] = sorted(p.relative_to(channel).as_posix() for p in channel.rglob("*.txt"))
    reported["rate"] = options.rate
    pathlib.Path(os.environ["SM_MODEL_DIR"], "reported.json").write_text(json.dumps(reported))
    pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"], "note.txt").write_text("measured")
    """
)


@pytest.fixture(scope="module")
def source(client: Client, bucket: str) -> str:
    s3 = client("s3")
    put_source(client, "source.tar.gz", {"train.py": SCRIPT.encode(), "helper.py": b""})
    for name in ("cards/a/one.txt", "cards/b/two.txt"):
        s3.put_object(Bucket=bucket, Key=f"allowed/{name}", Body=b"x")
    s3.put_object(Bucket=bucket, Key="forbidden/one.txt", Body=b"x")
    return f"s3://{bucket}/allowed/source.tar.gz"


def training(name: str, role: str, source: str, **changes: Any) -> dict[str, Any]:
    mode = changes.pop("mode", "work")
    prefix = changes.pop("cards", "allowed/cards/")
    return {
        "TrainingJobName": name,
        "RoleArn": role,
        "AlgorithmSpecification": {
            "TrainingImage": IMAGE,
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9.]+)"}],
        },
        "HyperParameters": {
            "sagemaker_program": json.dumps("train.py"),
            "sagemaker_submit_directory": json.dumps(source),
            "mode": json.dumps(mode),
            "rate": json.dumps(0.25),
        },
        "InputDataConfig": [
            {
                "ChannelName": "cards",
                "DataSource": {
                    "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://work/{prefix}"}
                },
            }
        ],
        "OutputDataConfig": {"S3OutputPath": "s3://work/allowed/jobs"},
        "ResourceConfig": {
            "InstanceType": "ml.m5.xlarge",
            "InstanceCount": 1,
            "VolumeSizeInGB": 10,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        "Environment": {"HERE": "/opt/ml/model", "ROOT": "/opt/ml"},
        **changes,
    }


def ended(client: Client, name: str) -> dict[str, Any]:
    sagemaker = client("sagemaker")

    def read() -> dict[str, Any] | None:
        job = sagemaker.describe_training_job(TrainingJobName=name)
        return job if job["TrainingJobStatus"] not in ("InProgress", "Stopping") else None

    return dict(until(read))


def job_is_training(client: Client, name: str) -> bool:
    job = client("sagemaker").describe_training_job(TrainingJobName=name)
    return bool(job["SecondaryStatus"] == "Training")


METADATA = "Metadata-Version: 2.1\nName: only_of_this_job\nVersion: 1.0\n"


def put_source(client: Client, key: str, files: dict[str, bytes]) -> None:
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    client("s3").put_object(Bucket="work", Key=f"allowed/{key}", Body=body.getvalue())


def user(cloud: LocalCloud, client: Client, name: str, statements: list[dict[str, Any]]) -> Any:
    """A SageMaker client of a new user."""
    iam = client("iam")
    iam.create_user(UserName=name)
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return client_of(
        cloud,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )("sagemaker")


def test_script_mode_runs_with_channels_parameters_role_and_a_clean_environment(
    client: Client, role: str, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client("sagemaker").create_training_job(**training("works", role, source))
    job = ended(client, "works")
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    artifact = job["ModelArtifacts"]["S3ModelArtifacts"]
    assert artifact == "s3://work/allowed/jobs/works/output/model.tar.gz"
    body = client("s3").get_object(Bucket="work", Key="allowed/jobs/works/output/model.tar.gz")
    with tarfile.open(fileobj=io.BytesIO(body["Body"].read())) as tar:
        reported = json.loads(tar.extractfile("reported.json").read())  # type: ignore[union-attr]
    assert reported["files"] == ["a/one.txt", "b/two.txt"]
    assert reported["rate"] == 0.25
    assert reported["HERE"] == reported["SM_MODEL_DIR"] != "/opt/ml/model"
    assert reported["AWS_ACCESS_KEY_ID"].startswith("ASIA"), (
        "the role's credentials, not the caller's"
    )
    assert not [key for key in reported if key.startswith(("LOCALCLOUD_", "MINISTACK_", "PYTEST_"))]
    assert client("s3").head_object(Bucket="work", Key="allowed/jobs/works/output/output.tar.gz")
    assert job["FinalMetricDataList"][0]["Value"] == pytest.approx(0.5)
    assert [t["Status"] for t in job["SecondaryStatusTransitions"]][-1] == "Completed"


def test_log_is_in_cloudwatch(client: Client, role: str, source: str) -> None:
    ended(client, "works")
    events = client("logs").filter_log_events(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix="works/algo-1-"
    )["events"]
    assert "loss=0.5" in [event["message"] for event in events]


def test_failed_job_has_its_failure_file_as_reason(client: Client, role: str, source: str) -> None:
    client("sagemaker").create_training_job(**training("fails", role, source, mode="fail"))
    job = ended(client, "fails")
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == "AlgorithmError: the data is bad, exit code: 3"


def test_role_that_may_not_read_the_data_fails_the_job(
    client: Client, role: str, source: str
) -> None:
    client("sagemaker").create_training_job(**training("denied", role, source, cards="forbidden/"))
    reason = ended(client, "denied")["FailureReason"]
    assert "Data download failed" in reason and ("403" in reason or "AccessDenied" in reason)


@pytest.mark.parametrize(
    ("kind", "words"),
    [("training", "Requested resource not found"), ("processing", "Could not find requested job")],
)
def test_unknown_job_is_missing_in_the_words_that_aws_says(
    client: Client, kind: str, words: str
) -> None:
    describe = getattr(client("sagemaker"), f"describe_{kind}_job")
    with pytest.raises(ClientError, match=words) as refused:
        describe(**{f"{kind.capitalize()}JobName": "nobody"})
    assert refused.value.response["Error"]["Code"] == "ValidationException"


def test_job_sends_events_with_times_in_milliseconds(
    client: Client, role: str, source: str
) -> None:
    url, queue = queue_of(client, "training-events")
    pattern = {
        "source": ["aws.sagemaker"],
        "detail-type": ["SageMaker Training Job State Change"],
        "detail": {"TrainingJobName": ["reported"]},
    }
    client("events").put_rule(Name="training", EventPattern=json.dumps(pattern))
    client("events").put_targets(Rule="training", Targets=[{"Id": "1", "Arn": queue}])
    client("sagemaker").create_training_job(**training("reported", role, source))
    arn = ended(client, "reported")["TrainingJobArn"]
    events = [json.loads(message["Body"]) for message in received(client, url)]
    details = {event["detail"]["TrainingJobStatus"]: event["detail"] for event in events}
    assert set(details) == {"InProgress", "Completed"}
    assert all(event["resources"] == [arn] for event in events)
    done = details["Completed"]
    assert done["OutputDataConfig"]["S3OutputPath"] == "s3://work/allowed/jobs"
    times = [done["CreationTime"], done["TrainingEndTime"]]
    times += [entry["StartTime"] for entry in done["SecondaryStatusTransitions"]]
    assert all(isinstance(t, str) and int(t) > 1_600_000_000_000 for t in times)


def test_waiting_job_is_stopped_at_once(client: Client, role: str, source: str) -> None:
    sagemaker = client("sagemaker")
    sagemaker.create_training_job(**training("first", role, source, mode="wait"))
    sagemaker.create_training_job(**training("second", role, source))
    sagemaker.stop_training_job(TrainingJobName="second")
    job = sagemaker.describe_training_job(TrainingJobName="second")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert "TrainingStartTime" not in job
    until(lambda: job_is_training(client, "first"))
    sagemaker.stop_training_job(TrainingJobName="first")
    ended(client, "first")


@pytest.mark.parametrize("mode", ["wait", "deaf"])
def test_job_that_runs_out_of_time_is_stopped_and_its_model_kept(
    client: Client, role: str, source: str, mode: str
) -> None:
    request = training(f"late-{mode}", role, source, mode=mode)
    request["StoppingCondition"] = {"MaxRuntimeInSeconds": 1}
    client("sagemaker").create_training_job(**request)
    job = ended(client, f"late-{mode}")
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert "FailureReason" not in job
    assert job["ModelArtifacts"]["S3ModelArtifacts"].endswith(f"/late-{mode}/output/model.tar.gz")


def test_job_continues_from_the_checkpoints_of_an_earlier_one(
    client: Client, role: str, source: str
) -> None:
    for name in ("begins", "goes-on"):
        request = training(name, role, source, mode="continue")
        request["CheckpointConfig"] = {"S3Uri": "s3://work/allowed/checkpoints"}
        client("sagemaker").create_training_job(**request)
        job = ended(client, name)
        assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    body = client("s3").get_object(Bucket="work", Key="allowed/checkpoints/step")["Body"]
    assert body.read() == b"2"


def test_requirements_are_installed_for_the_job_alone(client: Client, role: str) -> None:
    wheel = io.BytesIO()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("only_of_this_job.py", "WORD = 'installed'")
        about = "only_of_this_job-1.0.dist-info"
        archive.writestr(f"{about}/METADATA", METADATA)
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\n")
        archive.writestr(f"{about}/RECORD", "")
    name = "only_of_this_job-1.0-py3-none-any.whl"
    code = b"import only_of_this_job as o; print('word=' + o.WORD)"
    put_source(
        client,
        "requires.tar.gz",
        {"train.py": code, "requirements.txt": f"./{name}\n".encode(), name: wheel.getvalue()},
    )
    request = training("requires", role, "s3://work/allowed/requires.tar.gz")
    client("sagemaker").create_training_job(**request)
    job = ended(client, "requires")
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert importlib.util.find_spec("only_of_this_job") is None


def test_missing_requirement_is_the_failure_reason(client: Client, role: str) -> None:
    files = {"train.py": b"", "requirements.txt": b"./not-there-1.0-py3-none-any.whl\n"}
    put_source(client, "missing.tar.gz", files)
    request = training("missing", role, "s3://work/allowed/missing.tar.gz")
    client("sagemaker").create_training_job(**request)
    reason = ended(client, "missing")["FailureReason"]
    assert "InstallRequirementsError" in reason and "not-there" in reason


def test_archive_with_paths_outside_its_folder_is_refused(client: Client, role: str) -> None:
    put_source(client, "climbs.tar.gz", {"train.py": b"", "../../../escaped": b"x"})
    client("sagemaker").create_training_job(
        **training("climbs", role, "s3://work/allowed/climbs.tar.gz")
    )
    assert (
        "'../../../escaped' in the code's archive is refused"
        in ended(client, "climbs")["FailureReason"]
    )


def test_entry_point_of_its_own_runs_without_the_toolkit(
    client: Client, role: str, source: str
) -> None:
    request = training("entry", role, source)
    script = "env | grep ^SM_; cp /opt/ml/input/config/hyperparameters.json $1 && test -z $SM_HPS"
    request["AlgorithmSpecification"] |= {
        "ContainerEntrypoint": ["bash", "-c", script, "--"],
        "ContainerArguments": ["/opt/ml/model"],
    }
    client("sagemaker").create_training_job(**request)
    job = ended(client, "entry")
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"InputMode": "Pipe"}, "Pipe is not here"),
        ({"CompressionType": "Gzip"}, "CompressionType"),
    ],
)
def test_input_that_a_folder_cannot_replace_is_refused(
    client: Client, role: str, source: str, change: dict[str, str], words: str
) -> None:
    name = f"refused-{next(iter(change)).lower()}"
    request = training(name, role, source)
    request["InputDataConfig"][0] |= change
    client("sagemaker").create_training_job(**request)
    assert words in ended(client, name)["FailureReason"]


def test_tags_at_creation_need_a_permission_of_their_own(
    cloud: LocalCloud, client: Client, role: str, source: str
) -> None:
    statements = [
        {"Effect": "Allow", "Action": "sagemaker:CreateTrainingJob", "Resource": "*"},
        {"Effect": "Allow", "Action": "iam:PassRole", "Resource": role},
    ]
    starter = user(cloud, client, "untagging", statements)
    request = training("tagged", role, source)
    with pytest.raises(ClientError, match="sagemaker:AddTags"):
        starter.create_training_job(**request, Tags=[{"Key": "a", "Value": "b"}])
    starter.create_training_job(**request)
    ended(client, "tagged")


def test_job_is_stopped(client: Client, role: str, source: str) -> None:
    sagemaker = client("sagemaker")
    sagemaker.create_training_job(**training("stops", role, source, mode="wait"))
    until(lambda: job_is_training(client, "stops"))
    sagemaker.stop_training_job(TrainingJobName="stops")
    assert ended(client, "stops")["TrainingJobStatus"] == "Stopped"
    with pytest.raises(ClientError, match="in status Stopped"):
        sagemaker.stop_training_job(TrainingJobName="stops")


def test_name_is_used_once(client: Client, role: str, source: str) -> None:
    with pytest.raises(ClientError) as error:
        client("sagemaker").create_training_job(**training("works", role, source))
    assert error.value.response["Error"]["Code"] == "ResourceInUse"


def test_role_that_does_not_trust_sagemaker_is_refused(
    client: Client, role: str, source: str
) -> None:
    other = make_role(
        client,
        "for-lambda",
        "lambda.amazonaws.com",
        [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::work/*"}],
    )
    with pytest.raises(ClientError, match="Could not assume role"):
        client("sagemaker").create_training_job(**training("untrusted", other, source))


def test_caller_who_may_not_pass_the_role_is_refused(
    cloud: LocalCloud, client: Client, role: str, source: str
) -> None:
    statement = {
        "Effect": "Allow",
        "Action": "sagemaker:CreateTrainingJob",
        "Resource": "arn:aws:sagemaker:*:*:training-job/allowed-*",
    }
    starter = user(cloud, client, "starter", [statement])
    with pytest.raises(ClientError, match="iam:PassRole"):
        starter.create_training_job(**training("allowed-one", role, source))
    with pytest.raises(ClientError, match="CreateTrainingJob"):
        starter.create_training_job(**training("other-one", role, source))


def test_processing_job_reads_inputs_and_writes_outputs_and_message(
    client: Client, role: str, source: str
) -> None:
    sagemaker = client("sagemaker")
    script = (
        "cat /opt/ml/processing/input/cards/a/one.txt > /opt/ml/processing/output/copy.txt && "
        'echo "all $1" > /opt/ml/output/message && echo "$SOURCE"'
    )
    sagemaker.create_processing_job(
        ProcessingJobName="processes",
        RoleArn=role,
        AppSpecification={
            "ImageUri": IMAGE,
            "ContainerEntrypoint": ["bash", "-c", script, "x"],
            "ContainerArguments": ["well"],
        },
        ProcessingResources={
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": "ml.m5.xlarge",
                "VolumeSizeInGB": 10,
            }
        },
        ProcessingInputs=[
            {
                "InputName": "cards",
                "S3Input": {
                    "S3Uri": "s3://work/allowed/cards/",
                    "LocalPath": "/opt/ml/processing/input/cards",
                    "S3DataType": "S3Prefix",
                    "S3InputMode": "File",
                },
            }
        ],
        ProcessingOutputConfig={
            "Outputs": [
                {
                    "OutputName": "o",
                    "S3Output": {
                        "S3Uri": "s3://work/allowed/processed",
                        "LocalPath": "/opt/ml/processing/output",
                        "S3UploadMode": "EndOfJob",
                    },
                }
            ]
        },
        Environment={"SOURCE": "package"},
    )

    def read() -> dict[str, Any] | None:
        job = sagemaker.describe_processing_job(ProcessingJobName="processes")
        return job if job["ProcessingJobStatus"] != "InProgress" else None

    job = until(read)
    assert job["ProcessingJobStatus"] == "Completed", job.get("FailureReason")
    assert job["ExitMessage"] == "all well"
    copied = client("s3").get_object(Bucket="work", Key="allowed/processed/copy.txt")
    assert copied["Body"].read() == b"x"
