"""Processing jobs inside their container: inputs, the entry point, outputs."""

from __future__ import annotations

import json

from localcloud.sagemaker.container import Container, JobError
from localcloud.sagemaker.store import Record


def prepare(job: Record, container: Container) -> tuple[list[str], dict[str, str]]:
    """Fills ``/opt/ml`` and returns the command and its environment.

    Raises:
        JobError: An input is empty or unreadable, or there is no entry point.
    """
    for entry in job.get("ProcessingInputs", []):
        source = entry.get("S3Input")
        if not source or not source.get("LocalPath"):
            raise JobError(f"ClientError: input {entry['InputName']} is no S3Input with LocalPath")
        container.download(source["S3Uri"], container.path(source["LocalPath"]))
    for output in _outputs(job):
        container.path(output["S3Output"]["LocalPath"]).mkdir(parents=True, exist_ok=True)
    config = container.root / "config"
    config.mkdir()
    hidden = ("Caller",)
    document = {key: value for key, value in job.items() if key not in hidden}
    (config / "processingjobconfig.json").write_text(json.dumps(document, default=str))
    (config / "resourceconfig.json").write_text(
        json.dumps({"current_host": "algo-1", "hosts": ["algo-1"]})
    )
    specification = job["AppSpecification"]
    words = [
        *specification.get("ContainerEntrypoint", []),
        *specification.get("ContainerArguments", []),
    ]
    if not words:
        raise JobError("ClientError: the request has no ContainerEntrypoint; no image runs here")
    environment = container.environment(job.get("Environment", {}))
    environment["PROCESSING_JOB_NAME"] = job["ProcessingJobName"]
    environment["PROCESSING_JOB_ARN"] = job["ProcessingJobArn"]
    return [container.here(word) for word in words], environment


def upload(job: Record, container: Container, *, succeeded: bool) -> None:
    """Uploads the outputs at the job's end; SageMaker does so for a failed job too."""
    for output in _outputs(job):
        target = output["S3Output"]
        container.upload(container.path(target["LocalPath"]), target["S3Uri"])


def _outputs(job: Record) -> list[Record]:
    outputs = job.get("ProcessingOutputConfig", {}).get("Outputs", [])
    return [output for output in outputs if "S3Output" in output]
