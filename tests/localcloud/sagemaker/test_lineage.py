"""SageMaker Lineage in the local cloud, by SageMaker's documentation and botocore's model."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud import LocalCloud
from tests.running_cloud import Client, client_of

ARN = "arn:aws:sagemaker:us-east-2:000000000000"


@pytest.fixture(scope="module")
def sagemaker(client: Client) -> Any:
    return client("sagemaker")


@pytest.fixture
def make(sagemaker: Any) -> Callable[..., str]:
    """Makes an entity of a name of the test's own and gives its ARN."""
    own = uuid.uuid4().hex[:8]

    def entity(name: str, kind: str = "Artifact", type_: str = "Thing", **more: Any) -> str:
        full = f"{name}-{own}"
        request = {
            f"{kind}Name": full,
            "Source": {"SourceUri": f"s3://lineage/{full}"},
            f"{kind}Type": type_,
            **more,
        }
        answer = getattr(sagemaker, f"create_{kind.lower()}")(**request)
        return str(answer[f"{kind}Arn"])

    return entity


@pytest.fixture
def chain(sagemaker: Any, make: Callable[..., str]) -> list[str]:
    """data -> train -> model -> approve, and model -> endpoint."""
    data, model = make("data", type_="DataSet"), make("model", type_="Model")
    train, approve = make("train", "Action", "Training"), make("approve", "Action", "Approval")
    endpoint = make("endpoint", "Context", "Endpoint")
    for source, target, kind in (
        (data, train, "ContributedTo"),
        (train, model, "Produced"),
        (model, approve, "AssociatedWith"),
        (model, endpoint, "AssociatedWith"),
    ):
        sagemaker.add_association(SourceArn=source, DestinationArn=target, AssociationType=kind)
    return [data, train, model, approve, endpoint]


def code(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as error:
        call()
    return str(error.value.response["Error"]["Code"])


def met(answer: dict[str, Any]) -> set[str]:
    return {vertex["Arn"] for vertex in answer["Vertices"]}


def test_source_has_one_artifact_and_an_action_one_name(
    sagemaker: Any, make: Callable[..., str]
) -> None:
    arn = make("once")
    source = sagemaker.describe_artifact(ArtifactArn=arn)["Source"]
    again = {"ArtifactName": "other-name", "Source": source, "ArtifactType": "Thing"}
    assert code(lambda: sagemaker.create_artifact(**again)) == "ValidationException"
    name = make("step", "Action").rpartition("/")[2]
    twin = {"ActionName": name, "Source": {"SourceUri": "else"}, "ActionType": "Thing"}
    assert code(lambda: sagemaker.create_action(**twin)) == "ValidationException"


def test_artifacts_name_is_its_own_too(sagemaker: Any, make: Callable[..., str]) -> None:
    name = sagemaker.describe_artifact(ArtifactArn=make("named"))["ArtifactName"]
    twin = {"ArtifactName": name, "Source": {"SourceUri": f"x:{name}"}, "ArtifactType": "Thing"}
    assert code(lambda: sagemaker.create_artifact(**twin)) == "ValidationException"
    # Without a name there is nothing to be unique.
    for uri in ("nameless:1", "nameless:2"):
        sagemaker.create_artifact(Source={"SourceUri": uri + name}, ArtifactType="Thing")


def test_association_is_made_once_and_between_what_is_there(
    sagemaker: Any, chain: list[str]
) -> None:
    ends = {"SourceArn": chain[0], "DestinationArn": chain[1]}
    assert code(lambda: sagemaker.add_association(**ends)) == "ValidationException"
    nowhere = {"SourceArn": chain[0], "DestinationArn": f"{ARN}:action/nowhere"}
    assert code(lambda: sagemaker.add_association(**nowhere)) == "ResourceNotFound"
    sagemaker.delete_association(**ends)
    assert code(lambda: sagemaker.delete_association(**ends)) == "ResourceNotFound"


def test_entity_says_who_created_and_who_changed_it(client: Client, sagemaker: Any) -> None:
    caller = client("sts").get_caller_identity()
    identity = {"Arn": caller["Arn"], "PrincipalId": caller["UserId"]}
    sagemaker.create_action(
        ActionName="whose", ActionType="a", Source={"SourceUri": "s3://bucket/whose"}
    )
    sagemaker.update_action(ActionName="whose", Status="Completed")
    found = sagemaker.describe_action(ActionName="whose")
    assert found["CreatedBy"]["IamIdentity"] == found["LastModifiedBy"]["IamIdentity"] == identity


def test_missing_entity_is_not_found(sagemaker: Any) -> None:
    for call in (
        lambda: sagemaker.describe_artifact(ArtifactArn=f"{ARN}:artifact/0"),
        lambda: sagemaker.describe_action(ActionName="nothing"),
        lambda: sagemaker.update_action(ActionName="nothing", Status="Failed"),
        lambda: sagemaker.delete_artifact(Source={"SourceUri": "nothing"}),
        lambda: sagemaker.list_associations(SourceArn=f"{ARN}:artifact/0"),
        lambda: sagemaker.query_lineage(StartArns=[f"{ARN}:artifact/0"]),
    ):
        assert code(call) == "ResourceNotFound"
    assert sagemaker.list_artifacts(SourceUri="nothing")["ArtifactSummaries"] == []


def test_properties_are_merged_removed_and_limited(
    sagemaker: Any, make: Callable[..., str]
) -> None:
    arn = make("told", Properties={"a": "1", "b": "2"})
    sagemaker.update_artifact(
        ArtifactArn=arn, Properties={"b": "3", "c": "4"}, PropertiesToRemove=["a"]
    )
    described = sagemaker.describe_artifact(ArtifactArn=arn)
    assert described["Properties"] == {"b": "3", "c": "4"}
    assert described["LastModifiedTime"] > described["CreationTime"]
    many = {f"p{number}": "x" for number in range(29)}
    assert (
        code(lambda: sagemaker.update_artifact(ArtifactArn=arn, Properties=many))
        == "ValidationException"
    )
    assert sagemaker.describe_artifact(ArtifactArn=arn)["Properties"] == {"b": "3", "c": "4"}


@pytest.mark.parametrize("name", ["-leading", "under_score", "dotted.name", "x" * 121])
def test_name_outside_of_sagemakers_pattern_is_refused(sagemaker: Any, name: str) -> None:
    request = {"ActionName": name, "Source": {"SourceUri": "x"}, "ActionType": "Thing"}
    assert code(lambda: sagemaker.create_action(**request)) == "ValidationException"


def test_associated_entity_is_not_deleted(sagemaker: Any, chain: list[str]) -> None:
    data, train, *_ = chain
    assert code(lambda: sagemaker.delete_artifact(ArtifactArn=data)) == "ValidationException"
    sagemaker.delete_association(SourceArn=data, DestinationArn=train)
    sagemaker.delete_artifact(ArtifactArn=data)
    assert code(lambda: sagemaker.describe_artifact(ArtifactArn=data)) == "ResourceNotFound"


def test_lists_are_filtered_and_paged(sagemaker: Any, make: Callable[..., str]) -> None:
    kind = f"Listed{uuid.uuid4().hex[:6]}"
    arns = [make(f"n{number:02}", type_=kind) for number in range(12)]
    pages = list(
        sagemaker.get_paginator("list_artifacts").paginate(
            ArtifactType=kind, SortOrder="Ascending", PaginationConfig={"PageSize": 5}
        )
    )
    rows = [row["ArtifactArn"] for page in pages for row in page["ArtifactSummaries"]]
    assert (len(pages), rows) == (3, arns)
    # The pages are ten long unless asked otherwise, the newest first.
    first = sagemaker.list_artifacts(ArtifactType=kind)["ArtifactSummaries"]
    assert [row["ArtifactArn"] for row in first] == arns[:1:-1]
    past = datetime.now(UTC) - timedelta(hours=1)
    assert not sagemaker.list_artifacts(ArtifactType=kind, CreatedBefore=past)["ArtifactSummaries"]


def test_associations_are_listed_by_either_end_and_by_type(
    sagemaker: Any, chain: list[str]
) -> None:
    data, train, model, approve, endpoint = chain

    def listed(**filters: Any) -> set[tuple[str, str]]:
        rows = sagemaker.list_associations(**filters)["AssociationSummaries"]
        return {(row["SourceArn"], row["DestinationArn"]) for row in rows}

    assert listed(DestinationArn=train) == {(data, train)}
    assert listed(SourceArn=model) == {(model, approve), (model, endpoint)}
    assert listed(SourceArn=model, DestinationType="Approval") == {(model, approve)}
    assert listed(SourceArn=train, AssociationType="Produced") == {(train, model)}
    assert listed(SourceArn=train, AssociationType="DerivedFrom") == set()
    (row,) = sagemaker.list_associations(DestinationArn=train)["AssociationSummaries"]
    assert (row["SourceType"], row["DestinationType"]) == ("DataSet", "Training")
    by_source = sagemaker.list_associations(
        SourceArn=model, SortBy="DestinationArn", SortOrder="Ascending"
    )["AssociationSummaries"]
    assert [row["DestinationArn"] for row in by_source] == sorted([approve, endpoint])


def test_query_walks_up_down_and_both_ways(sagemaker: Any, chain: list[str]) -> None:
    data, train, model, approve, endpoint = chain

    def walked(start: str, direction: str, **more: Any) -> set[str]:
        return met(sagemaker.query_lineage(StartArns=[start], Direction=direction, **more))

    assert walked(model, "Ascendants") == {train, data}
    assert walked(train, "Descendants") == {model, approve, endpoint}
    assert walked(approve, "Both") == {model, endpoint, train, data}
    assert walked(data, "Descendants", MaxDepth=2) == {train, model}
    edges = sagemaker.query_lineage(StartArns=[model], Direction="Ascendants", IncludeEdges=True)
    assert {(e["SourceArn"], e["AssociationType"]) for e in edges["Edges"]} == {
        (data, "ContributedTo"),
        (train, "Produced"),
    }
    assert "Edges" not in sagemaker.query_lineage(StartArns=[model], IncludeEdges=False)


def test_querys_filters_choose_from_what_the_walk_meets(
    sagemaker: Any, chain: list[str], make: Callable[..., str]
) -> None:
    data, train, model, approve, _endpoint = chain

    def chosen(**filters: Any) -> set[str]:
        # Through the action and the model that the filter leaves out, as far as it goes.
        return met(
            sagemaker.query_lineage(StartArns=[data], Direction="Descendants", Filters=filters)
        )

    assert chosen(Types=["Approval"]) == {approve}
    assert chosen(LineageTypes=["Artifact"]) == {model}
    assert chosen(LineageTypes=["Artifact", "Action"]) == {train, model, approve}
    assert chosen(CreatedAfter=datetime.now(UTC) + timedelta(hours=1)) == set()
    assert chosen(ModifiedBefore=datetime.now(UTC) - timedelta(hours=1)) == set()
    sagemaker.update_artifact(ArtifactArn=model, Properties={"Stage": "onnx"})
    assert chosen(Properties={"Stage": "onnx"}) == {model}


def test_query_gives_its_vertices_by_pages(sagemaker: Any, chain: list[str]) -> None:
    request: dict[str, Any] = {"StartArns": [chain[0]], "Direction": "Descendants"}
    found: list[str] = []
    for _ in range(4):
        page = sagemaker.query_lineage(**request, MaxResults=1)
        found += [vertex["Arn"] for vertex in page["Vertices"]]
        request["NextToken"] = page.get("NextToken", "")
    assert (found, request["NextToken"]) == (chain[1:], "")


def test_circle_ends_a_query(sagemaker: Any, chain: list[str]) -> None:
    sagemaker.add_association(SourceArn=chain[2], DestinationArn=chain[0])
    answer = sagemaker.query_lineage(StartArns=[chain[0]], Direction="Descendants")
    assert met(answer) == set(chain[1:])


# --- IAM, by https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsagemaker.html


@pytest.fixture(scope="module")
def user(client: Client, cloud: LocalCloud) -> Callable[..., Any]:
    """Makes a client that may do the actions, each on its resource, and nothing else."""

    def make_user(*allowed: tuple[str, str]) -> Any:
        iam, name = client("iam"), f"user-{uuid.uuid4().hex[:8]}"
        statements = [
            {"Effect": "Allow", "Action": f"sagemaker:{action}", "Resource": resource}
            for action, resource in allowed
        ]
        iam.create_user(UserName=name)
        iam.put_user_policy(
            UserName=name,
            PolicyName="own",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}),
        )
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return client_of(
            cloud,
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
        )("sagemaker")

    return make_user


def test_lists_and_queries_have_no_resource_level(
    user: Callable[..., Any], chain: list[str]
) -> None:
    operations = ("ListAssociations", "ListArtifacts", "QueryLineage")
    everything = user(*((operation, "*") for operation in operations))
    artifacts = user(*((operation, f"{ARN}:artifact/*") for operation in operations))
    data = chain[0]
    for call in (
        lambda who: who.list_associations(SourceArn=data),
        lambda who: who.list_associations(DestinationArn=data),
        lambda who: who.list_artifacts(SourceUri="x"),
        lambda who: who.query_lineage(StartArns=[data]),
    ):
        call(everything)
        with pytest.raises(ClientError, match="AccessDenied"):
            call(artifacts)


def test_role_may_do_on_lineage_what_its_resources_say(
    user: Callable[..., Any], make: Callable[..., str]
) -> None:
    ours_only = f"{ARN}:action/cards-*"
    limited = user(
        ("CreateArtifact", f"{ARN}:artifact/*"),
        ("AddAssociation", f"{ARN}:artifact/*"),
        ("AddAssociation", ours_only),
        ("CreateAction", ours_only),
        ("DescribeAction", ours_only),
    )
    thing = {"Source": {"SourceUri": "iam:thing"}, "ArtifactType": "Thing"}
    artifact = limited.create_artifact(**thing)["ArtifactArn"]
    source = {"Source": {"SourceUri": "x"}, "ActionType": "Thing"}
    ours = limited.create_action(ActionName="cards-iam", **source)["ActionArn"]
    limited.add_association(SourceArn=artifact, DestinationArn=ours)
    assert limited.describe_action(ActionName="cards-iam")
    theirs = make("theirs", "Action")
    for call in (
        lambda: limited.create_action(ActionName="theirs", **source),
        lambda: limited.describe_action(ActionName=theirs.rpartition("/")[2]),
        lambda: limited.add_association(SourceArn=artifact, DestinationArn=theirs),
        lambda: limited.add_association(SourceArn=theirs, DestinationArn=artifact),
        lambda: limited.delete_artifact(ArtifactArn=artifact),
        lambda: limited.list_artifacts(),
    ):
        assert code(call) == "AccessDeniedException"
