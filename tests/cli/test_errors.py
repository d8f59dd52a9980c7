"""From an exception to one line."""

from __future__ import annotations

import botocore.exceptions
import pytest

from cli.errors import CliError, describe
from registry.names import ModelNameError

HTTP_FAULT = botocore.exceptions.ClientError(
    {"Error": {"Code": "AccessDeniedException", "Message": "not authorized\nto do it"}},
    "CreateTrainingJob",
)


def no_bucket(**where: str) -> botocore.exceptions.ClientError:
    """S3's answer, with the bucket where S3 names it."""
    answer = {"Code": "NoSuchBucket", "Message": "The specified bucket does not exist", **where}
    return botocore.exceptions.ClientError({"Error": answer}, "GetObject")  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (CliError("a\n  b"), ["a b"]),
        (ModelNameError("model name: no"), ["model name: no"]),
        (HTTP_FAULT, ["CreateTrainingJob", "AccessDeniedException", "not authorized to do it"]),
        (
            no_bucket(BucketName="cards-prod-releases"),
            ["GetObject", "s3://cards-prod-releases", "does not exist", "cards doctor"],
        ),
        (no_bucket(Resource="/cards-releases/a/b"), ["s3://cards-releases ", "cards doctor"]),
        (no_bucket(), ["GetObject: the bucket does not exist", "cards doctor"]),
        (botocore.exceptions.NoCredentialsError(), ["credentials", "cards local env"]),
        (
            botocore.exceptions.EndpointConnectionError(endpoint_url="http://127.0.0.1:1"),
            ["http://127.0.0.1:1", "cards local up"],
        ),
        (
            botocore.exceptions.ProxyConnectionError(proxy_url="http://proxy:9"),
            ["http://proxy:9", "HTTPS_PROXY"],
        ),
        (FileNotFoundError(2, "No such file or directory", "x.png"), ["x.png", "No such file"]),
        (OSError(28, "No space left on device"), ["No space left on device"]),
        (ZeroDivisionError("division by zero"), ["unexpected", "ZeroDivisionError", "defect"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_kind_of_failure_is_one_line(error: Exception, words: list[str]) -> None:
    line = describe(error)
    assert "\n" not in line
    for word in words:
        assert word in line
