"""IAM's policy simulator, over MiniStack's own evaluation of policies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring


def simulate_principal_policy(request: Any) -> Any:
    """Answers SimulatePrincipalPolicy: one decision for each action and resource.

    Args:
        request: The parameters of the query, as MiniStack hands them to its own handlers.
    """
    from ministack.core import iam_evaluator
    from ministack.core.responses import get_account_id
    from ministack.services import iam

    account, source = get_account_id(), iam._p(request, "PolicySourceArn")
    kind, _, path = source.rpartition(":")[2].partition("/")
    name = path.rpartition("/")[2]
    if kind == "role" and iam._roles.get_scoped(account, None, name):
        policies = iam_evaluator._gather_role_policies(name, account)
        limits = iam_evaluator._permissions_boundary(iam._roles, name, account)
    elif kind == "user" and iam._users.get_scoped(account, None, name):
        policies = iam_evaluator._gather_user_policies(name, account)
        limits = iam_evaluator._permissions_boundary(iam._users, name, account)
    else:
        return iam._error(404, "NoSuchEntity", f"{source} does not exist.", ns="iam")
    return _answer("SimulatePrincipalPolicy", request, source, kind, policies, limits)


def simulate_custom_policy(request: Any) -> Any:
    """Answers SimulateCustomPolicy: the same, of policies that the request itself has.

    Args:
        request: As for :func:`simulate_principal_policy`.
    """
    from ministack.core import iam_evaluator
    from ministack.core.responses import get_account_id

    documents = _members(request, "PolicyInputList")
    policies = [iam_evaluator.parse_policy_document(each) for each in documents]
    source = f"arn:aws:iam::{get_account_id()}:user/simulated"
    return _answer("SimulateCustomPolicy", request, source, "user", policies, ())


def _members(request: Any, prefix: str, suffix: str = "") -> list[str]:
    from ministack.services import iam

    found: list[str] = []
    while value := iam._p(request, f"{prefix}.member.{len(found) + 1}{suffix}"):
        found.append(value)
    return found


def _answer(
    operation: str, request: Any, source: str, kind: str, policies: Any, limits: Sequence[Any]
) -> Any:
    from ministack.core import iam_evaluator
    from ministack.core.responses import get_account_id, get_region
    from ministack.services import iam

    context = {}
    for number, key in enumerate(_members(request, "ContextEntries", ".ContextKeyName"), 1):
        entry = f"ContextEntries.member.{number}"
        values = _members(request, f"{entry}.ContextKeyValues")
        several = len(values) != 1 or iam._p(request, f"{entry}.ContextKeyType").endswith("List")
        context[key.lower()] = values if several else values[0]
    words = {"Allow": "allowed", "Deny": "explicitDeny"}
    root = Element("EvaluationResults")
    for action in _members(request, "ActionNames"):
        for resource in _members(request, "ResourceArns") or ["*"]:
            asked = iam_evaluator.EvalContext(
                principal_arn=source,
                principal_type="AssumedRole" if kind == "role" else "User",
                principal_account=get_account_id(),
                action=action,
                resource_arn=resource,
                region=get_region(),
                service_context=context,
            )
            decision = iam_evaluator.evaluate(asked, policies, *limits).decision
            member = SubElement(root, "member")
            SubElement(member, "EvalActionName").text = action
            SubElement(member, "EvalResourceName").text = resource
            SubElement(member, "EvalDecision").text = words.get(decision, "implicitDeny")
    return iam._xml(
        200,
        f"{operation}Response",
        f"<{operation}Result>"
        f"{tostring(root, encoding='unicode')}<IsTruncated>false</IsTruncated>"
        f"</{operation}Result>",
        ns="iam",
    )
