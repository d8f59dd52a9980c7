"""Walking the lines of versions: up by their own metadata, down by SageMaker Lineage."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from localcloud import LocalCloud
from registry.lineage import ancestry
from registry.lineage.ancestry import LineageError, ancestors, descendants
from registry.lineage.record import record_version
from tests.faults import Faults
from tests.registry.lineage.lineage_family import NAMES, family, forget, register, reread
from tests.running_cloud import Client, client_of


@pytest.fixture(scope="module")
def client(cloud: LocalCloud) -> Client:
    """New clients of one session, which reads SageMaker's large model once."""
    return client_of(cloud)


@pytest.fixture(scope="module")
def caretaker(client: Client) -> Any:
    """A client that no test plants faults into."""
    return client("sagemaker")


@pytest.fixture
def sagemaker(client: Client, caretaker: Any) -> Iterator[Any]:
    """A client of a Lineage that is empty, and is emptied again."""
    forget(caretaker)
    yield client("sagemaker")
    forget(caretaker)


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes every version for one whose lineage has long been written."""
    monkeypatch.setattr(ancestry, "SETTLING", timedelta(hours=-1))


def names(packages: list[Any]) -> list[str]:
    return [package.label for package in packages]


def test_ancestors_come_nearest_first(sagemaker: Any, group: str) -> None:
    made = family(sagemaker, group)
    expected = [NAMES[key] for key in ("onnx", "stage2", "stage1", "teacher")]
    assert names(ancestors(sagemaker, made["int8"])) == expected


def test_chain_ends_at_a_deleted_parent(sagemaker: Any, group: str) -> None:
    made = family(sagemaker, group)
    sagemaker.delete_model_package(ModelPackageName=made["stage1"].arn)
    assert names(ancestors(sagemaker, made["int8"])) == [NAMES["onnx"], NAMES["stage2"]]


def test_parents_in_a_circle_are_refused(sagemaker: Any, group: str) -> None:
    made = family(sagemaker, group)
    sagemaker.update_model_package(
        ModelPackageArn=made["teacher"].arn,
        CustomerMetadataProperties={"ParentModelPackageArn": made["int8"].arn},
    )
    with pytest.raises(LineageError, match="circle"):
        ancestors(sagemaker, reread(sagemaker, made["stage2"].arn))
    # Downwards a circle is cut, so that it can be seen where it is.
    assert len(descendants(sagemaker, reread(sagemaker, made["stage2"].arn))) <= 4


def test_descendants_are_found_while_their_lineage_is_not_written_yet(
    sagemaker: Any, group: str
) -> None:
    made = family(sagemaker, group)
    register(sagemaker, group, "teacher-y-phase2-v1")
    expected = [NAMES[key] for key in ("stage2", "onnx", "int8")]
    assert names(descendants(sagemaker, made["stage1"])) == expected
    record_version(sagemaker, made["stage1"])
    assert names(descendants(sagemaker, made["stage1"])) == expected


def test_number_of_calls_grows_with_descendants_not_with_the_group(
    sagemaker: Any, group: str, faults: Faults, settled: None
) -> None:
    made = family(sagemaker, group)
    for number in range(30):
        register(sagemaker, group, f"student-y-stage1-v{number + 1}")
    for package in made.values():
        record_version(sagemaker, package)
    watched = faults.client(sagemaker)
    found = descendants(watched, made["stage2"])
    assert names(found) == [NAMES["onnx"], NAMES["int8"]]
    assert dict(faults.calls) == {
        "ListArtifacts": 1,
        "ListModelPackages": 1,
        "QueryLineage": 1,
        "DescribeArtifact": 2,
        "DescribeModelPackage": 2,
    }


def test_family_of_many_pages_and_more_generations_than_a_query_has(
    sagemaker: Any, group: str, monkeypatch: pytest.MonkeyPatch, settled: None
) -> None:
    monkeypatch.setattr(ancestry, "QUERY_PAGE", 2)
    monkeypatch.setattr(ancestry, "QUERY_DEPTH", 2)
    made = [register(sagemaker, group, "student-x-stage1-v1")]
    for number in range(7):
        made.append(register(sagemaker, group, f"student-x-stage1-v{number + 2}", made[-1]))
        made.append(register(sagemaker, group, f"student-y-stage1-v{number + 1}", made[-2]))
        made[-1], made[-2] = made[-2], made[-1]
    for package in made:
        record_version(sagemaker, package)
    assert len(descendants(sagemaker, made[0])) == 14


def test_lineage_edge_without_matching_metadata_is_ignored(
    sagemaker: Any, group: str, settled: None
) -> None:
    made = family(sagemaker, group)
    unrelated = register(sagemaker, group, "student-y-stage1-v1")
    for package in (*made.values(), unrelated):
        record_version(sagemaker, package)
    artifact = ancestry.artifact_of
    sagemaker.add_association(
        SourceArn=artifact(sagemaker, made["int8"].arn),
        DestinationArn=artifact(sagemaker, unrelated.arn),
        AssociationType="DerivedFrom",
    )
    assert names(descendants(sagemaker, made["onnx"])) == [NAMES["int8"]]


def test_deleted_version_is_no_descendant(sagemaker: Any, group: str, settled: None) -> None:
    made = family(sagemaker, group)
    for package in made.values():
        record_version(sagemaker, package)
    sagemaker.delete_model_package(ModelPackageName=made["int8"].arn)
    assert names(descendants(sagemaker, made["stage2"])) == [NAMES["onnx"]]


def test_ancestors_of_a_version_without_parents_are_none(sagemaker: Any, group: str) -> None:
    teacher = register(sagemaker, group, NAMES["teacher"])
    assert ancestors(sagemaker, teacher) == []
    assert ancestors(sagemaker, replace(teacher, metadata={})) == []
