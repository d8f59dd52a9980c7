"""What jobs will take, as people are told and asked about it."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber

from cli.aws import AwsSession
from cli.errors import CliError
from cli.train import confirmation
from cli.train import estimate as train_estimate
from cli.train.job_sequence import PlannedJob, plan_jobs
from cli.train.options import TrainingRequest, machines
from tests.training.submission.test_estimate import product
from tests.training.submission.test_submit import plan
from training.config import ConfigError
from training.submission.training_plan import Compute

COMPUTE = Compute("ml.g5.2xlarge", spot=True, max_run_seconds=36000)


def request(**changes: Any) -> TrainingRequest:
    """A request for the full recipe, with changes."""
    given = machines("ml.g5.2xlarge", 1, False, 24, None, 100, 0, None, None, None, None)
    made = TrainingRequest(
        AwsSession(), "s3://b/cards", "full", given, {}, None, True, False, False, False
    )
    return replace(made, **changes)


class Account(AwsSession):
    """An account far away: its card set is of this many scans, its price list answers so."""

    def __init__(self, scans: int | None, *prices: str, error: Exception | None = None) -> None:
        super().__init__()
        self.__dict__["session"] = self
        self.__dict__["is_local"] = False
        self.scans, self.prices, self.error = scans, prices, error
        self.asked: list[tuple[str, Any]] = []

    def client(self, service: str, **more: Any) -> Any:
        self.asked.append((service, more))
        if service == "s3":
            return self
        if self.error:
            raise self.error
        client = boto3.client(
            service, "us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
        )
        stub = Stubber(client)
        stub.add_response("get_products", {"PriceList": list(self.prices)})
        stub.activate()
        return client

    def get_object(self, **_: str) -> dict[str, Any]:
        import io

        text = b"{" if self.scans is None else b'{"images": %d}' % self.scans
        return {"Body": io.BytesIO(text), "ETag": "1"}


def all_jobs(given: TrainingRequest) -> list[PlannedJob]:
    """A teacher and both stages of its student."""
    return plan_jobs(given, train_teacher=True, stages=(1, 2))


def printed(aws: AwsSession, count: int, compute: Compute = COMPUTE) -> list[str]:
    """What a person reads before the question about the first ``count`` jobs."""
    given = request(aws=aws)
    made = replace(plan(recipe="full", compute=compute), notes=("a remark",))
    jobs = all_jobs(given)[:count]
    estimates = train_estimate.estimate_jobs(given, made, jobs)
    return train_estimate.estimate_lines(given, made, jobs, estimates)


def test_every_job_of_a_chain_is_estimated_before_the_first_is_sent() -> None:
    account = Account(17592, product("1.515"))
    said = printed(account, 3)
    assert [line.split(" on ")[0] for line in said if "steps" in line] == [
        "teacher", "student stage 1", "student stage 2",
    ]  # fmt: skip
    # 10 hours at 1.515 each, three times.
    assert sum("at most USD 15.15 " in line for line in said) == 3
    assert any(line.startswith("all 3 jobs: ") and "at most USD 45.45 " in line for line in said)
    assert any("spare capacity is cheaper" in line for line in said)
    assert said[-1] == "a remark"
    # The price is asked for once, and not for long.
    pricing = [more for service, more in account.asked if service == "pricing"]
    assert len(pricing) == 1
    assert pricing[0]["config"].connect_timeout <= 5
    assert pricing[0]["config"].retries == {"total_max_attempts": 1}


def test_one_job_has_no_sum() -> None:
    assert not [line for line in printed(Account(17592, product("1")), 1) if "all " in line]


def test_estimate_without_a_price_shows_the_time_and_the_reason() -> None:
    gone = EndpointConnectionError(endpoint_url="https://pricing")
    said = printed(Account(17592, error=gone), 1)
    assert any("about" in line and "factor of two" in line for line in said)
    assert any("no price: Could not connect" in line for line in said)
    assert not any("USD" in line for line in said)


def test_estimate_without_a_time_shows_the_upper_limit() -> None:
    said = printed(Account(17592, product("2")), 1, Compute("ml.p9.48xlarge"))
    assert "  at most USD 48.00 before SageMaker stops it, at list price" in said
    assert not any("about" in line for line in said if "nothing is known" not in line)


def test_card_set_without_a_count_is_reported_in_one_line() -> None:
    said = printed(Account(None), 1)
    assert [line for line in said if "no estimate" in line] == [
        "teacher on 1 × ml.g5.2xlarge, spare capacity; how many cards there are is not known: "
        "no estimate"
    ]


def test_setting_that_one_of_the_jobs_cannot_take_is_refused() -> None:
    with pytest.raises(ConfigError, match="learnin_rate"):
        all_jobs(request(hyperparameters={"learnin_rate": 1}))


ASK = """
from types import SimpleNamespace as Any
from cli.train.confirmation import confirm
confirm(Any(yes=YES, as_json=False, dry_run=False, aws=Any(is_local=LOCAL)),
       [Any(price=1.25), Any(price=2.5)])
print("sent")
"""


def answered(answer: bytes, yes: bool = False, local: bool = False) -> tuple[str, str]:
    """Stdout and terminal of a command that asks, its stdout going to a pipe."""
    ours, theirs = pty.openpty()
    code = ASK.replace("YES", str(yes)).replace("LOCAL", str(local))
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=theirs, stderr=theirs, stdout=subprocess.PIPE
        )
        os.write(ours, answer)
        out, _ = process.communicate(timeout=60)
        os.set_blocking(ours, False)
        return out.decode(), os.read(ours, 65536).decode()
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.processes
@pytest.mark.parametrize("answer", [b"y\n", b"YES\n"])
def test_confirmation_at_a_terminal_starts_the_job(answer: bytes) -> None:
    out, terminal = answered(answer)
    assert out == "sent\n"
    assert "send these 2 jobs one after the other, about USD 3.75? [y/N]" in terminal


@pytest.mark.processes
@pytest.mark.parametrize("answer", [b"\n", b"n\n", b"yes please\n", b"\x04"])
def test_any_other_answer_refuses(answer: bytes) -> None:
    out, terminal = answered(answer)
    assert out == ""
    assert "nothing was sent" in terminal


@pytest.mark.processes
@pytest.mark.parametrize("settings", [{"yes": True}, {"local": True}])
def test_confirmation_is_not_asked_with_yes_or_without_cost(settings: dict[str, bool]) -> None:
    out, terminal = answered(b"n\n", **settings)
    assert out == "sent\n"
    assert "[y/N]" not in terminal


@pytest.mark.processes
def test_script_without_terminal_is_not_asked() -> None:
    code = ASK.replace("YES", "False").replace("LOCAL", "False")
    done = subprocess.run(
        [sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, timeout=60
    )
    assert (done.stdout, done.stderr) == (b"sent\n", b"")


class Terminal:
    """A terminal on which somebody types a line, or Ctrl-C again."""

    def __init__(self, line: str | None) -> None:
        self.line = line

    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        if self.line is None:
            raise KeyboardInterrupt
        return self.line

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        pass


@pytest.mark.parametrize(
    ("line", "wish"), [("y\n", True), ("n\n", False), ("", False), (None, False)]
)
def test_after_ctrl_c_only_a_yes_stops_the_job(
    monkeypatch: pytest.MonkeyPatch, line: str | None, wish: bool
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(line))
    monkeypatch.setattr(sys, "stderr", Terminal(""))
    assert confirmation.wants_to_stop("job") is wish


def test_refused_confirmation_is_an_error_of_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    monkeypatch.setattr(sys, "stderr", Terminal(""))
    with pytest.raises(CliError, match="nothing was sent"):
        confirmation.confirm(request(aws=Account(1)), [None])
