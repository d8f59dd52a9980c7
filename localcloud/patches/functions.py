"""How Lambda functions run and wait, and the settings that MiniStack drops."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from localcloud.patches.event_delivery import send_dead_letter
from localcloud.role_session import open_role_session

#: How long an event waits for a throttled function, in seconds: AWS's own default.
_EVENT_AGE = 6 * 3600.0
#: How long the only waiting event sleeps at most before it tries again, in seconds.
_LONGEST_PAUSE = 2.0
#: How much longer each sleeps for every other one that waits for the same function: they all try
#: again in that time, and what they cost together does not grow with their number.
_PAUSE_PER_EVENT = 0.1
#: So much of an error's message a dead-letter queue gets.
_MESSAGE = 1024


def run_functions_in(python: Path) -> None:
    """Functions run in an interpreter of their own, without the server's packages or environment.

    MiniStack runs them on the server's, where a dependency that Lambda lacks would be found.
    """
    from ministack.core import lambda_runtime

    original = lambda_runtime._detect_runtime_binary

    def detect(runtime: str) -> tuple[str, str]:
        binary, script = original(runtime)
        return (str(python), script) if runtime.startswith("python") else (binary, script)

    lambda_runtime._detect_runtime_binary = detect
    # The worker's environment starts from the server's, which a function must not see;
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


def give_functions_secret_credentials() -> None:
    """The credentials of a function's role cannot be computed by another program.

    MiniStack derives them from the ARNs of function and role, which are no secrets.
    """
    from ministack.core import lambda_runtime
    from ministack.services import lambda_svc

    key = secrets.token_bytes(32)

    def derived(purpose: str, config: Mapping[str, Any]) -> str:
        text = f"{purpose}:{config.get('FunctionArn', '')}:{config.get('Role', '')}"
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()

    def credentials(config: Mapping[str, Any]) -> dict[str, str]:
        role = config.get("Role", "").rpartition("/")[2]
        account = str(config["FunctionArn"]).split(":")[4]
        session = str(config.get("FunctionName", "function"))[:64]
        return open_role_session(
            account,
            role,
            session,
            access_key=f"ASIA{derived('id', config)[:16].upper()}",
            secret=derived("secret", config),
            token=derived("token", config),
        )

    lambda_runtime.execution_credentials = credentials
    lambda_svc.execution_credentials = credentials


def keep_throttled_events() -> None:
    """A throttled asynchronous invocation waits until the function is free, or the event too old.

    MiniStack counts it as one of the function's few retries: many events at once end in the
    dead-letter queue, without the function having seen them.
    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
    """
    from ministack.services import lambda_svc

    start, execute = lambda_svc.invoke_async_with_retry, lambda_svc._execute_function
    # Zero for a synchronous call: its caller gets the throttle as the answer.
    given_up_at: ContextVar[float] = ContextVar("given_up_at", default=0.0)
    # By function: each end of an invocation wakes one waiting event. Thousands of polling threads
    # would leave no time for the work.
    turns: dict[str, threading.Condition] = {}
    waiting: Counter[str] = Counter()

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
                pause = _LONGEST_PAUSE + _PAUSE_PER_EVENT * waiting[name]
                waiting[name] += 1
                turn.wait(min(left, pause))
                waiting[name] -= 1

    lambda_svc.invoke_async_with_retry = start_waiting
    lambda_svc._execute_function = execute_in_turn


def find_unqualified_invoke_settings() -> None:
    """A function without a qualifier is its ``$LATEST``, also for its asynchronous invocation.

    MiniStack keeps ``AWS::Lambda::EventInvokeConfig`` of ``$LATEST`` apart from the unqualified
    one, and GetFunctionEventInvokeConfig does not find it.
    """
    from ministack.services import lambda_svc

    original = lambda_svc._event_invoke_config

    def find(function: Any, qualifier: str | None) -> Any:
        found = original(function, qualifier)
        if found is None and qualifier in (None, "", "$LATEST"):
            found = original(function, None if qualifier else "$LATEST")
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


def dead_letter_failed_events() -> None:
    """What a function failed on arrives in its dead-letter queue as it was, with attributes.

    MiniStack writes the record of an OnFailure destination there, which holds the event; a function
    that is sent the record again does not find the event.
    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html#invocation-dlq
    """
    from ministack.services import lambda_svc

    original = lambda_svc._route_async_failure

    def route(target: str, name: str, event: Any, result: Mapping[str, Any]) -> None:
        function = lambda_svc._functions.get(name) or {}
        queue = (function.get("config", {}).get("DeadLetterConfig") or {}).get("TargetArn")
        if target != queue or target.split(":")[2] != "sqs":
            original(target, name, event, result)
            return
        said = result.get("body")
        message = said.get("errorMessage", "") if isinstance(said, Mapping) else said or ""
        attributes: dict[str, str | int] = {
            "RequestID": str(uuid.uuid4()),
            # The status of the invocation, which a function's own error leaves as it is.
            "ErrorCode": 200,
            "ErrorMessage": str(message)[:_MESSAGE] or "Unhandled",
        }
        send_dead_letter(queue, json.dumps(event), attributes)

    lambda_svc._route_async_failure = route
