"""Script mode: what the framework images' own toolkit does between ``docker run`` and the script.

It follows AWS's toolkit (aws/sagemaker-training-toolkit): ``sagemaker_program`` in the archive
``sagemaker_submit_directory`` runs with the other hyper-parameters as ``--key value``, its
``requirements.txt`` installed, and its settings in ``SM_*`` variables.
"""

from __future__ import annotations

import json
import lzma
import os
import shutil
import tarfile
import zlib
from pathlib import Path
from typing import Any

from localcloud.sagemaker import command
from localcloud.sagemaker.jobs.container import Container, JobError, JobStopped
from localcloud.sagemaker.jobs.log_stream import LogStream
from localcloud.sagemaker.store import Record

_OWN = "sagemaker_"
_HOST = "algo-1"


def prepare(
    job: Record,
    container: Container,
    parameters: dict[str, str],
    channels: list[str],
    environment: dict[str, str],
    log: LogStream,
) -> list[str]:
    """Unpacks the code, installs what it requires, and completes the environment.

    Args:
        job: The training job.
        container: Its container.
        parameters: Its hyper-parameters, as they were sent.
        channels: Names of its channels.
        environment: Completed in place.
        log: Where pip's output goes.

    Returns:
        The command to run.

    Raises:
        JobError: The request names no program, or the program or its requirements are not to be
            found.
        JobStopped: The job was stopped while its requirements were installed.
    """
    program = _decoded(parameters.get("sagemaker_program", ""))
    submitted = _decoded(parameters.get("sagemaker_submit_directory", ""))
    if not program or not submitted:
        raise JobError(
            "ClientError: the request has neither ContainerEntrypoint nor script mode's "
            "sagemaker_program; no image can be run here"
        )
    _unpack(container, submitted)
    if not (container.code / program).is_file():
        raise JobError(f"ClientError: {program} is not in {submitted}")
    given = {key: _decoded(text) for key, text in parameters.items() if not key.startswith(_OWN)}
    arguments: list[str] = []
    for key, value in given.items():
        # The toolkit's rule: one letter, one dash.
        arguments += [f"-{key}" if len(key) == 1 else f"--{key}", _text(value)]
    environment |= _variables(job, container, channels, given, arguments)
    environment["PYTHONPATH"] = str(container.code)
    environment["SM_MODULE_DIR"] = submitted
    environment["SM_MODULE_NAME"] = program.removesuffix(".py")
    environment["SM_USER_ENTRY_POINT"] = program
    requirements = container.code / "requirements.txt"
    if requirements.is_file():
        _install(requirements, container, environment, log)
    launcher = []
    if _decoded(parameters.get("sagemaker_torch_distributed_enabled", "false")) is True:
        processes = max(1, int(environment["SM_NUM_GPUS"]))
        launcher = ["-m", "torch.distributed.run", "--nnodes=1", f"--nproc_per_node={processes}"]
    return [str(container.python), *launcher, program, *arguments]


def _unpack(container: Container, submitted: str) -> None:
    archive = container.root.parents[1] / "sourcedir.tar.gz"
    container.download_file(submitted, archive)
    try:
        with tarfile.open(archive, "r:*") as tar:
            for member in tar:
                _unpack_member(tar, member, container.code)
    except (tarfile.TarError, OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
        raise JobError(f"ClientError: cannot unpack {submitted}: {error}") from error


def _unpack_member(tar: tarfile.TarFile, member: tarfile.TarInfo, target_folder: Path) -> None:
    """Unpacks a file or folder that stays within ``target_folder``; anything else is refused.

    By hand, because ``tarfile``'s filters came with Python 3.11.4 and distributions ship older.
    """
    target = Path(os.path.normpath(target_folder / member.name))
    if not target.is_relative_to(target_folder) or not (member.isfile() or member.isdir()):
        raise JobError(f"ClientError: {member.name!r} in the code's archive is refused")
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    content = tar.extractfile(member)
    assert content is not None, "it is a file"
    target.parent.mkdir(parents=True, exist_ok=True)
    with content, target.open("wb") as file:
        shutil.copyfileobj(content, file)
    target.chmod(0o755 if member.mode & 0o100 else 0o644)


def _install(
    requirements: Path, container: Container, environment: dict[str, str], log: LogStream
) -> None:
    lines: list[str] = []

    def on_line(line: str) -> None:
        lines.append(line.strip())
        log.write(line)

    result = command.run(
        [str(container.python), "-m", "pip", "install", "-q", "-r", str(requirements)],
        cwd=container.code,
        env=environment,
        stop=container.stop,
        on_line=on_line,
        on_poll=log.flush_if_due,
        grace=5.0,
    )
    if container.stop.is_set():
        raise JobStopped
    if result.status:
        reason = " ".join(line for line in lines if line)[-600:]
        raise JobError(f"AlgorithmError: InstallRequirementsError: {reason}")


def _variables(
    job: Record,
    container: Container,
    channels: list[str],
    given: dict[str, Any],
    arguments: list[str],
) -> dict[str, str]:
    root = container.root
    config = root / "input" / "config"
    return {
        "SM_MODEL_DIR": str(root / "model"),
        "SM_OUTPUT_DIR": str(root / "output"),
        "SM_OUTPUT_DATA_DIR": str(root / "output" / "data"),
        "SM_OUTPUT_INTERMEDIATE_DIR": str(root / "output" / "intermediate"),
        "SM_INPUT_DIR": str(root / "input"),
        "SM_INPUT_CONFIG_DIR": str(config),
        "SM_INPUT_DATA_CONFIG": (config / "inputdataconfig.json").read_text(),
        "SM_RESOURCE_CONFIG": (config / "resourceconfig.json").read_text(),
        "SM_CHANNELS": json.dumps(channels),
        **{f"SM_CHANNEL_{name.upper()}": str(root / "input" / "data" / name) for name in channels},
        "SM_HPS": json.dumps(given),
        **{f"SM_HP_{key.upper().replace('-', '_')}": _text(value) for key, value in given.items()},
        "SM_USER_ARGS": json.dumps(arguments),
        "SM_HOSTS": json.dumps([_HOST]),
        "SM_CURRENT_HOST": _HOST,
        "SM_CURRENT_INSTANCE_TYPE": job["ResourceConfig"].get("InstanceType", ""),
        "SM_NUM_CPUS": str(os.cpu_count() or 1),
        "SM_NUM_GPUS": str(_gpus()),
        "SM_NETWORK_INTERFACE_NAME": "lo",
        "SM_LOG_LEVEL": "20",
    }


def _gpus() -> int:
    """NVIDIA devices of this machine; a driver makes one node for each."""
    return sum(path.name[6:].isdigit() for path in Path("/dev").glob("nvidia*"))


def _decoded(value: str) -> Any:
    """The SDK sends values as JSON; others are text."""
    try:
        return json.loads(value)
    except ValueError:
        return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
