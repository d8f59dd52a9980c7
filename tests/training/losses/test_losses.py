"""Each loss: its value on known input, and the direction of its gradient."""

from __future__ import annotations

import functools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from tests.properties import examples
from training.losses.map_adapter import map_adapter
from training.losses.terms.arcface import arcface_loss
from training.losses.terms.attention import attention_loss
from training.losses.terms.contrastive import contrastive_loss
from training.losses.terms.embedding import embedding_loss
from training.losses.terms.feature_map import feature_map_loss
from training.losses.terms.high_frequency import (
    high_frequencies,
    high_frequency_loss,
)
from training.losses.terms.kl import kl_loss
from training.losses.terms.relational import relational_loss


def unit(*rows: list[float]) -> Tensor:
    return functional.normalize(torch.tensor(rows, dtype=torch.float64), dim=1)


def numbers(seed: int, rows: int = 6, width: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, width, generator=generator, dtype=torch.float64)


def test_embedding_is_the_cosine_distance() -> None:
    teacher = unit([1, 0], [1, 0], [1, 0])
    student = torch.tensor([[5.0, 0], [0, 2], [-1, 0]], dtype=torch.float64)
    assert embedding_loss(student, teacher).item() == pytest.approx((0 + 1 + 2) / 3)


def test_relational_of_a_copy_is_zero_and_of_a_constant_answer_about_one() -> None:
    teacher = numbers(0, rows=40)
    assert relational_loss(3 * teacher, teacher).item() == pytest.approx(0, abs=1e-12)
    cosines = functional.normalize(teacher, dim=1) @ functional.normalize(teacher, dim=1).T
    others = cosines[~torch.eye(40, dtype=torch.bool)]
    # Two directions at the mean cosine's angle cannot be had for all pairs; all alike can.
    alike = torch.ones(40, 5, dtype=torch.float64)
    expected = (1 - others).square().mean() / others.var(unbiased=False)
    assert relational_loss(alike, teacher).item() == pytest.approx(expected.item())


def test_relational_ignores_a_rotation_of_the_whole_space() -> None:
    teacher = numbers(1)
    rotation, _ = torch.linalg.qr(numbers(2, 5, 5))
    assert relational_loss(teacher @ rotation, teacher).item() == pytest.approx(0, abs=1e-12)
    assert embedding_loss(teacher @ rotation, teacher).item() > 0.1


def test_kl_by_hand() -> None:
    anchors = unit([1, 0], [0, 1])
    teacher, student = unit([1, 0], [0, 1]), unit([0, 1], [0, 1])
    # Logits (s/T) * (1, 0) against (s/T) * (0, 1) with s/T = 2; the second row is a copy.
    p = 1 / (1 + math.exp(-2))
    apart = p * math.log(p / (1 - p)) + (1 - p) * math.log((1 - p) / p)
    # The teacher's mean is even: what tells its answers apart is their distance to that.
    told = p * math.log(2 * p) + (1 - p) * math.log(2 * (1 - p))
    value = kl_loss(student, teacher, anchors, scale=8, temperature=4)
    assert value.item() == pytest.approx(apart / 2 / told)
    assert kl_loss(3 * teacher, teacher, anchors, scale=8, temperature=4).item() == (
        pytest.approx(0, abs=1e-12)
    )


@pytest.mark.parametrize("scale", [8.0, 64.0])
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_kl_of_a_constant_answer_is_at_least_one(scale: float, temperature: float) -> None:
    teacher = numbers(3, rows=30)
    alike = numbers(8, rows=1).expand(30, -1)
    assert kl_loss(alike, teacher, teacher, scale=scale, temperature=temperature).item() >= 1


def test_kl_keeps_its_size_over_temperature_and_scale() -> None:
    """Softened answers are told apart by less, and the loss by as much less."""
    teacher, anchors = numbers(3), numbers(4, rows=7)
    sizes = []
    for scale, temperature in ((8.0, 20.0), (8.0, 40.0), (0.8, 4.0)):
        student = numbers(5).requires_grad_()
        # As little as these answers tell, the smallest information must not decide.
        kl_loss(student, 3 * teacher, anchors, scale=10 * scale, temperature=temperature).backward()
        assert student.grad is not None
        sizes.append(student.grad.norm().item())
    assert sizes[0] == pytest.approx(sizes[1], rel=0.6)
    assert sizes[1] == pytest.approx(sizes[2], rel=1e-6)


def test_arcface_by_hand() -> None:
    prototypes = unit([1, 0], [0, 1])
    angle = 0.5
    embedding = torch.tensor([[math.cos(angle), math.sin(angle)]], dtype=torch.float64) * 7
    right, wrong = 4 * math.cos(angle + 0.3), 4 * math.sin(angle)
    expected = -right + math.log(math.exp(right) + math.exp(wrong))
    value = arcface_loss(embedding, torch.tensor([0]), prototypes, scale=4, margin=0.3)
    assert value.item() == pytest.approx(expected)


def test_arcface_without_margin_is_scaled_cross_entropy() -> None:
    prototypes, embeddings = numbers(6, rows=4), numbers(7)
    cards = torch.tensor([0, 1, 2, 3, 0, 1])
    cosines = functional.normalize(embeddings, dim=1) @ functional.normalize(prototypes, dim=1).T
    expected = functional.cross_entropy(16 * cosines, cards)
    value = arcface_loss(embeddings, cards, prototypes, scale=16, margin=0.0)
    assert value.item() == pytest.approx(expected.item())


@settings(max_examples=examples(60), deadline=None)
@given(st.floats(0.0, 3.1), st.floats(0.0, 3.1))
def test_arcface_falls_as_the_angle_falls_even_beyond_the_turn(one: float, two: float) -> None:
    near, far = sorted((one, two))
    prototypes = unit([1, 0, 0], [0, 0, 1])

    def at(angle: float) -> float:
        embedding = torch.tensor([[math.cos(angle), math.sin(angle), 0.0]], dtype=torch.float64)
        card = torch.tensor([0])
        return float(arcface_loss(embedding, card, prototypes, scale=8, margin=0.5))

    assert at(near) <= at(far) + 1e-6


def test_contrastive_by_hand() -> None:
    scans = unit([1, 0], [0, 1])
    value = contrastive_loss(scans.clone(), scans, temperature=0.5)
    assert value.item() == pytest.approx(math.log(1 + math.exp(-2)))


def test_contrastive_ignores_other_views_of_the_same_card() -> None:
    scans = unit([1, 0], [1, 0], [0, 1])
    same = torch.tensor([7, 7, 3])
    value = contrastive_loss(scans.clone(), scans, same, temperature=0.5)
    assert value.item() == pytest.approx(
        (math.log(1 + math.exp(-2)) * 2 + math.log(1 + 2 * math.exp(-2))) / 3
    )
    virtual = torch.tensor([-1, -1, -1])
    assert contrastive_loss(scans.clone(), scans, virtual, temperature=0.5) > value


def test_feature_map_is_the_unexplained_share() -> None:
    generator = torch.Generator().manual_seed(0)
    teacher = (
        torch.randn(16, 2, 4, 4, generator=generator) * torch.tensor([1.0, 100.0])[:, None, None]
    )
    adapter = map_adapter(2, 2, seed=0)
    loss = functools.partial(feature_map_loss, adapter)
    with torch.no_grad():
        adapter.bias.zero_()
        adapter.weight.zero_()
        assert loss(teacher, teacher).item() == pytest.approx(1.0, abs=1e-3)
        # Explaining one channel of two, however loud the other is, explains half.
        adapter.weight[0, 0] = 1 / teacher[:, 0].std(unbiased=False)
        adapter.bias[0] = -teacher[:, 0].mean() / teacher[:, 0].std(unbiased=False)
        assert loss(teacher, teacher).item() == pytest.approx(0.5, abs=1e-3)


def test_feature_map_brings_the_teachers_grid_to_the_students() -> None:
    loss = functools.partial(feature_map_loss, map_adapter(3, 5, seed=1))
    student = torch.randn(2, 3, 4, 4).requires_grad_()
    fine = torch.randn(2, 5, 4, 4).repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert loss(student, fine).item() == pytest.approx(loss(student, fine[:, :, ::2, ::2]).item())
    loss(student, fine).backward()
    assert student.grad is not None and (student.grad != 0).all()


@pytest.mark.parametrize("name", ["embedding", "relational", "kl", "arcface", "contrastive"])
def test_gradient_is_right_and_descends(name: str) -> None:
    teacher, anchors = numbers(8), numbers(9, rows=4)
    cards = torch.tensor([0, 1, 2, 3, 0, 1])

    def loss(student: Tensor) -> Tensor:
        return {
            "embedding": lambda: embedding_loss(student, teacher),
            "relational": lambda: relational_loss(student, teacher),
            "kl": lambda: kl_loss(student, teacher, anchors, scale=8, temperature=2),
            "arcface": lambda: arcface_loss(student, cards, anchors, scale=8, margin=0.2),
            "contrastive": lambda: contrastive_loss(student, teacher, temperature=0.3),
        }[name]()

    student = numbers(10).requires_grad_()
    assert torch.autograd.gradcheck(loss, (student,))
    before = loss(student)
    before.backward()
    assert loss(student.detach() - 1e-3 * student.grad) < before


def maps(seed: int, rows: int = 4, channels: int = 6, side: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, channels, side, side, generator=generator, dtype=torch.float64)


def test_attention_by_hand() -> None:
    # One channel, 2 × 2: energies 9, 1, 1, 1 and 1, 1, 1, 9; less their mean 6, -2, -2, -2.
    here = torch.tensor([[3.0, 1], [-1, 1]], dtype=torch.float64).view(1, 1, 2, 2)
    there = torch.tensor([[1.0, -1], [1, 3]], dtype=torch.float64).view(1, 1, 2, 2)
    assert attention_loss(here, here).item() == pytest.approx(0, abs=1e-12)
    correlation = (-12 - 12 + 4 + 4) / 48
    assert attention_loss(here, there).item() == pytest.approx(1 - correlation)


def test_attention_is_of_places_not_of_channels_or_size() -> None:
    teacher = maps(1, channels=3, side=4)
    assert attention_loss(teacher.flip(1) * 7, teacher).item() == pytest.approx(0, abs=1e-9)
    # A finer grid is averaged onto the coarser one.
    fine = teacher.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert attention_loss(fine, teacher).item() == pytest.approx(0, abs=1e-9)
    # A map that is the same everywhere looks nowhere.
    flat = torch.ones_like(teacher).requires_grad_()
    loss = attention_loss(flat, teacher)
    assert loss.item() == pytest.approx(1)
    loss.backward()
    assert flat.grad is not None and torch.isfinite(flat.grad).all()


def test_attention_s_gradient() -> None:
    student = maps(2).requires_grad_()
    teacher = maps(3, channels=4)
    assert torch.autograd.gradcheck(lambda values: attention_loss(values, teacher), (student,))
    before = attention_loss(student, teacher)
    before.backward()
    assert student.grad is not None
    after = attention_loss(student.detach() - 0.1 * student.grad, teacher)
    assert after < before


def test_high_frequencies_are_what_neighbours_do_not_share() -> None:
    flat = torch.full((1, 1, 4, 4), 3.0)
    assert torch.equal(high_frequencies(flat), torch.zeros_like(flat))
    spike = torch.zeros(1, 1, 3, 3)
    spike[0, 0, 1, 1] = 9.0
    found = high_frequencies(spike)[0, 0]
    assert found[1, 1].item() == pytest.approx(9 - 1)
    assert found[0, 0].item() == pytest.approx(0 - 9 / 4)
    assert found[0, 1].item() == pytest.approx(0 - 9 / 6)


def test_high_frequency_of_predicting_nothing_is_one_and_of_a_copy_zero() -> None:
    adapter = map_adapter(6, 6, seed=0, bias=False).double()
    term = functools.partial(high_frequency_loss, adapter)
    teacher = maps(4)
    assert term(torch.ones_like(teacher), teacher).item() == pytest.approx(1, abs=1e-5)
    target = high_frequencies(teacher)
    deviation = target.square().mean(dim=(0, 2, 3)).sqrt()
    with torch.no_grad():
        adapter.weight.copy_(torch.diag(1 / deviation)[:, :, None, None])
    # The level of a map is none of this term's business.
    assert term(teacher + 100, teacher).item() == pytest.approx(0, abs=1e-6)


def test_high_frequency_s_gradient_teaches_the_student() -> None:
    adapter = map_adapter(3, 6, seed=1, bias=False).double()
    term = functools.partial(high_frequency_loss, adapter)
    student, teacher = maps(5, channels=3).requires_grad_(), maps(6)
    before = term(student, teacher)
    before.backward()
    assert student.grad is not None and adapter.weight.grad is not None
    assert term(student.detach() - 0.1 * student.grad, teacher) < before
    assert torch.autograd.gradcheck(lambda values: term(values, teacher), (student,))
