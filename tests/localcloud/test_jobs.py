"""Jobs run as SageMaker runs them: role, channels, script mode, outputs, events, reasons."""

from __future__ import annotations

import io
import json
import tarfile
import textwrap
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud import LocalCloud
from tests.localcloud.conftest import Client, client_of, make_role, until

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
    if options.mode == "wait":
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        time.sleep(60)
    told = {key: value for key, value in os.environ.items()}
    channel = pathlib.Path(os.environ["SM_CHANNEL_CARDS"])
    told["files"] = sorted(p.relative_to(channel).as_posix() for p in channel.rglob("*.txt"))
    told["rate"] = options.rate
    pathlib.Path(os.environ["SM_MODEL_DIR"], "told.json").write_text(json.dumps(told))
    pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"], "note.txt").write_text("measured")
    """
)


@pytest.fixture(scope="module")
def source(client: Client, bucket: str) -> str:
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as tar:
        for name, text in (("train.py", SCRIPT), ("helper.py", "")):
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    s3 = client("s3")
    s3.put_object(Bucket=bucket, Key="allowed/source.tar.gz", Body=body.getvalue())
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
        "Environment": {"HERE": "/opt/ml/model"},
        **changes,
    }


def ended(client: Client, name: str) -> dict[str, Any]:
    sagemaker = client("sagemaker")

    def look() -> dict[str, Any] | None:
        job = sagemaker.describe_training_job(TrainingJobName=name)
        return job if job["TrainingJobStatus"] not in ("InProgress", "Stopping") else None

    return dict(until(look))


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
        told = json.loads(tar.extractfile("told.json").read())  # type: ignore[union-attr]
    assert told["files"] == ["a/one.txt", "b/two.txt"]
    assert told["rate"] == 0.25
    assert told["HERE"] == told["SM_MODEL_DIR"] != "/opt/ml/model"
    assert told["AWS_ACCESS_KEY_ID"].startswith("ASIA"), "the role's credentials, not the caller's"
    assert not [key for key in told if key.startswith(("LOCALCLOUD_", "MINISTACK_", "PYTEST_"))]
    assert client("s3").head_object(Bucket="work", Key="allowed/jobs/works/output/output.tar.gz")
    assert job["FinalMetricDataList"][0]["Value"] == pytest.approx(0.5)
    assert [t["Status"] for t in job["SecondaryStatusTransitions"]][-1] == "Completed"


def test_the_log_is_in_cloudwatch(client: Client, role: str, source: str) -> None:
    ended(client, "works")
    events = client("logs").filter_log_events(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix="works/"
    )["events"]
    assert "loss=0.5" in [event["message"] for event in events]


def test_a_failed_job_says_what_it_wrote_to_its_failure_file(
    client: Client, role: str, source: str
) -> None:
    client("sagemaker").create_training_job(**training("fails", role, source, mode="fail"))
    job = ended(client, "fails")
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"] == "AlgorithmError: the data is bad, exit code: 3"


def test_a_role_that_may_not_read_the_data_fails_the_job(
    client: Client, role: str, source: str
) -> None:
    client("sagemaker").create_training_job(**training("denied", role, source, cards="forbidden/"))
    reason = ended(client, "denied")["FailureReason"]
    assert "Data download failed" in reason and ("403" in reason or "AccessDenied" in reason)


def test_a_job_is_stopped(client: Client, role: str, source: str) -> None:
    sagemaker = client("sagemaker")
    sagemaker.create_training_job(**training("stops", role, source, mode="wait"))
    until(
        lambda: (
            sagemaker.describe_training_job(TrainingJobName="stops")["SecondaryStatus"]
            == "Training"
        )
    )
    sagemaker.stop_training_job(TrainingJobName="stops")
    assert ended(client, "stops")["TrainingJobStatus"] == "Stopped"
    with pytest.raises(ClientError, match="in status Stopped"):
        sagemaker.stop_training_job(TrainingJobName="stops")


def test_a_name_is_used_once(client: Client, role: str, source: str) -> None:
    with pytest.raises(ClientError) as error:
        client("sagemaker").create_training_job(**training("works", role, source))
    assert error.value.response["Error"]["Code"] == "ResourceInUse"


def test_a_role_that_does_not_trust_sagemaker_is_refused(
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


def test_a_caller_who_may_not_pass_the_role_is_refused(
    cloud: LocalCloud, client: Client, role: str, source: str
) -> None:
    iam = client("iam")
    iam.create_user(UserName="starter")
    iam.put_user_policy(
        UserName="starter",
        PolicyName="start",
        PolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Action": "sagemaker:CreateTrainingJob",
                        "Resource": "arn:aws:sagemaker:*:*:training-job/allowed-*",
                    }
                ],
            }
        ),
    )
    key = iam.create_access_key(UserName="starter")["AccessKey"]
    starter = client_of(
        cloud,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )("sagemaker")
    with pytest.raises(ClientError, match="iam:PassRole"):
        starter.create_training_job(**training("allowed-one", role, source))
    with pytest.raises(ClientError, match="CreateTrainingJob"):
        starter.create_training_job(**training("other-one", role, source))


def test_a_processing_job_takes_inputs_gives_outputs_and_last_words(
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

    def look() -> dict[str, Any] | None:
        job = sagemaker.describe_processing_job(ProcessingJobName="processes")
        return job if job["ProcessingJobStatus"] != "InProgress" else None

    job = until(look)
    assert job["ProcessingJobStatus"] == "Completed", job.get("FailureReason")
    assert job["ExitMessage"] == "all well"
    copied = client("s3").get_object(Bucket="work", Key="allowed/processed/copy.txt")
    assert copied["Body"].read() == b"x"
