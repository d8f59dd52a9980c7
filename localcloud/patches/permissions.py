"""What IAM is asked for a request, and in which context."""

from __future__ import annotations

from functools import lru_cache
from typing import Any


def loopback_is_secure_transport() -> None:
    """Plain HTTP on the loopback interface counts as TLS for ``aws:SecureTransport``.

    Bucket policies of ``enforce_ssl`` would deny every request otherwise; nothing leaves the
    machine.
    """
    from ministack import app
    from ministack.core import iam_evaluator

    original = iam_evaluator.pin_request_origin

    def pin(source_ip: str, secure_transport: bool) -> None:
        original(source_ip, secure_transport or source_ip.startswith("127.") or source_ip == "::1")

    iam_evaluator.pin_request_origin = pin
    app.pin_request_origin = pin


def simulate_whole_requests() -> None:
    """The policy simulator judges every resource of a request, in the context that it gives.

    MiniStack's SimulatePrincipalPolicy judges the first resource alone and leaves ContextEntries,
    permissions boundaries and names below a path out; so does its SimulateCustomPolicy.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
    """
    from ministack.services import iam

    from localcloud.patches.policy_simulation import (
        simulate_custom_policy,
        simulate_principal_policy,
    )

    iam._IAM_HANDLERS["SimulateCustomPolicy"] = simulate_custom_policy
    iam._IAM_HANDLERS["SimulatePrincipalPolicy"] = simulate_principal_policy


def parse_policies_once() -> None:
    """A policy's text is parsed once, and not at each request of whoever has it."""
    from ministack.core import iam_evaluator

    original = iam_evaluator.parse_policy_document
    of_text = lru_cache(maxsize=512)(original)

    def parse(document: Any) -> Any:
        return of_text(document) if isinstance(document, str) else original(document)

    iam_evaluator.parse_policy_document = parse


def authorise_by_resource() -> None:
    """IAM is asked for AWS's action, on AWS's resource and with AWS's condition keys.

    MiniStack asks for some of them on ``*``, by another name or without keys. Actions and keys:
    https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html
    """
    from ministack.core import iam_actions

    from localcloud.patches import request_permissions

    original_resource = iam_actions.extract_resource_arn
    original_action = iam_actions.extract_iam_action
    original_context = iam_actions.request_tag_context
    original_s3_context = iam_actions.s3_service_context

    def resource(
        service: str, method: str, path: str, headers: Any, body: bytes, *rest: Any
    ) -> Any:
        _query, region, account = rest
        own = request_permissions.resource(service, headers, body, region, account)
        return own or original_resource(service, method, path, headers, body, *rest)

    def action(service: str, method: str, path: str, *rest: Any) -> Any:
        own = request_permissions.action(service, method, path)
        return own or original_action(service, method, path, *rest)

    def context(service: str, action: str, body: bytes, parameters: Any) -> dict[str, Any]:
        found = dict(original_context(service, action, body, parameters) or {})
        return found | request_permissions.condition_keys(action, body, parameters)

    def s3_context(action: str, query: Any, path: str, headers: Any) -> dict[str, Any]:
        found = dict(original_s3_context(action, query, path, headers) or {})
        return found | request_permissions.object_write_keys(action, query, headers)

    iam_actions.s3_service_context = s3_context
    iam_actions.extract_resource_arn = resource
    iam_actions.extract_iam_action = action
    iam_actions.request_tag_context = context
