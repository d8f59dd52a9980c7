"""A port for another local cloud on this machine, as tests and benchmarks start some."""

from __future__ import annotations

import random
import socket

from localcloud.supervisor import MLFLOW_OFFSET

#: Below the ports that systems give to clients: none is taken between this check and its use.
_LOWEST, _HIGHEST = 15_000, 30_000
_TRIES = 200


def free_port() -> int:
    """A free port whose MLflow port is free too.

    Raises:
        OSError: None was found.
    """
    for _ in range(_TRIES):
        port = random.randrange(_LOWEST, _HIGHEST)  # noqa: S311
        if _is_free(port) and _is_free(port + MLFLOW_OFFSET):
            return port
    raise OSError(f"no free port between {_LOWEST} and {_HIGHEST}; end what uses them")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
