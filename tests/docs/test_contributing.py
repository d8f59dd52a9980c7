"""The tables under "To change X, open Y" in CONTRIBUTING.md name files and symbols of the tree."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, read

HEADING = "To change X, open Y"
Row = tuple[tuple[str, ...], ...]


def rows() -> list[Row]:
    page = read((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    return [cells for heading, cells in page.rows if heading == HEADING]


def defined(path: Path) -> set[str]:
    """Names that a file defines.

    Python: functions, classes and variables of the module, and those of its classes as
    ``Class.name``. JSON: keys, and those of objects in it as ``key.name``. A folder: those of its
    ``__init__.py``, and the names of its files without their endings.
    """
    if path.is_dir():
        package = path / "__init__.py"
        return {file.stem for file in path.iterdir()} | (
            defined(package) if package.exists() else set()
        )
    if path.suffix == ".json":
        return set(_keys(json.loads(path.read_text(encoding="utf-8"))))
    return set(_names(ast.parse(path.read_text(encoding="utf-8")).body))


def _keys(document: object, prefix: str = "") -> list[str]:
    if not isinstance(document, dict):
        return []
    found = []
    for key, value in document.items():
        found += [f"{prefix}{key}", *_keys(value, f"{prefix}{key}.")]
    return found


def _names(body: list[ast.stmt], prefix: str = "") -> list[str]:
    found = []
    for node in body:
        if isinstance(node, ast.ClassDef):
            found += [f"{prefix}{node.name}", *_names(node.body, f"{prefix}{node.name}.")]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.append(f"{prefix}{node.name}")
        elif isinstance(node, ast.Assign):
            found += [f"{prefix}{each.id}" for each in node.targets if isinstance(each, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.append(f"{prefix}{node.target.id}")
    return found


def test_table_has_the_common_changes() -> None:
    assert len(rows()) >= 12


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[1][0] if len(row) > 1 else "row")
def test_row_names_files_and_symbols_that_exist(row: Row) -> None:
    _, paths, symbols = row
    assert paths, "a row names at least one file"
    missing = [path for path in paths if not (ROOT / path).exists()]
    assert missing == []
    found = set().union(*(defined(ROOT / path) for path in paths))
    assert set(symbols) - found == set(), f"not defined in {', '.join(paths)}"


def test_names_of_files_are_read(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text("A = 1\nB: int = 2\nclass C:\n    d: int = 3\n    def e(self): ...\n")
    assert defined(module) == {"A", "B", "C", "C.d", "C.e"}
    document = tmp_path / "document.json"
    document.write_text('{"a": {"b": 1}, "c": [1]}')
    assert defined(document) == {"a", "a.b", "c"}
    assert {"module", "document"} <= defined(tmp_path)
