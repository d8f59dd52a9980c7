"""The checks that settings declare: each names what a value must be, or accepts it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import field
from typing import Any

#: Returns what the value must be; None for a right one.
Check = Callable[[Any], str | None]


def matches(pattern: str, description: str) -> Check:
    """A check that a text matches a pattern, described by ``description``."""
    compiled = re.compile(pattern, re.ASCII)
    return lambda value: None if compiled.fullmatch(value) else f"must be {description}"


def one_of(*allowed: Any) -> Check:
    """A check that a value is among the allowed ones."""
    listed = ", ".join(str(value) for value in allowed)
    return lambda value: None if value in allowed else f"must be one of {listed}"


def between(low: float, high: float) -> Check:
    """A check that a number is finite and within two limits."""
    return lambda value: (
        None
        if math.isfinite(value) and low <= value <= high
        else f"must be a number from {low} to {high}"
    )


def bucket_name(value: str) -> str | None:
    """A fault of a bucket's name, or None."""
    shape = re.fullmatch(r"[a-z0-9](?:[a-z0-9-]|\.(?=[a-z0-9])){1,61}[a-z0-9]", value, re.ASCII)
    # Dots would break TLS on virtual-hosted addresses, and these buckets are TLS only.
    if shape and "." not in value and not value.startswith("xn--"):
        return None
    return "must be 3 to 63 lower-case letters, digits and hyphens, as S3 names a bucket"


ecr_image = matches(
    r"[0-9]{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?"
    r"/[a-z0-9][a-z0-9._/-]{0,254}(?::[\w][\w.-]{0,127}|@sha256:[0-9a-f]{64})",
    "an ECR image with a tag or digest, "
    "<account>.dkr.ecr.<region>.amazonaws.com/<repository>:<tag>",
)


secret_name = matches(
    r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]{1,512}"
    r"|(?!arn:)[A-Za-z0-9/_+=.@-]{1,512}",
    "the name or the ARN of a secret in AWS Secrets Manager",
)


def account_ids(values: tuple[str, ...]) -> str | None:
    """A fault of a list of AWS account ids, or None."""
    if not all(re.fullmatch(r"[0-9]{12}", value, re.ASCII) for value in values):
        return "must be account ids, 12 digits each"
    return None if len(set(values)) == len(values) else "must name each account once"


def setting(default: Any, check: Check) -> Any:
    """A field with a default and the check of its values."""
    return field(default=default, metadata={"check": check})
