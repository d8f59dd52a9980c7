"""A training job's checkpoints: restored before it starts, copied to S3 while it runs."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

from localcloud.sagemaker.jobs.container import Container, JobError
from localcloud.sagemaker.store import Record

DEFAULT_PATH = "/opt/ml/checkpoints"
_SECONDS = 10.0


class Checkpoints:
    """Keeps a folder of the job and a prefix in S3 alike, from both ends of the job's life."""

    def __init__(self, config: Record, container: Container) -> None:
        """Makes the folder.

        Args:
            config: The request's CheckpointConfig.
            container: The job's container.

        Raises:
            JobError: LocalPath is not under ``/opt/ml``.
        """
        self._uri = config["S3Uri"].rstrip("/")
        self._container = container
        self._folder = container.path(config.get("LocalPath", DEFAULT_PATH))
        self._folder.mkdir(parents=True, exist_ok=True)
        self._sent: dict[Path, tuple[int, int]] = {}
        self._seen: dict[Path, tuple[int, int]] = {}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def restore(self) -> None:
        """Downloads what an earlier job left; a first start finds nothing.

        Raises:
            JobError: The role may not read it.
        """
        try:
            self._container.download(self._uri + "/", self._folder)
        except JobError as error:
            if "No S3 objects" not in str(error):
                raise
        self._sent = self._state()

    def start(self) -> None:
        """Begins to copy, every few seconds, what has changed."""
        self._thread.start()

    def finish(self) -> None:
        """Copies the rest, at the job's end.

        Raises:
            JobError: The role may not write there.
        """
        self._done.set()
        if self._thread.is_alive():
            self._thread.join()
        self._send(self._state())

    def _watch(self) -> None:
        while not self._done.wait(_SECONDS):
            now = self._state()
            # A file that has changed since the last look may be half written.
            settled = {path: mark for path, mark in now.items() if self._seen.get(path) == mark}
            self._seen = now
            # What cannot be written now is written, or fails the job, at its end.
            with contextlib.suppress(JobError):
                self._send(settled)

    def _send(self, files: dict[Path, tuple[int, int]]) -> None:
        for path, mark in files.items():
            if self._sent.get(path) != mark and path.is_file():
                tail = path.relative_to(self._folder).as_posix()
                self._container.upload(path, f"{self._uri}/{tail}")
                self._sent[path] = mark

    def _state(self) -> dict[Path, tuple[int, int]]:
        found = {}
        for path in sorted(self._folder.rglob("*")):
            # Files come and go while the job runs.
            with contextlib.suppress(OSError):
                if path.is_file():
                    stat = path.stat()
                    found[path] = (stat.st_mtime_ns, stat.st_size)
        return found
