"""IAM's policy simulator, over MiniStack's own evaluation of policies."""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring


def simulate_principal_policy(request: Any) -> Any:
    """Answers SimulatePrincipalPolicy: one decision for each action and resource.

    Args:
        request: The parameters of the query, as MiniStack hands them to its own handlers.
    """
    from ministack.core import iam_evaluator
    from ministack.core.responses import get_account_id, get_region
    from ministack.services import iam

    def members(prefix: str, suffix: str = "") -> list[str]:
        found: list[str] = []
        while value := iam._p(request, f"{prefix}.member.{len(found) + 1}{suffix}"):
            found.append(value)
        return found

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
    context = {}
    for number, key in enumerate(members("ContextEntries", ".ContextKeyName"), 1):
        values = members(f"ContextEntries.member.{number}.ContextKeyValues")
        context[key.lower()] = values[0] if len(values) == 1 else values
    words = {"Allow": "allowed", "Deny": "explicitDeny"}
    root = Element("EvaluationResults")
    for action in members("ActionNames"):
        for resource in members("ResourceArns") or ["*"]:
            asked = iam_evaluator.EvalContext(
                principal_arn=source,
                principal_type="AssumedRole" if kind == "role" else "User",
                principal_account=account,
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
        "SimulatePrincipalPolicyResponse",
        "<SimulatePrincipalPolicyResult>"
        f"{tostring(root, encoding='unicode')}<IsTruncated>false</IsTruncated>"
        "</SimulatePrincipalPolicyResult>",
        ns="iam",
    )
