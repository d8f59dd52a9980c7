"""``cards doctor`` names variables that lead requests elsewhere."""

from __future__ import annotations

import pytest

from cli.operations.checks.check import State
from cli.operations.checks.variables import judge_reports, judge_variables

LOCAL = {"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"}


@pytest.mark.parametrize(
    ("environment", "state", "name"),
    [
        (
            {**LOCAL, "AWS_ENDPOINT_URL_S3": "https://s3.example"},
            State.FAILED,
            "AWS_ENDPOINT_URL_S3",
        ),
        ({"AWS_ENDPOINT_URL_SSM": "http://localhost:4566"}, State.FAILED, "AWS_ENDPOINT_URL_SSM"),
        (
            {**LOCAL, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
            State.FAILED,
            "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
        ),
        ({**LOCAL, "AWS_PROFILE": "work"}, State.WARNING, "AWS_PROFILE"),
        (
            {"SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT": "http://127.0.0.1:5566"},
            State.FAILED,
            "SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT",
        ),
    ],
)
def test_variable_with_another_value_is_named(
    environment: dict[str, str], state: State, name: str
) -> None:
    (result,) = judge_variables(environment)
    assert result.state is state
    assert result.line.startswith(name) and result.remedy == f"unset {name}"


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"AWS_PROFILE": "work"},
        LOCAL,
        {
            **LOCAL,
            "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:4566",
            "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
            "SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT": "http://127.0.0.1:5566",
        },
    ],
)
def test_variables_that_agree_give_no_result(environment: dict[str, str]) -> None:
    assert list(judge_variables(environment)) == []


def test_variable_that_switches_reports_on_is_named() -> None:
    (result,) = judge_reports({"ORT_DISABLE_TELEMETRY": "0", "MLFLOW_DISABLE_TELEMETRY": "true"})
    assert result.state is State.WARNING
    assert result.line.startswith("ORT_DISABLE_TELEMETRY=0")
    assert result.remedy == "unset ORT_DISABLE_TELEMETRY"
