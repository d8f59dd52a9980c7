"""The SageMaker SDK as this product uses it: quiet, without telemetry, checked once.

Beside :mod:`training.submission.submit` nobody knows the SDK (version 2); see
``docs/decisions/0003-sagemaker-sdk.md``.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def quiet_sdk() -> None:
    """Keeps the SDK's remarks out of the commands' output; to be called before it is imported.

    It says on every call which configuration files do not exist, and twice on import that
    version 3 exists, which the decision document weighs.
    """
    import logging
    import os

    os.environ.setdefault("SAGEMAKER_SUPPRESS_V2_WARNING", "1")
    # The first configuration of the root logger wins; the SDK's own would print all of botocore.
    logging.basicConfig(level=logging.WARNING)
    for name in ("sagemaker", "sagemaker.config", "botocore"):
        # Its errors are also raised; whoever catches them says them once.
        logging.getLogger(name).setLevel(logging.CRITICAL)


def sdk_session(session: Any, record: list[dict[str, Any]] | None = None) -> Any:
    """The SDK's session: without telemetry, and recording instead of sending when told to."""
    quiet_sdk()
    from sagemaker.config.config import load_sagemaker_config
    from sagemaker.session import Session
    from sagemaker.session_settings import SessionSettings

    class Recording(Session):
        """Keeps the request that would be sent."""

        def _intercept_create_request(
            self, request: Any, create: Any, func_name: Any = None
        ) -> Any:
            if record is None:
                return super()._intercept_create_request(request, create, func_name)
            record.append(request)

    config = load_sagemaker_config()
    config.setdefault("SchemaVersion", "1.0")
    modules = (
        config.setdefault("SageMaker", {}).setdefault("PythonSDK", {}).setdefault("Modules", {})
    )
    modules["TelemetryOptOut"] = True
    return Recording(
        boto_session=session,
        sagemaker_config=config,
        # Left to itself the SDK asks for SSE-KMS without naming a key. The bucket's own
        # encryption is the deployment's decision.
        settings=SessionSettings(encrypt_repacked_artifacts=False),
    )


@contextmanager
def configuration_checked_once() -> Iterator[None]:
    """Keeps the SDK from checking its whole configuration again at each setting that it reads.

    The session has checked it when it was made. Version 2.257.7 repeats that 22 times for one
    submission: 1.5 of its 2 seconds of CPU time, measured.
    """
    # Typed as Any: the name is the SDK's own import, not one that it offers.
    sdk: Any = importlib.import_module("sagemaker.utils")
    check = sdk.validate_sagemaker_config
    sdk.validate_sagemaker_config = lambda *_: None
    try:
        yield
    finally:
        sdk.validate_sagemaker_config = check


def takes_disk_key(instance_type: str) -> bool:
    """Whether the disks of an instance are encrypted with a key of the caller's.

    Disks inside the machine (NVMe; ml.g5, ml.p4d and others) are encrypted by the machine, and
    SageMaker refuses a job that names a key for them (ResourceConfig, VolumeKmsKeyId).
    """
    quiet_sdk()
    from sagemaker.utils import instance_supports_kms

    return bool(instance_supports_kms(instance_type))
