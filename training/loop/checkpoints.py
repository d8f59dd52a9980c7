"""Checkpoints: what a run needs to go on after its machine was taken away.

They lie where SageMaker copies them to S3 from, ``/opt/ml/checkpoints``
(https://docs.aws.amazon.com/sagemaker/latest/dg/model-checkpoints.html), and where it puts them
back before it starts the job again. A file is whole or absent, the one before it is kept until
the next is whole, and a checkpoint of another run is refused: its weights would be trained on with
settings that they were not made by.
"""

from __future__ import annotations

import errno
import io
import os
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from registry.untrusted.text import one_line
from training.checkpoint_files import packed_fault
from training.config import TrainingConfig
from training.distributed.ranks import Ranks, share_bytes
from training.errors import TrainingError

_NAME = re.compile(r"step-(\d{9})\.pt")
_KEPT = 2
#: Settings that do not change what is trained; a run may go on with others.
_MACHINE = {
    *("threads", "render_threads", "prefetch", "log_seconds", "checkpoint_minutes"),
    *("compile", "gpu_views", "divergence"),
    *("validation_views", "query_views", "unseen_views", "false_accepts"),
}


@dataclass(frozen=True)
class Identity:
    """What makes a run this run: two runs of one identity make the same model.

    Attributes:
        settings: The configuration, without what concerns the machine alone.
        cards: The card set's digest.
        models: Digest of each model that it begins with or learns from, by its channel.
    """

    settings: Mapping[str, Any]
    cards: str
    models: Mapping[str, str]

    @classmethod
    def of(cls, config: TrainingConfig, cards: str, models: Mapping[str, str]) -> Identity:
        """The identity of a run of this configuration."""
        settings = {k: v for k, v in config.to_dict().items() if k not in _MACHINE}
        return cls(settings, cards, dict(models))

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            **{f"setting {key}": value for key, value in self.settings.items()},
            "card set": self.cards,
            **{f"channel {key}": value for key, value in self.models.items()},
        }


class Checkpoints:
    """A folder of checkpoints of one run.

    Args:
        folder: Where they are; made with the first one.
        identity: Of the run.
        ranks: Process 0 writes and reads; the others are given what it read.
    """

    def __init__(self, folder: Path, identity: Identity, ranks: Ranks) -> None:
        self._folder, self._identity, self._ranks = folder, identity.to_dict(), ranks

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Writes the state after a step; process 0 alone does.

        Raises:
            TrainingError: It cannot be written; the checkpoint before it is still there.
        """
        if not self._ranks.first:
            return
        path = self._folder / f"step-{step:09d}.pt"
        partial = path.with_suffix(".partial")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with partial.open("wb") as file:
                torch.save({"identity": self._identity, "step": step, "state": state}, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
            for old in self._files()[:-_KEPT]:
                old.unlink()
        except (OSError, RuntimeError) as error:
            # torch's writer turns a full disk into a RuntimeError of its own.
            raise TrainingError(_why(path, error)) from error
        finally:
            partial.unlink(missing_ok=True)

    def load(self, device: torch.device) -> tuple[int, dict[str, Any]] | None:
        """The newest checkpoint that can be read: its step and state; None without any.

        Raises:
            TrainingError: It is of another run, or none of those that are there can be read.
        """
        content = self._newest() if self._ranks.first else b""
        content = share_bytes(content, self._ranks, device)
        if not content:
            return None
        document = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        return int(document["step"]), document["state"]

    def remove(self) -> None:
        """Deletes them: the run has ended and left its model."""
        if self._ranks.first:
            for path in self._files():
                path.unlink(missing_ok=True)

    def _newest(self) -> bytes:
        broken = []
        for path in reversed(self._files()):
            try:
                content = path.read_bytes()
                with zipfile.ZipFile(io.BytesIO(content)) as archive:
                    if fault := packed_fault(archive):
                        raise ValueError(fault)
                document = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
                identity = document["identity"]
                _ = int(document["step"]), document["state"]
            except Exception as error:  # a damaged file raises whatever its bytes lead to
                broken.append(f"{path.name} ({' '.join(str(error).split())[:80]})")
                continue
            self._check(path, identity)
            return content
        if broken:
            raise TrainingError(
                f"checkpoint folder {self._folder}: nothing in it can be read: "
                f"{'; '.join(broken)}; remove these files to begin anew"
            )
        return b""

    def _check(self, path: Path, identity: Mapping[str, Any]) -> None:
        own = self._identity
        differing = [
            f"{key} {identity.get(key)!r} there, {own.get(key)!r} here"
            for key in sorted({*identity, *own})
            if identity.get(key) != own.get(key)
        ]
        if differing:
            more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
            raise TrainingError(
                f"checkpoint {path}: is of another run ({'; '.join(differing[:3])}{more}); give "
                "this run a checkpoint folder of its own, or the settings of that one"
            )

    def _files(self) -> list[Path]:
        if not self._folder.is_dir():
            return []
        return sorted(path for path in self._folder.iterdir() if _NAME.fullmatch(path.name))


def _why(path: Path, error: Exception) -> str:
    number = error.errno if isinstance(error, OSError) else None
    full = number in (errno.ENOSPC, errno.EDQUOT) or "PytorchStreamWriter" in str(error)
    cause = os.strerror(errno.ENOSPC) if full else one_line(str(error))
    remedy = "give the job a larger volume (--volume-gb)" if full else "check the folder"
    return (
        f"checkpoint {path}: cannot be written ({cause}); {remedy}. The one before it is whole: "
        "the same job goes on from there"
    )
