from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training import recipe as module
from training.config import ConfigError, TrainingConfig
from training.recipe import parse_arguments, recipe_names, resolve

STAGES = [("teacher", "phase2"), ("student", "stage1"), ("student", "stage2")]


@pytest.mark.parametrize("recipe", recipe_names())
@pytest.mark.parametrize(("model_type", "stage"), STAGES)
def test_every_recipe_resolves_and_reads_back(recipe: str, model_type: str, stage: str) -> None:
    config = resolve(recipe, model_type, stage, {})
    assert TrainingConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_guides_figures_are_in_the_full_recipe() -> None:
    teacher = resolve("full", "teacher", "phase2", {})
    assert (teacher.backbone, teacher.image_size) == ("vit_large_patch16_dinov3", 224)
    assert (teacher.losses["arcface_scale"], teacher.losses["arcface_margin"], teacher.epochs) == (
        64,
        0.5,
        13,
    )
    for stage, epochs, rate in (("stage1", 30, 1e-4), ("stage2", 20, 1e-5)):
        student = resolve("full", "student", stage, {})
        assert (student.epochs, student.learning_rate, student.batch_size) == (epochs, rate, 512)


def test_hyper_parameters_override_the_recipe_and_the_recipe_overrides_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = {"architecture": "vit-x", "backbone": "vit_small_patch16_dinov3", "weight_arcface": 1}
    recipe = {"all": {**base, "seed": 5, "steps": 10}, "phase2": {"steps": 20, "batch_size": 32}}
    (tmp_path / "mine.json").write_text(json.dumps(recipe))
    monkeypatch.setattr(module, "RECIPES", tmp_path)
    config = resolve("mine", "teacher", "phase2", {"batch-size": "48"})
    assert (config.seed, config.steps, config.batch_size) == (5, 20, 48)
    assert config.clip_norm == 1.0


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("lerning_rate", "1", r"lerning_rate: is no setting; did you mean learning_rate"),
        ("steps", "ten", "steps 'ten': must be a whole number"),
        ("steps", "1.5", "must be a whole number"),
        ("learning_rate", "nan", "learning_rate nan: must be"),
        ("learning_rate", "7", "learning_rate 7.0: must be 1e-08 to 1"),
        ("channels_last", "maybe", "must be true or false"),
        ("image_size", "65", "multiple of 8"),
        ("precision", "fp8", "must be fp32 or bf16"),
        ("weight_arcface", "0", "every weight_"),
        ("weight_kl", "1", "no term of a teacher"),
        ("backbone", "ResNet-50", "a teacher is one of timm's"),
        ("weights_licence", "my own", "must be an SPDX identifier"),
        ("architecture", "ViT", "lower-case words"),
        ("stage", "stage1", "decided by the job"),
        ("false_accepts", "0", "false_accepts 0.0: must be 1e-06 to 0.5"),
        ("seed", "-1", "seed -1: must be 0"),
        ("width", "66", "width 66 and heads 2: give both"),
        ("heads", "0", "width 64 and heads 0: give both"),
    ],
)
def test_wrong_setting_is_named(key: str, value: str, message: str) -> None:
    overrides = {key: value}
    if key == "weight_arcface":
        overrides["weight_contrastive"] = "0"
    with pytest.raises(ConfigError, match=message):
        resolve("tiny", "teacher", "phase2", overrides)


def test_unknown_recipe_is_named_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="recipe 'big': is none of demo, full, guide, tiny"):
        resolve("big", "teacher", "phase2", {})


def test_contrastive_without_scans_is_refused() -> None:
    with pytest.raises(ConfigError, match="scan_share"):
        resolve("tiny", "teacher", "phase2", {"scan_share": 0, "weight_contrastive": 1})


def test_map_needs_the_teachers_view_of_the_same_places() -> None:
    with pytest.raises(ConfigError, match="distillation_target view"):
        resolve("tiny", "student", "stage1", {"distillation_target": "scan"})


def test_arguments_as_sagemaker_passes_them() -> None:
    found = parse_arguments(["--recipe", "demo", "--image-size=96", "--learning-rate", "-1"])
    assert found == {"recipe": "demo", "image_size": "96", "learning_rate": "-1"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["demo"], "expected --key value"),
        (["--recipe"], "has no value"),
        (["--seed", "1", "--seed", "2"], "given twice"),
        (["--image-size", "32", "--image_size", "64"], "given twice"),
        (["--"], "expected --key value"),
    ],
)
def test_parse_arguments_malformed_raises(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_arguments(arguments)


def test_epochs_become_steps() -> None:
    config = resolve("tiny", "teacher", "phase2", {"steps": 0, "epochs": 2, "batch_size": 10})
    assert config.total_steps(101) == 21


def test_epochs_of_a_large_set_come_to_no_more_than_the_most_steps() -> None:
    config = resolve("demo", "student", "stage2", {})
    assert config.total_steps(158) == 231
    assert config.total_steps(543) == config.total_steps(10_000) == config.most_steps == 500
    asked_for = resolve("demo", "student", "stage2", {"epochs": 70})
    assert asked_for.total_steps(543) == 792


@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.integers(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["seed", "depth", "backbone", "x"]), inner, max_size=4
            )
        ),
        max_leaves=6,
    )
)
def test_from_dict_arbitrary_document_raises_only_config_error(document: object) -> None:
    good = resolve("tiny", "teacher", "phase2", {}).to_dict()
    for candidate in (document, {**good, **document} if isinstance(document, dict) else document):
        try:
            TrainingConfig.from_dict(candidate)
        except ConfigError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ({"steps": 7}, (7, 0.0)),
        ({"epochs": 2}, (0, 2.0)),
        ({"steps": 7, "epochs": 0}, (7, 0.0)),
    ],
)
def test_length_that_is_asked_for_replaces_the_recipes(
    overrides: dict[str, float], expected: tuple[int, float]
) -> None:
    config = resolve("demo", "teacher", "phase2", overrides)
    assert (config.steps, config.epochs) == expected


def test_both_lengths_at_once_are_refused() -> None:
    with pytest.raises(ConfigError, match="give one of them"):
        resolve("demo", "teacher", "phase2", {"steps": 7, "epochs": 2})


@pytest.mark.parametrize(
    ("known", "expected"), [(10, 4), (169, 4), (175, 4), (176, 3), (543, 1), (17_592, 1)]
)
def test_variants_extend_a_small_set_alone(known: int, expected: int) -> None:
    assert resolve("demo", "student", "stage2", {}).variants_of(known) == expected


def test_without_a_number_of_identities_every_set_has_its_variants() -> None:
    config = resolve("demo", "student", "stage2", {"identities": 0})
    assert config.variants_of(17_592) == 4
