"""The recognition benchmark counts right, and shows every matcher the same pictures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.recognition.__main__ import load_model, main
from bench.recognition.matchers import EmbeddingMatcher, Floats, HashMatcher, Pixels
from bench.recognition.measurement import CAMERA_SIDE, FRAMES, REGIMES, measure, threshold_for
from bench.recognition.measurement import to_dict as measured_to_dict
from bench.recognition.parts import Parts, PartsError, parts_of
from bench.recognition.tables import tables
from recognition.card_sets.scan import load_scan
from recognition.sample_cards.drawing import draw_card_set
from recognition.search.gallery import l2_normalise
from recognition.views.camera_opencv import render_view
from recognition.views.effect_sheet import single_effects
from registry.contract import Contract

SIZE = 8


def thumbnails(images: Pixels) -> Floats:
    """A poor embedding: the pixels, less their mean."""
    rows = images.reshape(len(images), -1).astype(np.float32)
    return l2_normalise(rows - rows.mean(axis=1, keepdims=True))


class Witness(EmbeddingMatcher):
    """Remembers what it was shown."""

    def __init__(self, name: str) -> None:
        super().__init__(name, thumbnails, SIZE)
        self.seen: list[str] = []

    def describe(self, images: Pixels) -> Floats:
        self.seen.append(hashlib.sha256(images.tobytes()).hexdigest())
        return super().describe(images)


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Pixels]:
    folder = tmp_path_factory.mktemp("drawn")
    draw_card_set(folder, 12, seed=9, height=256)
    contract = Contract(size=CAMERA_SIDE)
    return {c.name: load_scan(next(c.iterdir()), contract) for c in sorted(folder.iterdir())}


@given(st.lists(st.integers(0, 10_000), min_size=12, max_size=80, unique=True), st.integers(0, 40))
def test_no_card_of_any_set_plays_two_parts(numbers: list[int], trained: int) -> None:
    ids = [f"card-{number}" for number in numbers]
    try:
        parts = parts_of(ids, ids[:trained])
    except PartsError:
        return
    groups = [parts.gallery, parts.strangers, parts.unknown]
    together = [card for group in groups for card in group]
    assert sorted(together) == sorted(ids)
    assert set(parts.known) == set(ids[:trained]) and set(parts.known) <= set(parts.gallery)
    assert parts.joining == (parts.unknown if trained else ())
    assert parts.new == (parts.unknown if trained else parts.gallery)


def test_models_own_split_decides_where_there_is_one() -> None:
    ids = [f"card-{number}" for number in range(20)]
    parts = parts_of(ids, ids[:14], (ids[14:17], ids[17:]))
    assert (parts.known, parts.strangers, parts.unknown) == tuple(
        tuple(sorted(group)) for group in (ids[:14], ids[14:17], ids[17:])
    )


@pytest.mark.parametrize("count", [1, 11])
def test_too_few_cards_are_refused(count: int) -> None:
    with pytest.raises(PartsError, match="give a larger card set"):
        parts_of([f"card-{number}" for number in range(count)], ())


@given(
    st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=200),
    st.sampled_from([0.0, 0.01, 0.1, 0.5]),
)
def test_at_most_the_share_of_strangers_queries_reaches_the_threshold(
    best: list[float], share: float
) -> None:
    scores = np.asarray(best, dtype=np.float32)
    threshold = threshold_for(scores, share)
    assert (scores >= threshold).mean() <= share
    # One more of them would be too many.
    lower = np.nextafter(np.float32(threshold), np.float32(-np.inf))
    assert (scores >= lower).sum() > np.floor(share * len(scores) + 1e-9)


def test_matchers_are_shown_the_same_pictures_and_counted_on_other_cards(
    scans: dict[str, Pixels],
) -> None:
    ids = sorted(scans)
    parts = Parts(tuple(ids[:6]), tuple(ids[:6]), tuple(ids[9:]), tuple(ids[6:9]), tuple(ids[9:]))
    one, other = Witness("one"), Witness("other")
    asked: list[str] = []

    def take(card_ids: Sequence[str]) -> list[Pixels]:
        asked.extend(card_ids)
        return [scans[card_id] for card_id in card_ids]

    found = measure(
        [one, other], take, parts, seed=3, false_accepts=0.1, effects=("no effect", "blur")
    )
    assert one.seen == other.seen and len(set(one.seen)) == len(one.seen)
    ours, theirs = (found[name].figures for name in ("one", "other"))
    assert ours == theirs
    assert set(ours) == {(regime, frames) for regime in REGIMES for frames in FRAMES}
    for (_, frames), figures in ours.items():
        assert figures.known is not None and figures.new is not None
        views = max(FRAMES) // frames
        assert (figures.known.queries, figures.known.cards) == (6 * views, 6)
        assert (figures.new.queries, figures.new.cards) == (3 * views, 3)
        assert figures.false_accepts.queries == 3 * views
        assert figures.accepted_right.value <= figures.known.value
    # A clean scan at the camera's size is its own nearest.
    assert found["one"].effects["no effect"].top1.value == 1
    again = measure([Witness("one")], take, parts, seed=3, false_accepts=0.1, effects=())
    assert again["one"].figures == ours
    document = json.loads(json.dumps(measured_to_dict(found)))
    assert document["one"]["figures"]["framed, 3 frames"]["known"]["cards"] == 6
    text = tables("drawn", parts, found)
    assert "6 known cards, 3 new; 3 cards outside" in text and "| blur |" in text


def test_hash_and_orb_name_a_card_that_lies_straight(scans: dict[str, Pixels]) -> None:
    ids = sorted(scans)[:5]
    matcher = HashMatcher()
    matcher.learn([scans[card] for card in ids])
    plain = single_effects()["no effect"]
    views = np.stack([render_view(scans[card], plain, CAMERA_SIDE) for card in ids])
    described = matcher.describe(views)
    scores = matcher.scores(described[:, None])
    assert scores.argmax(axis=1).tolist() == list(range(5))
    # Verified by points, not by the hash alone.
    assert (scores.max(axis=1) > 1).all()
    grey = np.full((1, CAMERA_SIDE, CAMERA_SIDE, 3), 128, np.uint8)
    assert (matcher.scores(matcher.describe(grey)[:, None]) <= 1).all()


def test_folder_without_a_model_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--model", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert "holds neither model.tar.gz nor manifest.json" in told and told.count("\n") == 1
    with pytest.raises(ValueError, match="holds neither"):
        load_model(tmp_path, tmp_path)
