"""Recognising with a release: known cards found, unknown turned away, spoilt releases refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from recognition.acceptance.rule import AcceptanceRule
from recognition.evaluation_metrics import Evaluation
from recognition.file_digest import file_sha256
from recognition.recogniser import Recogniser, RecogniserError, Recognition
from recognition.search.index import ReferenceIndex, write_index
from recognition.search.match_score import MatchScore
from recognition.views.camera import camera_views
from registry.contract import Contract

Reseal = Callable[..., None]
RULE = AcceptanceRule({1: 0.5, 3: 0.6}, MatchScore(0.5))


def test_known_cards_are_found_and_unknown_cards_rejected(
    release_and_figures: tuple[Path, Evaluation],
    scans: np.ndarray,
    card_ids: list[str],
    contract: Contract,
) -> None:
    folder, figures = release_and_figures
    recogniser = Recogniser.load(folder, threads=2)
    assert recogniser.threshold == figures.threshold and recogniser.contract == contract

    def answers(part: slice) -> list:
        views, _ = camera_views(
            scans[part], card_ids[part], size=contract.size, seed=1, stream="query", per_card=10
        )
        return [recogniser.recognise(view) for view in views]

    known, unseen = answers(slice(0, 30)), answers(slice(35, 40))
    truth = [card for card in card_ids[:30] for _ in range(10)]
    first = np.mean([a.candidates[0][0] == card for a, card in zip(known, truth, strict=True)])
    # The recogniser, one view at a time, agrees with the figures of the bulk evaluation.
    assert first == pytest.approx(figures.top1) and figures.top1 > 0.6
    accepted = np.mean([a.card_id is not None for a in known])
    assert accepted == pytest.approx(figures.true_accept_rate)
    turned_away = np.mean([a.card_id is None for a in unseen])
    assert turned_away == pytest.approx(1 - figures.false_accept_rate)
    assert figures.auroc > 0.6

    right = next(a for a, card in zip(known, truth, strict=True) if a.card_id == card)
    assert right.similarity >= right.threshold and len(right.candidates) == 5
    assert right.to_dict()["candidates"][0]["card_id"] == right.card_id
    away = next(a for a in unseen if a.card_id is None)
    assert away.similarity < away.threshold and json.dumps(away.to_dict())


def test_clean_scan_of_any_size_is_itself(
    release_and_figures: tuple[Path, Evaluation], scans: np.ndarray
) -> None:
    answer = Recogniser.load(release_and_figures[0]).recognise(scans[3])
    assert answer.card_id == "card-3" and answer.similarity > 0.999


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((64, 64), np.uint8),
        np.zeros((64, 64, 4), np.uint8),
        np.zeros((64, 64, 3), np.float32),
        np.zeros((0, 64, 3), np.uint8),
    ],
)
def test_other_images_are_refused(
    release_and_figures: tuple[Path, Evaluation], wrong: np.ndarray
) -> None:
    with pytest.raises(RecogniserError, match="uint8 RGB"):
        Recogniser.load(release_and_figures[0]).recognise(wrong)


@pytest.mark.parametrize("name", ["model.onnx", "embeddings.npy", "index.json", "metadata.json"])
def test_release_with_a_changed_or_missing_file_is_refused(release: Path, name: str) -> None:
    content = (release / name).read_bytes()
    (release / name).write_bytes(content[:-2] + b"..")
    with pytest.raises(RecogniserError, match=rf"{name}: not the file of the manifest"):
        Recogniser.load(release)
    (release / name).unlink()
    with pytest.raises(RecogniserError, match=rf"{name}: cannot be read"):
        Recogniser.load(release)


def test_folder_that_is_no_release_is_one_clear_line(release: Path, tmp_path: Path) -> None:
    with pytest.raises(RecogniserError, match="cards release pull"):
        Recogniser.load(tmp_path / "none")
    (release / "manifest.json").write_text("{")
    with pytest.raises(RecogniserError, match="not JSON"):
        Recogniser.load(release)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"acceptance_threshold": "high"}, "could not convert|acceptance_threshold"),
        ({"acceptance_threshold": float("nan")}, "NaN is no number"),
        ({"acceptance": {"thresholds": {"3": 0.5}}}, "acceptance"),
        ({"acceptance": {**RULE.to_dict(), "score": {"name": "x", "parameters": {}}}}, "score 'x'"),
        ({"model": "../model.onnx"}, "model names no file"),
        ({"contract": {"size": 64}}, "contract"),
        ({"contract": Contract(size=64, embedding_dim=97).to_dict()}, "the contract says"),
    ],
)
def test_manifest_that_does_not_fit_is_refused(
    release: Path, reseal: Reseal, changes: dict, words: str
) -> None:
    reseal(release, **changes)
    with pytest.raises(RecogniserError, match=words):
        Recogniser.load(release)


def test_index_of_another_model_is_refused(release: Path, reseal: Reseal) -> None:
    write_index(release, ["a"], np.ones((1, 12)))
    reseal(release)
    with pytest.raises(RecogniserError, match="12 dimensions, the contract 96"):
        Recogniser.load(release)


def test_index_says_which_model_it_is_of(release: Path, reseal: Reseal) -> None:
    """Two releases of as many dimensions, each sound: their embeddings have nothing in common."""
    document = json.loads((release / "metadata.json").read_text())

    def made_by(digest: str) -> None:
        (release / "metadata.json").write_text(json.dumps({**document, "model_sha256": digest}))
        reseal(release)

    made_by(file_sha256(release / "model.onnx"))
    Recogniser.load(release)
    made_by("0" * 64)
    with pytest.raises(RecogniserError, match=r"the index is of another model than model\.onnx"):
        Recogniser.load(release)


def test_hef_needs_an_embedder_of_its_own(
    release: Path, contract: Contract, scans: np.ndarray
) -> None:
    manifest = json.loads((release / "manifest.json").read_text())
    manifest["files"]["model.hef"] = manifest["files"].pop("model.onnx")
    manifest["model"] = "model.hef"
    (release / "model.onnx").rename(release / "model.hef")
    (release / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RecogniserError, match="runs on a Hailo chip"):
        Recogniser.load(release)

    class Chip:
        def embed(self, images: np.ndarray) -> np.ndarray:
            assert images.shape == (1, contract.size, contract.size, 3)
            return np.load(release / "embeddings.npy")[5:6]

    answer = Recogniser.load(release, embedder=Chip()).recognise(scans[0])
    assert answer.card_id == "card-5" and answer.similarity == pytest.approx(1.0, abs=1e-6)


def views_of_cards(scans: np.ndarray, card_ids: list[str], size: int, part: slice) -> list:
    views, _ = camera_views(
        scans[part], card_ids[part], size=size, seed=1, stream="query", per_card=10
    )
    return list(views)


def test_three_frames_are_answered_as_the_evaluation_measures_them(
    release_and_figures: tuple[Path, Evaluation],
    release: Path,
    reseal: Reseal,
    scans: np.ndarray,
    card_ids: list[str],
    contract: Contract,
) -> None:
    figures = release_and_figures[1]
    assert figures.three_frames is not None
    reseal(release, acceptance_threshold=figures.threshold, acceptance=figures.acceptance())
    recogniser = Recogniser.load(release)
    assert recogniser.rule == figures.rule

    def answers(part: slice) -> list:
        views = views_of_cards(scans, card_ids, contract.size, part)
        starts = (10 * card + 3 * place for card in range(len(views) // 10) for place in range(3))
        return [recogniser.recognise_frames(views[start : start + 3]) for start in starts]

    known, unseen = answers(slice(0, 30)), answers(slice(35, 40))
    truth = [card for card in card_ids[:30] for _ in range(3)]
    nearest = [a.candidates[0][0] == card for a, card in zip(known, truth, strict=True)]
    assert np.mean(nearest) == pytest.approx(figures.three_frames.top1)
    right = [a.card_id == card for a, card in zip(known, truth, strict=True)]
    assert np.mean(right) == pytest.approx(figures.three_frames.accepted_right)
    false = np.mean([a.card_id is not None for a in unseen])
    assert false == pytest.approx(figures.three_frames.false_accept_rate)
    assert {a.frames for a in known} == {3}
    assert {a.threshold for a in known} == {figures.three_frames.threshold}


def test_score_of_the_manifest_decides(
    release: Path, reseal: Reseal, scans: np.ndarray, card_ids: list[str], contract: Contract
) -> None:
    """The gap to the runners-up, as the evaluation computes it from the same gallery."""
    rule = AcceptanceRule({1: 0.25}, MatchScore(1.0))
    reseal(release, acceptance={**rule.to_dict(), "bound": 0.01})
    recogniser = Recogniser.load(release)
    gallery = ReferenceIndex.load(release).rows.unit()
    for view in views_of_cards(scans, card_ids, contract.size, slice(0, 3)):
        answer = recogniser.recognise(view)
        query = recogniser._embedder.embed(view[None])[0]
        ranked = np.sort(gallery @ query)[::-1]
        score = ranked[0] - ranked[1:11].mean()
        assert answer.score == pytest.approx(score, abs=1e-5)
        assert (answer.card_id is not None) == (answer.score >= 0.25)
        assert answer.similarity == pytest.approx(ranked[0], abs=1e-5)


def test_answer_is_the_artwork_where_its_printings_are_too_near(
    release: Path, reseal: Reseal, scans: np.ndarray, card_ids: list[str], contract: Contract
) -> None:
    gallery = ReferenceIndex.load(release).rows.unit()
    # A second printing of card 3 that is nearly the same, and one of card 5 that is not.
    near = gallery[3] + 0.001 * gallery[20]
    ids = [*card_ids[:30], "reprint-3", "reprint-5"]
    artworks = {"card-3": "three", "reprint-3": "three", "card-5": "five", "reprint-5": "five"}
    write_index(release, ids, [*gallery, near, gallery[21]], artworks=artworks)
    rule = AcceptanceRule({1: 0.5}, printing_margin=0.05)
    reseal(release, acceptance=rule.to_dict())
    recogniser = Recogniser.load(release)

    def answer(number: int) -> Recognition:
        return recogniser.recognise(scans[number])

    unsure, sure, alone = answer(3), answer(5), answer(7)
    assert (unsure.card_id, unsure.level) == ("card-3", "artwork")
    assert unsure.printings == ("card-3", "reprint-3")
    assert (sure.card_id, sure.level, sure.printings[0]) == ("card-5", "printing", "card-5")
    assert (alone.card_id, alone.level, alone.printings) == ("card-7", "printing", ())
    document = json.loads(json.dumps(unsure.to_dict()))
    assert document["level"] == "artwork" and document["printings"] == ["card-3", "reprint-3"]
    # Runners-up are other artworks: the second printing is no rival of the first.
    gap = AcceptanceRule({1: 0.0}, MatchScore(1.0, runners_up=1))
    reseal(release, acceptance=gap.to_dict())
    query = Recogniser.load(release).recognise(scans[3])
    rivals = [value for card, value in query.candidates if card not in unsure.printings]
    assert query.score == pytest.approx(query.similarity - rivals[0], abs=1e-6)
    assert ReferenceIndex.load(release).printings("reprint-5") == ["card-5", "reprint-5"]


def test_no_frames_are_refused(release: Path) -> None:
    with pytest.raises(RecogniserError, match="at least one frame"):
        Recogniser.load(release).recognise_frames([])
