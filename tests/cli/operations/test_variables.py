"""``cards doctor`` names variables and profiles that lead requests elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli.operations.checks.check import State
from cli.operations.checks.variables import (
    judge_proxies,
    judge_regions,
    judge_reports,
    judge_variables,
)
from tests.cli.command import cards

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
        (
            {**LOCAL, "AWS_CREDENTIAL_EXPIRATION": "2020-01-01T00:00:00Z"},
            State.FAILED,
            "AWS_CREDENTIAL_EXPIRATION",
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
        {"AWS_CREDENTIAL_EXPIRATION": "2020-01-01T00:00:00Z", "AWS_SESSION_TOKEN": "t"},
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


@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"])
def test_proxy_that_no_client_can_use_is_named(name: str) -> None:
    (result,) = judge_proxies({name: "socks5h://proxy:1080"})
    assert result.state is State.WARNING
    assert name in result.line and "socks5h" in result.line and name in result.remedy
    usable = {"HTTPS_PROXY": "HTTP://proxy:3128", "http_proxy": "proxy:3128"}
    assert list(judge_proxies({**usable, "ALL_PROXY": "socks5://proxy:1080"})) == []


def test_two_regions_are_named() -> None:
    (result,) = judge_regions({"AWS_REGION": "us-east-2", "AWS_DEFAULT_REGION": "eu-west-1"})
    assert result.state is State.WARNING
    assert "eu-west-1" in result.line and result.remedy == "export AWS_DEFAULT_REGION=us-east-2"
    assert list(judge_regions({"AWS_REGION": "us-east-2", "AWS_DEFAULT_REGION": ""})) == []


def test_variable_that_switches_reports_on_is_named() -> None:
    (result,) = judge_reports({"ORT_DISABLE_TELEMETRY": "0", "MLFLOW_DISABLE_TELEMETRY": "true"})
    assert result.state is State.WARNING
    assert result.line.startswith("ORT_DISABLE_TELEMETRY=0")
    assert result.remedy == "unset ORT_DISABLE_TELEMETRY"


#: A port that nobody listens on: nothing here needs an answer.
_SILENT = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ACCESS_KEY_ID": "a",
           "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "us-east-2"}  # fmt: skip


@pytest.mark.parametrize(
    ("profile", "variables", "words"),
    [
        (
            "ignore_configured_endpoint_urls = true",
            {},
            ("switches AWS_ENDPOINT_URL off", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=false"),
        ),
        (
            "endpoint_url = http://127.0.0.1:4566",
            {"AWS_ENDPOINT_URL": ""},
            ("leads sts to http://127.0.0.1:4566", "remove endpoint_url"),
        ),
    ],
)
def test_configuration_file_that_leads_elsewhere_is_named(
    profile: str,
    variables: dict[str, str],
    words: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tmp_path / "config"
    file.write_text(f"[default]\n{profile}\n")
    for name, value in {**_SILENT, **variables, "AWS_CONFIG_FILE": str(file)}.items():
        monkeypatch.setenv(name, value)
    (result,) = judged()
    assert result["state"] == "failed" and str(file) in result["line"]
    assert words[0] in result["line"] and words[1] in result["remedy"]
    # What `cards local env` sets is stronger than any profile.
    if not variables:
        monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "false")
        assert [each["state"] for each in judged()] == ["ok"]


def test_s3_acceleration_in_the_configuration_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "config"
    file.write_text("[default]\ns3 =\n    use_accelerate_endpoint = true\n")
    for name, value in {**_SILENT, "AWS_CONFIG_FILE": str(file)}.items():
        monkeypatch.setenv(name, value)
    (result,) = judged()
    assert result["state"] == "failed" and "Transfer Acceleration" in result["line"]
    assert str(file) in result["line"] and "use_accelerate_endpoint" in result["remedy"]
    file.write_text("[default]\ns3 =\n    use_accelerate_endpoint = false\n")
    assert [each["state"] for each in judged()] == ["ok"]


def judged() -> list[dict[str, str]]:
    findings = cards("doctor", "--json").json["findings"]
    return [each for each in findings if each["check"] == "variables"]


@pytest.mark.parametrize(
    ("variables", "remedy"),
    [({"AWS_PROFILE": "nobody"}, "unset AWS_PROFILE"),
     ({"AWS_CONFIG_FILE": "broken"}, "AWS_CONFIG_FILE")],
)  # fmt: skip
def test_configuration_that_cannot_be_read_fails(
    variables: dict[str, str], remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken").write_text("[default\nx")
    monkeypatch.chdir(tmp_path)
    for name, value in {**_SILENT, **variables}.items():
        monkeypatch.setenv(name, value)
    done = cards("doctor", "--json")
    first = done.json["findings"][0]
    assert done.code == 1
    assert (first["check"], first["state"]) == ("region", "failed")
    assert remedy in first["remedy"]
