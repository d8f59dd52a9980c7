"""Starting and stopping the local cloud's server, and what a client needs to reach it."""

# Over 400 lines: the server's start, stop and state files depend on each other step by step.

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from localcloud import access_guard, credentials, server_lock, state_folder

ACCOUNT = "000000000000"
REGION = "us-east-2"
DEFAULT_PORT = 4566
#: MLflow listens this far above the endpoint's port.
MLFLOW_OFFSET = 1000
READY_SECONDS = 60.0
STOP_SECONDS = 30.0
_LOG_TAIL = 4000
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
#: What would win over the variables of :meth:`LocalCloud.env`, or take them out of force.
_CONTRADICTING = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    # What tools for temporary credentials leave: a past time ends every request.
    "AWS_CREDENTIAL_EXPIRATION",
)
#: Settings that a profile can also have, and that would lead a client past the endpoint.
_SWITCHED_OFF = (
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_USE_FIPS_ENDPOINT",
)


class LocalCloudError(RuntimeError):
    """The local cloud cannot start or stop; one line with the cause and the remedy."""


@dataclass(frozen=True)
class Status:
    """Whether the local cloud runs, and where.

    Attributes:
        running: Whether its process lives, by the lock that it holds.
        answers: Whether its endpoint answers.
        ended: What should run and has ended by itself: ``MLflow``, or nothing.
        starting: What runs and does not answer yet: ``MLflow``, or nothing.
        after_kill: Whether the server before it was killed, so that its last changes are missing.
        pid: Its process, or None.
        endpoint: Its address; that of the running server, where one runs.
        mlflow_url: The MLflow server's address; it runs once an App or server is created.
        state_dir: Where its state lies.
        log: Its log file.
    """

    running: bool
    answers: bool
    starting: tuple[str, ...]
    ended: tuple[str, ...]
    after_kill: bool
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

    @property
    def mlflow_log(self) -> Path:
        """The MLflow server's log."""
        return self.state_dir / "mlflow" / "server.log"

    def env(self) -> dict[str, str]:
        """The variables that a client needs to use this cloud.

        Makes the state folder and its secret where they are missing.

        Raises:
            LocalCloudError: The state folder cannot be made or read.
        """
        # A client that has a proxy must not ask it for the loopback interface.
        hosts = _without_proxy()
        # Python's clients read it as "no proxy at all" only where it stands alone.
        direct = "*" if "*" in hosts else ",".join(dict.fromkeys([*_LOOPBACK, *hosts]))
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            **dict.fromkeys(_SWITCHED_OFF, "false"),
            "AWS_ACCESS_KEY_ID": credentials.ACCESS_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": self._secret(),
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_PAGER": "",
            "CDK_DEFAULT_ACCOUNT": ACCOUNT,
            "CDK_DEFAULT_REGION": REGION,
            "CDK_DISABLE_CLI_TELEMETRY": "true",
            "NODE_OPTIONS": "--no-warnings",
            "NO_PROXY": direct,
            "no_proxy": direct,
            "SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT": self.mlflow_url,
            # Signing keys that are pinned of this cloud's deployments end with its state.
            "CARDS_TRUST_STORE": str(self.state_dir / "trusted-keys"),
        }

    @staticmethod
    def contradicting_variables() -> tuple[str, ...]:
        """Variables that would lead a client elsewhere; unset where :meth:`env` is used."""
        own = (name for name in os.environ if name.startswith("AWS_ENDPOINT_URL_"))
        return (*_CONTRADICTING, *sorted(own))

    def status(self) -> Status:
        """The state of the server of this state folder, and whether its endpoint answers.

        Raises:
            LocalCloudError: A process holds the folder's lock and cannot be named.
        """
        server = self._server()
        port = server.port if server else self.port
        services = _services(port, server.pid) if server else None
        named = (services or {}).items()
        return Status(
            running=server is not None,
            answers=services is not None,
            starting=tuple(name for name, state in named if state == "starting"),
            ended=tuple(name for name, state in named if state == "ended"),
            after_kill=server is not None and server.after_kill,
            pid=server.pid if server else None,
            endpoint=f"http://127.0.0.1:{port}",
            mlflow_url=self.mlflow_url,
            state_dir=self.state_dir,
            log=self.log,
        )

    def start(self, progress: Callable[[str], None] = lambda line: None) -> Status:
        """Starts the server unless it runs, and waits until it and MLflow answer.

        A server whose MLflow does not answer in time is left running; the status names MLflow.

        Args:
            progress: Called with what is being waited for.

        Raises:
            LocalCloudError: The port is taken, the state folder cannot be written, the server of
                this folder runs on another port, or the server ends or does not answer in time.
        """
        self._secret()
        with self._locked():
            status, server = self.status(), self._server()
            if server and server.port != self.port:
                raise LocalCloudError(
                    f"{self.state_dir}: its local cloud runs on port {server.port}; "
                    "stop it first, or use that port"
                )
            if server and not status.answers:
                raise LocalCloudError(
                    f"{self.state_dir}: its local cloud (process {server.pid}) does not answer on "
                    f"port {server.port}; stop it first, its log: {self.log}"
                )
            if server:
                return self._await_services(progress)
            self.check_ports()
            for python in (self.job_python, self.lambda_python):
                if not os.access(python, os.X_OK):
                    raise LocalCloudError(f"{python}: is no interpreter; make setup makes it")
            self._await_ready(self._spawn(), progress)
            return self._await_services(progress)

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
            server = self._server()
            if server is None:
                return False
            os.kill(server.pid, signal.SIGTERM)
            end = time.monotonic() + STOP_SECONDS
            while self._server():
                if time.monotonic() > end:
                    _kill(server.pid)
                    raise LocalCloudError(
                        f"the local cloud (process {server.pid}) did not end within "
                        f"{STOP_SECONDS:.0f} s and was killed; what it had not saved is lost, "
                        f"its log: {self.log}"
                    )
                time.sleep(0.05)
            # A function's process that was started while the server ended would outlive it.
            _kill(server.pid)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(server.pid, 0)
            return True

    def check_deletable(self) -> None:
        """Checks that the state folder may and can be deleted.

        Raises:
            LocalCloudError: It is not a local cloud's own, or cannot be moved aside.
        """
        try:
            state_folder.check_deletable(self.state_dir)
        except OSError as error:
            raise LocalCloudError(str(error)) from None

    def delete_state(self) -> None:
        """Stops the server and deletes the state folder, whole; clears what an earlier call left.

        Raises:
            LocalCloudError: The server does not end, or the folder cannot be deleted.
        """
        try:
            if self.state_dir.exists():
                self.check_deletable()
                self.stop()
                with self._locked():
                    if self._server():
                        raise LocalCloudError(
                            f"{self.state_dir}: its local cloud was started again meanwhile"
                        )
                    state_folder.delete(self.state_dir)
            else:
                state_folder.clear_leftovers(self.state_dir)
        except OSError as error:
            raise LocalCloudError(str(error)) from None

    def _secret(self) -> str:
        try:
            return credentials.secret_access_key(self.state_dir)
        except OSError as error:
            cause = f"{self.state_dir}: {error.strerror}; name another" if error.strerror else error
            raise LocalCloudError(str(cause)) from None

    def _server(self) -> server_lock.RunningServer | None:
        try:
            return server_lock.running_server(self.state_dir)
        except server_lock.ServerUnknownError as error:
            raise LocalCloudError(str(error)) from None

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Two starts at once must not make two servers, nor a start what is being deleted."""
        path = self.state_dir / "lock"
        with path.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists() or not os.path.samestat(os.fstat(lock.fileno()), path.stat()):
                raise LocalCloudError(f"{self.state_dir}: was deleted meanwhile; try again")
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
    def _check_port(port: int, label: str) -> None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise LocalCloudError(
                    f"{label} {port} is in use ({error.strerror}); end what uses it, or choose "
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
            # Verifies the signatures of the account's root user.
            "AWS_ACCESS_KEY_ID": credentials.ACCESS_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": self._secret(),
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
        # What MiniStack unpacks there is of no use to another run. A process of a killed server
        # may still write there while it ends; then a part stays until the next start.
        shutil.rmtree(self.state_dir / "tmp", ignore_errors=True)
        (self.state_dir / "tmp").mkdir(exist_ok=True)
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
        while _services(self.port, process.pid) is None:
            if process.poll() is not None:
                # Another cloud may have taken a port after it was found free.
                self._check_port(self.port, "port")
                raise LocalCloudError(
                    f"the local cloud ended while it started: {self._last_log_line()}; "
                    f"its log: {self.log}"
                )
            if time.monotonic() > end:
                _kill(process.pid)
                raise LocalCloudError(
                    f"{self.endpoint} did not answer within {READY_SECONDS:.0f} s; "
                    f"its log: {self.log}"
                )
            time.sleep(0.05)

    def _await_services(self, progress: Callable[[str], None]) -> Status:
        """Waits until MLflow answers, where it runs."""
        end = time.monotonic() + READY_SECONDS
        status = self.status()
        while status.starting and time.monotonic() < end:
            progress(f"waiting for {', '.join(status.starting)} at {self.mlflow_url}")
            time.sleep(0.2)
            status = self.status()
        return status

    def _last_log_line(self) -> str:
        try:
            text = self.log.read_bytes()[-_LOG_TAIL:].decode(errors="replace")
        except OSError:
            return "it wrote no log"
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return lines[-1][:300] if lines else "it wrote no log"


def _services(port: int, pid: int) -> dict[str, str] | None:
    """State of each further service of a server; None where it does not answer, or another does.

    It is asked directly: a proxy of the environment cannot reach this machine's loopback interface.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", access_guard.READY_PATH)
        answer = connection.getresponse()
        content = json.loads(answer.read())
    except (http.client.HTTPException, OSError, ValueError):
        return None
    finally:
        connection.close()
    if answer.status != 200 or not isinstance(content, dict):
        return None
    return content if content.pop(access_guard.PROCESS, None) == str(pid) else None


def _without_proxy() -> list[str]:
    """The hosts that the caller's own environment asks without a proxy."""
    listed = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    return [host.strip() for host in listed.split(",") if host.strip()]


def _kill(pid: int) -> None:
    """Kills the server's process group; jobs and MLflow are child processes that end with it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
