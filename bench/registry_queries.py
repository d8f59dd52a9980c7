"""The registry's queries against the guide's own Python, on one group of a local cloud.

    python -m bench.registry_queries [--versions 5000]

Runs of the two sides alternate, so that whatever else the machine does hits both. Times are
medians with the interval of the order statistics (95 %, distribution-free); ratios are of
neighbouring runs. A local call takes a few milliseconds where one to AWS takes some tens: there the
number of calls is what counts.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3

from bench.order_statistics import median_interval
from localcloud import LocalCloud
from localcloud.ports import free_port
from registry.names import GROUP, parse_name
from registry.versions.queries import latest, pages

if TYPE_CHECKING:
    from mypy_boto3_sagemaker.client import SageMakerClient

ROOT = Path(__file__).resolve().parents[1]
QUICK_RUNS, SLOW_RUNS = 25, 6
FIRST = "student-efficientnet-lite0-stage2-v1"
NEWEST = "student-efficientnet-lite0-stage2-v2"


@dataclass
class Counted:
    """A SageMaker client whose requests are counted."""

    client: Any
    calls: int = 0

    def __post_init__(self) -> None:
        self.client.meta.events.register("request-created.sagemaker", self._count)

    def _count(self, **_: Any) -> None:
        self.calls += 1


@dataclass(frozen=True)
class Timed:
    """One side of a comparison.

    Attributes:
        seconds: Of each run.
        calls: Of one run.
        answer: Of the last run.
    """

    seconds: list[float]
    calls: int
    answer: str


# --- the guide's blocks, with `list-model-packages` spelt as Python takes it


def guide_latest(sm_client: SageMakerClient) -> str:
    """'Get Latest Approved Student Model'."""
    response = sm_client.list_model_packages(
        ModelPackageGroupName=GROUP,
        ModelApprovalStatus="Approved",
        SortBy="CreationTime",
        SortOrder="Descending",
        MaxResults=10,
    )
    student_models = [
        pkg
        for pkg in response["ModelPackageSummaryList"]
        if "student" in pkg.get("ModelPackageDescription", "").lower()
    ]
    latest_student = student_models[0]
    return str(latest_student["ModelPackageDescription"]).partition(":")[0]


def guide_all(sm_client: SageMakerClient) -> str:
    """'Get All Model Versions'."""
    paginator = sm_client.get_paginator("list_model_packages")
    all_models: list[Any] = []
    for page in paginator.paginate(ModelPackageGroupName=GROUP):
        all_models.extend(page["ModelPackageSummaryList"])
    return f"{len(all_models)} versions"


# --- ours


def our_latest(sm_client: SageMakerClient) -> str:
    """``cards registry latest``."""
    found = latest(sm_client, GROUP)
    return str(found.name) if found else "none"


def our_first_page(sm_client: SageMakerClient) -> str:
    """``cards registry list``."""
    page = next(pages(sm_client, GROUP, page_size=50))
    return f"{len(page.rows)} versions, more: {page.more}"


def our_all(sm_client: SageMakerClient) -> str:
    """``cards registry list --all``."""
    return f"{sum(len(page.rows) for page in pages(sm_client, GROUP))} versions"


# --- the group


def seed(sagemaker: SageMakerClient, versions: int) -> None:
    """One approved student, and then nothing but teachers and what was made from that student."""
    register(sagemaker, FIRST, "made from teacher-x-phase2-v1")
    for number in range(2, versions + 1):
        if number % 2:
            name, words = f"teacher-x-phase2-v{number}", "distils students"
        else:
            name, words = f"student-efficientnet-lite0-int8-v{number}", f"made from {FIRST}"
        register(sagemaker, name, words)


def register(sagemaker: SageMakerClient, name: str, words: str) -> None:
    """Registers a version, described as the registry describes it."""
    sagemaker.create_model_package(
        ModelPackageGroupName=GROUP,
        ModelPackageDescription=f"{name}: {parse_name(name).kind}, {words}",
        ModelApprovalStatus="Approved",
        CustomerMetadataProperties={
            "ModelName": name,
            **{f"Key{place}": "value" for place in range(20)},
        },
    )


# --- measuring


def alternate(
    sagemaker: Callable[[], SageMakerClient], sides: Sequence[Callable[[Any], str]], runs: int
) -> list[Timed]:
    """Runs each side in turn, ``runs`` times, after one run that is not counted."""
    counted = [Counted(sagemaker()) for _ in sides]
    seconds: list[list[float]] = [[] for _ in sides]
    answers, calls = [""] * len(sides), [0] * len(sides)
    for run in range(runs + 1):
        for place, side in enumerate(sides):
            counted[place].calls = 0
            start = time.perf_counter()
            try:
                answers[place] = side(counted[place].client)
            except IndexError:
                answers[place] = "IndexError: none of the ten is a student"
            if run:
                seconds[place].append(time.perf_counter() - start)
            calls[place] = counted[place].calls
    return [Timed(*each) for each in zip(seconds, calls, answers, strict=True)]


def report(title: str, right: str, guide: Timed, product: Timed) -> None:
    """Prints one comparison."""
    print(f"\n{title}")
    for label, side in (("guide", guide), ("ours", product)):
        middle, low, high = (1000 * value for value in median_interval(side.seconds))
        verdict = "" if not right else "right" if side.answer == right else "WRONG"
        print(
            f"  {label:6}{side.calls:5} calls {middle:9.1f} ms [{low:.1f}, {high:.1f}]  "
            f"{side.answer}  {verdict}".rstrip()
        )
    ratios = [a / b for a, b in zip(guide.seconds, product.seconds, strict=True)]
    middle, low, high = median_interval(ratios)
    print(f"  guide / ours, time: {middle:.2f} [{low:.2f}, {high:.2f}], {len(ratios)} runs")


def measure(sagemaker: Callable[[], SageMakerClient], versions: int) -> None:
    """Runs and prints every comparison; ``sagemaker`` makes a client."""
    guide, product = alternate(sagemaker, (guide_latest, our_latest), QUICK_RUNS)
    report("latest approved student; all newer approved ones are of other kinds", FIRST, guide,
           product)  # fmt: skip
    client = sagemaker()
    register(client, NEWEST, f"made from {FIRST}")
    register(client, "student-efficientnet-lite0-onnx-v1", f"made from {NEWEST}")
    versions += 2
    guide, product = alternate(sagemaker, (guide_latest, our_latest), QUICK_RUNS)
    report(
        "latest approved student; it has just been approved and exported", NEWEST, guide, product
    )
    guide, product, first = alternate(sagemaker, (guide_all, our_all, our_first_page), SLOW_RUNS)
    report("all versions", f"{versions} versions", guide, product)
    report("until the first rows are there", "", guide, first)


def main(arguments: Sequence[str] | None = None) -> None:
    """Seeds a group in a local cloud of its own and measures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--versions", type=int, default=5000, help="how many the group has")
    versions = parser.parse_args(arguments).versions
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores, boto3 {boto3.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        cloud = LocalCloud(
            Path(folder),
            port=free_port(),
            job_python=Path(sys.executable),
            lambda_python=ROOT / ".venv-lambda/bin/python",
        )
        cloud.start()
        try:
            variables = cloud.env()
            session = boto3.Session(
                variables["AWS_ACCESS_KEY_ID"],
                variables["AWS_SECRET_ACCESS_KEY"],
                region_name=variables["AWS_REGION"],
            )

            def sagemaker() -> SageMakerClient:
                return session.client("sagemaker", endpoint_url=cloud.endpoint)

            client = sagemaker()
            client.create_model_package_group(ModelPackageGroupName=GROUP)
            start = time.perf_counter()
            seed(client, versions)
            took = time.perf_counter() - start
            print(f"{versions} versions in {GROUP}, registered in {took:.0f} s", flush=True)
            measure(sagemaker, versions)
        finally:
            cloud.stop()


if __name__ == "__main__":
    main()
