"""``cards train resume``, through the local cloud's own StopTrainingJob, checkpoints and tags."""

from __future__ import annotations

import io
import json
import tarfile
import textwrap

import pytest

from tests.localcloud.sagemaker.jobs.test_jobs import IMAGE, ended, put_source
from tests.running_cloud import Client, until
from training.submission.resume import resume
from training.submission.watch import TRAINING_LOGS, JobLog

pytestmark = pytest.mark.processes

SCRIPT = textwrap.dedent(
    """
    import os, pathlib, time
    kept = pathlib.Path("/opt/ml/checkpoints".replace("/opt/ml", os.environ["ROOT"]), "step")
    if kept.exists():
        text = kept.read_text() + " and went on"
        pathlib.Path(os.environ["SM_MODEL_DIR"], "story").write_text(text)
    else:
        kept.write_text("was stopped")
        print("waiting", flush=True)
        time.sleep(60)
    """
)


def test_stopped_job_continues_from_its_checkpoint(client: Client, bucket: str, role: str) -> None:
    put_source(client, "stoppable.tar.gz", {"train.py": SCRIPT.encode()})
    sagemaker = client("sagemaker")
    source = f"s3://{bucket}/allowed/stoppable.tar.gz"
    old = "teacher-demo-20260102-030405-6789"
    sagemaker.create_training_job(
        TrainingJobName=old,
        RoleArn=role,
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        HyperParameters={
            "sagemaker_program": json.dumps("train.py"),
            "sagemaker_submit_directory": json.dumps(source),
        },
        OutputDataConfig={"S3OutputPath": f"s3://{bucket}/allowed/jobs"},
        ResourceConfig={"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 10},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
        CheckpointConfig={"S3Uri": f"s3://{bucket}/allowed/stoppable"},
        Environment={"ROOT": "/opt/ml"},
        Tags=[{"Key": "Recipe", "Value": "demo"}],
    )
    log = JobLog(client("logs"), TRAINING_LOGS, old)
    until(lambda: "waiting" in log.new_lines())
    sagemaker.stop_training_job(TrainingJobName=old)
    assert ended(client, old)["TrainingJobStatus"] == "Stopped"

    new = resume(sagemaker, old, submitted_by="AIDAEXAMPLE")

    job = ended(client, new)
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    assert new != old and new.startswith("teacher-demo-")
    key = f"allowed/jobs/{new}/output/model.tar.gz"
    model = client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(model)) as archive:
        story = archive.extractfile("story")
        assert story and story.read() == b"was stopped and went on"
    tags = sagemaker.list_tags(ResourceArn=job["TrainingJobArn"])["Tags"]
    assert tags == [
        {"Key": "Recipe", "Value": "demo"},
        {"Key": "SubmittedBy", "Value": "AIDAEXAMPLE"},
    ]
