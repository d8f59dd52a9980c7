"""Processing jobs inside their container: inputs, the entry point, outputs."""

from __future__ import annotations

import json
from dataclasses import dataclass

from localcloud.sagemaker.jobs.container import Container, JobError
from localcloud.sagemaker.jobs.log_stream import LogStream
from localcloud.sagemaker.store import Record


@dataclass
class ProcessingWork:
    """Preparation and upload of a processing job; :mod:`.training` has the same for training."""

    job: Record
    container: Container
    log: LogStream

    def prepare(self) -> tuple[list[str], dict[str, str]]:
        """Fills ``/opt/ml`` and returns the command and its environment.

        Raises:
            JobError: An input is empty or unreadable, or there is no entry point.
        """
        job, container = self.job, self.container
        for entry in job.get("ProcessingInputs", []):
            source = entry.get("S3Input")
            if not source or not source.get("LocalPath"):
                raise JobError(
                    f"ClientError: input {entry['InputName']} is no S3Input with LocalPath"
                )
            if source.get("S3DataType") == "ManifestFile":
                raise JobError(f"ClientError: input {entry['InputName']}: ManifestFile is not here")
            container.download(source["S3Uri"], container.path(source["LocalPath"]))
        for output in self._outputs():
            container.path(output["LocalPath"]).mkdir(parents=True, exist_ok=True)
        config = container.root / "config"
        config.mkdir()
        (config / "processingjobconfig.json").write_text(json.dumps(job, default=str))
        (config / "resourceconfig.json").write_text(
            json.dumps({"current_host": "algo-1", "hosts": ["algo-1"]})
        )
        specification = job["AppSpecification"]
        command = [
            *specification.get("ContainerEntrypoint", []),
            *specification.get("ContainerArguments", []),
        ]
        if not command:
            raise JobError("ClientError: there is no ContainerEntrypoint; no image runs here")
        environment = container.environment(job.get("Environment", {}))
        environment["PROCESSING_JOB_NAME"] = job["ProcessingJobName"]
        environment["PROCESSING_JOB_ARN"] = job["ProcessingJobArn"]
        return [container.localise(word) for word in command], environment

    def read_metrics(self, line: str) -> None:
        """Ignores a line of output: a processing job has no metrics."""

    def upload(self, *, succeeded: bool) -> None:
        """Uploads the outputs, also those of a failed job, as SageMaker does.

        Raises:
            JobError: The role may not write there.
        """
        for output in self._outputs():
            self.container.upload(self.container.path(output["LocalPath"]), output["S3Uri"])

    def _outputs(self) -> list[Record]:
        outputs = self.job.get("ProcessingOutputConfig", {}).get("Outputs", [])
        return [output["S3Output"] for output in outputs if "S3Output" in output]
