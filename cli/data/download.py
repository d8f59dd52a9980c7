"""A card set that lies in S3 as folders, fetched to be packed: in parallel, and once."""

from __future__ import annotations

import hashlib
import math
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from cli.console import bar
from cli.errors import CliError

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

_THREADS = 16
ShowProgress = Callable[[str], None]


def source_folder(uri: str, out: Path) -> Path:
    """Where a prefix is fetched to: beside the pack, another prefix to another folder."""
    digest = hashlib.sha256(uri.rstrip("/").encode()).hexdigest()
    return out.parent / f".{out.name}-{digest[:8]}-source"


def fetch(s3: S3Client, uri: str, folder: Path, show_progress: ShowProgress) -> None:
    """Makes a folder what a prefix holds; a file that is there at its size is not fetched again.

    Args:
        s3: The caller's client.
        uri: ``s3://bucket/prefix``.
        folder: The folder; what else is in it is removed.
        show_progress: Called with how many files are there.

    Raises:
        CliError: Nothing is there, or a pack is, or a key leads out of the folder, or the disk is
            full.
    """
    from registry.aws import split_s3_uri

    bucket, prefix = split_s3_uri(uri.rstrip("/") + "/")
    sizes = _sizes(s3, bucket, prefix, uri)
    paths = {key: _place(folder, key.removeprefix(prefix), f"s3://{bucket}/{key}") for key in sizes}

    def get(key: str) -> None:
        path = paths[key]
        if path.is_file() and path.stat().st_size == sizes[key]:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.partial")
        s3.download_file(bucket, key, str(partial))
        partial.replace(path)

    try:
        _remove_others(folder, set(paths.values()))
        with ThreadPoolExecutor(_THREADS) as pool:
            running = [pool.submit(get, key) for key in sizes]
            try:
                for done, future in enumerate(as_completed(running), start=1):
                    future.result()
                    show_progress(f"{bar(done, len(sizes))} {done} of {len(sizes)} files fetched")
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    except OSError as error:
        raise CliError(
            f"{folder}: the scans cannot be fetched there ({error.strerror or error}); "
            f"{math.ceil(sum(sizes.values()) / 2**20)} MiB are fetched in all, and again as much "
            "or more is packed; type the same again: it goes on with what is missing"
        ) from error


def remove_source(folder: Path) -> None:
    """Deletes what :func:`fetch` made."""
    shutil.rmtree(folder, ignore_errors=True)


def _sizes(s3: S3Client, bucket: str, prefix: str, uri: str) -> dict[str, int]:
    from recognition.card_sets.pack import PACK

    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    rows = [row for page in pages for row in page.get("Contents", [])]
    found = {str(row["Key"]): int(row["Size"]) for row in rows if not row["Key"].endswith("/")}
    if not found:
        raise CliError(f"{uri}: holds nothing; name a prefix with <card_id>/<image> below it")
    if prefix + PACK in found:
        raise CliError(f"{uri}: is prepared already; cards train takes it as it is")
    # Names with a leading dot are never scans: the marker of a finished upload is one.
    scans = {key: size for key, size in found.items() if PurePosixPath(key).name[0] != "."}
    if not scans:
        raise CliError(f"{uri}: holds no scan; name a prefix with <card_id>/<image> below it")
    return scans


def _place(folder: Path, tail: str, whole: str) -> Path:
    parts = tail.split("/")
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise CliError(f"{whole}: leads out of the folder; rename it")
    return folder.joinpath(*parts)


def _remove_others(folder: Path, wanted: set[Path]) -> None:
    """What was fetched before the prefix changed would be packed with the rest."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif path not in wanted:
            path.unlink()
