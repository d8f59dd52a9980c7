"""What MiniStack 1.5.33 lacks, mended; one function a gap.

``tests/localcloud/test_patches.py`` tells, for each, when MiniStack no longer needs it.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

MENDS = "1.5.33"
_log = logging.getLogger(__name__)
#: How long an event waits for a throttled function, in seconds: AWS's own; and how long without a
#: look, should nobody say that there is room.
_EVENT_AGE, _LONGEST_PAUSE = 6 * 3600.0, 2.0


def apply_all(lambda_python: Path) -> None:
    """Applies every patch; called once, before the server answers."""
    mount_sagemaker()
    loopback_is_secure_transport()
    run_functions_in(lambda_python)
    retry_functions_of_rules()
    keep_throttled_events()
    dead_letter_undelivered_events()
    find_unqualified_invoke_settings()
    keep_function_dead_letters()
    keep_bucket_settings()
    simulate_whole_requests()
    authorise_by_resource()


def mount_sagemaker() -> None:
    """MiniStack has no SageMaker: puts ours on the endpoint, into IAM, state and templates."""
    import sys

    import ministack.services as services
    from ministack import app
    from ministack.core import iam_actions, router
    from ministack.services.cloudformation import provisioners

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
    theirs = iam_actions.extract_resource_arn

    def extract(
        service_name: str, method: str, path: str, headers: Any, body: bytes, *rest: Any
    ) -> Any:
        if service_name == "sagemaker":
            return service.resource_arn(body)
        return theirs(service_name, method, path, headers, body, *rest)

    iam_actions.extract_resource_arn = extract
    tags = iam_actions.request_tag_context

    def context(service_name: str, action: str, body: bytes, *rest: Any) -> dict[str, Any]:
        found = dict(tags(service_name, action, body, *rest) or {})
        return found | service.condition_keys(body) if service_name == "sagemaker" else found

    iam_actions.request_tag_context = context
    provisioners._RESOURCE_HANDLERS.update(cloudformation.HANDLERS)


def loopback_is_secure_transport() -> None:
    """Plain HTTP on the loopback interface counts as TLS for ``aws:SecureTransport``.

    Bucket policies of ``enforce_ssl`` would deny every request otherwise; nothing leaves the
    machine.
    """
    from ministack import app
    from ministack.core import iam_evaluator

    theirs = iam_evaluator.pin_request_origin

    def pin(source_ip: str, secure_transport: bool) -> None:
        theirs(source_ip, secure_transport or source_ip.startswith("127.") or source_ip == "::1")

    iam_evaluator.pin_request_origin = pin
    app.pin_request_origin = pin


def run_functions_in(python: Path) -> None:
    """Functions run in an interpreter of their own, without the server's packages or environment.

    MiniStack runs them on the server's, where a dependency that Lambda lacks would be found.
    """
    from ministack.core import lambda_runtime

    theirs = lambda_runtime._detect_runtime_binary

    def detect(runtime: str) -> tuple[str, str]:
        binary, script = theirs(runtime)
        return (str(python), script) if runtime.startswith("python") else (binary, script)

    lambda_runtime._detect_runtime_binary = detect
    # The worker's environment starts from the server's, which is not the function's business;
    # the supervisor gives the server hardly any that a function could set to the same value.
    kept = {"LANG", "TMPDIR", "GATEWAY_PORT", "PYTHONDONTWRITEBYTECODE"}
    # Where an App or tracking server of MLflow is found by its ARN.
    kept |= {"SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT"}
    popen = lambda_runtime.subprocess.Popen

    class ScrubbedPopen(popen):  # type: ignore[valid-type, misc]
        def __init__(self, args: Any, *rest: Any, **options: Any) -> None:
            if options.get("env") and args and str(args[0]) == str(python):
                own = set(os.environ) - kept
                options["env"] = {
                    "PATH": f"{python.parent}:/usr/local/bin:/usr/bin:/bin",
                    **{
                        key: value
                        for key, value in options["env"].items()
                        if key not in own or os.environ[key] != value
                    },
                }
            super().__init__(args, *rest, **options)

    class Subprocess:
        """The module ``subprocess`` as lambda_runtime sees it, with another Popen."""

        def __getattr__(self, name: str) -> Any:
            import subprocess

            return ScrubbedPopen if name == "Popen" else getattr(subprocess, name)

    lambda_runtime.subprocess = Subprocess()


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


def keep_throttled_events() -> None:
    """An asynchronous invocation that is throttled waits for its turn, until its event is too old.

    MiniStack counts it as one of the function's few retries: many events at once end in the
    dead-letter queue, without the function having seen them.
    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
    """
    from ministack.services import lambda_svc

    start, execute = lambda_svc.invoke_async_with_retry, lambda_svc._execute_function
    # Zero for whoever waits for the answer: he is told of the throttle.
    given_up_at: ContextVar[float] = ContextVar("given_up_at", default=0.0)
    # By function: whoever ends wakes one that waits. Thousands that look by themselves would leave
    # no time for the work.
    turns: dict[str, threading.Condition] = {}

    def start_waiting(function: Any, event: Any) -> None:
        found = lambda_svc._event_invoke_config(function, None) or {}
        age = float(found.get("MaximumEventAgeInSeconds") or _EVENT_AGE)
        # The thread that MiniStack starts takes the context along.
        before = given_up_at.set(time.monotonic() + age)
        try:
            start(function, event)
        finally:
            given_up_at.reset(before)

    def execute_in_turn(function: Any, event: Any) -> Any:
        name = (function.get("config") or function).get("FunctionName", "")
        turn = turns.setdefault(name, threading.Condition())
        while True:
            answer = execute(function, event)
            left = given_up_at.get() - time.monotonic()
            with turn:
                if not answer.get("throttle"):
                    turn.notify()
                    return answer
                if left <= 0:
                    return answer
                turn.wait(min(left, _LONGEST_PAUSE))

    lambda_svc.invoke_async_with_retry = start_waiting
    lambda_svc._execute_function = execute_in_turn


def dead_letter_undelivered_events() -> None:
    """An event that cannot be given to a function goes to the target's dead-letter queue.

    MiniStack ignores a target's DeadLetterConfig and a function's own policy: it invokes what
    EventBridge has no permission to invoke. The target's RetryPolicy is not waited for: AWS does
    not retry after these two faults.
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
    """
    from ministack.services import eventbridge

    theirs = eventbridge._invoke_target

    def invoke(target: Any, event: Any, rule: Any, view: Any = None) -> Any:
        fault = _undeliverable(target.get("Arn", ""), rule)
        if not fault:
            return theirs(target, event, rule, view)
        _log.warning("EventBridge: %s is not invoked: %s", target["Arn"], fault[1])
        queue = (target.get("DeadLetterConfig") or {}).get("Arn")
        if queue:
            view = view or eventbridge._pattern_event_view(event)
            body = json.dumps(view.event_with_detail())
            _send_dead_letter(queue, body, target["Arn"], rule["Arn"], *fault)
        return None

    eventbridge._invoke_target = invoke


def _undeliverable(target_arn: str, rule: Any) -> tuple[str, str] | None:
    """Why EventBridge cannot invoke a function: AWS's error code and words; None where it can."""
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


def _send_dead_letter(
    queue_arn: str, body: str, target_arn: str, rule_arn: str, code: str, words: str
) -> None:
    from ministack.core.arn import parse_arn
    from ministack.services import eventbridge, sqs

    queue = sqs._queue_by_arn(queue_arn)
    if not queue:
        _log.warning("EventBridge: dead-letter queue %s does not exist", queue_arn)
        return
    eventbridge._dispatch_to_sqs(parse_arn(queue_arn), body)
    attributes = {
        name: {"DataType": "String", "StringValue": text}
        for name, text in (
            ("RULE_ARN", rule_arn),
            ("TARGET_ARN", target_arn),
            ("ERROR_CODE", code),
            ("ERROR_MESSAGE", words),
        )
    }
    queue["messages"][-1]["message_attributes"] = attributes
    queue["messages"][-1]["md5_attrs"] = sqs._md5_msg_attrs(attributes)


def find_unqualified_invoke_settings() -> None:
    """A function without a qualifier is its ``$LATEST``, also for its asynchronous invocation.

    MiniStack keeps ``AWS::Lambda::EventInvokeConfig`` of ``$LATEST`` apart from the unqualified
    one, and GetFunctionEventInvokeConfig does not find it.
    """
    from ministack.services import lambda_svc

    theirs = lambda_svc._event_invoke_config

    def find(function: Any, qualifier: str | None) -> Any:
        found = theirs(function, qualifier)
        if found is None and qualifier in (None, "", "$LATEST"):
            found = theirs(function, None if qualifier else "$LATEST")
        return found

    lambda_svc._event_invoke_config = find


def keep_function_dead_letters() -> None:
    """``AWS::Lambda::Function`` drops DeadLetterConfig."""
    from ministack.services import lambda_svc
    from ministack.services.cloudformation import provisioners

    handlers = provisioners._RESOURCE_HANDLERS["AWS::Lambda::Function"]

    def keeping(act: Callable[..., Any], place: int) -> Callable[..., Any]:
        def wrapped(*arguments: Any) -> Any:
            answer = act(*arguments)
            queue = arguments[place].get("DeadLetterConfig")
            function = lambda_svc._functions.get(answer[0])
            if queue and function is not None:
                function["config"]["DeadLetterConfig"] = queue
            return answer

        return wrapped

    provisioners._RESOURCE_HANDLERS["AWS::Lambda::Function"] = {
        **handlers,
        "create": keeping(handlers["create"], 1),
        "update": keeping(handlers["update"], 2),
    }


def keep_bucket_settings() -> None:
    """``AWS::S3::Bucket`` drops BucketEncryption and LifecycleConfiguration."""
    from ministack.services import s3
    from ministack.services.cloudformation import provisioners

    provisioners._S3_BUCKET_CONFIGURATIONS += (
        ("BucketEncryption", _encryption, s3._put_bucket_encryption, s3._delete_bucket_encryption),
        (
            "LifecycleConfiguration",
            _lifecycle,
            s3._put_bucket_lifecycle,
            s3._delete_bucket_lifecycle,
        ),
    )


def _encryption(value: Any) -> bytes:
    from ministack.core.responses import get_account_id, get_region
    from ministack.services import s3

    root = Element("ServerSideEncryptionConfiguration", xmlns=s3.S3_NS)
    for rule in value.get("ServerSideEncryptionConfiguration") or []:
        entry = SubElement(root, "Rule")
        default = SubElement(entry, "ApplyServerSideEncryptionByDefault")
        source = dict(rule.get("ServerSideEncryptionByDefault") or {})
        if str(source.get("SSEAlgorithm", "")).startswith("aws:kms"):
            own = f"arn:aws:kms:{get_region()}:{get_account_id()}:alias/aws/s3"
            source.setdefault("KMSMasterKeyID", own)
        for key in ("SSEAlgorithm", "KMSMasterKeyID"):
            if source.get(key):
                SubElement(default, key).text = str(source[key])
        SubElement(entry, "BucketKeyEnabled").text = str(
            rule.get("BucketKeyEnabled", False)
        ).lower()
    return tostring(root)


def _lifecycle(value: Any) -> bytes:
    from ministack.services import s3

    root = Element("LifecycleConfiguration", xmlns=s3.S3_NS)
    for number, rule in enumerate(value.get("Rules") or []):
        entry = SubElement(root, "Rule")
        SubElement(entry, "ID").text = rule.get("Id", f"rule-{number}")
        SubElement(entry, "Status").text = rule["Status"]
        SubElement(SubElement(entry, "Filter"), "Prefix").text = rule.get("Prefix", "")
        if "ExpirationInDays" in rule:
            SubElement(SubElement(entry, "Expiration"), "Days").text = str(rule["ExpirationInDays"])
        noncurrent = rule.get("NoncurrentVersionExpiration")
        if noncurrent:
            parent = SubElement(entry, "NoncurrentVersionExpiration")
            SubElement(parent, "NoncurrentDays").text = str(noncurrent["NoncurrentDays"])
        abort = rule.get("AbortIncompleteMultipartUpload")
        if abort:
            parent = SubElement(entry, "AbortIncompleteMultipartUpload")
            SubElement(parent, "DaysAfterInitiation").text = str(abort["DaysAfterInitiation"])
    return tostring(root)


def simulate_whole_requests() -> None:
    """SimulatePrincipalPolicy judges every resource of a request, in the context that it gives.

    MiniStack judges the first resource alone and leaves ContextEntries, permissions boundaries
    and names below a path out.
    https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
    """
    from ministack.services import iam

    from localcloud.policy_simulation import simulate_principal_policy

    iam._IAM_HANDLERS["SimulatePrincipalPolicy"] = simulate_principal_policy


def authorise_by_resource() -> None:
    """Rights that AWS gives on a resource are not asked for on everything, nor by another name.

    Nor without the condition keys that policies bind them by. Actions and keys:
    https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html
    """
    from ministack.core import iam_actions

    from localcloud import authorisation

    their_resource = iam_actions.extract_resource_arn
    their_action = iam_actions.extract_iam_action
    their_context = iam_actions.request_tag_context

    def resource(
        service: str, method: str, path: str, headers: Any, body: bytes, *rest: Any
    ) -> Any:
        _query, region, account = rest
        own = authorisation.resource(service, headers, body, region, account)
        return own or their_resource(service, method, path, headers, body, *rest)

    def action(service: str, method: str, path: str, *rest: Any) -> Any:
        own = authorisation.action(service, method, path)
        return own or their_action(service, method, path, *rest)

    def context(service: str, action: str, body: bytes, parameters: Any) -> dict[str, Any]:
        found = dict(their_context(service, action, body, parameters) or {})
        return found | authorisation.condition_keys(action, body, parameters)

    iam_actions.extract_resource_arn = resource
    iam_actions.extract_iam_action = action
    iam_actions.request_tag_context = context
