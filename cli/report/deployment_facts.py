"""What a page says of the deployment: what is live, what an approval starts, takes and costs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.aws import AwsSession

if TYPE_CHECKING:
    from registry.compilation.compile_settings import CompileSettings
    from registry.versions.packages import Package
    from reports.decision import Circumstances

#: List prices, with where and when each was read.
PRICES = Path(__file__).resolve().parents[2] / "config/list_prices.json"
#: Each report is a request of its own.
REPORTS_READ = 200


def live_version(aws: AwsSession) -> tuple[Package | None, str]:
    """What the stable channel points to, or why there is nothing to compare with."""
    from registry.releases import pointers
    from registry.versions.packages import describe

    deployment = aws.deployment
    pointer, _ = pointers.read(deployment.s3, deployment.release_bucket)
    if pointer is None or pointer.package_arn is None:
        return None, "Nothing is live yet, so there is nothing to compare with."
    found = describe(deployment.sagemaker, pointer.package_arn)
    if found is None:
        return None, f"The live version, {pointer.name or pointer.package_arn}, was deleted."
    return found, ""


def circumstances(aws: AwsSession, package: Package | None = None) -> Circumstances:
    """What a decision depends on beside the version's own state.

    Args:
        aws: The session.
        package: The version; None where it is not registered yet.
    """
    from reports.decision import Circumstances

    settings = compile_settings(aws)
    words = (
        f"It compiles with {settings.kind.title}, for {settings.kind.device}." if settings else ""
    )
    return Circumstances(
        compiler=words,
        stable_channel=aws.deployment.stable_channel,
        four_eyes=aws.deployment.four_eyes,
        submitted_by=_submitters(aws, package) if package else (),
        price=_last_compilation(aws),
        held=_held(aws),
    )


def devices(aws: AwsSession) -> str:
    """How many devices follow each channel, in words, or why that is not known."""
    from botocore.exceptions import ClientError

    from registry.aws_errors import is_denied
    from registry.fleet.stored_reports import read_reports
    from reports.followers import NO_REPORTS_KEPT, followers

    deployment = aws.deployment
    if deployment.rollout_failures is None:
        return NO_REPORTS_KEPT
    try:
        found = read_reports(deployment.s3, deployment.release_bucket, REPORTS_READ)
    except ClientError as error:
        if not is_denied(error):
            raise
        return (
            "How many devices follow a channel is not known: who made this page may not read what "
            "devices report (the policy Operator allows it)."
        )
    return followers(found, deployment.now())


def compile_settings(aws: AwsSession) -> CompileSettings | None:
    """The deployment's compile settings; None where its functions are not there, or not ours."""
    from botocore.exceptions import ClientError

    from cli.compile_settings import deployed_compile_settings
    from cli.errors import CliError

    try:
        return deployed_compile_settings(aws)
    except (CliError, ClientError, KeyError, ValueError):
        return None


def _held(aws: AwsSession) -> str:
    """The release that a person holds the stable channel at; empty where nothing does."""
    from registry.releases.channel_targets import valid
    from registry.releases.pointers import ChannelError, read_hold

    deployment = aws.deployment
    try:
        hold = read_hold(deployment.s3, deployment.release_bucket)
    except ChannelError:
        return ""  # It counts as none, and cards doctor says so.
    return hold.pointer.release or "" if hold and valid(deployment, hold.pointer) else ""


def _submitters(aws: AwsSession, package: Package) -> tuple[str, ...]:
    """Who may not approve a version where four eyes are asked for; empty where nobody knows."""
    from botocore.exceptions import ClientError

    from registry.aws_errors import is_denied
    from registry.versions.four_eyes import authors

    if not aws.deployment.four_eyes:
        return ()
    try:
        return tuple(sorted(authors(aws.client("sagemaker"), package)))
    except ClientError as error:
        if is_denied(error):
            return ()
        raise


def _last_compilation(aws: AwsSession) -> str:
    """How long the last compile job took and what that costs, as an estimate of the next one."""
    from registry.compilation.jobs import list_jobs
    from registry.convergence import JobState

    sagemaker = aws.client("sagemaker")
    newest = next(list_jobs(sagemaker, state=JobState.COMPLETED), None)
    if newest is None:
        return "How long that takes here is not known: no compile job has ended here yet."
    job = sagemaker.describe_processing_job(ProcessingJobName=newest["ProcessingJobName"])
    start, end = job.get("ProcessingStartTime"), job.get("ProcessingEndTime")
    if start is None or end is None:
        return ""
    machine = job["ProcessingResources"]["ClusterConfig"]["InstanceType"]
    return compilation_estimate((end - start).total_seconds(), machine, hourly_price(machine))


def compilation_estimate(seconds: float, machine: str, hourly: float | None) -> str:
    """Time and cost of a compile job, from the last one's.

    Args:
        seconds: That the last one took.
        machine: Its instance.
        hourly: USD an hour of it; None where no price is known.

    >>> compilation_estimate(1200, "ml.m5.xlarge", 0.23).partition(", as")[0]
    'Estimate: about 20 minutes on one ml.m5.xlarge'
    >>> compilation_estimate(1200, "ml.m5.xlarge", 0.23).partition("which ")[2]
    'costs about USD 0.08 at USD 0.23 an hour.'
    """
    text = f"Estimate: about {seconds / 60:.0f} minutes on one {machine}, as the last compile job"
    if seconds < 60:
        text = f"Estimate: less than a minute on one {machine}, as the last compile job"
    if hourly is None:
        return f"{text}; config/list_prices.json has no price of {machine}."
    cost = seconds / 3600 * hourly
    words = f"about USD {cost:.2f}" if cost >= 0.01 else "less than USD 0.01"
    return f"{text}, which costs {words} at USD {hourly:g} an hour."


def hourly_price(machine: str) -> float | None:
    """List price of an instance, USD an hour; None where ``config/list_prices.json`` has none."""
    try:
        document: Any = json.loads(PRICES.read_text(encoding="utf-8"))
        price = document["prices"][machine]["usd"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return float(price) if isinstance(price, int | float) else None
