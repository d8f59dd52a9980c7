"""Passing a role to SageMaker, and the credentials that SageMaker takes from it."""

from __future__ import annotations

import hashlib
import json
import secrets
from contextvars import ContextVar
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id, get_region
from ministack.services import iam

from localcloud.role_session import open_role_session
from localcloud.sagemaker.errors import denied, invalid

SERVICE = "sagemaker.amazonaws.com"

#: Access key of the request that is being answered; set by the service's handler.
caller_key: ContextVar[str] = ContextVar("caller_key", default="")


def caller() -> dict[str, Any]:
    """The ``UserContext`` of the caller, as SageMaker records who created or changed something.

    Empty where a template's resources are made. Without ``SourceIdentity``: MiniStack does not
    keep that of a session.
    https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_IamIdentity.html
    """
    known = iam_evaluator.resolve_caller_identity(caller_key.get())
    if not known:
        return {}
    return {"IamIdentity": {"Arn": known["userArn"], "PrincipalId": known["userId"]}}


def check_pass_role(role_arn: str, resource_arn: str) -> None:
    """What SageMaker checks of a job's role before it accepts the job.

    Raises:
        AwsError: The caller may not pass the role, the role does not exist, or it does not trust
            SageMaker.
    """
    from ministack import app

    role = iam._roles.get(role_arn.rpartition("/")[2])
    if role is None or role.get("Arn") != role_arn:
        raise invalid(f"Could not assume role {role_arn}. Please ensure that the role exists.")
    if app.AUTH:
        verdict = iam_evaluator.enforce(
            caller_key.get(),
            "iam:PassRole",
            "iam",
            get_region(),
            role_arn,
            {"iam:PassedToService": SERVICE, "iam:AssociatedResourceArn": resource_arn},
        )
        if verdict is not None:
            who = getattr(verdict, "principal_arn", "") or "the caller"
            raise denied(
                f"User: {who} is not authorized to perform: iam:PassRole on resource: {role_arn} "
                "because no identity-based policy allows the iam:PassRole action"
            )
    if not _trusts_sagemaker(role.get("AssumeRolePolicyDocument", "{}"), role_arn, resource_arn):
        raise invalid(
            f"Could not assume role {role_arn}. Please ensure that the role exists and allows "
            f"principal '{SERVICE}' to assume the role."
        )


def check_tagging(resource_arn: str, tags: Any) -> None:
    """Tags at a creation need ``sagemaker:AddTags`` as well, as they do at AWS.

    Raises:
        AwsError: The caller may not set them.
    """
    if tags:
        check_action("sagemaker:AddTags", resource_arn)


def check_action(action: str, resource_arn: str) -> None:
    """What the server does not ask of a request: a second action, or a second resource.

    Raises:
        AwsError: The caller may not do that.
    """
    from ministack import app

    # A template's resources are made by CloudFormation, which has asked already.
    if not app.AUTH or not caller_key.get():
        return
    verdict = iam_evaluator.enforce(
        caller_key.get(), action, "sagemaker", get_region(), resource_arn
    )
    if verdict is not None:
        who = getattr(verdict, "principal_arn", "") or "the caller"
        raise denied(
            f"User: {who} is not authorized to perform: {action} on resource: {resource_arn} "
            f"because no identity-based policy allows the {action} action"
        )


def session(role_arn: str, name: str) -> dict[str, str]:
    """Credentials of the role, as environment variables, the way a job's container gets them."""
    account = role_arn.split(":")[4]
    role_name = role_arn.rpartition("/")[2]
    return open_role_session(
        account,
        role_name,
        name if len(name) <= 64 else hashlib.sha256(name.encode()).hexdigest(),
        access_key=f"ASIA{secrets.token_hex(8).upper()}",
        secret=secrets.token_hex(20),
        token=secrets.token_hex(32),
    )


def _trusts_sagemaker(document: Any, role_arn: str, resource_arn: str) -> bool:
    document = json.loads(document) if isinstance(document, str) else document
    statements = document.get("Statement", [])
    statements = [statements] if isinstance(statements, dict) else statements
    own = [entry for entry in statements if SERVICE in _services(entry)]
    # MiniStack's evaluator lets the account's root stand for a service, conditions included.
    context = iam_evaluator.EvalContext(
        principal_arn=f"arn:aws:iam::{get_account_id()}:root",
        principal_type="Root",
        principal_account=get_account_id(),
        action="sts:AssumeRole",
        resource_arn=role_arn,
        region=get_region(),
        service_context={
            "aws:sourceaccount": get_account_id(),
            "aws:sourcearn": resource_arn,
        },
    )
    return bool(own) and iam_evaluator.evaluate_trust_policy(
        {"Statement": own}, context.principal_arn, context
    )


def _services(statement: dict[str, Any]) -> list[str]:
    principal = statement.get("Principal", {})
    services = principal.get("Service", []) if isinstance(principal, dict) else []
    return [services] if isinstance(services, str) else services
