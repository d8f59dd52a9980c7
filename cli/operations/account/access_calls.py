"""What IAM is asked for each call of the access table, and what its answers mean.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html weighs the
policies of a role and its boundary. It does not weigh a bucket's own policy for a role.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli.operations.account.access_table import ROWS, Row
from cli.operations.checks.check import CheckContext, CheckResult, failed, ok, unchecked
from cli.operations.checks.permissions import Right, context_entries, simulate
from registry.compilers import ONNX_STAGE

if TYPE_CHECKING:
    from mypy_boto3_iam.client import IAMClient

    from registry.deployment import DeployedNames

#: Calls whose denial is the bucket's own policy, which the simulator does not weigh for a role.
BY_BUCKET_POLICY = frozenset({"overwrite-name", "overwrite-manifest", "overwrite-key"})
_STATUS, _STAGE = "sagemaker:ModelApprovalStatus", "sagemaker:ModelLifeCycle:Stage"
_REMOVED = "sagemaker:CustomerMetadataPropertiesToRemove"
_METADATA = "sagemaker:CustomerMetadataProperties/"
Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Place:
    """Where the calls are made.

    Attributes:
        names: What is deployed.
        partition: ``aws``, or another one.
        functions: ARN of each function by its short name.
        queue: ARN of the queue of what ``CompileApproved`` failed on.
        rule: ARN of that function's rule.
    """

    names: DeployedNames
    partition: str
    region: str
    account: str
    functions: Mapping[str, str]
    queue: str
    rule: str

    def calls(self) -> dict[str, tuple[Right, ...]]:
        """The rights that each call needs, by its name in the access table."""
        names = self.names
        version = self._arn("sagemaker", f"model-package/{names.group_name}/1")
        job = self._arn("sagemaker", "processing-job/compile-probe-1")
        training = self._arn("sagemaker", "training-job/probe")

        def create(name: str, status: str) -> tuple[Right, ...]:
            given = ((_STATUS, status), (f"{_METADATA}ModelName", name))
            return (Right("sagemaker:CreateModelPackage", version, given),)

        def update(*given: tuple[str, str]) -> tuple[Right, ...]:
            return (Right("sagemaker:UpdateModelPackage", version, given),)

        def objects(action: str, bucket: str, key: str) -> tuple[Right, ...]:
            return (Right(f"s3:{action}", f"arn:{self.partition}:s3:::{bucket}/{key}"),)

        def passed(role: str) -> Right:
            to = (("iam:PassedToService", "sagemaker.amazonaws.com"),)
            return Right("iam:PassRole", role, to)

        cards, jobs, releases = names.training_bucket, names.training_bucket, names.release_bucket
        approving, stage = (_STATUS, "Approved"), (_STAGE, "Stable")
        function = self.functions["CompileApproved"]
        return {
            "register": create("teacher-probe-phase1-v1", "PendingManualApproval"),
            "register-approved-teacher": create("teacher-probe-phase1-v1", "Approved"),
            "register-approved-student": create("student-probe-stage2-v1", "Approved"),
            "register-compiled": create(f"student-probe-{ONNX_STAGE}-v1", "Approved"),
            "describe-version": (Right("sagemaker:DescribeModelPackage", version),),
            "list-versions": (
                Right(
                    "sagemaker:ListModelPackages",
                    self._arn("sagemaker", f"model-package-group/{names.group_name}"),
                ),
            ),
            "approve": update(approving),
            "reject": update((_STATUS, "Rejected")),
            "approve-with-a-note": update(approving, (f"{_METADATA}Note", "probe")),
            "note": update((f"{_METADATA}Note", "probe")),
            "replace-model": update(),
            "record-release": update((f"{_METADATA}Release", "probe")),
            "remove-release": update((_REMOVED, "Release")),
            "rewrite-metrics": update((f"{_METADATA}Top1", "1")),
            "rewrite-metrics-approving": update(approving, (f"{_METADATA}Top1", "1")),
            "rewrite-card-set-approving": update(approving, (f"{_METADATA}CardSetUri", "s3://x/")),
            "remove-metrics-approving": update(approving, (_REMOVED, "Top1")),
            "set-stage": update(stage),
            "set-stage-approving": update(approving, stage),
            "delete-version": (Right("sagemaker:DeleteModelPackage", version),),
            "start-compile-job": (
                Right("sagemaker:CreateProcessingJob", job),
                passed(names.compile_role_arn),
            ),
            "stop-compile-job": (Right("sagemaker:StopProcessingJob", job),),
            "start-training-job": (
                Right("sagemaker:CreateTrainingJob", training),
                passed(names.training_role_arn),
            ),
            "write-lineage": (
                Right("sagemaker:CreateArtifact", self._arn("sagemaker", "artifact/probe")),
            ),
            "read-cards": objects("GetObject", cards, "cards/probe/file"),
            "list-cards": (
                Right(
                    "s3:ListBucket",
                    f"arn:{self.partition}:s3:::{cards}",
                    (("s3:prefix", "cards/"),),
                ),
            ),
            "read-job": objects("GetObject", jobs, "jobs/probe/file"),
            "write-job": objects("PutObject", jobs, "jobs/probe/file"),
            "read-approved": objects("GetObject", jobs, "approved/probe/file"),
            "write-approved": objects("PutObject", jobs, "approved/probe/file"),
            "write-compilation": objects("PutObject", jobs, "compilations/probe/file"),
            "read-report-page": objects("GetObject", jobs, "report-pages/probe.html"),
            "write-reconciler": objects("PutObject", jobs, "reconciler/probe.json"),
            "read-release": objects("GetObject", releases, "releases/probe/file"),
            "read-channel": objects("GetObject", releases, "channels/stable.json"),
            "write-release": objects("PutObject", releases, "releases/probe/model.onnx"),
            "write-manifest": objects("PutObject", releases, "releases/probe/manifest.json"),
            "withdraw-release": objects("DeleteObject", releases, "releases/probe/manifest.json"),
            "delete-release-file": objects("DeleteObject", releases, "releases/probe/file"),
            "write-channel": objects("PutObject", releases, "channels/stable.json"),
            "delete-channel": objects("DeleteObject", releases, "channels/stable.json"),
            "hold-stable": objects("PutObject", releases, "channels/stable.hold.json"),
            "end-hold-of-stable": objects("DeleteObject", releases, "channels/stable.hold.json"),
            "sign": (Right("kms:Sign", names.signing_key_arn),),
            "publish-notice": (Right("sns:Publish", names.notice_topic_arn),),
            **{
                f"call-{name}": (Right("lambda:InvokeFunction", arn),)
                for name, arn in self.functions.items()
            },
            "describe-function": (Right("lambda:GetFunctionConfiguration", function),),
            "change-function": (Right("lambda:UpdateFunctionConfiguration", function),),
            "describe-queue": (Right("sqs:GetQueueAttributes", self.queue),),
            "take-from-queue": (Right("sqs:ReceiveMessage", self.queue),),
            "disable-rule": (Right("events:DisableRule", self.rule),),
            "write-parameter": (
                Right(
                    "ssm:PutParameter",
                    self._arn("ssm", f"parameter/cards/{names.environment}/group-name"),
                ),
            ),
            "simulate-rights": (Right("iam:SimulatePrincipalPolicy", names.training_role_arn),),
            "sign-in-to-ecr": (Right("ecr:GetAuthorizationToken", "*"),),
            "push-image": (
                Right(
                    "ecr:InitiateLayerUpload",
                    self._arn("ecr", f"repository/{names.compiler_repository.partition('/')[2]}"),
                ),
            ),
        }

    def _arn(self, service: str, resource: str) -> str:
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"


def access(context: CheckContext) -> Iterator[CheckResult]:
    """Every row of the access table, in both directions, as IAM answers for what is deployed."""
    place = place_of(context)
    calls = place.calls()
    for row in ROWS:
        if row.label.startswith("ImageBuilder") and place.names.compiler_repository == "none":
            continue  # There is no repository that could be pushed to.
        allowed = _allowed(context, row, calls)
        yield from judge_row(row, allowed, _not_simulated(place.names), context.restore)
    yield unchecked(
        f"{', '.join(sorted(BY_BUCKET_POLICY))}: a bucket's own policy denies these, which IAM's "
        "simulator does not weigh for a role",
        "tests/e2e/test_deployed_roles.py makes the calls on the local cloud",
    )


def judge_row(
    row: Row, allowed: Mapping[str, bool], skipped: frozenset[str], restore: str
) -> Iterator[CheckResult]:
    """Compares IAM's answers for one role or policy with the table.

    Args:
        row: Of the access table.
        allowed: IAM's answer by call.
        skipped: Calls that IAM was not asked about.
        restore: The command that puts the deployment right.
    """
    must = {call for calls in row.may.values() for call in calls} - skipped
    must_not = {call for calls in row.may_not.values() for call in calls} - skipped
    lacking = sorted(call for call in must if not allowed[call])
    beyond = sorted(call for call in must_not if allowed[call])
    label = row.label.replace("`", "")
    if lacking:
        yield failed(f"{label} may not: {', '.join(lacking)}", restore)
    if beyond:
        yield failed(
            f"{label} may, and must not: {', '.join(beyond)}",
            f"detach what was added to it by hand, then {restore}",
        )
    if not lacking and not beyond:
        yield ok(f"{label}: {len(must)} calls allowed, {len(must_not)} denied")


def place_of(context: CheckContext) -> Place:
    """Where the calls are made, from what is deployed."""
    names = context.names
    _, partition, _, _, account, *_ = names.training_role_arn.split(":")
    queues = context.automation_parts("AWS::SQS::Queue")
    rules = context.automation_parts("AWS::Events::Rule")
    queue = next(url for part, url in queues.items() if part.startswith("CompileApprovedFailed"))
    rule = next(name for part, name in rules.items() if part.startswith("CompileApprovedRule"))
    start = f"arn:{partition}:%s:{context.aws.region}:{account}:"
    return Place(
        names,
        partition,
        context.aws.region,
        account,
        {name: str(found["FunctionArn"]) for name, found in context.functions.items()},
        start % "sqs" + queue.rpartition("/")[2],
        start % "events" + f"rule/{rule.rpartition('|')[2]}",
    )


def _not_simulated(names: DeployedNames) -> frozenset[str]:
    """Calls of which a row's words say that they depend on something else than IAM's answer."""
    # With keep_releases the publishing function retires releases, and deletes their files.
    retires = {"delete-release-file"} if names.keep_releases != "all" else set[str]()
    return BY_BUCKET_POLICY | retires


def _allowed(
    context: CheckContext, row: Row, calls: Mapping[str, tuple[Right, ...]]
) -> dict[str, bool]:
    asked = {
        call
        for entries in (row.may, row.may_not)
        for named in entries.values()
        for call in named
        if call not in BY_BUCKET_POLICY
    }
    rights = [right for call in asked for right in calls[call]]
    iam = context.client("iam")
    role = _role(context, row.role)
    found = (
        simulate(iam, role, rights)
        if role
        else simulate_policy(iam, _document(context, row.role), rights)
    )
    return {call: all(found[right] for right in calls[call]) for call in asked}


def _role(context: CheckContext, name: str) -> str | None:
    """ARN of the deployed role; None for a policy that people are given."""
    if name == "TrainingRole":
        return context.names.training_role_arn
    if name == "CompileRole":
        return context.names.compile_role_arn
    found = context.functions.get(name)
    return str(found["Role"]) if found else None


def _document(context: CheckContext, policy: str) -> str:
    """A deployed policy's JSON, for example ``Approver``."""
    import json

    answer = context.client("cloudformation").describe_stacks(StackName=context.stack("access"))
    outputs = {row["OutputKey"]: row["OutputValue"] for row in answer["Stacks"][0]["Outputs"]}
    arn, iam = outputs[f"{policy}PolicyArn"], context.client("iam")
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    found = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    return found if isinstance(found, str) else json.dumps(found)


def simulate_policy(iam: IAMClient, document: str, rights: Iterable[Right]) -> dict[Right, bool]:
    """Asks whether whoever has a policy, and nothing else, may do each of several things.

    Args:
        iam: A boto3 IAM client.
        document: The policy's JSON.
        rights: Asked one by one.
    """
    allowed = {}
    for right in dict.fromkeys(rights):
        pages = iam.get_paginator("simulate_custom_policy").paginate(
            PolicyInputList=[document],
            ActionNames=[right.action],
            ResourceArns=[right.resource],
            ContextEntries=context_entries(right.context),
        )
        decisions = [row["EvalDecision"] for page in pages for row in page["EvaluationResults"]]
        allowed[right] = decisions == ["allowed"]
    return allowed
