"""``cards doctor`` on the files of initial weights in the training bucket."""

from __future__ import annotations

import json
import struct

from cli.aws import AwsSession
from cli.operations.checks.check import CheckContext, State
from cli.operations.checks.initial_weights import initial_weights
from tests.cli.conftest import TRAINING_BUCKET, Stack

_HEADER = json.dumps({"norm.weight": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}})
GOOD = struct.pack("<Q", len(_HEADER)) + _HEADER.encode() + bytes(8)
#: Words of the finding, or of none, by file.
FILES = {
    "good/model.safetensors": (GOOD, ""),
    "good/notes.txt": (b"<html>", ""),
    "bad/page.pth": (b"<!DOCTYPE html><html>Sign in", "a web page"),
    "bad/lfs.bin": (b"version https://git-lfs.github.com/spec/v1\n", "Git-LFS pointer"),
    "bad/empty.pt": (b"", "is empty"),
    "bad/cut short.safetensors": (GOOD[:-4], "cut short"),
}


def test_file_that_is_no_checkpoint_is_named_with_its_remedy(aws: Stack) -> None:
    s3 = aws.client("s3")
    context = CheckContext(AwsSession("dev"))
    # Tests of other commands share the bucket.
    for left in s3.list_objects_v2(Bucket=TRAINING_BUCKET, Prefix="weights/").get("Contents", ()):
        s3.delete_object(Bucket=TRAINING_BUCKET, Key=left["Key"])
    try:
        for name, (content, words) in FILES.items():
            if not words:
                s3.put_object(Bucket=TRAINING_BUCKET, Key=f"weights/{name}", Body=content)
        (well,) = initial_weights(context)
        assert well.state is State.OK and "1 files" in well.line
        for name, (content, _) in FILES.items():
            s3.put_object(Bucket=TRAINING_BUCKET, Key=f"weights/{name}", Body=content)
        found = list(initial_weights(context))
        for name, (_, words) in FILES.items():
            address = f"s3://{TRAINING_BUCKET}/weights/{name}"
            rows = [row for row in found if row.line.startswith(address)]
            assert len(rows) == bool(words), name
            for row in rows:
                assert words in row.line and row.state is State.WARNING
                assert row.remedy.startswith("aws s3 rm ") and name in row.remedy
    finally:
        for name in FILES:
            s3.delete_object(Bucket=TRAINING_BUCKET, Key=f"weights/{name}")
