"""EventBridge's delivery to Lambda: retries, permissions and dead-letter queues."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

_log = logging.getLogger(__name__)


def retry_functions_of_rules() -> None:
    """EventBridge invokes functions asynchronously, with their retries and dead-letter queue.

    MiniStack invokes them once and forgets the outcome.
    """
    from ministack.services import eventbridge, lambda_svc

    def dispatch(arn: str, payload: str) -> None:
        function, config, name = lambda_svc._get_func_record_for_ref(arn)
        if not function or not config:
            _log.warning("EventBridge: function %s does not exist", name)
            return
        record = lambda_svc._execution_record_for_config(function, config)
        lambda_svc.invoke_async_with_retry(record, json.loads(payload))

    eventbridge._dispatch_to_lambda = dispatch


def dead_letter_undelivered_events() -> None:
    """An event that cannot be delivered to a function goes to the target's dead-letter queue.

    MiniStack ignores a target's DeadLetterConfig and a function's own policy: it invokes what
    EventBridge has no permission to invoke. The target's RetryPolicy is not waited for: AWS does
    not retry after these two faults.
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
    """
    from ministack.services import eventbridge

    original = eventbridge._invoke_target

    def invoke(target: Any, event: Any, rule: Any, view: Any = None) -> Any:
        fault = _undeliverable(target.get("Arn", ""), rule)
        if not fault:
            return original(target, event, rule, view)
        code, message = fault
        _log.warning("EventBridge: %s is not invoked: %s", target["Arn"], message)
        queue = (target.get("DeadLetterConfig") or {}).get("Arn")
        if queue:
            view = view or eventbridge._pattern_event_view(event)
            body = json.dumps(view.event_with_detail())
            said = {
                "RULE_ARN": rule["Arn"],
                "TARGET_ARN": target["Arn"],
                "ERROR_CODE": code,
                "ERROR_MESSAGE": message,
            }
            send_dead_letter(queue, body, said)
        return None

    eventbridge._invoke_target = invoke


def _undeliverable(target_arn: str, rule: Any) -> tuple[str, str] | None:
    """Why EventBridge cannot invoke a function: AWS's error code and message; None where it can."""
    from ministack import app
    from ministack.core import iam_evaluator
    from ministack.core.responses import get_account_id, get_region
    from ministack.services import lambda_svc

    if ":lambda:" not in target_arn:
        return None
    function, _config, _name = lambda_svc._get_func_record_for_ref(target_arn)
    if not function:
        return "NO_RESOURCE", f"Function not found: {target_arn}"
    caller = iam_evaluator.EvalContext(
        principal_arn="",
        principal_type="Service",
        principal_account=get_account_id(),
        action="lambda:InvokeFunction",
        resource_arn=target_arn,
        region=get_region(),
        service_context={
            "aws:sourcearn": rule["Arn"],
            "aws:sourceaccount": get_account_id(),
        },
    )
    verdict = iam_evaluator.evaluate_resource_policy(
        function.get("policy"), caller, service="events.amazonaws.com"
    )
    if app.AUTH and verdict.decision != "Allow":
        return "NO_PERMISSIONS", f"not authorized to perform: lambda:InvokeFunction on {target_arn}"
    return None


def send_dead_letter(queue_arn: str, body: str, attributes: Mapping[str, str | int]) -> None:
    """Writes a message to a dead-letter queue, with what is said of it as message attributes."""
    from ministack.core.arn import parse_arn
    from ministack.services import eventbridge, sqs

    queue = sqs._queue_by_arn(queue_arn)
    if not queue:
        _log.warning("dead-letter queue %s does not exist", queue_arn)
        return
    eventbridge._dispatch_to_sqs(parse_arn(queue_arn), body)
    typed = {
        name: {
            "DataType": "Number" if isinstance(value, int) else "String",
            "StringValue": str(value),
        }
        for name, value in attributes.items()
    }
    queue["messages"][-1]["message_attributes"] = typed
    queue["messages"][-1]["md5_attrs"] = sqs._md5_msg_attrs(typed)
