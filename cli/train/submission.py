"""Submitting a sequence of jobs, each made from what those before it became."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from cli.console import print_json, print_line, print_stderr

if TYPE_CHECKING:
    from cli.train.job_sequence import PlannedJob
    from cli.train.options import TrainingRequest
    from registry.versions.packages import Package
    from training.submission.estimate import Estimate
    from training.submission.submit import TrainingPlan


@dataclass(frozen=True)
class SubmittedJob:
    """A job after it was submitted, or shown by a dry run.

    Attributes:
        document: The answer for machines.
        package: The version that it became; None where nobody waited for it.
    """

    document: dict[str, Any]
    package: Package | None = None


def run_jobs(request: TrainingRequest, jobs: Sequence[PlannedJob]) -> None:
    """Submits jobs one after the other and prints what came of them.

    The estimate of all jobs is printed, and confirmed by a person at a terminal, before the first
    is submitted. A dry run shows the first request only: each later job starts from weights that
    do not exist yet.

    Raises:
        CliError: The person said no, or a job cannot be submitted.
        JobFailed: A job that was waited for failed.
    """
    from cli.train.confirmation import confirm
    from cli.train.estimate import estimate_jobs, print_estimates

    estimates: list[Estimate | None] = []
    submitted: list[SubmittedJob] = []
    versions: dict[PlannedJob, Package] = {}
    for index, job in enumerate(jobs):
        following = jobs[index + 1 :]
        try:
            plan = training_plan(request, job, versions)
            if index == 0:
                estimates = estimate_jobs(request, plan, jobs)
                print_estimates(request, plan, jobs, estimates)
                confirm(request, estimates)
            waiting = replace(request, wait=request.wait or bool(following))
            done = _submit(waiting, plan, estimates[index])
        except (Exception, KeyboardInterrupt):
            if versions:
                newest = next(reversed(versions.values()))
                print_stderr(
                    f"cards: {newest.label} is registered; go on from there: "
                    f"{_resume_command(request, newest)}"
                )
                _print_documents(request, submitted)
            raise
        submitted.append(done)
        if request.dry_run and following:
            print_stderr(
                f"{following[0].short_title} can be shown once {job.short_title} is registered: "
                "it starts from its weights"
            )
            break
        if done.package is not None:
            versions[job] = done.package
    _print_documents(request, submitted)


def training_plan(
    request: TrainingRequest, job: PlannedJob, versions: Mapping[PlannedJob, Package]
) -> TrainingPlan:
    """The request for one job, once the jobs that it is made from are registered.

    Args:
        request: Card set, recipe and machines.
        job: The job.
        versions: What earlier jobs of the sequence became.

    Raises:
        SubmitError: SageMaker would not take it.
        CliError: The card set is not there, or the initial weights cannot be used.
    """
    from cli.train.job_sequence import PlannedJob
    from cli.train.page_facts import page_facts
    from training.submission import submit
    from training.submission.source import git_commit

    def registered(source: Package | PlannedJob | None) -> Package | None:
        return versions[source] if isinstance(source, PlannedJob) else source

    teacher, initial = registered(job.teacher), registered(job.initial)
    live, facts = page_facts(request, job, initial or teacher)
    weights = _initial_weights(request, job)
    cards_uri, cards_digest = _card_set(request)
    return submit.plan(
        request.aws.names,
        region=request.aws.region,
        kind=job.kind,
        cards_uri=cards_uri,
        cards_digest=cards_digest,
        recipe=request.recipe,
        stage=job.stage,
        teacher=teacher,
        initial=initial,
        compute=request.compute(),
        hyperparameters=request.hyperparameters,
        weights_uri=weights,
        commit=git_commit(),
        live=live,
        page_facts=facts,
    )


def job_document(job_name: str, package: Package | None) -> dict[str, Any]:
    """A submitted job for machines; the version's fields are null until it is registered."""
    return {
        "training_job": job_name,
        "model_package": package.arn if package else None,
        "name": package.label if package else None,
        "approval": package.approval if package else None,
    }


def _initial_weights(request: TrainingRequest, job: PlannedJob) -> str | None:
    """The address of the job's initial weights; a file is uploaded, but by a dry run."""
    from cli.train.initial_weights import weights_uri

    if job.weights is None or job.initial:
        return job.weights
    return weights_uri(
        request.aws.client("s3"),
        request.aws.deployment.training_bucket,
        job.weights,
        job.config,
        dry_run=request.dry_run,
    )


def _card_set(request: TrainingRequest) -> tuple[str, str | None]:
    """The card set's S3 prefix and digest; a folder is uploaded first, but by a dry run."""
    from pathlib import Path

    from cli.data.upload import card_set_uri, resolve, trainable

    bucket = request.aws.deployment.training_bucket
    if request.dry_run and not request.cards.startswith("s3://"):
        cards = trainable(Path(request.cards))
        return card_set_uri(bucket, cards), cards.digest
    return resolve(request.aws.client("s3"), bucket, request.cards, lambda sent, total: None)


def _submit(
    request: TrainingRequest, plan: TrainingPlan, estimate: Estimate | None
) -> SubmittedJob:
    """Submits a plan, and waits where that is asked for; a dry run only makes the request."""
    from cli.train.follow_job import watch
    from training.submission import submit

    expected = asdict(estimate) if estimate else None
    if request.dry_run:
        document = {
            "notes": list(plan.notes),
            "estimate": expected,
            "request": submit.request(plan),
        }
        return SubmittedJob(document)
    job_name = submit.submit(plan, request.aws.session)
    if not request.as_json:
        print_line(f"training job {job_name}")
    package = watch(request.aws, job_name, quiet=request.as_json) if request.wait else None
    if not request.as_json and not package:
        print_line(f"follow it: cards train watch {job_name}")
    return SubmittedJob({**job_document(job_name, package), "estimate": expected}, package)


def _resume_command(request: TrainingRequest, newest: Package) -> str:
    """The command for all stages that are still to come after a sequence was interrupted."""
    stage = "2" if newest.name is not None and newest.name.stage == "stage1" else "both"
    words = ("--stage", stage, "--parent", newest.label, "--cards", request.cards)
    command = shlex.join(("cards", "train", "student", *words, "--recipe", request.recipe))
    return f"{command} (and your other options)"


def _print_documents(request: TrainingRequest, submitted: Sequence[SubmittedJob]) -> None:
    """Prints for machines: one document, or a list where several jobs were submitted."""
    if request.as_json or request.dry_run:
        documents = [each.document for each in submitted]
        print_json(documents if len(documents) > 1 else documents[0])
