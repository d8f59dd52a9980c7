"""The SageMaker actions that the local cloud answers, by their names in SageMaker's API.

To add one, write a function that takes a request and returns SageMaker's answer, in the file of
its subject (``registry.py``, ``lineage/``, ``mlflow.py``, ``search.py``, ``jobs/actions.py``),
and enter it in ``ACTIONS``::

    def describe_model_package_group(request: Record) -> Record:
        return group(request["ModelPackageGroupName"])

    ACTIONS = {..., "DescribeModelPackageGroup": registry.describe_model_package_group}

Requests are checked against botocore's model of SageMaker before the function sees them, and its
answer is reduced to the members that the model knows; where it does not fit, the log says so.
Errors are those of :mod:`.errors`. Where IAM needs to know the resource that the request is about,
:func:`.service.resource_arn` says it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

from localcloud.sagemaker import (
    mlflow,
    model_cards,
    models,
    registry,
    search,
)
from localcloud.sagemaker.api_model import service_model
from localcloud.sagemaker.errors import AwsError
from localcloud.sagemaker.jobs import actions as jobs
from localcloud.sagemaker.lineage import entities as lineage_entities
from localcloud.sagemaker.lineage import groups as lineage_groups
from localcloud.sagemaker.store import LOCK, Record

_log = logging.getLogger(__name__)
#: What the log says of an answer that SageMaker's model does not have.
UNFIT = "answered what does not fit botocore's model"

ACTIONS: dict[str, Callable[[Record], Record]] = {
    "CreateModelPackageGroup": registry.create_model_package_group,
    "DescribeModelPackageGroup": registry.describe_model_package_group,
    "ListModelPackageGroups": registry.list_model_package_groups,
    "DeleteModelPackageGroup": registry.delete_model_package_group,
    "PutModelPackageGroupPolicy": registry.put_model_package_group_policy,
    "GetModelPackageGroupPolicy": registry.get_model_package_group_policy,
    "DeleteModelPackageGroupPolicy": registry.delete_model_package_group_policy,
    "CreateModelPackage": registry.create_model_package,
    "DescribeModelPackage": registry.describe_model_package,
    "BatchDescribeModelPackage": registry.batch_describe_model_package,
    "UpdateModelPackage": registry.update_model_package,
    "DeleteModelPackage": registry.delete_model_package,
    "ListModelPackages": registry.list_model_packages,
    "AddTags": registry.add_tags,
    "ListTags": registry.list_tags,
    "DeleteTags": registry.delete_tags,
    **jobs.ACTIONS,
    **lineage_entities.ACTIONS,
    **lineage_groups.ACTIONS,
    **mlflow.ACTIONS,
    **model_cards.ACTIONS,
    **models.ACTIONS,
    **search.ACTIONS,
}


def call(operation: str, request: Record) -> Record:
    """Checks a request, carries it out, and cuts the answer to the operation's output.

    Raises:
        AwsError: As SageMaker would answer.
    """
    return dict(json.loads(call_for_text(operation, request)))


def call_for_text(operation: str, request: Record) -> str:
    """:func:`call`, with the answer as it is sent: a page of a list is large.

    Raises:
        AwsError: As SageMaker would answer.
    """
    service_model.check_request(operation, request)
    act = ACTIONS.get(operation)
    if act is None:
        raise AwsError("UnknownOperationException", f"{operation} is not part of the local cloud")
    given = {key: value for key, value in request.items() if value is not None}
    with LOCK:
        # As text: the answer must share no object with the tables.
        answer = service_model.trim_response(operation, act(given))
        faults = service_model.answer_faults(operation, answer)
        text = json.dumps(answer)
    if faults:
        # A fault of the local cloud's: whoever runs on it goes on, and its tests fail.
        _log.error("%s %s: %s", operation, UNFIT, "; ".join(faults))
    return text
