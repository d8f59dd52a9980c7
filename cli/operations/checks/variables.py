"""Environment variables that lead requests elsewhere, or let programs report to their makers."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from cli.errors import CliError
from cli.loopback import LOOPBACK
from cli.operations.checks.check import (
    Check,
    CheckContext,
    CheckResult,
    State,
    failed,
    ok,
    warning,
)
from registry.telemetry import enabled_reports

_SERVICE = "AWS_ENDPOINT_URL_"
_IGNORE = "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"
#: What a tool for temporary credentials leaves; a past time ends every request.
_EXPIRATION, _TOKEN = "AWS_CREDENTIAL_EXPIRATION", "AWS_SESSION_TOKEN"
#: The services whose state every command reads first.
_SERVICES = ("sts", "ssm", "s3", "sagemaker")
#: What an AWS client reads; ALL_PROXY is not among them.
_PROXIES = ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY")
_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
_MLFLOW = "SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT"


def variables(context: CheckContext) -> Iterator[CheckResult]:
    """No variable or profile of an earlier session contradicts the endpoint."""
    judges = (judge_variables, judge_proxies, judge_regions, judge_reports)
    results = [result for judge in judges for result in judge(os.environ)]
    if not any(each.state is State.FAILED for each in results):
        results += judge_endpoints(os.environ, _endpoints(context))
        results += judge_acceleration(os.environ, _s3_settings(context))
    yield from results or [ok("none contradicts the endpoint, none switches reports on")]


def _endpoints(context: CheckContext) -> dict[str, str]:
    """Address by service, as clients have read them from variables and configuration file."""
    from botocore.exceptions import BotoCoreError

    try:
        return {name: str(context.client(name).meta.endpoint_url) for name in _SERVICES}
    except (CliError, BotoCoreError):
        return {}  # The check of the region says why no client can be made.


def _s3_settings(context: CheckContext) -> Mapping[str, object]:
    """What the configuration file has below ``s3``, as its client has read it."""
    from botocore.exceptions import BotoCoreError

    try:
        return dict(context.client("s3").meta.config.s3 or {})
    except (CliError, BotoCoreError):
        return {}  # The check of the region says why no client can be made.


def judge_acceleration(
    environment: Mapping[str, str], settings: Mapping[str, object]
) -> Iterator[CheckResult]:
    """One result where S3 Transfer Acceleration is switched on: no bucket here has it.

    Args:
        environment: Names and values.
        settings: Of the configuration file, below ``s3``.
    """
    if settings.get("use_accelerate_endpoint") is True:
        file = environment.get("AWS_CONFIG_FILE") or "~/.aws/config"
        yield failed(
            f"{file} sends S3's requests to Transfer Acceleration, which the deployment's buckets "
            "do not have: each of them fails",
            "remove use_accelerate_endpoint from it, or use another file: export AWS_CONFIG_FILE=…",
        )


def judge_endpoints(
    environment: Mapping[str, str], endpoints: Mapping[str, str]
) -> Iterator[CheckResult]:
    """What the configuration file does to the endpoint, which the variables do not tell.

    Args:
        environment: Names and values; none of the variables leads a service elsewhere.
        endpoints: Address by service, as clients use it.
    """
    file = environment.get("AWS_CONFIG_FILE") or "~/.aws/config"
    local = _is_loopback(environment.get("AWS_ENDPOINT_URL", ""))
    for service, url in endpoints.items():
        if _is_loopback(url) == local:
            continue
        if local:
            yield failed(
                f"{file} switches AWS_ENDPOINT_URL off: {service} is asked at {url}",
                f"export {_IGNORE}=false",
            )
        else:
            yield failed(
                f"{file} leads {service} to {url}, and AWS_ENDPOINT_URL does not",
                f"remove endpoint_url from it, or export AWS_ENDPOINT_URL={url}",
            )
        return


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
    if environment.get(_EXPIRATION) and not environment.get(_TOKEN):
        yield failed(
            f"{_EXPIRATION} is of temporary credentials, and these are not: they have no {_TOKEN}",
            f"unset {_EXPIRATION}",
        )
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


def judge_proxies(environment: Mapping[str, str]) -> Iterator[CheckResult]:
    """One result for each proxy that no AWS client can use, as SOCKS.

    Args:
        environment: Names and values.
    """
    for name in _PROXIES:
        scheme, separator, _ = environment.get(name, "").partition("://")
        if separator and scheme.lower() not in ("http", "https"):
            yield warning(
                f"{name} names a proxy by {scheme}, and AWS's clients speak to one by http or "
                "https alone",
                f"export {name}=http://…, or unset {name}",
            )


def judge_regions(environment: Mapping[str, str]) -> Iterator[CheckResult]:
    """One result where programs in this shell ask in different regions.

    Args:
        environment: Names and values.
    """
    chosen, other = (environment.get(name) for name in _REGIONS)
    if chosen and other and chosen != other:
        yield warning(
            f"AWS_DEFAULT_REGION is {other}, where a Python program of your own asks; cards, cdk "
            f"and aws ask in {chosen}, by AWS_REGION",
            f"export AWS_DEFAULT_REGION={chosen}",
        )


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
