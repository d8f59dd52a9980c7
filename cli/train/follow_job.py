"""Following a training job until its model is registered, or until Ctrl-C."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from cli.errors import CliError

if TYPE_CHECKING:
    from cli.aws import AwsSession
    from cli.console import Activity
    from registry.versions.packages import Package
    from training.submission.watch import JobUpdate

#: How far a job is, in its log; see training/reporting/progress.py.
_STEP = re.compile(r"\bstep=(\d{1,9})/(\d{1,9})\b")
#: Seconds from a job's end within which its model must be registered.
PATIENCE = 120.0


def follow(aws: AwsSession, job_name: str, progress: Callable[[JobUpdate], None]) -> Package:
    """Waits until a training job's model is registered; the demo waits in the same way.

    Raises:
        JobFailed: The job failed or was stopped.
        CliError: It was not registered; with what the function that registers said.
    """
    from cli.automation_functions import last_error
    from training.submission.watch import WaitTimeout, Watcher, wait_until_registered

    watcher = Watcher(
        aws.client("sagemaker"), aws.client("logs"), interval=1.0 if aws.is_local else 10.0
    )
    try:
        return wait_until_registered(
            job_name, progress, watcher=watcher, group=aws.deployment.group_name, timeout=PATIENCE
        )
    except WaitTimeout as error:
        raise CliError(f"{error}; {last_error(aws, 'RegisterModel')}") from None


def watch(aws: AwsSession, job_name: str, quiet: bool) -> Package:
    """Follows a job to its registration; Ctrl-C stops the job only after a yes."""
    from cli.console import activity, print_line, print_stderr
    from cli.train.confirmation import wants_to_stop

    try:
        if quiet:
            return follow(aws, job_name, lambda update: None)
        with activity(job_name, interval=30) as task:
            package = follow(aws, job_name, JobProgress(task))
    except KeyboardInterrupt:
        if wants_to_stop(job_name):
            print_stderr(f"cards: {_stop(aws, job_name)}")
        else:
            print_stderr(
                f"cards: {job_name} goes on by itself; watch it: cards train watch {job_name}; "
                f"stop it: aws sagemaker stop-training-job --training-job-name {job_name}"
            )
        raise
    print_line(f"registered {package.label} ({package.approval})")
    print_line(f"  {package.description}")
    return package


def _stop(aws: AwsSession, job_name: str) -> str:
    """Stops a job and returns the result; a job that has just ended cannot be stopped."""
    from botocore.exceptions import BotoCoreError, ClientError

    from cli.errors import describe

    try:
        aws.client("sagemaker").stop_training_job(TrainingJobName=job_name)
    except (BotoCoreError, ClientError) as error:
        return f"{job_name} was not stopped: {describe(error)}"
    return f"{job_name} is being stopped; go on: cards train resume {job_name}"


class JobProgress:
    """Shows a job's updates: the lines of its log, and a bar of the steps that they report."""

    def __init__(self, task: Activity) -> None:
        self._task = task
        self._steps = ""

    def __call__(self, update: JobUpdate) -> None:
        from cli.console import bar

        for line in update.lines:
            self._task.log(line)
            if found := _STEP.search(line):
                done, total = int(found[1]), int(found[2])
                self._steps = f"{bar(done, total)} step {done} of {total}"
        training = update.detail in ("", "Training")
        self._task.update(
            self._steps if training and self._steps else update.detail or update.status
        )
