from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from hypothesis import given, settings
from hypothesis import strategies as st

from training.recipe import recipe_names, resolve
from training.submission.estimate import accelerators, estimate, instance_price
from training.submission.training_plan import Compute, SubmitError

FULL = resolve("full", "student", "stage1", {})
TEACHER = resolve("full", "teacher", "phase2", {})
P4D = Compute("ml.p4d.24xlarge")


def test_guides_job_is_estimated_in_minutes_on_eight_a100s() -> None:
    found = estimate(FULL, P4D, 17_592, teacher=TEACHER, instance_price=25.0)
    assert found.images == found.steps * (512 + 128)
    assert found.seconds is not None and 5 * 60 < found.seconds < 60 * 60
    assert found.price == pytest.approx(found.seconds / 3600 * 25)
    assert found.ceiling == 24 * 25


#: A small ViT of DINOv3's architecture, in place of the demo's teacher.
VIT = {
    "backbone": "vit_small_patch16_dinov3", "trainable_blocks": 0, "image_size": 64,
    "patch_size": 8, "depth": 4, "width": 64, "heads": 1,
}  # fmt: skip


def test_demo_is_estimated_within_a_factor_of_two_of_what_it_took() -> None:
    # 267 steps of stage 2 took 318 s of one core with views and all, so 159 s of two.
    demo = resolve("demo", "student", "stage2", {"steps": 267})
    found = estimate(demo, Compute("ml.m5.large"), 200,
                     teacher=resolve("demo", "teacher", "phase2", {}))  # fmt: skip
    assert found.seconds is not None and 80 < found.seconds - 300 < 320


def test_cpus_that_the_recipe_does_not_use_make_it_no_faster() -> None:
    demo = resolve("demo", "teacher", "phase2", {})
    one, many = (estimate(demo, Compute(f"ml.m5.{size}"), 200) for size in ("large", "24xlarge"))
    assert demo.threads == 2
    assert one.seconds == many.seconds
    free = replace(demo, threads=0)
    large, larger = (estimate(free, Compute(f"ml.m5.{s}"), 200) for s in ("large", "xlarge"))
    assert large.seconds and larger.seconds and larger.seconds < large.seconds


@pytest.mark.parametrize(
    ("kind", "stage", "shape", "measured"),
    [
        ("teacher", "phase2", {**VIT, "width": 192, "heads": 3}, 190),
        ("teacher", "phase2", {**VIT, "width": 128, "heads": 2}, 300),
        ("teacher", "phase2", {**VIT, "width": 192, "heads": 3, "patch_size": 16}, 474),
        ("teacher", "phase2", {}, 98),
        ("student", "stage2", {"image_size": 64, "trainable_blocks": 0}, 285),
        ("student", "stage2", {"trainable_blocks": 0}, 71),
        ("student", "stage2", {}, 157),
    ],
)
def test_estimate_is_within_a_factor_of_two_of_what_two_cores_measured(
    kind: str, stage: str, shape: dict[str, Any], measured: float
) -> None:
    """Images a second of a network alone, on two cores."""
    config = resolve("demo", kind, stage, {"steps": 10**6, **shape})
    # The smallest teacher that there is hardly counts.
    least = resolve("demo", "teacher", "phase2", {**VIT, "depth": 1, "patch_size": 32})
    found = estimate(config, Compute("ml.m5.large"), 200, teacher=least)
    assert found.seconds is not None
    assert measured / 2 < found.images / (found.seconds - 300) < measured * 2


def test_machines_that_are_kept_warm_cost_as_if_they_ran() -> None:
    warm = replace(P4D, max_run_seconds=3600, keep_alive_seconds=1800)
    assert estimate(FULL, warm, 17_592, teacher=TEACHER, instance_price=2.0).ceiling == 3.0


@settings(deadline=None)
@given(
    steps=st.integers(1, 100_000),
    scans=st.integers(8, 100_000),
    recipe=st.sampled_from(recipe_names()),
    instance=st.sampled_from(["ml.m5.xlarge", "ml.g5.2xlarge", "ml.g5.12xlarge", "ml.p5.48xlarge"]),
)
def test_estimate_grows_with_the_work(steps: int, scans: int, recipe: str, instance: str) -> None:
    config = resolve(recipe, "teacher", "phase2", {"steps": steps})
    one = estimate(config, Compute(instance), scans, instance_price=1.0)
    more = estimate(replace(config, steps=steps + 1), Compute(instance), scans, instance_price=1.0)
    faster = estimate(config, Compute(instance, 2), scans, instance_price=1.0)
    assert one.seconds and more.seconds and faster.seconds
    assert 0 < faster.seconds <= one.seconds <= more.seconds
    assert one.price is not None and one.price > 0


def test_estimate_with_cached_teacher_answers_is_lower() -> None:
    once = estimate(FULL, P4D, 17_592, teacher=TEACHER)
    live = estimate(replace(FULL, teacher_views=0), P4D, 17_592, teacher=TEACHER)
    assert live.seconds and once.seconds and once.seconds < live.seconds


@pytest.mark.parametrize(
    ("config", "instance", "words"),
    [
        (FULL, "ml.trn1.32xlarge", "speed of ml.trn1.32xlarge"),
        (FULL, "ml.p9.48xlarge", "speed of ml.p9.48xlarge"),
        (replace(TEACHER, backbone="vit_giant_patch14"), "ml.g5.xlarge", "size of vit_giant"),
    ],
)
def test_unknown_values_are_named(config, instance: str, words: str) -> None:
    found = estimate(config, Compute(instance), 1000, teacher=TEACHER)
    assert found.seconds is None and found.price is None and words in found.note


def test_estimate_longer_than_the_run_limit_is_noted() -> None:
    slow = estimate(FULL, Compute("ml.g4dn.xlarge", max_run_seconds=900), 17_592, teacher=TEACHER)
    assert "longer than the job may run: raise --max-run-hours" in slow.note


def test_accelerators_of_an_instance_type() -> None:
    assert [accelerators(f"ml.{name}") for name in ("g5.12xlarge", "p4d.24xlarge", "g6.xlarge",
            "p5.4xlarge", "m5.xlarge", "p4d.xlarge")] == [4, 8, 1, 1, 0, None]  # fmt: skip


def product(usd: str, unit: str = "Hrs") -> str:
    """A row of AWS's price list, in its published form (Price List Query API, GetProducts)."""
    dimension = {"unit": unit, "pricePerUnit": {"USD": usd}}
    return json.dumps(
        {
            "product": {"productFamily": "ML Instance", "sku": "X"},
            "terms": {"OnDemand": {"X.1": {"priceDimensions": {"X.1.2": dimension}}}},
        }
    )


def priced(rows: list[str]) -> float:
    client = boto3.client("pricing", "us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    with Stubber(client) as stub:
        wanted = {"regionCode": "us-east-2", "instanceName": "ml.g5.2xlarge",
                  "platoinstancetype": "Training"}  # fmt: skip
        filters = [{"Type": "TERM_MATCH", "Field": k, "Value": v} for k, v in wanted.items()]
        stub.add_response(
            "get_products", {"PriceList": rows},
            {"ServiceCode": "AmazonSageMaker", "Filters": filters},
        )  # fmt: skip
        return instance_price(client, "us-east-2", "ml.g5.2xlarge")


def test_price_is_from_the_aws_price_list() -> None:
    assert priced([product("1.5150000000")]) == 1.515
    assert priced([product("1.515"), product("0"), product("9", unit="GB-Mo")]) == 1.515


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "lists no price for training on ml.g5.2xlarge in us-east-2"),
        ([product("1"), product("2")], "lists 2 prices"),
        (["[]"], "not understood"),
        (["{"], "not understood"),
    ],
)
def test_price_list_without_a_price_raises(rows: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        priced(rows)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"max_run_seconds": 30}, "--max-run-hours: 30 seconds; SageMaker takes 60 to"),
        ({"volume_gb": 20_000}, "--volume-gb: 20000 GB; SageMaker takes 1 to 16384"),
        ({"keep_alive_seconds": 7200}, "--keep-alive-minutes"),
        ({"keep_alive_seconds": 60, "spot": True}, "leave out --spot"),
        ({"max_wait_seconds": 90_000}, "--max-wait-hours: is for --spot"),
        ({"max_wait_seconds": 60, "spot": True}, "cannot be less than --max-run-hours"),
        ({"subnets": ("subnet-0123456789abcdef0",)}, "needs both of them"),
        (
            {"subnets": ("subnet-1",), "security_groups": ("sg-0123456789abcdef0",)},
            "--subnet subnet-1: is no id",
        ),
        ({"kms_key": "my key"}, "--kms-key my key: is no id"),
        ({"kms_key": ""}, "--kms-key : is no id"),
        (
            {
                "subnets": ("subnet-0123456789abcdef0",),
                "security_groups": tuple(f"sg-0123456789abcdef{n}" for n in range(6)),
            },
            "--security-group: 6 are given; SageMaker takes 5",
        ),
        ({"tags": {"aws:x": "1"}}, "--tag aws:x=1"),
        ({"tags": {"AWS:x": "1"}}, "--tag AWS:x=1"),
        ({"tags": {"x": "a\nb"}}, "--tag x=a"),
        ({"tags": {"x": "a,b"}}, "--tag x=a,b"),
    ],
)
def test_machines_that_sagemaker_would_not_take(settings: dict, words: str) -> None:
    with pytest.raises(SubmitError) as refusal:
        Compute("ml.g5.xlarge", **settings)
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    "key",
    [
        "1234abcd-12ab-34cd-56ef-1234567890ab",
        "mrk-1234abcd12ab34cd56ef1234567890ab",
        "arn:aws:kms:us-east-2:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab",
        "arn:aws-us-gov:kms:us-gov-west-1:111122223333:alias/cards",
        "alias/cards",
    ],
)
def test_every_form_of_a_key_is_taken(key: str) -> None:
    assert Compute("ml.g5.xlarge", kms_key=key).kms_key == key
