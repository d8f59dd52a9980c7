"""From an exception to one line that names the thing, the cause and the remedy."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast

from registry.untrusted.text import one_line

if TYPE_CHECKING:
    from botocore.exceptions import ClientError

#: Where our own exceptions come from: their message is written for people.
_OURS = ("cli.", "registry.", "recognition.", "export.", "training.", "localcloud.")
#: botocore's own exceptions, by class name, and what to do about each.
_CAUSES = {
    "NoCredentialsError": "no AWS credentials were found",
    "PartialCredentialsError": "the AWS credentials are incomplete",
    "NoRegionError": "no AWS region is set",
    "ProfileNotFound": "the AWS profile does not exist",
    "EndpointConnectionError": "AWS cannot be reached",
    "ConnectTimeoutError": "AWS does not answer",
    "ReadTimeoutError": "AWS does not answer",
    "ConnectionClosedError": "AWS closed the connection",
    "ProxyConnectionError": "the proxy does not answer",
}
_HINT = (
    'for the local cloud: cards local up && eval "$(cards local env)"; '
    "for an account: aws configure"
)
_HINTS = {"ProxyConnectionError": "set HTTPS_PROXY and HTTP_PROXY right, or unset them"}


class CliError(Exception):
    """An expected failure of a command; its message is the whole line that is printed."""


def debugging() -> bool:
    """Whether CARDS_DEBUG asks for tracebacks."""
    return os.environ.get("CARDS_DEBUG", "") not in ("", "0")


def describe(error: BaseException) -> str:
    """The line for an exception, without the leading ``cards:``.

    Exceptions of this product speak for themselves, AWS's answers are named by their code and
    operation, faults of the machine (a full disk, a missing file) by the operating system.
    Anything else is a defect and is called one.
    """
    kind = type(error)
    module = f"{kind.__module__}."
    if module.startswith(_OURS):
        return one_line(str(error)) or kind.__name__
    if module.startswith(("botocore.", "boto3.", "s3transfer.")):
        return _describe_aws(error)
    if isinstance(error, OSError):
        name = f"{error.filename}: " if error.filename else ""
        return one_line(f"{name}{error.strerror or error}")
    return (
        f"unexpected {kind.__name__}: {one_line(str(error))[:300]} "
        "(this is a defect; CARDS_DEBUG=1 shows where)"
    )


def _describe_aws(error: BaseException) -> str:
    answer = getattr(error, "response", None)
    if isinstance(answer, dict):
        from registry.aws_errors import Meaning, means

        code = answer.get("Error", {}).get("Code", "")
        message = one_line(str(answer.get("Error", {}).get("Message", "")))
        operation = getattr(error, "operation_name", "AWS")
        remedy = ""
        if means(cast("ClientError", error), Meaning.NO_BUCKET):
            return f"{operation}: {_missing_bucket(answer['Error'])}"
        if code in ("ExpiredToken", "ExpiredTokenException", "UnrecognizedClientException"):
            remedy = "; renew the credentials"
        return f"{operation}: {code}: {message}{remedy}"
    text = one_line(str(error))
    for kind in type(error).__mro__:
        if kind.__name__ in _CAUSES:
            return f"{_CAUSES[kind.__name__]} ({text}); {_HINTS.get(kind.__name__, _HINT)}"
    return text


def _missing_bucket(answer: dict[str, str]) -> str:
    """S3 names the bucket beside its message, or in the resource that was asked for."""
    name = answer.get("BucketName") or answer.get("Resource", "").strip("/").partition("/")[0]
    named = f"s3://{one_line(name)}" if name else "the bucket"
    return (
        f"{named} does not exist: it was deleted, or lies in another account or region; "
        "cards doctor shows which, and what brings it back"
    )
