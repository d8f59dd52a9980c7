"""Sets of card scans on disk: found, checked and read.

A card set is a folder with one folder a card, ``ROOT/<card_id>/<image>``. Several images in one
folder are several scans of one card and therefore one identity. A file ``ROOT/LICENSE`` states the
licence of the scans. Everything in the folder is taken for hostile: sizes are read from headers
before a pixel is decoded, links may not lead out of the folder, and one broken image never spoils
the set.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Self, get_args

import numpy as np

from recognition.card_sets.card_id import CARD_ID
from recognition.card_sets.scan import (
    Scan,
    ScanError,
    decode_image,
    load_scan,
    read_image_bytes,
    why_no_scan,
)
from recognition.file_digest import file_sha256
from registry.contract import Contract
from registry.names import SCANS_LICENCE_LIMIT
from registry.s3_keys import key_fault
from registry.untrusted.text import aws_line, printable

__all__ = [
    "Card",
    "CardSet",
    "CardSetError",
    "Problem",
    "ScanError",
    "load_scan",
    "read_card_set",
]

ProblemKind = Literal["broken", "ignored", "kept"]
#: The file beside the cards' folders whose first line states the licence of the scans.
LICENCE = "LICENSE"
#: Bytes of the longest such file, and bytes of it that are read for its first line.
_LICENCE_FILE_LIMIT, _LICENCE_HEAD = 2**20, 4096
PROBLEM_KINDS: tuple[ProblemKind, ...] = get_args(ProblemKind)


class CardSetError(ValueError):
    """A card set from which nothing can be made; the message says why and what to do."""


@dataclass(frozen=True)
class Problem:
    """Something in a card set's folder that a person should know.

    Attributes:
        subject: The file or folder, relative to the set's root.
        reason: What is so, in one line.
        kind: ``broken`` (an image or card was left out), ``ignored`` (never was a scan) or
            ``kept`` (used all the same).
    """

    subject: str
    reason: str
    kind: ProblemKind

    def __str__(self) -> str:
        return f"{self.subject}: {self.reason} ({self.kind})"


@dataclass(frozen=True)
class Card:
    """One identity and its scans (at least one), in the order of their file names.

    Attributes:
        digests: SHA-256 (hex) of each scan's file.
    """

    card_id: str
    scans: tuple[Path, ...]
    digests: tuple[str, ...]


@dataclass(frozen=True)
class Licence:
    """The licence of a card set's scans, as the file ``LICENSE`` states it.

    Attributes:
        text: The file's first line that is not blank, printable, of at most
            ``SCANS_LICENCE_LIMIT`` characters.
        path: The file.
        sha256: Of the file (hex).
    """

    text: str
    path: Path
    sha256: str


@dataclass(frozen=True)
class ListedCards:
    """The usable cards of a set, wherever their pixels are.

    Attributes:
        cards: Sorted by card id, ids distinct.
        problems: What was left out or ignored, sorted by subject.
        digest: SHA-256 (hex) over the sorted pairs (card id, SHA-256 of the image's bytes).
        licence: Of the scans; None where it is not stated. The digest does not depend on it.
    """

    cards: tuple[Card, ...]
    problems: tuple[Problem, ...]
    digest: str
    licence: Licence | None = field(default=None, kw_only=True)

    @property
    def card_ids(self) -> tuple[str, ...]:
        """The ids, in the order of :attr:`cards`."""
        return tuple(card.card_id for card in self.cards)

    @property
    def images(self) -> int:
        """Number of scans, second scans counted."""
        return sum(len(card.scans) for card in self.cards)

    def only(self, card_ids: Iterable[str]) -> Self:
        """The same set with these cards only (digest and problems remain the whole set's).

        Raises:
            KeyError: A card id is not in the set.
        """
        by_id = {card.card_id: card for card in self.cards}
        return replace(self, cards=tuple(by_id[card_id] for card_id in sorted(set(card_ids))))


@dataclass(frozen=True)
class CardSet(ListedCards):
    """The usable cards of a folder; their scans are decoded when they are asked for."""

    def first_scans(self, contract: Contract, scale: int = 1, threads: int = 2) -> Scan:
        """The first scan of each card, uint8 RGB (cards, S, S, 3) with S = size * scale."""
        return _load_all([card.scans[0] for card in self.cards], contract, scale, threads)

    def all_scans(
        self, contract: Contract, scale: int = 1, threads: int = 2
    ) -> tuple[Scan, tuple[str, ...]]:
        """Every scan, uint8 RGB (scans, S, S, 3), and the card id of each row."""
        paths = [path for card in self.cards for path in card.scans]
        ids = tuple(card.card_id for card in self.cards for _ in card.scans)
        return _load_all(paths, contract, scale, threads), ids


def require_digest(cards: ListedCards, expected: str | None) -> None:
    """Refuses another card set than the one that was registered or submitted.

    Args:
        cards: What was read.
        expected: Its digest; None where nobody says which set it should be.

    Raises:
        CardSetError: The set has another digest: a scan was added, removed or changed.
    """
    if expected and cards.digest != expected:
        raise CardSetError(
            f"the card set has the digest {cards.digest[:12]}… and {printable(expected)[:12]}… is "
            f"expected: a scan was added, removed or changed; push the right set to a place of its "
            "own with cards data push, and remove what does not belong there"
        )


def read_card_set(
    root: Path,
    contract: Contract,
    threads: int = 2,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> CardSet:
    """Reads a folder of cards, decoding every image once to know that it can be used.

    Args:
        root: Folder that holds one folder a card.
        contract: Scans smaller than its size are kept and reported.
        threads: Images are checked in parallel; decoding releases Python's lock.
        progress: Told after each image: (checked so far, of how many).

    Raises:
        CardSetError: No such folder, unreadable, or without one usable card.
    """
    root = Path(root)
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise CardSetError(f"card folder {root} {what}; expected {root}/<card_id>/<image>")
    found = _Found()
    resolved = root.resolve()
    try:
        entries = sorted(root.iterdir())
    except OSError as error:
        raise CardSetError(
            f"card folder {root} cannot be read: {error.strerror or error}; check its permissions"
        ) from None
    for entry in entries:
        _look_at_entry(entry, root, resolved, found)
    with ThreadPoolExecutor(max(1, threads)) as pool:
        checked = []
        for result in pool.map(lambda item: _check(item[1], contract), found.scans):
            checked.append(result)
            progress(len(checked), len(found.scans))

    cards: dict[str, list[Path]] = {}
    sha256s: dict[str, list[str]] = {}
    digests: list[tuple[str, str]] = []
    owner: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    for (card_id, path), result in zip(found.scans, checked, strict=True):
        subject = _relative(path, root)
        if result.sha256 is None:
            found.add(subject, result.note or "cannot be used", "broken")
            continue
        first = owner.setdefault(result.sha256, card_id)
        if (card_id, result.sha256) in seen:
            found.add(subject, "the same file as another scan of this card", "kept")
        elif first != card_id:
            found.add(subject, f"the same image as card {first}: they cannot be told apart", "kept")
        if result.note:
            found.add(subject, result.note, "kept")
        cards.setdefault(card_id, []).append(path)
        sha256s.setdefault(card_id, []).append(result.sha256)
        digests.append((card_id, result.sha256))
        seen.add(digests[-1])
    for card_id in found.folders:
        if card_id not in cards:
            found.add(card_id, "no usable image in this folder", "broken")
    problems = tuple(sorted(found.problems, key=lambda problem: problem.subject))
    if not cards:
        first_words = f"; first problem: {problems[0]}" if problems else ""
        raise CardSetError(
            f"card folder {root} holds no usable card{first_words}; "
            "put scans there as <card_id>/<image>.png or .jpg"
        )
    return CardSet(
        cards=tuple(
            Card(card_id, tuple(cards[card_id]), tuple(sha256s[card_id]))
            for card_id in sorted(cards)
        ),
        problems=problems,
        digest=digest_of(digests),
        licence=found.licence,
    )


def read_licence(root: Path) -> tuple[Licence | None, tuple[Problem, ...]]:
    """What a folder's file ``LICENSE`` states, and why it cannot be used.

    Returns:
        None where there is no such file, or it cannot be used; and the problem, where there is one.
    """
    try:
        return (_stated_licence(root) if (root / LICENCE).is_file() else None), ()
    except (OSError, ValueError) as error:
        reason = f"{error}: the licence of the scans is not stated"
        return None, (Problem(LICENCE, reason, "ignored"),)


def _stated_licence(root: Path) -> Licence:
    path = root / LICENCE
    if not _stays_inside(path, root.resolve()):
        raise ValueError("a link that leads out of the card folder")
    size = path.stat().st_size
    if size > _LICENCE_FILE_LIMIT:
        raise ValueError(f"{size:,} bytes; at most {_LICENCE_FILE_LIMIT:,} are read")
    with path.open("rb") as file:
        head = file.read(_LICENCE_HEAD).decode("utf-8-sig", "replace")
    lines = (aws_line(line, SCANS_LICENCE_LIMIT) for line in head.splitlines())
    text = next((line for line in lines if line), "")
    if not text:
        raise ValueError("holds no text")
    return Licence(text, path, file_sha256(path))


@dataclass
class _Found:
    """What a walk over the folder collects."""

    scans: list[tuple[str, Path]] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    licence: Licence | None = None

    def add(self, subject: str, reason: str, kind: ProblemKind) -> None:
        self.problems.append(Problem(subject, reason, kind))


@dataclass(frozen=True)
class _Checked:
    sha256: str | None
    note: str | None


def _look_at_entry(entry: Path, root: Path, resolved: Path, found: _Found) -> None:
    subject = _relative(entry, root)
    if entry.name.startswith("."):
        return
    if not _stays_inside(entry, resolved):
        found.add(subject, "a link that leads out of the card folder or nowhere", "broken")
    elif entry.name == LICENCE and entry.is_file():
        found.licence, problems = read_licence(root)
        found.problems += problems
    elif not entry.is_dir():
        found.add(subject, "not a card's folder", "ignored")
    elif not CARD_ID.fullmatch(entry.name):
        found.add(
            subject,
            "not a card id: 1 to 100 letters, digits and . _ - !, beginning with a letter or digit",
            "broken",
        )
    else:
        try:
            files = sorted(entry.iterdir())
        except OSError as error:
            found.add(subject, f"cannot be read: {error.strerror or error}", "broken")
            return
        found.folders.append(entry.name)
        for file in files:
            _look_at_file(file, entry.name, root, resolved, found)


def _look_at_file(file: Path, card_id: str, root: Path, resolved: Path, found: _Found) -> None:
    subject = _relative(file, root)
    if file.name.startswith("."):
        return
    if not _stays_inside(file, resolved):
        found.add(subject, "a link that leads out of the card folder or nowhere", "broken")
    elif file.is_dir():
        found.add(subject, "a folder inside a card's folder", "ignored")
    elif reason := why_no_scan(file):
        found.add(subject, reason, "ignored")
    else:
        fault = key_fault(file.name)
        if fault:
            found.add(subject, f"its name {fault}: cards data push stores it under another", "kept")
        found.scans.append((card_id, file))


def _stays_inside(path: Path, resolved_root: Path) -> bool:
    try:
        return path.resolve(strict=True).is_relative_to(resolved_root)
    except (OSError, RuntimeError):
        return False


def _relative(path: Path, root: Path) -> str:
    """A printable name: control characters in file names must not reach a terminal."""
    return printable(str(path.relative_to(root)))


def _check(path: Path, contract: Contract) -> _Checked:
    try:
        content = read_image_bytes(path)
        height, width = decode_image(content).shape[:2]
    except ScanError as error:
        return _Checked(None, str(error))
    note = None
    if max(width, height) < contract.size:
        note = f"{width} x {height} pixels, smaller than the network's input of {contract.size}"
    return _Checked(hashlib.sha256(content).hexdigest(), note)


def _load_all(paths: Sequence[Path], contract: Contract, scale: int, threads: int) -> Scan:
    side = contract.size * scale
    scans: Scan = np.empty((len(paths), side, side, 3), dtype=np.uint8)

    def load(row: int) -> None:
        try:
            scans[row] = load_scan(paths[row], contract, scale)
        except ScanError as error:
            raise CardSetError(f"{paths[row]}: {error}; it was usable when first read") from None

    with ThreadPoolExecutor(max(1, threads)) as pool:
        list(pool.map(load, range(len(paths))))
    return scans


def digest_of(pairs: Iterable[tuple[str, str]]) -> str:
    """A card set's digest: SHA-256 (hex) over its sorted pairs (card id, SHA-256 of a scan)."""
    digest = hashlib.sha256()
    for card_id, sha256 in sorted(pairs):
        digest.update(f"{card_id} {sha256}\n".encode())
    return digest.hexdigest()
