"""The views that apply_gate are training's own, and those that calibrate are nobody else's."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.calibration import record
from export.fidelity.gate_images import (
    GateImages,
    evaluation_images,
    evenly_spaced,
    render_gate_images,
)
from export.fidelity.measurement import measure
from export.student_artifact import StudentArtifact, StudentArtifactError, read_artifact
from recognition.card_sets.card_set import LICENCE, CardSetError, read_card_set
from recognition.onnx_model import OnnxEmbedder
from recognition.sample_cards import drawn_set
from recognition.sample_cards.drawing import draw_card_set
from recognition.views.camera import camera_views
from tests.export.conftest import SCANS_LICENCE, Exported
from tests.export.student import SEED, UNSEEN_VIEWS, embedded


@pytest.fixture
def student(artifact: Path, tmp_path: Path) -> StudentArtifact:
    return read_artifact(artifact, tmp_path / "unpacked")


@pytest.fixture
def gate_images(exported: Exported, student: StudentArtifact) -> GateImages:
    return render_gate_images(exported.cards_folder, student, 30)


def test_queries_are_the_views_behind_the_reference(
    exported: Exported, student: StudentArtifact, gate_images: GateImages
) -> None:
    again = embedded(exported.student, exported.contract, gate_images.queries.all())
    assert (again * student.reference).sum(axis=1).min() > 0.99999
    assert list(gate_images.queries.card_ids) == student.reference_ids


def test_licence_is_that_of_the_set_and_empty_where_it_states_none(
    student: StudentArtifact, gate_images: GateImages, drawn_cards: Callable[[], Path]
) -> None:
    folder = drawn_cards()
    (folder / LICENCE).unlink()
    without = render_gate_images(folder, student, 30)
    assert (gate_images.licence, without.licence) == (SCANS_LICENCE, "")
    assert without.digest == gate_images.digest


def test_no_image_plays_two_parts(gate_images: GateImages) -> None:
    parts = [
        {hashlib.sha256(image.tobytes()).digest() for image in part}
        for part in (
            gate_images.gallery.all(),
            gate_images.queries.all(),
            gate_images.calibration,
            gate_images.unseen_validation.all(),
            gate_images.unseen_test.all(),
            gate_images.unseen_gallery.all(),
        )
    ]
    for number, part in enumerate(parts):
        for other in parts[number + 1 :]:
            assert not part & other


def test_unseen_cards_stay_outside_of_gallery_and_calibration(
    student: StudentArtifact, gate_images: GateImages
) -> None:
    known = set(student.split.known)
    assert set(gate_images.gallery.card_ids) == known
    assert set(gate_images.unseen_validation.card_ids) == set(student.split.unseen_validation)
    assert set(gate_images.unseen_test.card_ids) == set(student.split.unseen_test)
    assert set(gate_images.unseen_gallery.card_ids) == set(student.split.unseen_test)


def test_total_of_unseen_views_is_shared_by_the_cards(
    student: StudentArtifact, gate_images: GateImages
) -> None:
    cards = len(student.split.unseen_test)
    assert len(gate_images.unseen_test) == cards * round(UNSEEN_VIEWS / cards)


@pytest.mark.parametrize("count", [1, 5, 30])
def test_as_many_calibration_images_as_asked_for(
    exported: Exported, student: StudentArtifact, count: int
) -> None:
    calibration = render_gate_images(exported.cards_folder, student, count).calibration
    assert len(calibration) == count
    assert len({image.tobytes() for image in calibration}) == count


def test_rendering_is_the_same_every_time(
    exported: Exported, student: StudentArtifact, gate_images: GateImages
) -> None:
    again = render_gate_images(exported.cards_folder, student, 30)
    for part in ("queries", "unseen_validation", "gallery"):
        assert np.array_equal(getattr(gate_images, part).all(), getattr(again, part).all())
    assert np.array_equal(gate_images.calibration, again.calibration)


def test_another_card_set_is_refused(
    student: StudentArtifact, drawn_cards: Callable[[], Path]
) -> None:
    folder = drawn_cards()
    shutil.rmtree(folder / student.split.known[0])
    with pytest.raises(StudentArtifactError, match="lacks 1 of the 12 cards"):
        render_gate_images(folder, student, 10)


def test_views_that_come_out_differently_here_are_a_fault_not_a_verdict(
    student: StudentArtifact, drawn_cards: Callable[[], Path]
) -> None:
    folder = drawn_cards()
    first, second = (folder / card_id for card_id in student.split.known[:2])
    shutil.copytree(first, second, dirs_exist_ok=True)
    older = dataclasses.replace(student, scans_digest="")
    with pytest.raises(StudentArtifactError, match="not those that PyTorch embedded"):
        render_gate_images(folder, older, 10)


def test_second_scan_beside_a_card_is_refused(
    student: StudentArtifact, drawn_cards: Callable[[], Path]
) -> None:
    """Another card's image as a second scan would answer that card with this one's name."""
    folder = drawn_cards()
    known = student.split.known
    stolen = next((folder / known[1]).iterdir())
    shutil.copy(stolen, folder / known[0] / f"zz{stolen.suffix}")
    with pytest.raises(StudentArtifactError, match="scans of the student's cards"):
        render_gate_images(folder, student, 10)


def test_card_set_with_another_digest_than_registered_is_refused(
    exported: Exported, student: StudentArtifact
) -> None:
    older = dataclasses.replace(student, scans_digest="")
    digest = exported.cards.digest
    assert render_gate_images(exported.cards_folder, older, 10, digest).digest == digest
    with pytest.raises(CardSetError, match="a scan was added, removed or changed"):
        render_gate_images(exported.cards_folder, older, 10, "0" * 64)


def test_artifact_without_the_views_digest_is_still_rendered(
    exported: Exported, student: StudentArtifact, gate_images: GateImages
) -> None:
    older = dataclasses.replace(student, views_digest="")
    again = render_gate_images(exported.cards_folder, older, 30)
    assert np.array_equal(again.queries.all(), gate_images.queries.all())


def test_calibration_shows_known_cards_alone(exported: Exported, student: StudentArtifact) -> None:
    known = exported.cards.only(student.split.known)
    views, _ = camera_views(
        known.first_scans(exported.contract, scale=2),
        known.card_ids,
        size=exported.contract.size,
        seed=SEED,
        stream="calibration",
        per_card=3,
    )
    theirs = {view.tobytes() for view in views}
    shown = render_gate_images(exported.cards_folder, student, 3 * len(known.cards)).calibration
    assert {image.tobytes() for image in shown} == theirs


def test_images_come_in_groups_and_are_the_same_one_by_one(
    gate_images: GateImages, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = gate_images.queries.all()
    monkeypatch.setattr("export.fidelity.gate_images.GROUP", 9)
    groups = list(gate_images.queries.groups())
    # Of whole cards, four views each: two cards fit into nine images.
    assert [len(group) for group in groups] == [8] * (len(whole) // 8) + [4] * (len(whole) // 4 % 2)
    assert np.array_equal(np.concatenate(groups), whole)
    for row in (0, 5, len(whole) - 1):
        assert np.array_equal(gate_images.queries.image(row), whole[row])
    monkeypatch.setattr("export.fidelity.gate_images.GROUP", 1)
    assert len(list(gate_images.queries.groups())) == len(whole) // 4


def test_queries_statistics_are_those_of_all_groups(
    exported: Exported,
    student: StudentArtifact,
    gate_images: GateImages,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("export.fidelity.gate_images.GROUP", 5)
    assert render_gate_images(exported.cards_folder, student, 3).seen == record(
        gate_images.queries.all()
    )


@given(st.integers(1, 60), st.integers(1, 80))
def test_cards_are_chosen_evenly(cards: int, count: int) -> None:
    ids = [f"{card:03}" for card in range(cards)]
    chosen = evenly_spaced(ids, count)
    assert len(chosen) == len(set(chosen)) == min(cards, count)
    assert list(chosen) == sorted(chosen)
    places = [int(card_id) for card_id in chosen]
    gaps = [after - before for before, after in zip(places, [*places[1:], cards], strict=True)]
    assert places[0] == 0 and max(gaps) - min(gaps) <= 1


def test_added_card_with_the_print_of_a_known_one_shares_its_artwork(
    student: StudentArtifact, exported: Exported, drawn_cards: Callable[[], Path]
) -> None:
    assert evaluation_images(exported.cards, student).artworks == {}
    folder, known = drawn_cards(), student.split.known[0]
    shutil.copytree(folder / known, folder / "added-again")
    images = evaluation_images(read_card_set(folder, student.contract), student)
    name = min(known, "added-again")
    assert images.artworks == {known: name, "added-again": name}
    runtime = OnnxEmbedder(exported.model, student.contract)
    found = measure(images, {"onnx": runtime})["onnx"].evaluation
    assert found.artworks is not None and found.artworks.cards == 2
    # The two cannot be told apart, and their artwork can.
    assert found.artworks.top1 > found.top1


def test_drawn_strangers_are_rendered_where_the_student_had_them(
    exported: Exported, student: StudentArtifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(evaluation_images(exported.cards, student).strangers) == 0
    asking = dataclasses.replace(student, drawn_strangers=5)
    found = evaluation_images(exported.cards, asking).strangers
    assert len(found) == 15 and len(set(found.card_ids)) == 5
    assert not set(found.card_ids) & {card.card_id for card in exported.cards.cards}
    images = found.all()
    assert images.shape[0] == 15 and images.dtype == np.uint8
    assert len(np.unique(images.reshape(15, -1), axis=0)) == 15
    monkeypatch.setattr(drawn_set, "SEVERAL_VIEWS", 2)
    fewer = evaluation_images(exported.cards, asking).strangers
    ids = sorted(set(found.card_ids))
    assert fewer.card_ids == [ids[0]] * 3 + [ids[1]] * 3 + ids[2:]
    np.testing.assert_array_equal(fewer.all(), images[[0, 1, 2, 3, 4, 5, 6, 9, 12]])


def test_unknown_cards_have_enough_views_for_three_frames(gate_images: GateImages) -> None:
    for part in (gate_images.unseen_validation, gate_images.unseen_test):
        assert min(part.card_ids.count(card_id) for card_id in set(part.card_ids)) >= 3


def test_cards_that_the_split_does_not_name_are_in_the_gallery_and_have_views(
    student: StudentArtifact, exported: Exported, drawn_cards: Callable[[], Path], tmp_path: Path
) -> None:
    folder = with_two_more(drawn_cards())
    before = render_gate_images(exported.cards_folder, student, 30)
    after = render_gate_images(folder, student, 30)
    assert len(before.added) == 0
    assert sorted(set(after.added.card_ids)) == ["added-1", "added-2"]
    assert len(after.added) == 2 * student.views_per_card
    assert sorted(after.gallery.card_ids) == sorted(
        [*before.gallery.card_ids, "added-1", "added-2"]
    )
    # What the model is judged by stays what it was.
    for part in ("queries", "unseen_validation", "unseen_test", "unseen_gallery"):
        assert np.array_equal(getattr(after, part).all(), getattr(before, part).all())
    assert np.array_equal(after.calibration, before.calibration)


def test_measurement_compares_the_index_with_and_without_the_added_cards(
    student: StudentArtifact, exported: Exported, drawn_cards: Callable[[], Path]
) -> None:
    cards = read_card_set(with_two_more(drawn_cards()), student.contract)
    images = evaluation_images(cards, student)
    runtime = OnnxEmbedder(exported.model, student.contract)
    found = measure(images, {"onnx": runtime})["onnx"]
    base = measure(evaluation_images(exported.cards, student), {"onnx": runtime})["onnx"]
    assert base.added is None and found.added is not None
    assert found.added.before == base.evaluation
    assert found.evaluation.cards == base.evaluation.cards + 2 == found.added.views.cards
    # The threshold follows from the whole index, for known and added cards alike.
    assert found.added.views.threshold == found.evaluation.threshold
    metrics = found.metrics()
    assert metrics["added_cards"] == 2
    assert metrics["added_queries"] == 2 * student.views_per_card
    assert metrics["top1_added"] == found.added.views.top1
    assert metrics["top1_before"] == base.evaluation.top1
    assert metrics["false_accept_rate_before"] == base.evaluation.false_accept_rate


def with_two_more(folder: Path) -> Path:
    drawn = folder.with_name("drawn")
    draw_card_set(drawn, 2, seed=SEED + 1, height=128)
    for number, card in enumerate(sorted(drawn.iterdir()), start=1):
        card.rename(folder / f"added-{number}")
    return folder
