"""A pull takes what a trusted key has signed, for this channel and deployment; nothing older."""

# Over 400 lines: it is one list of what a pull takes and refuses.

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from registry.releases.manifest import ManifestError, sha256
from registry.releases.pull.bounded_transfer import TransferError, TransferLimits, Transfers
from registry.releases.pull.download import pull
from registry.releases.pull.pulled_folder import (
    RECORD,
    DownloadError,
    read_record,
    verify_folder,
)
from registry.releases.pull.replaced_folder import FolderError
from registry.releases.signatures.trust import TrustError, fingerprint, rotation_key
from registry.releases.statement import StatementError
from tests.registry.releases.signed_releases import (
    DEPLOYMENT,
    NEW_FILES,
    NOW,
    OLD_FILES,
    ReleaseBucket,
    content,
    pem,
)


@pytest.fixture
def bucket() -> ReleaseBucket:
    """Two releases; stable states the new one with serial 5."""
    made = ReleaseBucket()
    made.publish("old", OLD_FILES)
    made.publish("new", NEW_FILES)
    made.point("new", 5)
    return made


def test_pulled_release_has_record_statement_and_signature(
    bucket: ReleaseBucket, tmp_path: Path
) -> None:
    done = pull(bucket.source(), tmp_path / "r")
    assert done.manifest["release"] == "new" and not done.expired
    assert done.statement is not None and done.statement.serial == 5
    assert content(tmp_path / "r") == NEW_FILES
    names = {path.name for path in (tmp_path / "r").iterdir()}
    assert names == {
        *NEW_FILES, "manifest.json", "manifest.sig", "signing-key.pem", "channel.json", RECORD
    }  # fmt: skip
    record = read_record(tmp_path / "r")
    assert record is not None and record.highest_serial(DEPLOYMENT, "stable") == 5


def test_reader_who_may_not_list_the_bucket_can_pull(bucket: ReleaseBucket, tmp_path: Path) -> None:
    bucket.listable = False
    assert pull(bucket.source(), tmp_path / "r").manifest["release"] == "new"


def test_pull_with_lower_serial_is_refused_and_changes_nothing(
    bucket: ReleaseBucket, tmp_path: Path
) -> None:
    replay = dict(bucket.objects)
    bucket.point("old", 6)
    pull(bucket.source(), tmp_path / "r")
    bucket.objects = replay
    with pytest.raises(DownloadError, match="serial 5, and 6 was seen"):
        pull(bucket.source(), tmp_path / "r")
    assert content(tmp_path / "r") == OLD_FILES


def test_ordered_rollback_is_a_higher_serial_and_is_taken(
    bucket: ReleaseBucket, tmp_path: Path
) -> None:
    pull(bucket.source(), tmp_path / "r")
    bucket.point("old", 6)
    assert pull(bucket.source(), tmp_path / "r").manifest["release"] == "old"


def test_serials_survive_a_pull_by_id_and_count_for_each_channel(
    bucket: ReleaseBucket, tmp_path: Path
) -> None:
    pull(bucket.source(), tmp_path / "r")
    assert pull(bucket.source(), tmp_path / "r", release="old").statement is None
    assert content(tmp_path / "r") == OLD_FILES
    bucket.point("new", 2, channel="candidate")
    pull(bucket.source(), tmp_path / "r", channel="candidate")
    bucket.point("new", 4)
    with pytest.raises(DownloadError, match="serial 4, and 5 was seen"):
        pull(bucket.source(), tmp_path / "r")


def test_damaged_record_is_refused_since_the_serials_are_lost(
    bucket: ReleaseBucket, tmp_path: Path
) -> None:
    pull(bucket.source(), tmp_path / "r")
    for damage in ("", "{", "[]", '{"schema": 1}', "[" * 100_000, '{"schema": 2}'):
        (tmp_path / "r" / RECORD).write_text(damage)
        with pytest.raises(DownloadError, match="is damaged"):
            pull(bucket.source(), tmp_path / "r")


def test_expired_statement_is_reported_and_its_release_taken(
    bucket: ReleaseBucket, tmp_path: Path
) -> None:
    bucket.point("new", 6, lifetime=timedelta(hours=1))
    done = pull(bucket.source(), tmp_path / "r")
    assert done.expired and content(tmp_path / "r") == NEW_FILES


@pytest.mark.parametrize(("days", "expired"), [(-20_000, False), (20_000, True)])
def test_wrong_clock_changes_what_is_said_and_not_what_is_taken(
    bucket: ReleaseBucket, tmp_path: Path, days: int, expired: bool
) -> None:
    """And a statement that was seen before is refused by its serial, whatever the clock says."""
    source = replace(bucket.source(), now=lambda: NOW + timedelta(days=days))
    done = pull(source, tmp_path / "r")
    assert done.expired == expired and content(tmp_path / "r") == NEW_FILES
    bucket.point("old", 1)
    with pytest.raises(DownloadError, match="serial 1, and"):
        pull(source, tmp_path / "r")
    assert content(tmp_path / "r") == NEW_FILES


def test_statement_of_another_deployment_is_refused(bucket: ReleaseBucket, tmp_path: Path) -> None:
    bucket.point("new", 6, deployment="prod/123456789012/us-east-2")
    with pytest.raises(StatementError, match="of deployment 'prod/"):
        pull(bucket.source(), tmp_path / "r")
    assert list(tmp_path.iterdir()) == []


def test_statement_of_another_channel_is_refused(bucket: ReleaseBucket, tmp_path: Path) -> None:
    bucket.point("old", 9, channel="candidate")
    bucket.objects["channels/stable.json"] = bucket.objects["channels/candidate.json"]
    with pytest.raises(StatementError, match="channel 'candidate'"):
        pull(bucket.source(), tmp_path / "r")


def test_statement_of_another_key_is_refused(bucket: ReleaseBucket, tmp_path: Path) -> None:
    pinned = bucket.trusted()
    bucket.key = ReleaseBucket().key
    bucket.publish("new", NEW_FILES)
    bucket.point("new", 6)
    with pytest.raises(StatementError, match="no signature of a trusted key"):
        pull(bucket.source(pinned), tmp_path / "r")
    with pytest.raises(ManifestError, match="no trusted key's"):
        pull(bucket.source(pinned), tmp_path / "r", release="new")
    assert list(tmp_path.iterdir()) == []


def test_channel_without_statement_is_refused_with_the_remedy(
    bucket: ReleaseBucket, tmp_path: Path
) -> None:
    for pointer in ({"release": "new"}, {"release": "new", "statement": 7}, []):
        bucket.objects["channels/stable.json"] = json.dumps(pointer).encode()
        with pytest.raises(DownloadError, match=r"no signed statement.*--release"):
            pull(bucket.source(), tmp_path / "r")


def test_signed_manifest_that_the_statement_does_not_name_is_refused(
    bucket: ReleaseBucket, tmp_path: Path
) -> None:
    """The mixture: every part is signed, and they do not belong together."""
    bucket.publish("new", OLD_FILES)
    with pytest.raises(ManifestError, match="not the one under the channel's signature"):
        pull(bucket.source(), tmp_path / "r")


@pytest.mark.parametrize(
    ("account", "region", "taken"),
    [
        ("123456789012", "us-east-2", True),
        ("123456789012", "eu-west-1", False),
        ("999999999999", "us-east-2", False),
    ],
)
def test_release_by_id_of_another_account_under_the_same_key_is_refused(
    bucket: ReleaseBucket, tmp_path: Path, account: str, region: str, taken: bool
) -> None:
    """No statement names the deployment there; the source of the signed manifest does."""
    arn = f"arn:aws:sagemaker:{region}:{account}:model-package/cards/7"
    bucket.publish("other", source={"name": "student-efficientnet-lite0-stage2-v1", "arn": arn})
    if taken:
        assert pull(bucket.source(), tmp_path / "r", release="other").manifest["source"]
        return
    with pytest.raises(ManifestError, match="is not of dev/123456789012/us-east-2"):
        pull(bucket.source(), tmp_path / "r", release="other")
    assert not (tmp_path / "r").exists()


def test_manifest_of_another_release_is_refused(bucket: ReleaseBucket, tmp_path: Path) -> None:
    for name in ("manifest.json", "manifest.sig"):
        bucket.objects[f"releases/new/{name}"] = bucket.objects[f"releases/old/{name}"]
    with pytest.raises(ManifestError, match="is of 'old'"):
        pull(bucket.source(), tmp_path / "r", release="new")


def test_signature_by_the_manifests_digest_counts_where_the_older_name_has_another(
    bucket: ReleaseBucket, tmp_path: Path
) -> None:
    signature = bucket.objects["releases/new/manifest.sig"]
    digest = sha256(bucket.objects["releases/new/manifest.json"])
    bucket.objects["releases/new/manifest.sig"] = bucket.objects["releases/old/manifest.sig"]
    bucket.objects[f"releases/new/manifest.{digest}.sig"] = signature
    bucket.objects[f"releases/new/model.{digest}.sig"] = b"for standard tools"
    pull(bucket.source(), tmp_path / "r")
    assert (tmp_path / "r" / "manifest.sig").read_bytes() == signature
    assert (tmp_path / "r" / "model.sig").read_bytes() == b"for standard tools"


def test_device_that_missed_two_rotations_follows_both(
    bucket: ReleaseBucket, tmp_path: Path
) -> None:
    source = bucket.source()
    pull(source, tmp_path / "r")
    bucket.rotate()
    bucket.point("new", 6)
    bucket.rotate()
    bucket.point("new", 7)
    done = pull(source, tmp_path / "r")
    assert len(done.trusted.keys) == 3 and done.trusted.keys[-1] == pem(bucket.key)
    # What the first key signed is good still, where the newest key states it.
    bucket.point("old", 8)
    assert pull(bucket.source(done.trusted), tmp_path / "r").manifest["release"] == "old"


def test_new_device_takes_what_an_old_key_signed_where_the_newest_key_states_it(
    bucket: ReleaseBucket, tmp_path: Path
) -> None:
    bucket.rotate()
    bucket.point("old", 6)
    source = bucket.source()
    done = pull(source, tmp_path / "r")
    assert done.manifest["release"] == "old" and len(done.trusted.keys) == 1
    accepts, digest = source.trusted.verify_any(source.verify), done.statement
    assert digest is not None
    verify_folder(tmp_path / "r", accepts, digest.manifest_sha256)
    with pytest.raises(ManifestError, match="no trusted key's"):
        verify_folder(tmp_path / "r", accepts)
    with pytest.raises(ManifestError, match="no trusted key's"):
        pull(source, tmp_path / "r", release="old")


def test_statement_of_a_key_that_was_followed_away_from_is_refused(
    bucket: ReleaseBucket, tmp_path: Path
) -> None:
    source = bucket.source()
    first = bucket.rotate()
    bucket.point("new", 6)
    trusted = pull(source, tmp_path / "r").trusted
    bucket.key = first
    bucket.point("old", 99)
    with pytest.raises(StatementError, match="no signature of a trusted key"):
        pull(bucket.source(trusted), tmp_path / "r")


def test_rotation_before_the_new_key_signs_changes_nothing(
    bucket: ReleaseBucket, tmp_path: Path
) -> None:
    source, old = bucket.source(), bucket.key
    bucket.rotate()
    bucket.key = old
    bucket.point("new", 6)
    assert pull(source, tmp_path / "r").trusted == source.trusted


def test_rotation_with_a_gap_is_not_followed(bucket: ReleaseBucket, tmp_path: Path) -> None:
    source = bucket.source()
    bucket.rotate()
    bucket.rotate()
    bucket.point("new", 6)
    del bucket.objects[rotation_key(fingerprint(source.trusted.keys[0]))]
    with pytest.raises(StatementError, match="no signature of a trusted key"):
        pull(source, tmp_path / "r")


def test_rotation_that_the_old_key_did_not_sign_is_refused(
    bucket: ReleaseBucket, tmp_path: Path
) -> None:
    pinned, stranger = bucket.trusted(), ReleaseBucket()
    stranger.rotate()
    (document,) = stranger.objects.values()
    bucket.objects[rotation_key(fingerprint(pinned.keys[0]))] = document
    bucket.key = stranger.key
    bucket.point("new", 6)
    with pytest.raises(TrustError, match="no signature of a trusted key"):
        pull(bucket.source(pinned), tmp_path / "r")


def test_rotation_of_another_deployment_is_refused(bucket: ReleaseBucket, tmp_path: Path) -> None:
    source = bucket.source()
    bucket.rotate("prod/123456789012/us-east-2")
    bucket.point("new", 6)
    with pytest.raises(TrustError, match="another deployment"):
        pull(source, tmp_path / "r")


@pytest.mark.parametrize(
    "files", [{}, {"manifest.json": "{}"}, {"manifest.json": "{}", "manifest.sig": "x"}]
)
def test_folder_with_a_foreign_manifest_is_not_changed(
    bucket: ReleaseBucket, tmp_path: Path, files: dict[str, str]
) -> None:
    folder = tmp_path / "r"
    folder.mkdir()
    for name, text in {"thesis.txt": "x", **files}.items():
        (folder / name).write_text(text)
    before = sorted(folder.iterdir())
    with pytest.raises(FolderError, match="no release that was pulled"):
        pull(bucket.source(), folder)
    assert sorted(folder.iterdir()) == before
    with pytest.raises(FolderError, match="is no folder"):
        pull(bucket.source(), folder / "thesis.txt")


@pytest.mark.parametrize("name", ["notes.txt", "\x1b[31m", "folder/notes.txt"])
def test_file_that_no_pull_has_written_keeps_the_folder_from_being_replaced(
    bucket: ReleaseBucket, tmp_path: Path, name: str
) -> None:
    """A record that was copied elsewhere with the rest makes no other folder ours."""
    folder = tmp_path / "r"
    pull(bucket.source(), folder)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("mine")
    bucket.point("old", 6)
    with pytest.raises(FolderError, match="which no pull has written there") as refused:
        pull(bucket.source(), folder)
    assert "\x1b" not in str(refused.value)
    assert (folder / name).read_text() == "mine" and content(folder) == NEW_FILES
    (folder / name).unlink()
    (folder / ".DS_Store").write_bytes(b"")
    if name.startswith("folder"):
        (folder / "folder").rmdir()
    pull(bucket.source(), folder)
    assert content(folder) == OLD_FILES


@pytest.fixture
def earlier(bucket: ReleaseBucket, tmp_path: Path) -> Path:
    """A release as an earlier version of this product has pulled it: without a record."""
    folder = tmp_path / "r"
    pull(bucket.source(), folder)
    (folder / RECORD).unlink()
    (folder / "channel.json").unlink()
    return folder


def test_release_that_an_earlier_version_pulled_is_replaced(
    bucket: ReleaseBucket, earlier: Path
) -> None:
    bucket.point("old", 6)
    pull(bucket.source(), earlier)
    assert content(earlier) == OLD_FILES


@pytest.mark.parametrize("change", ["another file", "a changed file", "a missing file"])
def test_changed_release_of_an_earlier_client_is_not_replaced(
    bucket: ReleaseBucket, earlier: Path, change: str
) -> None:
    match change:
        case "another file":
            (earlier / "thesis.txt").write_text("x")
        case "a changed file":
            (earlier / "metadata.json").write_text("my notes")
        case _:
            (earlier / "metadata.json").unlink()
    before = {path.name: path.read_bytes() for path in earlier.iterdir()}
    with pytest.raises(FolderError, match="name another folder"):
        pull(bucket.source(), earlier)
    assert {path.name: path.read_bytes() for path in earlier.iterdir()} == before


def stalling(bucket: ReleaseBucket, chunks: Iterator[bytes]) -> ReleaseBucket:
    """The model's bytes come as these chunks do."""
    get = bucket.get_object

    class Body:
        def iter_chunks(self, size: int) -> Iterator[bytes]:
            return chunks

    def get_object(**given: Any) -> dict[str, Any]:
        return {"Body": Body()} if given["Key"].endswith("onnx") else get(**given)

    bucket.get_object = get_object  # type: ignore[method-assign]
    return bucket


def test_silent_connection_ends_at_the_deadline(bucket: ReleaseBucket, tmp_path: Path) -> None:
    forever = threading.Event()

    def silent() -> Iterator[bytes]:
        forever.wait(30)
        yield b""

    limits = TransferLimits(total_seconds=0.5, window_seconds=60)
    began = time.monotonic()
    with pytest.raises(TransferError, match="not fetched within"):
        pull(stalling(bucket, silent()).source(transfers=Transfers(limits)), tmp_path / "r")
    forever.set()
    assert time.monotonic() - began < 10
    assert list(tmp_path.iterdir()) == []


def test_dripping_connection_ends_by_its_rate(bucket: ReleaseBucket, tmp_path: Path) -> None:
    def drip() -> Iterator[bytes]:
        while True:
            time.sleep(0.02)
            yield b"x"

    limits = TransferLimits(total_seconds=60, bytes_per_second=1e5, window_seconds=0.3)
    with pytest.raises(TransferError, match="bytes/s arrive, less than"):
        pull(stalling(bucket, drip()).source(transfers=Transfers(limits)), tmp_path / "r")
    assert list(tmp_path.iterdir()) == []


def test_endless_file_is_cut_at_its_signed_size(bucket: ReleaseBucket, tmp_path: Path) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield bytes(16384)

    with pytest.raises(ManifestError, match="not the file that was signed"):
        pull(stalling(bucket, endless()).source(), tmp_path / "r")
    assert list(tmp_path.iterdir()) == []
