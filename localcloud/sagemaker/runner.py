"""Runs jobs as SageMaker does, each in a process of its own.

Order of things, as in SageMaker: inputs are downloaded with the role's credentials, the container's
command runs with ``/opt/ml`` in front of it, outputs are uploaded, the state changes are told. Here
``/opt/ml`` is a folder of the job, and its path replaces that prefix wherever the request has it.
"""

from __future__ import annotations

import contextlib
import contextvars
import os
import signal
import subprocess
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from localcloud.sagemaker import events, mlflow, processing, training
from localcloud.sagemaker.container import Container, JobError
from localcloud.sagemaker.roles import session
from localcloud.sagemaker.settings import settings
from localcloud.sagemaker.store import LOCK, Record, now

#: Seconds between SIGTERM and SIGKILL, as SageMaker gives them.
GRACE = 120.0
_REASON_LIMIT = 1024
_TAIL_LINES = 40

_pool = ThreadPoolExecutor(settings().parallel_jobs, thread_name_prefix="job")
_processes: dict[str, subprocess.Popen[str]] = {}
_stops: dict[str, threading.Event] = {}


def submit(kind: str, job: Record) -> None:
    """Queues a job; it starts when one of the places is free."""
    _stops[job[f"{kind}JobArn"]] = threading.Event()
    _pool.submit(contextvars.copy_context().run, _run, kind, job)


def stop(job_arn: str) -> None:
    """Asks a job to stop: SIGTERM now, SIGKILL after the grace."""
    stopped = _stops.get(job_arn)
    if stopped:
        stopped.set()
    process = _processes.get(job_arn)
    if process and process.poll() is None:
        _signal(process, signal.SIGTERM)
        killer = threading.Timer(GRACE, _signal, (process, signal.SIGKILL))
        killer.daemon = True
        killer.start()


def stop_all() -> None:
    """Ends every process at once; for the local cloud's own end."""
    for process in list(_processes.values()):
        _signal(process, signal.SIGKILL)
    _pool.shutdown(wait=False, cancel_futures=True)


def end(kind: str, job: Record, status: str, *, reason: str = "", message: str = "") -> None:
    """Writes a job's last state and tells it."""
    with LOCK:
        job[f"{kind}JobStatus"] = status
        job["LastModifiedTime"] = job[f"{kind}EndTime"] = now()
        if reason:
            job["FailureReason"] = reason[:_REASON_LIMIT]
        if message:
            job["ExitMessage"] = message[:_REASON_LIMIT]
        if kind == "Training":
            secondary(job, status, status)
            job["TrainingTimeInSeconds"] = job["BillableTimeInSeconds"] = round(
                now() - job.get("TrainingStartTime", now())
            )
    events.job_changed(kind, job)


def secondary(job: Record, status: str, message: str) -> None:
    """Appends to a training job's SecondaryStatusTransitions."""
    job["SecondaryStatus"] = status
    transitions = job.setdefault("SecondaryStatusTransitions", [])
    if transitions and "EndTime" not in transitions[-1]:
        transitions[-1]["EndTime"] = now()
    transitions.append({"Status": status, "StartTime": now(), "StatusMessage": message})


def _run(kind: str, job: Record) -> None:
    job_arn = job[f"{kind}JobArn"]
    name = job[f"{kind}JobName"]
    work = {"Training": training, "Processing": processing}[kind]
    stopped = _stops[job_arn]
    container = Container(name, kind, session(job["RoleArn"], f"SageMaker-{name}"))
    try:
        if stopped.is_set():
            end(kind, job, "Stopped")
            return
        if kind == "Training":
            secondary(job, "Downloading", "Downloading input data")
        command, environment = work.prepare(job, container)
        mlflow.wait_until_ready()
        with LOCK:
            job[f"{kind}StartTime"] = now()
            if kind == "Training":
                secondary(job, "Training", "Training image download completed")
        status, tail, timed_out = _execute(job, job_arn, command, environment, container, stopped)
        if kind == "Training":
            secondary(job, "Uploading", "Uploading generated training model")
        work.upload(job, container, succeeded=status == 0)
        if stopped.is_set():
            end(kind, job, "Stopped")
        elif timed_out:
            late = "Stopped" if kind == "Training" else "Failed"
            if kind == "Training":
                secondary(job, "MaxRuntimeExceeded", "MaxRuntimeExceeded")
            end(kind, job, late, reason="MaxRuntimeExceeded: the job ran longer than it may")
        elif status == 0:
            end(kind, job, "Completed", message=container.message())
        else:
            reason = container.failure() or tail
            end(
                kind,
                job,
                "Failed",
                reason=f"AlgorithmError: {reason}, exit code: {status}",
                message=container.message(),
            )
    except JobError as error:
        end(kind, job, "Failed", reason=str(error))
    except Exception as error:
        # A fault of the local cloud itself must end the job too, or people wait for ever.
        end(kind, job, "Failed", reason=f"InternalServerError: {type(error).__name__}: {error}")
        raise
    finally:
        _processes.pop(job_arn, None)
        _stops.pop(job_arn, None)
        container.clean()


def _execute(
    job: Record,
    job_arn: str,
    command: list[str],
    environment: dict[str, str],
    container: Container,
    stopped: threading.Event,
) -> tuple[int, str, bool]:
    """Runs the command; returns its exit code, its last lines, and whether time ran out."""
    limit = job.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", 24 * 3600)
    try:
        process = subprocess.Popen(
            command,
            cwd=container.code if container.code.is_dir() else container.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise JobError(f"AlgorithmError: cannot run {command[0]}: {error.strerror}") from error
    _processes[job_arn] = process
    if stopped.is_set():
        _signal(process, signal.SIGTERM)
    timer = threading.Timer(limit, _signal, (process, signal.SIGTERM))
    timer.daemon = True
    timer.start()
    began = time.monotonic()
    tail: deque[str] = deque(maxlen=_TAIL_LINES)
    try:
        assert process.stdout is not None
        with container.log() as log:
            for line in process.stdout:
                tail.append(line)
                log.write(line)
                if "MetricDefinitions" in job.get("AlgorithmSpecification", {}):
                    training.record_metrics(job, line)
        status = process.wait()
    finally:
        timer.cancel()
    timed_out = time.monotonic() - began >= limit
    words = [line.strip() for line in tail if line.strip()]
    return status, " ".join(words[-3:])[-800:], timed_out


def _signal(process: subprocess.Popen[Any], which: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, which)


def jobs_folder() -> Path:
    """Where jobs have their folders while they run."""
    return settings().state_dir / "jobs"
