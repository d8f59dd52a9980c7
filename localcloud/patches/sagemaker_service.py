"""SageMaker on MiniStack's endpoint; MiniStack itself has none."""

from __future__ import annotations

import sys
from typing import Any


def mount_sagemaker() -> None:
    """Adds this package's SageMaker to MiniStack's endpoint, IAM, saved state and templates."""

    import ministack.services as services
    from ministack import app
    from ministack.core import iam_actions, router
    from ministack.services.cloudformation import provisioners, stacks

    from localcloud.sagemaker import cloudformation, service

    sys.modules["ministack.services.sagemaker"] = service
    services.sagemaker = service
    app.SERVICE_REGISTRY["sagemaker"] = {"module": "sagemaker"}
    app.SERVICE_HANDLERS["sagemaker"] = service.handle_request
    app._state_map["sagemaker"] = "sagemaker"
    app._loaded_modules["sagemaker"] = service
    router.SERVICE_PATTERNS["sagemaker"] = {
        "target_prefixes": ["SageMaker."],
        "host_patterns": [r"^api\.sagemaker\.", r"^sagemaker\."],
    }
    iam_actions.SERVICE_TO_IAM_NAMESPACE["sagemaker"] = "sagemaker"
    original = iam_actions.extract_resource_arn

    def extract(
        service_name: str, method: str, path: str, headers: Any, body: bytes, *rest: Any
    ) -> Any:
        if service_name == "sagemaker":
            return service.resource_arn(body)
        return original(service_name, method, path, headers, body, *rest)

    iam_actions.extract_resource_arn = extract
    tags = iam_actions.request_tag_context

    def context(service_name: str, action: str, body: bytes, *rest: Any) -> dict[str, Any]:
        found = dict(tags(service_name, action, body, *rest) or {})
        own = service.condition_keys(action, body) if service_name == "sagemaker" else {}
        return found | own

    iam_actions.request_tag_context = context
    provisioners._RESOURCE_HANDLERS.update(cloudformation.HANDLERS)
    on_thread = stacks._runs_on_worker_thread
    stacks._runs_on_worker_thread = lambda resource_type: (
        resource_type in cloudformation.WAITING_TYPES or on_thread(resource_type)
    )
