"""``cards data prepare``: a card set checked and packed, and a report of what was found."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.errors import CliError

if TYPE_CHECKING:
    from recognition.card_sets.card_checks import CardSetFindings
    from recognition.card_sets.card_set import CardSet, ListedCards, Problem
    from recognition.card_sets.pack import PackedSet

REPORT, PICTURE = "report.json", "report.png"
_SHOWN = 20
_PICTURED = 24
ShowProgress = Callable[[str], None]


def prepare(
    source: Path,
    out: Path,
    size: int,
    expected: list[str] | None,
    show_progress: ShowProgress,
    unfetched: Sequence[Problem] = (),
) -> tuple[PackedSet, CardSetFindings, dict[str, Any]]:
    """Reads, checks and packs a card folder; nothing of it is changed.

    Args:
        source: The card folder.
        out: The folder to make, or to go on with.
        size: The network's input in pixels.
        expected: Ids that should be there.
        show_progress: Called with a line about each step.
        unfetched: What of a set in S3 is not in the folder.

    Returns:
        The pack, what is suspicious about it, and the report.

    Raises:
        CardSetError: Nothing can be used, or the pack cannot be written.
        CliError: The target holds something else, or the report cannot be written.
    """
    from cli.console import bar
    from recognition.atomic_files import write_atomically
    from recognition.card_sets.card_checks import examine
    from recognition.card_sets.card_set import read_card_set
    from recognition.card_sets.pack import open_pack
    from recognition.card_sets.pack_writing import write_pack
    from registry.contract import Contract

    _check_source(source, out)
    check_target(out)
    threads = os.cpu_count() or 1

    def progress(verb: str) -> Callable[[int, int], None]:
        return lambda done, total: show_progress(
            f"{bar(done, total)} {done} of {total} scans {verb}"
        )

    cards = read_card_set(source, Contract(size=size), threads, progress("checked"))
    problems = sorted((*cards.problems, *unfetched), key=lambda problem: problem.subject)
    cards = replace(cards, problems=tuple(problems))
    made = not out.exists()
    write_pack(cards, out, size, threads=threads, progress=progress("packed"))
    if made:  # Jobs read it as another user, whatever the umask; its files are 0644 already.
        out.chmod(0o755)
    _copy_licence(cards, out)
    packed = open_pack(out)
    _remove_old_files(out, packed)
    show_progress("comparing the scans")
    findings = examine(packed, expected, threads)
    document = _document(packed, findings, expected)
    try:
        write_atomically(out / REPORT, json.dumps(document, indent=2) + "\n")
        _draw(packed, findings, out / PICTURE)
    except OSError as error:
        raise CliError(
            f"{out}: the report cannot be written ({error.strerror or error}); the pack is whole; "
            "free some room, and type the same again"
        ) from error
    return packed, findings, document


def lines(packed: PackedSet, findings: CardSetFindings, out: Path) -> list[str]:
    """The report for people, what matters first."""
    from registry.untrusted.text import printable

    report = [
        f"{len(packed.cards)} cards, {packed.images} scans, digest {packed.digest[:12]}",
        licence_words(packed),
    ]
    kinds = {"broken": "left out", "kept": "kept, but", "ignored": "ignored"}
    for kind, title in kinds.items():
        some = [f"{p.subject}: {p.reason}" for p in packed.problems if p.kind == kind]
        report += _some(title, some)
    report += _some(
        "perhaps one card under two ids",
        [f"{a.one} and {a.other} ({a.distance:.1f} grey levels apart)" for a in findings.alike],
    )
    report += _some(
        "perhaps in the wrong card's folder",
        [
            f"{s.card_id}/{s.scan}: nearer to {s.nearer} ({s.distance:.1f}) than to its own card "
            f"({s.own_distance:.1f})"
            for s in findings.strays
        ],
    )
    report += _some(
        "the file's name begins with another card's id",
        [f"{card}/{scan}: {other}" for card, scan, other in findings.misnamed],
    )
    report += _some("expected and not there", map(printable, findings.missing))
    report += _some("there and not expected", findings.unexpected)
    if (out / PICTURE).is_file():
        report.append(f"see {out / PICTURE}")
    return report


def licence_words(cards: ListedCards) -> str:
    """What a card set says of the licence of its scans, or how to say it."""
    from recognition.card_sets.card_set import LICENCE

    if cards.licence:
        return f"licence of the scans: {cards.licence.text}"
    how = f"the first line of a file {LICENCE} beside the cards' folders states it"
    return f"licence of the scans: not stated; {how}"


def _check_source(source: Path, out: Path) -> None:
    from recognition.card_sets.pack import PACK

    if (source / PACK).is_file():
        raise CliError(f"{source}: is prepared already; give the folder that it was made from")
    if source.is_dir() and out.resolve().is_relative_to(source.resolve()):
        raise CliError(f"--out {out}: lies in the card folder; name one beside {source}")


def check_target(out: Path) -> None:
    """Refuses a target that holds something else: what is not replaced there is deleted.

    Files of common names (report.json) do not make a folder ours: beside them must be a pack's
    index, a shard, or what an interrupted preparation has left.

    Raises:
        CliError: It does.
    """
    from recognition.card_sets.card_set import LICENCE
    from recognition.card_sets.pack import PACK, is_pack_index, is_shard_name

    if not out.exists():
        return
    names = {path.name for path in out.iterdir()} if out.is_dir() else {out.name}
    marks = {name for name in names if is_shard_name(name) or _is_leftover(name)}
    if is_pack_index(out / PACK):
        marks.add(PACK)
    own_files = marks | {REPORT, PICTURE, LICENCE} if marks else set()
    if names - own_files or not out.is_dir():
        other = f" ({min(names - own_files)})" if names - own_files else ""
        raise CliError(f"--out {out}: holds something else{other}; name another folder")


def _copy_licence(cards: CardSet, out: Path) -> None:
    """Copies the file that states the licence of the scans beside the pack, or removes an old one.

    Raises:
        CliError: It cannot be written.
    """
    from recognition.atomic_files import write_atomically
    from recognition.card_sets.card_set import LICENCE

    try:
        if cards.licence is None:
            (out / LICENCE).unlink(missing_ok=True)
        else:
            write_atomically(out / LICENCE, cards.licence.path.read_bytes())
    except OSError as error:
        raise CliError(
            f"{out / LICENCE}: cannot be written ({error.strerror or error}); the pack is whole; "
            "make that file writable, or remove what lies there, and type the same again"
        ) from error


def _remove_old_files(out: Path, packed: PackedSet) -> None:
    """Shards of an earlier state of the set, and what an interruption left, only take space."""
    from recognition.card_sets.pack import is_shard_name

    for path in list(out.iterdir()):
        old = is_shard_name(path.name) or _is_leftover(path.name)
        if old and path not in packed.files:
            path.unlink(missing_ok=True)


def _is_leftover(name: str) -> bool:
    """Whether a file is one of ours that was not written to its end."""
    from recognition.atomic_files import LEFTOVERS
    from recognition.card_sets.card_set import LICENCE
    from recognition.card_sets.pack import PACK

    begins = tuple(f".{each}-" for each in ("scans", PACK, REPORT, PICTURE, LICENCE))
    return fnmatch(name, LEFTOVERS) and name.startswith(begins)


def _some(title: str, lines: Iterable[str]) -> list[str]:
    all_of_it = list(lines)
    if not all_of_it:
        return []
    shown = [f"  {line}" for line in all_of_it[:_SHOWN]]
    if len(all_of_it) > _SHOWN:
        shown.append(f"  … and {len(all_of_it) - _SHOWN} more, all in {REPORT}")
    return [f"{title} ({len(all_of_it)}):", *shown]


def _document(
    packed: PackedSet, findings: CardSetFindings, expected: list[str] | None
) -> dict[str, Any]:
    return {
        "digest": packed.digest,
        "cards": len(packed.cards),
        "images": packed.images,
        "licence": packed.licence.text if packed.licence else None,
        "side": packed.side,
        "problems": [asdict(problem) for problem in packed.problems],
        "alike": [asdict(pair) for pair in findings.alike],
        "strays": [asdict(stray) for stray in findings.strays],
        "misnamed": [
            {"card_id": card, "scan": scan, "begins_with": other}
            for card, scan, other in findings.misnamed
        ],
        "expected": None if expected is None else len(set(expected)),
        "missing": list(findings.missing),
        "unexpected": list(findings.unexpected),
    }


def _draw(packed: PackedSet, findings: CardSetFindings, path: Path) -> None:
    from recognition.card_sets.suspects_sheet import SuspectPair, draw_suspects_sheet
    from registry.contract import Contract

    pairs = [
        (a.rows, (a.one, a.other), f"{a.distance:.1f} grey levels apart") for a in findings.alike
    ] + [
        (
            s.rows,
            (f"{s.card_id}/{s.scan}", s.nearer),
            f"{s.distance:.1f} apart; own card {s.own_distance:.1f}",
        )
        for s in findings.strays
    ]
    if not pairs:
        path.unlink(missing_ok=True)
        return
    scans, _ = packed.all_scans(Contract(size=packed.side // 2), scale=2)
    drawn = [
        SuspectPair((scans[rows[0]], scans[rows[1]]), names, note)
        for rows, names, note in pairs[:_PICTURED]
    ]
    more = f" (the first {_PICTURED} of {len(pairs)})" if len(pairs) > _PICTURED else ""
    draw_suspects_sheet(drawn, path, f"Scans to look at{more}")
