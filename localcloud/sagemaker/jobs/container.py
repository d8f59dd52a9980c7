"""A job's ``/opt/ml`` on this machine: its folder, its S3 and its environment."""

from __future__ import annotations

import os
import re
import shutil
import tarfile
import threading
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from ministack.core.responses import get_region

from localcloud.sagemaker.jobs.python_environment import make_python_environment
from localcloud.sagemaker.settings import settings

PREFIX = "/opt/ml"
#: The prefix as a whole path component, not as a part of a longer word.
_MENTION = re.compile(r"(?<![\w/])/opt/ml(?=/|\b)")
_TEXT_LIMIT = 1024
_MAKING_CLIENTS = threading.Lock()


class JobError(Exception):
    """Why a job ends before or after its command; the message is its FailureReason."""


class JobStopped(Exception):
    """Somebody asked the job to stop before its command ran."""


@dataclass
class Container:
    """The folder, S3 access and environment of one job.

    Attributes:
        name: The job's name.
        kind: ``Training`` or ``Processing``.
        credentials: Of the job's role, as environment variables.
        stop: Set when the job is to stop.
        root: The folder that stands for ``/opt/ml``.
        region: The job's region.
        programs: The ``bin`` folder of the job's own Python environment.
    """

    name: str
    kind: str
    credentials: dict[str, str]
    stop: threading.Event = field(default_factory=threading.Event)
    region: str = field(init=False)
    root: Path = field(init=False)
    programs: Path = field(init=False)
    _clients: dict[str, Any] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        # Threads of the job have no request to take the region from.
        self.region = get_region()
        self.root = jobs_folder() / self.kind.lower() / self.name / "opt" / "ml"
        shutil.rmtree(self.root.parents[1], ignore_errors=True)
        for folder in ("input/config", "input/data", "model", "output/data", "code"):
            (self.root / folder).mkdir(parents=True)
        self.programs = make_python_environment(
            settings().job_python, self.root.parents[1] / "python"
        )

    @property
    def python(self) -> Path:
        """The job's interpreter."""
        return self.programs / "python3"

    @property
    def code(self) -> Path:
        """Where script mode unpacks the user's code."""
        return self.root / "code"

    def localise(self, text: str) -> str:
        """The text with ``/opt/ml`` replaced by this job's folder."""
        return _MENTION.sub(str(self.root).replace("\\", r"\\"), text)

    def path(self, container_path: str) -> Path:
        """A container's path on this machine.

        Raises:
            JobError: It lies outside ``/opt/ml``, or climbs out of it.
        """
        path = Path(os.path.normpath(self.localise(container_path)))
        if not path.is_relative_to(self.root):
            raise JobError(f"ClientError: {container_path} is not under {PREFIX}")
        return path

    def client(self, service: str) -> Any:
        """A client with the job's own credentials; one for each service."""
        # Clients may be shared by threads; making them may not.
        with _MAKING_CLIENTS:
            if service not in self._clients:
                self._clients[service] = _session().client(
                    service,
                    aws_access_key_id=self.credentials["AWS_ACCESS_KEY_ID"],
                    aws_secret_access_key=self.credentials["AWS_SECRET_ACCESS_KEY"],
                    aws_session_token=self.credentials["AWS_SESSION_TOKEN"],
                    region_name=self.region,
                    endpoint_url=settings().endpoint,
                    config=Config(retries={"max_attempts": 2}),
                )
            return self._clients[service]

    def environment(self, given: dict[str, str]) -> dict[str, str]:
        """The environment of a container, without this machine's variables."""
        # The interpreter's own folder follows: it may hold programs that are no Python modules.
        path = [self.programs, settings().job_python.parent, "/usr/local/bin", "/usr/bin", "/bin"]
        return {
            "PATH": ":".join(map(str, path)),
            "HOME": str(self.root.parents[1]),
            "TMPDIR": str(self._subfolder("tmp")),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ENDPOINT_URL": settings().endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            # Where the plug-in `sagemaker-mlflow` finds the App or server of an ARN.
            "SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT": f"http://127.0.0.1:{settings().mlflow_port}",
            **self._package_index_variables(),
            **self.credentials,
            **{key: self.localise(value) for key, value in given.items()},
        }

    def download(self, uri: str, target_folder: Path) -> int:
        """Downloads an object, or all below a prefix, with the job's credentials.

        Returns:
            How many files.

        Raises:
            JobError: Nothing is there, or the role may not read it.
        """
        bucket, key = split_s3_uri(uri)
        s3 = self.client("s3")
        target_folder.mkdir(parents=True, exist_ok=True)
        count = 0
        try:
            for found in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key):
                for entry in found.get("Contents", []):
                    if entry["Key"].endswith("/"):
                        continue
                    if self.stop.is_set():
                        raise JobStopped
                    target = Path(
                        os.path.normpath(target_folder / _relative_key(entry["Key"], key))
                    )
                    if not target.is_relative_to(target_folder):
                        raise JobError(f"ClientError: key {entry['Key']!r} leaves its folder")
                    _fetch(s3, bucket, entry["Key"], target)
                    count += 1
        except (ClientError, BotoCoreError) as error:
            raise JobError(f"ClientError: Data download failed: {uri}: {error}") from error
        if not count:
            raise JobError(f"ClientError: Data download failed: No S3 objects found under {uri!r}")
        return count

    def download_file(self, uri: str, target: Path) -> None:
        """Downloads one object, with the job's credentials.

        Raises:
            JobError: It is not there, or the role may not read it.
        """
        try:
            _fetch(self.client("s3"), *split_s3_uri(uri), target)
        except (ClientError, BotoCoreError) as error:
            raise JobError(f"ClientError: Data download failed: {uri}: {error}") from error

    def upload(self, path: Path, uri: str) -> None:
        """Uploads a file, or all files below a folder.

        Raises:
            JobError: The role may not write there.
        """
        bucket, key = split_s3_uri(uri)
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
        archive = self._subfolder("tmp") / "archive.tar.gz"
        with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
            for path in sorted(folder.iterdir()):
                tar.add(path, arcname=path.name)
        self.upload(archive, uri)
        archive.unlink()

    def failure(self) -> str:
        """Text that the job wrote to ``/opt/ml/output/failure``, or an empty string."""
        return self._text("output/failure")

    def message(self) -> str:
        """Text that the job wrote to ``/opt/ml/output/message``, or an empty string."""
        return self._text("output/message")

    def clean(self) -> None:
        """Removes the job's folder, as SageMaker removes the instance."""
        shutil.rmtree(self.root.parents[1], ignore_errors=True)

    def _subfolder(self, name: str) -> Path:
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
    def _package_index_variables() -> dict[str, str]:
        """This machine's settings for its package index, which a job needs to install packages."""
        kept = ("PIP_INDEX_URL", "PIP_CONFIG_FILE", "PIP_FIND_LINKS", "SSL_CERT_FILE")
        return {key: os.environ[key] for key in kept if key in os.environ}


@cache
def _session() -> Any:
    """One for all jobs, each of which gives its own credentials: a session reads the services'
    models, which took a quarter of the server's time when each job had its own."""
    return boto3.Session()


def jobs_folder() -> Path:
    """Where jobs have their folders while they run."""
    return settings().state_dir / "jobs"


def split_s3_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of an ``s3://`` address.

    Raises:
        JobError: It is none.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not uri.startswith("s3://") or not bucket:
        raise JobError(f"ClientError: {uri!r} is no address in S3")
    return bucket, key


def _fetch(s3: Any, bucket: str, key: str, target: Path) -> None:
    """One request an object: a channel may hold thousands of small ones."""
    body = s3.get_object(Bucket=bucket, Key=key)["Body"]
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        shutil.copyfileobj(body, file, 1 << 20)


def _relative_key(key: str, prefix: str) -> str:
    """A key's path below a prefix; an object named exactly keeps its file name."""
    if key == prefix:
        return key.rpartition("/")[2]
    folder = prefix if prefix.endswith("/") or not prefix else prefix.rpartition("/")[0] + "/"
    if key.startswith(prefix + "/"):
        folder = prefix + "/"
    return key.removeprefix(folder)
