"""Making a pack: every scan of a card set decoded into shards, and more cards beside them.

A shard's name is made from what is in it, so a shard that is there under its name is a shard that
is done, and packing goes on where it was interrupted. ``pack.json`` is written last.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recognition.atomic_files import atomic_file, write_atomically
from recognition.card_sets.card_set import CardSet, CardSetError, Problem, digest_of
from recognition.card_sets.pack import FORMAT, PACK, SCALE, PackedSet
from recognition.card_sets.pack_shard import is_whole
from recognition.card_sets.scan import Scan, ScanError, decode_image, read_image_bytes, stretch
from recognition.file_digest import file_sha256

SHARD_BYTES = 256 * 2**20

#: Told after each scan: (packed so far, of how many).
Progress = Callable[[int, int], None]


def write_pack(
    cards: CardSet,
    out: Path,
    size: int,
    *,
    shard_bytes: int = SHARD_BYTES,
    threads: int = 2,
    progress: Progress = lambda done, total: None,
) -> Path:
    """Decodes every scan into shards; goes on with those that are missing.

    Args:
        cards: From ``read_card_set``.
        out: The pack's folder.
        size: The network's input in pixels; scans are packed at :data:`SCALE` times that.
        shard_bytes: About how large a shard is.
        threads: Scans are decoded in parallel.
        progress: Told after each scan.

    Returns:
        The path of ``pack.json``.

    Raises:
        CardSetError: The disk is full or refuses, or a scan cannot be read any more.
    """
    work = [
        (card.card_id, path, sha256)
        for card in cards.cards
        for path, sha256 in zip(card.scans, card.digests, strict=True)
    ]
    content = _PackContent(cards.digest, size * SCALE, [], [], cards.problems)
    return _write(out, content, work, shard_bytes, threads, progress)


def extend_pack(
    packed: PackedSet,
    given: CardSet,
    out: Path,
    *,
    shard_bytes: int = SHARD_BYTES,
    threads: int = 2,
    progress: Progress = lambda done, total: None,
) -> Path:
    """Packs more cards into shards of their own, beside the shards of a pack.

    Args:
        packed: The pack; it stays as it is.
        given: The cards that are added, none of them in the pack.
        out: The new pack's folder. The shards that there are get a second name there, or are
            copied where the file system has none.
        shard_bytes: About how large a shard is.
        threads: Scans are decoded in parallel.
        progress: Told after each scan.

    Returns:
        The path of ``pack.json``.

    Raises:
        CardSetError: A card is in the pack already, the disk is full or refuses, or a scan cannot
            be read any more.
    """
    both = sorted(set(packed.card_ids) & set(given.card_ids))
    if both:
        raise CardSetError(f"{both[0]}: is in the pack already; leave it out")
    *shards, _ = packed.files
    listed = [
        {"name": path.name, "rows": rows, "sha256": sha256}
        for path, rows, sha256 in zip(shards, packed.shard_rows, packed.sha256s, strict=True)
    ]
    # In the order of the rows: an extended pack is not sorted by card.
    scans = [
        [card.card_id, path.name, sha256]
        for card in sorted(packed.cards, key=lambda card: packed.first_row(card.card_id))
        for path, sha256 in zip(card.scans, card.digests, strict=True)
    ]
    work = [
        (card.card_id, path, sha256)
        for card in given.cards
        for path, sha256 in zip(card.scans, card.digests, strict=True)
    ]
    cards = (*packed.cards, *given.cards)
    digest = digest_of((card.card_id, sha256) for card in cards for sha256 in card.digests)
    content = _PackContent(digest, packed.side, listed, scans, (*packed.problems, *given.problems))
    try:
        out.mkdir(parents=True, exist_ok=True)
        for path in shards:
            second_name(path, out / path.name)
    except OSError as error:
        raise _unwritable(out, error, 0) from error
    return _write(out, content, work, shard_bytes, threads, progress)


def second_name(path: Path, other: Path) -> None:
    """Makes a file appear under another path too: linked, or copied where links are not possible.

    Raises:
        OSError: Neither can be done.
    """
    if other.exists():
        return
    try:
        os.link(path, other)
    except OSError:
        with atomic_file(other) as partial:
            shutil.copyfile(path, partial)


@dataclass
class _PackContent:
    """What is in a pack before its own scans are written.

    Attributes:
        digest: Of the whole set.
        shards: Those that are there already, as the index lists them.
        scans: Their rows.
    """

    digest: str
    side: int
    shards: list[dict[str, Any]]
    scans: list[list[str]]
    problems: tuple[Problem, ...]


def _write(
    out: Path,
    content: _PackContent,
    work: Sequence[tuple[str, Path, str]],
    shard_bytes: int,
    threads: int,
    progress: Progress,
) -> Path:
    """Writes shards of the scans in ``work`` after those that are there, then the index."""
    side = content.side
    per_shard = max(1, shard_bytes // (3 * side * side))
    shards = list(content.shards)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(max(1, threads)) as pool:
            for start in range(0, len(work), per_shard):
                part = work[start : start + per_shard]
                path = out / _shard_name(len(shards), part, side)
                if not is_whole(path, len(part), side):
                    _write_shard(pool, path, part, side, start, len(work), progress)
                progress(start + len(part), len(work))
                shards.append({"name": path.name, "rows": len(part), "sha256": file_sha256(path)})
        index = {
            "format": FORMAT,
            "digest": content.digest,
            "side": side,
            "shards": shards,
            "scans": [
                *content.scans,
                *([card_id, path.name, sha256] for card_id, path, sha256 in work),
            ],
            "problems": [[p.subject, p.reason, p.kind] for p in content.problems],
        }
        return write_atomically(out / PACK, json.dumps(index))
    except OSError as error:
        raise _unwritable(out, error, len(work) * 3 * side * side) from error


def _unwritable(out: Path, error: OSError, needed: int) -> CardSetError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT) and needed
    remedy = f"{math.ceil(needed / 2**20)} MiB are needed in all; free some"
    return CardSetError(
        f"{out}: cannot be written ({error.strerror or error}); "
        f"{remedy if full else 'check the folder'}, and type the same "
        "again: it goes on with the shards that are missing"
    )


def _shard_name(number: int, part: Sequence[tuple[str, Path, str]], side: int) -> str:
    content = "\n".join(sha256 for _, _, sha256 in part)
    digest = hashlib.sha256(f"{FORMAT} {side}\n{content}".encode()).hexdigest()
    return f"scans-{number:05d}-{digest[:12]}.npy"


def _write_shard(
    pool: ThreadPoolExecutor,
    path: Path,
    part: Sequence[tuple[str, Path, str]],
    side: int,
    before: int,
    total: int,
    progress: Progress,
) -> None:
    pixels: Scan = np.empty((len(part), side, side, 3), np.uint8)

    def load(place: int) -> None:
        _, scan, sha256 = part[place]
        try:
            pixels[place] = decoded(scan, side, sha256)
        except ScanError as error:
            raise CardSetError(f"{scan}: {error}; it was usable when first read") from None

    for done, _ in enumerate(pool.map(load, range(len(part))), start=before + 1):
        progress(done, total)
    with atomic_file(path) as partial, partial.open("wb") as file:
        np.save(file, pixels, allow_pickle=False)


def decoded(scan: Path, side: int, sha256: str) -> Scan:
    """A scan, uint8 (side, side, 3).

    Raises:
        ScanError: The file is no usable image, or not the one of that digest.
    """
    content = read_image_bytes(scan)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ScanError("has been changed meanwhile; type the same again")
    return stretch(decode_image(content), side)
