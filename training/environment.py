"""SageMaker's contract with a training job: folders and channels, by environment variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from recognition.file_digest import file_sha256
from registry.names import CHANNEL_DIGEST
from training.page_facts import PageFacts

_OPT_ML = Path("/opt/ml")
#: Holds a backbone's checkpoint to begin with.
WEIGHTS_CHANNEL = "weights"
ARCHIVE = "model.tar.gz"
#: Names the secret that holds the token for published weights; see training/models/pretrained.py.
TOKEN_SECRET = "CARDS_HUB_TOKEN_SECRET"  # noqa: S105 (a variable's name)
#: Holds the archives of the version that devices had when the job was submitted.
LIVE_CHANNEL = "live"


class ChannelError(ValueError):
    """An input channel that is missing; names it and how to give it."""


@dataclass(frozen=True)
class JobEnvironment:
    """Where a job reads and writes.

    Attributes:
        model_dir: What is in it at the end becomes ``model.tar.gz``.
        output_data_dir: What is in it at the end becomes ``output.tar.gz``.
        checkpoint_dir: What SageMaker copies to S3 while the job runs, and puts back when it is
            started again.
        failure_file: The reason of a failure; SageMaker shows its beginning.
        channels: Folder by lower-case channel name.
        job_name: SageMaker's name of the job; empty outside of it.
        digests: What a channel must hold, by its lower-case name; see
            :data:`registry.names.CHANNEL_DIGEST`.
        page_facts: What the approver's page says beside what the job measures.
    """

    model_dir: Path
    output_data_dir: Path
    checkpoint_dir: Path
    failure_file: Path
    channels: Mapping[str, Path]
    job_name: str
    digests: Mapping[str, str] = field(default_factory=dict)
    page_facts: PageFacts = field(default_factory=PageFacts)

    @classmethod
    def read(cls, variables: Mapping[str, str] | None = None) -> JobEnvironment:
        """Reads the variables, with ``/opt/ml`` where SageMaker's defaults apply."""
        given = os.environ if variables is None else variables
        prefix = "SM_CHANNEL_"
        output = Path(given.get("SM_OUTPUT_DIR") or _OPT_ML / "output")
        model = Path(given.get("SM_MODEL_DIR") or _OPT_ML / "model")
        return cls(
            model_dir=model,
            # SageMaker names this folder in no variable; it lies beside the model's.
            checkpoint_dir=model.parent / "checkpoints",
            output_data_dir=Path(given.get("SM_OUTPUT_DATA_DIR") or output / "data"),
            failure_file=output / "failure",
            channels={
                name.removeprefix(prefix).lower(): Path(value)
                for name, value in given.items()
                if name.startswith(prefix) and value
            },
            job_name=given.get("TRAINING_JOB_NAME", ""),
            digests={
                name.removeprefix(CHANNEL_DIGEST).lower(): value
                for name, value in given.items()
                if name.startswith(CHANNEL_DIGEST) and value
            },
            page_facts=PageFacts.read(given),
        )

    def model_channel(self, name: str, holds: str) -> Path:
        """The folder of a channel that holds another job's archive.

        Raises:
            ChannelError: As :meth:`channel`; or the archive is not the one that was registered.
        """
        path = self.channel(name, holds)
        expected = self.digests.get(name)
        if expected:
            archive = path / ARCHIVE
            found = file_sha256(archive) if archive.is_file() else "none"
            if found != expected:
                raise ChannelError(
                    f"channel {name}: {ARCHIVE} has the digest {found[:12]}… and the registered "
                    f"model has {expected[:12]}…; somebody has replaced it, train it again"
                )
        return path

    def channel(self, name: str, holds: str) -> Path:
        """The folder of a channel.

        Args:
            name: Lower-case name.
            holds: What it should hold, for the error.

        Raises:
            ChannelError: The channel was not given, or its folder does not exist.
        """
        variable = f"SM_CHANNEL_{name.upper()}"
        path = self.channels.get(name)
        if path is None:
            raise ChannelError(f"channel {name}: {variable} is not set; it must hold {holds}")
        if not path.is_dir():
            raise ChannelError(f"channel {name}: {path} is no folder; it must hold {holds}")
        return path
