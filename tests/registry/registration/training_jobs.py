"""Training jobs that take two seconds: they write what a real one would, and end as told."""

from __future__ import annotations

import io
import json
import math
import struct
import tarfile
import uuid
from dataclasses import dataclass
from typing import Any

from registry.contract import Contract
from tests.running_cloud import Client, make_role, until

IMAGE = "763104351884.dkr.ecr.us-east-2.amazonaws.com/pytorch-training:2.8.0-cpu-py312"
SCRIPT = """
import os, pathlib, shutil, sys
here = pathlib.Path(__file__).parent
pathlib.Path(os.environ["SM_MODEL_DIR"], "weights").write_text("weights")
for file in here.glob("*.safetensors"):
    shutil.copy(file, os.environ["SM_MODEL_DIR"])
if (here / "log").exists():
    print((here / "log").read_text(), flush=True)
for file in (*here.glob("*.json"), *here.glob("*.html")):
    shutil.copy(file, os.environ["SM_OUTPUT_DATA_DIR"])
if (here / "fail").exists():
    pathlib.Path(os.environ["SM_OUTPUT_DIR"], "failure").write_text((here / "fail").read_text())
    sys.exit(1)
"""

METRICS = {
    "top1": 0.9, "top1_low": 0.87, "top1_high": 0.92, "top5": 0.97, "queries": 920,
    "auroc": 0.96, "mean_similarity": 0.8,
}  # fmt: skip


def request(**changes: Any) -> dict[str, Any]:
    """What a teacher's job asks for; a student's with ``model_type="student"``."""
    kind = changes.pop("model_type", "teacher")
    document: dict[str, Any] = {
        "schema": 1,
        "model_type": kind,
        "architecture": "vit-tiny" if kind == "teacher" else "efficientnet-lite0",
        "stage": "phase2" if kind == "teacher" else "stage1",
        "parent_model_package_arn": None,
        "metadata": {
            "Architecture": "vit_small (depth 1; width 64)",
            "Parameters": "12345",
            "EmbeddingDim": "768",
            "NumClasses": "180",
            "ModelType": kind,
            "Purpose": "knowledge_distillation_source",
            "InferenceTarget": "cloud-gpu",
            "TrainingApproach": "arcface 1; 25% virtual cards",
        },
        "metrics": METRICS,
        "contract": Contract().to_dict(),
        "card_set": {"digest": "0f3a", "cards": 200, "images": 200},
        "mlflow_run_id": "9d5e",
    }
    if kind == "student":
        document["metadata"] |= {
            "Stage": document["stage"],
            "TeacherModel": "vit-tiny",
            "BestSimilarity": "0.9",
            "HailoCompatible": "true",
            "Normalization": "BatchNorm",
        }
    return {**document, **changes}


@dataclass
class TrainingJobs:
    """Runs them in one bucket."""

    client: Client
    bucket: str
    role: str

    @classmethod
    def in_bucket(cls, client: Client, bucket: str) -> TrainingJobs:
        statements = [
            {"Effect": "Allow", "Action": "s3:*", "Resource": f"arn:aws:s3:::{bucket}/*"},
            {"Effect": "Allow", "Action": "s3:*", "Resource": f"arn:aws:s3:::{bucket}"},
            {"Effect": "Allow", "Action": "logs:*", "Resource": "*"},
        ]
        name = f"trainer-{uuid.uuid4().hex[:8]}"
        return cls(client, bucket, make_role(client, name, "sagemaker.amazonaws.com", statements))

    def run(
        self,
        asks: dict[str, Any] | str | None,
        *,
        fails: str = "",
        line: str = "teacher-vit-tiny-phase2",
        prefix: str = "jobs",
        hyperparameters: dict[str, Any] | None = None,
        shapes: dict[str, list[int]] | None = None,
        prints: str = "",
        name: str = "",
        page: str = "",
    ) -> str:
        """Runs a job to its end and returns its name."""
        name = name or f"job-{uuid.uuid4().hex[:12]}"
        files: dict[str, str | bytes] = {"train.py": SCRIPT}
        if shapes is not None:
            files["model.safetensors"] = safetensors(shapes)
        if prints:
            files["log"] = prints
        if asks is not None:
            files["registration.json"] = asks if isinstance(asks, str) else json.dumps(asks)
        else:
            files["nothing.json"] = "{}"
        if page:
            files["report.html"] = page
        if fails:
            files["fail"] = fails
        s3, sagemaker = self.client("s3"), self.client("sagemaker")
        s3.put_object(Bucket=self.bucket, Key=f"source/{name}.tar.gz", Body=_packed(files))
        s3.put_object(Bucket=self.bucket, Key="cards/one/a.txt", Body=b"x")
        environment = {"CARDS_COMMIT": "abc123"} | ({"CARDS_MODEL_LINE": line} if line else {})
        source = {
            "sagemaker_program": "train.py",
            "sagemaker_submit_directory": f"s3://{self.bucket}/source/{name}.tar.gz",
            "recipe": "tiny",
            **(hyperparameters or {}),
        }
        sagemaker.create_training_job(
            TrainingJobName=name,
            RoleArn=self.role,
            AlgorithmSpecification={
                "TrainingImage": IMAGE,
                "TrainingInputMode": "File",
                "MetricDefinitions": [
                    {"Name": name, "Regex": rf"{name}=([0-9.]+)"} for name in ("top1_acc", "loss")
                ],
            },
            HyperParameters={key: json.dumps(value) for key, value in source.items()},
            InputDataConfig=[
                {
                    "ChannelName": "cards",
                    "DataSource": {
                        "S3DataSource": {
                            "S3DataType": "S3Prefix",
                            "S3Uri": f"s3://{self.bucket}/cards/",
                        }
                    },
                }
            ],
            OutputDataConfig={"S3OutputPath": f"s3://{self.bucket}/{prefix}"},
            ResourceConfig={
                "InstanceType": "ml.m5.xlarge",
                "InstanceCount": 1,
                "VolumeSizeInGB": 10,
            },
            StoppingCondition={"MaxRuntimeInSeconds": 60},
            Environment=environment,
        )

        def ended() -> bool:
            job = sagemaker.describe_training_job(TrainingJobName=name)
            return job["TrainingJobStatus"] not in ("InProgress", "Stopping")

        until(ended, 60)
        return name


def safetensors(shapes: dict[str, list[int]]) -> bytes:
    """A file of float32 zeros in the format's own form, made without its library."""
    header, offset = {}, 0
    for name, shape in shapes.items():
        size = 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(offset)


def _packed(files: dict[str, str | bytes]) -> bytes:
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            content = text.encode() if isinstance(text, str) else text
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return body.getvalue()
