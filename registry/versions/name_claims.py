"""Giving each model one name and each name to one model, by S3 conditional writes.

A claim is the object ``names/<line>/v<N>.json`` in the training bucket; ``If-None-Match: *`` lets
exactly one writer create it
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html). The claim names the
job that the name was given to, so a registration that is repeated gets its first name back.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING

from registry.aws import objects_below, put_once
from registry.names import NAMES_PREFIX, ModelName, parse_name
from registry.untrusted.stored_json import StoredJsonError, read_json

_CLAIM_LIMIT = 4096

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client


def claim_name(
    s3: S3Client,
    bucket: str,
    model_type: str,
    architecture: str,
    stage: str,
    source: str,
    since: datetime | None = None,
) -> ModelName:
    """Claims the next version of a line of names for ``source``, or returns what it has claimed.

    Args:
        s3: A boto3 S3 client.
        bucket: The training bucket.
        model_type: ``teacher`` or ``student``.
        architecture: The name's architecture part.
        stage: The name's stage part.
        source: What the name is for, in words that stay the same when the step is repeated:
            a job's ARN.
        since: When the source came into being; older claims cannot be its and are not read.
    """
    first = ModelName(model_type, architecture, stage, 1)
    prefix = f"{NAMES_PREFIX}{first.line}/"
    newest = 0
    for entry in objects_below(s3, bucket, prefix):
        version = _version(entry["Key"], first.line)
        newest = max(newest, version)
        recent = since is None or entry["LastModified"] >= since.replace(microsecond=0)
        if version and recent and _source(s3, bucket, entry["Key"]) == source:
            return ModelName(model_type, architecture, stage, version)
    while True:
        newest += 1
        name = ModelName(model_type, architecture, stage, newest)
        if claim_exact_name(s3, bucket, name, source) == source:
            return name


def claim_exact_name(s3: S3Client, bucket: str, name: ModelName, source: str) -> str:
    """Claims one particular name for ``source``, unless it has an owner.

    Args:
        s3: A boto3 S3 client.
        bucket: The training bucket.
        name: The name.
        source: As for :func:`claim_name`.

    Returns:
        Who owns the name now: ``source``, another source, or an empty string where the claim that
        is there cannot be read.
    """
    key = _key(name)
    claim = json.dumps({"name": str(name), "source": source}).encode()
    while True:
        if put_once(s3, bucket, key, claim, ContentType="application/json"):
            return source
        # There is a claim, or two wrote at the same moment: read who won.
        owner = _source(s3, bucket, key)
        if owner is not None:
            return owner


def owner_of(s3: S3Client, bucket: str, name: ModelName) -> str | None:
    """Who a name was given to: a source as in :func:`claim_name`.

    None where nobody has claimed it; an empty string where its claim cannot be read.
    """
    return _source(s3, bucket, _key(name))


def _key(name: ModelName) -> str:
    return f"{NAMES_PREFIX}{name.line}/v{name.version}.json"


def _version(key: str, line: str) -> int:
    try:
        name = parse_name(f"{line}-{key.rpartition('/')[2].removesuffix('.json')}")
    except ValueError:
        return 0
    return name.version


def _source(s3: S3Client, bucket: str, key: str) -> str | None:
    try:
        found = read_json(s3, bucket, key, _CLAIM_LIMIT)
    except StoredJsonError:
        return ""
    if found is None:
        return None
    source = found.document.get("source", "")
    return source if isinstance(source, str) else ""
