"""The release manifest: what a release is made of, in one signed file."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from registry.contract import Contract, ContractError
from registry.names import RELEASE_MANIFEST, RETIRED, is_release_id
from registry.untrusted.json_object import JsonObjectError, parse_object

MANIFEST = RELEASE_MANIFEST
SIGNATURE = "manifest.sig"
SCHEMA = 1
MANIFEST_LIMIT = 1024**2
FILE_LIMIT = 4 * 1024**3
#: What a client keeps in a pulled release beside the files that are signed.
UNSIGNED_FILES = (
    SIGNATURE,
    "model.sig",
    "provenance.sig",
    "signing-key.pem",
    "channel.json",
    ".cards-release.json",
)
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)
#: What the registry and its clients write into a release's folder beside its files and signatures.
_RESERVED = frozenset({MANIFEST, RETIRED, "signing-key.pem", "channel.json"})
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)


class ManifestError(ValueError):
    """A manifest, or a compile job's report, that is not to be trusted; says why."""


@dataclass(frozen=True)
class File:
    """One file of a release.

    Attributes:
        sha256: Hex digest of its bytes.
        bytes: Its size.
    """

    sha256: str
    bytes: int


def canonical(document: Mapping[str, Any]) -> bytes:
    """The bytes that are signed: sorted keys, two spaces of indent so that a person can read it,
    and the same for the same content, so that publishing twice writes the same file."""
    return (json.dumps(document, sort_keys=True, indent=2) + "\n").encode()


def sha256(body: bytes) -> str:
    """Hex SHA-256 of some bytes."""
    return hashlib.sha256(body).hexdigest()


def files_of(document: Mapping[str, Any], label: str) -> dict[str, File]:
    """Reads and checks the ``files`` of a manifest or of ``compilation.json``.

    Raises:
        ManifestError: A name that could leave the folder, no digest, or no sensible size.
    """
    listed = document.get("files")
    if not isinstance(listed, Mapping) or not listed:
        raise ManifestError(f"{label}: files is missing or empty")
    files = {}
    # A device's file system may take names that differ in case for one.
    seen = set[str]()
    for name, entry in listed.items():
        digest = entry.get("sha256") if isinstance(entry, Mapping) else None
        size = entry.get("bytes") if isinstance(entry, Mapping) else None
        folded = name.lower()
        reserved = folded in _RESERVED or folded.endswith(".sig") or folded in seen
        seen.add(folded)
        if not _FILE_NAME.fullmatch(name) or reserved:
            raise ManifestError(f"{label}: {name[:100]!r} may not be the name of a file")
        if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            raise ManifestError(f"{label}: {name} has no SHA-256 digest")
        if isinstance(size, bool) or not isinstance(size, int) or not 0 < size <= FILE_LIMIT:
            raise ManifestError(f"{label}: {name} has no size between 1 byte and {FILE_LIMIT}")
        files[name] = File(digest, size)
    return files


def parse(body: bytes, label: str) -> dict[str, Any]:
    """Reads a manifest whose signature has been verified, and checks its form.

    Raises:
        ManifestError: Not a manifest that this code can follow.
    """
    try:
        document = parse_object(body, MANIFEST_LIMIT)
    except JsonObjectError as error:
        raise ManifestError(f"{label}: {error}") from None
    if document.get("schema") != SCHEMA or isinstance(document["schema"], bool):
        raise ManifestError(
            f"{label}: schema {document.get('schema')!r}, this code follows {SCHEMA}"
        )
    files = files_of(document, label)
    model = document.get("model")
    if not isinstance(model, str) or model not in files:
        raise ManifestError(f"{label}: model names no file of the release")
    try:
        Contract.from_dict(document.get("contract", {}))
        if not _is_number(document["acceptance_threshold"]):
            raise ValueError("acceptance_threshold is not a number")
        if not is_release_id(document["release"]):
            raise ValueError("release is no release's id")
        _check_acceptance(document.get("acceptance"))
    except KeyError as error:
        raise ManifestError(f"{label}: {error.args[0]} is missing") from None
    except (ContractError, TypeError, ValueError) as error:
        raise ManifestError(f"{label}: {error}") from None
    return document


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_acceptance(rule: Any) -> None:
    """Checks the form of the acceptance rule, which manifests from before it lack.

    What kind of score it names is left to whoever decides by it (``recognition``).
    """
    if rule is None:
        return
    thresholds = rule.get("thresholds") if isinstance(rule, Mapping) else None
    if not isinstance(thresholds, Mapping) or "1" not in thresholds:
        raise ValueError("acceptance: no threshold for a single frame")
    numbers = [*thresholds.values(), rule.get("bound", 1)]
    if not all(map(_is_number, numbers)):
        raise ValueError("acceptance: a threshold or the bound is not a number")
    score = rule.get("score")
    if not isinstance(score, Mapping) or not isinstance(score.get("parameters"), Mapping):
        raise ValueError("acceptance: the score is not described by a name and parameters")
