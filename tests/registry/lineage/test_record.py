"""Writing SageMaker Lineage: once, whatever happens on the way, and whoever else is at it."""

# Over 400 lines: all tests read the graph of one family of models.

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud import LocalCloud
from registry.aws_errors import error_code
from registry.lineage.ancestry import LineageError, artifact_of
from registry.lineage.record import record_version
from registry.versions.packages import Package
from tests.faults import Faults, Killed
from tests.registry.lineage.lineage_family import (
    CARDS,
    DIGEST,
    NAMES,
    everything,
    family,
    forget,
    register,
    reread,
)
from tests.running_cloud import Client, client_of, make_role

#: Every operation that recording an approved student makes, in one order or another.
OPERATIONS = (
    "ListArtifacts",
    "DescribeModelPackage",
    "CreateArtifact",
    "DescribeAction",
    "CreateAction",
    "AddAssociation",
)


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
def student(sagemaker: Any, group: str) -> Package:
    """An approved stage-2 student; nothing of its line is recorded."""
    parent = register(sagemaker, group, NAMES["stage1"])
    return register(sagemaker, group, NAMES["stage2"], parent, approval="Approved")


@pytest.fixture
def training_job(client: Client, bucket: str) -> str:
    """The ARN of a job that SageMaker knows; how it ends is of no interest here."""
    role = make_role(client, f"job-{bucket}", "sagemaker.amazonaws.com", [])
    client("s3").put_object(Bucket=bucket, Key="cards/a/front.png", Body=b"x")
    cards = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/cards/"}
    answer = client("sagemaker").create_training_job(
        TrainingJobName=f"teacher-{bucket[-8:]}",
        RoleArn=role,
        AlgorithmSpecification={"TrainingImage": "local/image:1", "TrainingInputMode": "File"},
        InputDataConfig=[{"ChannelName": "cards", "DataSource": {"S3DataSource": cards}}],
        OutputDataConfig={"S3OutputPath": f"s3://{bucket}/jobs/"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )
    return str(answer["TrainingJobArn"])


def edges(sagemaker: Any) -> set[tuple[str, str, str]]:
    rows = [
        row
        for page in sagemaker.get_paginator("list_associations").paginate()
        for row in page["AssociationSummaries"]
    ]

    def short(name: str) -> str:
        return name.rpartition("-")[0]

    return {
        (short(row["SourceName"]), row["AssociationType"], short(row["DestinationName"]))
        for row in rows
    }


def action_of(sagemaker: Any, kind: str) -> dict[str, Any]:
    (row,) = sagemaker.list_actions(ActionType=kind)["ActionSummaries"]
    return dict(sagemaker.describe_action(ActionName=row["ActionName"]))


def test_student_has_its_cards_its_parent_its_distillation_and_its_approval(
    sagemaker: Any, student: Package
) -> None:
    record_version(sagemaker, student)
    model, parent = NAMES["stage2"], NAMES["stage1"]
    made, decided = f"cards-distillation-{model}", f"cards-approval-{model}"
    assert edges(sagemaker) == {
        ("cards-3f2a9c0d11aa", "ContributedTo", made),
        (parent, "ContributedTo", made),
        (parent, "DerivedFrom", model),
        (made, "Produced", model),
        (model, "AssociatedWith", decided),
    }
    (data,) = sagemaker.list_artifacts(ArtifactType="DataSet")["ArtifactSummaries"]
    assert data["Source"]["SourceUri"] == CARDS
    described = sagemaker.describe_artifact(ArtifactArn=data["ArtifactArn"])
    assert described["Properties"] == {"CardSetDigest": DIGEST}


@pytest.mark.parametrize(
    "place",
    [
        "arn:aws:sagemaker:us-east-2:999999999999",  # of another account
        "arn:aws:sagemaker:eu-west-1:000000000000",  # of another region
    ],
)
@pytest.mark.parametrize("kind", ["training-job", "processing-job"])
def test_job_of_another_account_or_region_is_named_and_not_looked_up(
    sagemaker: Any, group: str, place: str, kind: str
) -> None:
    """As AWS answers neither, a version that was copied could not be recorded otherwise."""
    faults = Faults()
    faults.client(sagemaker)
    package = register(
        sagemaker, group, NAMES["stage2"], approval="Approved", origin=f"{place}:{kind}/far"
    )
    record_version(sagemaker, package)
    assert not {"DescribeTrainingJob", "DescribeProcessingJob"} & set(faults.calls)
    found = action_of(sagemaker, "Distillation")
    assert found["MetadataProperties"]["GeneratedBy"] == f"{place}:{kind}/far"


def test_whole_family_is_one_graph(sagemaker: Any, group: str) -> None:
    for package in family(sagemaker, group).values():
        record_version(sagemaker, package)
    types = {row["ActionType"] for row in sagemaker.list_actions(MaxResults=100)["ActionSummaries"]}
    assert types == {"Training", "Distillation", "Export", "Compilation", "Approval"}
    chain = [(above, "DerivedFrom", below) for above, below in pairwise(NAMES.values())]
    assert set(chain) <= edges(sagemaker)
    artifacts = sagemaker.list_artifacts(MaxResults=100)["ArtifactSummaries"]
    assert len(artifacts) == 5 + 1


def test_action_has_job_image_commit_and_cards(
    sagemaker: Any, group: str, bucket: str, training_job: str
) -> None:
    package = register(
        sagemaker, group, NAMES["teacher"], origin=training_job, MlflowRunId="run-1", CardSetUri=""
    )
    record_version(sagemaker, package)
    action = action_of(sagemaker, "Training")
    assert action["Source"]["SourceUri"] == training_job
    assert action["Source"]["SourceType"] == "TrainingJob"
    assert action["MetadataProperties"] == {"CommitId": "c0ffee", "GeneratedBy": training_job}
    expected = {
        "Job": training_job,
        "ContainerImage": "local/image:1",
        "GitCommit": "c0ffee",
        "CardSetUri": f"s3://{bucket}/cards/",
        "CardSetDigest": DIGEST,
        "MlflowRunId": "run-1",
    }
    assert expected.items() <= action["Properties"].items()
    # The job knows the cards where the version's metadata does not.
    assert artifact_of(sagemaker, f"s3://{bucket}/cards/")


def test_failed_run_has_an_action_that_failed_and_produced_nothing(
    sagemaker: Any, group: str
) -> None:
    package = register(
        sagemaker, group, NAMES["teacher"], approval="Rejected", FailureReason="loss is nan"
    )
    record_version(sagemaker, package)
    action = action_of(sagemaker, "Training")
    assert action["Status"] == "Failed"
    assert action["Properties"]["FailureReason"] == "loss is nan"
    assert "Produced" not in {kind for _, kind, _ in edges(sagemaker)}


def test_recording_again_writes_nothing(sagemaker: Any, student: Package, faults: Faults) -> None:
    assert record_version(sagemaker, student)
    before = everything(sagemaker)
    watched = faults.client(sagemaker)
    assert record_version(watched, student) == []
    assert not [name for name in faults.calls if name.startswith(("Create", "Add", "Update"))]
    assert everything(sagemaker) == before


def test_calls_of_a_recording_are_few(sagemaker: Any, student: Package, faults: Faults) -> None:
    """Each is paid for by a function's time: a new edge in the graph is weighed here."""
    watched = faults.client(sagemaker)
    record_version(watched, student)
    assert dict(faults.calls) == {
        "ListArtifacts": 3,
        "DescribeModelPackage": 1,
        "CreateArtifact": 3,
        "DescribeAction": 2,
        "CreateAction": 2,
        "AddAssociation": 5,
    }
    faults.calls.clear()
    record_version(watched, student)
    assert dict(faults.calls) == {"ListArtifacts": 3, "DescribeAction": 2, "ListAssociations": 3}


def test_approval_adds_the_decision_alone(sagemaker: Any, group: str, faults: Faults) -> None:
    pending = register(sagemaker, group, NAMES["stage2"])
    record_version(sagemaker, pending)
    sagemaker.update_model_package(
        ModelPackageArn=pending.arn,
        ModelApprovalStatus="Approved",
        ApprovalDescription="Approved by arn:aws:iam::1:user/ada on 2026-01-02: good on new cards",
    )
    changes = record_version(sagemaker, reread(sagemaker, pending.arn))
    assert [(change.done, change.kind) for change in changes] == [
        ("written", "action"),
        ("written", "association"),
    ]
    action = action_of(sagemaker, "Approval")
    assert "good on new cards" in action["Description"]
    assert action["Properties"]["ModelApprovalStatus"] == "Approved"
    assert "user/ada" in action["Properties"]["ApprovalDescription"]
    assert action["Properties"]["LastModifiedTime"]


def test_every_decision_is_kept_and_a_later_change_of_metadata_is_none(
    sagemaker: Any, group: str
) -> None:
    package = register(sagemaker, group, NAMES["stage2"])
    for status, why in (("Approved", "first"), ("Rejected", "second"), ("Approved", "third")):
        sagemaker.update_model_package(
            ModelPackageArn=package.arn, ModelApprovalStatus=status, ApprovalDescription=why
        )
        record_version(sagemaker, reread(sagemaker, package.arn))
    sagemaker.update_model_package(
        ModelPackageArn=package.arn, CustomerMetadataProperties={"CompileFailure": "no"}
    )
    later = reread(sagemaker, package.arn)
    assert later.modified
    later = replace(later, modified=later.modified + timedelta(hours=1), modified_by="arn:else")
    assert record_version(sagemaker, later) == []
    rows = sagemaker.list_actions(ActionType="Approval")["ActionSummaries"]
    assert len(rows) == 3


def test_later_metadata_updates_the_action(sagemaker: Any, group: str) -> None:
    package = register(sagemaker, group, NAMES["stage1"])
    record_version(sagemaker, package)
    sagemaker.update_model_package(
        ModelPackageArn=package.arn, CustomerMetadataProperties={"MlflowRunId": "late"}
    )
    (change,) = record_version(sagemaker, reread(sagemaker, package.arn))
    assert (change.done, change.kind) == ("updated", "action")
    assert action_of(sagemaker, "Distillation")["Properties"]["MlflowRunId"] == "late"


def test_artifact_that_sagemaker_made_itself_is_used(sagemaker: Any, student: Package) -> None:
    """At AWS a job's data and every package have one, made by SageMaker when it gets to it."""
    for uri, kind in ((CARDS, "DataSet"), (student.arn, "ModelPackage")):
        sagemaker.create_artifact(
            ArtifactName=f"sagemakers-{kind}", Source={"SourceUri": uri}, ArtifactType=kind
        )
    record_version(sagemaker, student)
    uris = [
        row["Source"]["SourceUri"]
        for row in sagemaker.list_artifacts(MaxResults=100)["ArtifactSummaries"]
    ]
    assert sorted(uris) == sorted([CARDS, student.arn, str(student.parent_arn)])
    assert len(edges(sagemaker)) == 5


def test_graph_ends_at_a_deleted_parent(sagemaker: Any, student: Package) -> None:
    sagemaker.delete_model_package(ModelPackageName=student.parent_arn)
    record_version(sagemaker, student)
    assert artifact_of(sagemaker, str(student.parent_arn)) is None
    assert "DerivedFrom" not in {kind for _, kind, _ in edges(sagemaker)}


def test_deleted_parent_that_lineage_knows_stays_in_the_graph(
    sagemaker: Any, student: Package
) -> None:
    record_version(sagemaker, reread(sagemaker, str(student.parent_arn)))
    sagemaker.delete_model_package(ModelPackageName=student.parent_arn)
    record_version(sagemaker, student)
    assert (NAMES["stage1"], "DerivedFrom", NAMES["stage2"]) in edges(sagemaker)


def test_unrecorded_parent_is_reported_and_not_removed(
    sagemaker: Any, group: str, student: Package
) -> None:
    record_version(sagemaker, student)
    other = register(sagemaker, group, "teacher-y-phase2-v1")
    record_version(sagemaker, other)
    sagemaker.add_association(
        SourceArn=artifact_of(sagemaker, other.arn),
        DestinationArn=artifact_of(sagemaker, student.arn),
        AssociationType="DerivedFrom",
    )
    (change,) = record_version(sagemaker, student)
    assert change.done == "unexpected"
    assert "teacher-y-phase2-v1" in change.name and NAMES["stage2"] in change.name


@pytest.mark.parametrize("operation", OPERATIONS)
def test_throttled_calls_are_retried(
    sagemaker: Any, student: Package, faults: Faults, operation: str
) -> None:
    faults.client(sagemaker)
    faults.throttle(sagemaker, operation)
    record_version(sagemaker, student)
    assert faults.calls[operation] >= 2
    assert len(edges(sagemaker)) == 5


@pytest.mark.parametrize("operation", ["CreateArtifact", "CreateAction", "AddAssociation"])
def test_lost_response_creates_nothing_twice(
    sagemaker: Any, student: Package, client: Client, operation: str
) -> None:
    record_version(sagemaker, student)
    whole = everything(sagemaker)
    forget(sagemaker)
    faulty = client("sagemaker")
    Faults().lose_answer(faulty, operation)
    record_version(faulty, student)
    assert everything(sagemaker) == whole


@pytest.mark.parametrize("operation", OPERATIONS)
def test_interrupted_recording_is_completed_by_the_next(
    sagemaker: Any, student: Package, client: Client, operation: str
) -> None:
    record_version(sagemaker, student)
    whole = everything(sagemaker)
    forget(sagemaker)
    faulty, left = client("sagemaker"), [0]

    def die(**_: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed(operation)

    faulty.meta.events.register(f"provide-client-params.sagemaker.{operation}", die)
    # Ended again and again, one request further each time, until it gets through.
    for reached in range(20):
        left[0] = reached
        try:
            record_version(faulty, student)
        except Killed:
            continue
        break
    else:
        pytest.fail("never got through")
    assert reached > 0
    assert everything(sagemaker) == whole


def test_two_at_once_end_in_one_graph(sagemaker: Any, student: Package, client: Client) -> None:
    record_version(sagemaker, student)
    whole = everything(sagemaker)
    forget(sagemaker)
    failures: list[BaseException] = []

    def run(ours: Any) -> None:
        try:
            record_version(ours, student)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(client("sagemaker"),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert everything(sagemaker) == whole


@pytest.mark.parametrize("operation", ["CreateArtifact", "CreateAction", "AddAssociation"])
def test_entity_created_between_read_and_write_is_used(
    sagemaker: Any, student: Package, client: Client, operation: str
) -> None:
    slow = client("sagemaker")
    done: list[Any] = []

    def overtake(**_: Any) -> None:
        if not done:
            done.append(record_version(sagemaker, student))

    slow.meta.events.register(f"provide-client-params.sagemaker.{operation}", overtake)
    record_version(slow, student)
    assert done
    whole = everything(sagemaker)
    assert record_version(sagemaker, student) == []
    assert everything(sagemaker) == whole


def test_invalid_request_is_not_treated_as_existing(sagemaker: Any, student: Package) -> None:
    """SageMaker gives both the same code."""
    Faults().fail(sagemaker, "CreateAction", "ValidationException", "1 validation error")
    with pytest.raises(ClientError, match="1 validation error"):
        record_version(sagemaker, student)


def test_full_lineage_raises_with_the_remedy(sagemaker: Any, student: Package) -> None:
    Faults().fail(sagemaker, "AddAssociation", "ResourceLimitExceeded", "6000", times=9)
    with pytest.raises(LineageError, match="AWS Support"):
        record_version(sagemaker, student)


def test_access_denied_raises(sagemaker: Any, student: Package) -> None:
    Faults().fail(sagemaker, "CreateArtifact", "AccessDeniedException")
    with pytest.raises(ClientError) as caught:
        record_version(sagemaker, student)
    assert error_code(caught.value) == "AccessDeniedException"
