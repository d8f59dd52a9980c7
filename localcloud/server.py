"""The server's process: MiniStack with all patches, until a signal stops it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import traceback
from typing import Any

from localcloud import server_lock
from localcloud.sagemaker.settings import settings


def serve() -> None:
    """Answers on the port that the environment names, until SIGTERM or SIGINT; does not return.

    Raises:
        SystemExit: Another process is the server of the same state folder.
    """
    folder, port = settings().state_dir, int(os.environ["GATEWAY_PORT"])
    if not server_lock.acquire(folder, port):
        sys.exit(f"{folder}: a local cloud runs on it already; stop that one first")
    asyncio.run(_serve(port))


async def _serve(port: int) -> None:
    from hypercorn.asyncio import serve as hypercorn_serve
    from hypercorn.config import Config
    from ministack import app

    from localcloud import access_guard, patches
    from localcloud.sagemaker import mlflow
    from localcloud.sagemaker.jobs import runner
    from localcloud.state_saving import StateSaver

    patches.apply_all(settings().lambda_python)

    def services() -> dict[str, str]:
        return {access_guard.PROCESS: str(os.getpid()), "MLflow": mlflow.state()}

    # Hypercorn types each message of ASGI by its kind; the guard passes them on as they are.
    saved = StateSaver(app.app)
    guarded: Any = access_guard.AccessGuard(saved, port=port, ready=services)
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 2
    stop_requested = asyncio.Event()
    for which in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(which, stop_requested.set)

    async def until_stop_requested() -> None:
        await stop_requested.wait()
        # Jobs first: their open connections would delay the server's end.
        runner.abandon_all()

    status = 0
    try:
        # MiniStack saves its state before this returns.
        await hypercorn_serve(guarded, config, shutdown_trigger=until_stop_requested)
        server_lock.note_saved(settings().state_dir, port)
    except Exception:
        traceback.print_exc()
        status = 1
    mlflow.stop_server()
    _stop_functions()
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of long invocations and polls would keep the process alive for minutes.
    os._exit(status)


def _stop_functions() -> None:
    from ministack.core import lambda_runtime

    lambda_runtime.reset()
