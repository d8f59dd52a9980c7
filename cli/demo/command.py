"""``cards demo``: the whole path on this machine, from `cdk deploy` to a recognised card."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.aws import AwsSession
from cli.errors import CliError, debugging, describe

if TYPE_CHECKING:
    from cli.console import Activity
    from cli.train.job_sequence import PlannedJob
    from localcloud import LocalCloud
    from recognition.card_sets.card_set import CardSet
    from registry.versions.packages import Package
    from training.submission.watch import JobUpdate

SUPPORTED_PYTHON = ((3, 11), (3, 13))
_SEED = 7


def demo(
    cards: Annotated[
        Path | None,
        typer.Option(help="Your own scans, DIR/<card_id>/<image>; without it cards are drawn."),
    ] = None,
    count: Annotated[int, typer.Option(min=20, max=20_000, help="How many cards to draw.")] = 200,
    recipe: Annotated[str, typer.Option(help="Training recipe: tiny or demo.")] = "demo",
    out: Annotated[Path, typer.Option(help="Logs, release, picture and summary go here.")] = Path(
        "demo-output"
    ),
    state_dir: Annotated[
        Path | None, typer.Option(help="The local cloud's state; by default ./.local-cloud.")
    ] = None,
    port: Annotated[int, typer.Option(min=1024, max=65535, help="The local cloud's port.")] = 4566,
) -> None:
    """Runs the whole path on this machine: no AWS account, no Docker.

    \b
    1  starts the local cloud
    2  deploys the stacks with the CDK CLI
    3  trains a teacher and the student's two stages through SageMaker
    4  sees each model registered with its measured figures and its parent
    5  approves the student with the AWS CLI; compilation, gate and release follow by themselves
    6  pulls the signed release and recognises cards with it
    7  the device's own client takes the release, tests it, and recognises the same views

    \b
    cards demo
    cards demo --cards my-cards/

    It takes 10 to 15 minutes on two cores. Run again, it deploys nothing new and makes version 2.
    """
    from cli.demo.output_lock import only_demo
    from cli.demo.summary import write_summary

    ready = _prepare(cards, count, recipe, out, state_dir, port)
    with only_demo(out):
        write_summary(_run(Demo(**ready)), out)


def _run(run: Demo) -> dict[str, Any]:
    """Takes all steps; an error names its step, and what a person can do next."""
    from cli.console import print_stderr

    try:
        return run.all_steps()
    except KeyboardInterrupt:
        if run.up:
            print_stderr(
                f"cards: the local cloud is still running; cards local down{run.which} stops it"
            )
        raise
    except Exception as error:
        if debugging():
            raise
        where = f"{run.current}: " if run.current else ""
        raise CliError(f"demo: {where}{describe(error)}{run.hint()}") from None


def _prepare(
    cards: Path | None, count: int, recipe: str, out: Path, state_dir: Path | None, port: int
) -> dict[str, Any]:
    """Everything that can be wrong is found here, before anything is started."""
    from cli import local
    from cli.external_commands import tools
    from recognition.card_sets.card_set import read_card_set
    from recognition.card_sets.split import split_cards
    from registry.contract import Contract
    from training.recipe import recipe_names

    low, high = SUPPORTED_PYTHON
    if not low <= sys.version_info[:2] <= high:
        raise CliError(
            f"Python {sys.version_info[0]}.{sys.version_info[1]} is not supported; "
            f"use {low[0]}.{low[1]} to {high[0]}.{high[1]}"
        )
    if recipe not in recipe_names():
        raise CliError(f"--recipe {recipe}: is none of {', '.join(recipe_names())}")
    tools()
    card_set = read_card_set(cards, Contract()) if cards else None
    if card_set:
        split_cards(card_set.card_ids, _SEED)
    cloud = local.cloud(state_dir, port)
    cloud.check_ports()
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CliError(f"--out {out}: {error.strerror}") from None
    return {
        "cloud": cloud,
        "cards": card_set,
        "folder": cards,
        "count": count,
        "recipe": recipe,
        "out": out,
        "which": local.options(state_dir, port),
    }


@dataclass
class Demo:
    """One run of the demo.

    Attributes:
        cards: The caller's own card set, read and checked; None where cards are drawn.
        folder: Its folder.
        which: Options of `cards local` for this local cloud.
        current: The step under way, for messages.
        times: Seconds by step, in the order of the steps.
    """

    cloud: LocalCloud
    cards: CardSet | None
    folder: Path | None
    count: int
    recipe: str
    out: Path
    which: str = ""
    current: str = ""
    times: dict[str, float] = field(default_factory=dict)
    up: bool = False
    aws: AwsSession = field(default_factory=AwsSession)

    def all_steps(self) -> dict[str, Any]:
        """Runs all steps and returns what the summary needs."""
        from cli.data.commands import report
        from cli.demo.recognise import recognise_views
        from cli.demo.summary import collect

        began = time.monotonic()
        if self.cards:
            report(self.cards)
        with ThreadPoolExecutor(1) as aside:
            # Cards are drawn while the cloud starts and the stacks deploy.
            pending = aside.submit(self._cards)
            with self._step("local cloud up") as task:
                self._start_cloud(task)
            with self._step("cdk deploy") as task:
                self._deploy(task)
            with self._step("cards to S3") as task:
                cards_uri = self._push(pending, task)
        teacher, stage1, stage2 = self._train(cards_uri)
        with self._step("approve, compile, release") as task:
            self._approve(stage2)
            self._wait_for_release(stage2, task)
        with self._step("pull and recognise") as task:
            from cli.release.pull import pull_release
            from cli.release.trust import pin_own
            from registry.releases.signatures.trust import fingerprint

            trusted = pin_own(self.aws)
            task.log(
                "the demo has pinned the signing key of its own local cloud, as `cards release "
                f"trust` does; fingerprint {fingerprint(trusted.keys[-1])}"
            )
            manifest = pull_release(
                self.aws, self.out / "release", trusted, progress=lambda file, _: task.update(file)
            ).manifest
            assert self.cards
            views = recognise_views(
                self.aws, self.cards, self.out / "release", stage2, self.out / "queries.png", _SEED
            )
        with self._step("on the device"):
            from cli.demo.device import device_step

            device = device_step(
                self.out / "device",
                self.cloud.env(),
                self.out / "logs" / "device.log",
                trusted,
                views,
            )
        return collect(
            self.aws,
            packages={"teacher": teacher, "stage1": stage1, "stage2": stage2},
            manifest=manifest,
            views=views,
            device=device,
            times={**self.times, "total": time.monotonic() - began},
            places={
                "release": str(self.out / "release"),
                "picture": str(self.out / "queries.png"),
                "cards": str(self.folder),
                "cards in S3": cards_uri,
                "device": str(self.out / "device"),
                "logs": str(self.out / "logs"),
                "local cloud": str(self.cloud.state_dir),
                "endpoint": self.cloud.endpoint,
            },
            which=self.which,
        )

    def hint(self) -> str:
        """What a person can do after a failure."""
        if not self.up:
            return ""
        from cli.local import killed_before

        killed = f"; {killed_before(self.which)}" if self.cloud.status().after_kill else ""
        return (
            f"; the local cloud is still running: cards local logs{self.which}, "
            f"cards local down{self.which}{killed}"
        )

    @contextmanager
    def _step(self, name: str) -> Iterator[Activity]:
        from cli.console import activity, print_line, seconds

        self.current = name
        began = time.monotonic()
        with activity(name, interval=15) as task:
            yield task
        self.times[name] = time.monotonic() - began
        self.current = ""
        print_line(f"✓ {name} ({seconds(self.times[name])})")

    def _cards(self) -> CardSet:
        from cli.data.commands import draw_cards
        from recognition.card_sets.card_set import read_card_set
        from registry.contract import Contract

        if self.cards is None:
            self.folder = self.out / f"cards-{self.count}-{_SEED}"
            if not self.folder.exists():
                draw_cards(self.folder, self.count, _SEED)
            self.cards = read_card_set(self.folder, Contract())
        return self.cards

    def _start_cloud(self, task: Activity) -> None:
        if not self.cloud.status().running:
            self.cloud.start(task.update)
        self.up = True
        variables = self.cloud.env()
        for name in self.cloud.contradicting_variables():
            os.environ.pop(name, None)
        os.environ.update(variables)
        os.environ["PATH"] = self._environment()["PATH"]

    def _environment(self) -> dict[str, str]:
        from cli.external_commands import environment

        return environment(self.cloud.env())

    def _deploy(self, task: Activity) -> None:
        from cli.external_commands import cdk_command, run

        variables = self._environment()
        account, region = variables["CDK_DEFAULT_ACCOUNT"], variables["CDK_DEFAULT_REGION"]
        log = self.out / "logs" / "cdk.log"
        cdk = [str(cdk_command()), "--no-notices", "--no-color"]
        for words in (
            ["bootstrap", f"aws://{account}/{region}"],
            ["deploy", "--all", "--require-approval", "never", "--progress", "events"],
        ):
            run(
                [cdk[0], *words, *cdk[1:]],
                log=log,
                variables=variables,
                progress=lambda line: _show_cdk(task, line),
            )

    def _push(self, pending: Future[CardSet], task: Activity) -> str:
        from cli.data.upload import push

        return push(
            self.aws.client("s3"),
            self.aws.deployment.training_bucket,
            pending.result(),
            lambda sent, total: task.update(f"{sent} of {total} images"),
        ).uri

    def _train(self, cards_uri: str) -> list[Package]:
        """Trains a teacher and both stages of its student; returns the registered versions."""
        from cli.train.follow_job import follow
        from cli.train.job_sequence import plan_jobs
        from cli.train.options import TrainingRequest
        from cli.train.submission import training_plan
        from training.submission import submit

        request = TrainingRequest(
            self.aws,
            cards_uri,
            self.recipe,
            machines={},
            hyperparameters={},
            weights=None,
            wait=True,
            dry_run=False,
            yes=True,
            as_json=False,
        )
        versions: dict[PlannedJob, Package] = {}
        for job in plan_jobs(request, train_teacher=True, stages=(1, 2)):
            with self._step(f"train {job.title}") as task:
                plan = training_plan(request, job, versions)
                job_name = submit.submit(plan, self.aws.session)
                log = self.out / "logs" / f"{job_name}.log"
                show = partial(_show_update, task, log)
                try:
                    versions[job] = follow(self.aws, job_name, show)
                except Exception as error:
                    raise CliError(f"{describe(error)} (copied to {log})") from error
        return list(versions.values())

    def _approve(self, package: Package) -> None:
        from cli.external_commands import run

        aws = Path(sys.executable).parent / "aws"
        run(
            [
                str(aws),
                "sagemaker",
                "update-model-package",
                "--model-package-arn",
                package.arn,
                "--model-approval-status",
                "Approved",
            ],
            log=self.out / "logs" / "approve.log",
            variables=self._environment(),
        )

    def _wait_for_release(self, package: Package, task: Activity) -> None:
        from cli.release.wait_for_release import wait_for_release

        log = self.out / "logs" / f"compile-{package.label}.log"
        wait_for_release(self.aws, package, partial(_show_update, task, log))


def _show_update(task: Activity, log: Path, update: JobUpdate) -> None:
    """Shows the newest line of a job's log, and appends all lines to a file."""
    if update.lines:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in update.lines)
        written = [line for line in update.lines if line.strip()]
        if written:
            task.update(_short_log_line(written[-1]))
    elif update.detail and update.detail != "Training":
        task.update(update.detail)


def _show_cdk(task: Activity, line: str) -> None:
    """Shows how far a stack is; the rest of what the CDK says is in its log."""
    cells = [cell.strip() for cell in line.split("|")]
    if len(cells) >= 5:
        stack, done, _, state, kind = cells[:5]
        task.update(f"{stack} {done} {kind} {state}")
    elif line.startswith(("✨", "⏳", "✅")) or "deploying..." in line:
        task.update(line.lstrip("✨⏳✅ "))


def _short_log_line(line: str) -> str:
    """A log line without the step's title, and without the less important metrics."""
    words = line.rpartition(": ")[2] if ": step=" in line else line
    hidden = ("share_", "loss_", "gradient_norm")
    return " ".join(word for word in words.split() if not word.startswith(hidden))
