"""``cards train``: teachers and students, through SageMaker."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from cli.aws import DEFAULT_ENVIRONMENT, AwsSession, Environment
from cli.options import AsJson
from cli.train import follow_job
from cli.train.job_sequence import plan_jobs
from cli.train.options import (
    Cards,
    Count,
    DryRun,
    Groups,
    HyperParameters,
    Instance,
    KeepAlive,
    KmsKey,
    MaxRun,
    MaxWait,
    Message,
    Recipe,
    Spot,
    Subnets,
    Tags,
    TrainingRequest,
    Volume,
    Wait,
    Weights,
    Yes,
    checked_message,
    machines,
    parse_hyperparameters,
)
from cli.train.submission import job_document, run_jobs

app = typer.Typer(
    no_args_is_help=True,
    help="""
    Sends training jobs to SageMaker; their models are registered automatically.

    \b
    cards train teacher --cards s3://BUCKET/cards/DIGEST/ --wait
    cards train student --cards s3://BUCKET/cards/DIGEST/ --stage both --wait
    cards train student --cards my-cards/ --stage 2 --parent student-efficientnet-lite0-stage1-v3
    cards train both --cards my-cards/ --recipe full --instance ml.p4d.24xlarge --dry-run
    """,
)


class Stage(StrEnum):
    """Which stages of a student are trained."""

    one = "1"
    two = "2"
    both = "both"


@app.command(epilog="Example: cards train teacher --cards my-cards/ --recipe demo --wait")
def teacher(
    cards: Cards,
    recipe: Recipe = "full",
    hp: HyperParameters = None,
    weights: Weights = None,
    message: Message = "",
    wait: Wait = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    environment: Environment = DEFAULT_ENVIRONMENT,
    instance: Instance = None,
    count: Count = 1,
    spot: Spot = False,
    max_run: MaxRun = 24,
    max_wait: MaxWait = None,
    volume: Volume = 100,
    keep_alive: KeepAlive = 0,
    subnet: Subnets = None,
    security_group: Groups = None,
    kms_key: KmsKey = None,
    tag: Tags = None,
) -> None:
    """Trains a teacher: the large network that students are distilled from."""
    compute = machines(instance, count, spot, max_run, max_wait, volume, keep_alive,
                       subnet, security_group, kms_key, tag)  # fmt: skip
    request = TrainingRequest(AwsSession(environment), cards, recipe, compute,
                              parse_hyperparameters(hp or []), weights, wait, dry_run, yes,
                              as_json, checked_message(message))  # fmt: skip
    run_jobs(request, plan_jobs(request, train_teacher=True))


@app.command(epilog="Example: cards train student --cards my-cards/ --stage both --wait")
def student(
    cards: Cards,
    stage: Annotated[Stage, typer.Option(help="both: stage 2 follows stage 1.")] = Stage.both,
    parent: Annotated[
        str | None,
        typer.Option(
            help="Name or ARN of what it is made from: a teacher for stage 1, a stage-1 student "
            "for stage 2. By default the newest approved teacher, the newest stage-1 student.",
        ),
    ] = None,
    recipe: Recipe = "full",
    hp: HyperParameters = None,
    weights: Weights = None,
    message: Message = "",
    wait: Wait = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    environment: Environment = DEFAULT_ENVIRONMENT,
    instance: Instance = None,
    count: Count = 1,
    spot: Spot = False,
    max_run: MaxRun = 24,
    max_wait: MaxWait = None,
    volume: Volume = 100,
    keep_alive: KeepAlive = 0,
    subnet: Subnets = None,
    security_group: Groups = None,
    kms_key: KmsKey = None,
    tag: Tags = None,
) -> None:
    """Distils a student in two stages: the small network that runs on the device.

    \b
    stage 1  general feature distillation from the teacher
    stage 2  task-specific fine-tuning, from stage 1
    """
    from cli.find_version import find_initial, find_parent, find_teacher, find_teacher_of

    compute = machines(instance, count, spot, max_run, max_wait, volume, keep_alive,
                       subnet, security_group, kms_key, tag)  # fmt: skip
    request = TrainingRequest(AwsSession(environment), cards, recipe, compute,
                              parse_hyperparameters(hp or []), weights, wait, dry_run, yes,
                              as_json, checked_message(message))  # fmt: skip
    given = find_parent(request.aws, parent) if parent else None
    if stage is Stage.two:
        initial = given or find_initial(request.aws)
        jobs = plan_jobs(
            request, stages=(2,), teacher=find_teacher_of(request.aws, initial), initial=initial
        )
    else:
        stages = (1, 2) if stage is Stage.both else (1,)
        jobs = plan_jobs(request, stages=stages, teacher=given or find_teacher(request.aws))
    run_jobs(request, jobs)


@app.command(epilog="Example: cards train both --cards my-cards/ --instance ml.p4d.24xlarge --yes")
def both(
    cards: Cards,
    recipe: Recipe = "full",
    hp: HyperParameters = None,
    weights: Weights = None,
    message: Message = "",
    yes: Yes = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    environment: Environment = DEFAULT_ENVIRONMENT,
    instance: Instance = None,
    count: Count = 1,
    spot: Spot = False,
    max_run: MaxRun = 24,
    max_wait: MaxWait = None,
    volume: Volume = 100,
    keep_alive: KeepAlive = 0,
    subnet: Subnets = None,
    security_group: Groups = None,
    kms_key: KmsKey = None,
    tag: Tags = None,
) -> None:
    """Trains a teacher, then both stages of a student of that very teacher, one after the other.

    Like every teacher it is registered as approved; cards train student takes
    the newest approved teacher, unless its --parent names another.
    """
    compute = machines(instance, count, spot, max_run, max_wait, volume, keep_alive,
                       subnet, security_group, kms_key, tag)  # fmt: skip
    request = TrainingRequest(AwsSession(environment), cards, recipe, compute,
                              parse_hyperparameters(hp or []), weights, True, dry_run, yes,
                              as_json, checked_message(message))  # fmt: skip
    run_jobs(request, plan_jobs(request, train_teacher=True, stages=(1, 2)))


@app.command(epilog="Example: cards train resume student-stage1-full-20260102-030405-6789 --wait")
def resume(
    job_name: Annotated[
        str, typer.Argument(help="A job that was stopped or failed.", show_default=False)
    ],
    wait: Wait = False,
    as_json: AsJson = False,
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Goes on with a job that was stopped: the same job anew, from the old one's checkpoints.

    A job whose spare capacity was taken away needs no help: SageMaker starts it again by itself.
    """
    from cli.console import print_json, print_line
    from training.submission import resume as resume_job

    aws = AwsSession(environment)
    user = aws.client("sts").get_caller_identity()["UserId"]
    name = resume_job.resume(aws.client("sagemaker"), job_name, user)
    package = None
    if not as_json:
        print_line(f"training job {name}, from the checkpoints of {job_name}")
    if wait:
        package = follow_job.watch(aws, name, quiet=as_json)
    elif not as_json:
        print_line(f"follow it: cards train watch {name}")
    if as_json:
        print_json(job_document(name, package))


@app.command(epilog="Example: cards train watch teacher-demo-20260102-030405-6789")
def watch(
    job_name: Annotated[str, typer.Argument(help="The training job.", show_default=False)],
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Follows a training job's log until its model is registered."""

    follow_job.watch(AwsSession(environment), job_name, quiet=False)
