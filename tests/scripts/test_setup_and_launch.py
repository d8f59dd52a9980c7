"""The guide's first and third script, where nothing has to be trained."""

from __future__ import annotations

import json
import time
from typing import Any

from registry.names import ModelName
from registry.versions.metadata import template_text
from registry.versions.packages import APPROVED, NewPackage, create
from tests.registry.registration.training_jobs import IMAGE
from tests.running_cloud import until
from tests.scripts.conftest import ROOT, Place

SETUP, LAUNCH = "setup_sagemaker_project.py", "launch_student_distillation_8xA100.py"
TEMPLATE = ROOT / "config/model_metadata_template.json"


def test_setting_up_twice_changes_nothing(place: Place) -> None:
    first, second = place.answer(SETUP), place.answer(SETUP)
    assert first["group"] == place.group
    assert (second["template_written"], second["experiment_made"]) == (False, False)
    assert TEMPLATE.read_text(encoding="utf-8") == template_text()
    shown = place.script(SETUP).stdout
    assert "cards.mlflow=app" in shown, "a deployment without MLflow is told how to get one"


def test_deleted_group_is_reported_and_not_created_outside_the_stack(place: Place) -> None:
    sagemaker = place.client("sagemaker")
    sagemaker.delete_model_package_group(ModelPackageGroupName=place.group)
    done = place.script(SETUP)
    assert done.returncode == 1
    assert f"group {place.group}" in done.stderr and "cdk deploy --all" in done.stderr
    groups = sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"]
    assert place.group not in [group["ModelPackageGroupName"] for group in groups]


def teacher(place: Place, **metadata: str) -> str:
    """Registers an approved teacher; returns its ARN."""
    given = {"ModelType": "teacher", "TrainingJob": "t", "FailureReason": "none: for a test"}
    package = NewPackage(
        name=ModelName("teacher", "vit-tiny", "phase2", 1),
        approval=APPROVED,
        summary="for a test",
        model_data_url="s3://somewhere/model.tar.gz",
        image=IMAGE,
        metadata={**given, **metadata},
        generated_by="arn:aws:sagemaker:us-east-2:000000000000:training-job/t",
    )
    return create(place.client("sagemaker"), place.group, package)


def pushed(place: Place, digest: str, *files: str) -> str:
    """Puts something where a card set lies; returns its address."""
    prefix = f"cards/{digest}/"
    marker = json.dumps({"digest": "0f" * 32, "cards": 1, "images": 1}).encode()
    for file in files:
        place.client("s3").put_object(
            Bucket=place.jobs.bucket,
            Key=prefix + file,
            Body=marker if file == ".complete.json" else b"x",
        )
    return f"s3://{place.jobs.bucket}/{prefix}"


def shown(place: Place, *words: str) -> dict[str, Any]:
    """The request that a launch would send."""
    done = place.script(LAUNCH, "--dry-run", *words)
    assert done.returncode == 0, done.stderr
    assert "stage 2 can be shown once stage 1 is registered" in done.stderr
    return dict(json.loads(done.stdout)["request"])


def cards_of(asked: dict[str, Any]) -> str:
    return str(
        next(
            channel["DataSource"]["S3DataSource"]["S3Uri"]
            for channel in asked["InputDataConfig"]
            if channel["ChannelName"] == "cards"
        )
    )


def test_launch_needs_a_teacher(place: Place) -> None:
    assert "cards train teacher" in place.refused(LAUNCH)


def test_launch_is_for_eight_gpus_and_goes_by_its_teacher(place: Place) -> None:
    cards = pushed(place, "0f3a", "a/a.png")
    arn = teacher(place, Recipe="tiny", CardSetUri=cards)
    pushed(place, "newer", "a/a.png", ".complete.json")
    asked = shown(place)
    settings = asked["HyperParameters"]
    assert asked["ResourceConfig"]["InstanceType"] == "ml.p4d.24xlarge"
    assert settings["sagemaker_torch_distributed_enabled"] == "true"
    assert (settings["recipe"], settings["parent-model-package-arn"]) == ('"tiny"', f'"{arn}"')
    assert cards_of(asked) == cards


def test_launch_can_be_small(place: Place) -> None:
    teacher(place, Recipe="tiny", CardSetUri=pushed(place, "0f3a", "a/a.png"))
    asked = shown(place, "--recipe", "demo", "--instance", "ml.m5.xlarge")
    assert asked["ResourceConfig"]["InstanceType"] == "ml.m5.xlarge"
    assert asked["HyperParameters"]["recipe"] == '"demo"'
    assert "sagemaker_torch_distributed_enabled" not in asked["HyperParameters"]


def wait_for_next_second() -> None:
    """Waits until the clock shows another second: S3's times are whole seconds."""
    now = int(time.time())
    until(lambda: int(time.time()) > now)


def test_cards_that_no_teacher_names_are_those_pushed_last_and_completely(place: Place) -> None:
    teacher(place, Recipe="tiny")
    pushed(place, "unfinished", "a/a.png")
    assert "cards data push" in place.refused(LAUNCH)
    pushed(place, "z-older", "a/a.png", ".complete.json")
    wait_for_next_second()
    newest = pushed(place, "a-newer", "a/a.png", ".complete.json")
    assert cards_of(shown(place)) == newest
