"""Action, resource and condition keys of a request, where MiniStack names others than AWS."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs


def resource(
    service: str, headers: Mapping[str, str], body: bytes, region: str, account: str
) -> str | None:
    """The ARN that a request needs permission on; None where MiniStack's own is right.

    Args:
        service: MiniStack's name of it.
        headers: Of the request, keys in lower case.
        body: Of the request.
        region: The region of the request.
        account: The account of the caller.
    """
    operation = str(headers.get("x-amz-target", "")).rpartition(".")[2]
    if service == "ssm" and operation == "GetParametersByPath":
        path = _field(body, "Path")
        return path and f"arn:aws:ssm:{region}:{account}:parameter/{path.lstrip('/')}"
    if service == "events" and operation in ("DescribeRule", "ListTargetsByRule"):
        rule = _field(body, "Name" if operation == "DescribeRule" else "Rule")
        bus = _field(body, "EventBusName")
        # The default bus has no place in a rule's ARN.
        place = f"{bus}/" if bus and bus != "default" else ""
        return rule and f"arn:aws:events:{region}:{account}:rule/{place}{rule}"
    if service == "iam":
        query = parse_qs(body.decode(errors="replace"))
        operation = query.get("Action", [""])[0]
        if operation == "SimulatePrincipalPolicy":
            return query.get("PolicySourceArn", [None])[0]
        if operation == "GetRole" and "RoleName" in query:
            return f"arn:aws:iam::{account}:role/{query['RoleName'][0]}"
    return None


def action(service: str, method: str, path: str) -> str | None:
    """The IAM action of a request; None where MiniStack's own is right."""
    setting = re.search(r"/functions/[^/]+/(concurrency|event-invoke-config)$", path)
    if service != "lambda" or method != "GET" or not setting:
        return None
    return {
        "concurrency": "lambda:GetFunctionConcurrency",
        "event-invoke-config": "lambda:GetFunctionEventInvokeConfig",
    }[setting[1]]


def condition_keys(action: str, body: bytes, parameters: Mapping[str, Any]) -> dict[str, str]:
    """Condition keys of a request that MiniStack does not set.

    Args:
        action: As IAM names it.
        body: Of the request.
        parameters: Of a query, as MiniStack parsed them.
    """
    if action != "cloudwatch:PutMetricData":
        return {}
    found = _field(body, "Namespace") or parameters.get("Namespace") or _cbor(body).get("Namespace")
    namespace = found[0] if isinstance(found, list) else found
    return {"cloudwatch:namespace": namespace} if isinstance(namespace, str) else {}


def object_write_keys(
    action: str, query: Mapping[str, Any], headers: Mapping[str, str]
) -> dict[str, str]:
    """S3's condition keys of a conditional write, which MiniStack does not set.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html

    Args:
        action: As IAM names it.
        query: The parameters of the request's query.
        headers: Of the request, keys in lower case.
    """
    if action != "s3:PutObject":
        return {}
    part = "uploads" in query or "partNumber" in query
    found = {"s3:ObjectCreationOperation": "false" if part else "true"}
    for header in ("if-none-match", "if-match"):
        if header in headers:
            found[f"s3:{header}"] = str(headers[header])
    return found


def _cbor(body: bytes) -> Mapping[str, Any]:
    import cbor2

    try:
        found = cbor2.loads(body)
    except (cbor2.CBORDecodeError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _field(body: bytes, key: str) -> str | None:
    try:
        value = json.loads(body)[key]
    except (ValueError, KeyError, TypeError):
        return None
    return value if isinstance(value, str) and value else None
