"""A function's environment variables, read and checked once, when it is loaded."""

from __future__ import annotations

import os

import boto3

from lambdas.metrics import count_notice
from registry.automation.observation import Places
from registry.compilation.jobs import CompileSettings
from registry.compilation.recipe import Recipe
from registry.names import KEEP_ALL, NO_NETWORK
from registry.notices import Board


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


def recipe() -> Recipe:
    """The deployment's compilation recipe."""
    return Recipe.from_json(required("COMPILE_RECIPE"), required("COMPILE_IMAGE"))


def kept_releases() -> int | None:
    """How many of the newest releases stay; None for all."""
    keep = required("KEEP_RELEASES")
    return None if keep == KEEP_ALL else int(keep)


def places(keep: int | None = None) -> Places:
    """The clients and buckets that looking needs.

    Args:
        keep: :func:`kept_releases`, for whoever lets releases go, or finds those that may.
    """
    return Places(
        sagemaker=boto3.client("sagemaker"),
        s3=boto3.client("s3"),
        group=required("GROUP_NAME"),
        training_bucket=required("TRAINING_BUCKET"),
        release_bucket=required("RELEASE_BUCKET"),
        stable=required("STABLE_FOLLOWS"),
        keep=keep,
    )


def board() -> Board:
    """Where people are told."""
    return Board(
        boto3.client("sns"), required("NOTICE_TOPIC_ARN"), required("ENVIRONMENT"), count_notice
    )


def compile_settings() -> CompileSettings:
    """Where and how compile jobs run."""
    subnets = required("COMPILE_SUBNETS")
    return CompileSettings(
        role_arn=required("COMPILE_ROLE_ARN"),
        instance_type=required("COMPILE_INSTANCE_TYPE"),
        max_runtime_seconds=int(required("COMPILE_MAX_RUNTIME_SECONDS")),
        code_uri=required("CODE_URI"),
        training_bucket=required("TRAINING_BUCKET"),
        subnets=() if subnets == NO_NETWORK else tuple(subnets.split(",")),
        security_group=required("COMPILE_SECURITY_GROUP"),
    )
