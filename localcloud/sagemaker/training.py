"""Training jobs inside their container: channels, script mode, ``SM_*``, the model's upload.

Script mode follows AWS's own toolkit (aws/sagemaker-training-toolkit, in every framework image):
``sagemaker_program`` in the archive ``sagemaker_submit_directory`` runs with the other
hyper-parameters as ``--key value``.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tarfile
from pathlib import Path
from typing import Any

from localcloud.sagemaker.container import Container, JobError
from localcloud.sagemaker.settings import settings
from localcloud.sagemaker.store import Record, now

_HOST = "algo-1"
_OWN = "sagemaker_"


def prepare(job: Record, container: Container) -> tuple[list[str], dict[str, str]]:
    """Fills ``/opt/ml`` and returns the command and its environment.

    Raises:
        JobError: A channel is empty or unreadable, or the request names nothing to run.
    """
    root = container.root
    parameters = {
        key: container.here(value) for key, value in job.get("HyperParameters", {}).items()
    }
    channels = {entry["ChannelName"]: entry for entry in job.get("InputDataConfig", [])}
    for name, entry in channels.items():
        source = entry.get("DataSource", {}).get("S3DataSource")
        if not source:
            raise JobError(f"ClientError: channel {name} is not in S3, which is all there is here")
        container.download(source["S3Uri"], root / "input" / "data" / name)
    checkpoints = job.get("CheckpointConfig")
    if checkpoints:
        folder = container.path(checkpoints.get("LocalPath", "/opt/ml/checkpoints"))
        folder.mkdir(parents=True, exist_ok=True)
        _restore(container, checkpoints["S3Uri"], folder)
    _write_config(job, root, parameters, channels)
    environment = container.environment(job.get("Environment", {}))
    environment |= _sm_variables(job, container, parameters, channels)
    specification = job["AlgorithmSpecification"]
    if specification.get("ContainerEntrypoint"):
        words = [
            *specification["ContainerEntrypoint"],
            *specification.get("ContainerArguments", []),
        ]
        return [container.here(word) for word in words], environment
    return _script_mode(container, parameters, environment), environment


def upload(job: Record, container: Container, *, succeeded: bool) -> None:
    """Uploads the model (of a job that succeeded), the output data and the checkpoints."""
    base = f"{job['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{job['TrainingJobName']}/output"
    output = container.root / "output" / "data"
    checkpoints = job.get("CheckpointConfig")
    if checkpoints:
        folder = container.path(checkpoints.get("LocalPath", "/opt/ml/checkpoints"))
        container.upload(folder, checkpoints["S3Uri"])
    if any(output.iterdir()):
        container.upload_archive(output, f"{base}/output.tar.gz")
    if succeeded or any((container.root / "model").iterdir()):
        container.upload_archive(container.root / "model", f"{base}/model.tar.gz")
        job["ModelArtifacts"] = {"S3ModelArtifacts": f"{base}/model.tar.gz"}


def record_metrics(job: Record, line: str) -> None:
    """Keeps the newest value of each metric that a log line gives."""
    final = {entry["MetricName"]: entry for entry in job.get("FinalMetricDataList", [])}
    for definition in job["AlgorithmSpecification"]["MetricDefinitions"]:
        found = re.search(definition["Regex"], line)
        try:
            value = float(found.group(1)) if found else None
        except (IndexError, ValueError):
            value = None
        if value is not None:
            final[definition["Name"]] = {
                "MetricName": definition["Name"],
                "Value": value,
                "Timestamp": now(),
            }
    if final:
        job["FinalMetricDataList"] = list(final.values())


def _restore(container: Container, uri: str, folder: Path) -> None:
    try:
        container.download(uri.rstrip("/") + "/", folder)
    except JobError as error:
        # A first start has no checkpoints; anything else is a fault.
        if "No S3 objects" not in str(error):
            raise


def _write_config(
    job: Record, root: Path, parameters: dict[str, str], channels: dict[str, Any]
) -> None:
    config = root / "input" / "config"
    documents = {
        "hyperparameters.json": parameters,
        "resourceconfig.json": {
            "current_host": _HOST,
            "current_instance_type": job["ResourceConfig"].get("InstanceType"),
            "hosts": [_HOST],
            "network_interface_name": "lo",
        },
        "inputdataconfig.json": {
            name: {
                "TrainingInputMode": "File",
                "S3DistributionType": entry["DataSource"]["S3DataSource"].get(
                    "S3DataDistributionType", "FullyReplicated"
                ),
                "RecordWrapperType": "None",
            }
            for name, entry in channels.items()
        },
    }
    for name, document in documents.items():
        (config / name).write_text(json.dumps(document))


def _sm_variables(
    job: Record, container: Container, parameters: dict[str, str], channels: dict[str, Any]
) -> dict[str, str]:
    root = container.root
    users = {key: _decoded(value) for key, value in parameters.items() if not _is_own(key)}
    return {
        "TRAINING_JOB_NAME": job["TrainingJobName"],
        "TRAINING_JOB_ARN": job["TrainingJobArn"],
        "SM_MODEL_DIR": str(root / "model"),
        "SM_OUTPUT_DIR": str(root / "output"),
        "SM_OUTPUT_DATA_DIR": str(root / "output" / "data"),
        "SM_INPUT_DIR": str(root / "input"),
        "SM_INPUT_CONFIG_DIR": str(root / "input" / "config"),
        "SM_CHANNELS": json.dumps(sorted(channels)),
        **{f"SM_CHANNEL_{name.upper()}": str(root / "input" / "data" / name) for name in channels},
        "SM_HPS": json.dumps(users),
        **{f"SM_HP_{key.upper().replace('-', '_')}": _text(value) for key, value in users.items()},
        "SM_HOSTS": json.dumps([_HOST]),
        "SM_CURRENT_HOST": _HOST,
        "SM_CURRENT_INSTANCE_TYPE": job["ResourceConfig"].get("InstanceType", ""),
        "SM_NUM_CPUS": str(os.cpu_count() or 1),
        "SM_NUM_GPUS": "0",
        "SM_NETWORK_INTERFACE_NAME": "lo",
        "SM_LOG_LEVEL": "20",
    }


def _script_mode(
    container: Container, parameters: dict[str, str], environment: dict[str, str]
) -> list[str]:
    program = _decoded(parameters.get("sagemaker_program", ""))
    submitted = _decoded(parameters.get("sagemaker_submit_directory", ""))
    if not program or not submitted:
        raise JobError(
            "ClientError: the request has neither ContainerEntrypoint nor script mode's "
            "sagemaker_program; no image can be run here"
        )
    source = container.root.parents[1] / "source"
    container.download(submitted, source)
    try:
        with tarfile.open(next(source.iterdir()), "r:*") as tar:
            _unpack(tar, container.code)
    except (tarfile.TarError, OSError) as error:
        raise JobError(f"ClientError: cannot unpack {submitted}: {error}") from error
    script = container.code / program
    if not script.is_file():
        raise JobError(f"ClientError: {program} is not in {submitted}")
    requirements = container.code / "requirements.txt"
    if requirements.is_file():
        _install(requirements, environment)
    environment["PYTHONPATH"] = str(container.code)
    environment["SM_MODULE_DIR"] = submitted
    environment["SM_USER_ENTRY_POINT"] = program
    words = [str(settings().job_python), program]
    for key, value in parameters.items():
        if not _is_own(key):
            words += [f"--{key}", _text(_decoded(value))]
    return words


def _unpack(tar: tarfile.TarFile, into: Path) -> None:
    """Unpacks files and folders that stay within ``into``.

    By hand, because ``tarfile``'s filters came with Python 3.11.4 and distributions ship older.
    """
    for member in tar:
        target = Path(os.path.normpath(into / member.name))
        if not target.is_relative_to(into) or not (member.isfile() or member.isdir()):
            raise JobError(f"ClientError: {member.name!r} in the code's archive is refused")
        if member.isdir():
            target.mkdir(parents=True, exist_ok=True)
            continue
        content = tar.extractfile(member)
        assert content is not None, "it is a file"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.read())


def _install(requirements: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        [str(settings().job_python), "-m", "pip", "install", "-q", "-r", str(requirements)],
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        words = " ".join((done.stderr or done.stdout).split())[-600:]
        raise JobError(f"InstallRequirementsError: {words}")


def _is_own(key: str) -> bool:
    return key.startswith(_OWN)


def _decoded(value: str) -> Any:
    """Script mode's hyper-parameters are JSON; others are text."""
    try:
        return json.loads(value)
    except ValueError:
        return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
