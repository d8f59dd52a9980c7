"""What a deployment costs while nothing happens, and what one release costs: ``docs/cost.md``.

    cdk synth -q && python -m scripts.cost_estimate [cdk.out]

Counts come from the templates, unit prices from ``config/list_prices.json``, and what neither can
tell is assumed here, by name. Nothing that AWS gives for free is taken off.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PRICES = Path(__file__).resolve().parents[1] / "config" / "list_prices.json"

#: What is assumed, as a page shows it.
RELEASES = 20
RELEASE_MB = 25
HOURS = 730
RECONCILE_SECONDS = 5
RECONCILE_LISTS = 10
RECONCILE_LOG_KB = 5
#: ``lambdas/reconcile.py`` prints three figures at each call, and each is a metric of ours.
HOURLY_METRICS = 3
JOB_MINUTES = 5
RELEASE_FUNCTION_SECONDS = 60
RELEASE_WRITES, RELEASE_READS = 60, 200
RELEASE_SIGNATURES = 15
RELEASE_LOG_KB = 200
#: Of two channels' statements and of one release.
RECONCILE_SIGNATURES = 5
HAILO_IMAGE_GB = 8
#: ``infra/network_stack.py``: seven services, each in two zones.
ENDPOINT_ZONES = 14

#: What has no price of its own: what is done with it has.
FREE = frozenset(
    {
        *("AWS::ECR::Repository", "AWS::IAM::ManagedPolicy", "AWS::IAM::Policy", "AWS::IAM::Role"),
        *("AWS::KMS::Alias", "AWS::Lambda::EventInvokeConfig", "AWS::Lambda::Permission"),
        *("AWS::Logs::LogGroup", "AWS::S3::Bucket", "AWS::S3::BucketPolicy"),
        *("AWS::SNS::Subscription", "AWS::SNS::Topic", "AWS::SNS::TopicPolicy"),
        *("AWS::SQS::QueuePolicy", "AWS::SSM::Parameter", "AWS::SageMaker::ModelPackageGroup"),
        *("AWS::EC2::RouteTable", "AWS::EC2::SecurityGroup", "AWS::EC2::SecurityGroupIngress"),
        *("AWS::EC2::Subnet", "AWS::EC2::SubnetRouteTableAssociation", "AWS::EC2::VPC"),
    }
)
#: What the lines below are about.
PRICED = frozenset(
    {
        *("AWS::CloudWatch::Alarm", "AWS::CloudWatch::Dashboard", "AWS::EC2::VPCEndpoint"),
        *("AWS::Events::Rule", "AWS::KMS::Key", "AWS::Lambda::Function", "AWS::SQS::Queue"),
        *("AWS::SageMaker::MlflowApp", "AWS::SageMaker::MlflowTrackingServer"),
    }
)


_FUNCTION = "AWS::Lambda::Function"
#: The variable of the function that starts compile jobs.
_INSTANCE = "COMPILE_INSTANCE_TYPE"


class EstimateError(ValueError):
    """No template, or one that is not understood: one line with the cause and the remedy."""


@dataclass(frozen=True)
class Line:
    """One line of an estimate.

    Attributes:
        what: For people.
        amount: How much of it, in the unit of the price.
        price: Name of the unit price.
    """

    what: str
    amount: float
    price: str


def read_resources(place: Path) -> list[dict[str, Any]]:
    """The resources of a template, or of every template of a folder.

    Args:
        place: ``cdk.out``, or a file.

    Raises:
        EstimateError: There is no template.
    """
    files = sorted(place.glob("*.template.json")) if place.is_dir() else [place]
    if not files or not files[0].is_file():
        raise EstimateError(f"{place}: holds no template; cdk synth -q makes cdk.out")
    found = []
    for file in files:
        try:
            found += list(json.loads(file.read_text())["Resources"].values())
        except (ValueError, KeyError, TypeError, AttributeError):
            raise EstimateError(f"{file}: is no CloudFormation template in JSON") from None
    return found


def idle(resources: Sequence[dict[str, Any]]) -> Iterator[Line]:
    """A month in which nothing happens."""

    def of(kind: str) -> list[dict[str, Any]]:
        return [each.get("Properties", {}) for each in resources if each["Type"] == kind]

    yield Line("alarms", len(of("AWS::CloudWatch::Alarm")), "alarm")
    yield Line("dashboards", len(of("AWS::CloudWatch::Dashboard")), "dashboard")
    yield Line("KMS keys", len(of("AWS::KMS::Key")), "kms_key")
    yield Line("metrics that the reconciler prints", HOURLY_METRICS, "metric")
    calls = sum(calls_a_month(rule["ScheduleExpression"]) for rule in of("AWS::Events::Rule")
                if "ScheduleExpression" in rule)  # fmt: skip
    memory = next(
        (
            function["MemorySize"] / 1024
            for function in of(_FUNCTION)
            if function.get("Handler") == "lambdas.reconcile.handler"
        ),
        0,
    )
    seconds = calls * RECONCILE_SECONDS
    yield Line(
        f"the reconciler: {calls:.0f} calls of {RECONCILE_SECONDS} s at {memory:g} GB",
        seconds * memory,
        "lambda_gb_second",
    )
    yield Line("the same as calls", calls, "lambda_request")
    yield Line(f"its {RECONCILE_LISTS} lists a call", calls * RECONCILE_LISTS, "s3_write")
    yield Line(
        f"{RECONCILE_SIGNATURES} signatures that it verifies a call",
        calls * RECONCILE_SIGNATURES,
        "kms_request",
    )
    yield Line(f"its log, {RECONCILE_LOG_KB} KB a call", calls * RECONCILE_LOG_KB / 1e6, "log_gb")
    yield Line(
        f"{RELEASES} releases of {RELEASE_MB} MB, and as much of their compilations",
        2 * RELEASES * RELEASE_MB / 1000,
        "s3_gb",
    )
    yield Line(f"{len(of('AWS::SQS::Queue'))} queues, asked by nobody", 0, "sqs_request")
    for kind, price in (("MlflowApp", "mlflow_app"), ("MlflowTrackingServer", "mlflow_server")):
        for _ in of(f"AWS::SageMaker::{kind}"):
            hours = HOURS if price == "mlflow_server" else 1
            yield Line("MLflow", hours, price)
    zones = sum(
        len(endpoint.get("SubnetIds", []))
        for endpoint in of("AWS::EC2::VPCEndpoint")
        if endpoint.get("VpcEndpointType") == "Interface"
    )
    if zones:
        yield Line("endpoints, each in its zones", zones * HOURS, "endpoint_hour")


def release(resources: Sequence[dict[str, Any]]) -> Iterator[Line]:
    """One approval, from the compile job to the notice."""
    functions = [each["Properties"] for each in resources if each["Type"] == _FUNCTION]
    memory = max((each["MemorySize"] / 1024 for each in functions), default=0)
    variables = [each.get("Environment", {}).get("Variables", {}) for each in functions]
    for instance in sorted({v[_INSTANCE] for v in variables if _INSTANCE in v}):
        yield Line(f"compile job: {JOB_MINUTES} min of {instance}", JOB_MINUTES / 60, instance)
    yield Line(
        f"functions, {RELEASE_FUNCTION_SECONDS} s at {memory:g} GB at most",
        RELEASE_FUNCTION_SECONDS * memory,
        "lambda_gb_second",
    )
    yield Line(
        f"{RELEASE_SIGNATURES} signatures made or verified", RELEASE_SIGNATURES, "kms_request"
    )
    yield Line(f"{RELEASE_WRITES} objects written or listed", RELEASE_WRITES, "s3_write")
    yield Line(f"{RELEASE_READS} objects read", RELEASE_READS, "s3_read")
    yield Line(f"log, {RELEASE_LOG_KB} KB", RELEASE_LOG_KB / 1e6, "log_gb")
    yield Line("events of SageMaker", 10, "aws_event")
    yield Line("notice", 1, "sns_publish")
    yield Line("the same by e-mail", 1, "sns_email")


def by_choice() -> Iterator[Line]:
    """What some settings add to a month."""
    yield Line(
        f"`network: isolated`: endpoints in zones, {ENDPOINT_ZONES} in all",
        ENDPOINT_ZONES * HOURS,
        "endpoint_hour",
    )
    yield Line(f"`compiler_image`: one image of {HAILO_IMAGE_GB} GB", HAILO_IMAGE_GB, "ecr_gb")
    yield Line("`mlflow: tracking-server`", HOURS, "mlflow_server")
    yield Line("log lines that are kept", 0.01, "log_gb_kept")


def calls_a_month(schedule: str) -> float:
    """How often a rule's schedule fires in a month.

    Raises:
        EstimateError: It is no rate.
    """
    found = re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", schedule)
    if not found:
        raise EstimateError(f"{schedule}: is no rate(…), the only schedule that is understood")
    hours = {"minute": 1 / 60, "hour": 1, "day": 24}[found[2]]
    return HOURS / (int(found[1]) * hours)


def estimate(place: Path, prices: Path = PRICES) -> str:
    """The estimate in Markdown.

    Args:
        place: ``cdk.out``, or a template.
        prices: The unit prices.

    Raises:
        EstimateError: There is no template.
    """
    listed = json.loads(prices.read_text())["prices"]
    resources = read_resources(place)
    parts = [
        "### While nothing happens, a month",
        _table(list(idle(resources)), listed, digits=2, total=True),
        "### One release",
        _table(list(release(resources)), listed, digits=4, total=True),
        "### What settings add, a month",
        _table(list(by_choice()), listed, digits=2),
        "### Unit prices",
        _price_table(listed),
    ]
    unknown = sorted({each["Type"] for each in resources} - FREE - PRICED)
    if unknown:
        parts.append(f"Not in this estimate: {', '.join(unknown)}.")
    return "\n\n".join(parts)


def _table(
    lines: Sequence[Line], listed: dict[str, Any], *, digits: int, total: bool = False
) -> str:
    rows = [("what", "amount", "at USD", "USD")]
    sum_ = 0.0
    unpriced = False
    for line in lines:
        usd = listed.get(line.price, {}).get("usd")
        if usd is None:
            unpriced = True
            rows.append((line.what, f"{line.amount:,.6g}", "no price found", "?"))
            continue
        sum_ += line.amount * usd
        each = f"{usd:.10f}".rstrip("0").rstrip(".")
        rows.append((line.what, f"{line.amount:,.6g}", each, _money(line.amount * usd, digits)))
    if total:
        words = "together, without what has no price here" if unpriced else "together"
        rows.append((f"**{words}**", "", "", f"**{sum_:.{digits}f}**"))
    return _markdown(rows)


def _price_table(listed: dict[str, Any]) -> str:
    rows = [("USD", "for one", "read at", "on", "note")]
    for entry in listed.values():
        usd = entry["usd"]
        rows.append(
            (
                "?" if usd is None else f"{usd:.10f}".rstrip("0").rstrip("."),
                entry["per"],
                entry["source"] or "–",
                entry["seen"],
                entry.get("note", ""),
            )
        )
    return _markdown(rows)


def _money(usd: float, digits: int) -> str:
    least = 10**-digits
    return f"< {least}" if 0 < usd < least / 2 else f"{usd:.{digits}f}"


def _markdown(rows: Sequence[tuple[str, ...]]) -> str:
    lines = [rows[0], ("---",) * len(rows[0]), *rows[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the estimate; answers 1 after one line on stderr where there is no template."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("place", nargs="?", type=Path, default=Path("cdk.out"))
    try:
        print(estimate(parser.parse_args(arguments).place))
    except EstimateError as error:
        print(f"cost_estimate: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
