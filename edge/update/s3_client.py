"""The S3 client of a device, with the ordinary chain of AWS credentials.

botocore alone: boto3 adds 0.2 s to every start and nothing that is used here. It is imported when
a device asks for updates, and never to recognise.
"""

from __future__ import annotations

from typing import Any

_CONNECT_SECONDS, _READ_SECONDS, _ATTEMPTS = 10, 30, 3


def s3_client(region: str) -> Any:
    """A client of S3 in a region.

    Credentials are found where every AWS tool finds them: variables, ``~/.aws``,
    ``credential_process`` (such as AWS IoT's credential provider), the instance's role.
    """
    from botocore.config import Config
    from botocore.session import get_session

    limits = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        retries={"mode": "standard", "max_attempts": _ATTEMPTS},
    )
    return get_session().create_client("s3", region_name=region, config=limits)
