from __future__ import annotations

import errno
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recognition import atomic_files
from recognition.card_sets import pack_writing
from recognition.card_sets.card_set import CardSet, CardSetError, read_card_set
from recognition.card_sets.pack import open_card_set, open_pack, verify_pack
from recognition.card_sets.pack_writing import write_pack
from recognition.sample_cards.drawing import draw_card_set
from registry.contract import Contract
from tests.properties import examples

SIZE = 32
CONTRACT = Contract(size=SIZE)
ROW = 3 * (2 * SIZE) ** 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven cards, two of them with a second scan."""
    root = tmp_path_factory.mktemp("cards")
    draw_card_set(root, 11, seed=4, height=96)
    for card in sorted(root.iterdir())[:2]:
        shutil.copy(next(iter(sorted(root.iterdir())[-1].iterdir())), card / "second.png")
    return root


@pytest.fixture(scope="module")
def card_set(folder: Path) -> CardSet:
    return read_card_set(folder, CONTRACT)


@settings(deadline=None, max_examples=examples(8))
@given(rows=st.integers(1, 15))
def test_pack_is_the_card_set(
    card_set: CardSet, tmp_path_factory: pytest.TempPathFactory, rows: int
) -> None:
    out = tmp_path_factory.mktemp("pack")
    write_pack(card_set, out, SIZE, shard_bytes=rows * ROW)
    packed = open_pack(out)
    assert len(list(out.glob("scans-*.npy"))) == -(-13 // rows) and not verify_pack(packed)
    assert (packed.card_ids, packed.digest, packed.images) == (
        card_set.card_ids,
        card_set.digest,
        card_set.images,
    )
    ours, ids = packed.all_scans(CONTRACT, scale=2)
    theirs, their_ids = card_set.all_scans(CONTRACT, scale=2)
    assert ids == their_ids and ours.shape == theirs.shape
    np.testing.assert_array_equal(np.asarray(ours), theirs)
    np.testing.assert_array_equal(ours[4], theirs[4])
    np.testing.assert_array_equal(ours[3:7], theirs[3:7])
    chosen = packed.card_ids[3:6]
    np.testing.assert_array_equal(
        np.asarray(packed.only(chosen).first_scans(CONTRACT, scale=2)),
        card_set.only(chosen).first_scans(CONTRACT, scale=2),
    )
    # The gallery is made from the packed squares: the same picture to a grey level or two.
    small = np.asarray(packed.first_scans(CONTRACT)).astype(int)
    assert np.abs(small - card_set.first_scans(CONTRACT)).max() <= 2


def test_licence_that_cannot_be_used_does_not_spoil_the_pack(
    card_set: CardSet, tmp_path: Path
) -> None:
    write_pack(card_set, tmp_path, SIZE)
    (tmp_path / "LICENSE").write_text("CC-BY-4.0\n")
    stated = open_pack(tmp_path).licence
    assert stated is not None and stated.text == "CC-BY-4.0"
    (tmp_path / "LICENSE").write_text(" \n")
    packed = open_pack(tmp_path)
    assert packed.licence is None and packed.digest == card_set.digest
    (problem,) = set(packed.problems) - set(card_set.problems)
    assert problem.subject == "LICENSE" and "holds no text" in problem.reason


def test_training_sees_the_same_pixels(card_set: CardSet, folder: Path, tmp_path: Path) -> None:
    from training.data.batches import Batches, CardDataset
    from training.recipe import resolve

    config = resolve("tiny", "teacher", "phase2", {"image_size": SIZE})
    write_pack(card_set, tmp_path, SIZE)
    plain, packed = CardDataset.load(folder, config), CardDataset.load(tmp_path, config)
    assert packed.split == plain.split and packed.scan_ids == plain.scan_ids
    for step in range(3):
        one, two = Batches(plain, 3).batch(step), Batches(packed, 3).batch(step)
        np.testing.assert_array_equal(one.views, two.views)
        np.testing.assert_array_equal(one.scans, two.scans)
    views = [cards.views(cards.split.known, "query", 20)[0] for cards in (plain, packed)]
    np.testing.assert_array_equal(*views)


def test_smaller_network_may_use_a_pack(card_set: CardSet, tmp_path: Path) -> None:
    write_pack(card_set, tmp_path, 2 * SIZE)
    assert open_card_set(tmp_path, CONTRACT).digest == card_set.digest
    half = open_pack(tmp_path).first_scans(CONTRACT, scale=2)
    assert half.shape == (11, 64, 64, 3) and half[0].shape == (64, 64, 3)
    with pytest.raises(CardSetError, match=r"128 px and 256 are needed.*--size 128"):
        open_pack(tmp_path).first_scans(Contract(size=128), scale=2)


def test_packing_goes_on_where_it_was_interrupted(
    card_set: CardSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[Path] = []
    load = pack_writing.decoded

    def counted(path: Path, side: int, sha256: str) -> pack_writing.Scan:
        decoded.append(path)
        if len(decoded) == 8:
            raise KeyboardInterrupt
        return load(path, side, sha256)

    monkeypatch.setattr(pack_writing, "decoded", counted)
    with pytest.raises(KeyboardInterrupt):
        write_pack(card_set, tmp_path, SIZE, shard_bytes=3 * ROW, threads=1)
    assert not (tmp_path / "pack.json").exists() and not list(tmp_path.glob(".*"))
    done = len(list(tmp_path.glob("scans-*.npy")))
    assert done == 2
    decoded[:] = [Path()] * 100
    write_pack(card_set, tmp_path, SIZE, shard_bytes=3 * ROW, threads=1)
    assert len(decoded) - 100 == 13 - 3 * done
    ours, theirs = (each.all_scans(CONTRACT, 2)[0] for each in (open_pack(tmp_path), card_set))
    np.testing.assert_array_equal(np.asarray(ours), theirs)


def test_full_disk_says_how_much_is_needed_and_keeps_what_is_done(
    card_set: CardSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save, saved = np.save, []

    def full(file: object, array: np.ndarray, **options: object) -> None:
        saved.append(file)
        if len(saved) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(file, array, **options)

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(CardSetError, match=r"No space left.* MiB are needed.*goes on"):
        write_pack(card_set, tmp_path, SIZE, shard_bytes=2 * ROW)
    assert len(list(tmp_path.iterdir())) == 2


def test_full_disk_at_the_end_is_the_same_line(
    card_set: CardSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []

    def full(descriptor: int) -> None:
        synced.append(descriptor)
        if len(synced) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(atomic_files.os, "fsync", full)
    with pytest.raises(CardSetError, match="No space left"):
        write_pack(card_set, tmp_path, SIZE)
    assert [path.suffix for path in tmp_path.iterdir()] == [".npy"]


def test_scan_that_changes_while_it_is_packed_is_refused(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "cards"
    shutil.copytree(folder, copy)
    read = read_card_set(copy, CONTRACT)
    one, other = read.cards[0].scans[0], read.cards[1].scans[0]
    shutil.copy(other, one)
    with pytest.raises(CardSetError, match="has been changed meanwhile"):
        write_pack(read, tmp_path / "pack", SIZE)
    assert not list((tmp_path / "pack").iterdir())


def index(root: Path, **changes: object) -> None:
    path = root / "pack.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def shard(root: Path) -> Path:
    return next(root.glob("scans-*"))


def shards(root: Path, **changes: object) -> None:
    listed = json.loads((root / "pack.json").read_text())["shards"]
    index(root, shards=[{**each, **changes} for each in listed])


def archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("scans.npy", b"x")


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "no JSON": (lambda root: (root / "pack.json").write_text("{"), "Expecting"),
    "another format": (lambda root: index(root, format=2), "not of format 1"),
    "a side of no use": (lambda root: index(root, side=-4), "no number of pixels"),
    "another digest": (lambda root: index(root, digest="0" * 64), "its digest is not"),
    "no shards": (lambda root: index(root, shards=[]), "another number of scans"),
    "a path": (
        lambda root: index(root, shards=[{"name": "../x.npy", "rows": 1, "sha256": ""}]),
        "no shard's name",
    ),
    "an id": (lambda root: index(root, scans=[["../x", "a.png", "0" * 64]] * 13), "no card id"),
    "shards that are numbers": (lambda root: index(root, shards=3), "not iterable"),
    "endless rows": (lambda root: shards(root, rows=float("inf")), "cannot convert float infinity"),
    "a shard without a digest": (lambda root: shards(root, sha256=None), "it has no SHA-256"),
    "a problem of no kind": (lambda root: index(root, problems=[["a", "b", "c"]]), "no kind of"),
    "a problem cut short": (lambda root: index(root, problems=[["a"]]), "missing 2 required"),
    "a deep index": (
        lambda root: (root / "pack.json").write_text("[" * 200_000), "maximum recursion depth"
    ),
    "no scans": (lambda root: index(root, scans=[], shards=[]), "another number of scans"),
    "a cut shard": (lambda root: os.truncate(shard(root), 500), "cut short or too long"),
    "a cut header": (lambda root: os.truncate(shard(root), 5), "is no NumPy file of uint8"),
    "a long shard": (
        lambda root: shard(root).write_bytes(shard(root).read_bytes() + b"x"), "or too long"
    ),
    "a lost shard": (lambda root: shard(root).unlink(), "No such file"),
    "an archive": (lambda root: archive(shard(root)), "is no NumPy file"),
    "a torn archive": (lambda root: shard(root).write_bytes(b"PK\3\4" * 99), "is no NumPy file"),
    "a header of brackets": (
        lambda root: shard(root).write_bytes(b"\x93NUMPY\1\0\x10\0{'descr': ((((((\n"),
        "is no NumPy file",
    ),
    "a shard of objects": (
        lambda root: np.save(shard(root), np.array([{}]), allow_pickle=True), "is no NumPy file"
    ),
    "a shard of another shape": (
        lambda root: np.save(shard(root), np.zeros((2, 2), np.uint8)), "is no NumPy file"
    ),
    "a shard of other numbers": (
        lambda root: np.save(shard(root), np.zeros((13, 64, 64, 3), np.int8)), "is no NumPy file"
    ),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_pack_is_one_clear_line(card_set: CardSet, tmp_path: Path, damage: str) -> None:
    write_pack(card_set, tmp_path, SIZE)
    spoil, words = DAMAGE[damage]
    spoil(tmp_path)
    with pytest.raises(CardSetError, match="cards data prepare") as refusal:
        open_pack(tmp_path)
    assert words in str(refusal.value) and "\n" not in str(refusal.value)


@settings(deadline=None, max_examples=examples(60))
@given(at=st.integers(0, 200), byte=st.integers(0, 255))
def test_spoilt_header_is_refused_or_says_the_same(
    card_set: CardSet, tmp_path_factory: pytest.TempPathFactory, at: int, byte: int
) -> None:
    root = tmp_path_factory.mktemp("spoilt")
    write_pack(card_set, root, SIZE)
    content = bytearray(shard(root).read_bytes())
    content[at] = byte
    shard(root).write_bytes(content)
    try:
        packed = open_pack(root)
    except CardSetError as refusal:
        assert shard(root).name in str(refusal)
    else:
        assert packed.all_scans(CONTRACT, 2)[0][:].shape == (13, 2 * SIZE, 2 * SIZE, 3)


def test_names_in_a_pack_cannot_command_a_terminal(card_set: CardSet, tmp_path: Path) -> None:
    write_pack(card_set, tmp_path, SIZE)
    index(tmp_path, problems=[["a\x1b[31m", "red\udc80", "kept"]])
    assert [str(problem) for problem in open_pack(tmp_path).problems] == ["a?[31m: red? (kept)"]


def test_changed_pixels_are_found_by_verifying(card_set: CardSet, tmp_path: Path) -> None:
    write_pack(card_set, tmp_path, SIZE)
    content = bytearray(shard(tmp_path).read_bytes())
    content[-5] ^= 1
    shard(tmp_path).write_bytes(content)
    assert verify_pack(open_pack(tmp_path)) == [shard(tmp_path).name]
