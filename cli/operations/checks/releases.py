"""Releases against approvals: what is approved is released, and what is stable is approved."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from cli.operations.checks.check import (
    Check,
    CheckContext,
    CheckResult,
    failed,
    ok,
    unchecked,
    warning,
)

if TYPE_CHECKING:
    from registry.automation.observation import VersionState
    from registry.compilation.compile_settings import CompileSettings
    from registry.releases.pointers import Pointer
    from registry.versions.packages import Package

#: How many approved stage-2 students are looked at, newest first.
_VERSIONS = 20
#: Within this the automation may not have begun.
_PATIENCE = timedelta(minutes=2)


def approvals(context: CheckContext) -> Iterator[CheckResult]:
    """Each approved stage-2 student has a release, a job under way, or a recorded failure."""
    from registry.automation.observation import VersionRef, observe
    from registry.versions.packages import APPROVED, iterate

    compile_settings = _compile_settings(context)
    if compile_settings is None:
        yield unchecked(
            "the function that knows the compile settings does not exist", context.restore
        )
        return
    deployment = context.deployment
    approved = iterate(deployment.sagemaker, deployment.group_name, approval=APPROVED)
    rows = list(islice((row for row in approved if row.name and row.name.releasable), _VERSIONS))
    well = 0
    for row in rows:
        state = observe(deployment, VersionRef(row.arn), compile_settings)
        result = judge_version(
            state, datetime.now(UTC), _repeat(context, row.arn), context.environment
        )
        if result is None:
            well += 1
        else:
            yield result
    if well == len(rows):
        students = (
            "1 approved stage-2 student" if well == 1 else f"{well} approved stage-2 students"
        )
        yield ok(f"{students}, none without its release" if rows else "none")


def second_person(context: CheckContext) -> Iterator[CheckResult]:
    """Which versions that wait for approval need another person's, by the rule of four eyes."""
    from registry.versions.four_eyes import waiting

    deployment = context.deployment
    if not deployment.four_eyes:
        yield ok("four eyes is not set: who submitted a training may approve its model")
        return
    caller = str(context.client("sts").get_caller_identity()["UserId"])
    versions = waiting(deployment.sagemaker, deployment.group_name, caller)
    for each in versions:
        if each.objection:
            who = (
                "you have submitted its training" if each.authors else "nobody knows its submitter"
            )
            yield warning(f"{each.label} waits for approval, and {who}", each.objection)
    if not any(each.objection for each in versions):
        yield ok(f"four eyes: {len(versions)} wait for approval, by others than their submitters")


def judge_version(
    state: VersionState, now: datetime, repeat: str, environment: str
) -> CheckResult | None:
    """What is wrong with an approved version, by the very step that the automation would take.

    Args:
        state: What the automation sees.
        now: With its time zone.
        repeat: The command that makes the automation look again.
        environment: Which deployment.
    """
    from registry.convergence import Approval, Step, next_step
    from registry.versions.metadata import COMPILE_FAILURE

    package, seen, step = state.package, state.seen, next_step(state.seen)
    if package is None or seen.approval is not Approval.APPROVED:
        return None  # Decided otherwise between the list and the look.
    if step is Step.NOTHING and seen.failure_recorded and not seen.released:
        reason = package.metadata.get(COMPILE_FAILURE, "no reason recorded")
        reject = f"cards registry reject {package.label} --reason … -e {environment}"
        return warning(f"{package.label} is approved and cannot be released: {reason}", reject)
    if step in (Step.NOTHING, Step.WAIT, Step.ANNOUNCE) or _recent(package, now):
        return None
    if state.releases and step is Step.START_COMPILATION:
        return warning(
            f"{package.label} was released with earlier compile settings than those deployed "
            f"({state.releases[0]})",
            repeat,
        )
    return failed(f"{package.label} is approved, and nobody did: {step.value}", repeat)


def _recent(package: Package, now: datetime) -> bool:
    return now - (package.modified or package.created) < _PATIENCE


def stable(context: CheckContext) -> Iterator[CheckResult]:
    """The stable channel points to the newest approved version's release."""
    from registry.releases.channel_targets import compute
    from registry.releases.pointers import ChannelError, Pointer, read
    from registry.versions.packages import describe

    deployment = context.deployment
    wanted = compute(deployment)
    try:
        pointer, _ = read(deployment.s3, deployment.release_bucket)
    except ChannelError as error:
        key = f"s3://{deployment.release_bucket}/channels/stable.json"
        again = _repeat(context, wanted.package_arn) if wanted.package_arn else ""
        yield failed(str(error), f"aws s3 rm {key}" + (f"; then {again}" if again else ""))
        return
    pointed = pointer or Pointer(None)
    package = describe(deployment.sagemaker, pointed.package_arn) if pointed.package_arn else None
    repeat_for = pointed.package_arn if package else wanted.package_arn
    repeat = _repeat(context, repeat_for) if repeat_for else context.deploy
    yield judge_stable(pointed, wanted, package, datetime.now(UTC), repeat)


def judge_stable(
    pointed: Pointer, wanted: Pointer, package: Package | None, now: datetime, repeat: str
) -> CheckResult:
    """Where the channel points against where it should.

    Args:
        pointed: As it is.
        wanted: As it follows from approvals and releases.
        package: The version that it points to, as it is now; None where there is none.
        now: With its time zone.
        repeat: The command that makes the automation look again.
    """
    from registry.versions.packages import APPROVED

    if pointed == wanted:
        return ok(f"stable -> {pointed.release}" if pointed.release else "no release yet")
    if package and _recent(package, now):
        return ok(f"stable -> {pointed.release}; {package.label} was changed just now")
    right = wanted.release or "nothing"
    if pointed.package_arn and package is None:
        return failed(f"stable -> {pointed.release}, whose version was deleted; {right} is right",
                      repeat)  # fmt: skip
    if package and package.approval != APPROVED:
        return failed(
            f"stable -> {pointed.release}, whose version is {package.approval}; devices still "
            f"pull it; {right} is right",
            repeat,
        )
    return failed(f"stable -> {pointed.release or 'nothing'}; {right} is right", repeat)


def signatures(context: CheckContext) -> Iterator[CheckResult]:
    """Each release has its signatures, and each channel a statement that is not yet due."""
    from registry.channels import CHANNELS
    from registry.releases.folders import folders
    from registry.releases.pointers import ChannelError, read_channel

    deployment = context.deployment
    complete = [e for e in folders(deployment.s3, deployment.release_bucket) if e.published]
    lacking = [each.release for each in complete if each.missing_signatures]
    if lacking:
        yield warning(
            f"{len(lacking)} of {len(complete)} releases were signed by an earlier version of this "
            f"product and lack signatures ({lacking[0]})",
            f"cards release sign --all -e {context.environment}",
        )
    again = f"cards reconcile -e {context.environment}"
    now, faulty = datetime.now(UTC), False
    for channel in CHANNELS:
        try:
            found = read_channel(deployment.s3, deployment.release_bucket, channel.name)
        except ChannelError:
            continue  # The check of the channel says so.
        stated = found.statement if found else None
        if found and stated is None:
            faulty = True
            yield warning(f"channel {channel.name} has no signed statement yet", again)
        elif stated and stated.has_expired(now):
            faulty = True
            yield failed(
                f"channel {channel.name}: its statement expired on {stated.expires:%Y-%m-%d}; "
                "devices report a frozen channel",
                again,
            )
    if not lacking and not faulty:
        count = "1 release" if len(complete) == 1 else f"{len(complete)} releases"
        yield ok(f"{count} with all signatures" if complete else "no release yet")


def _compile_settings(context: CheckContext) -> CompileSettings | None:
    from registry.compilation.compile_settings import CompileSettings

    function = context.functions.get("CompileApproved")
    if function is None:
        return None
    variables: Mapping[str, Any] = function.get("Environment", {}).get("Variables", {})
    return CompileSettings.from_json(
        str(variables.get("COMPILE_SETTINGS", "")), str(variables.get("COMPILE_IMAGE", ""))
    )


def _repeat(context: CheckContext, package_arn: str) -> str:
    """The command, for either version of the AWS CLI, that makes the automation look again."""
    function = context.functions.get("CompileApproved", {}).get("FunctionName", "CompileApproved")
    event = json.dumps({"detail": {"ModelPackageArn": package_arn}})
    return (
        f"aws lambda invoke --function-name {function} --payload fileb:///dev/stdin /dev/stdout "
        f"<<< '{event}'"
    )


CHECKS = (
    Check("approvals", approvals, ("group", "buckets", "automation")),
    Check("stable channel", stable, ("group", "buckets", "automation")),
    Check("signatures", signatures, ("buckets",)),
    Check("four eyes", second_person, ("group", "deployment")),
)
