"""The cloud restarted in the middle, many approvals at once, events again and again and too late.

On a deployed local cloud of its own, whose compile job is exchanged for one that writes small files
at once. What is counted is what was lost and what was done twice.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from bench.quick_compilation import LINE, quick_compilation, register
from cli.external_commands import environment
from localcloud import LocalCloud
from registry.channels import CHANNELS
from registry.compilation.jobs import list_jobs
from registry.convergence import ATTEMPT_LIMIT
from registry.names import RELEASES_PREFIX, RETIRED, parse_compile_job
from registry.releases.folders import folders
from registry.versions.metadata import RELEASE
from registry.versions.packages import PackageSummary, describe, iterate
from tests.e2e.cloud import Cloud, until
from tests.running_cloud import make_cloud, queue_of, received

AT_ONCE = 12
BURST = 40
TIMES = 50
#: Functions that run at once: more would only wait for a processor, and the others are throttled.
CONCURRENCY = 4
#: Nothing has happened for so long: nothing will.
QUIET_SECONDS = 15.0
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass
class Site:
    """The deployed cloud, the process behind it, and how many versions there are."""

    local: LocalCloud
    cloud: Cloud
    versions: int = 0

    def __post_init__(self) -> None:
        self.sagemaker, self.s3 = self.cloud.client("sagemaker"), self.cloud.client("s3")
        self.deployment = self.cloud.deployment

    def approve(self, count: int) -> list[str]:
        """Registers new versions and approves them at once; their ARNs."""
        first = self.versions + 1
        self.versions += count
        arns = [
            register(self.sagemaker, self.deployment, number, "PendingManualApproval")
            for number in range(first, first + count)
        ]
        for arn in arns:
            self.decide(arn, "Approved")
        return arns

    def decide(self, arn: str, status: str) -> None:
        self.sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus=status)

    def restart(self) -> None:
        assert self.local.stop()
        self.local.start()

    def reconcile(self) -> dict[str, Any]:
        answer = self.cloud.client("lambda").invoke(
            FunctionName=self.deployment.reconciler_function
        )
        report = json.loads(answer["Payload"].read())
        assert report["finished"], report
        return dict(report)

    def jobs(self) -> list[Any]:
        return list(list_jobs(self.sagemaker))

    def states(self) -> Counter[str]:
        """How many compile jobs there are, by their state."""
        return Counter(row["ProcessingJobStatus"] for row in self.jobs())

    def packages(self) -> list[PackageSummary]:
        return list(iterate(self.sagemaker, self.deployment.group_name))

    def manifests(self) -> int:
        rows = folders(self.s3, self.deployment.release_bucket)
        return sum(each.published is not None for each in rows)

    def settle(self) -> None:
        """Waits until all is right, or nothing happens any more."""
        seen: Any = None
        since = time.monotonic()
        while time.monotonic() - since < QUIET_SECONDS:
            now = (self.states(), self.manifests(), len(self.packages()))
            if now != seen or self.states()["InProgress"]:
                seen, since = now, time.monotonic()
            elif not self.faults():
                return
            time.sleep(0.3)

    def faults(self) -> dict[str, list[str]]:
        """What was lost, what was done twice, and what is wrong; every version is approved."""
        found: dict[str, list[str]] = defaultdict(list)
        names = [f"{LINE}{number}" for number in range(1, self.versions + 1)]
        releases, jobs = self._releases(), self._jobs()
        for name in names:
            if len(releases[name]) != 1:
                found["not one release"].append(f"{name}: {releases[name]}")
            found["damaged"] += [each for each in releases[name] if not self.intact(each)]
            states = [row["ProcessingJobStatus"] for row in jobs[name]]
            if states.count("Completed") != 1 or len(states) > ATTEMPT_LIMIT:
                found["not one compilation"].append(f"{name}: {states}")
            for one, following in pairwise(jobs[name]):
                if one.get("ProcessingEndTime", _NEVER) > following["CreationTime"]:
                    found["two jobs at once"].append(name)
        packages = self.packages()
        counted = Counter(str(row.name) for row in packages)
        found["registered twice"] = [name for name, count in counted.items() if count > 1]
        if len(packages) != 3 * self.versions:  # Each as ONNX and as INT8 too.
            found["registered"].append(f"{len(packages)} for {self.versions}")
        for row in packages:
            package = describe(self.sagemaker, row.arn) if str(row.name) in names else None
            if package and RELEASE not in package.metadata:
                found["not announced"].append(str(row.name))
        for channel in (each.name for each in CHANNELS):
            if self.channel(channel) != names[-1]:
                found["channels"].append(f"{channel}: {self.channel(channel)}")
        return {what: which for what, which in found.items() if which}

    def _releases(self) -> dict[str, list[str]]:
        """The complete releases, by the version's name."""
        found = defaultdict(list)
        for folder in folders(self.s3, self.deployment.release_bucket):
            if folder.published:
                found[folder.name].append(folder.release)
        return found

    def _jobs(self) -> dict[str, list[Any]]:
        """The compile jobs, by the version's name, in the order of their attempts."""
        found = defaultdict(list)
        for row in sorted(self.jobs(), key=lambda row: row["CreationTime"]):
            parsed = parse_compile_job(row["ProcessingJobName"])
            assert parsed, row
            found[str(parsed[0])].append(row)
        return found

    def channel(self, name: str) -> str | None:
        """The version that a channel points to."""
        try:
            answer = self.s3.get_object(
                Bucket=self.deployment.release_bucket, Key=f"channels/{name}.json"
            )
        except self.s3.exceptions.NoSuchKey:
            return None
        found = json.loads(answer["Body"].read())["name"]
        return str(found) if found else None

    def intact(self, release: str) -> bool:
        """Whether every file of a release is what its manifest says."""
        bucket, place = self.deployment.release_bucket, f"{RELEASES_PREFIX}{release}/"

        def read(file: str) -> bytes:
            body = self.s3.get_object(Bucket=bucket, Key=f"{place}{file}")["Body"].read()
            return bytes(body)

        files = json.loads(read("manifest.json"))["files"]
        return bool(files) and all(
            hashlib.sha256(read(file)).hexdigest() == facts["sha256"]
            for file, facts in files.items()
        )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("interrupted")
    local = make_cloud(folder / "state")
    local.parallel_jobs = 2
    local.start()
    try:
        cloud = Cloud(environment(local.env()), folder)
        account, region = cloud.variables["CDK_DEFAULT_ACCOUNT"], cloud.variables["AWS_REGION"]
        cloud.cdk("bootstrap", f"aws://{account}/{region}")
        cloud.deploy({"mlflow": "none"})
        quick_compilation(cloud.client, cloud.deployment)
        for name in (cloud.deployment.compile_function, cloud.deployment.publish_function):
            cloud.client("lambda").put_function_concurrency(
                FunctionName=name, ReservedConcurrentExecutions=CONCURRENCY
            )
        yield Site(local, cloud)
    finally:
        local.stop()


@pytest.mark.parametrize("moment", ["the approvals", "the first release"])
def test_cloud_restarted_after_a_step_loses_and_repeats_nothing(site: Site, moment: str) -> None:
    released = site.manifests()
    site.approve(AT_ONCE)
    if moment == "the first release":
        until(lambda: site.manifests() > released, 300, moment)
    site.restart()
    assert site.faults(), f"{moment}: it was over before the cloud was stopped"
    for _ in range(2):
        site.reconcile()
        site.settle()
    assert site.faults() == {}


def test_many_approvals_at_once_lose_nothing_and_do_nothing_twice(site: Site) -> None:
    before = len(site.jobs())
    site.approve(BURST)
    until(lambda: site.manifests() == site.versions, 300, "every version has its release")
    site.settle()
    assert site.faults() == {}
    assert len(site.jobs()) == before + BURST, "none was tried twice"


# ---- Events again and again


class Bus:
    """Hears SageMaker's events as the rules do, and brings them to the functions once more.

    PutEvents refuses a source of AWS's own; what EventBridge does with such an event is to invoke
    the targets of each rule that it matches, which can be done again.
    """

    def __init__(self, site: Site) -> None:
        self._client = site.cloud.client
        self._events, self._lambda = self._client("events"), self._client("lambda")
        self._logs = self._client("logs")
        self._rules = [
            (rule["EventPattern"], self._events.list_targets_by_rule(Rule=rule["Name"])["Targets"])
            for rule in self._events.list_rules()["Rules"]
            if rule.get("EventPattern")
        ]
        self._url, queue = queue_of(self._client, "heard")
        pattern = json.dumps({"source": ["aws.sagemaker"]})
        self._events.put_rule(Name="heard", EventPattern=pattern)
        self._events.put_targets(Rule="heard", Targets=[{"Id": "1", "Arn": queue}])
        self._heard: list[dict[str, Any]] = []

    def listen(self) -> list[dict[str, Any]]:
        """Every event so far."""
        self._heard += [json.loads(each["Body"]) for each in received(self._client, self._url)]
        return list(self._heard)

    def of(self, key: str, value: str) -> list[dict[str, Any]]:
        """The events with something in their detail."""
        return [event for event in self.listen() if event["detail"].get(key) == value]

    def bring(self, event: dict[str, Any], times: int) -> None:
        """Has the event delivered so many times more, and waits until all of that is handled."""
        body = json.dumps(event)
        targets = [
            target["Arn"]
            for pattern, targets in self._rules
            if self._events.test_event_pattern(EventPattern=pattern, Event=body)["Result"]
            for target in targets
        ]
        before = {arn: self._handled(arn) for arn in targets}
        for _ in range(times):
            for arn in targets:
                self._lambda.invoke(FunctionName=arn, InvocationType="Event", Payload=body)
        for arn in targets:
            until(lambda arn=arn: self._handled(arn) >= before[arn] + times, 300, f"{arn}: handled")

    def _handled(self, function: str) -> int:
        """How many invocations of a function have come to their end."""
        configuration = self._lambda.get_function_configuration(FunctionName=function)
        pages = self._logs.get_paginator("filter_log_events").paginate(
            logGroupName=configuration["LoggingConfig"]["LogGroup"]
        )
        return sum(
            "REPORT" in row["message"] or "platform.report" in row["message"]
            for page in pages
            for row in page["events"]
        )


def test_repeated_reversed_and_late_events_do_nothing_twice(site: Site) -> None:
    bus, before = Bus(site), len(site.jobs())
    (arn,) = site.approve(1)
    approved = until(
        lambda: [
            event
            for event in bus.of("ModelPackageArn", arn)
            if event["detail"]["ModelApprovalStatus"] == "Approved"
        ],
        30,
        "the approval is told",
    )[0]
    bus.bring(approved, TIMES)
    ended = until(
        lambda: bus.of("ProcessingJobStatus", "Completed"),
        300,
        "the job's end is an event",
    )
    bus.bring(ended[0], TIMES)
    site.settle()
    assert site.faults() == {}
    assert len(site.jobs()) == before + 1
    # Its whole life backwards.
    for event in reversed(bus.listen()):
        bus.bring(event, TIMES // 5)
    assert site.faults() == {}
    assert len(site.jobs()) == before + 1
    # The approval again, when it has long been taken back.
    site.decide(arn, "Rejected")
    until(lambda: site.manifests() == site.versions - 1, 300, "the release is withdrawn")
    bus.bring(approved, TIMES)
    assert site.manifests() == site.versions - 1
    assert len(site.jobs()) == before + 1
    site.decide(arn, "Approved")
    until(lambda: not site.faults(), 300, "approved again, the same release is back")
    assert len(site.jobs()) == before + 1


# ---- Old releases


def test_old_releases_are_retired_by_the_deployed_functions(site: Site) -> None:
    """The last of the file: it leaves most versions without a release, their files for a day."""
    keep = 3
    site.cloud.deploy({"mlflow": "none", "keep_releases": str(keep)})
    there = {each.release: each for each in folders(site.s3, site.deployment.release_bucket)}
    report = site.reconcile()
    assert report["repaired"] >= len(there) - keep - len(CHANNELS), report

    # What a channel would go back to stays beside the newest.
    until(lambda: keep <= site.manifests() <= keep + len(CHANNELS), 300, "old releases have gone")
    left = list(folders(site.s3, site.deployment.release_bucket))
    assert {each.release for each in left} == set(there)
    newest = sorted(there, key=lambda release: there[release].published or _NEVER)[-keep:]
    for each in left:
        assert bool(each.published) != bool(each.retired), each
        assert each.files - {RETIRED} == there[each.release].files, "nothing is deleted today"
        assert each.published or each.release not in newest, f"{each.release} is among the newest"
    for channel in (each.name for each in CHANNELS):
        assert site.channel(channel) == f"{LINE}{site.versions}"
    assert site.reconcile()["repaired"] == 0
