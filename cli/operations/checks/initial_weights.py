"""Files of initial weights in the training bucket: whether training jobs can read them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from itertools import islice
from typing import Any

from cli.operations.checks.check import Check, CheckContext, CheckResult, ok, warning

#: How many files are looked at.
_FILES = 50


def initial_weights(context: CheckContext) -> Iterator[CheckResult]:
    """What lies below ``weights/`` is a checkpoint, by its first bytes."""
    from registry.aws import objects_below
    from registry.names import WEIGHTS_PREFIX
    from training.checkpoint_files import SUFFIXES

    bucket, s3 = context.names.training_bucket, context.client("s3")
    rows = objects_below(s3, bucket, WEIGHTS_PREFIX)
    files = (row for row in rows if row["Key"].lower().endswith(SUFFIXES))
    looked = 0
    faults = []
    for row in islice(files, _FILES):
        looked += 1
        fault = _fault(s3, bucket, str(row["Key"]), int(row["Size"]))
        if fault:
            faults.append(fault)
    first = f"the first {_FILES} files" if looked == _FILES else f"{looked} files"
    yield from faults or [ok(f"{first} below s3://{bucket}/{WEIGHTS_PREFIX}, none unreadable")]


def _fault(s3: Any, bucket: str, key: str, size: int) -> CheckResult | None:
    """Why a file is no checkpoint; None where it is one."""
    from training.checkpoint_files import (
        HEAD_BYTES,
        SAFETENSORS,
        CheckpointError,
        file_format,
        safetensors_shapes,
    )

    def read(start: int, length: int) -> bytes:
        part = f"bytes={start}-{start + length - 1}"
        return bytes(s3.get_object(Bucket=bucket, Key=key, Range=part)["Body"].read())

    address = f"s3://{bucket}/{key}"
    try:
        if file_format(address, read(0, HEAD_BYTES) if size else b"", size) == SAFETENSORS:
            safetensors_shapes(address, size, read)
    except CheckpointError as error:
        cause, _, remedy = str(error).partition("; ")
        return warning(
            f"{cause}; a training that is given it is refused",
            f"aws s3 rm {shlex.quote(address)}; then {remedy or 'give a checkpoint'}",
        )
    return None


CHECKS = (Check("initial weights", initial_weights, ("buckets",)),)
