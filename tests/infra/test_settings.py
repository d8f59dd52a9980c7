from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.reading_settings import load_settings
from infra.settings import Compile, Settings, SettingsError
from registry import names
from registry.compilation.compile_settings import CompileSettings
from registry.compilation.gate_thresholds import GateThresholds
from tests.infra.assembly import ROOT

IMAGE = "123456789012.dkr.ecr.us-east-2.amazonaws.com/hailo-dfc:3.33"


def paths(cls: type = Settings, prefix: str = "cards") -> dict[str, Any]:
    """Every setting's dotted path with its type."""
    found: dict[str, Any] = {}
    for name, hint in get_type_hints(cls).items():
        below = (
            paths(hint, f"{prefix}.{name}") if is_dataclass(hint) else {f"{prefix}.{name}": hint}
        )
        found |= below  # type: ignore[arg-type]
    return found


def nested(path: str, value: Any) -> dict[str, Any]:
    """A context whose only setting lies at ``path``."""
    for part in reversed(path.split(".")):
        value = {part: value}
    return value


def test_without_settings_the_guides_names_hold() -> None:
    settings = load_settings({})
    assert settings == Settings()
    assert settings.group == names.GROUP == "pokemon-card-recognition-models"
    assert (settings.mlflow, settings.compiler_kind.name) == ("app", "onnx-int8")


def test_cdk_json_shows_every_setting_at_its_default() -> None:
    """The file is the list of what may be set, so it must be complete and tell no lie."""
    document = json.loads((ROOT / "cdk.json").read_text())["context"]["cards"]
    assert load_settings({"cards": document}) == Settings()

    def shown(part: dict[str, Any], prefix: str) -> set[str]:
        return {
            path
            for key, value in part.items()
            for path in (
                shown(value, f"{prefix}.{key}") if isinstance(value, dict) else {f"{prefix}.{key}"}
            )
        }

    assert shown(document, "cards") == set(paths())


@given(
    st.text(min_size=1, max_size=20),
    st.sampled_from(["cards", "cards.compile", "cards.compile.gate"]),
)
def test_unknown_setting_is_named_with_the_known_ones(key: str, parent: str) -> None:
    known = {"cards": Settings, "cards.compile": Compile, "cards.compile.gate": GateThresholds}[
        parent
    ]
    if key in {item.name for item in fields(known)}:
        return
    with pytest.raises(SettingsError) as caught:
        load_settings(nested(parent, {key: 1}))
    message = str(caught.value)
    assert message.startswith(f"{parent}.{key}: no such setting")
    assert all(item.name in message for item in fields(known))


@pytest.mark.parametrize("path", paths())
@pytest.mark.parametrize("value", [[[]], {"a": 1}, object()])
def test_setting_of_the_wrong_type_is_named(path: str, value: Any) -> None:
    with pytest.raises(SettingsError, match=path.replace(".", r"\.")):
        load_settings(nested(path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("cards.environment", "Prod"),
        ("cards.environment", "a" * 17),
        ("cards.environment", "prod/../dev"),
        ("cards.environment", "prod\n"),
        ("cards.environment", None),
        ("cards.group_name", "has space"),
        ("cards.group_name", "-x"),
        ("cards.training_bucket", "No"),
        ("cards.training_bucket", "with.dot"),
        ("cards.training_bucket", "ends-"),
        ("cards.training_bucket", "xn--bucket"),
        ("cards.training_bucket", "a" * 64),
        ("cards.mlflow", "server"),
        ("cards.compiler_image", "hailo:latest"),
        ("cards.compiler_image", IMAGE.partition(":")[0]),
        ("cards.compile.image", "docker.io/library/python:3"),
        ("cards.compile.instance_type", "m5.xlarge"),
        ("cards.compile.calibration_images", 0),
        ("cards.compile.calibration_images", True),
        ("cards.compile.calibration_images", 12.5),
        ("cards.compile.max_runtime_seconds", 432_001),
        ("cards.compile.gate.cosine_mean", 1.5),
        ("cards.compile.gate.cosine_mean", float("nan")),
        ("cards.compile.gate.top1_drop", -0.1),
        ("cards.log_retention_days", 42),
        ("cards.retain", "yes"),
        ("cards.retain", 1),
    ],
)
def test_value_that_aws_or_the_product_would_refuse_is_refused_here(path: str, value: Any) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(nested(path, value))
    message = str(caught.value)
    assert message.startswith(path) and "\n" not in message


def test_buckets_must_differ_and_two_compilers_exclude_each_other() -> None:
    with pytest.raises(SettingsError, match="must differ"):
        load_settings({"cards": {"training_bucket": "same", "release_bucket": "same"}})
    with pytest.raises(SettingsError, match=r"cards\.compile\.image"):
        load_settings({"cards": {"compiler_image": IMAGE, "compile": {"image": IMAGE}}})


@pytest.mark.parametrize("setting", [{"compiler_image": ""}, {"compile": {"image": ""}}])
def test_image_named_by_its_digest_is_taken(setting: dict[str, Any]) -> None:
    image = f"{IMAGE.rpartition(':')[0]}@sha256:{'a' * 64}"
    given = {"compile": {"image": image}} if "compile" in setting else {"compiler_image": image}
    settings = load_settings({"cards": given})
    assert image in (settings.compiler_image, settings.compile.image)
    with pytest.raises(SettingsError):
        load_settings({"cards": {"compiler_image": image[:-1]}})


def test_compiler_image_chooses_hailo() -> None:
    settings = load_settings({"cards": {"compiler_image": IMAGE}})
    assert settings.compiler_kind.name == "hailo"
    assert json.loads(settings.compile_settings)["compiler"] == "hailo"


@pytest.mark.parametrize(
    ("setting", "cause"),
    [
        ({"compiler": "hailo"}, r"set cards\.compiler_image to an image"),
        ({"compiler": "onnx-int8", "compiler_image": IMAGE}, r"remove cards\.compiler_image"),
        ({"compiler": "none"}, "must be one of onnx-int8, hailo"),
    ],
)
def test_compiler_that_does_not_fit_its_image_is_refused(
    setting: dict[str, str], cause: str
) -> None:
    with pytest.raises(SettingsError, match=cause):
        load_settings({"cards": setting})


@pytest.mark.parametrize(
    "setting", [{"compiler": "hailo", "compiler_image": IMAGE}, {"compiler": "onnx-int8"}]
)
def test_named_compiler_is_chosen(setting: dict[str, str]) -> None:
    assert load_settings({"cards": setting}).compiler_kind.name == setting["compiler"]


@given(
    st.integers(1, 100_000),
    st.floats(-1, 1),
    st.booleans(),
    st.sampled_from(["app", "tracking-server", "none"]),
)
def test_command_line_says_the_same_as_the_file(
    images: int, cosine: float, retain: bool, mlflow: str
) -> None:
    from_file = load_settings(
        {
            "cards": {
                "retain": retain,
                "mlflow": mlflow,
                "compile": {"calibration_images": images, "gate": {"cosine_mean": cosine}},
            }
        }
    )
    from_command_line = load_settings(
        {
            "cards": {"mlflow": "none", "compile": {"calibration_images": 7}},
            "cards.retain": json.dumps(retain),
            "cards.mlflow": mlflow,
            "cards.compile.calibration_images": str(images),
            "cards.compile.gate.cosine_mean": repr(cosine),
        }
    )
    assert from_file == from_command_line


def test_command_line_can_restore_a_default_name() -> None:
    context = {"cards": {"training_bucket": "mine"}, "cards.training_bucket": "null"}
    assert load_settings(context).training_bucket is None


@pytest.mark.parametrize(
    "key", ["cards.nothing", "cards.compile.nothing", "cards.environment.x", "cards."]
)
def test_unknown_path_on_the_command_line_is_named(key: str) -> None:
    with pytest.raises(SettingsError, match=key.replace(".", r"\.")):
        load_settings({"cards": {"environment": "dev"}, key: "1"})


def test_reading_settings_does_not_change_the_context() -> None:
    context = {"cards": {"compile": {"gate": {}}}, "cards.compile.gate.top1_drop": "0.1"}
    load_settings(context)
    assert context["cards"] == {"compile": {"gate": {}}}


def test_quantiser_sees_as_many_images_as_its_compiler_should_have() -> None:
    def asked(**cards: object) -> int:
        settings = load_settings({"cards": cards})
        return json.loads(settings.compile_settings)["calibration_images"]

    assert asked() == 256 and asked(compiler_image=IMAGE) == 1024
    assert asked(compile={"calibration_images": 64}) == 64


@pytest.mark.parametrize("path", [path for path in paths() if ".compile." in path])
def test_setting_that_changes_a_compilation_changes_the_compile_settings(path: str) -> None:
    changed = {
        "instance_type": "ml.m5.2xlarge",
        "image": IMAGE,
        "calibration_images": 64,
        "max_runtime_seconds": 60,
        "roughness_ratio": 2.5,
    }.get(path.rpartition(".")[2], 0.5)
    before, after = Settings(), load_settings(nested(path, changed))
    same_result = path.endswith(("instance_type", "max_runtime_seconds"))
    image = after.compile.image or "the default"
    first = CompileSettings.from_json(before.compile_settings, "the default").id
    assert (CompileSettings.from_json(after.compile_settings, image).id == first) == same_result


@pytest.mark.processes
def test_app_answers_a_wrong_setting_in_one_line() -> None:
    environment = {**os.environ, "CDK_CONTEXT_JSON": json.dumps({"cards": {"enviroment": "dev"}})}
    done = subprocess.run(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if line]
    assert lines == [
        line for line in lines if line.startswith("cdk.json: cards.enviroment: no such")
    ]
    assert len(lines) == 1


def test_environments_have_other_names_than_each_other() -> None:
    first, second = load_settings({}), load_settings({"cards.environment": "prod"})
    assert (first.group, second.group) == (names.GROUP, f"{names.GROUP}-prod")
    assert first.bucket_name("mlflow", "1" * 12, "us-east-2") == (
        "pokemon-card-mlflow-111111111111-us-east-2"
    )
    assert second.bucket_name("mlflow", "1" * 12, "us-east-2") == (
        "cards-prod-mlflow-111111111111-us-east-2"
    )
    chosen = load_settings({"cards.environment": "prod", "cards.group_name": names.GROUP})
    assert chosen.group == names.GROUP


def test_longest_environment_fits_the_limits_of_aws() -> None:
    longest = load_settings({"cards.environment": "e" * 16})
    assert len(longest.group) <= 63
    for purpose in ("training", "mlflow", "releases"):
        assert len(longest.bucket_name(purpose, "1" * 12, "ap-southeast-2")) <= 63
