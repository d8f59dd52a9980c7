"""Card folders: what is read, what is refused, and which cards are held out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from recognition.card_sets.card_id import CARD_ID
from recognition.card_sets.card_set import CardSetError, read_card_set
from recognition.card_sets.split import split_cards
from registry.contract import Contract
from tests.properties import examples

CONTRACT = Contract(size=32)
PLAYING_CARDS = Path(__file__).parents[3].parent / "shared" / "data" / "playing-cards"


def scan_file(root: Path, card_id: str, name: str = "front.png", tone: int | None = None) -> Path:
    path = root / card_id / name
    path.parent.mkdir(parents=True, exist_ok=True)
    shade = sum(f"{card_id}/{name}".encode()) % 256 if tone is None else tone
    rng = np.random.default_rng(shade + 1000 * len(card_id + name))
    Image.fromarray(rng.integers(0, 256, (64, 46, 3), dtype=np.uint8)).save(path)
    return path


def problems(root: Path) -> dict[str, str]:
    return {problem.subject: problem.kind for problem in read_card_set(root, CONTRACT).problems}


def test_several_scans_are_one_card(tmp_path: Path) -> None:
    for name in ("front.png", "again.jpg"):
        scan_file(tmp_path, "base1-4", name)
    scan_file(tmp_path, "base1-2")
    cards = read_card_set(tmp_path, CONTRACT)
    assert cards.card_ids == ("base1-2", "base1-4")
    assert cards.images == 3 and not cards.problems
    assert [path.name for path in cards.cards[1].scans] == ["again.jpg", "front.png"]
    assert cards.first_scans(CONTRACT).shape == (2, 32, 32, 3)
    scans, ids = cards.all_scans(CONTRACT, scale=2)
    assert scans.shape == (3, 64, 64, 3) and ids == ("base1-2", "base1-4", "base1-4")
    assert cards.only(["base1-4"]).images == 2
    with pytest.raises(KeyError):
        cards.only(["base1-9"])


def test_broken_image_among_good_ones_is_named_and_left_out(tmp_path: Path) -> None:
    scan_file(tmp_path, "a-1")
    scan_file(tmp_path, "a-2")
    good = scan_file(tmp_path, "a-2", "second.png")
    good.write_bytes(good.read_bytes()[:200])
    (tmp_path / "a-3").mkdir()
    (tmp_path / "a-3" / "front.jpg").write_bytes(b"no image")
    cards = read_card_set(tmp_path, CONTRACT)
    assert cards.card_ids == ("a-1", "a-2") and cards.images == 2
    lines = [str(problem) for problem in cards.problems]
    assert len(lines) == 3
    assert lines[0].startswith("a-2/second.png: broken image")
    assert lines[1] == "a-3: no usable image in this folder (broken)"
    assert lines[2].startswith("a-3/front.jpg: not a PNG")


def test_file_that_is_no_scan_is_ignored_with_a_note(tmp_path: Path) -> None:
    scan_file(tmp_path, "a-1")
    (tmp_path / "README.md").write_text("words")
    (tmp_path / "a-1" / "notes.txt").write_text("words")
    (tmp_path / "a-1" / "deeper").mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / "a-1" / ".DS_Store").write_text("")
    assert problems(tmp_path) == {
        "README.md": "ignored",
        "a-1/notes.txt": "ignored",
        "a-1/deeper": "ignored",
    }


@pytest.mark.parametrize(
    "name", ["-a", "a b", "ä-1", "a" * 101, "a\n1", "..a", "a;rm", "$(x)", "x\x1b[31m"]
)
def test_unsafe_card_ids_are_refused_and_shown_safely(tmp_path: Path, name: str) -> None:
    scan_file(tmp_path, "good-1")
    scan_file(tmp_path, "zz")
    (tmp_path / "zz").rename(tmp_path / name)
    cards = read_card_set(tmp_path, CONTRACT)
    assert cards.card_ids == ("good-1",)
    if not name.startswith("."):
        (problem,) = cards.problems
        assert "not a card id" in problem.reason
        assert str(problem).isprintable()


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "cards"
    secret = scan_file(outside, "secret")
    scan_file(root, "a-1")
    (root / "a-1" / "linked.png").symlink_to(secret)
    (root / "a-2").symlink_to(outside / "secret", target_is_directory=True)
    (root / "a-3").symlink_to(root / "a-3")
    (root / "a-1" / "same.png").symlink_to(root / "a-1" / "front.png")
    cards = read_card_set(root, CONTRACT)
    assert cards.card_ids == ("a-1",)
    assert [path.name for path in cards.cards[0].scans] == ["front.png", "same.png"]
    kinds = {problem.subject: problem.kind for problem in cards.problems}
    assert kinds == {
        "a-1/linked.png": "broken",
        "a-1/same.png": "kept",
        "a-2": "broken",
        "a-3": "broken",
    }


def test_folder_reached_by_a_link_is_fine(tmp_path: Path) -> None:
    scan_file(tmp_path / "real", "a-1")
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    assert read_card_set(tmp_path / "link", CONTRACT).card_ids == ("a-1",)


def test_one_image_under_two_cards_is_reported(tmp_path: Path) -> None:
    first = scan_file(tmp_path, "a-1")
    (tmp_path / "a-2").mkdir()
    (tmp_path / "a-2" / "front.png").write_bytes(first.read_bytes())
    cards = read_card_set(tmp_path, CONTRACT)
    assert cards.card_ids == ("a-1", "a-2")
    assert [problem.kind for problem in cards.problems] == ["kept"]
    assert "same image as card a-1" in cards.problems[0].reason


def test_one_image_twice_in_a_card_is_reported_however_far_apart(tmp_path: Path) -> None:
    for number in range(12):
        scan_file(tmp_path, "base1-2", f"{number:02}.png", tone=number)
    scan_file(tmp_path, "base1-2", "99.png", tone=0)
    first = (tmp_path / "base1-2" / "00.png").read_bytes()
    (tmp_path / "base1-2" / "99.png").write_bytes(first)
    (problem,) = read_card_set(tmp_path, CONTRACT).problems
    assert problem.subject == "base1-2/99.png" and "same file as another scan" in problem.reason


def test_reading_reports_its_progress(tmp_path: Path) -> None:
    for number in range(3):
        scan_file(tmp_path, f"base1-{number}")
    told: list[tuple[int, int]] = []
    read_card_set(tmp_path, CONTRACT, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_scans_smaller_than_the_input_are_reported(tmp_path: Path) -> None:
    scan_file(tmp_path, "a-1")
    (problem,) = read_card_set(tmp_path, Contract(size=224)).problems
    assert problem.kind == "kept" and "smaller than the network's input" in problem.reason


def test_nothing_usable_is_one_line_with_a_remedy(tmp_path: Path) -> None:
    cases = {"does not exist": tmp_path / "none", "is not a folder": tmp_path / "file"}
    (tmp_path / "file").write_text("")
    empty = tmp_path / "empty"
    empty.mkdir()
    cases["holds no usable card"] = empty
    flat = tmp_path / "flat"
    flat.mkdir()
    (flat / "card.png").write_bytes(b"x")
    cases["first problem: card.png"] = flat
    for words, folder in cases.items():
        with pytest.raises(CardSetError, match=words) as caught:
            read_card_set(folder, CONTRACT)
        assert "<card_id>/<image>" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_unreadable_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused as the system refuses it; permissions alone would not stop root."""
    scan_file(tmp_path, "a-1")
    scan_file(tmp_path, "a-2")
    closed = {tmp_path / "a-2"}
    real = Path.iterdir

    def guarded(path: Path) -> object:
        if path in closed:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(Path, "iterdir", guarded)
    cards = read_card_set(tmp_path, CONTRACT)
    assert cards.card_ids == ("a-1",)
    assert [str(problem) for problem in cards.problems] == [
        "a-2: cannot be read: Permission denied (broken)"
    ]
    closed.add(tmp_path)
    with pytest.raises(CardSetError, match="check its permissions"):
        read_card_set(tmp_path, CONTRACT)


def test_digest_follows_content_and_identity_alone(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for root, order in ((one, ("a-1", "a-2", "a-3")), (two, ("a-3", "a-1", "a-2"))):
        for card_id in order:
            scan_file(root, card_id)
    (two / "notes.md").write_text("words")
    digest = read_card_set(one, CONTRACT).digest
    assert read_card_set(two, CONTRACT).digest == digest
    assert read_card_set(two, CONTRACT, threads=1).digest == digest
    (two / "a-3" / "front.png").rename(two / "a-3" / "renamed.png")
    assert read_card_set(two, CONTRACT).digest == digest
    (two / "a-3").rename(two / "a-4")
    assert read_card_set(two, CONTRACT).digest != digest
    scan_file(one, "a-3", tone=7)
    assert read_card_set(one, CONTRACT).digest != digest


def test_scan_that_vanishes_later_is_named(tmp_path: Path) -> None:
    scan_file(tmp_path, "a-1")
    cards = read_card_set(tmp_path, CONTRACT)
    (tmp_path / "a-1" / "front.png").unlink()
    with pytest.raises(CardSetError, match=r"a-1/front\.png: cannot be read"):
        cards.first_scans(CONTRACT)


ids = st.lists(st.from_regex(CARD_ID, fullmatch=True), min_size=8, max_size=60, unique=True)


@settings(deadline=None)
@given(card_ids=ids, seed=st.integers(0, 5), shuffle=st.randoms())
def test_split_parts_the_cards_whatever_their_order(
    card_ids: list[str], seed: int, shuffle: object
) -> None:
    split = split_cards(card_ids, seed)
    parts = (split.known, split.unseen_validation, split.unseen_test)
    assert sorted(sum(parts, ())) == sorted(card_ids)
    assert split.unseen_validation and split.unseen_test
    assert len(split.known) * 2 >= len(card_ids)
    again = list(card_ids)
    shuffle.shuffle(again)  # type: ignore[attr-defined]
    assert split_cards(again, seed) == split


@settings(max_examples=examples(20), deadline=None)
@given(seed=st.integers(0, 1000), added=st.integers(1, 300))
def test_added_cards_move_no_card(seed: int, added: int) -> None:
    before = [f"set-{k}" for k in range(400)]
    small = split_cards(before, seed).to_dict()
    large = split_cards([*before, *(f"new-{k}" for k in range(added))], seed).to_dict()
    for part in small:
        assert set(small[part]) <= set(large[part])


def test_validation_has_a_share_of_its_own() -> None:
    card_ids = [f"set-{k}" for k in range(4000)]
    split = split_cards(card_ids, 1, 0.1, 0.2)
    assert 0.17 < len(split.unseen_validation) / 4000 < 0.23
    assert 0.08 < len(split.unseen_test) / 4000 < 0.12
    assert not set(split.unseen_validation) & set(split.unseen_test)
    assert split_cards(card_ids, 1, 0.1, 0.1) == split_cards(card_ids, 1, 0.1)


def test_about_a_tenth_is_held_out_and_the_seed_matters() -> None:
    card_ids = [f"set-{k}" for k in range(4000)]
    split = split_cards(card_ids, 1)
    for part in (split.unseen_validation, split.unseen_test):
        assert 0.035 < len(part) / 4000 < 0.065
    assert split_cards(card_ids, 2) != split
    with pytest.raises(CardSetError, match="at least 8"):
        split_cards(card_ids[:7], 1)


@pytest.mark.skipif(not PLAYING_CARDS.is_dir(), reason="the playing cards are not here")
def test_real_cards_are_all_read() -> None:
    cards = read_card_set(PLAYING_CARDS, CONTRACT)
    assert len(cards.cards) == 676 and not cards.problems
    split = split_cards(cards.card_ids, 0)
    assert min(len(split.unseen_validation), len(split.unseen_test)) >= 20


def test_first_line_of_the_licence_file_states_the_licence_of_the_scans(tmp_path: Path) -> None:
    scan_file(tmp_path, "a-1")
    without = read_card_set(tmp_path, CONTRACT)
    assert without.licence is None
    (tmp_path / "LICENSE").write_bytes("\ufeff\n  CC-BY-4.0, \x1b[31mAda\u202e\nmore\n".encode())
    cards = read_card_set(tmp_path, CONTRACT)
    assert cards.licence is not None and cards.licence.text == "CC-BY-4.0, [31mAda"
    assert cards.digest == without.digest and cards.problems == ()
    (tmp_path / "LICENSE").write_bytes(b"x" * 5000)
    long = read_card_set(tmp_path, CONTRACT).licence
    assert long is not None and len(long.text) == 200


@pytest.mark.parametrize("what", ["blank", "huge", "link"])
def test_licence_that_cannot_be_used_is_said(tmp_path: Path, what: str) -> None:
    root = tmp_path / "cards"
    scan_file(root, "a-1")
    (tmp_path / "secret").write_text("secret")
    if what == "link":
        (root / "LICENSE").symlink_to(tmp_path / "secret")
    else:
        (root / "LICENSE").write_bytes(b" \n" if what == "blank" else b"x" * (2**20 + 1))
    cards = read_card_set(root, CONTRACT)
    (problem,) = cards.problems
    assert cards.licence is None and problem.subject == "LICENSE"
