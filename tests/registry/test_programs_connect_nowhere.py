"""Programs that use the product's libraries, in a shell with a proxy, connect to nothing."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from recognition.sample_cards.drawing import draw_card_set
from tests.observed_program import ROOT, ObservedProgram, run_observed

pytestmark = pytest.mark.processes

_MLFLOW = """
import sys
from training.reporting.tracking import Tracker
import mlflow

client = mlflow.MlflowClient(sys.argv[1])
client.create_experiment("cards", artifact_location=sys.argv[2])
tracker = Tracker.start("a-run", {"seed": 1}, {"stage": "stage1"})
tracker.metrics({"loss": 1.0}, 1)
tracker.finish()
assert client.get_run(tracker.run_id).info.status == "FINISHED"
mlflow.set_experiment("cards")
with mlflow.start_run():
    mlflow.log_metric("top1", 0.5)
"""
_SAGEMAKER_SDK = """
import boto3
from training.submission.sdk_session import sdk_session

session = sdk_session(boto3.Session("a", "b", region_name="us-east-2"), record=[])
from sagemaker.estimator import Estimator
Estimator("image", "arn:aws:iam::111122223333:role/r", 1, "ml.m5.xlarge",
          output_path="s3://b/o", sagemaker_session=session).fit(wait=False)
"""
_IMAGES_AND_INDEX = """
import numpy as np
import recognition
import cv2
import numkong

picture = np.zeros((64, 64, 3), np.uint8)
assert cv2.imdecode(cv2.imencode(".png", picture)[1], cv2.IMREAD_COLOR).shape == picture.shape
rows = np.eye(4, 8, dtype=np.int8)
assert np.asarray(numkong.cdist(rows[:1], rows, "dot")).tolist() == [[1, 0, 0, 0]]
"""
_TIMM = """
from training.models.torchvision_without_cuda import mend_torchvision

mend_torchvision()
import timm

timm.create_model("tf_efficientnet_lite0", pretrained=False)
"""


def passed(done: ObservedProgram) -> None:
    assert done.code == 0, done.err + done.out
    assert done.requests == ()


def test_tracking_with_mlflow(tmp_path: Path) -> None:
    uri, artifacts = f"sqlite:///{tmp_path}/runs.db", (tmp_path / "artifacts").as_uri()
    variables = {"MLFLOW_TRACKING_URI": uri, "MLFLOW_EXPERIMENT_NAME": "cards"}
    command = [sys.executable, "-c", _MLFLOW, uri, artifacts]
    passed(run_observed(command, tmp_path, variables))


@pytest.mark.parametrize(
    "program",
    [_SAGEMAKER_SDK, _IMAGES_AND_INDEX, _TIMM],
    ids=["sagemaker sdk", "opencv and numkong", "timm"],
)
def test_library(program: str, tmp_path: Path) -> None:
    # Looking for credentials is no report.
    variables = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    passed(run_observed([sys.executable, "-c", program], tmp_path, variables))


def test_synthesis_with_the_cdk(tmp_path: Path) -> None:
    variables = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "CDK_DEFAULT_ACCOUNT": "111122223333",
        "CDK_DEFAULT_REGION": "us-east-2",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    cdk = ROOT / "node_modules/.bin/cdk"
    command = [cdk, "synth", "--quiet", "--output", tmp_path / "cdk.out"]
    passed(run_observed(command, tmp_path, variables))


@pytest.mark.trained
def test_training_job(tmp_path: Path) -> None:
    draw_card_set(tmp_path / "cards", 12, seed=3, height=96)
    home, out = tmp_path / "home", tmp_path / "out"
    home.mkdir()
    variables = {
        "SM_CHANNEL_CARDS": str(tmp_path / "cards"),
        "SM_MODEL_DIR": str(out / "model"),
        "SM_OUTPUT_DIR": str(out / "output"),
        "SM_OUTPUT_DATA_DIR": str(out / "output" / "data"),
    }
    script = ROOT / "training/jobs/train_teacher.py"
    done = run_observed([sys.executable, script, "--recipe", "tiny"], home, variables)
    passed(done)
    # Matplotlib's list of the machine's fonts, which it sends to nobody.
    assert [each for each in done.written if not each.startswith(".cache/matplotlib/")] == []


@pytest.mark.parametrize(
    "function", ["register_model", "compile_approved", "publish_release", "reconcile"]
)
def test_function_as_it_starts(function: str, tmp_path: Path) -> None:
    python = ROOT / ".venv-lambda/bin/python"
    done = run_observed([python, "-c", f"import lambdas.{function}"], tmp_path)
    # Its libraries are imported before it asks for the deployment's settings, which lack here.
    assert done.code == 0 or "the stack that made this function must set it" in done.err, done.err
    assert (done.requests, done.written) == ((), ())


@pytest.mark.parametrize("command", ["status", "doctor"])
def test_device_without_a_release(command: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    program = [sys.executable, "-m", "edge.cli.main", command, "--state", tmp_path / "state"]
    done = run_observed(program, home)
    assert done.code in (0, 1) and "Traceback" not in done.err, done.err
    assert (done.requests, done.written) == ((), ())
