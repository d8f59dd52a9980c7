"""How ``cards doctor`` runs its checks, and what it says without a cloud."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from cli.aws import AwsSession
from cli.operations.checks.check import (
    Check,
    CheckContext,
    CheckResult,
    State,
    failed,
    ok,
    run,
    warning,
)
from cli.operations.doctor import checks
from tests.cli.command import cards

# --- running them


def context() -> CheckContext:
    return CheckContext(AwsSession("dev"))


def test_check_that_raises_ends_no_other() -> None:
    def explode(_: CheckContext) -> Iterator[CheckResult]:
        yield ok("the first half")
        raise RuntimeError("on purpose")

    rows = run(
        [Check("bad", explode), Check("good", lambda _: [ok("fine")])], context(), lambda _: None
    )
    assert [(row.check, row.result.state) for row in rows] == [
        ("bad", State.OK),
        ("bad", State.UNCHECKED),
        ("good", State.OK),
    ]
    assert "on purpose" in rows[1].result.line


def test_skipped_check_names_the_failed_check_that_it_needs() -> None:
    rows = run(
        [
            Check("ground", lambda _: [failed("gone", "mend it")]),
            Check("wall", lambda _: [ok("never seen")], ("ground",)),
            Check("roof", lambda _: [ok("never seen")], ("wall",)),
            Check("tree", lambda _: [warning("old", "look")]),
            Check("nest", lambda _: [ok("seen")], ("tree",)),
        ],
        context(),
        lambda _: None,
    )
    assert [(row.check, row.result.line) for row in rows] == [
        ("ground", "gone"),
        ("wall", "needs ground"),
        ("roof", "needs ground"),
        ("tree", "old"),
        ("nest", "seen"),
    ]


def test_refusal_names_the_policy_that_would_allow_it() -> None:
    def denied(_: CheckContext) -> Iterator[CheckResult]:
        raise ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "DescribeRule")

    (row,) = run([Check("rules", denied)], context(), lambda _: None)
    assert row.result.state is State.UNCHECKED
    assert "DescribeRule" in row.result.line and "Operator" in row.result.remedy


def test_every_check_comes_after_those_that_it_needs() -> None:
    seen: set[str] = set()
    for check in checks():
        assert set(check.needs) <= seen, check.name
        assert check.name not in seen
        seen.add(check.name)


# --- without a cloud


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> pytest.MonkeyPatch:
    """A machine on which nobody has set AWS up."""
    import os

    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    return monkeypatch


def states(document: Any) -> dict[str, str]:
    return {row["check"]: row["state"] for row in document["findings"]}


def test_missing_region_ends_the_checks_that_call_aws(bare: pytest.MonkeyPatch) -> None:
    done = cards("doctor", "--json")
    assert done.code == 1
    first, *rest = done.json["findings"]
    assert (first["check"], first["state"]) == ("region", "failed")
    assert "export AWS_REGION" in first["remedy"]
    rest = [row for row in rest if row["check"] != "variables"]  # the environment needs no region
    assert {(row["state"], row["line"]) for row in rest} == {("not checked", "needs region")}


def test_missing_credentials_are_reported_with_the_remedy(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("AWS_REGION", "us-east-2")
    done = cards("doctor", "--json")
    assert done.code == 1
    found = {row["check"]: row for row in done.json["findings"]}
    assert found["credentials"]["state"] == "failed"
    assert "aws configure" in found["credentials"]["remedy"]
    assert found["rules"]["line"] == "needs credentials"


def test_unreachable_endpoint_is_reported_within_seconds(bare: pytest.MonkeyPatch) -> None:
    import time

    for name, value in (
        ("AWS_REGION", "us-east-2"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ):
        bare.setenv(name, value)
    began = time.monotonic()
    done = cards("doctor")
    assert done.code == 1
    assert time.monotonic() - began < 20
    lines = done.out.splitlines()
    at = next(
        i for i, line in enumerate(lines) if line.startswith("failed") and "credentials" in line
    )
    assert "cards local up" in lines[at + 1]
