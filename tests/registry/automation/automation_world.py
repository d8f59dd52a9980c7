"""The automation's own functions over AWS in memory: events, lost, late, twice, and crashes.

One file: the world's events, time and expected state are one object, which the tests share.
"""

# Over 400 lines: the simulated world is one state; its parts would hold nothing by themselves.

from __future__ import annotations

import hashlib
import importlib
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from types import ModuleType
from typing import Any
from unittest.mock import patch

from registry import channels
from registry.compilation.job_identity import argument
from registry.convergence import ATTEMPT_LIMIT
from registry.deployment import Deployment
from registry.names import RETIRED, name_in_description, parse_compile_job
from registry.releases import channel_moves, channel_targets, pointers
from registry.releases.manifest import sha256
from registry.releases.release_owner import owner_arn
from registry.releases.signatures.release_signatures import SIGNATURES, stored_name
from registry.releases.statement import Statement
from registry.versions.metadata import COMPILE_FAILED_JOB, RELEASE
from tests.registry.compilation.compiled_files import CARDS, FILES, report
from tests.registry.memory_aws import (
    ACCOUNT,
    GROUP,
    PUBLISHER_ROLE,
    REGION,
    RELEASES,
    TERMINAL,
    TRAINING,
    Crash,
    MemoryAws,
)
from tests.registry.registration.training_jobs import request

#: Two sets of compile settings that a deployment changes between.
COMPILE_SETTINGS = (
    '{"compiler": "onnx-int8"}',
    '{"compiler": "onnx-int8", "calibration_images": 512}',
)
#: Of each disturbance: at how many requests; what was lost; what was done twice.
TALLY: dict[str, list[int]] = {}
#: How often Lambda tries one asynchronous invocation.
TRIES = 3
_VARIABLES = {
    "ENVIRONMENT": "dev",
    "GROUP_NAME": GROUP,
    "TRAINING_BUCKET": TRAINING,
    "RELEASE_BUCKET": RELEASES,
    "STABLE_FOLLOWS": "approval",
    "KEEP_RELEASES": "all",
    "FOUR_EYES": "false",
    "PUBLISHER_ROLE_ARN": PUBLISHER_ROLE,
    "NOTICE_TOPIC_ARN": f"arn:aws:sns:{REGION}:{ACCOUNT}:notices",
    "STATEMENT_DAYS": "30",
    "ROLLOUT_FAILURES": "0.05",
    "SIGNING_KEY_ARNS": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234",
    "SIGNING_KEY_ARN": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1234",
    "PUBLISH_FUNCTION": "publish",
    "COMPILE_FUNCTION": "compile",
    "REGISTER_FUNCTION": "register",
    "COMPILE_IMAGE": "image",
    "COMPILE_ROLE_ARN": f"arn:aws:iam::{ACCOUNT}:role/compile-jobs",
    "COMPILE_INSTANCE_TYPE": "ml.m5.xlarge",
    "COMPILE_SECURITY_GROUP": "none",
    "COMPILE_SUBNETS": "none",
    "COMPILE_MAX_RUNTIME_SECONDS": "600",
    "CODE_URI": f"s3://{TRAINING}/source/code.zip",
}
_MODULES = {
    "compile": "lambdas.compile_approved",
    "publish": "lambdas.publish_release",
    "reconcile": "lambdas.reconcile",
}


class _Context:
    def __init__(self, seconds: float = 600) -> None:
        self._left = seconds

    def get_remaining_time_in_millis(self) -> int:
        return round(self._left * 1000)


class _Current:
    """The clients that the functions hold: of whichever world is at work."""

    world: World

    def client(self, service: str) -> Any:
        return _Delegate(self, service)

    def now(self) -> datetime:
        return self.world.aws.clock


class _Delegate:
    def __init__(self, current: _Current, service: str) -> None:
        self._current, self._service = current, service

    def __getattr__(self, name: str) -> Any:
        return getattr(self._current.world.aws.client(self._service), name)


CURRENT = _Current()


@contextmanager
def functions(
    stable: str = "approval", keep: str = "all", *, four_eyes: bool = False
) -> Iterator[list[dict[str, ModuleType]]]:
    """The real functions, as Lambda would load them for both sets of compile settings.

    Args:
        stable: What moves the stable channel.
        keep: How many of the newest releases stay beside what channels need.
        four_eyes: Whether nothing is released that its own submitter approved.
    """
    loaded = []
    variables = {**_VARIABLES, "STABLE_FOLLOWS": stable, "KEEP_RELEASES": keep}
    variables["FOUR_EYES"] = "true" if four_eyes else "false"
    with (
        patch("boto3.client", CURRENT.client),
        patch("lambdas.settings.Deployment", partial(Deployment, now=CURRENT.now)),
        patch.dict("os.environ", variables),
    ):
        for compile_settings in COMPILE_SETTINGS:
            with patch.dict("os.environ", {"COMPILE_SETTINGS": compile_settings}):
                modules = {}
                for function, name in _MODULES.items():
                    sys.modules.pop(name, None)
                    module = importlib.import_module(name)
                    modules[function] = module
                    # Of the version's lineage other tests speak.
                    if function == "compile":
                        modules[function].record_version = lambda *_: []  # type: ignore[attr-defined]
                loaded.append(modules)
        yield loaded
    for name in _MODULES.values():
        sys.modules.pop(name, None)


@dataclass
class Delivery:
    """One event on its way to one function."""

    function: str
    event: dict[str, Any]
    tries: int = 0


@dataclass
class World:
    """An account with the deployed automation, and everything that may happen to it.

    Attributes:
        queue: Deliveries that have not been made.
        lost: Deliveries given up, or dropped.
        stated: Each channel's statement at the last check.
        crashed: Whether any function's process has ended before its time.
    """

    code: list[dict[str, ModuleType]]
    aws: MemoryAws = field(default_factory=MemoryAws)
    queue: list[Delivery] = field(default_factory=list)
    lost: int = 0
    crashed: bool = False
    compile_settings: int = 0
    versions: list[str] = field(default_factory=list)
    stated: dict[str, Statement] = field(default_factory=dict)
    _depth: int = 0

    def __post_init__(self) -> None:
        CURRENT.world = self

    # --- people

    def register(self) -> str:
        number = len(self.versions) + 1
        name = f"student-efficientnet-lite0-stage2-v{number}"
        metadata = {**request(model_type="student")["metadata"], "Stage": "stage2", "Top1": "0.9"}
        key = f"jobs/job-{number}/output/model.tar.gz"
        archive = f"the archive of {name}".encode()
        self.aws._store((TRAINING, key), archive)
        version_id = len(self.aws.object_versions[TRAINING, key]) - 1
        archive_digest = hashlib.sha256(archive).hexdigest()
        answer = self.aws._create_model_package(
            {
                "ClientToken": name,
                "ModelPackageGroupName": GROUP,
                "ModelPackageDescription": f"{name}: stage2 student, x",
                "ModelApprovalStatus": "PendingManualApproval",
                "CustomerMetadataProperties": {
                    **metadata,
                    "ModelName": name,
                    "CardSetUri": "s3://cards/x",
                    "CardSetDigest": CARDS,
                    "ModelArchive": f"{archive_digest} {version_id}",
                },
                "InferenceSpecification": {
                    "Containers": [{"Image": "image", "ModelDataUrl": f"s3://{TRAINING}/{key}"}]
                },
            }
        )
        self.versions.append(answer["ModelPackageArn"])
        return self.versions[-1]

    def decide(self, arn: str, status: str) -> None:
        if arn in self.aws.packages and self.aws.packages[arn]["ModelApprovalStatus"] != status:
            self.aws.tick()
            self.aws._update_model_package({"ModelPackageArn": arn, "ModelApprovalStatus": status})

    def edit(self, arn: str) -> None:
        if arn in self.aws.packages:
            self.aws._update_model_package(
                {"ModelPackageArn": arn, "CustomerMetadataProperties": {"Note": "seen"}}
            )

    def edit_as_publisher(self, arn: str) -> None:
        """The publishing function changes a version, and is the last one who did."""
        self.aws.client("sagemaker").update_model_package(
            ModelPackageArn=arn, CustomerMetadataProperties={"Note": "seen"}
        )

    def delete(self, arn: str) -> None:
        self.aws.packages.pop(arn, None)

    # --- jobs

    def active(self) -> list[str]:
        return [n for n, job in self.aws.jobs.items() if job["ProcessingJobStatus"] not in TERMINAL]

    def end_job(self, name: str, result: str) -> None:
        job = self.aws.jobs[name]
        if job["ProcessingJobStatus"] in TERMINAL:
            return
        if job["ProcessingJobStatus"] == "Stopping":
            result = "stopped"
        arn = job["Environment"]["CARDS_SOURCE_PACKAGE_ARN"]
        if result in ("passed", "gate failed", "damaged", "no report"):
            self._write_outputs(name, arn, result)
            self.aws.end_job(name, "Completed")
        elif result == "stopped":
            self.aws.end_job(name, "Stopped")
        else:
            self.aws.end_job(name, "Failed", f"{result}: for a reason")

    def _write_outputs(self, name: str, arn: str, result: str) -> None:
        parsed = parse_compile_job(name)
        assert parsed
        read = argument(self.aws.jobs[name], "--model-sha256") or ""
        files = {
            **FILES,
            "compilation.json": json.dumps(report(str(parsed[0]), arn, read)).encode(),
            "fidelity.json": json.dumps(
                {"verdict": "failed" if result == "gate failed" else "passed", "reasons": ["why"]}
            ).encode(),
        }
        if result == "damaged":
            files["model.onnx"] = b"another"
        if result == "no report":
            del files["fidelity.json"]
        for file, body in files.items():
            self.aws._store((TRAINING, f"compilations/{name}/{file}"), body)

    # --- events

    def route(self) -> None:
        """EventBridge: new events become deliveries, one for each function that hears them."""
        for event in self.aws.events:
            heard = ["compile"] if "ModelPackageArn" in event["detail"] else ["publish", "compile"]
            self.queue += [Delivery(function, event) for function in heard]
        self.aws.events.clear()
        for function, payload in self.aws.invoked:
            self.queue.append(Delivery(function, json.loads(payload)))
        self.aws.invoked.clear()

    def deliver(self, at: int, around: Callable[[str, str], None] | None = None) -> None:
        """Delivers one event; a function that fails is tried again later, three times in all.

        Args:
            at: Which of the queue.
            around: Called with (operation, when) around each request of this run.
        """
        self.route()
        if not self.queue:
            return
        delivery = self.queue.pop(at % len(self.queue))
        before = self.aws.around
        self.aws.around = around or (lambda operation, when: None)
        self._depth += 1
        try:
            self.code[self.compile_settings][delivery.function].handler(delivery.event, _Context())
        except Crash:
            self.crashed = True
            self._again(delivery)
        except Exception:
            self._again(delivery)
            if self._depth == 1 and not around:
                raise  # Nobody disturbed it.
        finally:
            self._depth -= 1
            self.aws.around = before
        self.route()

    def _again(self, delivery: Delivery) -> None:
        if delivery.tries + 1 < TRIES:
            self.queue.append(Delivery(delivery.function, delivery.event, delivery.tries + 1))
        else:
            self.lost += 1

    def drain(self) -> None:
        self.route()
        for _ in range(500):
            if not self.queue:
                return
            self.deliver(0)
        raise AssertionError(f"the automation does not come to rest: {self.queue[:4]}")

    def drain_all(self) -> None:
        """Delivers what is in the queue now, and leaves what comes of it."""
        for _ in range(len(self.queue)):
            self.deliver(0)

    def reconcile(self, seconds: float = 600) -> dict[str, Any]:
        found = self.code[self.compile_settings]["reconcile"].handler({}, _Context(seconds))
        self.route()
        assert isinstance(found, dict)
        return found

    def rest(self, jobs_end: str = "passed") -> None:
        """Every job ends, and every event arrives."""
        self.drain()
        for _ in range(20):
            running = self.active()
            if not running:
                return
            for name in running:
                self.end_job(name, jobs_end)
            self.drain()
        raise AssertionError(f"jobs are started for ever: {list(self.aws.jobs)}")

    # --- observed state

    def folders(self) -> dict[str, set[str]]:
        """The files of each release that has any."""
        found: dict[str, set[str]] = {}
        for bucket, key in self.aws.objects:
            if bucket == RELEASES and key.startswith("releases/"):
                _, release, file = key.split("/")
                found.setdefault(release, set()).add(file)
        return found

    def complete_releases(self) -> dict[str, list[str]]:
        """Complete releases by the name of their version."""
        found: dict[str, list[str]] = {}
        for release, files in self.folders().items():
            if "manifest.json" in files and RETIRED not in files:
                found.setdefault(release.partition(".")[0], []).append(release)
        return found

    def was_retired(self, name: str, compile_settings: str) -> bool:
        """Whether retention took a version's release with the present settings, or its last one
        where it has none with them. What a rejection withdrew keeps its signature, and no mark."""
        folders = self.folders().items()
        mine = {release: files for release, files in folders if release.startswith(f"{name}.")}
        current = [files for release, files in mine.items() if release.endswith(compile_settings)]
        signed = [files for files in current or mine.values() if "manifest.sig" in files]
        return bool(signed) and all(RETIRED in files for files in signed)

    def later(self) -> None:
        """Some days pass."""
        self.aws.clock += timedelta(days=3)

    def channel(self, name: str) -> pointers.Pointer:
        pointer, _ = pointers.read(self.aws.client("s3"), RELEASES, name)
        return pointer or pointers.Pointer(None)

    def wrong(self) -> list[str]:
        """Every deviation from the expected state, once nothing is running any more."""
        faults = []
        releases, here = self.complete_releases(), set()
        deployment = self.code[self.compile_settings]["compile"]._deployment
        compile_settings = self.code[self.compile_settings]["compile"].COMPILE_SETTINGS
        leader = channel_targets.newest(deployment)
        for arn, row in self.aws.packages.items():
            name = name_in_description(row["ModelPackageDescription"])
            if name is None or not name.releasable:
                continue
            here.add(str(name))
            mine, metadata = releases.get(str(name), []), row["CustomerMetadataProperties"]
            if row["ModelApprovalStatus"] != "Approved":
                if mine or RELEASE in metadata:
                    faults.append(f"{name} is not approved and has {mine}, {metadata.get(RELEASE)}")
            elif not any(each.endswith(compile_settings.id) for each in mine):
                history = mine and leader.package_arn != arn
                if not mine and self.was_retired(str(name), compile_settings.id):
                    continue
                if COMPILE_FAILED_JOB not in metadata and not history:
                    faults.append(f"{name} is approved and has neither release nor failure")
            elif metadata.get(RELEASE) not in mine:
                faults.append(f"{name} is released and nobody was notified")
        faults += self._wrong_stages(releases)
        for name in set(releases) - here:
            # What cannot be read says of no version that it was made from it; no channel shows it.
            left = [each for each in releases[name] if self.owner(each)]
            faults += [f"{name} is gone and has {left}"] if left else []
        faults += [f"{job} runs" for job in self.active()]
        for each in (channel.name for channel in channels.CHANNELS):
            wanted = channel_targets.compute(deployment, each)
            try:
                pointer = self.channel(each)
            except pointers.ChannelError as error:
                faults.append(str(error))
                continue
            if pointer != wanted:
                faults.append(f"{each} -> {pointer}, and {wanted} is right")
            stated = self._statement(each)
            if (wanted.release or stated) and (
                stated is None or stated.release != wanted.release or stated.is_due(self.aws.clock)
            ):
                faults.append(f"{each} is stated as {stated}, and {wanted} is right")
        return faults

    def _wrong_stages(self, releases: dict[str, list[str]]) -> list[str]:
        """Versions whose life-cycle stage is not what their approval and the channels make it."""
        faults = []
        for arn, row in self.aws.packages.items():
            name = name_in_description(row["ModelPackageDescription"])
            if name is None or not name.releasable:
                continue
            stage = row.get("ModelLifeCycle", {}).get("Stage")
            pointing = [
                each.name
                for each in channels.CHANNELS
                if self.channel(each.name).package_arn == arn
            ]
            if row["ModelApprovalStatus"] != "Approved":
                fine = stage in (None, "Withdrawn", "Review")
            elif pointing:
                fine = stage == ("Stable" if "stable" in pointing else "Candidate")
            else:
                fine = stage == "Archived" or not releases.get(str(name))
            if not fine:
                faults.append(f"{name} has the stage {stage}, and {pointing} point to it")
        return faults

    def owner(self, release: str) -> str | None:
        """The version that a release's manifest names."""
        return owner_arn(self.aws.client("s3"), RELEASES, release)

    def overdue(self) -> list[str]:
        """What retention, which the reconciler looks after, should have retired, or deleted."""
        deployment = self.code[self.compile_settings]["publish"]._deployment
        if deployment.keep_releases is None or channel_targets.unreadable_holds(deployment):
            return []  # What channels need is not known.
        there = {each for those in self.complete_releases().values() for each in those}
        loose = there - channel_targets.releases_in_use(deployment)
        marked = {each for each, files in self.folders().items() if RETIRED in files}
        old = {
            each
            for each in marked
            if self.aws.objects[RELEASES, f"releases/{each}/{RETIRED}"][2]
            < self.aws.clock - timedelta(days=2)
        }
        heavy = {
            each
            for each, files in self.folders().items()
            if each in old and not all(f == RETIRED or f.startswith("manifest.") for f in files)
        } | {each for each in old if "manifest.json" in self.folders()[each]}
        return sorted(heavy | (loose if len(loose) > deployment.keep_releases else set()))

    def check_always(self) -> None:
        """What must hold at every moment."""
        active: dict[tuple[str, str], str] = {}
        for name in self.active():
            parsed = parse_compile_job(name)
            assert parsed
            assert parsed[2] <= ATTEMPT_LIMIT, f"{name} was tried too often"
            key = str(parsed[0]), parsed[1]
            assert key not in active, f"two jobs at once: {name} and {active[key]}"
            active[key] = name
        stored = {key for bucket, key in self.aws.objects if bucket == RELEASES}
        for releases in self.complete_releases().values():
            for release in releases:
                if not self.owner(release):
                    continue  # Somebody has overwritten its manifest.
                manifest = self.aws.objects[RELEASES, f"releases/{release}/manifest.json"][0]
                signatures = (stored_name(each, sha256(manifest)) for each in SIGNATURES)
                for file in (*FILES, "manifest.sig", *signatures):
                    assert f"releases/{release}/{file}" in stored, f"{release} lacks {file}"
        for channel in channels.CHANNELS:
            self._check_serial(channel.name)

    def _check_serial(self, channel: str) -> None:
        """The serial of a channel's signed statements only grows, whatever was done to them."""
        stated = self._statement(channel)
        before = self.stated.get(channel)
        if stated is None or stated == before:
            return  # A person has changed the object: wrong() says so, once all is at rest.
        assert before is None or stated.serial > before.serial, f"{before}, and then {stated}"
        self.stated[channel] = stated

    def _statement(self, channel: str) -> Statement | None:
        s3 = self.aws.client("s3")
        document, _ = pointers.read_object(s3, RELEASES, pointers.pointer_key(channel))
        deployment = self.code[self.compile_settings]["publish"]._deployment
        return channel_moves.last_statement(deployment, document or {}, channel)
