"""What a training job is, decided and not yet sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from training.config import TrainingConfig

_INSTANCE = re.compile(r"ml\.(?P<family>[a-z0-9-]+)\.(?P<size>[a-z0-9-]+)", re.ASCII)
_GPU_FAMILY = re.compile(r"[pg][0-9]")
_SINGLE_GPU = re.compile(r"g[0-9][a-z0-9]*\.(|2|4|8|16)xlarge|p2\.xlarge|p3\.2xlarge|p5\.4xlarge")


class SubmitError(ValueError):
    """A job that cannot be sent as asked; names the option, the cause and the remedy."""


#: SageMaker's own limits (CreateTrainingJob).
LONGEST_RUN = 28 * 24 * 3600
LONGEST_KEEP_ALIVE = 3600
LARGEST_VOLUME_GB = 16384
MOST_TAGS, MOST_SUBNETS, MOST_GROUPS = 50, 16, 5
#: Letters and digits of any script; of the blanks AWS takes no line ends and no tabs.
_TAG_KEY = re.compile(r"(?!(?i:aws:))[\w .:/=+\-@]{1,128}")
_TAG_VALUE = re.compile(r"[\w .:/=+\-@]{0,256}")
_SUBNET = re.compile(r"subnet-[0-9a-f]{8,17}", re.ASCII)
_GROUP = re.compile(r"sg-[0-9a-f]{8,17}", re.ASCII)
_KEY = re.compile(
    r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:(key|alias)/[\w/-]+|alias/[\w/-]+"
    r"|[0-9a-f-]{36}|mrk-[0-9a-f]{32}",
    re.ASCII,
)


@dataclass(frozen=True)
class Compute:
    """The machines of a job.

    Attributes:
        instance_type: SageMaker's name, for example ``ml.g5.xlarge``.
        instance_count: How many of them.
        spot: Whether spare capacity is used, which may be interrupted; checkpoints carry over.
        max_run_seconds: SageMaker stops the job after this time.
        max_wait_seconds: With ``spot``: the same, with the time spent waiting for capacity; None
            is twice the run.
        volume_gb: Disk for channels, code and checkpoints.
        keep_alive_seconds: How long the machines are kept warm for a next job of the same kind.
        subnets: Of a VPC in which the job runs, with
        security_groups: in it.
        kms_key: Encrypts what the job writes, and the machines' disks where they take a key.
        tags: Beside the deployment's own.
    """

    instance_type: str
    instance_count: int = 1
    spot: bool = False
    max_run_seconds: int = 24 * 3600
    max_wait_seconds: int | None = None
    volume_gb: int = 100
    keep_alive_seconds: int = 0
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    kms_key: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        limits = (
            ("--max-run-hours", self.max_run_seconds, 60, LONGEST_RUN),
            ("--volume-gb", self.volume_gb, 1, LARGEST_VOLUME_GB),
            ("--keep-alive-minutes", self.keep_alive_seconds, 0, LONGEST_KEEP_ALIVE),
        )
        for option, number, low, high in limits:
            if not low <= number <= high:
                unit = "GB" if option == "--volume-gb" else "seconds"
                raise SubmitError(f"{option}: {number} {unit}; SageMaker takes {low} to {high}")
        if self.keep_alive_seconds and self.spot:
            raise SubmitError(
                "--keep-alive-minutes: SageMaker keeps no spare capacity warm; leave out --spot"
            )
        if self.max_wait_seconds is not None:
            if not self.spot:
                raise SubmitError("--max-wait-hours: is for --spot")
            if self.max_wait_seconds < self.max_run_seconds:
                raise SubmitError(
                    "--max-wait-hours: includes the run, so it cannot be less than --max-run-hours"
                )
        if bool(self.subnets) != bool(self.security_groups):
            raise SubmitError("--subnet, --security-group: a VPC needs both of them, or neither")
        keys = () if self.kms_key is None else (self.kms_key,)
        for option, pattern, values, most in (
            ("--subnet", _SUBNET, self.subnets, MOST_SUBNETS),
            ("--security-group", _GROUP, self.security_groups, MOST_GROUPS),
            ("--kms-key", _KEY, keys, 1),
        ):
            if len(values) > most:
                raise SubmitError(f"{option}: {len(values)} are given; SageMaker takes {most}")
            for given in values:
                if not pattern.fullmatch(given):
                    raise SubmitError(f"{option} {given}: is no id of that kind")
        for key, value in self.tags.items():
            if not _TAG_KEY.fullmatch(key) or not _TAG_VALUE.fullmatch(value):
                raise SubmitError(
                    f"--tag {key}={value}: AWS takes letters, digits, spaces and _.:/=+-@, and no "
                    "key that begins with aws:"
                )


@dataclass(frozen=True)
class TrainingPlan:
    """Everything about a job before it is sent; the same plan always makes the same request.

    Attributes:
        kind: ``teacher`` or ``student``.
        stage: The student's stage (1 or 2), None for a teacher.
        channels: S3 address by channel name.
        distributed: Whether ``torchrun`` starts one process a GPU.
        config: What recipe and hyper-parameters come to.
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
    config: TrainingConfig
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
