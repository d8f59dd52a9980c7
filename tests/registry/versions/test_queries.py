"""Lists, filters, the newest approved student: what they find, and in how many calls."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from localcloud.sagemaker import registry as local_registry
from localcloud.sagemaker import store
from registry.names import STAGES, parse_name
from registry.versions import packages
from registry.versions.packages import APPROVED, PENDING, REJECTED, PackageSummary, describe
from registry.versions.queries import (
    Filters,
    QueryError,
    Threshold,
    find_by_name,
    kind_of,
    latest,
    lines,
    pages,
)
from tests.faults import Faults
from tests.properties import examples
from tests.registry.versions.many_versions import GROUP, InProcess, register
from tests.running_cloud import Client

THOUSANDS = examples(5000, quick=1000)
NOW = datetime(2026, 5, 31, 12, tzinfo=UTC)


@pytest.fixture
def many() -> Iterator[InProcess]:
    """An empty group in a SageMaker of the test's own."""
    store.clear()
    local_registry.create_model_package_group({"ModelPackageGroupName": GROUP})
    yield InProcess()
    store.clear()


def found(sagemaker: Any, filters: Filters, **more: Any) -> list[str]:
    return [str(row.name) for page in pages(sagemaker, GROUP, filters, **more) for row in page.rows]


# --- the newest approved student


def student(version: int, stage: str = "stage2") -> str:
    return f"student-efficientnet-lite0-{stage}-v{version}"


def teachers(count: int) -> None:
    for version in range(1, count + 1):
        register(f"teacher-dinov3-vitl16-phase2-v{version}")


def test_latest_takes_one_call_where_a_student_is_among_the_newest(many: InProcess) -> None:
    teachers(THOUSANDS - 1)
    arn = register(student(1))
    newest = latest(many.client, GROUP)
    assert newest and newest.arn == arn
    assert many.calls == {"ListModelPackages": 1}


def test_latest_takes_one_call_where_one_page_holds_the_whole_group(many: InProcess) -> None:
    teachers(99)
    register(student(1), approval=PENDING)
    assert latest(many.client, GROUP) is None
    assert many.calls == {"ListModelPackages": 1}


def test_latest_takes_three_calls_where_all_newer_approved_ones_are_teachers(
    many: InProcess,
) -> None:
    arn = register(student(1))
    teachers(THOUSANDS - 1)
    newest = latest(many.client, GROUP)
    assert newest and newest.arn == arn
    assert many.calls == {"ListModelPackages": 1, "Search": 1, "BatchDescribeModelPackage": 1}


def test_latest_takes_three_calls_where_all_newer_ones_were_made_from_the_student(
    many: InProcess,
) -> None:
    arn = register(student(1))
    for version in range(1, THOUSANDS):
        name = student(version, "int8")
        register(name, told=f"int8 student, efficientnet_lite0, from {student(1)}")
    newest = latest(many.client, GROUP)
    assert newest and newest.arn == arn
    assert sum(many.calls.values()) == 3


def test_latest_takes_two_calls_to_know_that_there_is_none(many: InProcess) -> None:
    for version in range(1, THOUSANDS // 2):
        register(student(version), approval=PENDING)
        register(student(version, "stage1"))
    assert latest(many.client, GROUP) is None
    assert many.calls == {"ListModelPackages": 1, "Search": 1}


def test_latest_is_within_three_calls_and_right_for_any_mix(many: InProcess) -> None:
    kinds = [(kind, stage) for kind in STAGES for stage in STAGES[kind]]
    choose = random.Random(4)
    wanted = None
    for place in range(THOUSANDS):
        kind, stage = choose.choice(kinds)
        approval = choose.choice([APPROVED, PENDING, REJECTED])
        releasable = (kind, stage) == ("student", "stage2")
        if releasable and approval == APPROVED and wanted:
            approval = REJECTED
        arn = register(f"{kind}-net-{stage}-v{place + 1}", approval)
        if releasable and approval == APPROVED:
            wanted = arn
    newest = latest(many.client, GROUP)
    assert newest and newest.arn == wanted
    assert sum(many.calls.values()) <= 3


def test_mistake_04_description_that_mentions_students_is_no_student(many: InProcess) -> None:
    arn = register(student(1))
    register("teacher-x-phase2-v1", told="stage2 student, or so it says; student student")
    for version in range(1, 150):
        register(f"teacher-y-phase2-v{version}", told=f"for stage2 student {student(9)}")
    newest = latest(many.client, GROUP)
    assert newest and newest.arn == arn


def test_latest_looks_on_where_a_page_of_the_search_holds_other_kinds_only(
    many: InProcess,
) -> None:
    arn = register(student(1))
    for version in range(1, 350):
        register(f"teacher-y-phase2-v{version}", told="the words stage2 student are here")
    newest = latest(many.client, GROUP)
    assert newest and newest.arn == arn


def test_latest_rechecks_results_of_an_outdated_index(many: InProcess) -> None:
    older = register(student(1))
    rejected = register(student(2))
    deleted = register(student(3))
    teachers(120)
    stale = {
        "Results": [
            {"ModelPackage": dict(local_registry.package(arn))}
            for arn in (deleted, rejected, older)
        ]
    }
    local_registry.update_model_package(
        {"ModelPackageArn": rejected, "ModelApprovalStatus": REJECTED}
    )
    local_registry.delete_model_package({"ModelPackageName": deleted})
    many.operations["Search"] = lambda _: stale
    newest = latest(many.client, GROUP)
    assert newest and newest.arn == older
    assert sum(many.calls.values()) == 3


def test_other_kinds_can_be_asked_for(many: InProcess) -> None:
    teacher, stage1 = register("teacher-x-phase2-v1"), register(student(4, "stage1"))
    register(student(1))
    assert getattr(latest(many.client, GROUP, *kind_of("teacher")), "arn", None) == teacher
    assert getattr(latest(many.client, GROUP, *kind_of(None, "stage1")), "arn", None) == stage1
    assert kind_of() == kind_of("student") == ("student", "stage2")
    with pytest.raises(QueryError, match="stage 'stage2' of a teacher is none of phase1, phase2"):
        kind_of("teacher", "stage2")


def test_registered_version_is_found_by_the_search_of_latest(
    many: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "check", lambda _type, _stage, metadata: dict(metadata))
    model = packages.NewPackage(
        name=parse_name(student(1)),
        approval=APPROVED,
        summary="anything",
        model_data_url="s3://b/model.tar.gz",
        image="000000000000.dkr.ecr.us-east-2.amazonaws.com/image:1",
        metadata={},
        generated_by="arn:aws:sagemaker:us-east-2:000000000000:training-job/j",
    )
    arn = packages.create(many.client, GROUP, model)
    teachers(120)
    newest = latest(many.client, GROUP)
    assert newest and newest.arn == arn


# --- lists


def test_a_list_takes_one_call_for_each_page_that_is_read(many: InProcess) -> None:
    teachers(THOUSANDS)
    reading = pages(many.client, GROUP)
    assert many.calls == {}
    first = next(reading)
    assert (len(first.rows), first.more) == (100, True)
    assert str(first.rows[0].name) == f"teacher-dinov3-vitl16-phase2-v{THOUSANDS}"
    assert many.calls == {"ListModelPackages": 1}
    rest = list(reading)
    assert many.calls == {"ListModelPackages": THOUSANDS // 100}
    assert len(first.rows) + sum(len(page.rows) for page in rest) == THOUSANDS
    assert not rest[-1].more


def test_bounds_on_metrics_are_read_from_pages_of_the_search(many: InProcess) -> None:
    for version in range(1, 301):
        register(student(version), PENDING, Top1=f"{version / 1000}")
    chosen = Filters(thresholds=(Threshold.parse("top1>=0.299"),))
    assert found(many.client, chosen) == [student(300), student(299)]
    assert many.calls == {"Search": 3}


def test_filters_narrow_together(many: InProcess) -> None:
    register("teacher-x-phase2-v1", Top1="0.9")
    register(student(1), PENDING, Top1="0.9", Recipe="tiny")
    register(student(2), APPROVED, Top1="0.7", Recipe="tiny")
    register(student(3), APPROVED, Top1="0.9", Recipe="full", Note="Register Tokens")
    client = many.client
    assert found(client, Filters(model_type="student")) == [student(3), student(2), student(1)]
    assert found(client, Filters(stage="phase2")) == ["teacher-x-phase2-v1"]
    assert found(client, Filters(approval=PENDING)) == [student(1)]
    tiny = (("Recipe", "tiny"),)
    assert found(client, Filters(where=tiny)) == [student(2), student(1)]
    assert found(client, Filters(where=tiny, approval=APPROVED)) == [student(2)]
    assert found(client, Filters(text="register tokens")) == [student(3)]
    assert found(client, Filters(line="student-efficientnet-lite0-stage2", text="none")) == []
    bounds = (Threshold.parse("Top1>0.8"), Threshold.parse("Top1<=0.9"))
    assert found(client, Filters(thresholds=bounds, model_type="student")) == [
        student(3),
        student(1),
    ]
    later = Filters(since=datetime.now(UTC) + timedelta(minutes=1))
    earlier = Filters(since=datetime.now(UTC) - timedelta(minutes=1), text="student")
    assert found(client, later) == []
    assert len(found(client, earlier)) == 3


def test_a_version_without_a_name_is_listed_and_has_no_type(many: InProcess) -> None:
    local_registry.create_model_package({"ModelPackageGroupName": GROUP})
    assert [str(row.name) for page in pages(many.client, GROUP) for row in page.rows] == ["None"]
    assert found(many.client, Filters(model_type="student")) == []


def test_throttled_page_is_retried(client: Client, group: str, faults: Faults) -> None:
    sagemaker = client("sagemaker")
    for version in (1, 2, 3):
        sagemaker.create_model_package(
            ModelPackageGroupName=group, ModelPackageDescription=f"{student(version)}: x"
        )
    faults.client(sagemaker)
    faults.throttle(sagemaker, "ListModelPackages")
    faults.throttle(sagemaker, "Search")
    rows = [row for page in pages(sagemaker, group, page_size=2) for row in page.rows]
    assert [row.version for row in rows] == [3, 2, 1]
    assert faults.calls["ListModelPackages"] == 3
    asked = Filters(text="student")
    searched = [row for page in pages(sagemaker, group, asked, page_size=2) for row in page.rows]
    assert [row.arn for row in searched] == [row.arn for row in rows]
    assert faults.calls["Search"] == 3


# --- one version by its name


def test_a_name_among_thousands_is_found_in_two_calls(many: InProcess) -> None:
    arn = register(student(1))
    for version in range(2, 1000):
        register(student(version))
    hit = find_by_name(many.client, GROUP, parse_name(student(1)))
    assert hit and hit.arn == arn
    assert sum(many.calls.values()) <= 2 + 10  # -v1 also begins -v10 … -v199


def test_a_name_that_the_index_does_not_know_yet_is_found_page_by_page(many: InProcess) -> None:
    arn = register(student(1))
    teachers(250)
    many.operations["Search"] = lambda _: {"Results": []}
    hit = find_by_name(many.client, GROUP, parse_name(student(1)))
    assert hit and hit.arn == arn
    assert find_by_name(many.client, GROUP, parse_name(student(2))) is None


# --- lines of names


def test_lines_are_counted_with_their_newest_and_newest_approved() -> None:
    rows = [
        row(6, student(3), REJECTED, {"FailureReason": "out of memory"}),
        row(5, None, APPROVED),
        row(4, "teacher-x-phase2-v1", APPROVED),
        row(3, student(2), PENDING),
        row(2, student(1), APPROVED),
    ]
    students, teacher, nameless = sorted(lines(rows), key=lambda line: line.name == "–")
    assert (students.name, students.versions, students.failed) == (
        "student-efficientnet-lite0-stage2", 3, 1,
    )  # fmt: skip
    assert (students.newest.version, students.approved and students.approved.version) == (6, 2)
    assert (teacher.versions, nameless.name) == (1, "–")


def row(
    version: int, name: str | None, approval: str, metadata: dict[str, str] | None = None
) -> PackageSummary:
    return PackageSummary(
        arn=f"arn:aws:sagemaker:us-east-2:000000000000:model-package/m/{version}",
        version=version,
        name=parse_name(name) if name else None,
        approval=approval,
        description=f"{name}: words",
        created=NOW,
        metadata=metadata,
    )


def test_a_described_version_and_its_row_have_one_name(client: Client, group: str) -> None:
    sagemaker = client("sagemaker")
    arn = sagemaker.create_model_package(
        ModelPackageGroupName=group,
        ModelPackageDescription="anything",
        CustomerMetadataProperties={"ModelName": student(7)},
    )["ModelPackageArn"]
    described = describe(sagemaker, arn)
    (page,) = pages(sagemaker, group, Filters(text="anything"))
    assert described and page.rows[0].name == described.name == parse_name(student(7))
