"""``--expect``: which cards a set should have, from a list that somebody has."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cli.errors import CliError

_LARGEST_LIST = 16 * 2**20
#: What the column, or the field, of the ids may be called.
_NAMES = ("id", "card_id", "card id")


def expected_ids(path: Path) -> list[str]:
    """Card ids from a list.

    Args:
        path: A JSON array of ids, or of objects that have an ``id``; a CSV file (the column that
            its first line calls ``id`` or ``card_id``, else its first column); one id a line.

    Raises:
        CliError: The file cannot be read, or holds no id.
    """
    try:
        if path.stat().st_size > _LARGEST_LIST:
            raise CliError(f"--expect {path}: is larger than {_LARGEST_LIST // 2**20} MiB")
        text = path.read_text(encoding="utf-8-sig")
        json_like = text.lstrip().startswith(("[", "{"))
        ids = list(_from_json(json.loads(text)) if json_like else _from_rows(text))
    except OSError as error:
        raise CliError(
            f"--expect {path}: cannot be read ({error.strerror or error}); name a file"
        ) from None
    except (ValueError, RecursionError, csv.Error) as error:
        raise CliError(
            f"--expect {path}: is no list of card ids ({error}); give a JSON array, a CSV file, "
            "or one id a line"
        ) from None
    if not ids:
        raise CliError(f"--expect {path}: holds no card id")
    return ids


def _from_json(document: Any) -> Iterator[str]:
    if not isinstance(document, list):
        raise ValueError("its JSON is no array")
    for entry in document:
        found = entry
        if isinstance(entry, dict):
            found = next((entry[name] for name in _NAMES if name in entry), None)
        if not isinstance(found, str) or not found.strip():
            raise ValueError(f"entry {json.dumps(entry)[:40]} is no id and has none")
        yield found.strip()


def _from_rows(text: str) -> Iterator[str]:
    rows = [row for row in csv.reader(text.splitlines()) if row]
    head = [cell.strip().lower() for cell in rows[0]] if rows else []
    column = next((head.index(name) for name in _NAMES if name in head), None)
    for row in rows if column is None else rows[1:]:
        cell = row[column or 0].strip() if len(row) > (column or 0) else ""
        if cell:
            yield cell
