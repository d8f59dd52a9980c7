from __future__ import annotations

import pytest
import torch

from training.losses.shares import IdleTermError, ShareWatch, gradient_shares


def test_shares_follow_the_gradient_not_the_value() -> None:
    embeddings = torch.ones(2, 3, requires_grad=True)
    terms = {
        "steep": 3 * embeddings.sum(),
        "flat": embeddings.sum(),
        "large": 1000 + 0 * embeddings.sum(),
    }
    shares = gradient_shares(terms, [embeddings])
    assert shares == pytest.approx({"steep": 0.75, "flat": 0.25, "large": 0.0})


def test_term_without_a_graph_has_no_share() -> None:
    embeddings = torch.ones(2, requires_grad=True)
    terms = {"real": embeddings.sum(), "hook_found_nothing": torch.tensor(5.0)}
    assert gradient_shares(terms, [embeddings]) == {"real": 1.0, "hook_found_nothing": 0.0}


def test_idle_term_raises_and_is_named() -> None:
    watch = ShareWatch({"embedding": 1.0, "attention": 0.25})
    for _ in range(3):
        watch.add({"embedding": 1.0, "attention": 0.0})
    with pytest.raises(IdleTermError, match=r"attention \(weight 0.25\) contributes nothing"):
        watch.check()


def test_squared_error_over_unit_vectors_is_idle_beside_a_cosine() -> None:
    """The guide's system gave such a term 35 %: it did next to nothing."""
    generator = torch.Generator().manual_seed(0)
    student = torch.nn.functional.normalize(torch.randn(32, 768, generator=generator), dim=1)
    teacher = torch.nn.functional.normalize(torch.randn(32, 768, generator=generator), dim=1)
    student.requires_grad_()
    shares = gradient_shares(
        {
            "squared": 0.35 * (student - teacher).square().mean(),
            "cosine": 0.65 * (1 - (student * teacher).sum(1)).mean(),
        },
        [student],
    )
    assert shares["squared"] < 0.01


def test_one_working_measurement_is_enough() -> None:
    watch = ShareWatch({"arcface": 1.0})
    watch.add({"arcface": 0.0})
    watch.add({"arcface": 0.5})
    watch.check()
