"""The graph of a version, as a pure function: names, limits, what follows from what."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st

from registry.lineage.graph import JobRecord, version_graph
from registry.lineage.record import _creation
from registry.names import STAGES, ModelName
from registry.versions.packages import Package

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ARN = "arn:aws:sagemaker:us-east-2:111122223333:model-package/models/7"
PARENT = "arn:aws:sagemaker:us-east-2:111122223333:model-package/models/6"
JOB = JobRecord(
    arn="arn:aws:sagemaker:us-east-2:111122223333:training-job/student-1",
    kind="TrainingJob",
    status="Completed",
    image="image:1",
    cards_uri="s3://b/cards/1/",
)
STUDENT = Package(
    arn=ARN,
    version=7,
    group="models",
    name=ModelName("student", "efficientnet-lite0", "stage2", 3),
    approval="PendingManualApproval",
    description="student-efficientnet-lite0-stage2-v3: good",
    created=NOW,
    model_data_url="s3://b/m",
    image="serving:1",
    metadata={"ParentModelPackageArn": PARENT, "ParentModel": "student-x-stage1-v1"},
)
LINES = [(kind, stage) for kind, stages in STAGES.items() for stage in stages]
hostile = st.text(max_size=6000)


@st.composite
def packages(draw: Any) -> Package:
    kind, stage = draw(st.sampled_from(LINES))
    name = ModelName(kind, draw(st.from_regex(r"[a-z0-9]{1,21}", fullmatch=True)), stage, 1)
    keys = ["CardSetUri", "CardSetDigest", "MlflowRunId", "FailureReason", "ApprovalReason"]
    said = {key: draw(st.text(min_size=1, max_size=256)) for key in keys}
    parent = draw(st.sampled_from([PARENT, ARN, "", "arn:aws:s3:::b", PARENT + "\n"]))
    return replace(
        STUDENT,
        name=draw(st.sampled_from([name, None])),
        approval=draw(st.sampled_from(["Approved", "Rejected", "PendingManualApproval"])),
        description=draw(hostile),
        approval_description=draw(hostile),
        commit=draw(hostile),
        generated_by=draw(hostile),
        metadata={**said, "ParentModelPackageArn": parent},
    )


@given(packages(), st.sampled_from([JOB, None]))
def test_graph_of_any_version_fits_sagemakers_api_model(
    package: Package, job: JobRecord | None
) -> None:
    graph = version_graph(package, job)
    for action in graph.actions:
        request = _creation(action)
        _fits("CreateAction", request)
        assert action.name.startswith("cards-")
        assert all("\n" not in value for value in request["Properties"].values())
    for artifact in graph.artifacts:
        _fits(
            "CreateArtifact",
            {
                "ArtifactName": artifact.name,
                "Source": {"SourceUri": artifact.source_uri},
                "ArtifactType": artifact.type,
                "Properties": dict(artifact.properties),
            },
        )


def _fits(operation: str, request: dict[str, Any]) -> None:
    """By botocore's own validation, and by patterns and limits, which that leaves to AWS."""
    from localcloud.sagemaker.api_model.service_model import check_request, service_model

    shape = service_model().operation_model(operation).input_shape
    assert not ParamValidator().validate(request, shape).has_errors()
    check_request(operation, request)


@given(packages())
def test_ends_of_every_edge_are_in_the_graph(package: Package) -> None:
    graph = version_graph(package, JOB)
    known = {each.source_uri for each in graph.artifacts} | {each.name for each in graph.actions}
    for edge in graph.associations:
        assert {edge.source, edge.destination} <= known
    assert len(known) == len(graph.artifacts) + len(graph.actions)
    ends = [(edge.source, edge.destination) for edge in graph.associations]
    assert len(set(ends)) == len(ends)


def test_artifact_of_a_parent_is_the_same_in_every_graph() -> None:
    by_child = version_graph(STUDENT, JOB).artifacts[-1]
    parent = replace(STUDENT, arn=PARENT, name=ModelName("student", "x", "stage1", 1), metadata={})
    assert by_child == version_graph(parent, None).artifacts[0]


@pytest.mark.parametrize("parent", [ARN, ARN.replace("/7", "/8"), ARN.replace("/7", "/70")])
def test_version_that_was_registered_later_is_no_parent(parent: str) -> None:
    child = replace(STUDENT, metadata={"ParentModelPackageArn": parent})
    graph = version_graph(child, JOB)
    assert parent not in {each.source for each in graph.associations} - {ARN}
    assert [each.source_uri for each in graph.artifacts if each.type == "Model"] == [ARN]
    assert "DerivedFrom" not in {each.type for each in graph.associations}


def test_edges_of_a_group_never_lead_back() -> None:
    """Each of three versions names each as its parent, itself among them."""
    arns = [ARN.replace("/7", f"/{number}") for number in (7, 8, 9)]
    edges = set()
    for arn in arns:
        for parent in arns:
            version = replace(STUDENT, arn=arn, metadata={"ParentModelPackageArn": parent})
            edges |= {
                (each.source, each.destination)
                for each in version_graph(version, None).associations
                if each.type == "DerivedFrom"
            }
    assert edges == {(arns[0], arns[1]), (arns[0], arns[2]), (arns[1], arns[2])}


def test_same_name_in_another_group_is_another_action() -> None:
    elsewhere = replace(STUDENT, arn=ARN.replace("models/7", "others/7"))
    names = {version_graph(each, JOB).actions[0].name for each in (STUDENT, elsewhere)}
    assert len(names) == 2


@pytest.mark.parametrize(
    ("stage", "action", "form"),
    [
        ("phase2", "Training", "PyTorch"),
        ("stage1", "Distillation", "PyTorch"),
        ("stage2", "Distillation", "PyTorch"),
        ("onnx", "Export", "ONNX"),
        ("int8", "Compilation", "INT8"),
        ("hailo8l", "Compilation", "HEF"),
    ],
)
def test_stage_decides_action_type_and_format(stage: str, action: str, form: str) -> None:
    kind = "teacher" if stage == "phase2" else "student"
    graph = version_graph(replace(STUDENT, name=ModelName(kind, "x", stage, 1)), JOB)
    assert graph.actions[0].type == action
    assert graph.artifacts[0].properties["Format"] == form


@pytest.mark.parametrize(
    ("failure", "job_status", "status"),
    [("", "Completed", "Completed"), ("nan", "Failed", "Failed"), ("stop", "Stopped", "Stopped")],
)
def test_actions_status_is_the_runs(failure: str, job_status: str, status: str) -> None:
    metadata = {"FailureReason": failure} if failure else {}
    graph = version_graph(replace(STUDENT, metadata=metadata), replace(JOB, status=job_status))
    assert graph.actions[0].status == status


def test_version_without_name_or_job_has_a_graph() -> None:
    graph = version_graph(replace(STUDENT, name=None, metadata={}), None)
    assert graph.actions[0].type == "Registration"
    assert graph.actions[0].source_uri == ARN
    assert [edge.type for edge in graph.associations] == ["Produced"]


def test_graph_without_an_artifact_keeps_all_other_edges() -> None:
    graph = version_graph(STUDENT, JOB).without(PARENT)
    assert PARENT not in {each.source_uri for each in graph.artifacts}
    assert [edge.type for edge in graph.associations] == ["ContributedTo", "Produced"]


def test_mistake_04_lineage_edge_follows_the_parent_arn() -> None:
    """A description that names another model makes no edge."""
    talkative = replace(STUDENT, metadata={}, description="x: distilled from teacher-x-phase2-v1")
    assert len(version_graph(talkative, None).artifacts) == 1
