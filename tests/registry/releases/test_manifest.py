import copy
import json
from typing import Any

import pytest

from registry.contract import Contract
from registry.releases.manifest import ManifestError, canonical, files_of, parse

GOOD: dict[str, Any] = {
    "schema": 1,
    "release": "student-efficientnet-lite0-stage2-v1.onnx-int8-0123abcd",
    "model": "model.int8.onnx",
    "contract": Contract(size=64).to_dict(),
    "acceptance_threshold": 0.5,
    "files": {"model.int8.onnx": {"sha256": "0" * 64, "bytes": 4}},
}
RULE: dict[str, Any] = {
    "score": {"name": "some_score", "parameters": {"weight": 0.5}},
    "thresholds": {"1": 0.5, "3": 0.6},
    "bound": 0.01,
}


def test_manifest_that_is_written_is_read_back() -> None:
    assert parse(canonical(GOOD), "r") == GOOD


def test_canonical_of_the_same_content_gives_the_same_bytes() -> None:
    reordered = dict(reversed(list(GOOD.items())))
    assert canonical(reordered) == canonical(GOOD)


@pytest.mark.parametrize(
    "name",
    ["../evil", "/etc/passwd", "a/b", "", ".hidden", "manifest.json", "manifest.sig", "a\x00b"],
)
def test_file_name_that_could_leave_the_folder_is_refused(name: str) -> None:
    with pytest.raises(ManifestError, match="may not be the name"):
        files_of({"files": {name: {"sha256": "0" * 64, "bytes": 1}}}, "r")


@pytest.mark.parametrize(
    "names", [("MANIFEST.JSON",), ("Model.SIG",), ("Channel.json",), ("a.bin", "A.bin")]
)
def test_file_names_that_differ_in_case_alone_are_refused(names: tuple[str, ...]) -> None:
    """On a device whose file system ignores case one file would replace another."""
    files = {name: {"sha256": "0" * 64, "bytes": 1} for name in names}
    with pytest.raises(ManifestError, match=f"{names[-1]!r} may not be the name"):
        files_of({"files": files}, "r")


@pytest.mark.parametrize(
    "entry",
    [
        None,
        {},
        {"sha256": "0" * 63, "bytes": 1},
        {"sha256": "0" * 64, "bytes": 0},
        {"sha256": "0" * 64, "bytes": True},
        {"sha256": "0" * 64, "bytes": 10**12},
    ],
)
def test_file_without_digest_or_possible_size_is_refused(entry: object) -> None:
    with pytest.raises(ManifestError):
        files_of({"files": {"a": entry}}, "r")


def test_manifest_with_an_acceptance_rule_is_read() -> None:
    assert parse(canonical({**GOOD, "acceptance": RULE}), "r")["acceptance"] == RULE


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"model": "other.onnx"},
        {"contract": {**Contract().to_dict(), "channels": "BGR"}},
        {"acceptance_threshold": None},
        {"acceptance": []},
        {"acceptance": {**RULE, "thresholds": {"3": 0.5}}},
        {"acceptance": {**RULE, "thresholds": {"1": "high"}}},
        {"acceptance": {**RULE, "bound": None}},
        {"acceptance": {**RULE, "score": "cosine"}},
        {"files": {}},
    ],
)
def test_manifest_with_missing_or_wrong_field_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ManifestError):
        parse(canonical({**copy.deepcopy(GOOD), **change}), "r")


def test_manifest_that_is_not_a_json_object_is_refused() -> None:
    with pytest.raises(ManifestError, match="not JSON"):
        parse(b"<html>", "r")
    with pytest.raises(ManifestError, match="not an object"):
        parse(json.dumps([1]).encode(), "r")
