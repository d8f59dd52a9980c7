"""What a training job is, decided and not yet sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_INSTANCE = re.compile(r"ml\.(?P<family>[a-z0-9-]+)\.(?P<size>[a-z0-9-]+)", re.ASCII)
_GPU_FAMILY = re.compile(r"[pg][0-9]")
_SINGLE_GPU = re.compile(r"g[0-9][a-z0-9]*\.(|2|4|8|16)xlarge|p2\.xlarge|p3\.2xlarge|p5\.4xlarge")


class SubmitError(ValueError):
    """A job that cannot be sent as asked; names the option, the cause and the remedy."""


@dataclass(frozen=True)
class Compute:
    """The machines of a job.

    Attributes:
        instance_type: SageMaker's name, for example ``ml.g5.xlarge``.
        instance_count: How many of them.
        spot: Whether spare capacity is used, which may be interrupted; checkpoints carry over.
        max_run_seconds: SageMaker stops the job after this time.
        volume_gb: Disk for channels, code and checkpoints.
    """

    instance_type: str
    instance_count: int = 1
    spot: bool = False
    max_run_seconds: int = 24 * 3600
    volume_gb: int = 100


@dataclass(frozen=True)
class TrainingPlan:
    """Everything about a job before it is sent; the same plan always makes the same request.

    Attributes:
        kind: ``teacher`` or ``student``.
        stage: The student's stage (1 or 2), None for a teacher.
        channels: S3 address by channel name.
        distributed: Whether ``torchrun`` starts one process a GPU.
        notes: Remarks for the person who submits it.
    """

    job_name: str
    kind: str
    stage: int | None
    region: str
    role_arn: str
    image: str
    entry_point: str
    compute: Compute
    distributed: bool
    hyperparameters: Mapping[str, Any]
    channels: Mapping[str, str]
    environment: Mapping[str, str]
    tags: Mapping[str, str]
    output_uri: str
    code_uri: str
    checkpoint_uri: str
    notes: tuple[str, ...] = ()


def is_distributed(compute: Compute) -> bool:
    """Whether ``torchrun`` has to start several processes.

    Raises:
        SubmitError: No such instance or number, or several machines without a GPU.
    """
    match = _INSTANCE.fullmatch(compute.instance_type)
    if not match:
        raise SubmitError(
            f"--instance {compute.instance_type}: is no SageMaker instance such as ml.g5.xlarge"
        )
    if not 1 <= compute.instance_count <= 64:
        raise SubmitError(f"--count {compute.instance_count}: must be 1 to 64")
    has_gpu = bool(_GPU_FAMILY.match(match["family"]))
    if compute.instance_count > 1 and not has_gpu:
        raise SubmitError(
            f"--count {compute.instance_count}: {compute.instance_type} has no GPU, and training "
            "is spread over GPUs only; use --count 1"
        )
    # An instance that this table does not know counts as one with several GPUs: torchrun is
    # right on a single one too, whereas one process on eight would leave seven idle.
    single = _SINGLE_GPU.fullmatch(f"{match['family']}.{match['size']}")
    return has_gpu and (compute.instance_count > 1 or not single)
