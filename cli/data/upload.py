"""Uploads a card set to the training bucket: once, completely, to a prefix named by its digest."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
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
        sent: How many files were uploaded now, images or shards, and the licence; 0 where all of
            the set was there.
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
    once and changed cards never overwrite those that a model was trained on. Each object is
    written once, by S3's own condition, and nothing else may lie below the prefix: a job would
    take it for a card's scan. The marker is written last: an upload that was interrupted is
    continued, never taken for complete.

    The licence is no part of the digest: a set that is there gets it later, and never another one.

    Raises:
        CliError: Another set, a file that is not the set's, or another licence lies at the prefix.
    """
    from recognition.card_sets.card_set import LICENCE
    from registry.aws import put_once, split_s3_uri

    uri = card_set_uri(bucket, cards)
    prefix = split_s3_uri(uri)[1]
    marked = _marker(s3, bucket, prefix)
    if marked not in (None, cards.digest):
        raise CliError(f"{uri}: holds another card set ({marked[:16]}…); remove it first")
    present = _sizes(s3, bucket, prefix)
    work = [_File(path, prefix + key, sha256) for path, key, sha256 in _files(cards)]
    present.pop(prefix + MARKER, None)
    stated = present.pop(prefix + LICENCE, None) is not None
    if marked:
        # The same scans may have had other names; whether they are the same the jobs compare.
        if len(present) != len(work):
            raise CliError(
                f"{uri}: holds {len(present)} files and the card set has {len(work)}; a job would "
                "refuse it, remove what does not belong there, or the whole prefix"
            )
        sent = _put_licence(s3, bucket, prefix, cards, stated)
        return Upload(uri, cards.digest, len(cards.cards), cards.images, sent)
    _require_own_files(bucket, work, present)
    missing = [each for each in work if each.key not in present]
    unsure = [each for each in work if each.key in present]
    with ThreadPoolExecutor(_THREADS) as pool:
        running = [pool.submit(_put_once, s3, bucket, each) for each in missing]
        running += [pool.submit(_require_same, s3, bucket, each) for each in unsure]
        try:
            for done, future in enumerate(as_completed(running), start=1):
                future.result()
                progress(len(work) - len(running) + done, len(work))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    sent = len(missing) + _put_licence(s3, bucket, prefix, cards, stated)
    marker = {"digest": cards.digest, "cards": len(cards.cards), "images": cards.images}
    body = json.dumps(marker).encode()
    put_once(s3, bucket, prefix + MARKER, body, ContentType="application/json")
    marked = _marker(s3, bucket, prefix)
    if marked != cards.digest:
        raise CliError(f"{uri}: holds another card set ({(marked or '')[:16]}…); remove it first")
    return Upload(uri, cards.digest, len(cards.cards), cards.images, sent)


def resolve(
    s3: S3Client, bucket: str, cards: str, progress: UploadProgress
) -> tuple[str, str | None]:
    """What `--cards` means: an S3 prefix as it is, a folder after it has been pushed.

    Returns:
        The S3 prefix, and the set's digest; None for a prefix that was not pushed.

    Raises:
        CliError: An S3 prefix that holds nothing.
        CardSetError: A folder that holds nothing, or too few cards to hold some out.
    """
    if cards.startswith("s3://"):
        from registry.aws import objects_below, split_s3_uri

        given_bucket, key = split_s3_uri(cards.rstrip("/") + "/")
        if next(objects_below(s3, given_bucket, key), None) is None:
            raise CliError(f"--cards {cards}: holds nothing; cards data push DIR fills it")
        return cards, pushed_digest(s3, cards)
    pushed = push(s3, bucket, trainable(Path(cards)), progress)
    return pushed.uri, pushed.digest


def newest(s3: S3Client, bucket: str) -> str | None:
    """The prefix of the card set that was pushed last and completely; None without any."""
    from registry.aws import objects_below
    from registry.names import CARDS_PREFIX

    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=CARDS_PREFIX, Delimiter="/"
    )
    found = []
    for page in pages:
        for row in page.get("CommonPrefixes", []):
            marker = next(objects_below(s3, bucket, row["Prefix"] + MARKER), None)
            found += [(marker["LastModified"], row["Prefix"])] if marker else []
    return f"s3://{bucket}/{max(found)[1]}" if found else None


@dataclass(frozen=True)
class _File:
    """One file of a set: where it is, where it belongs in the bucket, and its SHA-256 (hex)."""

    path: Path
    key: str
    sha256: str

    @property
    def checksum(self) -> str:
        """The digest as S3 writes it."""
        return base64.b64encode(bytes.fromhex(self.sha256)).decode()


def _files(cards: AnySet) -> list[tuple[Path, str, str]]:
    """What is uploaded, where below the prefix, and its SHA-256 when the set was read."""
    from recognition.card_sets.pack import PackedSet
    from recognition.file_digest import file_sha256
    from registry.s3_keys import storable_name

    if isinstance(cards, PackedSet):
        *shards, index = cards.files
        digests = [*cards.sha256s, file_sha256(index)]
        paths = (*shards, index)
        return [(path, path.name, sha) for path, sha in zip(paths, digests, strict=True)]
    return [
        (path, f"{card.card_id}/{storable_name(path.name, number, sha256)}", sha256)
        for card in cards.cards
        for number, (path, sha256) in enumerate(zip(card.scans, card.digests, strict=True))
    ]


def pushed_digest(s3: S3Client, uri: str) -> str | None:
    """The digest of the card set that was pushed to an S3 prefix; None where no marker says.

    Raises:
        CliError: The marker cannot be read, or is of another set than the prefix is named after.
    """
    from registry.aws import split_s3_uri

    bucket, prefix = split_s3_uri(uri.rstrip("/") + "/")
    digest = _marker(s3, bucket, prefix)
    named = re.search(rf"/([0-9a-f]{{{DIGEST_CHARACTERS}}})(-packed-[0-9]+)?/$", f"/{prefix}")
    if digest is not None and (
        not re.fullmatch(r"[0-9a-f]{64}", digest) or (named and not digest.startswith(named[1]))
    ):
        raise CliError(
            f"--cards {uri}: its {MARKER} is not of the card set that the address names; somebody "
            "has changed it, push the cards again to another bucket or remove the prefix"
        )
    return digest


def _require_own_files(bucket: str, work: Sequence[_File], present: Mapping[str, int]) -> None:
    """Refuses a prefix with an object that is not the set's, or is of another size."""
    sizes = {each.key: each.path.stat().st_size for each in work}
    for key, size in present.items():
        if key not in sizes:
            raise CliError(
                f"s3://{bucket}/{key}: does not belong to this card set; a job would read it as a "
                "card's scan, remove it first"
            )
        if sizes[key] != size:
            raise CliError(
                f"s3://{bucket}/{key}: holds {size} bytes, the card set's file {sizes[key]}; "
                "remove it first"
            )


def trainable(folder: Path) -> AnySet:
    """Reads a card folder and refuses what a job would refuse after it has been paid for.

    Raises:
        CardSetError: Nothing in it can be used, or too few cards to hold some out.
    """
    from recognition.card_sets.split import split_cards

    cards = read_cards(folder)
    split_cards(cards.card_ids, 0)
    return cards


def _put_licence(s3: S3Client, bucket: str, prefix: str, cards: AnySet, stated: bool) -> int:
    """Puts the licence beside the scans, once; returns how many files were sent."""
    from recognition.card_sets.card_set import LICENCE

    if cards.licence is None:
        return 0
    file = _File(cards.licence.path, prefix + LICENCE, cards.licence.sha256)
    if stated:
        _require_same(s3, bucket, file)
        return 0
    _put_once(s3, bucket, file)
    return 1


def _put_once(s3: S3Client, bucket: str, file: _File) -> None:
    """Writes an object unless there is one; S3 refuses other bytes than those that were read."""
    from botocore.exceptions import ClientError

    from registry.aws_errors import Meaning, means

    with file.path.open("rb") as body:
        try:
            s3.put_object(
                Bucket=bucket,
                Key=file.key,
                Body=body,
                IfNoneMatch="*",
                ChecksumSHA256=file.checksum,
            )
            return
        except ClientError as error:
            if means(error, Meaning.OTHER_BYTES):
                raise CliError(
                    f"{file.path}: has been changed since it was read; type the same again"
                ) from error
            if not means(error, Meaning.LOST_WRITE):
                raise
    # Somebody else, or an earlier try whose answer was lost, has just written it.
    _require_same(s3, bucket, file)


def _require_same(s3: S3Client, bucket: str, file: _File) -> None:
    """Refuses an object of other bytes; one from before checksums were written goes by its size."""
    found = s3.head_object(Bucket=bucket, Key=file.key, ChecksumMode="ENABLED")
    written = found.get("ChecksumSHA256", "")
    same = found["ContentLength"] == file.path.stat().st_size
    if not same or (written and "-" not in written and written != file.checksum):
        raise CliError(
            f"s3://{bucket}/{file.key}: holds other bytes than {file.path}; remove it first"
        )


def _marker(s3: S3Client, bucket: str, prefix: str) -> str | None:
    from registry.untrusted.stored_json import StoredJsonError, read_json

    try:
        found = read_json(s3, bucket, prefix + MARKER, 4096)
        return str(found.document["digest"]) if found else None
    except (StoredJsonError, KeyError):
        return "unreadable marker"


def _sizes(s3: S3Client, bucket: str, prefix: str) -> dict[str, int]:
    from registry.aws import objects_below

    return {row["Key"]: row["Size"] for row in objects_below(s3, bucket, prefix)}
