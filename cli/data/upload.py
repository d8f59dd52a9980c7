"""Uploads a card set to the training bucket: once, completely, to a prefix named by its digest."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cli.errors import CliError

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

    from recognition.card_sets.pack import AnySet

#: Written last. A leading dot keeps it from being taken for a card.
MARKER = ".complete.json"
DIGEST_CHARACTERS = 12
_THREADS = 16

#: Called after each file, an image or a shard: (uploaded so far, of how many).
UploadProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class Upload:
    """Where a card set lies in S3.

    Attributes:
        uri: The prefix, with a slash at its end: what `cards train --cards` takes.
        images: How many images it holds.
        sent: How many files were uploaded now, images or shards; 0 where the set was there.
    """

    uri: str
    digest: str
    cards: int
    images: int
    sent: int


def read_cards(folder: Path) -> AnySet:
    """Reads and checks a card folder, as it is or packed; its problems are in the answer.

    Raises:
        CardSetError: Nothing in it can be used.
    """
    from recognition.card_sets.pack import open_card_set
    from registry.contract import Contract

    return open_card_set(folder, Contract())


def verify(cards: AnySet) -> None:
    """Compares a pack's bytes with its digests; a folder's were read when it was.

    Raises:
        CliError: Some differ.
    """
    from recognition.card_sets.pack import PackedSet, verify_pack

    if isinstance(cards, PackedSet) and (changed := verify_pack(cards)):
        raise CliError(
            f"{cards.files[-1].parent}: {changed[0]} is not what was packed ({len(changed)} of "
            f"{len(cards.files) - 1} shards); remove it, and cards data prepare makes it anew"
        )


def card_set_uri(bucket: str, cards: AnySet) -> str:
    """Where a card set belongs: packed at each size, and as it is, in places of their own."""
    from recognition.card_sets.pack import PackedSet
    from registry.names import CARDS_PREFIX

    packed = f"-packed-{cards.side}" if isinstance(cards, PackedSet) else ""
    return f"s3://{bucket}/{CARDS_PREFIX}{cards.digest[:DIGEST_CHARACTERS]}{packed}/"


def push(
    s3: S3Client, bucket: str, cards: AnySet, progress: UploadProgress = lambda done, total: None
) -> Upload:
    """Uploads the usable images of a card set, or its pack, unless the very set is there already.

    The prefix is made from the digest of the set's contents, so the same cards are uploaded
    once and changed cards never overwrite those that a model was trained on. The marker is
    written last: an upload that was interrupted is taken up again, never taken for whole.

    Raises:
        CliError: Another set lies at the prefix.
    """
    from registry.aws import split_s3_uri

    uri = card_set_uri(bucket, cards)
    prefix = split_s3_uri(uri)[1]
    found = _marker(s3, bucket, prefix)
    if found is not None:
        if found != cards.digest:
            raise CliError(f"{uri}: holds another card set ({found[:16]}…); remove it first")
        return Upload(uri, cards.digest, len(cards.cards), cards.images, 0)
    present = _sizes(s3, bucket, prefix)
    work = [(path, prefix + key) for path, key in _files(cards)]
    missing = [(path, key) for path, key in work if present.get(key) != path.stat().st_size]
    with ThreadPoolExecutor(_THREADS) as pool:
        running = [pool.submit(_put, s3, bucket, key, path) for path, key in missing]
        try:
            for done, future in enumerate(as_completed(running), start=1):
                future.result()
                progress(len(work) - len(missing) + done, len(work))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    marker = {"digest": cards.digest, "cards": len(cards.cards), "images": cards.images}
    s3.put_object(
        Bucket=bucket,
        Key=prefix + MARKER,
        Body=json.dumps(marker).encode(),
        ContentType="application/json",
    )
    return Upload(uri, cards.digest, len(cards.cards), cards.images, len(missing))


def resolve(s3: S3Client, bucket: str, cards: str, progress: UploadProgress) -> str:
    """What `--cards` means: an S3 prefix as it is, a folder after it has been pushed.

    Raises:
        CliError: An S3 prefix that holds nothing.
        CardSetError: A folder that holds nothing, or too few cards to hold some out.
    """
    if cards.startswith("s3://"):
        from registry.aws import split_s3_uri

        given_bucket, key = split_s3_uri(cards.rstrip("/") + "/")
        answer = s3.list_objects_v2(Bucket=given_bucket, Prefix=key, MaxKeys=1)
        if not answer.get("KeyCount"):
            raise CliError(f"--cards {cards}: holds nothing; cards data push DIR fills it")
        return cards
    return push(s3, bucket, trainable(Path(cards)), progress).uri


def newest(s3: S3Client, bucket: str) -> str | None:
    """The prefix of the card set that was pushed last and completely; None without any."""
    from registry.names import CARDS_PREFIX

    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=CARDS_PREFIX, Delimiter="/"
    )
    found = []
    for page in pages:
        for row in page.get("CommonPrefixes", []):
            marker = s3.list_objects_v2(Bucket=bucket, Prefix=row["Prefix"] + MARKER, MaxKeys=1)
            found += [(each["LastModified"], row["Prefix"]) for each in marker.get("Contents", [])]
    return f"s3://{bucket}/{max(found)[1]}" if found else None


def _files(cards: AnySet) -> list[tuple[Path, str]]:
    """What is uploaded, and where below the prefix."""
    from recognition.card_sets.pack import PackedSet

    if isinstance(cards, PackedSet):
        return [(path, path.name) for path in cards.files]
    return [(path, f"{card.card_id}/{path.name}") for card in cards.cards for path in card.scans]


def trainable(folder: Path) -> AnySet:
    """Reads a card folder and refuses what a job would refuse after it has been paid for.

    Raises:
        CardSetError: Nothing in it can be used, or too few cards to hold some out.
    """
    from recognition.card_sets.card_set import split_cards

    cards = read_cards(folder)
    split_cards(cards.card_ids, 0)
    return cards


def _put(s3: S3Client, bucket: str, key: str, path: Path) -> None:
    # In parts where it is large: a shard has 256 MiB.
    s3.upload_file(str(path), bucket, key)


def _marker(s3: S3Client, bucket: str, prefix: str) -> str | None:
    from registry.stored_json import StoredJsonError, read_json

    try:
        found = read_json(s3, bucket, prefix + MARKER, 4096)
        return str(found.document["digest"]) if found else None
    except (StoredJsonError, KeyError):
        return "unreadable marker"


def _sizes(s3: S3Client, bucket: str, prefix: str) -> dict[str, int]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return {row["Key"]: row["Size"] for page in pages for row in page.get("Contents", [])}
