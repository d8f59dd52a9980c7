"""Runs jobs as SageMaker does, each in a process of its own.

The order is SageMaker's: inputs are downloaded with the role's credentials, the container's command
runs on ``/opt/ml``, outputs are uploaded, and an event reports each change of state. Here
``/opt/ml`` is a folder of the job; its path replaces that prefix wherever the request has it.
"""

from __future__ import annotations

import contextvars
import shutil
import threading
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Any

from localcloud.sagemaker import command, events, mlflow
from localcloud.sagemaker.jobs import processing, training
from localcloud.sagemaker.jobs.container import Container, JobError, JobStopped, jobs_folder
from localcloud.sagemaker.jobs.log_stream import LogStream
from localcloud.sagemaker.roles import session
from localcloud.sagemaker.settings import settings
from localcloud.sagemaker.store import LOCK, Record, now

_REASON_LIMIT = 1024
_DAY = 24 * 3600

_stops: dict[str, threading.Event] = {}
_waiting_or_running: dict[str, Future[None]] = {}


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(settings().parallel_jobs, thread_name_prefix="job")


def submit(kind: str, job: Record) -> None:
    """Queues a job; it starts as soon as fewer than ``parallel_jobs`` run."""
    job_arn = job[f"{kind}JobArn"]
    stop = _stops[job_arn] = threading.Event()
    context = contextvars.copy_context()
    _waiting_or_running[job_arn] = _pool().submit(context.run, _run, kind, job, stop)


def stop(kind: str, job: Record) -> None:
    """Asks a job to stop; one that has not started ends at once."""
    job_arn = job[f"{kind}JobArn"]
    future = _waiting_or_running.get(job_arn)
    if future and future.cancel():
        _forget(job_arn)
        end(kind, job, "Stopped")
    elif job_arn in _stops:
        _stops[job_arn].set()


def stop_all() -> None:
    """Asks every job to stop."""
    for asked in list(_stops.values()):
        asked.set()


def abandon_all() -> None:
    """Ends all jobs unfinished, because the server stops."""
    command.server_stopping.set()
    _pool().shutdown(wait=False, cancel_futures=True)


def remove_job_folders() -> None:
    """Removes the folders of jobs that the server's last stop interrupted."""
    shutil.rmtree(jobs_folder(), ignore_errors=True)


def end(
    kind: str, job: Record, status: str, *, secondary: str = "", reason: str = "", message: str = ""
) -> None:
    """Writes a job's final state and sends its event.

    Args:
        kind: ``Training`` or ``Processing``.
        job: The job's record.
        status: ``Completed``, ``Failed`` or ``Stopped``.
        secondary: A training job's SecondaryStatus where it is not the same.
        reason: Its FailureReason, cut to what SageMaker gives.
        message: Its ExitMessage, cut likewise.
    """
    with LOCK:
        job[f"{kind}JobStatus"] = status
        job["LastModifiedTime"] = job[f"{kind}EndTime"] = now()
        if reason:
            job["FailureReason"] = reason[:_REASON_LIMIT]
        if message and kind == "Processing":
            job["ExitMessage"] = message[:_REASON_LIMIT]
        if kind == "Training":
            training.enter(job, secondary or status, secondary or status)
            began = job.get("TrainingStartTime", now())
            job["TrainingTimeInSeconds"] = job["BillableTimeInSeconds"] = max(
                1, round(now() - began)
            )
    events.job_changed(kind, job)


def _run(kind: str, job: Record, stop: threading.Event) -> None:
    try:
        _run_job(kind, job, stop)
    except command.ServerStopping:
        # The next start of the server marks the job as failed.
        pass
    except JobStopped:
        end(kind, job, "Stopped")
    except JobError as error:
        if not command.server_stopping.is_set():
            end(kind, job, "Failed", reason=str(error))
    except Exception as error:
        # A fault of the local cloud itself must end the job too: its event is waited for.
        if not command.server_stopping.is_set():
            end(kind, job, "Failed", reason=f"InternalServerError: {type(error).__name__}: {error}")
        raise
    finally:
        _forget(job[f"{kind}JobArn"])


def _run_job(kind: str, job: Record, stop: threading.Event) -> None:
    name = job[f"{kind}JobName"]
    container = Container(name, kind, session(job["RoleArn"], f"SageMaker-{name}"), stop)
    log = LogStream.of(container.client("logs"), kind, name)
    work: Any = (training.TrainingWork if kind == "Training" else processing.ProcessingWork)(
        job, container, log
    )
    try:
        words, environment = work.prepare()
        mlflow.wait_until_ready(stop)
        if stop.is_set():
            raise JobStopped
        with LOCK:
            job[f"{kind}StartTime"] = now()
        last_lines: deque[str] = deque(maxlen=40)

        def on_line(line: str) -> None:
            last_lines.append(line)
            log.write(line)
            work.read_metrics(line)

        result = command.run(
            words,
            cwd=container.code if container.code.is_dir() else container.root,
            env=environment,
            stop=stop,
            on_line=on_line,
            on_poll=log.flush_if_due,
            limit=job.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", _DAY),
            grace=settings().stop_grace,
        )
        log.flush()
        work.upload(succeeded=result.status == 0)
        _conclude(kind, job, result, stop, container, last_lines)
    finally:
        log.flush()
        container.clean()


def _conclude(
    kind: str,
    job: Record,
    result: command.CommandResult,
    stop: threading.Event,
    container: Container,
    last_lines: deque[str],
) -> None:
    message = container.message()
    if stop.is_set():
        end(kind, job, "Stopped", message=message)
    elif result.timed_out:
        end(kind, job, "Stopped", secondary="MaxRuntimeExceeded", message=message)
    elif result.status == 0:
        end(kind, job, "Completed", message=message)
    else:
        lines = [line.strip() for line in last_lines if line.strip()]
        reason = container.failure() or " ".join(lines[-3:])[-800:]
        end(
            kind,
            job,
            "Failed",
            reason=f"AlgorithmError: {reason}, exit code: {result.status}",
            message=message,
        )


def _forget(job_arn: str) -> None:
    _stops.pop(job_arn, None)
    _waiting_or_running.pop(job_arn, None)
