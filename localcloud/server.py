"""The server's process: MiniStack with everything mounted, until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import traceback

from localcloud import liveness
from localcloud.sagemaker.settings import settings


def serve() -> None:
    """Answers on the port that the environment names, until SIGTERM or SIGINT; does not return.

    Raises:
        SystemExit: Another process is the server of the same state folder.
    """
    folder, port = settings().state_dir, int(os.environ["GATEWAY_PORT"])
    if not liveness.claim(folder, port):
        sys.exit(f"{folder}: has a local cloud already")
    asyncio.run(_serve(port))


async def _serve(port: int) -> None:
    from hypercorn.asyncio import serve as hypercorn_serve
    from hypercorn.config import Config
    from ministack import app

    from localcloud import patches
    from localcloud.sagemaker import mlflow
    from localcloud.sagemaker.jobs import runner

    patches.apply_all(settings().lambda_python)
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 2
    told = asyncio.Event()
    for which in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(which, told.set)

    async def until_told() -> None:
        await told.wait()
        # Jobs first: their open connections would hold the server up.
        runner.close()

    status = 0
    try:
        # MiniStack saves its state before this returns.
        await hypercorn_serve(app.app, config, shutdown_trigger=until_told)
    except Exception:
        traceback.print_exc()
        status = 1
    mlflow.stop_server()
    _end_functions()
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of long invocations and polls would hold the process for minutes more.
    os._exit(status)


def _end_functions() -> None:
    from ministack.core import lambda_runtime

    lambda_runtime.reset()
