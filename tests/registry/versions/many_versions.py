"""A SageMaker in this process, for groups of thousands of versions: the local cloud's own code
behind a boto3 client, without a server between them."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import boto3
from botocore.awsrequest import AWSResponse

from localcloud.sagemaker import registry, search
from localcloud.sagemaker.api_model import service_model
from localcloud.sagemaker.errors import AwsError
from registry.names import parse_name

GROUP = "many-models"
_OPERATIONS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "CreateModelPackageGroup": registry.create_model_package_group,
    "CreateModelPackage": registry.create_model_package,
    "UpdateModelPackage": registry.update_model_package,
    "DeleteModelPackage": registry.delete_model_package,
    "DescribeModelPackage": registry.describe_model_package,
    "BatchDescribeModelPackage": registry.batch_describe_model_package,
    "ListModelPackages": registry.list_model_packages,
    "Search": search.search,
}
#: One for all: reading SageMaker's model takes longer than a test.
_session = boto3.Session("test", "test", region_name="us-east-2")


class InProcess:
    """A client and what it asked.

    Attributes:
        calls: How often each operation was called.
        operations: What answers each; a test may put another answer in.
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.operations = dict(_OPERATIONS)
        self.client = _session.client("sagemaker", endpoint_url="http://127.0.0.1:9")
        self.client.meta.events.register("before-send.sagemaker", self._answer)

    def _answer(self, request: Any, **_: Any) -> AWSResponse:
        target = request.headers["X-Amz-Target"]
        operation = (target.decode() if isinstance(target, bytes) else target).rpartition(".")[2]
        self.calls[operation] += 1
        status = 200
        try:
            asked = json.loads(request.body)
            service_model.check_request(operation, asked)
            given = {key: value for key, value in asked.items() if value is not None}
            body: dict[str, Any] = service_model.trim_response(
                operation, self.operations[operation](given)
            )
        except AwsError as error:
            status, body = 400, {"__type": error.code, "message": str(error)}
        raw = io.BytesIO(json.dumps(body).encode())
        raw.stream = lambda *_, **__: iter([raw.getvalue()])  # type: ignore[attr-defined]
        headers = {"Content-Type": "application/x-amz-json-1.1"}
        return AWSResponse(request.url, status, headers, raw)


def register(
    name: str, approval: str = "Approved", told: str = "", group: str = GROUP, **metadata: str
) -> str:
    """Puts a version into the group, described as the registry does; no call is counted."""
    kind = f"{parse_name(name).kind}, " if not told else ""
    return str(
        registry.create_model_package(
            {
                "ModelPackageGroupName": group,
                "ModelPackageDescription": f"{name}: {kind}{told or 'made for a test'}",
                "ModelApprovalStatus": approval,
                "CustomerMetadataProperties": {"ModelName": name, **metadata},
            }
        )["ModelPackageArn"]
    )
