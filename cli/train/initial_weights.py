"""What ``--weights`` means: looked at before a job is paid for, and uploaded where it is a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from cli.console import print_stderr
from cli.errors import CliError
from training.checkpoint_files import (
    HEAD_BYTES,
    SAFETENSORS,
    SUFFIXES,
    CheckpointError,
    check_file,
    file_format,
    layout_of,
    safetensors_shapes,
)

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

    from training.config import TrainingConfig
    from training.models.checkpoint import Checkpoint

_DIGEST_CHARACTERS = 12


def weights_uri(
    s3: S3Client, bucket: str, weights: str, config: TrainingConfig, *, dry_run: bool
) -> str:
    """Checks initial weights and gives their address in S3.

    A local file is read as the job would read it, and uploaded below ``weights/`` by its digest.
    Of an object in S3 only its first bytes and a safetensors header are fetched.

    Args:
        bucket: The training bucket.
        weights: A local file, or an S3 address of a file or its folder.
        config: Names the backbone that they are for.
        dry_run: Upload nothing.

    Raises:
        CliError: They are no checkpoint, not one, or those of another backbone.
    """
    try:
        if weights.startswith("s3://"):
            _check_object(s3, weights, config)
            return weights
        return _upload(s3, bucket, Path(weights), config, dry_run=dry_run)
    except CheckpointError as error:
        raise CliError(f"--weights {error}") from None


def _upload(s3: S3Client, bucket: str, file: Path, config: TrainingConfig, *, dry_run: bool) -> str:
    from recognition.file_digest import file_sha256
    from registry.names import WEIGHTS_PREFIX

    if not file.is_file():
        raise CliError(f"--weights {file}: is no file; give a checkpoint, or its S3 address")
    if file.suffix.lower() not in SUFFIXES:
        raise CliError(f"--weights {file}: must end in {', '.join(SUFFIXES)}")
    check_file(file)

    def read() -> Checkpoint:
        from training.models.checkpoint import read_checkpoint

        return read_checkpoint(file)

    _check_tensors(file.name, config, read)
    key = f"{WEIGHTS_PREFIX}{file_sha256(file)[:_DIGEST_CHARACTERS]}/{file.name}"
    if not dry_run:
        from registry.aws import objects_below

        found = next(objects_below(s3, bucket, key), None)
        if not found or (found["Key"], found["Size"]) != (key, file.stat().st_size):
            s3.upload_file(str(file), bucket, key)
    return f"s3://{bucket}/{key}"


def _check_object(s3: S3Client, uri: str, config: TrainingConfig) -> None:
    from botocore.exceptions import ClientError

    from registry.aws import objects_below, split_s3_uri
    from registry.aws_errors import error_code, is_denied

    try:
        bucket, prefix = split_s3_uri(uri)
        rows = objects_below(s3, bucket, prefix)
        files = {row["Key"]: row["Size"] for row in rows if row["Key"].lower().endswith(SUFFIXES)}
        if len(files) != 1:
            names = ", ".join(sorted(files)[:3]) or "none"
            raise CliError(
                f"--weights {uri}: must hold one file ending in {', '.join(SUFFIXES)}; "
                f"found {names}"
            )
        (key, size), *_ = files.items()

        def read(start: int, length: int) -> bytes:
            given = f"bytes={start}-{start + length - 1}"
            return s3.get_object(Bucket=bucket, Key=key, Range=given)["Body"].read()

        name = key.rpartition("/")[2]
        found = file_format(name, read(0, HEAD_BYTES) if size else b"", size)
        shapes = safetensors_shapes(name, size, read) if found == SAFETENSORS else None
    except ValueError as error:
        if isinstance(error, CheckpointError):
            raise
        raise CliError(f"--weights {error}") from None
    except ClientError as error:
        if not is_denied(error):
            raise CliError(f"--weights {uri}: cannot be read ({error_code(error)})") from None
        # The training role may be allowed what this person is not.
        print_stderr(f"--weights {uri}: may not be read from here, so the job checks it")
        return
    if shapes is None:
        print_stderr(f"--weights {name}: a PyTorch file; the job checks its tensors")
        return

    def arranged() -> Checkpoint:
        import torch

        from training.models.checkpoint import arranged

        return arranged(
            name, {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
        )

    _check_tensors(name, config, arranged, layout_of(shapes))


def _check_tensors(
    name: str, config: TrainingConfig, read: Callable[[], Checkpoint], layout: str = ""
) -> None:
    """Compares tensors with the backbone's, where the training extra is installed."""
    try:
        checkpoint = read()
        from training.models.networks import check_weights
    except ImportError as error:
        words = f" ({layout})" if layout else ""
        print_stderr(
            f"--weights {name}{words}: the job checks its tensors; {error.name} is not "
            "installed here"
        )
        return
    try:
        check_weights(config, checkpoint.state)
    except CheckpointError as error:
        raise CliError(
            f"--weights {name} ({checkpoint.layout}) does not fit the backbone "
            f"{config.backbone}: {error}"
        ) from None
    print_stderr(f"--weights {name}: {checkpoint.layout}, fits {config.backbone}")
