"""The automation on the deployed path: how long each step takes, one by one and all at once.

    python -m bench.automation [--one-by-one 30] [--burst 500] [--versions 5000]
    make bench-automation

Deploys the templates to a local cloud of its own (real CDK CLI, events, Lambda, IAM enforced). The
compile job is exchanged for one that writes small files at once: measured is the automation and not
a compiler. Local figures: on AWS a processing job takes minutes to get its machine.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import boto3
import numpy as np

from bench.order_statistics import median_interval
from bench.quick_compilation import LINE, quick_compilation, register
from localcloud import LocalCloud
from localcloud.ports import free_port
from registry.automation.reconciliation import reconcile
from registry.compilation.compile_settings import CompileSettings
from registry.deployment import DeployedNames
from registry.names import GROUP
from registry.versions.metadata import RELEASE

#: How many calls of a function run at once.
CONCURRENCY = 4
ROOT = Path(__file__).resolve().parents[1]
CDK = ROOT / "node_modules/.bin/cdk"


def percentiles(seconds: Sequence[float]) -> str:
    """p50, p95 and p99 in milliseconds."""
    p50, p95, p99 = (1000 * float(np.percentile(seconds, each)) for each in (50, 95, 99))
    return f"{p50:,.0f} | {p95:,.0f} | {p99:,.0f}"


class Site:
    """The deployed local cloud.

    Args:
        cloud: Running.
        folder: For the CDK's assembly.
    """

    def __init__(self, cloud: LocalCloud, folder: Path) -> None:
        self.variables = {**os.environ, **cloud.env()}
        self._folder = folder
        self._session: Any = boto3.Session(
            aws_access_key_id=self.variables["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.variables["AWS_SECRET_ACCESS_KEY"],
            region_name=self.variables["AWS_REGION"],
        )

    def client(self, service: str) -> Any:
        """A client of the account's root."""
        return self._session.client(service, endpoint_url=self.variables["AWS_ENDPOINT_URL"])

    def cdk(self, *words: str) -> None:
        """Runs the CDK CLI.

        Raises:
            SystemExit: It failed; what it said is shown.
        """
        done = subprocess.run(
            [str(CDK), *words, "--no-notices", "--output", str(self._folder / "cdk.out")],
            cwd=ROOT, env=self.variables, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            sys.exit(f"cdk {words[0]}: {done.stderr[-2000:]}")

    def deploy(self) -> DeployedNames:
        """Bootstraps and deploys, and puts the quick job in the compile job's place."""
        account, region = self.variables["CDK_DEFAULT_ACCOUNT"], self.variables["AWS_REGION"]
        self.cdk("bootstrap", f"aws://{account}/{region}")
        self.cdk("deploy", "--all", "--require-approval", "never")
        deployment = DeployedNames.read(self.client("ssm"))
        quick_compilation(self.client, deployment)
        # Every event starts a process here; more than that at once would only wait for a core.
        for name in (deployment.compile_function, deployment.publish_function):
            self.client("lambda").put_function_concurrency(
                FunctionName=name, ReservedConcurrentExecutions=CONCURRENCY
            )
        return deployment


def wait(check: Callable[[], Any], seconds: float = 120) -> Any:
    """Waits for something true.

    Raises:
        SystemExit: It did not come.
    """
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = check()
        if found:
            return found
        time.sleep(0.02)
    sys.exit(f"not within {seconds:.0f} s")


def one_by_one(site: Site, deployment: DeployedNames, count: int) -> None:
    """Approves one version after the other."""
    sagemaker, s3 = site.client("sagemaker"), site.client("s3")
    to_job, to_release = [], []
    for number in range(1, count + 1):
        arn = register(sagemaker, deployment, number, "PendingManualApproval")
        begun = time.time()
        sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")

        def job(of: int = number) -> Any:
            rows = sagemaker.list_processing_jobs(
                NameContains=f"compile-{LINE}{of}-", SortOrder="Descending", MaxResults=100
            )
            return rows["ProcessingJobSummaries"]

        row = wait(job)[0]
        to_job.append(row["CreationTime"].timestamp() - begun)

        def stable(of: int = number) -> Any:
            try:
                body = s3.get_object(Bucket=deployment.release_bucket, Key="channels/stable.json")
            except s3.exceptions.NoSuchKey:
                return None
            return str(json.loads(body["Body"].read())["name"]) == f"{LINE}{of}"

        wait(stable)
        seen = time.time()
        ended = wait(lambda: job()[0].get("ProcessingEndTime"))
        to_release.append(seen - ended.timestamp())
    print(f"\n{count} approvals, one after the other, ms")
    print("| | p50 | p95 | p99 |\n|---|---|---|---|")
    print(f"| approval to compile job | {percentiles(to_job)} |")
    print(f"| end of the job to stable pointing to its release | {percentiles(to_release)} |")


def all_at_once(site: Site, deployment: DeployedNames, first: int, count: int) -> None:
    """Approves many versions at the same moment."""
    sagemaker, s3 = site.client("sagemaker"), site.client("s3")
    arns = [
        register(sagemaker, deployment, number, "PendingManualApproval")
        for number in range(first, first + count)
    ]
    begun = time.monotonic()
    for arn in arns:
        sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    approved = time.monotonic() - begun

    every = first - 1 + count

    def listed(entries: str, **query: str) -> list[Any]:
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket=deployment.release_bucket, Prefix="releases/", **query
        )
        return [entry for page in pages for entry in page.get(entries, [])]

    def manifests() -> int:
        return sum(entry["Key"].endswith("/manifest.json") for entry in listed("Contents"))

    # What is looked at meanwhile must not take the machine from what is measured: the files are
    # listed when each release has a folder.
    def complete() -> bool:
        return len(listed("CommonPrefixes", Delimiter="/")) >= every and manifests() >= every

    while not complete() and time.monotonic() - begun < 3600:
        time.sleep(2)
    took, done = time.monotonic() - begun, manifests()
    unannounced = list(arns)

    def announced() -> bool:
        while unannounced:
            row = sagemaker.describe_model_package(ModelPackageName=unannounced[-1])
            if RELEASE not in row["CustomerMetadataProperties"]:
                return False
            unannounced.pop()
        return True

    wait(announced, 600)
    pages = sagemaker.get_paginator("list_processing_jobs").paginate(NameContains="compile-")
    jobs = sum(len(page["ProcessingJobSummaries"]) for page in pages)
    pages = sagemaker.get_paginator("list_model_packages").paginate(ModelPackageGroupName=GROUP)
    versions = sum(len(page["ModelPackageSummaryList"]) for page in pages)
    pointer = json.loads(
        s3.get_object(Bucket=deployment.release_bucket, Key="channels/stable.json")["Body"].read()
    )
    print(f"\n{count} approvals at once (made within {approved:.1f} s)")
    print(f"  last release after {took:.1f} s, {count / took:.1f} a second")
    print(f"  lost: {every - done} releases; twice: {jobs - every} jobs, "
          f"{versions - 3 * every} versions")  # fmt: skip
    newest = f"{LINE}{every}"
    print(f"  stable -> {pointer['name']}: {'right' if pointer['name'] == newest else 'WRONG'}")


def reconciling(site: Site, names: DeployedNames, versions: int) -> None:
    """Lets the reconciler go through a large group of which everything is settled."""
    sagemaker, s3 = site.client("sagemaker"), site.client("s3")
    pages = sagemaker.get_paginator("list_model_packages").paginate(ModelPackageGroupName=GROUP)
    there = sum(len(page["ModelPackageSummaryList"]) for page in pages)
    # Nobody has to hear of these: their events would take the machine from what is measured.
    events = site.client("events")
    for rule in events.list_rules()["Rules"]:
        events.disable_rule(Name=rule["Name"])
    for number in range(there, versions):
        name = f"teacher-x-phase2-v{number}"
        sagemaker.create_model_package(
            ModelPackageGroupName=GROUP, ModelPackageDescription=f"{name}: for a benchmark"
        )
    calls = 0

    def count(**_: Any) -> None:
        nonlocal calls
        calls += 1

    clients = {"sagemaker": sagemaker, "s3": s3}
    for client in clients.values():
        client.meta.events.register("request-created", count)
    variables = site.client("lambda").get_function_configuration(
        FunctionName=names.reconciler_function
    )["Environment"]["Variables"]
    compile_settings = CompileSettings.from_json(
        variables["COMPILE_SETTINGS"], variables["COMPILE_IMAGE"]
    )
    # In a week, when nothing is new any more: what a usual run has to do.
    for label, later in (("all of them new", timedelta()), ("none of them new", timedelta(days=7))):
        calls, begun = 0, time.monotonic()
        deployment = replace(names.deployment(clients.__getitem__), now=partial(_in, later))
        report = reconcile(deployment, compile_settings, lambda repair: None, resume=False)
        took = time.monotonic() - begun
        print(
            f"\nreconciler over {report.versions:,} versions, {label}: {calls:,} calls, "
            f"{took:.1f} s, {report.looked:,} looked at closely, {len(report.repairs)} found"
        )


def _in(later: timedelta) -> datetime:
    return datetime.now(UTC) + later


def starting(site: Site) -> None:
    """What a function's start costs, against the client library alone."""
    python = ROOT / ".venv-lambda/bin/python"
    variables = {
        **site.variables,
        "PYTHONPATH": str(ROOT),
        "GROUP_NAME": GROUP, "TRAINING_BUCKET": "b", "RELEASE_BUCKET": "b", "ENVIRONMENT": "dev",
        "STABLE_FOLLOWS": "approval", "COMPILE_SETTINGS": '{"compiler": "onnx-int8"}',
        "COMPILE_IMAGE": "i", "KEEP_RELEASES": "all",
        "SIGNING_KEY_ARN": "k", "NOTICE_TOPIC_ARN": "t",
    }  # fmt: skip
    bare = "import boto3; [boto3.client(s) for s in ('sagemaker', 's3', 'sns', 'kms')]"
    other_runs: list[float] = []
    ours: list[float] = []
    for _ in range(15):
        for seconds, code in ((other_runs, bare), (ours, "import lambdas.publish_release")):
            begun = time.monotonic()
            subprocess.run([str(python), "-c", code], env=variables, cwd="/", check=True)
            seconds.append(time.monotonic() - begun)
    ratio = median_interval([a / b for a, b in zip(ours, other_runs, strict=True)])
    print(
        f"\ncold import of lambdas.publish_release: ×{ratio[0]:.2f} [{ratio[1]:.2f}, "
        f"{ratio[2]:.2f}] of boto3 and its clients ({1000 * median_interval(other_runs)[0]:.0f} ms)"
    )
    assets = json.loads((site._folder / "cdk.out/cards-dev-automation.assets.json").read_text())
    for entry in assets["files"].values():
        path = site._folder / "cdk.out" / entry["source"]["path"]
        if path.is_dir() and (path / "lambdas").is_dir():
            packed = io.BytesIO()
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
                for file in path.rglob("*.py"):
                    archive.write(file, str(file.relative_to(path)))
            print(f"the functions' archive: {len(packed.getvalue()) / 1024:.0f} KiB")


def synthesis(site: Site, folder: Path) -> None:
    """``cdk synth`` of ours against that of an app with one stack that does nothing."""
    empty = folder / "empty.py"
    # A template without any resource is an error.
    empty.write_text(
        "import aws_cdk as c\na = c.App()\n"
        "c.CfnWaitConditionHandle(c.Stack(a, 'Empty'), 'Nothing')\na.synth()\n"
    )
    sides = {"empty": f"{sys.executable} {empty}", "ours": f"{sys.executable} app.py"}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(5):
        for name, app in sides.items():
            begun = time.monotonic()
            site.cdk("synth", "-q", "--app", app)
            seconds[name].append(time.monotonic() - begun)
    ratio = median_interval([a / b for a, b in zip(seconds["ours"], seconds["empty"], strict=True)])
    print(f"\ncdk synth: {median_interval(seconds['ours'])[0]:.1f} s, "
          f"×{ratio[0]:.2f} [{ratio[1]:.2f}, {ratio[2]:.2f}] of an empty app")  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Deploys, measures and prints."""
    parser = argparse.ArgumentParser(prog="python -m bench.automation", description=__doc__)
    parser.add_argument("--one-by-one", type=int, default=30)
    parser.add_argument("--burst", type=int, default=500)
    parser.add_argument("--versions", type=int, default=5000, help="that the reconciler looks at")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="cards-bench-") as temporary:
        folder = Path(temporary)
        cloud = LocalCloud(
            folder / "state",
            port=free_port(),
            job_python=Path(sys.executable),
            lambda_python=ROOT / ".venv-lambda/bin/python",
        )
        cloud.start()
        try:
            site = Site(cloud, folder)
            deployment = site.deploy()
            starting(site)
            one_by_one(site, deployment, options.one_by_one)
            all_at_once(site, deployment, options.one_by_one + 1, options.burst)
            reconciling(site, deployment, options.versions)
            synthesis(site, folder)
        finally:
            cloud.stop()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
