"""``cards data prepare``: a card set checked and packed, and a report of what was found."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.errors import CliError

if TYPE_CHECKING:
    from recognition.card_checks import Findings
    from recognition.pack import PackedSet

REPORT, PICTURE = "report.json", "report.png"
_SHOWN = 20
_PICTURED = 24
_LARGEST_LIST = 16 * 2**20
Tell = Callable[[str], None]


def prepare(
    source: Path, out: Path, size: int, expected: list[str] | None, tell: Tell
) -> tuple[PackedSet, Findings, dict[str, Any]]:
    """Reads, checks and packs a card folder.

    Args:
        source: The card folder.
        out: The folder to make, or to go on with.
        size: The network's input in pixels.
        expected: Ids that should be there.
        tell: Told what is being done.

    Returns:
        The pack, what is suspicious about it, and the report.

    Raises:
        CardSetError: Nothing can be used, or the pack cannot be written.
        CliError: The target holds something else.
    """
    from recognition.card_checks import examine
    from recognition.cardset import read_card_set
    from recognition.pack import open_pack, write_pack
    from registry.contract import Contract

    _check_target(out)
    threads = os.cpu_count() or 1
    tell("reading the scans")
    cards = read_card_set(source, Contract(size=size), threads=threads)
    write_pack(
        cards,
        out,
        size,
        threads=threads,
        progress=lambda done, total: tell(f"{done} of {total} scans packed"),
    )
    packed = open_pack(out)
    _remove_strangers(out, packed)
    tell("comparing the scans")
    findings = examine(packed, expected)
    document = _document(packed, findings, expected)
    (out / REPORT).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    _draw(packed, findings, out / PICTURE)
    return packed, findings, document


def lines(packed: PackedSet, findings: Findings, out: Path) -> list[str]:
    """The report for people, what matters first."""
    told = [f"{len(packed.cards)} cards, {packed.images} scans, digest {packed.digest[:12]}"]
    kinds = {"broken": "left out", "kept": "kept, but", "ignored": "ignored"}
    for kind, title in kinds.items():
        some = [f"{p.subject}: {p.reason}" for p in packed.problems if p.kind == kind]
        told += _some(title, some)
    told += _some(
        "perhaps one card under two ids",
        [f"{a.one} and {a.other} ({a.distance:.1f} grey levels apart)" for a in findings.alike],
    )
    told += _some(
        "perhaps in the wrong card's folder",
        [
            f"{s.card_id}/{s.scan}: nearer to {s.nearer} ({s.distance:.1f}) than to its own card "
            f"({s.own_distance:.1f})"
            for s in findings.strays
        ],
    )
    told += _some(
        "the file's name begins with another card's id",
        [f"{card}/{scan}: {other}" for card, scan, other in findings.misnamed],
    )
    told += _some("expected and not there", findings.missing)
    told += _some("there and not expected", findings.unexpected)
    if (out / PICTURE).is_file():
        told.append(f"see {out / PICTURE}")
    return told


def expected_ids(path: Path) -> list[str]:
    """Card ids from a list: a JSON array, a CSV file (its first column), or one id a line.

    Raises:
        CliError: The file cannot be read, or holds no id.
    """
    try:
        if path.stat().st_size > _LARGEST_LIST:
            raise CliError(f"--expect {path}: is larger than {_LARGEST_LIST // 2**20} MiB")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"--expect {path}: cannot be read ({error})") from None
    if text.lstrip().startswith("["):
        try:
            ids = [str(each) for each in json.loads(text)]
        except ValueError as error:
            raise CliError(f"--expect {path}: is no JSON array ({error})") from None
    else:
        ids = [row[0].strip() for row in csv.reader(text.splitlines()) if row and row[0].strip()]
        ids = ids[1:] if ids and ids[0].lower() in ("id", "card_id", "card id") else ids
    if not ids:
        raise CliError(f"--expect {path}: holds no card id")
    return ids


def download(aws_s3: Any, uri: str, folder: Path, tell: Tell) -> None:
    """Copies a card set's images from S3; what is there already is not fetched again.

    Raises:
        CliError: Nothing is there, or a key leads out of the folder.
    """
    from registry.aws import split_s3_uri

    bucket, prefix = split_s3_uri(uri.rstrip("/") + "/")
    pages = aws_s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    rows = [row for page in pages for row in page.get("Contents", [])]
    rows = [row for row in rows if not row["Key"].endswith("/")]
    if not rows:
        raise CliError(f"{uri}: holds nothing")
    for done, row in enumerate(rows, start=1):
        tail = row["Key"].removeprefix(prefix)
        path = folder / tail
        if not path.resolve().is_relative_to(folder.resolve()):
            raise CliError(f"s3://{bucket}/{row['Key']}: leads out of the folder; rename it")
        if not path.is_file() or path.stat().st_size != row["Size"]:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f".{path.name}.partial")
            aws_s3.download_file(bucket, row["Key"], str(partial))
            partial.replace(path)
        tell(f"{done} of {len(rows)} images fetched")


def remove_source(folder: Path) -> None:
    """Deletes what :func:`download` made."""
    shutil.rmtree(folder, ignore_errors=True)


def _check_target(out: Path) -> None:
    from recognition.pack import PACK

    if not out.exists():
        return
    names = {path.name for path in out.iterdir()} if out.is_dir() else {out.name}
    ours = {name for name in names if name.startswith("scans-") or name in (PACK, REPORT, PICTURE)}
    if names - ours:
        raise CliError(
            f"--out {out}: holds something else ({sorted(names - ours)[0]}); name another folder"
        )


def _remove_strangers(out: Path, packed: PackedSet) -> None:
    """Shards of an earlier state of the set would only take room."""
    for path in out.glob("scans-*"):
        if path not in packed.files:
            path.unlink()


def _some(title: str, what: Iterable[str]) -> list[str]:
    all_of_it = list(what)
    if not all_of_it:
        return []
    shown = [f"  {line}" for line in all_of_it[:_SHOWN]]
    if len(all_of_it) > _SHOWN:
        shown.append(f"  … and {len(all_of_it) - _SHOWN} more, all in {REPORT}")
    return [f"{title} ({len(all_of_it)}):", *shown]


def _document(packed: PackedSet, findings: Findings, expected: list[str] | None) -> dict[str, Any]:
    return {
        "digest": packed.digest,
        "cards": len(packed.cards),
        "images": packed.images,
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


def _draw(packed: PackedSet, findings: Findings, path: Path) -> None:
    from recognition.suspects_sheet import draw_pairs
    from registry.contract import Contract

    pairs = [
        (a.rows, f"{a.one} | {a.other}", f"{a.distance:.1f} grey levels apart")
        for a in findings.alike
    ] + [
        (
            s.rows,
            f"{s.card_id}/{s.scan} | {s.nearer}",
            f"{s.distance:.1f} apart; own card {s.own_distance:.1f}",
        )
        for s in findings.strays
    ]
    if not pairs:
        path.unlink(missing_ok=True)
        return
    scans, _ = packed.all_scans(Contract(size=packed.side // 2), scale=2)
    drawn = [
        (scans[rows[0]], scans[rows[1]], above, below) for rows, above, below in pairs[:_PICTURED]
    ]
    more = f" (the first {_PICTURED} of {len(pairs)})" if len(pairs) > _PICTURED else ""
    draw_pairs(drawn, path, f"Scans to look at{more}")
