"""``cards train``: teachers and students, through SageMaker."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.aws import DEFAULT_ENVIRONMENT, Aws, Environment
from cli.errors import CliError
from cli.options import AsJson

if TYPE_CHECKING:
    from cli.console import Activity
    from registry.packages import Package
    from training.submit import TrainingPlan
    from training.watch import JobUpdate

app = typer.Typer(
    no_args_is_help=True,
    help="""
    Sends training jobs to SageMaker; what they make is registered by itself when they have ended.

    \b
    cards train teacher --cards s3://BUCKET/cards/DIGEST/ --wait
    cards train student --cards s3://BUCKET/cards/DIGEST/ --stage both --wait
    cards train student --cards my-cards/ --stage 2 --parent student-efficientnet-lite0-stage1-v3
    cards train teacher --cards my-cards/ --recipe full --instance ml.p4d.24xlarge --dry-run
    """,
)


#: Seconds from a job's end within which its model must be registered.
PATIENCE = 120.0


class Stage(StrEnum):
    """Which stages of a student are trained."""

    one = "1"
    two = "2"
    both = "both"


Cards = Annotated[
    str,
    typer.Option(
        help="The card set: an S3 prefix, or a folder, which is pushed first.", show_default=False
    ),
]
Recipe = Annotated[
    str, typer.Option(help="Sizes, steps and losses: tiny, demo, full, or another recipe's name.")
]
Instance = Annotated[
    str | None,
    typer.Option(help="SageMaker instance; by default the one that the recipe is meant for."),
]
Count = Annotated[int, typer.Option(min=1, help="How many instances.")]
Spot = Annotated[
    bool, typer.Option("--spot", help="Use spare capacity: cheaper, may be interrupted.")
]
HyperParameters = Annotated[
    list[str] | None,
    typer.Option("--hp", metavar="KEY=VALUE", help="One setting on top of the recipe; repeatable."),
]
Wait = Annotated[bool, typer.Option("--wait", help="Follow the log until the model is registered.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print what would be sent to SageMaker; send nothing.")
]


@dataclass(frozen=True)
class Order:
    """What both commands are asked for."""

    aws: Aws
    cards: str
    recipe: str
    instance: str | None
    count: int
    spot: bool
    hyperparameters: dict[str, Any]
    wait: bool
    dry_run: bool
    as_json: bool


@dataclass(frozen=True)
class Sent:
    """What came of a plan: its document for machines, and the version that it became."""

    document: dict[str, Any]
    package: Package | None = None


@app.command(epilog="Example: cards train teacher --cards my-cards/ --recipe demo --wait")
def teacher(
    cards: Cards,
    recipe: Recipe = "full",
    instance: Instance = None,
    count: Count = 1,
    spot: Spot = False,
    hp: HyperParameters = None,
    wait: Wait = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Trains a teacher: the large network that students are distilled from."""
    order = _order(environment, cards, recipe, instance, count, spot, hp, wait, dry_run, as_json)
    _report(order, [_run(order, _plan(order, "teacher"))])


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
    instance: Instance = None,
    count: Count = 1,
    spot: Spot = False,
    hp: HyperParameters = None,
    wait: Wait = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Distils a student in two stages: the small network that runs on the device.

    \b
    stage 1  general feature distillation from the teacher
    stage 2  task-specific fine-tuning, from stage 1
    """
    from cli.console import complain
    from cli.parents import initial_for, teacher_for, teacher_of
    from cli.parents import parent as find

    order = _order(environment, cards, recipe, instance, count, spot, hp, wait, dry_run, as_json)
    aws = order.aws
    given = find(aws, parent) if parent else None
    if stage is Stage.two:
        initial = given or initial_for(aws)
        plan = _plan(order, "student", stage=2, teacher=teacher_of(aws, initial), initial=initial)
        _report(order, [_run(order, plan)])
        return
    source = given or teacher_for(aws)
    first = _plan(order, "student", stage=1, teacher=source)
    if stage is Stage.both and not dry_run:
        # Stage 2 starts from what stage 1 made, so that is waited for in any case.
        made = _run(replace(order, wait=True), first)
        second = _plan(order, "student", stage=2, teacher=source, initial=made.package)
        _report(order, [made, _run(order, second)])
        return
    _report(order, [_run(order, first)])
    if stage is Stage.both:
        complain("stage 2 can be shown once stage 1 is registered: it starts from its weights")


@app.command(epilog="Example: cards train watch teacher-demo-20260102-030405-6789")
def watch(
    job_name: Annotated[str, typer.Argument(help="The training job.", show_default=False)],
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Follows a training job's log until its model is registered."""
    _watch(Aws(environment), job_name, quiet=False)


def follow(aws: Aws, job_name: str, tell: Callable[[JobUpdate], None]) -> Package:
    """Waits until a training job's model is registered; the demo waits in the same way.

    Raises:
        JobFailed: The job failed or was stopped.
        CliError: It was not registered; with what the function that registers said.
    """
    from cli.automation_log import why
    from training.watch import WaitTimeout, Watcher, wait_until_registered

    watcher = Watcher(
        aws.client("sagemaker"), aws.client("logs"), interval=1.0 if aws.is_local else 10.0
    )
    try:
        return wait_until_registered(
            job_name, tell, watcher=watcher, group=aws.deployment.group_name, timeout=PATIENCE
        )
    except WaitTimeout as error:
        raise CliError(f"{error}; {why(aws, 'RegisterModel')}") from None


def _order(
    environment: str,
    cards: str,
    recipe: str,
    instance: str | None,
    count: int,
    spot: bool,
    hp: list[str] | None,
    wait: bool,
    dry_run: bool,
    as_json: bool,
) -> Order:
    settings = parse_hyperparameters(hp or [])
    return Order(
        Aws(environment),
        cards,
        recipe,
        instance,
        count,
        spot,
        settings,
        wait,
        dry_run,
        as_json,
    )


def parse_hyperparameters(pairs: list[str]) -> dict[str, Any]:
    """Reads ``key=value`` pairs; a value that is JSON is taken as such, anything else as text.

    Raises:
        CliError: A pair without ``=``, or a key twice.
    """
    settings: dict[str, Any] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise CliError(f"--hp {pair}: must be KEY=VALUE, such as --hp epochs=3")
        if key in settings:
            raise CliError(f"--hp {key}: is given twice")
        try:
            settings[key] = json.loads(text)
        except ValueError:
            settings[key] = text
    return settings


def _plan(
    order: Order,
    kind: str,
    *,
    stage: int | None = None,
    teacher: Package | None = None,
    initial: Package | None = None,
) -> TrainingPlan:
    from cli.card_upload import card_set_uri, resolve, trainable
    from training import submit
    from training.source import git_commit

    aws = order.aws
    compute = submit.default_compute(order.recipe)
    compute = replace(
        compute,
        instance_type=order.instance or compute.instance_type,
        instance_count=order.count,
        spot=order.spot,
    )
    bucket = aws.deployment.training_bucket
    if order.dry_run and not order.cards.startswith("s3://"):
        from pathlib import Path

        cards_uri = card_set_uri(bucket, trainable(Path(order.cards)))
    else:
        cards_uri = resolve(aws.client("s3"), bucket, order.cards, lambda sent, total: None)
    return submit.plan(
        aws.deployment,
        region=aws.region,
        kind=kind,
        cards_uri=cards_uri,
        recipe=order.recipe,
        stage=stage,
        teacher=teacher,
        initial=initial,
        compute=compute,
        hyperparameters=order.hyperparameters,
        commit=git_commit(),
    )


def _run(order: Order, plan: TrainingPlan) -> Sent:
    """Sends a plan, and waits where that is asked for; a dry run only makes the request."""
    from cli.console import say
    from training import submit

    if order.dry_run:
        return Sent({"notes": list(plan.notes), "request": submit.request(plan)})
    job_name = submit.submit(plan, order.aws.session)
    if not order.as_json:
        machines = f"{plan.compute.instance_count} × {plan.compute.instance_type}"
        say(f"training job {job_name} on {machines}")
    package = _watch(order.aws, job_name, quiet=order.as_json) if order.wait else None
    if not order.as_json and not package:
        say(f"follow it: cards train watch {job_name}")
    return Sent(
        {
            "training_job": job_name,
            "model_package": package.arn if package else None,
            "name": package.label if package else None,
            "approval": package.approval if package else None,
        },
        package,
    )


def _report(order: Order, sent: list[Sent]) -> None:
    """Prints for machines: one document, or a list where two stages were trained."""
    from cli.console import print_json

    if order.as_json or order.dry_run:
        documents = [each.document for each in sent]
        print_json(documents if len(documents) > 1 else documents[0])


def _watch(aws: Aws, job_name: str, quiet: bool) -> Package:
    """Follows a job to its registration; Ctrl-C leaves the job alone and says how to go on."""
    from cli.console import activity, complain, say

    try:
        if quiet:
            return follow(aws, job_name, lambda update: None)
        with activity(job_name, interval=30) as task:
            package = follow(aws, job_name, lambda update: _show(task, update))
    except KeyboardInterrupt:
        complain(
            f"cards: {job_name} goes on by itself; watch it: cards train watch {job_name}; stop "
            f"it: aws sagemaker stop-training-job --training-job-name {job_name}"
        )
        raise
    say(f"registered {package.label} ({package.approval})")
    say(f"  {package.description}")
    return package


def _show(task: Activity, update: JobUpdate) -> None:
    for line in update.lines:
        task.log(line)
    task.update(update.detail or update.status)
