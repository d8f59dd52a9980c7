"""S3 in memory, as far as the product's steps read what they have written in the same dry run."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from cli.operations.account.dry_run import Answers, Body

#: When everything was written.
WRITTEN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class DryObjects:
    """The objects of a dry run, by bucket and key."""

    objects: dict[tuple[str, str], bytes] = field(default_factory=dict)

    @property
    def answers(self) -> Answers:
        """What S3 would answer."""
        return {
            "s3.PutObject": self._put,
            "s3.GetObject": self._get,
            "s3.HeadObject": self._head,
            "s3.CopyObject": self._copy,
            "s3.ListObjectsV2": self._list,
        }

    def _put(self, given: dict[str, Any]) -> Any:
        body = given.get("Body", b"")
        if not isinstance(body, bytes):
            body = body.encode() if isinstance(body, str) else body.read()
        self.objects[given["Bucket"], given["Key"]] = body
        return {"ETag": _etag(body), "VersionId": "version"}

    def _get(self, given: dict[str, Any]) -> Any:
        body = self._stored("GetObject", given)
        return {**self._head(given), "Body": Body(body)}

    def _head(self, given: dict[str, Any]) -> Any:
        body = self._stored("HeadObject", given)
        about = {"ETag": _etag(body), "LastModified": WRITTEN, "VersionId": "version"}
        return {**about, "ContentLength": len(body)}

    def _copy(self, given: dict[str, Any]) -> Any:
        body = self._stored("CopyObject", given["CopySource"])
        self.objects[given["Bucket"], given["Key"]] = body
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        return {"CopyObjectResult": {"ChecksumSHA256": digest}}

    def _list(self, given: dict[str, Any]) -> Any:
        rows = [
            {"Key": key, "LastModified": WRITTEN, "Size": len(body), "ETag": _etag(body)}
            for (bucket, key), body in sorted(self.objects.items())
            if bucket == given["Bucket"] and key.startswith(given.get("Prefix", ""))
        ]
        return {"Contents": rows}

    def _stored(self, operation: str, given: dict[str, Any]) -> bytes:
        found = self.objects.get((given["Bucket"], given["Key"]))
        if found is None:
            code = "404" if operation == "HeadObject" else "NoSuchKey"
            raise ClientError({"Error": {"Code": code, "Message": "not there"}}, operation)
        return found


def _etag(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
