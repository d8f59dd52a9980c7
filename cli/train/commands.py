"""``cards train``: teachers and students, through SageMaker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.aws import DEFAULT_ENVIRONMENT, AwsSession, Environment
from cli.options import AsJson
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
    Order,
    Recipe,
    Spot,
    Subnets,
    Tags,
    Volume,
    Wait,
    Weights,
    Yes,
    machines,
    parse_hyperparameters,
)

if TYPE_CHECKING:
    from registry.versions.packages import Package
    from training.submission.estimate import Estimate
    from training.submission.submit import TrainingPlan

app = typer.Typer(
    no_args_is_help=True,
    help="""
    Sends training jobs to SageMaker; what they make is registered by itself when they have ended.

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


@dataclass(frozen=True)
class Sent:
    """What came of a plan: its document for machines, and the version that it became."""

    document: dict[str, Any]
    package: Package | None = None


@dataclass(frozen=True)
class Step:
    """One job of a chain: which it is, and its plan once those before it are registered."""

    kind: str
    stage: int | None
    plan: Callable[[list[Package]], TrainingPlan]

    @property
    def name(self) -> str:
        """What it is called beside the others of its chain."""
        return f"stage {self.stage}" if self.stage else "the teacher"


@app.command(epilog="Example: cards train teacher --cards my-cards/ --recipe demo --wait")
def teacher(
    cards: Cards,
    recipe: Recipe = "full",
    hp: HyperParameters = None,
    weights: Weights = None,
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
    asked = machines(instance, count, spot, max_run, max_wait, volume, keep_alive,
                     subnet, security_group, kms_key, tag)  # fmt: skip
    order = Order(AwsSession(environment), cards, recipe, asked, parse_hyperparameters(hp or []),
                  weights, wait, dry_run, yes, as_json)  # fmt: skip
    _report(order, _chain(order, [_teacher(order)]))


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
    from cli.find_version import initial_for, teacher_for, teacher_of
    from cli.find_version import parent as find

    asked = machines(instance, count, spot, max_run, max_wait, volume, keep_alive,
                     subnet, security_group, kms_key, tag)  # fmt: skip
    order = Order(AwsSession(environment), cards, recipe, asked, parse_hyperparameters(hp or []),
                  weights, wait, dry_run, yes, as_json)  # fmt: skip
    given = find(order.aws, parent) if parent else None
    if stage is Stage.two:
        initial = given or initial_for(order.aws)
        taught_by = teacher_of(order.aws, initial)
        steps = [
            Step(
                "student",
                2,
                lambda made: _plan(order, "student", 2, taught_by, initial, order.weights),
            )
        ]
    else:
        source = given or teacher_for(order.aws)
        steps = [
            Step(
                "student", 1, lambda made: _plan(order, "student", 1, source, weights=order.weights)
            )
        ]
        if stage is Stage.both:
            steps.append(
                Step("student", 2, lambda made: _plan(order, "student", 2, source, made[-1]))
            )
    _report(order, _chain(order, steps))


@app.command(epilog="Example: cards train both --cards my-cards/ --instance ml.p4d.24xlarge --yes")
def both(
    cards: Cards,
    recipe: Recipe = "full",
    hp: HyperParameters = None,
    weights: Weights = None,
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

    The teacher is not approved for it: that is for a person to do, and decides which teacher later
    students are made from.
    """
    asked = machines(instance, count, spot, max_run, max_wait, volume, keep_alive,
                     subnet, security_group, kms_key, tag)  # fmt: skip
    order = Order(AwsSession(environment), cards, recipe, asked, parse_hyperparameters(hp or []),
                  weights, True, dry_run, yes, as_json)  # fmt: skip
    _report(
        order,
        _chain(
            order,
            [
                _teacher(order),
                Step("student", 1, lambda made: _plan(order, "student", 1, made[0])),
                Step("student", 2, lambda made: _plan(order, "student", 2, made[0], made[1])),
            ],
        ),
    )


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
    from cli.train.follow_job import watch as see
    from training.submission.resume import resume as again

    aws = AwsSession(environment)
    name = again(aws.client("sagemaker"), job_name)
    package = None
    if not as_json:
        print_line(f"training job {name}, from the checkpoints of {job_name}")
    if wait:
        package = see(aws, name, quiet=as_json)
    elif not as_json:
        print_line(f"follow it: cards train watch {name}")
    if as_json:
        print_json(_sent(name, package))


@app.command(epilog="Example: cards train watch teacher-demo-20260102-030405-6789")
def watch(
    job_name: Annotated[str, typer.Argument(help="The training job.", show_default=False)],
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Follows a training job's log until its model is registered."""
    from cli.train.follow_job import watch as see

    see(AwsSession(environment), job_name, quiet=False)


def _plan(
    order: Order,
    kind: str,
    stage: int | None = None,
    teacher: Package | None = None,
    initial: Package | None = None,
    weights: str | None = None,
) -> TrainingPlan:
    from cli.data.upload import card_set_uri, resolve, trainable
    from training.submission import submit
    from training.submission.source import git_commit

    aws = order.aws
    bucket = aws.deployment.training_bucket
    if order.dry_run and not order.cards.startswith("s3://"):
        from pathlib import Path

        cards_uri = card_set_uri(bucket, trainable(Path(order.cards)))
    else:
        cards_uri = resolve(aws.client("s3"), bucket, order.cards, lambda sent, total: None)
    return submit.plan(
        aws.names,
        region=aws.region,
        kind=kind,
        cards_uri=cards_uri,
        recipe=order.recipe,
        stage=stage,
        teacher=teacher,
        initial=initial,
        compute=order.compute(),
        hyperparameters=order.hyperparameters,
        weights_uri=weights,
        commit=git_commit(),
    )


def _teacher(order: Order) -> Step:
    return Step("teacher", None, lambda made: _plan(order, "teacher", weights=order.weights))


def _chain(order: Order, steps: Sequence[Step]) -> list[Sent]:
    """Sends jobs one after the other, each made from what those before it became.

    What all of them will take is said, and asked about, before the first is sent. A dry run shows
    those that can be shown: a job that starts from another's weights has to wait for them.
    """
    from cli.console import print_stderr
    from cli.train.estimate import agreed, announce, jobs

    following = jobs(order, [(step.kind, step.stage) for step in steps])
    estimates: list[Estimate | None] = []
    sent: list[Sent] = []
    made: list[Package] = []
    for place, step in enumerate(steps):
        last = place == len(steps) - 1
        try:
            plan = step.plan(made)
            if not place:
                estimates = announce(order, plan, following)
                agreed(order, estimates)
            waiting = replace(order, wait=order.wait or not last)
            done = _run(waiting, plan, estimates[place])
        except (Exception, KeyboardInterrupt):
            if made:
                print_stderr(
                    f"cards: {made[-1].label} is registered; go on from there: {_next(order, made)}"
                )
                _report(order, sent)
            raise
        sent.append(done)
        if order.dry_run and not last:
            print_stderr(
                f"{steps[place + 1].name} can be shown once {step.name} is registered: it starts "
                "from its weights"
            )
            break
        if done.package is not None:
            made.append(done.package)
    return sent


def _next(order: Order, made: list[Package]) -> str:
    """The command that goes on after a chain broke: with all stages that are still to come."""
    import shlex

    name = made[-1].name
    stage = "2" if name is not None and name.stage == "stage1" else "both"
    words = ("--stage", stage, "--parent", made[-1].label, "--cards", order.cards)
    command = shlex.join(("cards", "train", "student", *words, "--recipe", order.recipe))
    return f"{command} (and your other options)"


def _run(order: Order, plan: TrainingPlan, estimate: Estimate | None) -> Sent:
    """Sends a plan, and waits where that is asked for; a dry run only makes the request."""
    from dataclasses import asdict

    from cli.console import print_line
    from cli.train.follow_job import watch as see
    from training.submission import submit

    told = asdict(estimate) if estimate else None
    if order.dry_run:
        return Sent({"notes": list(plan.notes), "estimate": told, "request": submit.request(plan)})
    job_name = submit.submit(plan, order.aws.session)
    if not order.as_json:
        print_line(f"training job {job_name}")
    package = see(order.aws, job_name, quiet=order.as_json) if order.wait else None
    if not order.as_json and not package:
        print_line(f"follow it: cards train watch {job_name}")
    return Sent({**_sent(job_name, package), "estimate": told}, package)


def _sent(job_name: str, package: Package | None) -> dict[str, Any]:
    return {
        "training_job": job_name,
        "model_package": package.arn if package else None,
        "name": package.label if package else None,
        "approval": package.approval if package else None,
    }


def _report(order: Order, sent: list[Sent]) -> None:
    """Prints for machines: one document, or a list where several jobs were sent."""
    from cli.console import print_json

    if order.as_json or order.dry_run:
        documents = [each.document for each in sent]
        print_json(documents if len(documents) > 1 else documents[0])
