"""Renders each card's views once, has every matcher look at them, and counts.

The threshold of every matcher, regime and number of frames is chosen by one rule: the lowest score
that at most a given share of the strangers' queries reaches. What is then reported is counted
on other cards. All intervals are over cards (:mod:`recognition.clustered_intervals`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.recognition.matchers import Matcher, Pixels
from bench.recognition.parts import Parts
from recognition.clustered_intervals import Clusters, Interval, rate_interval
from recognition.views.camera import single_threaded_opencv
from recognition.views.camera_opencv import render_view
from recognition.views.effect_sheet import single_effects
from recognition.views.parameters import Framing, ViewParameters, draw_view, view_generator

Floats = NDArray[np.float32]
Scans = Callable[[Sequence[str]], Sequence[Pixels]]

#: Side in pixels of the pictures that every matcher is given.
CAMERA_SIDE = 256
FRAMES = (1, 3)
VIEWS = max(FRAMES)
REGIMES: tuple[Framing, ...] = ("framed", "rectified")
#: Effects of the robustness table, by the name in :func:`single_effects`.
EFFECTS = (
    *("no effect", "glare", "sleeve", "foil: whole card", "blur", "motion", "finger"),
    *("underexposed", "shadow", "noise", "JPEG", "perspective"),
)
#: Cards whose pictures are in memory at a time.
_GROUP = 32
#: Views at random that no other part of the product draws.
_STREAM = "bench-recognition"


@dataclass(frozen=True)
class Rate:
    """A share of queries, its 95 % interval over cards, and how many queries and cards it is of."""

    value: float
    interval: Interval
    queries: int
    cards: int

    @classmethod
    def of(cls, hits: NDArray[np.bool_], card_ids: Sequence[str]) -> Rate | None:
        """None where there are no queries."""
        if not len(hits):
            return None
        clusters = Clusters(card_ids, len(hits))
        return cls(float(hits.mean()), rate_interval(hits, clusters), len(hits), clusters.count)


@dataclass(frozen=True)
class Figures:
    """What one matcher does in one regime with so many frames.

    Attributes:
        known: Top-1 of the cards that the model was trained on; None where there are none.
        new: Top-1 of cards that it was not trained on, in a gallery that has them.
        accepted_right: Share of the gallery's queries that is accepted, and right.
        false_accepts: Share of the unknown cards' queries that is accepted.
        threshold: The score that was chosen by the strangers.
    """

    known: Rate | None
    new: Rate | None
    accepted_right: Rate
    false_accepts: Rate
    threshold: float


@dataclass(frozen=True)
class EffectFigures:
    """Of the gallery's cards with one strong effect: top-1, and accepted and right."""

    top1: Rate
    accepted_right: Rate


@dataclass
class Measured:
    """All of one matcher on one card set.

    Attributes:
        figures: By regime and number of frames.
        effects: By the effect's name.
        milliseconds: Of one picture: to describe it and to compare it with the gallery.
    """

    figures: dict[tuple[str, int], Figures]
    effects: dict[str, EffectFigures]
    milliseconds: float


@dataclass(frozen=True)
class _Queries:
    """Scores (N, cards) of queries, and the card that each shows."""

    scores: Floats
    card_ids: list[str]


def measure(
    matchers: Sequence[Matcher],
    scans: Scans,
    parts: Parts,
    *,
    seed: int,
    false_accepts: float,
    effects: Sequence[str] = EFFECTS,
    most: int | None = None,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> dict[str, Measured]:
    """Measures every matcher on the same pictures.

    Args:
        matchers: What recognises; each learns the gallery here.
        scans: Gives clean scans, uint8 RGB (h, w, 3), of cards by id.
        parts: Which cards play which part.
        seed: Of the views.
        false_accepts: Share in [0, 1) of the strangers' queries that may be accepted.
        effects: Names of :func:`single_effects`.
        most: Looks at so many of the gallery's cards at most; the gallery has all of them.
        progress: Told what is looked at, how many cards of it, and of how many.

    Returns:
        By the matcher's name.
    """
    columns = [*parts.gallery, *parts.joining]
    gallery = list(scans(columns))
    for matcher in matchers:
        matcher.learn(gallery)
    seconds = dict.fromkeys((matcher.name for matcher in matchers), 0.0)
    pictures = 0
    found = {matcher.name: Measured({}, {}, 0.0) for matcher in matchers}
    shown_cards = _evenly_spaced(parts.gallery, most)
    groups = (shown_cards, parts.joining, parts.strangers, parts.unknown)
    everyone = sorted({card for group in groups for card in group})

    def look(
        subject: str, cards: Sequence[str], views: Callable[[str], Sequence[ViewParameters]]
    ) -> dict[str, dict[int, _Queries]]:
        """Scores of every card's views, alone and in threes, by matcher and number of frames."""
        nonlocal pictures
        rows: dict[str, dict[int, list[Floats]]] = {m.name: {} for m in matchers}
        shown: dict[int, list[str]] = {}
        for start in range(0, len(cards), _GROUP):
            part = cards[start : start + _GROUP]
            images = _rendered(scans(part), [views(card) for card in part])
            count = len(images) // len(part)
            pictures += len(images)
            for frames in FRAMES:
                if count >= frames:
                    shown.setdefault(frames, []).extend(
                        card for card in part for _ in range(count // frames)
                    )
            for matcher in matchers:
                begun = time.monotonic()
                described = matcher.describe(images)
                single = matcher.scores(described[:, None])
                seconds[matcher.name] += time.monotonic() - begun
                scored = rows[matcher.name]
                scored.setdefault(1, []).append(single)
                for frames in FRAMES[1:]:
                    if count >= frames:
                        grouped = described.reshape(len(part), count, -1)
                        grouped = grouped[:, : count // frames * frames]
                        grouped = grouped.reshape(-1, frames, described.shape[1])
                        scored.setdefault(frames, []).append(matcher.scores(grouped))
            progress(subject, start + len(part), len(cards))
        return {
            name: {
                frames: _Queries(np.concatenate(each), shown[frames])
                for frames, each in of_matcher.items()
            }
            for name, of_matcher in rows.items()
        }

    for regime in REGIMES:
        looked = look(regime, everyone, partial(_drawn, seed, regime))
        for name, by_frames in looked.items():
            for frames, queries in by_frames.items():
                found[name].figures[regime, frames] = _figures(
                    queries, columns, parts, false_accepts
                )
    table = single_effects()
    for effect in effects:
        looked = look(effect, shown_cards, partial(_same, [table[effect]]))
        for name, by_frames in looked.items():
            # As a device has it: the threshold does not know which effect it will meet.
            threshold = found[name].figures[REGIMES[0], 1].threshold
            found[name].effects[effect] = _effect_figures(by_frames[1], columns, parts, threshold)
    for name, measured in found.items():
        measured.milliseconds = 1000 * seconds[name] / max(1, pictures)
    return found


def _evenly_spaced(cards: Sequence[str], most: int | None) -> tuple[str, ...]:
    count = len(cards) if most is None else min(most, len(cards))
    return tuple(cards[place * len(cards) // count] for place in range(count))


def threshold_for(best: Floats, false_accepts: float) -> float:
    """The lowest score that at most a share of these best scores reaches.

    Args:
        best: (N,) best scores of the strangers' queries, at least one.
        false_accepts: The share, in [0, 1).
    """
    ordered = np.sort(best)[::-1]
    allowed = int(np.floor(false_accepts * len(ordered) + 1e-9))
    return float(np.nextafter(ordered[allowed], np.float32(np.inf)))


def _figures(
    queries: _Queries, columns: Sequence[str], parts: Parts, false_accepts: float
) -> Figures:
    base = slice(0, len(parts.gallery))
    ids = np.asarray(queries.card_ids)
    of = {name: np.isin(ids, getattr(parts, name)) for name in ("gallery", "strangers", "unknown")}
    in_base = queries.scores[:, base]
    best = in_base.max(axis=1)
    first = np.asarray(columns[base])[in_base.argmax(axis=1)] == ids
    threshold = threshold_for(best[of["strangers"]], false_accepts)
    right = (first & (best >= threshold))[of["gallery"]]
    new = np.isin(ids, parts.new)
    # New cards are looked up in a gallery that has them.
    anywhere = np.asarray(columns)[queries.scores.argmax(axis=1)] == ids
    known_ids, unknown_ids = ids[of["gallery"]].tolist(), ids[of["unknown"]].tolist()
    accepted = Rate.of(right, known_ids)
    false = Rate.of(best[of["unknown"]] >= threshold, unknown_ids)
    assert accepted is not None and false is not None
    return Figures(
        known=Rate.of(first[of["gallery"]], known_ids) if parts.known else None,
        new=Rate.of(anywhere[new], ids[new].tolist()),
        accepted_right=accepted,
        false_accepts=false,
        threshold=threshold,
    )


def _effect_figures(
    queries: _Queries, columns: Sequence[str], parts: Parts, threshold: float
) -> EffectFigures:
    base = slice(0, len(parts.gallery))
    in_base = queries.scores[:, base]
    first = np.asarray(columns[base])[in_base.argmax(axis=1)] == np.asarray(queries.card_ids)
    accepted = first & (in_base.max(axis=1) >= threshold)
    top1, right = Rate.of(first, queries.card_ids), Rate.of(accepted, queries.card_ids)
    assert top1 is not None and right is not None
    return EffectFigures(top1, right)


def _same(views: list[ViewParameters], card: str) -> list[ViewParameters]:
    """The same views of every card."""
    return views


def _drawn(seed: int, regime: Framing, card: str) -> list[ViewParameters]:
    """A card's views; those of the two regimes differ in how the card comes into the view alone."""
    return [
        draw_view(view_generator(seed, _STREAM, card, number), regime) for number in range(VIEWS)
    ]


def _rendered(scans: Sequence[Pixels], views: Sequence[Sequence[ViewParameters]]) -> Pixels:
    with single_threaded_opencv():
        return np.stack(
            [
                render_view(scan, view, CAMERA_SIDE)
                for scan, of_card in zip(scans, views, strict=True)
                for view in of_card
            ]
        )


def to_dict(measured: Mapping[str, Measured]) -> dict[str, Any]:
    """Plain values for JSON."""

    def rate(found: Rate | None) -> dict[str, Any] | None:
        if found is None:
            return None
        return {
            "value": found.value,
            "interval_95": list(found.interval),
            "queries": found.queries,
            "cards": found.cards,
        }

    return {
        name: {
            "milliseconds": each.milliseconds,
            "figures": {
                f"{regime}, {frames} frame{'s' if frames > 1 else ''}": {
                    "known": rate(f.known),
                    "new": rate(f.new),
                    "accepted_right": rate(f.accepted_right),
                    "false_accepts": rate(f.false_accepts),
                    "threshold": f.threshold,
                }
                for (regime, frames), f in each.figures.items()
            },
            "effects": {
                effect: {"top1": rate(f.top1), "accepted_right": rate(f.accepted_right)}
                for effect, f in each.effects.items()
            },
        }
        for name, each in measured.items()
    }
