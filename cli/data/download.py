"""A card set that lies in S3 as folders, fetched to be packed: in parallel, and once."""

from __future__ import annotations

import errno
import hashlib
import math
import os
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING

from cli.console import bar
from cli.errors import CliError
from registry.untrusted.text import printable

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

    from recognition.card_sets.card_set import Problem

_THREADS = 16
#: Bytes of a file's name on Linux, macOS and Windows.
_FILE_NAME_LIMIT = 255
ShowProgress = Callable[[str], None]


def source_folder(uri: str, out: Path) -> Path:
    """Where a prefix is fetched to: beside the pack, another prefix to another folder."""
    digest = hashlib.sha256(uri.rstrip("/").encode()).hexdigest()
    return out.parent / f".{out.name}-{digest[:8]}-source"


def fetch(s3: S3Client, uri: str, folder: Path, show_progress: ShowProgress) -> tuple[Problem, ...]:
    """Makes a folder what a prefix holds; a file that is there at its size is not fetched again.

    Args:
        s3: The caller's client.
        uri: ``s3://bucket/prefix``.
        folder: The folder; what else is in it is removed.
        show_progress: Called with how many files are there.

    Returns:
        The keys that were left out: no scan of a card, or no file's name.

    Raises:
        CliError: Nothing is there that can be fetched, or a pack is, or the disk refuses.
    """
    from registry.aws import split_s3_uri

    bucket, prefix = split_s3_uri(uri.rstrip("/") + "/")
    sizes = _sizes(s3, bucket, prefix, uri)
    paths: dict[str, Path] = {}
    problems = []
    for key in sizes:
        parts = key.removeprefix(prefix).split("/")
        problem = _problem(key.removeprefix(prefix), parts)
        if problem is None:
            paths[key] = folder.joinpath(*parts)
        else:
            problems.append(problem)
    if not paths:
        first = problems[0]
        raise CliError(f"{uri}: holds no scan; {first.subject}: {first.reason}; rename it")
    _get_all(s3, bucket, paths, sizes, folder, show_progress)
    return tuple(problems)


def fetch_card_set(s3: S3Client, uri: str, folder: Path, show_progress: ShowProgress) -> None:
    """Makes a folder what a prefix holds: folders of scans, or a pack.

    What is there at its size is not fetched again; whether it is the right content, the card set's
    digest says.

    Args:
        s3: The caller's client.
        uri: ``s3://bucket/prefix``.
        folder: The folder; what else is in it is removed.
        show_progress: Called with how many files are there.

    Raises:
        CliError: Nothing is there that can be fetched, or the disk refuses.
    """
    from recognition.card_sets.card_set import LICENCE
    from recognition.card_sets.pack import PACK, is_shard_name
    from registry.aws import split_s3_uri

    bucket, prefix = split_s3_uri(uri.rstrip("/") + "/")
    sizes = _listed(s3, bucket, prefix)
    if prefix + PACK not in sizes:
        fetch(s3, uri, folder, show_progress)
        return
    names = {key: key.removeprefix(prefix) for key in sizes}
    paths = {
        key: folder / name
        for key, name in names.items()
        if name in (PACK, LICENCE) or is_shard_name(name)
    }
    folder.mkdir(parents=True, exist_ok=True)
    _get_all(s3, bucket, paths, sizes, folder, show_progress)


def _get_all(
    s3: S3Client,
    bucket: str,
    paths: Mapping[str, Path],
    sizes: Mapping[str, int],
    folder: Path,
    show_progress: ShowProgress,
) -> None:
    """Fetches objects to paths below a folder, and removes what else is there."""
    if folder.is_symlink():
        raise CliError(
            f"{folder}: is a symbolic link; what it leads to would be deleted; remove it"
        )

    def get(key: str) -> None:
        path = paths[key]
        if path.is_file() and path.stat().st_size == sizes[key]:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        # Of a length of its own: a name may be as long as the file system takes.
        partial = folder / f".partial-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
        s3.download_file(bucket, key, str(partial))
        partial.replace(path)

    try:
        _remove_others(folder, set(paths.values()))
        with ThreadPoolExecutor(_THREADS) as pool:
            running = [pool.submit(get, key) for key in paths]
            try:
                for done, future in enumerate(as_completed(running), start=1):
                    future.result()
                    show_progress(f"{bar(done, len(paths))} {done} of {len(paths)} files fetched")
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    except OSError as error:
        size = math.ceil(sum(sizes[key] for key in paths) / 2**20)
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        space = f"{size} MiB are fetched in all, and again as much or more is packed; "
        raise CliError(
            f"{error.filename or folder}: the scans cannot be fetched there "
            f"({error.strerror or error}); {space if full else ''}"
            "type the same again: it goes on with what is missing"
        ) from error


def remove_source(folder: Path) -> None:
    """Deletes what :func:`fetch` made."""
    shutil.rmtree(folder, ignore_errors=True)


def _sizes(s3: S3Client, bucket: str, prefix: str, uri: str) -> dict[str, int]:
    from recognition.card_sets.pack import PACK

    found = _listed(s3, bucket, prefix)
    if not found:
        raise CliError(f"{uri}: holds nothing; name a prefix with <card_id>/<image> below it")
    if prefix + PACK in found:
        raise CliError(f"{uri}: is prepared already; cards train takes it as it is")
    # Names with a leading dot are never scans: the marker of a finished upload is one.
    scans = {k: size for k, size in found.items() if not k.rpartition("/")[2].startswith(".")}
    if not scans:
        raise CliError(f"{uri}: holds no scan; name a prefix with <card_id>/<image> below it")
    return scans


def _listed(s3: S3Client, bucket: str, prefix: str) -> dict[str, int]:
    """Size of each object below a prefix, by its key."""
    from registry.aws import objects_below

    rows = objects_below(s3, bucket, prefix)
    return {str(row["Key"]): int(row["Size"]) for row in rows if not row["Key"].endswith("/")}


def _problem(tail: str, parts: list[str]) -> Problem | None:
    """Why what lies at a key is not fetched; None for a scan in a card's folder and the licence."""
    from recognition.card_sets.card_set import LICENCE, Problem

    subject = printable(tail)
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        reason = "a part that is empty or . or .., which no file can be called"
        return Problem(subject, reason, "broken")
    if parts == [LICENCE]:
        return None
    if len(parts) == 1:
        return Problem(subject, "not a card's folder", "ignored")
    if len(parts) > 2:
        return Problem(subject, "a folder inside a card's folder", "ignored")
    longest = max(len(os.fsencode(part)) for part in parts)
    if longest > _FILE_NAME_LIMIT:
        reason = f"a name of {longest} bytes, and files have at most {_FILE_NAME_LIMIT}"
        return Problem(subject, reason, "broken")
    return None


def _remove_others(folder: Path, wanted: set[Path]) -> None:
    """What was fetched before the prefix changed would be packed with the rest."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif path not in wanted:
            path.unlink()
