"""Errors as SageMaker answers them."""

from __future__ import annotations


class AwsError(Exception):
    """An error with AWS's code; answered as HTTP 400 with ``__type`` and ``message``."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def invalid(message: str) -> AwsError:
    """SageMaker's answer to nearly everything that is wrong with a request."""
    return AwsError("ValidationException", message)


def in_use(message: str) -> AwsError:
    """A name that is taken."""
    return AwsError("ResourceInUse", message)


def missing(message: str) -> AwsError:
    """Lineage and MLflow calls answer so, where the registry says ValidationException."""
    return AwsError("ResourceNotFound", message)


def denied(message: str) -> AwsError:
    """IAM said no."""
    return AwsError("AccessDeniedException", message)
