"""What is drawn at random about a view: reproducible, within its limits, as often as expected."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recognition.views.parameters import (
    HOLO_SHARE,
    LARGEST_TABLE,
    NOISE_BANK,
    SLEEVE_SHARE,
    Framing,
    Pose,
    ViewParameters,
    draw_view,
    noise_bank,
    view_generator,
)
from tests.properties import examples


def drawn(number: int) -> ViewParameters:
    return draw_view(view_generator(0, "train", "a", number))


@pytest.fixture(scope="module")
def many() -> list[ViewParameters]:
    return [drawn(number) for number in range(3000)]


def numbers(view: ViewParameters) -> Iterator[float]:
    """Every number in the parameters."""
    for field in fields(view):
        value = getattr(view, field.name)
        if isinstance(value, np.ndarray):
            yield from value.ravel().tolist()
        elif isinstance(value, Pose):
            yield from (*value[:-1], *value.corners)
        elif isinstance(value, tuple):
            yield from value
        else:
            assert value is not None
            yield value


@settings(max_examples=examples(100), deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(["train", "query"]), st.integers(0, 10**8))
def test_view_is_drawn_from_its_name_alone(seed: int, stream: str, number: int) -> None:
    first, again = (draw_view(view_generator(seed, stream, "a", number)) for _ in range(2))
    assert list(numbers(first)) == list(numbers(again))
    assert list(numbers(first)) != list(
        numbers(draw_view(view_generator(seed + 1, stream, "a", 0)))
    )


def test_everything_drawn_is_a_plain_finite_number(many: list[ViewParameters]) -> None:
    for view in many[:300]:
        values = list(numbers(view))
        assert all(type(value) in (float, int, bool) and math.isfinite(value) for value in values)


def test_bounds(many: list[ViewParameters]) -> None:
    for view in many:
        assert abs(view.pose.roll) <= math.radians(15.001)
        assert max(abs(view.pose.pitch), abs(view.pose.yaw)) <= math.radians(24.001)
        assert 0.8 <= view.pose.fill <= 1.04
        assert view.table.dtype == np.uint8 and max(view.table.shape[:2]) <= LARGEST_TABLE
        assert not (view.blur and view.motion.length)
        assert view.quality is not None and 40 <= view.quality <= 95
        assert 0 <= view.noise.start < NOISE_BANK and 0.5 <= view.noise.deviation <= 7
        assert 0 <= view.haze <= 22 and 0 <= view.glare.strength <= 190
        assert all(0 <= channel <= 255 for channel in view.finger[5:])
        assert 0 <= view.holo.left < view.holo.right <= 1
        assert 0 <= view.holo.top < view.holo.bottom <= 1


def test_each_effect_is_in_its_share_of_the_views(many: list[ViewParameters]) -> None:
    shares = {
        "finger": (0.2, [view.finger.half_width for view in many]),
        "blur": (0.35, [view.blur for view in many]),
        "motion": (0.2, [view.motion.length for view in many]),
        "shadow": (0.3, [view.shadow.depth for view in many]),
        "haze": (0.4, [view.haze for view in many]),
        "glare": (0.35, [view.glare.strength for view in many]),
        "holo": (HOLO_SHARE, [view.holo.strength for view in many]),
        "sleeve": (SLEEVE_SHARE, [view.sleeve.haze for view in many]),
    }
    for name, (wanted, values) in shares.items():
        found = np.mean([value > 0 for value in values])
        assert abs(found - wanted) < 0.035, f"{name}: {found:.3f} instead of {wanted}"


def test_all_three_kinds_of_foil_are_met(many: list[ViewParameters]) -> None:
    foils = [view.holo for view in many if view.holo.strength]
    whole = sum(holo.right == 1 for holo in foils)
    around = sum(holo.around for holo in foils)
    assert min(whole, around, len(foils) - whole - around) > 0.15 * len(foils)


def test_added_effects_do_not_change_the_draws_of_others() -> None:
    """What is new is drawn last; these numbers are from the code before foil, sleeves and
    rectified cards."""
    view = draw_view(view_generator(0, "train", "a", 1), "framed")
    assert view.pose.roll == pytest.approx(0.06884966620727127, abs=1e-12)
    assert view.quality == 88


def test_half_of_the_cards_were_found_and_rectified(many: list[ViewParameters]) -> None:
    found = [view.pose.corners for view in many if view.pose.corners]
    assert 0.45 < len(found) / len(many) < 0.55
    errors = np.array(found).reshape(-1, 4, 2) - [(0, 0), (1, 0), (1, 1), (0, 1)]
    # Near the view's corners: the crop's own margin and the finder's error, at most 5 %.
    assert np.abs(errors).max() <= 0.02 + 0.03
    assert 0.005 < errors.std() < 0.03


@pytest.mark.parametrize(("framing", "rectified"), [("framed", False), ("rectified", True)])
def test_framing_can_be_chosen(framing: Framing, rectified: bool) -> None:
    for number in range(20):
        mixed = drawn(number)
        view = draw_view(view_generator(0, "train", "a", number), framing)
        assert bool(view.pose.corners) is rectified
        assert view.glare == mixed.glare and view.sleeve == mixed.sleeve


def test_noise_bank_is_standard_normal_and_does_not_change() -> None:
    bank = noise_bank()
    assert bank.shape == (NOISE_BANK,) and bank.dtype == np.float32
    assert abs(float(bank.mean())) < 0.005 and abs(float(bank.std()) - 1) < 0.005
    assert noise_bank() is bank
