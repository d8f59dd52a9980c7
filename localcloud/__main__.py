"""``python -m localcloud``: AWS on this machine, from the shell."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path

from localcloud.supervisor import DEFAULT_PORT, LocalCloud, LocalCloudError


def main(arguments: list[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: The command line; ``sys.argv`` where not given.

    Returns:
        The exit status: 0, or 1 where the cloud does not run or an error was printed.
    """
    options = _parser().parse_args(arguments)
    if options.command == "serve":
        return _serve()
    cloud = LocalCloud(
        state_dir=options.state_dir,
        port=options.port,
        job_python=options.job_python,
        lambda_python=options.lambda_python,
        parallel_jobs=options.parallel_jobs,
    )
    try:
        return {"up": _up, "down": _down, "status": _status, "env": _env}[options.command](cloud)
    except LocalCloudError as error:
        print(f"localcloud: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m localcloud", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--state-dir", type=Path, default=Path(".local-cloud"))
    common.add_argument("--port", type=int, default=DEFAULT_PORT)
    common.add_argument("--job-python", type=Path, default=Path(sys.executable))
    common.add_argument("--lambda-python", type=Path, default=Path(sys.executable))
    common.add_argument("--parallel-jobs", type=int, default=1)
    for name, text in (
        ("up", "start it and wait until it answers"),
        ("down", "stop it; its state stays"),
        ("status", "say whether it runs; exits with 1 where it does not"),
        ("env", "print a client's variables, for a shell's eval"),
    ):
        commands.add_parser(name, help=text, parents=[common])
    commands.add_parser("serve", help="the server's own process; 'up' starts it")
    return parser


def _up(cloud: LocalCloud) -> int:
    status = cloud.start(print)
    print(f"{cloud.endpoint} is up")
    for name in status.starting:
        print(f"{name} is still starting; its log: {cloud.mlflow_log}")
    for name in status.ended:
        print(f"{name} has ended; its log: {cloud.mlflow_log}")
    return 1 if status.ended else 0


def _down(cloud: LocalCloud) -> int:
    print("stopped" if cloud.stop() else "is not running")
    return 0


def _status(cloud: LocalCloud) -> int:
    status = cloud.status()
    print(f"{status.endpoint} {'runs' if status.running else 'does not run'}; {status.state_dir}")
    return 0 if status.running else 1


def _env(cloud: LocalCloud) -> int:
    print("unset", *cloud.contradicting_variables())
    for name, value in cloud.env().items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def _serve() -> int:
    if "LOCALCLOUD_STATE_DIR" not in os.environ:
        print("localcloud: 'serve' takes its settings from 'up'; use that", file=sys.stderr)
        return 1
    from localcloud.server import serve

    serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())
