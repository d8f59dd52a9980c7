"""Least privilege, read from the templates: what each role may do, and what its neighbour may."""

# Over 400 lines: it is one list of rules about the same templates.

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

import pytest

from tests.infra.assembly import ACCOUNT, REGION, Assembly, as_list

TRAINING = f"arn:aws:s3:::pokemon-card-training-{ACCOUNT}-{REGION}"
MLFLOW = f"arn:aws:s3:::pokemon-card-mlflow-{ACCOUNT}-{REGION}"
RELEASES = f"arn:aws:s3:::pokemon-card-releases-{ACCOUNT}-{REGION}"
SAGEMAKER = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}"
GROUP = f"{SAGEMAKER}:model-package-group/pokemon-card-recognition-models"
PACKAGE = f"{SAGEMAKER}:model-package/pokemon-card-recognition-models/3"
COMPILE_JOB = f"{SAGEMAKER}:processing-job/compile-student-efficientnet-lite0-stage2-v1-5d41402a-1"
DLC = f"arn:aws:ecr:{REGION}:763104351884:repository/pytorch-training"

TRAINER, COMPILER = "TrainingRole", "CompileRole"
REGISTER, COMPILE, PUBLISH = "RegisterModel/Role", "CompileApproved/Role", "PublishRelease/Role"
RECONCILE = "Reconcile/Role"
ROLES = (TRAINER, COMPILER, REGISTER, COMPILE, PUBLISH, RECONCILE)

#: Actions that AWS authorises on `*` only, by its service authorisation reference.
WITHOUT_RESOURCE_LEVEL = {
    "cloudwatch:PutMetricData",
    "ecr:GetAuthorizationToken",
    "sagemaker:ListArtifacts",
    "sagemaker:ListAssociations",
    "sagemaker:ListModelPackageGroups",
    "sagemaker:Search",
    "sagemaker:ListProcessingJobs",
    "sagemaker:ListTrainingJobs",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}


def allows(statements: list[dict[str, Any]], action: str, resource: str) -> bool:
    """Whether a statement names action and resource; conditions have tests of their own."""
    return any(
        action in as_list(statement["Action"])
        and any(fnmatchcase(resource, pattern) for pattern in as_list(statement["Resource"]))
        for statement in statements
        if statement["Effect"] == "Allow"
    )


def test_mistake_16_no_policy_allows_a_wildcard_action(deployment: Assembly) -> None:
    seen = 0
    for path, statement in deployment.statements():
        assert "NotAction" not in statement and "NotResource" not in statement, path
        for action in as_list(statement["Action"]):
            seen += 1
            assert "*" not in action and "?" not in action, f"{path}: {action}"
    assert seen > 50


def test_resource_policies_allow_no_wildcard_action_either(deployment: Assembly) -> None:
    """The TLS-only denials of buckets and queues are meant to hold for every action."""
    kinds = {"AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy"}
    documents = [
        each.properties["PolicyDocument"] for each in deployment.resources if each.type in kinds
    ]
    documents += [key.properties["KeyPolicy"] for key in deployment.of_type("AWS::KMS::Key")]
    assert len(documents) == 3 + 8 + 3
    for document in documents:
        for statement in document["Statement"]:
            if statement["Effect"] == "Allow":
                assert not any("*" in action for action in as_list(statement["Action"]))


def test_everything_is_a_named_resource_but_what_aws_has_no_resource_level_for(
    deployment: Assembly,
) -> None:
    on_everything = {
        action
        for _, statement in deployment.statements()
        if "*" in as_list(statement["Resource"])
        for action in as_list(statement["Action"])
    }
    assert on_everything == WITHOUT_RESOURCE_LEVEL


def test_wildcard_stands_at_the_end_of_a_resource_only(deployment: Assembly) -> None:
    for path, statement in deployment.statements():
        for resource in as_list(statement["Resource"]):
            if resource in (
                f"{RELEASES}/releases/*/manifest.json",
                f"{RELEASES}/releases/*/retired.json",
            ):
                continue  # Withdrawing a release, and deleting the mark that it was retired.
            assert "*" not in resource.rstrip("*"), f"{path}: {resource}"
            assert resource == "*" or resource.count(":") >= 5, f"{path}: {resource}"


NEEDED = [
    (TRAINER, "s3:GetObject", f"{TRAINING}/cards/0a1b/base1-1/front.png"),
    (TRAINER, "s3:GetObject", f"{TRAINING}/jobs/teacher-1/output/model.tar.gz"),
    (TRAINER, "s3:GetObject", f"{TRAINING}/source/student-1/sourcedir.tar.gz"),
    (TRAINER, "s3:PutObject", f"{TRAINING}/jobs/student-1/output/model.tar.gz"),
    (TRAINER, "s3:ListBucket", TRAINING),
    (TRAINER, "s3:PutObject", f"{MLFLOW}/mlflow/1/run/artifacts/config.json"),
    (TRAINER, "sagemaker:CallMlflowAppApi", f"{SAGEMAKER}:mlflow-app/MlflowApp434C8BD0"),
    (TRAINER, "sagemaker-mlflow:LogBatch", f"{SAGEMAKER}:mlflow-app/MlflowApp434C8BD0"),
    (TRAINER, "ecr:BatchGetImage", DLC),
    (COMPILER, "s3:GetObject", f"{TRAINING}/cards/0a1b/base1-1/front.png"),
    (COMPILER, "s3:GetObject", f"{TRAINING}/approved/student-x-stage2-v1/0a1b/model.tar.gz"),
    (COMPILER, "s3:PutObject", f"{TRAINING}/compilations/compile-1/model.int8.onnx"),
    (COMPILER, "ecr:BatchGetImage", DLC),
    (REGISTER, "sagemaker:DescribeTrainingJob", f"{SAGEMAKER}:training-job/student-1"),
    (REGISTER, "sagemaker:ListModelPackages", GROUP),
    (REGISTER, "sagemaker:CreateModelPackage", GROUP),
    (REGISTER, "sagemaker:CreateModelPackage", PACKAGE),
    (REGISTER, "sagemaker:DescribeModelPackage", PACKAGE),
    (REGISTER, "s3:GetObject", f"{TRAINING}/jobs/student-1/output/output.tar.gz"),
    (REGISTER, "s3:PutObject", f"{TRAINING}/names/student-efficientnet-lite0-stage2/v1.json"),
    (REGISTER, "s3:GetObject", f"{TRAINING}/names/student-efficientnet-lite0-stage2/v1.json"),
    (COMPILE, "sagemaker:DescribeModelPackage", PACKAGE),
    (COMPILE, "sagemaker:ListModelPackages", GROUP),
    (COMPILE, "sagemaker:CreateProcessingJob", COMPILE_JOB),
    (COMPILE, "sagemaker:DescribeProcessingJob", COMPILE_JOB),
    (COMPILE, "sagemaker:StopProcessingJob", COMPILE_JOB),
    (COMPILE, "s3:GetObject", f"{TRAINING}/compilations/compile-1/fidelity.json"),
    (COMPILE, "s3:GetObjectVersion", f"{TRAINING}/jobs/student-1/output/model.tar.gz"),
    (COMPILE, "s3:PutObject", f"{TRAINING}/approved/student-x-stage2-v1/0a1b/model.tar.gz"),
    (COMPILE, "s3:GetObject", f"{RELEASES}/channels/stable.json"),
    (COMPILE, "s3:GetObject", f"{RELEASES}/releases/x/manifest.json"),
    (COMPILE, "sagemaker:DescribeTrainingJob", f"{SAGEMAKER}:training-job/student-1"),
    (COMPILE, "sagemaker:CreateArtifact", f"{SAGEMAKER}:artifact/0a1b"),
    (COMPILE, "sagemaker:CreateAction", f"{SAGEMAKER}:action/cards-approval-x-0a1b"),
    (COMPILE, "sagemaker:UpdateAction", f"{SAGEMAKER}:action/cards-training-x-0a1b"),
    (COMPILE, "sagemaker:AddAssociation", f"{SAGEMAKER}:artifact/0a1b"),
    (COMPILE, "sagemaker:AddAssociation", f"{SAGEMAKER}:action/cards-approval-x-0a1b"),
    (PUBLISH, "sagemaker:CreateModelPackage", GROUP),
    (PUBLISH, "sagemaker:UpdateModelPackage", PACKAGE),
    (PUBLISH, "sagemaker:DescribeProcessingJob", COMPILE_JOB),
    (PUBLISH, "s3:GetObject", f"{TRAINING}/compilations/compile-1/model.int8.onnx"),
    (PUBLISH, "s3:GetObject", f"{TRAINING}/approved/student-x-stage2-v1/compile-1/0a1b.json"),
    (PUBLISH, "s3:GetObjectVersion", f"{TRAINING}/jobs/student-1/output/model.tar.gz"),
    (PUBLISH, "s3:PutObject", f"{TRAINING}/names/student-efficientnet-lite0-int8/v1.json"),
    (PUBLISH, "s3:PutObject", f"{RELEASES}/releases/x/manifest.json"),
    (PUBLISH, "s3:PutObject", f"{RELEASES}/channels/stable.json"),
    (PUBLISH, "s3:PutObject", f"{RELEASES}/keys/1.pem"),
    (PUBLISH, "s3:DeleteObject", f"{RELEASES}/releases/x/manifest.json"),
    (PUBLISH, "s3:DeleteObject", f"{RELEASES}/releases/x/retired.json"),
    (PUBLISH, "sns:Publish", f"arn:aws:sns:{REGION}:{ACCOUNT}:NoticesCD1BD20F"),
    (REGISTER, "sns:Publish", f"arn:aws:sns:{REGION}:{ACCOUNT}:NoticesCD1BD20F"),
    (RECONCILE, "sagemaker:ListModelPackages", GROUP),
    (RECONCILE, "sagemaker:DescribeModelPackage", PACKAGE),
    (RECONCILE, "sagemaker:DescribeTrainingJob", f"{SAGEMAKER}:training-job/student-1"),
    (RECONCILE, "s3:GetObject", f"{RELEASES}/releases/x/manifest.json"),
    (RECONCILE, "s3:GetObject", f"{TRAINING}/names/student-efficientnet-lite0-int8/v1.json"),
    (RECONCILE, "s3:GetObject", f"{TRAINING}/compilations/compile-1/fidelity.json"),
    (RECONCILE, "s3:GetObjectVersion", f"{TRAINING}/jobs/student-1/output/model.tar.gz"),
    (RECONCILE, "s3:GetObject", f"{TRAINING}/approved/student-x-stage2-v1/compile-1/0a1b.json"),
    (RECONCILE, "s3:PutObject", f"{TRAINING}/reconciler/state.json"),
]

FORBIDDEN = [
    # Separation of duties: who trains neither registers, nor approves, nor releases.
    (TRAINER, "sagemaker:CreateModelPackage", GROUP),
    (TRAINER, "sagemaker:UpdateModelPackage", PACKAGE),
    (TRAINER, "s3:PutObject", f"{RELEASES}/releases/x/manifest.json"),
    (TRAINER, "s3:PutObject", f"{TRAINING}/cards/0a1b/base1-1/front.png"),
    (TRAINER, "s3:PutObject", f"{TRAINING}/names/teacher-x-phase2/v1.json"),
    (TRAINER, "s3:PutObject", f"{TRAINING}/compilations/compile-1/fidelity.json"),
    (TRAINER, "sagemaker-mlflow:DeleteRun", f"{SAGEMAKER}:mlflow-app/MlflowApp434C8BD0"),
    (COMPILER, "s3:PutObject", f"{RELEASES}/releases/x/manifest.json"),
    (COMPILER, "s3:PutObject", f"{TRAINING}/jobs/student-1/output/model.tar.gz"),
    # What was approved and which jobs were started is written by the one function that starts them.
    *(
        (role, "s3:PutObject", f"{TRAINING}/approved/student-x-stage2-v1/0a1b/model.tar.gz")
        for role in (TRAINER, COMPILER, REGISTER, PUBLISH, RECONCILE)
    ),
    (TRAINER, "s3:DeleteObjectVersion", f"{TRAINING}/jobs/student-1/output/model.tar.gz"),
    (TRAINER, "s3:GetObject", f"{TRAINING}/approved/student-x-stage2-v1/0a1b/model.tar.gz"),
    # A compile job reads the copy that was pinned, never what training jobs may write.
    (COMPILER, "s3:GetObject", f"{TRAINING}/jobs/student-1/output/model.tar.gz"),
    (COMPILER, "s3:GetObject", f"{TRAINING}/source/student-1/sourcedir.tar.gz"),
    (COMPILER, "sagemaker:UpdateModelPackage", PACKAGE),
    (REGISTER, "sagemaker:UpdateModelPackage", PACKAGE),
    (REGISTER, "sagemaker:CreateModelPackage", f"{SAGEMAKER}:model-package-group/abalone"),
    (REGISTER, "s3:PutObject", f"{TRAINING}/jobs/student-1/output/model.tar.gz"),
    (COMPILE, "sagemaker:CreateModelPackage", GROUP),
    (COMPILE, "sagemaker:UpdateModelPackage", PACKAGE),
    (COMPILE, "sagemaker:CreateProcessingJob", f"{SAGEMAKER}:processing-job/abalone"),
    (COMPILE, "s3:PutObject", f"{RELEASES}/channels/stable.json"),
    # Lineage is added to, never taken from, and by one function alone.
    (COMPILE, "sagemaker:CreateAction", f"{SAGEMAKER}:action/approval-of-others"),
    (COMPILE, "sagemaker:DeleteArtifact", f"{SAGEMAKER}:artifact/0a1b"),
    (COMPILE, "sagemaker:DeleteAssociation", f"{SAGEMAKER}:artifact/0a1b"),
    (PUBLISH, "sagemaker:CreateArtifact", f"{SAGEMAKER}:artifact/0a1b"),
    (REGISTER, "sagemaker:CreateArtifact", f"{SAGEMAKER}:artifact/0a1b"),
    (TRAINER, "sagemaker:CreateArtifact", f"{SAGEMAKER}:artifact/0a1b"),
    (PUBLISH, "sagemaker:CreateProcessingJob", COMPILE_JOB),
    (PUBLISH, "s3:PutObject", f"{TRAINING}/compilations/compile-1/fidelity.json"),
    # A release is withdrawn by its manifest; what devices have been given stays to be looked at.
    (PUBLISH, "s3:DeleteObject", f"{RELEASES}/releases/x/model.onnx"),
    (PUBLISH, "s3:DeleteObject", f"{RELEASES}/channels/stable.json"),
    # The reconciler finds, and other functions repair.
    (RECONCILE, "sagemaker:UpdateModelPackage", PACKAGE),
    (RECONCILE, "sagemaker:CreateProcessingJob", COMPILE_JOB),
    (RECONCILE, "s3:PutObject", f"{RELEASES}/channels/stable.json"),
    (RECONCILE, "s3:PutObject", f"{TRAINING}/names/student-efficientnet-lite0-int8/v1.json"),
]


@pytest.mark.parametrize(("role", "action", "resource"), NEEDED)
def test_role_may_do_its_work(deployment: Assembly, role: str, action: str, resource: str) -> None:
    assert allows(deployment.grants(role), action, resource)


@pytest.mark.parametrize(("role", "action", "resource"), FORBIDDEN)
def test_role_has_no_permission_of_another_role(
    deployment: Assembly, role: str, action: str, resource: str
) -> None:
    assert not allows(deployment.grants(role), action, resource)


def test_only_the_publisher_signs_and_only_the_compiler_starts_jobs(deployment: Assembly) -> None:
    actions = {
        role: {a for s in deployment.grants(role) for a in as_list(s["Action"])} for role in ROLES
    }
    assert [role for role in ROLES if "kms:Sign" in actions[role]] == [PUBLISH]
    assert [role for role in ROLES if "iam:PassRole" in actions[role]] == [COMPILE]
    calling = [role for role in ROLES if "lambda:InvokeFunction" in actions[role]]
    assert calling == [COMPILE, RECONCILE]


def statement_with(deployment: Assembly, role: str, action: str) -> dict[str, Any]:
    found = [s for s in deployment.grants(role) if action in as_list(s["Action"])]
    assert len(found) == 1
    return found[0]


def test_passing_the_compile_role_is_for_sagemaker_and_that_role_alone(
    deployment: Assembly,
) -> None:
    statement = statement_with(deployment, COMPILE, "iam:PassRole")
    assert statement["Condition"] == {
        "StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}
    }
    (role,) = as_list(statement["Resource"])
    assert role.startswith(f"arn:aws:iam::{ACCOUNT}:role/CompileRole")


@pytest.mark.parametrize("role", ROLES)
def test_listing_a_bucket_is_bound_to_prefixes(deployment: Assembly, role: str) -> None:
    for statement in deployment.grants(role):
        if "s3:ListBucket" in as_list(statement["Action"]):
            if MLFLOW in as_list(statement["Resource"]):
                continue  # MLflow lists its bucket from the root; it holds nothing else.
            prefixes = statement["Condition"]["StringLike"]["s3:prefix"]
            assert prefixes and "*" not in prefixes


def test_metrics_go_to_sagemakers_own_namespaces(deployment: Assembly) -> None:
    for role, kind in ((TRAINER, "TrainingJobs"), (COMPILER, "ProcessingJobs")):
        statement = statement_with(deployment, role, "cloudwatch:PutMetricData")
        assert statement["Condition"] == {
            "StringEquals": {"cloudwatch:namespace": f"/aws/sagemaker/{kind}"}
        }


def test_service_takes_a_role_on_for_this_account_only(deployment: Assembly) -> None:
    """The confused deputy: a stranger's job or function must not run under our role."""
    trusts = [
        statement
        for role in deployment.of_type("AWS::IAM::Role")
        for statement in role.properties["AssumeRolePolicyDocument"]["Statement"]
    ]
    services = [trust["Principal"]["Service"] for trust in trusts]
    # Training, compilation, MLflow; four functions.
    assert sorted(services) == ["lambda.amazonaws.com"] * 4 + ["sagemaker.amazonaws.com"] * 3
    for trust in trusts:
        assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}


def test_every_other_grant_to_a_service_names_its_source(deployment: Assembly) -> None:
    """Queues, the topic and functions: for this account's rules and alarms alone."""
    documents = [
        each.properties["PolicyDocument"]
        for each in deployment.resources
        if each.type in ("AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy", "AWS::S3::BucketPolicy")
    ]
    documents += [key.properties["KeyPolicy"] for key in deployment.of_type("AWS::KMS::Key")]
    to_services = [
        statement
        for document in documents
        for statement in document["Statement"]
        if statement["Effect"] == "Allow" and "Service" in statement.get("Principal", {})
    ]
    assert len(to_services) >= 5
    for statement in to_services:
        conditions = {key for test in statement["Condition"].values() for key in test}
        assert conditions & {"aws:SourceArn", "aws:SourceAccount"}, statement
    permissions = deployment.of_type("AWS::Lambda::Permission")
    assert len(permissions) == 5
    for permission in permissions:
        assert permission.properties["SourceArn"], "any rule of any account"


def test_compile_role_reads_exactly_the_archive_that_jobs_are_given(
    deployment: Assembly,
) -> None:
    (compile_,) = [
        each
        for each in deployment.of_type("AWS::Lambda::Function")
        if each.properties["Handler"] == "lambdas.compile_approved.handler"
    ]
    uri = compile_.properties["Environment"]["Variables"]["CODE_URI"]
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    assert allows(deployment.grants(COMPILER), "s3:GetObject", f"arn:aws:s3:::{bucket}/{key}")
    assert not allows(
        deployment.grants(COMPILER), "s3:GetObject", f"arn:aws:s3:::{bucket}/other.zip"
    )


def test_approver_approves_in_this_group_and_does_nothing_else(deployment: Assembly) -> None:
    statements = policy_of(deployment, "Approver")
    assert allows(statements, "sagemaker:UpdateModelPackage", PACKAGE)
    other = f"{SAGEMAKER}:model-package/abalone/1"
    assert not allows(statements, "sagemaker:UpdateModelPackage", other)
    assert allows(statements, "s3:GetObject", f"{TRAINING}/report-pages/student-a-stage2-v1.html")
    assert not allows(statements, "s3:GetObject", f"{TRAINING}/jobs/a/output/model.tar.gz")
    assert {a for s in statements for a in as_list(s["Action"])} == {
        "s3:GetObject",
        "sagemaker:BatchDescribeModelPackage",
        "sagemaker:DescribeModelPackage",
        "sagemaker:DescribeModelPackageGroup",
        "sagemaker:ListModelPackageGroups",
        "sagemaker:ListModelPackages",
        "sagemaker:ListTags",
        "sagemaker:Search",
        "sagemaker:UpdateModelPackage",
        "ssm:GetParametersByPath",
    }


def test_operator_looks_at_everything_and_changes_nothing(deployment: Assembly) -> None:
    statements = policy_of(deployment, "Operator")
    reading = ("Describe", "Get", "List", "Simulate")
    actions = {a for s in statements for a in as_list(s["Action"])} - {"sagemaker:CallMlflowAppApi"}
    assert not {a for a in actions if not a.partition(":")[2].startswith(reading)}
    assert allows(statements, "s3:GetObject", f"{RELEASES}/channels/stable.json")
    assert not allows(statements, "s3:GetObject", f"{TRAINING}/cards/0a1b/base1-1/front.png")
    stack = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack"
    assert allows(statements, "cloudformation:DescribeStacks", f"{stack}/cards-dev-access/1")
    assert not allows(statements, "cloudformation:DescribeStacks", f"{stack}/abalone/1")


def test_releaser_holds_channels_and_invokes_functions(deployment: Assembly) -> None:
    statements = policy_of(deployment, "Releaser")
    assert allows(statements, "s3:PutObject", f"{RELEASES}/channels/stable.hold.json")
    assert allows(statements, "s3:DeleteObject", f"{RELEASES}/channels/stable.hold.json")
    function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:cards-dev-automation-PublishRelease1"
    assert allows(statements, "lambda:InvokeFunction", function)
    queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:cards-dev-automation-PublishReleaseFailed1"
    assert allows(statements, "sqs:DeleteMessage", queue)
    for action, resource in (
        ("s3:PutObject", f"{RELEASES}/channels/stable.json"),
        ("s3:PutObject", f"{RELEASES}/releases/x/manifest.json"),
        ("s3:DeleteObject", f"{RELEASES}/releases/x/manifest.json"),
        ("sagemaker:UpdateModelPackage", PACKAGE),
        ("kms:Sign", "key"),
        ("lambda:InvokeFunction", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:other"),
    ):
        assert not allows(statements, action, resource), action


def test_publisher_deletes_releases_only_where_retention_was_asked_for(
    synthesise: Any,
) -> None:
    keeping = synthesise(keep_releases="20").grants(PUBLISH)
    assert allows(keeping, "s3:DeleteObject", f"{RELEASES}/releases/x/model.onnx")
    for other in (f"{RELEASES}/channels/stable.json", f"{RELEASES}/keys/1.pem"):
        assert not allows(keeping, "s3:DeleteObject", other)


def test_image_builder_pushes_to_the_compiler_s_repository_alone(deployment: Assembly) -> None:
    statements = policy_of(deployment, "ImageBuilder")
    repository = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository"
    assert allows(statements, "ecr:PutImage", f"{repository}/CompilerRepositoryF30F4ED2")
    assert not allows(statements, "ecr:PutImage", f"{repository}/other")


def test_no_role_exceeds_the_boundary_that_a_company_sets(synthesise: Any) -> None:
    boundary = f"arn:aws:iam::{ACCOUNT}:policy/developers"
    bounded = synthesise(permissions_boundary=boundary)
    roles = bounded.of_type("AWS::IAM::Role")
    assert len(roles) >= 7
    assert {role.properties["PermissionsBoundary"] for role in roles} == {boundary}


def policy_of(deployment: Assembly, name: str) -> list[dict[str, Any]]:
    """The statements of one of the policies for people."""
    (policy,) = [
        each
        for each in deployment.of_type("AWS::IAM::ManagedPolicy")
        if each.logical_id.startswith(name)
    ]
    return list(policy.properties["PolicyDocument"]["Statement"])
