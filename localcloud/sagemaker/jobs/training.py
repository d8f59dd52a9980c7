"""Training jobs inside their container: channels, the command, metrics, the model's upload."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localcloud.sagemaker.jobs import script_mode
from localcloud.sagemaker.jobs.checkpoints import Checkpoints
from localcloud.sagemaker.jobs.container import Container, JobError
from localcloud.sagemaker.jobs.log_stream import LogStream
from localcloud.sagemaker.store import LOCK, Record, now

HOST = "algo-1"


def enter(job: Record, status: str, message: str) -> None:
    """Sets a job's SecondaryStatus and appends to its SecondaryStatusTransitions."""
    with LOCK:
        job["SecondaryStatus"] = status
        job["LastModifiedTime"] = now()
        transitions = job.setdefault("SecondaryStatusTransitions", [])
        if transitions and "EndTime" not in transitions[-1]:
            transitions[-1]["EndTime"] = now()
        transitions.append({"Status": status, "StartTime": now(), "StatusMessage": message})


@dataclass
class TrainingWork:
    """Preparation, metrics and upload of a training job."""

    job: Record
    container: Container
    log: LogStream
    _checkpoints: Checkpoints | None = None
    _metrics: list[tuple[str, re.Pattern[str]]] = field(default_factory=list)

    def prepare(self) -> tuple[list[str], dict[str, str]]:
        """Fills ``/opt/ml`` and returns the command and its environment.

        Raises:
            JobError: A channel is empty or unreadable, or the request names nothing to run.
        """
        job, container = self.job, self.container
        self._metrics = [_pattern(entry) for entry in _specification(job, "MetricDefinitions")]
        enter(job, "Downloading", "Downloading input data")
        channels = {entry["ChannelName"]: entry for entry in job.get("InputDataConfig", [])}
        for name, entry in channels.items():
            source = _source(name, entry, job["AlgorithmSpecification"])
            container.download(source["S3Uri"], container.root / "input" / "data" / name)
        if job.get("CheckpointConfig"):
            self._checkpoints = Checkpoints(job["CheckpointConfig"], container)
            self._checkpoints.restore()
        parameters = {k: container.localise(v) for k, v in job.get("HyperParameters", {}).items()}
        self._write_config(parameters, channels)
        environment = container.environment(job.get("Environment", {}))
        environment["TRAINING_JOB_NAME"] = job["TrainingJobName"]
        environment["TRAINING_JOB_ARN"] = job["TrainingJobArn"]
        entry_point = _specification(job, "ContainerEntrypoint")
        if entry_point:
            words = [*entry_point, *_specification(job, "ContainerArguments")]
            command = [container.localise(word) for word in words]
        else:
            command = script_mode.prepare(
                job, container, parameters, sorted(channels), environment, self.log
            )
        hosts = job.get("ResourceConfig", {}).get("InstanceCount", 1)
        if hosts > 1:
            self.log.write(f"local cloud: one host stands for the {hosts} that were asked for")
        if self._checkpoints:
            self._checkpoints.start()
        enter(job, "Training", "Training image download completed. Training in progress.")
        return command, environment

    def read_metrics(self, line: str) -> None:
        """Keeps the newest value of each metric that a line of output gives."""
        for name, pattern in self._metrics:
            found = pattern.search(line)
            try:
                value = float(found.group(1)) if found else None
            except (IndexError, ValueError):
                value = None
            if value is None:
                continue
            newest = {"MetricName": name, "Value": value, "Timestamp": now()}
            with LOCK:
                known = self.job.get("FinalMetricDataList", [])
                others = [entry for entry in known if entry["MetricName"] != name]
                self.job["FinalMetricDataList"] = [*others, newest]

    def upload(self, *, succeeded: bool) -> None:
        """Uploads the checkpoints, the output data, and the model where there is one.

        Raises:
            JobError: The role may not write there.
        """
        job, container = self.job, self.container
        enter(job, "Uploading", "Uploading generated training model")
        if self._checkpoints:
            self._checkpoints.finish()
        target = job["OutputDataConfig"]["S3OutputPath"].rstrip("/")
        base = f"{target}/{job['TrainingJobName']}/output"
        output, model = container.root / "output" / "data", container.root / "model"
        if any(output.iterdir()):
            container.upload_archive(output, f"{base}/output.tar.gz")
        if succeeded or any(model.iterdir()):
            container.upload_archive(model, f"{base}/model.tar.gz")
            with LOCK:
                job["ModelArtifacts"] = {"S3ModelArtifacts": f"{base}/model.tar.gz"}

    def _write_config(self, parameters: dict[str, str], channels: dict[str, Record]) -> None:
        config: Path = self.container.root / "input" / "config"
        documents = {
            "hyperparameters.json": parameters,
            "resourceconfig.json": {
                "current_host": HOST,
                "current_instance_type": self.job["ResourceConfig"].get("InstanceType"),
                "hosts": [HOST],
                "network_interface_name": "lo",
            },
            "inputdataconfig.json": {
                name: {
                    "TrainingInputMode": "File",
                    "S3DistributionType": entry["DataSource"]["S3DataSource"].get(
                        "S3DataDistributionType", "FullyReplicated"
                    ),
                    "RecordWrapperType": entry.get("RecordWrapperType", "None"),
                }
                for name, entry in channels.items()
            },
        }
        for name, document in documents.items():
            (config / name).write_text(json.dumps(document))


def _specification(job: Record, key: str) -> list[Any]:
    return job["AlgorithmSpecification"].get(key) or []


def _source(name: str, entry: Record, specification: Record) -> Record:
    """The S3 source of a channel; whatever a folder of files cannot stand for is refused."""
    source: Record = entry["DataSource"].get("S3DataSource")
    if not source:
        raise JobError(f"ClientError: channel {name} is not in S3, which is all there is here")
    if source["S3DataType"] != "S3Prefix":
        raise JobError(f"ClientError: channel {name}: {source['S3DataType']} is not here")
    mode = entry.get("InputMode") or specification.get("TrainingInputMode")
    if mode == "Pipe":
        raise JobError(f"ClientError: channel {name}: input mode Pipe is not here; use File")
    if entry.get("CompressionType", "None") != "None":
        raise JobError(f"ClientError: channel {name}: CompressionType is not here; use None")
    return source


def _pattern(definition: Record) -> tuple[str, re.Pattern[str]]:
    try:
        return definition["Name"], re.compile(definition["Regex"])
    except re.error as error:
        raise JobError(
            f"ClientError: metric {definition['Name']}: {definition['Regex']!r} is no regular "
            f"expression: {error}"
        ) from None
