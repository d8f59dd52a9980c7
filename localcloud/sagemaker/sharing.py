"""Groups of other accounts: reached by ARN, as far as the group's own policy lets the caller."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id, get_region, request_scope

from localcloud.sagemaker.errors import denied
from localcloud.sagemaker.store import store

_SHARED = ("model-package-group", "model-package")


@contextlib.contextmanager
def owners_scope(operation: str, resource: str) -> Iterator[None]:
    """Answers for the account that owns what a request names, where that is not the caller's.

    The caller's own policies were asked before; across accounts the resource's must allow it too.
    https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-ram-discover.html

    Args:
        operation: For example ``DescribeModelPackage``.
        resource: ARN of the resource that the request is about, or ``*``.

    Raises:
        AwsError: The group's policy does not allow it.
    """
    owner, kind, group = _owned(resource)
    caller = get_account_id()
    if kind not in _SHARED or owner in ("", caller):
        yield
        return
    principal = iam_evaluator.caller_arn()
    asked = iam_evaluator.EvalContext(
        principal_arn=principal,
        principal_type="Root" if principal.endswith(":root") else "AssumedRole",
        principal_account=caller,
        action=f"sagemaker:{operation}",
        resource_arn=resource,
        region=get_region(),
        service_context={},
    )
    with request_scope(owner, get_region()):
        policy = store().policies.get(group)
        if iam_evaluator.evaluate_resource_policy(policy, asked).decision != "Allow":
            raise denied(
                f"User: {principal} is not authorized to perform: sagemaker:{operation} on "
                f"resource: {resource} because no resource-based policy allows the "
                f"sagemaker:{operation} action"
            )
        yield


def _owned(resource: str) -> tuple[str, str, str]:
    """Account, kind and group's name of an ARN; empty texts for anything else."""
    parts = resource.split(":", 5)
    if len(parts) < 6:
        return "", "", ""
    kind, _, name = parts[5].partition("/")
    return parts[4], kind, name.partition("/")[0]
