"""Environment variables that lead requests elsewhere, or let programs report to their makers."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from cli.loopback import LOOPBACK
from cli.operations.checks.check import Check, CheckContext, CheckResult, failed, ok, warning
from registry.telemetry import enabled_reports

_SERVICE = "AWS_ENDPOINT_URL_"
_IGNORE = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"
_MLFLOW = "SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT"


def variables(context: CheckContext) -> Iterator[CheckResult]:
    """No variable of an earlier session contradicts the endpoint."""
    results = [*judge_variables(os.environ), *judge_reports(os.environ)]
    yield from results or [ok("none contradicts the endpoint, none switches reports on")]


def judge_variables(environment: Mapping[str, str]) -> Iterator[CheckResult]:
    """One result for each variable that leads elsewhere.

    Args:
        environment: Names and values.
    """
    local = _is_loopback(environment.get("AWS_ENDPOINT_URL", ""))
    for name, value in sorted(environment.items()):
        if name.startswith(_SERVICE) and value and _is_loopback(value) != local:
            service = name.removeprefix(_SERVICE).lower()
            yield failed(f"{name} leads {service} to {value}", f"unset {name}")
    if local and environment.get(_IGNORE, "").lower() == "true":
        yield failed(f"{_IGNORE} switches AWS_ENDPOINT_URL off", f"unset {_IGNORE}")
    if local and environment.get("AWS_PROFILE"):
        name = environment["AWS_PROFILE"]
        yield warning(
            f"AWS_PROFILE names {name}, whose credentials the AWS CLI takes for the local cloud",
            "unset AWS_PROFILE",
        )
    if not local and _is_loopback(environment.get(_MLFLOW, "")):
        yield failed(f"{_MLFLOW} leads MLflow to the local cloud", f"unset {_MLFLOW}")


def judge_reports(environment: Mapping[str, str]) -> Iterator[CheckResult]:
    """One result for each variable that lets a library or a tool report to its maker.

    Args:
        environment: Names and values.
    """
    for name in enabled_reports(environment):
        yield warning(
            f"{name}={environment[name]} lets a program report to its maker", f"unset {name}"
        )


def _is_loopback(url: str) -> bool:
    return (urlsplit(url).hostname or "") in LOOPBACK


CHECKS = (Check("variables", variables),)
