"""Every list that the product reads is read to its end: SageMaker's pages can be empty.

SageMaker cuts a page first and filters it afterwards (botocore's note on ListTrainingJobs), so that
a page without rows can be followed by one with the row that was looked for. Here each list gives an
empty page, a row, another empty page, and another row.
"""

# Over 400 lines: it is one table, with a row for each list that the product reads.

from __future__ import annotations

import ast
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import botocore.session
import pytest
from botocore import xform_name
from botocore.awsrequest import AWSResponse

from cli.automation_functions import _last_error_line
from cli.data import upload
from cli.operations import dlq
from cli.operations.checks import account, automation, check, permissions
from infra.deployed_names import deployed_names
from registry.automation import trace
from registry.automation.unregistered_jobs import unregistered_jobs
from registry.aws import objects_below
from registry.compilation.jobs import list_jobs
from registry.deployment import DeployedNames, Deployment
from registry.lineage import ancestry, record
from registry.names import LATER_PARAMETERS, PARAMETERS
from registry.registration.retroactive import jobs_by_registration
from registry.releases import channel_targets
from registry.tracking import tracking_uri
from registry.versions import four_eyes, queries
from registry.versions.packages import Package, iterate
from training.submission.estimate import instance_price
from training.submission.resume import resume
from training.submission.watch import JobLog

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = (
    *("registry", "lambdas", "recognition", "training", "export"),
    *("edge", "infra", "cli", "scripts"),
)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
PLACE = "arn:aws:sagemaker:us-east-2:000000000000"
SERVICES = (
    *("sagemaker", "s3", "ssm", "logs", "cloudformation", "events", "iam", "pricing"),
    *("sqs", "sns", "lambda", "ecr", "kms", "cloudwatch", "secretsmanager", "sts"),
)
#: Calls whose answer can have a token, and that need no further page.
ONE_PAGE = {
    "describe_stacks": "of one stack, by its name",
    "describe_images": "of one image, by its tag or digest",
    "get_log_events": "a look at a log that grows: the next look goes on from the token",
    "list_jobs": "this product's own, over list_processing_jobs",
    "list_models": "timm's list of networks; SageMaker has a call of that name",
}

_ACCOUNT = "cli/operations/account"
#: Places where one page is all that is wanted, or that botocore's paginator reads to the end.
READ_OTHERWISE = {
    (f"{_ACCOUNT}/region.py", "list_model_package_groups"): "whether the service answers",
    (f"{_ACCOUNT}/region.py", "list_aliases"): "whether the service answers",
    (f"{_ACCOUNT}/region.py", "list_mlflow_apps"): "whether the service answers",
    (f"{_ACCOUNT}/region.py", "list_service_quotas"): "by a paginator",
    (f"{_ACCOUNT}/access_calls.py", "simulate_custom_policy"): "by a paginator",
}


@dataclass
class PagedAws:
    """Clients whose lists give an empty page before each row; other calls are answered as told.

    Attributes:
        rows: Two rows by operation.
        answers: Answers of other operations.
        asked: The parameters of each request, by operation.
    """

    rows: Mapping[str, list[Any]]
    answers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    asked: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    _pages: Counter[str] = field(default_factory=Counter)

    def client(self, service: str) -> Any:
        session = _session()
        client = session.client(
            service, "us-east-2", aws_access_key_id="a", aws_secret_access_key="b"
        )
        client.meta.events.register(f"before-parameter-build.{service}", self._remember)
        client.meta.events.register(f"before-call.{service}", self._answer)
        return client

    def _remember(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        self.asked.setdefault(model.name, []).append(dict(params))

    def _answer(self, model: Any, **_: Any) -> tuple[AWSResponse, dict[str, Any]]:
        given = self.answers.get(model.name)
        answer = dict(given) if given is not None else self._page(model.name)
        answer["ResponseMetadata"] = {"HTTPStatusCode": 200}
        return AWSResponse("https://aws", 200, {}, None), answer

    def _page(self, operation: str) -> dict[str, Any]:
        page = self._pages[operation]
        self._pages[operation] += 1
        rows = self.rows[operation]
        shown = {0: [], 1: rows[:1], 2: [], 3: rows[1:]}[page]
        key, token, more = _shape(operation)
        answer: dict[str, Any] = {key: shown}
        if page < 3:
            answer[token] = f"token-{page}"
        if more:
            answer[more] = page < 3
        return answer


#: Operations that the product pages by itself, or lists another member of.
_SHAPES = {
    "ListModelPackages": ("ModelPackageSummaryList", "NextToken", None),
    "Search": ("Results", "NextToken", None),
    "QueryLineage": ("Vertices", "NextToken", None),
}


@cache
def _session() -> boto3.Session:
    return boto3.Session()


@cache
def _shape(operation: str) -> tuple[str, str, str | None]:
    """The members of an answer that hold the rows, the next token, and whether there is more."""
    if operation in _SHAPES:
        return _SHAPES[operation]
    for service in SERVICES:
        try:
            pages = _session()._session.get_paginator_model(service).get_paginator(operation)
        except ValueError:
            continue
        keys, token = pages["result_key"], pages["output_token"]
        return (
            keys[0] if isinstance(keys, list) else keys,
            token if isinstance(token, str) else token[0],
            pages.get("more_results"),
        )
    raise AssertionError(f"{operation} has no pages")


# --- each list, by the file that reads it

Case = tuple[PagedAws, Callable[[PagedAws], Any], Any]


def objects(*keys: str) -> list[dict[str, Any]]:
    return [{"Key": key, "LastModified": NOW, "Size": 1, "ETag": '"e"'} for key in keys]


def training_jobs() -> PagedAws:
    rows = [
        {
            "TrainingJobName": f"teacher-{number}",
            "TrainingJobArn": f"{PLACE}:training-job/teacher-{number}",
            "TrainingJobStatus": "Completed",
            "CreationTime": NOW,
            "LastModifiedTime": NOW,
        }
        for number in (1, 2)
    ]
    described = {
        "OutputDataConfig": {"S3OutputPath": "s3://training/jobs/"},
        "Environment": {"CARDS_MODEL_LINE": "teacher-x-phase2"},
    }
    return PagedAws(
        {"ListTrainingJobs": rows, "ListObjectsV2": []},
        {
            "DescribeTrainingJob": described,
            "ListObjectsV2": {"IsTruncated": False},
            "Search": {"Results": []},
        },
    )


def deployment(aws: PagedAws) -> Deployment:
    return Deployment(aws.client, "group", "training", "releases")


def package_rows() -> list[dict[str, Any]]:
    return [
        {
            "ModelPackageArn": f"{PLACE}:model-package/group/{number}",
            "ModelPackageDescription": f"teacher-x-phase2-v{number}: teacher",
            "CreationTime": NOW,
        }
        for number in (1, 2)
    ]


def parameters() -> PagedAws:
    named = [key for key in PARAMETERS if key not in LATER_PARAMETERS]
    rows = [{"Name": f"/cards/dev/{key}", "Value": key} for key in named]
    return PagedAws({"GetParametersByPath": [*rows[:1], *rows[1:]]})


def version() -> Package:
    return Package(
        f"{PLACE}:model-package/group/1", 1, "group", None, "Approved", "", NOW, "", "", {},
        generated_by=f"{PLACE}:training-job/job", created_by_id="creator",
    )  # fmt: skip


TAGS = [{"Key": "other", "Value": "x"}, {"Key": four_eyes.SUBMITTED_BY, "Value": "person"}]
RESOURCES = [
    {
        "LogicalResourceId": f"{name}{kind}",
        "PhysicalResourceId": f"{name}{kind}-1",
        "ResourceType": kind_type,
    }
    for name, kind, kind_type in (
        ("RegisterModel", "Function", "AWS::Lambda::Function"),
        ("RegisterModel", next(iter(dlq._KINDS)), "AWS::SQS::Queue"),
    )
]
CONTEXT_NAMES = SimpleNamespace(environment="dev")


def _rule_findings(aws: PagedAws) -> list[str]:
    context: Any = SimpleNamespace(
        client=aws.client,
        deploy="deploy",
        restore="restore",
        automation_parts=lambda kind: {"CompileApprovedRule": "rule"},
        functions={"CompileApproved": {"FunctionArn": "arn:second"}},
    )
    return [each.state for each in automation.rules(context)]


def _price(amount: str) -> str:
    dimension = {"unit": "Hrs", "pricePerUnit": {"USD": amount}}
    return json.dumps({"terms": {"OnDemand": {"t": {"priceDimensions": {"d": dimension}}}}})


def _resumed_tags(aws: PagedAws) -> Any:
    resume(aws.client("sagemaker"), "job", "person")
    return aws.asked["CreateTrainingJob"][0]["Tags"]


def _rows(operation: str, *rows: Any, **answers: Mapping[str, Any]) -> PagedAws:
    return PagedAws({operation: list(rows)}, answers)


def cases() -> dict[tuple[str, str], Case]:
    """What reads each list, over which rows, and what it must find."""
    names = [each["ModelPackageArn"] for each in package_rows()]
    both = ["teacher-1", "teacher-2"]
    associations = [{"SourceArn": "a"}, {"SourceArn": "b"}]
    lines = [
        {"timestamp": 0, "message": "label: first"},
        {"timestamp": 1, "message": "ValueError: label: last"},
    ]
    stored = [
        {"Name": "/cards/dev/mlflow-uri", "Value": "uri"},
        {"Name": "/cards/dev/mlflow-bucket", "Value": "bucket"},
    ]
    resumed = {
        "TrainingJobName": "job", "TrainingJobArn": "arn", "TrainingJobStatus": "Stopped",
        "CheckpointConfig": {"S3Uri": "s3://b/c"}, "AlgorithmSpecification": {
            "TrainingImage": "image", "TrainingInputMode": "File"},
        "RoleArn": "arn:aws:iam::000000000000:role/role",
        "OutputDataConfig": {"S3OutputPath": "s3://b/o"}, "StoppingCondition": {},
        "ResourceConfig": {"VolumeSizeInGB": 1},
    }  # fmt: skip
    right = [permissions.Right(action, "arn:r") for action in ("s3:GetObject", "s3:PutObject")]
    session: Any = lambda aws: SimpleNamespace(client=aws.client, names=CONTEXT_NAMES)  # noqa: E731
    return {
        ("registry/aws.py", "ListObjectsV2"): (
            _rows("ListObjectsV2", *objects("a", "b")),
            lambda aws: [each["Key"] for each in objects_below(aws.client("s3"), "b", "")],
            ["a", "b"],
        ),
        ("registry/releases/channel_targets.py", "ListObjectsV2"): (
            PagedAws({"ListObjectsV2": []}),
            lambda aws: channel_targets._folders(deployment(_common_prefixes("releases/"))),
            ["one", "two"],
        ),
        ("cli/data/upload.py", "ListObjectsV2"): (
            PagedAws({"ListObjectsV2": []}),
            lambda aws: upload.newest(_common_prefixes("cards/").client("s3"), "b"),
            "s3://b/cards/two/",
        ),
        ("registry/automation/unregistered_jobs.py", "ListTrainingJobs"): (
            training_jobs(),
            lambda aws: list(
                unregistered_jobs(deployment(aws), NOW, NOW, frozenset(), lambda *_: None)
            ),
            both,
        ),
        ("registry/registration/retroactive.py", "ListTrainingJobs"): (
            training_jobs(),
            lambda aws: [name for _, name in jobs_by_registration(deployment(aws), "teacher")],
            both,
        ),
        ("registry/compilation/jobs.py", "ListProcessingJobs"): (
            _rows("ListProcessingJobs", "first", "second"),
            lambda aws: list(list_jobs(aws.client("sagemaker"), version_created=NOW)),
            ["first", "second"],
        ),
        ("registry/lineage/ancestry.py", "ListArtifacts"): (
            _rows("ListArtifacts", {"ArtifactArn": "arn:only"}),
            lambda aws: ancestry.artifact_of(aws.client("sagemaker"), "uri"),
            "arn:only",
        ),
        ("registry/lineage/ancestry.py", "QueryLineage"): (
            _rows("QueryLineage", {"Arn": "a"}, {"Arn": "b"}),
            lambda aws: list(ancestry._query(aws.client("sagemaker"), PLACE + ":artifact/a")),
            ["a", "b"],
        ),
        ("registry/lineage/record.py", "ListAssociations"): (
            _rows("ListAssociations", *associations),
            lambda aws: list(
                record._GraphWriter(aws.client("sagemaker"), {})._associations(destination="arn")
            ),
            associations,
        ),
        ("registry/versions/packages.py", "ListModelPackages"): (
            _rows("ListModelPackages", *package_rows()),
            lambda aws: [row.arn for row in iterate(aws.client("sagemaker"), "group")],
            names,
        ),
        ("registry/versions/queries.py", "ListModelPackages"): (
            _rows("ListModelPackages", *package_rows()),
            lambda aws: [
                row.arn
                for page in queries.pages(aws.client("sagemaker"), "group")
                for row in page.rows
            ],
            names,
        ),
        ("registry/versions/queries.py", "Search"): (
            _rows("Search", *({"ModelPackage": row} for row in package_rows())),
            lambda aws: [
                row.arn
                for page in queries.pages(
                    aws.client("sagemaker"), "group", queries.Filters(text="teacher")
                )
                for row in page.rows
            ],
            names,
        ),
        ("registry/versions/four_eyes.py", "ListTags"): (
            _rows("ListTags", *TAGS),
            lambda aws: four_eyes.authors(aws.client("sagemaker"), version()),
            {"person", "creator"},
        ),
        ("training/submission/resume.py", "ListTags"): (
            _rows("ListTags", *TAGS, DescribeTrainingJob=resumed, CreateTrainingJob={}),
            lambda aws: {tag["Key"] for tag in _resumed_tags(aws)} >= {"other"},
            True,
        ),
        ("training/submission/watch.py", "DescribeLogStreams"): (
            _rows("DescribeLogStreams", {"logStreamName": "a"}, {"logStreamName": "b"}),
            lambda aws: JobLog(aws.client("logs"), "group", "job")._streams(),
            ["a", "b"],
        ),
        ("training/submission/estimate.py", "GetProducts"): (
            _rows("GetProducts", _price("0"), _price("1.5")),
            lambda aws: instance_price(aws.client("pricing"), "us-east-2", "ml.g5.2xlarge"),
            1.5,
        ),
        ("registry/automation/trace.py", "FilterLogEvents"): (
            _rows("FilterLogEvents", *lines),
            lambda aws: len(list(trace.log_lines(aws.client("logs"), ["group"], "label", NOW))),
            2,
        ),
        ("cli/automation_functions.py", "FilterLogEvents"): (
            _rows("FilterLogEvents", *lines),
            lambda aws: "last" in _last_error_line(aws.client("logs"), "group"),
            True,
        ),
        ("registry/deployment.py", "GetParametersByPath"): (
            parameters(),
            lambda aws: DeployedNames.read(aws.client("ssm")).group_name,
            "group-name",
        ),
        ("registry/tracking/tracking_uri.py", "GetParametersByPath"): (
            _rows("GetParametersByPath", *stored),
            lambda aws: [each.uri for each in tracking_uri._stores(aws.client("ssm"))],
            ["uri"],
        ),
        ("infra/deployed_names.py", "GetParametersByPath"): (
            _rows("GetParametersByPath", *stored),
            lambda aws: deployed_names(aws.client("ssm")),
            {"dev": {"mlflow_bucket": "bucket"}},
        ),
        ("cli/operations/checks/account.py", "GetParametersByPath"): (
            _rows("GetParametersByPath", *stored),
            lambda aws: account._environments(
                SimpleNamespace(client=aws.client, environment="prod")  # type: ignore[arg-type]
            ),
            ["dev"],
        ),
        ("cli/operations/checks/check.py", "ListStackResources"): (
            _rows("ListStackResources", *RESOURCES),
            lambda aws: len(
                check.CheckContext.automation.func(
                    SimpleNamespace(client=aws.client, stack=lambda part: part)
                )
            ),
            2,
        ),
        ("cli/operations/dlq.py", "ListStackResources"): (
            _rows("ListStackResources", *RESOURCES),
            lambda aws: [each.url for each in dlq.queues(session(aws))],
            [f"RegisterModel{next(iter(dlq._KINDS))}-1"],
        ),
        ("cli/operations/checks/automation.py", "ListTargetsByRule"): (
            _rows(
                "ListTargetsByRule",
                {"Arn": "arn:first"},
                {"Arn": "arn:second", "DeadLetterConfig": {"Arn": "arn:queue"}},
                DescribeRule={"State": "ENABLED"},
            ),
            _rule_findings,
            ["ok"],
        ),
        ("cli/operations/checks/permissions.py", "SimulatePrincipalPolicy"): (
            _rows(
                "SimulatePrincipalPolicy",
                {"EvalActionName": "s3:GetObject", "EvalDecision": "allowed"},
                {"EvalActionName": "s3:PutObject", "EvalDecision": "allowed"},
            ),
            lambda aws: permissions.simulate(aws.client("iam"), "arn:aws:iam::1:role/r", right),
            dict.fromkeys(right, True),
        ),
    }


class _CommonPrefixes(PagedAws):
    """A bucket with two folders; each folder has its marker."""

    def __init__(self, prefix: str) -> None:
        super().__init__({"ListObjectsV2": []})
        self._prefix = prefix

    def _page(self, operation: str) -> dict[str, Any]:
        asked = self.asked[operation][-1]
        if "Delimiter" not in asked:
            later = NOW + timedelta(days="two" in asked["Prefix"])
            row = {"Key": asked["Prefix"], "LastModified": later, "Size": 1, "ETag": '"e"'}
            return {"Contents": [row], "IsTruncated": False}
        page = int(str(asked.get("ContinuationToken", "0")))
        found = {1: ["one"], 3: ["two"]}.get(page, [])
        answer: dict[str, Any] = {
            "CommonPrefixes": [{"Prefix": f"{self._prefix}{name}/"} for name in found],
            "IsTruncated": page < 3,
        }
        return {**answer, "NextContinuationToken": str(page + 1)} if page < 3 else answer


def _common_prefixes(prefix: str) -> PagedAws:
    return _CommonPrefixes(prefix)


@pytest.mark.parametrize("place", cases(), ids="-".join)
def test_list_is_read_past_its_empty_pages(place: tuple[str, str]) -> None:
    aws, read, expected = cases()[place]
    assert read(aws) == expected


def test_every_list_that_the_product_reads_is_among_them() -> None:
    assert set(READ_OTHERWISE) <= set(_calls())
    listed = {place for place in _calls() if place[1] not in ONE_PAGE} - set(READ_OTHERWISE)
    tested = {(file, xform_name(operation)) for file, operation in cases()}
    assert {place: _calls()[place] for place in listed ^ tested if place in listed} == {}
    assert tested - listed == set()


@pytest.mark.parametrize(
    ("place", "bounds"),
    [
        (("registry/compilation/jobs.py", "ListProcessingJobs"), {"CreationTimeAfter"}),
        (("registry/automation/unregistered_jobs.py", "ListTrainingJobs"), {"CreationTimeAfter"}),
        (("registry/lineage/record.py", "ListAssociations"), {"DestinationArn"}),
        (("registry/lineage/ancestry.py", "ListArtifacts"), {"SourceUri"}),
    ],
)
def test_list_that_an_event_causes_is_bounded_and_says_its_order_and_page_size(
    place: tuple[str, str], bounds: set[str]
) -> None:
    """An account's whole history, ten rows a page, on each event: AWS throttles that."""
    aws, read, _ = cases()[place]
    read(aws)
    for asked in aws.asked[place[1]]:
        assert asked["MaxResults"] == 100
        assert set(asked) >= {"SortBy", "SortOrder", *bounds}


@cache
def _paged_operations() -> dict[str, set[str]]:
    """Python names of the calls whose answer can say that there is more, with their tokens."""
    found: dict[str, set[str]] = {}
    tokens = {"NextToken", "nextToken", "NextMarker", "IsTruncated", "nextForwardToken"}
    for service in SERVICES:
        model = botocore.session.get_session().get_service_model(service)
        for name in model.operation_names:
            output = model.operation_model(name).output_shape
            if output is not None and tokens & set(output.members):
                found[xform_name(name)] = tokens & set(output.members)
    return found


@cache
def _calls() -> dict[tuple[str, str], int]:
    """Each file's lists: the call's Python name, and a line."""
    return {
        (str(file.relative_to(ROOT)), name): line
        for package in PACKAGES
        for file in sorted((ROOT / package).rglob("*.py"))
        for name, line in _calls_in(ast.parse(file.read_text(encoding="utf-8")))
    }


def _calls_in(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        name = node.func.attr
        if name == "get_paginator" and isinstance(node.args[0], ast.Constant):
            yield str(node.args[0].value), node.lineno
        elif name in ("search", "query"):
            # Words of other libraries, too.
            if name == "search" and ast.unparse(node.func.value).endswith("sagemaker"):
                yield name, node.lineno
        elif name in _paged_operations():
            yield name, node.lineno
