"""The teacher asked once: the same answers, and far fewer questions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from training.config import ConfigError, TrainingConfig
from training.data.batches import Batches, CardDataset
from training.jobs.teacher_targets import TeacherTargets
from training.losses.term import LossInputs
from training.models.networks import Teacher, build_model
from training.reporting.evaluation import ModelEmbedder

Load = Callable[..., CardDataset]
CPU = torch.device("cpu")
SETTINGS = {"weight_feature_map": 0.0, "virtual_share": 0.5}


def targets(cards: CardDataset, tiny: Callable[..., TrainingConfig]) -> TeacherTargets:
    config = tiny()
    model = build_model(config).eval()
    assert isinstance(model, Teacher)
    return TeacherTargets(ModelEmbedder(model, config, CPU), model, cards)


def test_cached_teacher_answers_equal_computed_ones(
    tiny_cards: Load, tiny: Callable[..., TrainingConfig]
) -> None:
    cards = tiny_cards("stage1", teacher_views=3, **SETTINGS)
    kept = targets(cards, tiny)
    # The same pictures, asked about every time.
    live = targets(replace(cards, config=replace(cards.config, teacher_views=0)), tiny)
    source = Batches(cards, 40)
    virtual = 0
    for step in range(12):
        batch = source.batch(step)
        ours, theirs = kept.of(batch), live.of(batch)
        assert ours.views is not None and theirs.views is not None
        torch.testing.assert_close(ours.views, theirs.views, atol=1e-3, rtol=0)
        assert ours.scans is not None and theirs.scans is not None
        torch.testing.assert_close(ours.scans, theirs.scans, atol=1e-3, rtol=0)
        virtual += int((batch.cards < 0).sum())
    assert virtual > 10, "the scans of virtual cards are kept, too"
    # 10 known cards have 3 views each; about as many virtual scans, and the gallery.
    assert kept.asked <= 10 * 3 * 2 + 10 < live.asked


def test_teacher_views_repeat_after_their_number(tiny_cards: Load) -> None:
    cards = tiny_cards("stage1", teacher_views=2, batch_size=10, scan_share=0.5, **SETTINGS)
    assert len(cards.split.known) == 10
    passes = [Batches(cards, 8).batch(step) for step in range(4)]
    rows = [dict(zip(b.sources.tolist(), b.views, strict=True)) for b in passes]
    for card in range(10):
        np.testing.assert_array_equal(rows[0][card], rows[2][card])
        np.testing.assert_array_equal(rows[1][card], rows[3][card])
        assert not np.array_equal(rows[0][card], rows[1][card])
    assert [b.turns[0] for b in passes] == [0, 1, 0, 1]


def test_another_process_s_answers_are_taken(
    tiny_cards: Load, tiny: Callable[..., TrainingConfig]
) -> None:
    cards = tiny_cards("stage1", teacher_views=2, **SETTINGS)
    batch = Batches(cards, 4).batch(0)
    asks, told = targets(cards, tiny), targets(cards, tiny)
    answer = asks.of(batch)
    told.remember(
        LossInputs(
            torch.zeros(8, 1),
            torch.zeros(4, 1),
            torch.from_numpy(batch.cards),
            answer.views,
            answer.scans,
            pictures=answer.pictures,
        )
    )
    before = told.asked
    again = told.of(batch)
    assert told.asked == before
    assert again.views is not None and answer.views is not None
    assert torch.equal(again.views, answer.views)
    # And a run that was killed finds them in its checkpoint.
    resumed = targets(cards, tiny)
    resumed.load_state_dict(told.state_dict())
    before = resumed.asked
    found = resumed.of(batch).views
    assert resumed.asked == before and found is not None and torch.equal(found, answer.views)


def test_maps_are_not_kept(tiny: Callable[..., TrainingConfig]) -> None:
    with pytest.raises(ConfigError, match=r"teacher_views 2: .* weight_feature_map needs its maps"):
        tiny("stage1", teacher_views=2)
