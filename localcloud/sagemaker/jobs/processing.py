"""Processing jobs inside their container: inputs, the entry point, outputs."""

from __future__ import annotations

import json
from dataclasses import dataclass

from localcloud.sagemaker.jobs.container import Container, JobError
from localcloud.sagemaker.jobs.joblog import LogStream
from localcloud.sagemaker.store import Record


@dataclass
class Work:
    """What is particular to a processing job."""

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
        words = [
            *specification.get("ContainerEntrypoint", []),
            *specification.get("ContainerArguments", []),
        ]
        if not words:
            raise JobError("ClientError: there is no ContainerEntrypoint; no image runs here")
        environment = container.environment(job.get("Environment", {}))
        environment["PROCESSING_JOB_NAME"] = job["ProcessingJobName"]
        environment["PROCESSING_JOB_ARN"] = job["ProcessingJobArn"]
        return [container.here(word) for word in words], environment

    def saw(self, line: str) -> None:
        """Takes a line of output; a processing job has no metrics."""

    def upload(self, *, succeeded: bool) -> None:
        """Uploads the outputs at the job's end; SageMaker does so for a failed job too.

        Raises:
            JobError: The role may not write there.
        """
        for output in self._outputs():
            self.container.upload(self.container.path(output["LocalPath"]), output["S3Uri"])

    def _outputs(self) -> list[Record]:
        outputs = self.job.get("ProcessingOutputConfig", {}).get("Outputs", [])
        return [output["S3Output"] for output in outputs if "S3Output" in output]
