"""``cards train`` up to what is sent; sending is tests/training/submission/test_submit.py's."""

# Over 400 lines: all tests send to the same recorded registry.

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from cli.aws import AwsSession
from cli.errors import CliError
from cli.find_version import find_initial, find_package, find_teacher, find_teacher_of
from cli.train.commands import parse_hyperparameters
from registry.deployment import DeployedNames
from registry.names import parse_name
from tests.cli.command import cards, refused
from tests.cli.conftest import REGION, TRAINING_BUCKET, Stack

GROUP = "pokemon-card-recognition-models"
WHEN = datetime(2026, 1, 2, tzinfo=UTC)


def arn(version: int) -> str:
    return f"arn:aws:sagemaker:{REGION}:000000000000:model-package/{GROUP}/{version}"


class Registry:
    """A group of versions, given in the order of their registration."""

    def __init__(self, *versions: tuple[str, str, int | None]) -> None:
        self.versions = versions
        self.client = boto3.Session("x", "x", region_name=REGION).client("sagemaker")
        self.stub = Stubber(self.client)
        self.stub.activate()
        self.aws = AwsSession()
        self.aws.__dict__["clients"] = {"sagemaker": self.client}
        self.aws.__dict__["names"] = DeployedNames(
            "dev", GROUP, "t", "m", "none", "r", "role", "role", "key", "onnx-int8"
        )

    def listed(self, approval: str | None = None) -> Registry:
        """The next call lists the versions, newest first."""
        rows = [
            {
                "ModelPackageArn": arn(version),
                "ModelPackageStatus": "Completed",
                "ModelPackageDescription": f"{name}: words",
                "ModelApprovalStatus": status,
                "CreationTime": WHEN + timedelta(hours=version),
            }
            for version, (name, status, _) in enumerate(self.versions, start=1)
            if approval in (None, status)
        ]
        self.stub.add_response("list_model_packages", {"ModelPackageSummaryList": rows[::-1]})
        return self

    def described(self, version: int) -> Registry:
        """The next call describes this version."""
        name, status, parent = self.versions[version - 1]
        answer: dict[str, Any] = {
            "ModelPackageName": "x",
            "ModelPackageArn": arn(version),
            "ModelPackageGroupName": GROUP,
            "ModelPackageStatus": "Completed",
            "ModelPackageStatusDetails": {"ValidationStatuses": []},
            "ModelPackageDescription": f"{name}: words",
            "ModelApprovalStatus": status,
            "CreationTime": WHEN,
            "CustomerMetadataProperties": {"ModelName": name},
        }
        if parent:
            answer["CustomerMetadataProperties"]["ParentModelPackageArn"] = arn(parent)
        self.stub.add_response("describe_model_package", answer, {"ModelPackageName": arn(version)})
        return self


TEACHER = ("teacher-dinov3-vits16-phase2-v1", "Approved", None)
STAGE1 = ("student-efficientnet-lite0-stage1-v1", "PendingManualApproval", 1)


def test_newest_approved_teacher_is_taken() -> None:
    newer = ("teacher-dinov3-vits16-phase2-v2", "Approved", None)
    rejected = ("teacher-dinov3-vits16-phase2-v3", "Rejected", None)
    # A student whose description speaks of a teacher is none.
    registry = Registry(TEACHER, newer, rejected, STAGE1)
    assert find_teacher(registry.listed("Approved").described(2).aws).arn == arn(2)


def test_rejected_stage_1_is_passed_over() -> None:
    rejected = ("student-efficientnet-lite0-stage1-v2", "Rejected", 1)
    registry = Registry(TEACHER, STAGE1, rejected)
    assert find_initial(registry.listed().described(2).aws).arn == arn(2)


def test_without_a_teacher_the_remedy_is_named() -> None:
    with pytest.raises(CliError, match="cards train teacher"):
        find_teacher(Registry().listed("Approved").aws)


def test_teacher_of_a_student_is_found_by_its_recorded_parents() -> None:
    stage2 = ("student-efficientnet-lite0-stage2-v1", "Approved", 2)
    registry = Registry(TEACHER, STAGE1, stage2)
    student = find_package(registry.listed().described(3).aws, stage2[0])
    assert find_teacher_of(registry.described(2).described(1).aws, student).arn == arn(1)


def test_student_without_a_teacher_is_not_taken_as_parent() -> None:
    orphan = ("student-efficientnet-lite0-stage1-v1", "Approved", None)
    registry = Registry(orphan)
    student = find_package(registry.described(1).aws, arn(1))
    with pytest.raises(CliError, match="no teacher"):
        find_teacher_of(registry.aws, student)


def test_name_that_is_not_registered_says_where_to_look() -> None:
    with pytest.raises(CliError, match="cards registry list"):
        find_package(Registry(TEACHER).listed().aws, "student-efficientnet-lite0-stage1-v9")


@pytest.mark.parametrize(
    ("pairs", "settings"),
    [
        ([], {}),
        (["steps=12", "learning_rate=1e-3"], {"steps": 12, "learning_rate": 1e-3}),
        (["precision=bf16", "channels_last=true"], {"precision": "bf16", "channels_last": True}),
        (["backbone=a=b"], {"backbone": "a=b"}),
    ],
)
def test_hyperparameters_are_read_by_their_form(pairs: list[str], settings: dict[str, Any]) -> None:
    assert parse_hyperparameters(pairs) == settings


@pytest.mark.parametrize("pairs", [["steps"], ["=3"], ["steps=1", "steps=2"]])
def test_malformed_hyperparameter_is_named(pairs: list[str]) -> None:
    with pytest.raises(CliError, match="--hp"):
        parse_hyperparameters(pairs)


@pytest.fixture
def cards_uri(aws: Stack) -> str:
    aws.client("s3").put_object(Bucket=TRAINING_BUCKET, Key="cards/some/a/front.png", Body=b"x")
    return f"s3://{TRAINING_BUCKET}/cards/some"


def test_dry_run_prints_the_request_and_sends_nothing(aws: Stack, cards_uri: str) -> None:
    before = aws.client("s3").list_objects_v2(Bucket=TRAINING_BUCKET)["KeyCount"]
    done = cards(
        "train", "teacher", "--cards", cards_uri, "--recipe", "demo", "--dry-run", "--spot",
        "--hp", "steps=5",
    )  # fmt: skip
    request = done.json["request"]
    assert request["HyperParameters"]["steps"] == "5"
    assert request["EnableManagedSpotTraining"] is True
    assert request["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"] == cards_uri + "/"
    assert aws.client("s3").list_objects_v2(Bucket=TRAINING_BUCKET)["KeyCount"] == before


def test_dry_run_of_a_folder_pushes_nothing(aws: Stack, card_folder: Any, tmp_path: Any) -> None:
    import shutil

    folder = tmp_path / "cards"
    shutil.copytree(card_folder, folder)
    # A set of its own: another test of this account may have pushed a part of the same one.
    sorted(folder.iterdir())[0].rename(folder / "card-of-the-dry-run")
    done = cards("train", "teacher", "--cards", str(folder), "--recipe", "demo", "--dry-run")
    uri = done.json["request"]["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"]
    prefix = uri.removeprefix(f"s3://{TRAINING_BUCKET}/")
    found = aws.client("s3").list_objects_v2(Bucket=TRAINING_BUCKET, Prefix=prefix)
    assert found["KeyCount"] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--recipe", "demmo"], ["demmo", "demo"]),
        (["--hp", "learnin_rate=1"], ["learnin_rate", "learning_rate"]),
        (["--instance", "p4d"], ["--instance p4d"]),
        (["--count", "2"], ["--count 2", "GPU"]),
    ],
)
def test_wrong_option_is_named_before_anything_is_sent(
    aws: Stack, cards_uri: str, arguments: list[str], words: list[str]
) -> None:
    given = ["--recipe", "demo", *arguments] if "--recipe" not in arguments else arguments
    refused(cards("train", "teacher", "--cards", cards_uri, *given), *words)


def test_prefix_that_holds_nothing_is_refused(aws: Stack) -> None:
    uri = f"s3://{TRAINING_BUCKET}/cards/nothing"
    refused(cards("train", "teacher", "--cards", uri, "--recipe", "demo"), uri, "cards data push")


def test_empty_folder_is_refused(aws: Stack, tmp_path: Any) -> None:
    given = ["--cards", str(tmp_path), "--recipe", "demo"]
    refused(cards("train", "teacher", *given), str(tmp_path))


def test_both_stages_follow_each_other_and_answer_in_one_document(
    aws: Stack, cards_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from registry.versions.packages import Package
    from training.submission import submit
    from training.submission.training_plan import TrainingPlan

    def version(number: int, name: str) -> Package:
        url = f"s3://b/jobs/{number}/output/model.tar.gz"
        return Package(
            arn(number), number, GROUP, parse_name(name), "Pending", "", WHEN, url, "", {}
        )

    plans: list[TrainingPlan] = []

    def send(plan: TrainingPlan, session: Any) -> str:
        plans.append(plan)
        return plan.job_name

    made = {1: version(2, STAGE1[0]), 2: version(3, "student-efficientnet-lite0-stage2-v1")}
    monkeypatch.setattr("cli.find_version.find_teacher", lambda _: version(1, TEACHER[0]))
    monkeypatch.setattr(submit, "submit", send)
    monkeypatch.setattr("cli.train.follow_job.follow", lambda *_: made[len(plans)])
    done = cards(
        "train", "student", "--cards", cards_uri, "--recipe", "tiny", "--wait", "--json"
    )  # fmt: skip
    assert done.code == 0, done
    assert [answer["name"] for answer in done.json] == [each.label for each in made.values()]
    first, second = plans
    assert first.hyperparameters["parent-model-package-arn"] == arn(1)
    assert second.hyperparameters["parent-model-package-arn"] == arn(2)
    assert second.channels["initial"] == made[1].model_data_url
    assert second.channels["teacher"] == first.channels["teacher"]


def chain(monkeypatch: pytest.MonkeyPatch, fail_at: int = 0) -> list[Any]:
    """Sends nothing; each job becomes a version at once, or is interrupted."""
    from registry.versions.packages import Package
    from training.submission import submit

    names = [TEACHER[0], STAGE1[0], "student-efficientnet-lite0-stage2-v1"]
    plans: list[Any] = []

    def version(number: int) -> Package:
        url = f"s3://b/jobs/{number}/output/model.tar.gz"
        return Package(arn(number), number, GROUP, parse_name(names[number - 1]), "Pending", "",
                       WHEN, url, "", {})  # fmt: skip

    def send(plan: Any, session: Any) -> str:
        plans.append(plan)
        return f"job-{len(plans)}"

    def follow(*_: object) -> Package:
        if len(plans) == fail_at:
            raise KeyboardInterrupt
        return version(len(plans))

    monkeypatch.setattr(submit, "submit", send)
    monkeypatch.setattr("cli.train.follow_job.follow", follow)
    return plans


def test_both_trains_a_teacher_and_then_its_student(
    aws: Stack, cards_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans = chain(monkeypatch)
    done = cards("train", "both", "--cards", cards_uri, "--recipe", "tiny", "--json")
    assert done.code == 0, done
    assert [document["name"] for document in done.json] == [
        TEACHER[0], STAGE1[0], "student-efficientnet-lite0-stage2-v1",
    ]  # fmt: skip
    assert [(plan.kind, plan.stage) for plan in plans] == [
        ("teacher", None), ("student", 1), ("student", 2),
    ]  # fmt: skip
    # Each is made from the very one before it, approved or not.
    assert plans[1].channels["teacher"] == plans[2].channels["teacher"]
    assert plans[1].hyperparameters["parent-model-package-arn"] == arn(1)
    assert plans[2].hyperparameters["parent-model-package-arn"] == arn(2)
    assert plans[2].channels["initial"] == "s3://b/jobs/2/output/model.tar.gz"


def test_dry_run_of_a_chain_shows_what_can_be_shown(aws: Stack, cards_uri: str) -> None:
    done = cards("train", "both", "--cards", cards_uri, "--recipe", "tiny", "--dry-run")
    assert done.json["request"]["TrainingJobName"].startswith("teacher-tiny-")
    assert done.err.startswith("stage 1 can be shown once the teacher is registered")


def test_interrupted_chain_prints_the_command_to_continue(
    aws: Stack, cards_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain(monkeypatch, fail_at=2)
    done = cards("train", "both", "--cards", cards_uri, "--recipe", "tiny", "--yes")
    assert done.code == 130, done
    assert "job-2 goes on by itself" in done.err
    assert f"{TEACHER[0]} is registered; go on from there" in done.err
    # Both of the stages that are still to come, with what was trained on and by which recipe.
    wanted = f"cards train student --stage both --parent {TEACHER[0]} --cards {cards_uri}"
    assert f"{wanted} --recipe tiny" in done.err


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (True, "is being stopped; go on: cards train resume job-1"),
        (False, "job-1 goes on by itself"),
    ],
)
def test_ctrl_c_stops_the_job_only_after_confirmation(
    aws: Stack, cards_uri: str, monkeypatch: pytest.MonkeyPatch, wish: bool, words: str
) -> None:
    chain(monkeypatch, fail_at=1)
    stopped: list[str] = []

    class SageMaker:
        def stop_training_job(self, TrainingJobName: str) -> None:
            stopped.append(TrainingJobName)

    client = AwsSession.client
    other = {"sagemaker": SageMaker()}
    monkeypatch.setattr(
        AwsSession, "client", lambda self, name: other.get(name) or client(self, name)
    )
    monkeypatch.setattr("cli.train.confirmation.wants_to_stop", lambda _: wish)
    done = cards("train", "teacher", "--cards", cards_uri, "--recipe", "tiny", "--wait")
    assert done.code == 130 and words in done.err, done
    assert stopped == (["job-1"] if wish else [])


def test_chain_interrupted_after_stage_1_continues_with_stage_2(
    aws: Stack, cards_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain(monkeypatch, fail_at=3)
    done = cards("train", "both", "--cards", cards_uri, "--recipe", "tiny", "--json")
    assert done.code == 130, done
    assert f"cards train student --stage 2 --parent {STAGE1[0]}" in done.err
    # A machine learns of the jobs that are done, too.
    assert [document["name"] for document in done.json] == [TEACHER[0], STAGE1[0]]


def test_setting_invalid_for_the_last_job_is_refused_before_the_first_starts(
    aws: Stack, cards_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from training.config import ConfigError
    from training.recipe import resolve

    setting = "backbone=vit_small_patch16_dinov3"
    given = dict([setting.split("=")])
    resolve("tiny", "teacher", "phase2", given)
    with pytest.raises(ConfigError):
        resolve("tiny", "student", "stage1", given)
    plans = chain(monkeypatch)
    done = cards("train", "both", "--cards", cards_uri, "--recipe", "tiny", "--hp", setting)
    refused(done, "backbone")
    assert plans == []


def test_job_that_has_just_ended_is_not_reported_as_stopped(
    aws: Stack, cards_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain(monkeypatch, fail_at=1)
    registry = Registry()
    registry.stub.add_client_error("stop_training_job", "ValidationException", "is Completed")
    client = AwsSession.client
    other = {"sagemaker": registry.client}
    monkeypatch.setattr(
        AwsSession, "client", lambda self, name: other.get(name) or client(self, name)
    )
    monkeypatch.setattr("cli.train.confirmation.wants_to_stop", lambda _: True)
    done = cards("train", "teacher", "--cards", cards_uri, "--recipe", "tiny", "--wait")
    assert done.code == 130, done
    assert "job-1 was not stopped: StopTrainingJob: ValidationException: is Completed" in done.err


def test_estimate_is_printed_first(
    aws: Stack, card_folder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain(monkeypatch)
    done = cards("train", "teacher", "--cards", str(card_folder), "--recipe", "demo")
    assert done.code == 0, done
    assert "teacher on 1 × ml.m5.xlarge: " in done.out and " steps, " in done.out
    assert "costs nothing" in done.out
    assert done.out.index("costs nothing") < done.out.index("training job job-1")


def test_step_in_the_log_becomes_a_bar() -> None:
    from cli.train.follow_job import JobProgress
    from training.submission.watch import JobUpdate

    class Task:
        said: str = ""
        logged: tuple[str, ...] = ()

        def log(self, line: str) -> None:
            self.logged += (line,)

        def update(self, detail: str) -> None:
            self.said = detail

    task = Task()
    show = JobProgress(task)  # type: ignore[arg-type]
    show(JobUpdate("job", "InProgress", "Downloading"))
    assert task.said == "Downloading"
    show(JobUpdate("job", "InProgress", "Training", ("teacher phase2: step=150/300 loss=2 x=1",)))
    assert task.said == "█" * 12 + "░" * 12 + " step 150 of 300" and len(task.logged) == 1
    show(JobUpdate("job", "InProgress", "Uploading"))
    assert task.said == "Uploading"


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("option", ["--max-run-hours", "--max-wait-hours", "--keep-alive-minutes"])
def test_time_that_is_no_number_is_refused_by_its_option(option: str, value: str) -> None:
    done = cards("train", "teacher", "--cards", "s3://b/x", f"{option}={value}")
    refused(done, option, "must be a number")


def test_help_names_recipes_that_there_are() -> None:
    import re
    from typing import get_args

    from cli.train.options import Recipe
    from training.recipe import recipe_names

    named = re.findall(r"\w+", get_args(Recipe)[1].help.partition(": ")[2].partition(", or")[0])
    assert named and set(named) <= set(recipe_names())
