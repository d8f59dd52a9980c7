"""The server's process: MiniStack with everything mounted, until it is told to stop."""

from __future__ import annotations

import asyncio
import logging
import os


def serve() -> None:
    """Answers on the port that the environment names; returns after SIGTERM or SIGINT."""
    from hypercorn.asyncio import serve as hypercorn_serve
    from hypercorn.config import Config
    from ministack import app

    from localcloud import patches
    from localcloud.sagemaker import mlflow, runner
    from localcloud.sagemaker.settings import settings

    patches.apply_all(settings().lambda_python)
    config = Config()
    config.bind = [f"127.0.0.1:{os.environ['GATEWAY_PORT']}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 2
    status = 1
    try:
        asyncio.run(hypercorn_serve(app.app, config))
        status = 0
    finally:
        runner.stop_all()
        mlflow.stop_server()
        # State is saved. Threads that still talk to a job's S3, which is this very server, would
        # only hold the process until their time-outs.
        logging.shutdown()
        os._exit(status)
