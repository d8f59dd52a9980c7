"""moto's server as a running cloud: AWS's answers as another project has written them down."""

from __future__ import annotations

import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from localcloud import LocalCloud
from localcloud.ports import free_port
from localcloud.supervisor import ACCOUNT
from tests.running_cloud import PATIENCE, ROOT, Account

PROGRAM = ROOT / ".venv-peers/bin/moto_server"
START_SECONDS = 30


@dataclass
class MotoServer(LocalCloud):
    """moto's server in the place of the local cloud: same address, account and variables."""

    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @classmethod
    def in_folder(cls, folder: Path) -> MotoServer:
        return cls(folder, port=free_port())

    def start(self, progress: object = None) -> None:  # type: ignore[override]
        """Starts it and waits until it answers."""
        self.env()  # makes the folder
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(PROGRAM), "-H", "127.0.0.1", "-p", str(self.port)],
                env={"MOTO_ACCOUNT_ID": ACCOUNT, "MOTO_IAM_LOAD_MANAGED_POLICIES": "true"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        end = time.monotonic() + PATIENCE * START_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"moto's server does not answer: {self.log.read_text()}")
            time.sleep(0.1)

    def stop(self) -> bool:
        if self.process is None:
            return False
        self.process.kill()
        self.process.wait()
        return True

    def emptied_account(self) -> Account:
        """moto gives every key the same account: one of a module's own is that one, emptied."""
        request = urllib.request.Request(f"{self.endpoint}/moto-api/reset", method="POST")
        urllib.request.urlopen(request, timeout=60).close()
        return Account(self, ACCOUNT)

    def _answers(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.endpoint}/moto-api/data.json", timeout=5).close()
        except (urllib.error.URLError, ConnectionError):
            return False
        return True
