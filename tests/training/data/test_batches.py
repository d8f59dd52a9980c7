from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from recognition.card_sets.card_set import CardSetError
from recognition.card_sets.scan import stretch
from recognition.views.camera import views_per_card
from training.config import MOST_VARIANTS, ConfigError, TrainingConfig
from training.data import batches as module
from training.data.batches import Batches, CardDataset, card_variant

Load = Callable[..., CardDataset]
Tiny = Callable[..., TrainingConfig]


def test_identity_is_a_card_however_many_scans(
    card_folder: Path, tmp_path: Path, tiny: Callable[..., TrainingConfig]
) -> None:
    folder = tmp_path / "cards"
    shutil.copytree(card_folder, folder)
    first = next(folder.glob("*/*"))
    for card in folder.iterdir():
        scan = next(card.iterdir())
        shutil.copy(first if card == first.parent else scan, card / f"second{scan.suffix}")
    cards = CardDataset.load(folder, tiny(virtual_share=0))
    assert len(cards.scan_ids) == 2 * len(cards.split.known)
    assert len(cards.gallery) == len(cards.split.known)
    batch = Batches(cards, 10).batch(0)
    assert set(batch.cards.tolist()) <= set(range(len(cards.split.known)))


def test_unseen_cards_are_never_rendered_for_training(
    tiny_cards: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    cards = tiny_cards()
    unseen = set(cards.split.unseen_validation) | set(cards.split.unseen_test)
    assert unseen and not unseen & set(cards.split.known)
    assert set(cards.scan_ids) == set(cards.split.known)
    marked = np.zeros_like(cards.scans)
    marked[:] = np.arange(len(marked), dtype=np.uint8)[:, None, None, None]
    seen: set[int] = set()

    def record(scan: np.ndarray, size: int, rng: object, *, camera_side: int) -> np.ndarray:
        seen.update(np.unique(scan).tolist())
        return np.zeros((size, size, 3), np.uint8)

    monkeypatch.setattr(module, "camera_view", record)
    object.__setattr__(cards, "scans", marked)
    for step in range(4):
        Batches(cards, 4).batch(step)
    assert seen == set(range(len(marked)))


def test_batch_depends_on_its_step_alone(tiny_cards: Load) -> None:
    cards = tiny_cards(render_threads=3)
    streamed = list(Batches(cards, 6).begin())
    for step in (5, 0, 3):
        alone = Batches(cards, 6).batch(step)
        for name in ("views", "scans", "cards"):
            np.testing.assert_array_equal(getattr(alone, name), getattr(streamed[step], name))
    resumed = list(Batches(cards, 6).begin(4))
    np.testing.assert_array_equal(resumed[0].views, streamed[4].views)
    assert len(resumed) == 2


def test_each_pass_shows_every_card_once_in_another_order_and_view(tiny_cards: Load) -> None:
    cards = tiny_cards(batch_size=10, virtual_share=0)
    assert len(cards.split.known) == 10
    first, second = list(Batches(cards, 2).begin())
    assert sorted(first.cards) == sorted(second.cards) == list(range(10))
    assert first.cards.tolist() != second.cards.tolist()
    place = second.cards.tolist().index(first.cards[0])
    assert (first.views[0] != second.views[place]).any()
    np.testing.assert_array_equal(first.scans[0], second.scans[place])


def test_stages_and_seeds_see_different_views(tiny_cards: Load) -> None:
    one, two, other = (
        Batches(tiny_cards(**settings), 1).batch(0)
        for settings in ({"stage": "stage1"}, {"stage": "stage2"}, {"stage": "stage1", "seed": 2})
    )
    assert (one.views != two.views).any()
    assert (one.views != other.views).any()


def test_renderers_error_reaches_the_loop(
    tiny_cards: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(module, "camera_view", fail)
    with pytest.raises(MemoryError, match="no room"):
        list(Batches(tiny_cards(), 3).begin())


def test_evaluation_views_are_of_the_asked_cards_and_streams_differ(tiny_cards: Load) -> None:
    cards = tiny_cards()
    known = cards.split.known
    queries, ids = cards.views(known, "query", 2 * len(known))
    validation, _ = cards.views(known, "validation", 2 * len(known))
    assert ids == [card for card in known for _ in range(2)]
    assert queries.shape == (2 * len(known), 32, 32, 3) and queries.dtype == np.uint8
    assert (queries != validation).any()


def test_views_per_card() -> None:
    assert [views_per_card(n, 10) for n in (1, 14, 16, 100)] == [1, 1, 2, 10]
    assert [views_per_card(n, 10, fewest=3) for n in (1, 26, 36, 100)] == [3, 3, 4, 10]


def test_card_set_with_too_few_cards_raises(
    card_folder: Path, tmp_path: Path, tiny: Callable[..., TrainingConfig]
) -> None:
    for card in sorted(card_folder.iterdir())[:3]:
        shutil.copytree(card, tmp_path / card.name)
    with pytest.raises(CardSetError, match="3 cards cannot be split"):
        CardDataset.load(tmp_path, tiny())


def test_variants_of_a_card_are_all_different_and_the_first_is_the_card() -> None:
    scan = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    variants = [card_variant(scan, number) for number in range(MOST_VARIANTS)]
    np.testing.assert_array_equal(variants[0], scan)
    np.testing.assert_array_equal(variants[1], scan[:, ::-1])
    assert len({each.tobytes() for each in variants}) == MOST_VARIANTS


def test_half_of_the_rows_show_variants_under_numbers_of_their_own(tiny_cards: Load) -> None:
    cards = tiny_cards(variants=4, virtual_share=0, batch_size=64, scan_share=1)
    batch = Batches(cards, 1).batch(0)
    known = len(cards.split.known)
    variants = batch.cards // known
    assert 0.3 < (variants > 0).mean() < 0.7 and set(variants) <= {0, 1, 2, 3}
    np.testing.assert_array_equal(batch.cards % known, batch.sources)
    for scan, number, variant in zip(batch.scans, batch.sources, variants, strict=True):
        own = stretch(np.asarray(cards.scans[int(number)]), cards.config.image_size)
        assert np.abs(scan.astype(int) - card_variant(own, int(variant))).max() <= 1


def test_variants_beside_a_term_that_asks_the_teacher_are_refused(tiny: Tiny) -> None:
    with pytest.raises(ConfigError, match=r"variants 2: .* weight_embedding asks it"):
        tiny("stage1", variants=2)
