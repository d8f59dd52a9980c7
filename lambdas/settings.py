"""A function's environment variables, read and checked once, when it is loaded."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import boto3

from lambdas.metrics import count_notice
from registry.compilation.compile_settings import CompileSettings
from registry.compilation.jobs import CompileJobSettings
from registry.deployment import Deployment, accepted_failures, kept_count
from registry.names import NO_NETWORK, STATEMENT_DAYS
from registry.notices import Notifier


def required(name: str) -> str:
    """An environment variable's value.

    Raises:
        RuntimeError: It is missing or empty: the function fails at import, with its name.
    """
    value = os.environ.get(name, "").strip()
    if not value:
        raise RuntimeError(
            f"environment variable {name} is missing; the stack that made this function must set it"
        )
    return value


def compile_settings() -> CompileSettings:
    """The deployment's compile settings."""
    return CompileSettings.from_json(required("COMPILE_SETTINGS"), required("COMPILE_IMAGE"))


def deployment(
    *,
    signing_key_arn: str = "",
    signing_key_arns: tuple[str, ...] = (),
    keep_releases: int | None = None,
    statement_days: int = STATEMENT_DAYS,
    rollout_failures: float | None = None,
) -> Deployment:
    """The clients, names and settings of the deployment that the function belongs to.

    Args:
        signing_key_arn: For a function that signs or verifies.
        signing_key_arns: For a function that verifies: every key, :func:`signing_keys`.
        statement_days: For the function that signs channel statements.
        keep_releases: :func:`kept_releases`, for a function that retires releases or finds those
            to retire.
        rollout_failures: :func:`rollout_failures`, for a function that halts roll-outs or finds
            those to halt.
    """
    # boto3's stubs know services by literal names alone.
    client: Any = boto3.client
    return Deployment(
        client,
        group_name=required("GROUP_NAME"),
        training_bucket=required("TRAINING_BUCKET"),
        release_bucket=required("RELEASE_BUCKET"),
        signing_key_arn=signing_key_arn,
        signing_key_arns=signing_key_arns,
        stable_channel=required("STABLE_FOLLOWS"),
        keep_releases=keep_releases,
        environment=required("ENVIRONMENT"),
        statement_days=statement_days,
        rollout_failures=rollout_failures,
    )


def signing_keys() -> tuple[str, ...]:
    """The ARN of every signing key that is deployed, oldest first."""
    return tuple(required("SIGNING_KEY_ARNS").split(","))


def with_approval_rules(deployment: Deployment) -> Deployment:
    """The deployment as a function needs it that decides a version's next step."""
    return replace(
        deployment,
        four_eyes=required("FOUR_EYES") == "true",
        publisher_role_arn=required("PUBLISHER_ROLE_ARN"),
    )


def kept_releases() -> int | None:
    """How many of the newest releases are kept; None for all."""
    return kept_count(required("KEEP_RELEASES"))


def rollout_failures() -> float | None:
    """The share of failed self-tests that is accepted; None where devices report nothing."""
    return accepted_failures(required("ROLLOUT_FAILURES"))


def notifier() -> Notifier:
    """Publishes notices, and counts them."""
    return Notifier(
        boto3.client("sns"), required("NOTICE_TOPIC_ARN"), required("ENVIRONMENT"), count_notice
    )


def compile_job_settings() -> CompileJobSettings:
    """Where and how compile jobs run."""
    subnets = required("COMPILE_SUBNETS")
    return CompileJobSettings(
        role_arn=required("COMPILE_ROLE_ARN"),
        instance_type=required("COMPILE_INSTANCE_TYPE"),
        max_runtime_seconds=int(required("COMPILE_MAX_RUNTIME_SECONDS")),
        code_uri=required("CODE_URI"),
        training_bucket=required("TRAINING_BUCKET"),
        subnets=() if subnets == NO_NETWORK else tuple(subnets.split(",")),
        security_group=required("COMPILE_SECURITY_GROUP"),
    )
