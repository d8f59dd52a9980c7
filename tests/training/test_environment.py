"""What a job's channels must hold, by the digests that it was submitted with."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from recognition.card_sets.card_set import CardSetError
from training.config import TrainingConfig
from training.data.batches import CardDataset
from training.environment import ChannelError, JobEnvironment


def environment(folder: Path, **digests: str) -> JobEnvironment:
    return JobEnvironment.read(
        {
            "SM_CHANNEL_TEACHER": str(folder),
            **{f"CARDS_CHANNEL_DIGEST_{name.upper()}": text for name, text in digests.items()},
        }
    )


def test_model_channel_takes_the_registered_archive_alone(tmp_path: Path) -> None:
    (tmp_path / "model.tar.gz").write_bytes(b"teacher")
    digest = hashlib.sha256(b"teacher").hexdigest()
    for given in (environment(tmp_path, teacher=digest), environment(tmp_path)):
        assert given.model_channel("teacher", "a model") == tmp_path
    with pytest.raises(ChannelError, match="somebody has replaced it"):
        environment(tmp_path, teacher="0" * 64).model_channel("teacher", "a model")
    (tmp_path / "model.tar.gz").unlink()
    with pytest.raises(ChannelError, match="has the digest none"):
        environment(tmp_path, teacher=digest).model_channel("teacher", "a model")


def test_card_set_of_another_digest_than_submitted_is_refused(
    card_folder: Path, tiny: Callable[..., TrainingConfig]
) -> None:
    digest = CardDataset.load(card_folder, tiny()).card_set.digest
    assert CardDataset.load(card_folder, tiny(), digest).card_set.digest == digest
    with pytest.raises(CardSetError, match="a scan was added, removed or changed"):
        CardDataset.load(card_folder, tiny(), "0" * 64)
