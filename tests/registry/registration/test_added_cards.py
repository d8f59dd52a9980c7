"""A version with an approved model and more cards: what it keeps, what it says, and only once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from registry.deployment import Deployment
from registry.lineage.graph import made_by, version_graph
from registry.names import parse_name
from registry.registration.added_cards import GrownCardSet, claim, register
from registry.registration.request import RegistrationError
from registry.versions.name_claims import owner_of
from registry.versions.packages import NewPackage, Package, create, describe, iterate
from tests.registry.registration.training_jobs import request
from tests.running_cloud import Client

NAME = "student-efficientnet-lite0-stage2-v1"
ARCHIVE = "a" * 64 + " version-1"
CARDS = GrownCardSet("s3://training/cards/0f3b0f3b0f3b/", "b" * 64, 24)
METRICS = {
    "top1": 0.8, "top1_low": 0.75, "top1_high": 0.85, "top5": 0.9, "queries": 400.0,
    "false_accept_rate": 0.01, "threshold": 0.5, "added_cards": 24.0, "added_queries": 96.0,
    "top1_added": 0.7, "top1_added_low": 0.6, "top1_added_high": 0.8, "accepted_right_added": 0.5,
    "top1_before": 0.82,
}  # fmt: skip


@pytest.fixture
def deployment(client: Client, group: str, bucket: str) -> Deployment:
    return Deployment(client, group, bucket, "releases")


@pytest.fixture
def parent(deployment: Deployment) -> Package:
    """An approved version that has been released."""
    arn = create(
        deployment.sagemaker,
        deployment.group_name,
        NewPackage(
            name=parse_name(NAME),
            approval="PendingManualApproval",
            summary="trained",
            model_data_url="s3://training/jobs/one/output/model.tar.gz",
            image="763104351884.dkr.ecr.us-east-2.amazonaws.com/pytorch-training:2.8.0-cpu-py312",
            metadata={
                **request(model_type="student")["metadata"],
                "Stage": "stage2",
                "Top1": "0.9",
                "Top1Low": "0.88",
                "Queries": "920",
                "Auroc": "0.97",
                "CardSetUri": "s3://training/cards/0f3a0f3a0f3a/",
                "CardSetDigest": "0f3a" * 16,
                "ModelArchive": ARCHIVE,
                "TrainingJob": "student-stage2-one",
                "TrainingSeconds": "780",
                "Release": f"{NAME}.onnx-int8-00000000",
                "Seed": "7",
            },
            generated_by="arn:aws:sagemaker:us-east-2:000000000000:training-job/one",
            commit="abc123",
        ),
    )
    deployment.sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    found = describe(deployment.sagemaker, arn)
    assert found is not None
    return found


def registered(deployment: Deployment, parent: Package) -> Package:
    done = register(deployment, parent, CARDS, METRICS)
    assert done.outcome == "registered" and done.arn
    found = describe(deployment.sagemaker, done.arn)
    assert found is not None
    return found


def test_new_version_has_the_parents_model_and_its_own_cards(
    deployment: Deployment, parent: Package
) -> None:
    found = registered(deployment, parent)
    assert str(found.name) == "student-efficientnet-lite0-stage2-v2"
    assert found.approval == "PendingManualApproval"
    assert (found.model_data_url, found.image, found.commit) == (
        parent.model_data_url,
        parent.image,
        parent.commit,
    )
    expected = {
        "ModelArchive": ARCHIVE,
        "CardSetUri": CARDS.uri,
        "CardSetDigest": CARDS.digest,
        "ParentModelPackageArn": parent.arn,
        "ParentModel": NAME,
        "AddedCards": "24",
        "Top1Added": "0.7",
        "AcceptedRightAdded": "0.5",
        "Top1": "0.8",
        "Queries": "400",
        "Seed": "7",
        "Validation": "passed",
    }
    assert {key: found.metadata.get(key) for key in expected} == expected
    assert "24 more cards" in found.description


def test_new_version_says_nothing_of_the_parents_run_or_index(
    deployment: Deployment, parent: Package
) -> None:
    found = registered(deployment, parent)
    absent = {"TrainingJob", "TrainingSeconds", "Release", "Auroc"}
    assert absent <= set(parent.metadata) and not absent & set(found.metadata)


def test_repeated_registration_finds_the_first_version(
    deployment: Deployment, parent: Package
) -> None:
    first = registered(deployment, parent)
    again = register(deployment, parent, CARDS, {})
    assert (again.outcome, again.arn, again.name) == (
        "already registered",
        first.arn,
        str(first.name),
    )
    assert len(list(iterate(deployment.sagemaker, deployment.group_name))) == 2


def test_other_cards_get_another_version(deployment: Deployment, parent: Package) -> None:
    first = registered(deployment, parent)
    other = register(deployment, parent, replace(CARDS, digest="c" * 64), METRICS)
    assert other.arn != first.arn and str(other.name).endswith("-v3")


def test_name_is_claimed_for_the_version_itself(deployment: Deployment, parent: Package) -> None:
    claimed = claim(deployment, parent, CARDS)
    assert claimed.arn is None and claimed.name
    found = registered(deployment, parent)
    assert str(found.name) == claimed.name
    owner = owner_of(deployment.s3, deployment.training_bucket, parse_name(claimed.name))
    # What the automation compares before it compiles: registry/automation/observation.py.
    assert owner == found.generated_by


def test_lineage_shows_cards_that_were_added_and_no_training(
    deployment: Deployment, parent: Package
) -> None:
    found = registered(deployment, parent)
    assert made_by(found) == "Indexing" and made_by(parent) == "Distillation"
    graph = version_graph(found, None)
    (action,) = graph.actions
    assert (action.source_uri, action.source_type) == (found.arn, "ModelPackage")
    assert {(e.source, e.type) for e in graph.associations} >= {
        (CARDS.uri, "ContributedTo"),
        (parent.arn, "ContributedTo"),
        (parent.arn, "DerivedFrom"),
    }


def test_name_that_another_version_took_by_hand_is_refused(
    deployment: Deployment, parent: Package
) -> None:
    taken = parse_name("student-efficientnet-lite0-stage2-v2")
    create(
        deployment.sagemaker,
        deployment.group_name,
        NewPackage(taken, "Rejected", "failed: by hand", None, "", {
            "ModelType": "student", "TrainingJob": "x", "FailureReason": "by hand",
        }, ""),
    )  # fmt: skip
    with pytest.raises(RegistrationError, match="v2: was registered by hand"):
        register(deployment, parent, CARDS, METRICS)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"approval": "Rejected"}, "is Rejected; cards are added to the index of an approved"),
        ({"name": parse_name("student-efficientnet-lite0-stage1-v1")}, "is no stage-2 student"),
        ({"metadata": {}}, "before digests of archives were recorded"),
    ],
)
def test_unsuitable_parent_is_refused_before_anything_is_written(
    deployment: Deployment, parent: Package, changes: dict[str, object], words: str
) -> None:
    with pytest.raises(RegistrationError, match=words):
        register(deployment, replace(parent, **changes), CARDS, METRICS)  # type: ignore[arg-type]
    assert len(list(iterate(deployment.sagemaker, deployment.group_name))) == 1
    listed = deployment.s3.list_objects_v2(Bucket=deployment.training_bucket)
    assert not listed.get("Contents")
