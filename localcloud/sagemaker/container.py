"""A job's ``/opt/ml`` on this machine: its folder, its S3, its environment and its log."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from ministack.core.responses import get_region

from localcloud.sagemaker.settings import settings

PREFIX = "/opt/ml"
#: Longer than any path that a job is given here; a whole path, not a part of a longer word.
_MENTION = re.compile(r"(?<![\w/])/opt/ml(?=/|\b)")
_LOG_GROUPS = {
    "Training": "/aws/sagemaker/TrainingJobs",
    "Processing": "/aws/sagemaker/ProcessingJobs",
}
_FLUSH_SECONDS = 1.0
_TEXT_LIMIT = 1024


class JobError(Exception):
    """Why a job ends before or after its command; the message is its FailureReason."""


@dataclass
class Container:
    """One job's place.

    Attributes:
        name: The job's name.
        kind: ``Training`` or ``Processing``.
        credentials: Of the job's role, as environment variables.
    """

    name: str
    kind: str
    credentials: dict[str, str]
    root: Path = field(init=False)

    def __post_init__(self) -> None:
        self.root = settings().state_dir / "jobs" / self.name / "opt" / "ml"
        shutil.rmtree(self.root.parents[1], ignore_errors=True)
        for folder in ("input/config", "input/data", "model", "output/data", "code"):
            (self.root / folder).mkdir(parents=True)

    @property
    def code(self) -> Path:
        """Where script mode unpacks the user's code."""
        return self.root / "code"

    def here(self, text: str) -> str:
        """The text with ``/opt/ml`` replaced by this job's folder."""
        return _MENTION.sub(str(self.root).replace("\\", r"\\"), text)

    def path(self, container_path: str) -> Path:
        """A container's path on this machine.

        Raises:
            JobError: It lies outside ``/opt/ml``, or climbs out of it.
        """
        path = Path(os.path.normpath(self.here(container_path)))
        if not path.is_relative_to(self.root):
            raise JobError(f"ClientError: {container_path} is not under {PREFIX}")
        return path

    def client(self, service: str) -> Any:
        """A client with the job's own credentials."""
        return boto3.client(
            service,
            endpoint_url=settings().endpoint,
            region_name=get_region(),
            aws_access_key_id=self.credentials["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.credentials["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=self.credentials["AWS_SESSION_TOKEN"],
            config=Config(retries={"max_attempts": 2}),
        )

    def environment(self, given: dict[str, str]) -> dict[str, str]:
        """The environment that a container has, and nothing of this machine's."""
        job_bin = str(settings().job_python.parent)
        region = get_region()
        return {
            "PATH": f"{job_bin}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.root.parents[1]),
            "TMPDIR": str(self._made("tmp")),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_ENDPOINT_URL": settings().endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            # Where the plug-in `sagemaker-mlflow` finds the App or server of an ARN.
            "SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT": f"http://127.0.0.1:{settings().mlflow_port}",
            **self._passed_on(),
            **self.credentials,
            **{key: self.here(value) for key, value in given.items()},
        }

    def download(self, uri: str, into: Path) -> int:
        """Downloads an object, or all below a prefix, with the job's credentials.

        Returns:
            How many files.

        Raises:
            JobError: Nothing is there, or the role may not read it.
        """
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        s3 = self.client("s3")
        into.mkdir(parents=True, exist_ok=True)
        count = 0
        try:
            for found in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key):
                for entry in found.get("Contents", []):
                    if entry["Key"].endswith("/"):
                        continue
                    tail = _below(entry["Key"], key)
                    target = Path(os.path.normpath(into / tail))
                    if not target.is_relative_to(into):
                        raise JobError(f"ClientError: key {entry['Key']!r} leaves its folder")
                    target.parent.mkdir(parents=True, exist_ok=True)
                    s3.download_file(bucket, entry["Key"], str(target))
                    count += 1
        except (ClientError, BotoCoreError) as error:
            raise JobError(f"ClientError: Data download failed: {uri}: {error}") from error
        if not count:
            raise JobError(f"ClientError: Data download failed: No S3 objects found under {uri!r}")
        return count

    def upload(self, path: Path, uri: str) -> None:
        """Uploads a file, or all files below a folder.

        Raises:
            JobError: The role may not write there.
        """
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
        s3 = self.client("s3")
        try:
            for file in files:
                tail = "" if file == path else "/" + file.relative_to(path).as_posix()
                s3.upload_file(str(file), bucket, key.rstrip("/") + tail)
        except (ClientError, BotoCoreError, boto3.exceptions.S3UploadFailedError) as error:
            raise JobError(f"ClientError: Data upload failed: {uri}: {error}") from error

    def upload_archive(self, folder: Path, uri: str) -> None:
        """Packs a folder as ``.tar.gz`` and uploads it."""
        archive = self._made("tmp") / "archive.tar.gz"
        with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
            for path in sorted(folder.iterdir()):
                tar.add(path, arcname=path.name)
        self.upload(archive, uri)
        archive.unlink()

    def failure(self) -> str:
        """What the job wrote to ``/opt/ml/output/failure``, or an empty string."""
        return self._text("output/failure")

    def message(self) -> str:
        """What the job wrote to ``/opt/ml/output/message``, or an empty string."""
        return self._text("output/message")

    @contextlib.contextmanager
    def log(self) -> Iterator[LogStream]:
        """The job's stream in CloudWatch Logs."""
        stream = LogStream(self.client("logs"), _LOG_GROUPS[self.kind], f"{self.name}/algo-1")
        try:
            yield stream
        finally:
            stream.flush()

    def clean(self) -> None:
        """Removes the folder, as an instance goes away with its job."""
        shutil.rmtree(self.root.parents[1], ignore_errors=True)

    def _made(self, name: str) -> Path:
        folder = self.root.parents[1] / name
        folder.mkdir(exist_ok=True)
        return folder

    def _text(self, file: str) -> str:
        path = self.root / file
        if not path.is_file():
            return ""
        with path.open(encoding="utf-8", errors="replace") as stream:
            return stream.read(_TEXT_LIMIT).strip()

    @staticmethod
    def _passed_on() -> dict[str, str]:
        """How this machine reaches its package index: a container would find its own way."""
        kept = ("PIP_INDEX_URL", "PIP_CONFIG_FILE", "PIP_FIND_LINKS", "SSL_CERT_FILE")
        return {key: os.environ[key] for key in kept if key in os.environ}


@dataclass
class LogStream:
    """Lines on their way to CloudWatch Logs, sent about once a second."""

    client: Any
    group: str
    stream: str
    waiting: list[dict[str, Any]] = field(default_factory=list)
    sent: float = 0.0
    made: bool = False

    def write(self, line: str) -> None:
        """Takes a line."""
        if line.strip():
            stamp = int(time.time() * 1000)
            self.waiting.append({"timestamp": stamp, "message": line.rstrip("\n")})
        if time.monotonic() - self.sent > _FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Sends what is waiting. A job goes on without its log, as it does in SageMaker."""
        if not self.waiting:
            return
        batch, self.waiting = self.waiting, []
        self.sent = time.monotonic()
        with contextlib.suppress(ClientError, BotoCoreError):
            if not self.made:
                self._make()
            self.client.put_log_events(
                logGroupName=self.group, logStreamName=self.stream, logEvents=batch
            )

    def _make(self) -> None:
        for call, arguments in (
            (self.client.create_log_group, {"logGroupName": self.group}),
            (
                self.client.create_log_stream,
                {"logGroupName": self.group, "logStreamName": self.stream},
            ),
        ):
            with contextlib.suppress(self.client.exceptions.ResourceAlreadyExistsException):
                call(**arguments)
        self.made = True


def _below(key: str, prefix: str) -> str:
    """A key's path below a prefix; an object named exactly keeps its file name."""
    if key == prefix:
        return key.rpartition("/")[2]
    folder = prefix if prefix.endswith("/") or not prefix else prefix.rpartition("/")[0] + "/"
    if key.startswith(prefix + "/"):
        folder = prefix + "/"
    return key.removeprefix(folder)
