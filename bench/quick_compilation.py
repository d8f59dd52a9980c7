"""A compile job that writes small files at once, in the real one's place on a deployed local cloud.

What is looked at then is the automation, and not a compiler: everything else is as it was deployed.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from registry.contract import Contract
from registry.deployment import DeployedNames
from registry.names import GROUP, parse_name

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.client import SageMakerClient
    from mypy_boto3_sagemaker.literals import ModelApprovalStatusType

#: What the versions are called, before their number.
LINE = "student-efficientnet-lite0-stage2-v"
#: What stands in for the compile job: the files and reports that a real one leaves.
_JOB = """
import hashlib, json, pathlib, sys
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
out = pathlib.Path(given["--output"])
files = {name: name.encode() * 100 for name in ("model.int8.onnx", "model.onnx", "index.json")}
def entry(stage):
    metadata = {"Architecture": "efficientnet_lite0", "Parameters": "4354816",
                "EmbeddingDim": "768", "ModelType": "student", "Stage": stage,
                "Purpose": "edge_deployment_hailo8l", "InferenceTarget": "cpu-onnxruntime",
                "SizeBytes": "1500"}
    return {"stage": stage, "artifact": f"{stage}/model.tar.gz", "metadata": metadata,
            "metrics": METRICS}
report = {"source_name": given["--source-name"], "source_arn": given["--source-arn"],
          "model_archive_sha256": given["--model-sha256"],
          "model": "model.int8.onnx", "contract": CONTRACT, "acceptance_threshold": 0.9,
          "ship": list(files), "packages": [entry("onnx"), entry("int8")],
          "files": {name: {"sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)}
                    for name, body in files.items()}}
out.mkdir(parents=True, exist_ok=True)
for name, body in files.items():
    (out / name).write_bytes(body)
(out / "compilation.json").write_text(json.dumps(report))
(out / "fidelity.json").write_text(json.dumps({"verdict": "passed", "figures": {}}))
"""
_METRICS = {
    "top1": 0.9,
    "top5": 0.98,
    "mean_average_precision": 0.93,
    "queries": 360,
    "top1_unseen": 0.8,
    "unseen_queries": 60,
    "auroc": 0.97,
    "acceptance_threshold": 0.7,
    "cards": 180,
}


def quick_compilation(client: Callable[[str], Any], deployment: DeployedNames) -> None:
    """Puts the quick job in the place of the code that the deployed function gives its jobs.

    Args:
        client: Makes clients of the account's root.
        deployment: What was deployed.
    """
    configuration = client("lambda").get_function_configuration(
        FunctionName=deployment.compile_function
    )
    uri = configuration["Environment"]["Variables"]["CODE_URI"]
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    values = f"METRICS = {_METRICS!r}\nCONTRACT = {Contract().to_dict()!r}\n"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        files.writestr("export/__init__.py", "")
        files.writestr("export/requirements.lock", "")
        files.writestr("export/compile_job.py", values + _JOB)
        # Found before the real one: there is nothing to install.
        files.writestr("pip.py", "")
    client("s3").put_object(Bucket=bucket, Key=key, Body=archive.getvalue())
    for name in ("cards/x/card.txt", "jobs/x/model.tar.gz"):
        client("s3").put_object(Bucket=deployment.training_bucket, Key=name, Body=b"nothing")


def register(
    sagemaker: SageMakerClient,
    deployment: DeployedNames,
    number: int,
    status: ModelApprovalStatusType,
) -> str:
    """Makes a stage-2 student with what its compilation needs; returns its ARN."""
    name = parse_name(f"{LINE}{number}")
    bucket = deployment.training_bucket
    return str(
        sagemaker.create_model_package(
            ModelPackageGroupName=GROUP,
            ModelPackageDescription=f"{name}: {name.kind}, without a training",
            ModelApprovalStatus=status,
            CustomerMetadataProperties={
                "ModelName": str(name),
                "CardSetUri": f"s3://{bucket}/cards/x/",
            },
            InferenceSpecification={
                "Containers": [
                    {"Image": "image", "ModelDataUrl": f"s3://{bucket}/jobs/x/model.tar.gz"}
                ]
            },
        )["ModelPackageArn"]
    )
