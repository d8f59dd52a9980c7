"""Who may do what, asked of IAM's simulator: the caller, and every role in both directions.

The simulator weighs identity policies, boundaries and the organisation's limits; it changes
nothing. https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cli.operations.checks.check import (
    Check,
    CheckContext,
    CheckResult,
    failed,
    ok,
    unchecked,
    warning,
)
from registry.compilers import ONNX_STAGE

if TYPE_CHECKING:
    from mypy_boto3_iam.client import IAMClient
    from mypy_boto3_iam.type_defs import ContextEntryTypeDef

    from registry.deployment import DeployedNames

_APPROVING = (("sagemaker:ModelApprovalStatus", "Approved"),)
_PENDING = (("sagemaker:ModelApprovalStatus", "PendingManualApproval"),)
_NAME = "sagemaker:CustomerMetadataProperties/ModelName"
#: Condition keys that have several values.
_LISTS = frozenset({"sagemaker:CustomerMetadataPropertiesToRemove"})
_TO_SAGEMAKER = (("iam:PassedToService", "sagemaker.amazonaws.com"),)


@dataclass(frozen=True)
class Right:
    """One action on one resource.

    Attributes:
        context: Condition keys of the request with their values.
    """

    action: str
    resource: str
    context: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return self.action + (" to approve" if _APPROVING[0] in self.context else "")


@dataclass(frozen=True)
class Duties:
    """What a role must be able to do for its work, and what it must not be able to do."""

    must: tuple[Right, ...]
    must_not: tuple[Right, ...]


@dataclass(frozen=True)
class Rights:
    """The actions on this deployment's resources that duties are made of."""

    names: DeployedNames
    partition: str
    region: str
    account: str

    def _sagemaker(self, resource: str) -> str:
        return f"arn:{self.partition}:sagemaker:{self.region}:{self.account}:{resource}"

    def _object(self, bucket: str, key: str) -> str:
        return f"arn:{self.partition}:s3:::{bucket}/{key}"

    @property
    def version(self) -> str:
        """The ARN of any version of the group."""
        return self._sagemaker(f"model-package/{self.names.group_name}/1")

    @property
    def look(self) -> tuple[Right, ...]:
        group = self._sagemaker(f"model-package-group/{self.names.group_name}")
        return (
            Right("sagemaker:ListModelPackages", group),
            Right("sagemaker:DescribeModelPackage", self.version),
        )

    @property
    def register(self) -> tuple[Right, ...]:
        """Create a version that a person decides on."""
        return (Right("sagemaker:CreateModelPackage", self.version, _PENDING),)

    @property
    def register_approved(self) -> tuple[Right, ...]:
        """Create a student that is approved already."""
        context = (*_APPROVING, (_NAME, "student-x-stage2-v1"))
        return (Right("sagemaker:CreateModelPackage", self.version, context),)

    @property
    def register_compiled(self) -> tuple[Right, ...]:
        """Create the version of a compiled model."""
        context = (*_APPROVING, (_NAME, f"student-x-{ONNX_STAGE}-v1"))
        return (Right("sagemaker:CreateModelPackage", self.version, context),)

    @property
    def approve(self) -> tuple[Right, ...]:
        return (Right("sagemaker:UpdateModelPackage", self.version, _APPROVING),)

    @property
    def train(self) -> tuple[Right, ...]:
        bucket = self.names.training_bucket
        return (
            Right("sagemaker:CreateTrainingJob", self._sagemaker("training-job/teacher-1")),
            Right("iam:PassRole", self.names.training_role_arn, _TO_SAGEMAKER),
            Right("s3:PutObject", self._object(bucket, "source/teacher-1/sourcedir.tar.gz")),
        )

    @property
    def release(self) -> tuple[Right, ...]:
        key = "releases/x/manifest.json"
        return (Right("s3:PutObject", self._object(self.names.release_bucket, key)),)

    def person(self) -> dict[str, tuple[Right, ...]]:
        """What a person does, by the words for it."""
        manifest = self._object(self.names.release_bucket, "releases/x/manifest.json")
        return {
            "look at models": self.look,
            "approve": self.approve,
            "register by script": self.register,
            "train": self.train,
            "pull releases": (Right("s3:GetObject", manifest),),
        }

    def roles(self) -> dict[str, Duties]:
        """Duties by role: the jobs' two, and the functions' four."""
        training, release = self.names.training_bucket, self.names.release_bucket
        compile_job = self._sagemaker("processing-job/compile-x-1")
        update = Right("sagemaker:UpdateModelPackage", self.version)
        output = self._object(training, "jobs/x/output/model.tar.gz")
        approved = self._object(training, "approved/x/model.tar.gz")
        compiled = self._object(training, "compilations/x/model.onnx")
        model = self._object(release, "releases/x/model.onnx")
        nothing_decided = (
            *(*self.register, *self.register_approved, *self.register_compiled),
            *(update, *self.approve, *self.release),
        )
        return {
            "training": Duties(
                must=(
                    Right("s3:GetObject", self._object(training, "cards/x/a/a.png")),
                    Right("s3:PutObject", output),
                ),
                must_not=nothing_decided,
            ),
            "compile": Duties(
                must=(Right("s3:GetObject", approved), Right("s3:PutObject", compiled)),
                must_not=nothing_decided,
            ),
            "RegisterModel": Duties(
                must=(*self.register, *self.look, Right("s3:GetObject", output)),
                must_not=(*self.register_approved, update, *self.approve, *self.release),
            ),
            "CompileApproved": Duties(
                must=(
                    *self.look,
                    Right("sagemaker:CreateProcessingJob", compile_job),
                    Right("iam:PassRole", self.names.compile_role_arn, _TO_SAGEMAKER),
                ),
                must_not=nothing_decided,
            ),
            "PublishRelease": Duties(
                must=(
                    *self.register_compiled,
                    update,
                    *self.release,
                    Right("s3:GetObject", compiled),
                    Right("s3:PutObject", self._object(release, "channels/stable.json")),
                    Right("s3:DeleteObject", self._object(release, "releases/x/manifest.json")),
                    Right("kms:Sign", self.names.signing_key_arn),
                ),
                must_not=(
                    *(*self.register_approved, *self.approve),
                    Right("s3:DeleteObject", model),
                ),
            ),
            "Reconcile": Duties(must=self.look, must_not=nothing_decided),
        }


def simulate(iam: IAMClient, principal: str, rights: Iterable[Right]) -> dict[Right, bool]:
    """Asks whether a principal may do each of several things.

    Args:
        iam: A boto3 IAM client.
        principal: ARN of a user or role.
        rights: Asked with one request for each resource and context.
    """
    grouped: dict[tuple[str, tuple[tuple[str, str], ...]], list[Right]] = {}
    for right in dict.fromkeys(rights):
        grouped.setdefault((right.resource, right.context), []).append(right)
    allowed: dict[Right, bool] = {}
    for (resource, context), those in grouped.items():
        pages = iam.get_paginator("simulate_principal_policy").paginate(
            PolicySourceArn=principal,
            ActionNames=[right.action for right in those],
            ResourceArns=[resource],
            ContextEntries=context_entries(context),
        )
        said = {
            row["EvalActionName"]: row["EvalDecision"]
            for page in pages
            for row in page["EvaluationResults"]
        }
        allowed |= {right: said.get(right.action) == "allowed" for right in those}
    return allowed


def context_entries(context: Iterable[tuple[str, str]]) -> list[ContextEntryTypeDef]:
    """Condition keys as the simulator takes them."""
    return [
        {
            "ContextKeyName": key,
            "ContextKeyValues": [value],
            "ContextKeyType": "stringList" if key in _LISTS else "string",
        }
        for key, value in context
    ]


def caller(context: CheckContext) -> Iterator[CheckResult]:
    """What the caller may do."""
    arn = context.caller
    if arn.endswith(":root"):
        yield ok("you are the account's root: everything is allowed")
        return
    principal = _principal(context, arn)
    if principal is None:
        yield unchecked(f"{arn} is neither user nor role, which the simulator asks for")
        return
    duties = _rights(context).person()
    allowed = simulate(
        context.client("iam"), principal, [right for those in duties.values() for right in those]
    )
    yield from judge_caller(duties, allowed, _attach(context, principal))


def judge_caller(
    duties: Mapping[str, Sequence[Right]], allowed: Mapping[Right, bool], attach: str
) -> Iterator[CheckResult]:
    """Not everybody has to train or approve; who may not even look can use nothing here."""
    may = [words for words, rights in duties.items() if all(allowed[each] for each in rights)]
    if may:
        yield ok(f"you may {', '.join(may)}")
    for words, rights in duties.items():
        denied = [str(right) for right in rights if not allowed[right]]
        line = f"you may not {words}: {', '.join(denied)}"
        if denied and words == "look at models":
            yield failed(line, attach)
        elif denied and words == "approve":
            yield warning(line, attach)
        elif denied:
            yield warning(line, "where that is your work, an administrator allows you these")


def roles(context: CheckContext) -> Iterator[CheckResult]:
    """Every role can do its work, and none can do its neighbour's."""
    from botocore.exceptions import ClientError

    from registry.aws_errors import is_missing

    arns = {
        "training": context.names.training_role_arn,
        "compile": context.names.compile_role_arn,
        **{name: str(found["Role"]) for name, found in context.functions.items()},
    }
    well = True
    for name, duties in _rights(context).roles().items():
        if name not in arns:
            continue  # The function is gone, which is another check's to say.
        try:
            allowed = simulate(context.client("iam"), arns[name], (*duties.must, *duties.must_not))
        except ClientError as error:
            if not is_missing(error):
                raise
            well = False
            yield failed(f"{arns[name]}: the role does not exist", context.restore)
            continue
        for result in judge_role(name, duties, allowed, context.restore):
            well = False
            yield result
    if well:
        yield ok(f"{', '.join(arns)}: each may do its work, and nobody's else")


def judge_role(
    name: str, duties: Duties, allowed: Mapping[Right, bool], restore: str
) -> Iterator[CheckResult]:
    """A role that cannot work, or that could do what is not its own."""
    lacking = [str(right) for right in duties.must if not allowed[right]]
    beyond = [str(right) for right in duties.must_not if allowed[right]]
    if lacking:
        yield failed(f"the role of {name} may not: {', '.join(lacking)}", restore)
    if beyond:
        yield failed(
            f"the role of {name} may do what is not its work: {', '.join(beyond)}",
            f"detach what was added to it by hand, then {restore}",
        )


def _rights(context: CheckContext) -> Rights:
    _, partition, _, _, account, *_ = context.names.training_role_arn.split(":")
    return Rights(context.names, partition, context.aws.region, account)


def _principal(context: CheckContext, arn: str) -> str | None:
    """The user or role behind a caller's ARN: the simulator takes no session."""
    kind, _, rest = arn.rpartition(":")[2].partition("/")
    if kind in ("user", "role"):
        return arn
    if kind != "assumed-role":
        return None
    # A session's ARN leaves the role's path out.
    return str(context.client("iam").get_role(RoleName=rest.partition("/")[0])["Role"]["Arn"])


def _attach(context: CheckContext, principal: str) -> str:
    """The command that gives the caller the approver's rights."""
    answer = context.client("cloudformation").describe_stacks(StackName=context.stack("access"))
    outputs = {row["OutputKey"]: row["OutputValue"] for row in answer["Stacks"][0]["Outputs"]}
    kind, _, path = principal.rpartition(":")[2].partition("/")
    policy = outputs.get("ApproverPolicyArn", "ApproverPolicyArn")
    return (
        f"an administrator types: aws iam attach-{kind}-policy "
        f"--{kind}-name {path.rpartition('/')[2]} --policy-arn {policy}"
    )


CHECKS = (
    Check("your rights", caller, ("deployment",)),
    Check("roles", roles, ("automation",)),
)
