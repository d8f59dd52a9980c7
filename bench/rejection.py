"""Compares ways to tell known cards from unknown ones, on one model's embeddings.

``python -m bench.rejection --model JOB/model --cards DIR`` embeds views of known cards, of the
validation part's and the test part's unknown cards and of drawn strangers with a trained student,
and prints three tables:

1. **Scores**: the best cosine, its gap to the runners-up, what lies between, and a logistic score
   of cosine and feature norm; chosen by the validation columns.
2. **Thresholds**: by a share of views, by a bootstrap over cards, and letting no view pass, over
   random draws of so many strangers; what unknown cards pass that did not choose them.
3. **Frames**: one, two and three views as one query.

The model's own split is used: nothing of what is measured was trained on.
"""

# Over 400 lines: it is one measurement, read from its parts to its table.

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recognition.acceptance.false_accepts import FALSE_ACCEPTS
from recognition.acceptance.threshold import choose_threshold, threshold_between
from recognition.retrieval import auroc
from recognition.search.frames import in_frames
from recognition.search.gallery import TIE, Gallery, checked_rows
from recognition.search.match_score import RUNNERS_UP, MatchScore

Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]

WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
DRAWS = 60
COUNTS = (15, 30, 60, 100, 200, 280)
_PARTS = ("known_validation", "known_test", "unseen_validation", "unseen_test", "strangers")


@dataclass(frozen=True)
class Part:
    """Queries of one part.

    Attributes:
        ranked: (N, 11) cosines of the nearest cards, best first.
        norms: (N,) lengths of the embeddings before normalisation.
        right: Whether the nearest card is the own one; False for unknown cards.
        ids: Card id of each.
    """

    ranked: Doubles
    norms: Doubles
    right: Flags
    ids: list[str]


@dataclass(frozen=True)
class ScoreFigures:
    """One score, its threshold chosen by a share of the validation part's views.

    Attributes:
        auroc: Of validation views, known against unknown.
        validation: Accepted and right, of the known cards' validation views.
        test: The same of their test views.
        false: Share of the test part's unknown views that are accepted.
    """

    name: str
    auroc: float
    validation: float
    test: float
    false: float


@dataclass(frozen=True)
class ThresholdFigures:
    """One way to choose a threshold, over random draws of the strangers.

    Attributes:
        cards: Stranger cards that chose it.
        false: Mean share accepted of the views of the unknown cards that did not choose it.
        false_90: Its 90th percentile over the draws.
        missed: Share of the draws in which it is above the target.
        right: Mean share of known views that are accepted and right.
    """

    name: str
    cards: int
    false: float
    false_90: float
    missed: float
    right: float


def parts_of(arrays: Mapping[str, NDArray[np.float32]]) -> dict[str, Part]:
    """Looks every part's queries up in the gallery.

    Args:
        arrays: ``gallery`` and the parts, embeddings (N, D) of any length, and the card id of each
            row under ``…_ids``.
    """
    gallery = Gallery(arrays["gallery"], [str(each) for each in arrays["gallery_ids"]])
    found = {}
    for name in _PARTS:
        if name in arrays:
            ids = [str(each) for each in arrays[f"{name}_ids"]]
            found[name] = _looked_up(gallery, arrays[name], ids, name.startswith("known"))
    return found


def _looked_up(gallery: Gallery, raw: NDArray[np.float32], ids: list[str], known: bool) -> Part:
    rows = checked_rows(raw, ids, "queries", gallery.dimensions)
    right = np.zeros(len(ids), bool)
    if known:
        right = gallery.own_cards(rows, ids).rank == 1
    ranked = gallery.best(rows, 1 + RUNNERS_UP).astype(np.float64)
    return Part(ranked, np.linalg.norm(raw.astype(np.float64), axis=1), right, ids)


def compare_scores(parts: Mapping[str, Part], target: float = FALSE_ACCEPTS) -> list[ScoreFigures]:
    """Each candidate score at the same share of the validation part's unknown views.

    A share of views, not of cards: scores are compared here, and few cards would make
    every threshold that of the one nearest stranger.
    """
    scores: dict[str, Callable[[Part], Doubles]] = {}
    for weight in WEIGHTS:
        name = {0.0: "best cosine", 1.0: "gap to ranks 2 to 11"}.get(weight, f"weight {weight:g}")
        scores[name] = partial(_by_rank, MatchScore(weight))
    known, unknown = parts["known_validation"], parts["unseen_validation"]
    for name, features in (
        ("logistic: cosine, gap", _cosine_and_gap),
        ("logistic: cosine, norm", _cosine_and_norm),
        ("logistic: cosine, gap, norm", lambda p: np.column_stack((_cosine_and_gap(p), p.norms))),
    ):
        scores[name] = _logistic(features, known, unknown)
    return [_score_figures(name, score, parts, target) for name, score in scores.items()]


def _by_rank(score: MatchScore, part: Part) -> Doubles:
    return score.of(part.ranked)


def _score_figures(
    name: str, score: Callable[[Part], Doubles], parts: Mapping[str, Part], target: float
) -> ScoreFigures:
    outside = score(parts["unseen_validation"])
    threshold = threshold_between(outside, math.floor(target * len(outside) + 1e-9))
    known = {part: score(parts[part]) for part in ("known_validation", "known_test")}
    right = {
        part: float(((values >= threshold) & parts[part].right).mean())
        for part, values in known.items()
    }
    return ScoreFigures(
        name,
        auroc(known["known_validation"], outside, TIE),
        right["known_validation"],
        right["known_test"],
        float((score(parts["unseen_test"]) >= threshold).mean()),
    )


def compare_thresholds(
    parts: Mapping[str, Part],
    counts: Sequence[int],
    target: float = FALSE_ACCEPTS,
    draws: int = DRAWS,
    of: Sequence[str] = ("unseen_validation", "unseen_test"),
) -> list[ThresholdFigures]:
    """Draws strangers from some parts' unknown cards; the rest of those measure the threshold.

    Args:
        parts: Of :func:`parts_of`.
        counts: How many cards are drawn; those that leave fewer than ten to measure are left out.
        target: False-accept rate.
        draws: For each count.
        of: The parts.
    """
    score = MatchScore()
    outside = [parts[name] for name in of]
    values = np.concatenate([score.of(part.ranked) for part in outside])
    ids = np.asarray([card for part in outside for card in part.ids])
    cards = np.unique(ids)
    known = parts["known_test"]
    of_known = score.of(known.ranked)

    def by_views(scores: Doubles, names: list[str]) -> float:
        return threshold_between(scores, math.floor(target * len(scores) + 1e-9))

    def by_cards(scores: Doubles, names: list[str]) -> float:
        return choose_threshold(scores, names, target).threshold

    def by_none(scores: Doubles, names: list[str]) -> float:
        return threshold_between(scores, 0)

    found = []
    for count in counts:
        if count > len(cards) - 10:
            continue
        for name, choose in (
            ("share of views", by_views),
            ("bootstrap over cards", by_cards),
            ("no view may pass", by_none),
        ):
            rng = np.random.default_rng(0)
            false, right = [], []
            for _ in range(draws):
                chosen = np.isin(ids, rng.permutation(cards)[:count])
                threshold = choose(values[chosen], list(ids[chosen]))
                false.append(float((values[~chosen] >= threshold).mean()))
                right.append(float(((of_known >= threshold) & known.right).mean()))
            rates = np.asarray(false)
            missed = float((rates > target).mean())
            figures = (float(rates.mean()), float(np.quantile(rates, 0.9)), missed)
            found.append(ThresholdFigures(name, count, *figures, float(np.mean(right))))
    return found


def strangers_as_predictors(
    parts: Mapping[str, Part], target: float = FALSE_ACCEPTS
) -> dict[str, float]:
    """How well drawn strangers stand for the set's own unknown cards.

    Returns:
        ``cards``: drawn cards; ``threshold``: by them alone; ``false``: share accepted there of
        all of the set's own unknown views; ``right``: of known test views, accepted and right.
    """
    score, drawn, known = MatchScore(), parts["strangers"], parts["known_test"]
    chosen = choose_threshold(score.of(drawn.ranked), drawn.ids, target)
    own = np.concatenate([score.of(parts[p].ranked) for p in ("unseen_validation", "unseen_test")])
    accepted = score.of(known.ranked) >= chosen.threshold
    return {
        "cards": chosen.cards,
        "threshold": chosen.threshold,
        "false": float((own >= chosen.threshold).mean()),
        "right": float((accepted & known.right).mean()),
    }


def compare_frames(
    arrays: Mapping[str, NDArray[np.float32]], target: float = FALSE_ACCEPTS
) -> list[tuple[int, float, float, float]]:
    """(frames, top-1, accepted and right, false accepts on test), with the shipped rule.

    The threshold of each is chosen by as many frames of the validation part's unknown cards.
    """
    found = []
    for frames in (1, 2, 3):
        together = {key: arrays[key] for key in ("gallery", "gallery_ids")}
        for name in ("known_test", "known_validation", "unseen_validation", "unseen_test"):
            ids = [str(each) for each in arrays[f"{name}_ids"]]
            rows, names = in_frames(arrays[name], ids, frames)
            together[name], together[f"{name}_ids"] = rows, np.asarray(names)
        parts, score = parts_of(together), MatchScore()
        outside, known = parts["unseen_validation"], parts["known_test"]
        threshold = choose_threshold(score.of(outside.ranked), outside.ids, target).threshold
        accepted = score.of(known.ranked) >= threshold
        false = float((score.of(parts["unseen_test"].ranked) >= threshold).mean())
        right = float((accepted & known.right).mean())
        found.append((frames, float(known.right.mean()), right, false))
    return found


def _cosine_and_gap(part: Part) -> Doubles:
    return np.column_stack((MatchScore().of(part.ranked), MatchScore(1.0).of(part.ranked)))


def _cosine_and_norm(part: Part) -> Doubles:
    return np.column_stack((MatchScore().of(part.ranked), np.log(part.norms)))


def _logistic(
    features: Callable[[Part], Doubles], known: Part, unknown: Part, steps: int = 50
) -> Callable[[Part], Doubles]:
    """A logistic regression of known and right against the rest, by Newton's method."""
    given = np.concatenate([features(known), features(unknown)])
    mean, spread = given.mean(axis=0), given.std(axis=0) + 1e-9

    def columns(values: Doubles) -> Doubles:
        return np.column_stack(((values - mean) / spread, np.ones(len(values))))

    rows = columns(given)
    wanted = np.concatenate([known.right, np.zeros(len(unknown.ids), bool)]).astype(float)
    weights = np.zeros(rows.shape[1])
    for _ in range(steps):
        chance = 1 / (1 + np.exp(-np.clip(rows @ weights, -30, 30)))
        slope = rows.T @ (wanted - chance) - 1e-3 * weights
        curve = (rows * (chance * (1 - chance))[:, None]).T @ rows + 1e-3 * np.eye(len(weights))
        weights = weights + np.linalg.solve(curve, slope)

    # In units of cosine: thresholds keep their distance from views in those.
    scale = max(abs(weights[0] / spread[0]), 1e-9)
    return lambda part: np.asarray(columns(features(part)) @ weights / scale)


def embedded(
    model: Path, cards: Path, views: int, strangers: int
) -> dict[str, NDArray[np.float32]]:
    """Embeds what is compared, with a trained student.

    Args:
        model: Folder of its ``model.tar.gz`` or of the unpacked files.
        cards: Its card set.
        views: Of each unknown card.
        strangers: Drawn cards.
    """
    from dataclasses import replace

    import torch

    from recognition.sample_cards.drawn_set import DrawnSet
    from recognition.search.frames import FRAMES
    from training.artifacts.model_archive import load_model
    from training.data.batches import CardDataset
    from training.reporting.evaluation import ModelEmbedder

    network, config = load_model(model, "student")
    data = CardDataset.load(cards, config)
    embedder, split = ModelEmbedder(network, config, torch.device("cpu")), data.split
    found: dict[str, NDArray[np.float32]] = {
        "gallery": embedder.answers(data.gallery),
        "gallery_ids": np.asarray(split.known),
    }
    drawn = replace(data, card_set=DrawnSet.of(strangers))
    for name, source, ids, stream, count in (
        ("known_validation", data, split.known, "validation", FRAMES),
        ("known_test", data, split.known, "query", FRAMES),
        ("unseen_validation", data, split.unseen_validation, "validation", views),
        ("unseen_test", data, split.unseen_test, "query", views),
        ("strangers", drawn, drawn.card_set.card_ids, "validation", FRAMES),
    ):
        if ids:
            images, names = source.views(ids, stream, count * len(ids))  # type: ignore[arg-type]
            found[name], found[f"{name}_ids"] = embedder.answers(images), np.asarray(names)
    return found


def report(arrays: Mapping[str, NDArray[np.float32]], target: float) -> list[str]:
    """The tables, in Markdown."""
    parts = parts_of(arrays)
    lines = [
        "| score | AUROC, validation | accepted right, validation | test | false accepts, test |",
        "|---|---|---|---|---|",
        *(
            f"| {s.name} | {s.auroc:.4f} | {s.validation:.3f} | {s.test:.3f} | {s.false:.4f} |"
            for s in compare_scores(parts, target)
        ),
        "",
        *_threshold_table(compare_thresholds(parts, COUNTS, target)),
        "",
        "| frames | top-1 | accepted right | false accepts, test |",
        "|---|---|---|---|",
        *(
            f"| {frames} | {top1:.3f} | {right:.3f} | {false:.4f} |"
            for frames, top1, right, false in compare_frames(arrays, target)
        ),
    ]
    if "strangers" in parts:
        lines += ["", "By drawn strangers, measured with the others of them:", ""]
        lines += _threshold_table(compare_thresholds(parts, COUNTS, target, of=["strangers"]))
        found = strangers_as_predictors(parts, target)
        lines += [
            "",
            f"{found['cards']} drawn strangers alone: threshold {found['threshold']:.4f}, which "
            f"accepts {found['false']:.4f} of the set's own unknown views and {found['right']:.3f} "
            "of the known ones, right",
        ]
    return lines


def _threshold_table(figures: Sequence[ThresholdFigures]) -> list[str]:
    return [
        "| threshold | cards | false accepts | 90th percentile | above target | accepted right |",
        "|---|---|---|---|---|---|",
        *(
            f"| {t.name} | {t.cards} | {t.false:.4f} | {t.false_90:.4f} | {t.missed:.2f} "
            f"| {t.right:.3f} |"
            for t in figures
        ),
    ]


def main() -> None:
    """Reads the command line, embeds or reads embeddings, prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--model", type=Path, help="folder of a student's model.tar.gz")
    source.add_argument("--embeddings", type=Path, help="a file that --save has written")
    parser.add_argument("--cards", type=Path, help="the model's card set; with --model")
    parser.add_argument("--views", type=int, default=9, help="of each unknown card")
    parser.add_argument("--strangers", type=int, default=300, help="drawn cards")
    parser.add_argument("--target", type=float, default=FALSE_ACCEPTS)
    parser.add_argument("--save", type=Path, help="keeps the embeddings (.npz)")
    options = parser.parse_args()
    if options.model and not options.cards:
        parser.error("--model needs --cards, its card set")
    if options.embeddings:
        with np.load(options.embeddings, allow_pickle=False) as saved:
            arrays = dict(saved)
    else:
        arrays = embedded(options.model, options.cards, options.views, options.strangers)
    if options.save:
        np.savez(options.save, **arrays)
    print("\n".join(report(arrays, options.target)))


if __name__ == "__main__":
    main()
