"""Starting and stopping the local cloud's server, and what a client needs to reach it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from localcloud import server_lock

ACCOUNT = "000000000000"
REGION = "us-east-2"
DEFAULT_PORT = 4566
#: MLflow listens this far above the endpoint's port.
MLFLOW_OFFSET = 1000
READY_SECONDS = 60.0
STOP_SECONDS = 30.0
_LOG_TAIL = 4000


class LocalCloudError(RuntimeError):
    """The local cloud cannot start or stop; one line with the cause and the remedy."""


@dataclass(frozen=True)
class Status:
    """Whether the local cloud runs, and where.

    Attributes:
        running: Whether it answers.
        pid: Its process, or None.
        endpoint: Its address.
        mlflow_url: The MLflow server's address; it runs once an App or server is created.
        state_dir: Where its state lies.
        log: Its log file.
    """

    running: bool
    pid: int | None
    endpoint: str
    mlflow_url: str
    state_dir: Path
    log: Path


@dataclass
class LocalCloud:
    """One local cloud: a state folder, and a server that may be running on it.

    Attributes:
        state_dir: Holds everything; it survives a stop and a start.
        port: Of the endpoint, on the loopback interface only.
        job_python: The interpreter whose environment stands for every job's image.
        lambda_python: The interpreter that functions run in; its environment should hold what
            Lambda's own runtime has, and nothing else.
        parallel_jobs: How many jobs run at once; more wait.
        stop_grace: Seconds between SIGTERM and SIGKILL for a job that is stopped; SageMaker's own.
    """

    state_dir: Path
    port: int = DEFAULT_PORT
    job_python: Path = field(default_factory=lambda: Path(sys.executable))
    lambda_python: Path = field(default_factory=lambda: Path(sys.executable))
    parallel_jobs: int = 1
    stop_grace: float = 120.0

    def __post_init__(self) -> None:
        self.state_dir = Path(self.state_dir).absolute()

    @property
    def endpoint(self) -> str:
        """The address of every service."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def mlflow_port(self) -> int:
        """Where the MLflow server listens."""
        wanted = self.port + MLFLOW_OFFSET
        return wanted if wanted <= 65535 else self.port - MLFLOW_OFFSET

    @property
    def mlflow_url(self) -> str:
        """The MLflow server's address."""
        return f"http://127.0.0.1:{self.mlflow_port}"

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.state_dir / "server.log"

    def env(self) -> dict[str, str]:
        """What a client has to have in its environment to use this cloud."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_PAGER": "",
            "CDK_DEFAULT_ACCOUNT": ACCOUNT,
            "CDK_DEFAULT_REGION": REGION,
            "CDK_DISABLE_CLI_TELEMETRY": "true",
            "NODE_OPTIONS": "--no-warnings",
            "SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT": self.mlflow_url,
        }

    def status(self) -> Status:
        """Looks whether the server of this state folder runs and answers at this port."""
        server = server_lock.running_server(self.state_dir)
        return Status(
            running=server is not None and server.port == self.port and self._answers(),
            pid=server.pid if server else None,
            endpoint=self.endpoint,
            mlflow_url=self.mlflow_url,
            state_dir=self.state_dir,
            log=self.log,
        )

    def start(self, progress: Callable[[str], None] = lambda line: None) -> Status:
        """Starts the server unless it runs, and waits until it answers.

        Args:
            progress: Told what is being waited for.

        Raises:
            LocalCloudError: The port is taken, the state folder cannot be written, the server of
                this folder runs on another port, or the server ends or does not answer in time.
        """
        try:
            self.state_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LocalCloudError(f"{self.state_dir}: {error.strerror}; name another") from None
        with self._locked():
            status = self.status()
            if status.running:
                return status
            server = server_lock.running_server(self.state_dir)
            if server and server.port != self.port:
                raise LocalCloudError(
                    f"{self.state_dir}: its local cloud runs on port {server.port}; "
                    "stop it first, or use that port"
                )
            if server:
                raise LocalCloudError(
                    f"{self.state_dir}: its local cloud (process {server.pid}) does not answer on "
                    f"port {server.port}; stop it first, its log: {self.log}"
                )
            self.check_ports()
            for python in (self.job_python, self.lambda_python):
                if not os.access(python, os.X_OK):
                    raise LocalCloudError(f"{python}: is no interpreter; make setup makes it")
            self._await_ready(self._spawn(), progress)
            return self.status()

    def stop(self) -> bool:
        """Stops the server and what it started; its state is saved first.

        Returns:
            Whether there was one to stop.

        Raises:
            LocalCloudError: It does not end.
        """
        if not self.state_dir.is_dir():
            return False
        with self._locked():
            server = server_lock.running_server(self.state_dir)
            if server is None:
                return False
            os.kill(server.pid, signal.SIGTERM)
            end = time.monotonic() + STOP_SECONDS
            while server_lock.running_server(self.state_dir):
                if time.monotonic() > end:
                    _kill(server.pid)
                    raise LocalCloudError(
                        f"the local cloud (process {server.pid}) did not end within "
                        f"{STOP_SECONDS:.0f} s and was killed; what it had not saved is lost, "
                        f"its log: {self.log}"
                    )
                time.sleep(0.05)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(server.pid, 0)
            return True

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Two starts at once must not make two servers."""
        with (self.state_dir / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def check_ports(self) -> None:
        """Refuses ports that others hold, unless the server of this folder runs already.

        Raises:
            LocalCloudError: A port is taken.
        """
        if self.status().running:
            return
        self._check_port(self.port, "port")
        self._check_port(self.mlflow_port, "MLflow's port")

    @staticmethod
    def _check_port(port: int, what: str) -> None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise LocalCloudError(
                    f"{what} {port} is in use ({error.strerror}); end what uses it, or choose "
                    "another with --port"
                ) from None

    def _spawn(self) -> subprocess.Popen[bytes]:
        kept = ("HOME", "LANG", "LC_ALL", "PIP_INDEX_URL", "PIP_CONFIG_FILE", "PIP_FIND_LINKS",
                "SSL_CERT_FILE")  # fmt: skip
        data = self.state_dir / "data"
        environment = {
            **{key: os.environ[key] for key in kept if key in os.environ},
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONUNBUFFERED": "1",
            # What the caller keeps for real accounts must not reach what runs in this one.
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "TMPDIR": str(self.state_dir / "tmp"),
            "GATEWAY_PORT": str(self.port),
            "MINISTACK_REGION": REGION,
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "AUTH": "true",
            "PERSIST_STATE": "1",
            "STATE_DIR": str(data / "state"),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(data / "s3"),
            "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "0.5",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "LOCALCLOUD_ENDPOINT": self.endpoint,
            # Functions inherit it: where an App or tracking server is found by its ARN.
            "SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT": self.mlflow_url,
            "LOCALCLOUD_STATE_DIR": str(self.state_dir),
            "LOCALCLOUD_JOB_PYTHON": str(self.job_python.absolute()),
            "LOCALCLOUD_LAMBDA_PYTHON": str(self.lambda_python.absolute()),
            "LOCALCLOUD_MLFLOW_PORT": str(self.mlflow_port),
            "LOCALCLOUD_PARALLEL_JOBS": str(self.parallel_jobs),
            "LOCALCLOUD_STOP_GRACE": str(self.stop_grace),
        }
        for folder in (data / "state", data / "s3"):
            folder.mkdir(parents=True, exist_ok=True)
        # What MiniStack unpacks there is of no use to another run.
        shutil.rmtree(self.state_dir / "tmp", ignore_errors=True)
        (self.state_dir / "tmp").mkdir()
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "localcloud", "serve"],
                cwd=self.state_dir,
                env={**environment, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _await_ready(
        self, process: subprocess.Popen[bytes], progress: Callable[[str], None]
    ) -> None:
        end = time.monotonic() + READY_SECONDS
        progress(f"waiting for {self.endpoint}")
        while not self._answers():
            if process.poll() is not None:
                raise LocalCloudError(
                    f"the local cloud ended while it started: {self._last_words()}; "
                    f"its log: {self.log}"
                )
            if time.monotonic() > end:
                _kill(process.pid)
                raise LocalCloudError(
                    f"{self.endpoint} did not answer within {READY_SECONDS:.0f} s; "
                    f"its log: {self.log}"
                )
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            address = f"{self.endpoint}/_ministack/health"
            with urllib.request.urlopen(address, timeout=2) as answer:  # noqa: S310 (our own)
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _last_words(self) -> str:
        try:
            text = self.log.read_bytes()[-_LOG_TAIL:].decode(errors="replace")
        except OSError:
            return "it wrote no log"
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return lines[-1][:300] if lines else "it wrote no log"


def _kill(pid: int) -> None:
    """Ends the server's process group; jobs and MLflow are on its leash and end with it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
