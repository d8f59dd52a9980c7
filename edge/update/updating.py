"""One update: from the channel's statement to a release that was tested here, or to a refusal.

Every step leaves the device on its old release or on the new one, whatever ends the process
(:mod:`edge.state.folder`); the next update goes on from there.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from edge.preflight.compatibility import PreflightError, faults_of
from edge.preflight.hailo_versions import HailoVersions, read_hailo_versions
from edge.rollback import iso, runtime_in_use
from edge.runtimes.choice import HAILO_RUNTIME, runtime_of, runtime_version
from edge.selftest.child import SelfTestError, self_test
from edge.state.folder import CURRENT, PREVIOUS, RESERVE, StateFolder, release_id, release_name
from edge.state.record import Health, Record, Refusal, changed_record, read_record
from edge.stored_release import device_files, signed_manifest, stored_statement
from edge.update.bucket import fetch_blob, file_matches, poll
from edge.update.rollout import device_id, takes_part
from registry.fleet.device_report import SelfTestResult, reason_line
from registry.names import RELEASES_PREFIX
from registry.releases.manifest import MANIFEST, SIGNATURE, File, ManifestError, files_of
from registry.releases.pull.download import ReleaseSource, read_manifest
from registry.releases.pull.pulled_folder import STATEMENT_FILE, DownloadError
from registry.releases.signatures.trust import trust_file
from registry.releases.statement import Statement, StatementError


@dataclass(frozen=True)
class UpdateResult:
    """What came of an update that was not refused.

    Attributes:
        updated: Whether the device runs another release now.
        text: One line for people.
        release: The id of the release in use; None for none.
        fetched: Bytes of files that were fetched.
    """

    updated: bool
    text: str
    release: str | None
    fetched: int = 0


@dataclass
class Updater:
    """An update of one device.

    Attributes:
        folder: The device's folder.
        source: Where from, and whom to trust.
        channel: The channel that the device follows.
        device: The device's id, which decides on a gradual roll-out.
        test: Tests a release in its folder; returns the number of views.
        hailo: Reads the versions of the chip and its drivers; asked for a HEF only.
        retry: Try releases again that are refused.
        progress: Called with (file, its size) before each file that is fetched.
    """

    folder: StateFolder
    source: ReleaseSource
    channel: str
    device: str = field(default_factory=device_id)
    test: Callable[[Path], int] = self_test
    hailo: Callable[[], HailoVersions] = read_hailo_versions
    retry: bool = False
    progress: Callable[[str, int], None] = lambda name, size: None

    def run(self) -> UpdateResult:
        """Updates, and remembers the outcome.

        Raises:
            DownloadError: There is no such release, the channel was set back, or the disk is full.
            ManifestError: A manifest or a file is not what was signed.
            PreflightError: The device cannot run the release; nothing was fetched.
            SelfTestError: The release answers differently here; it is not tried again.
            SelfTestPostponedError: It could not be tested; it is tried again.
            StateError: Another update is running, or the folder cannot be written.
            StatementError: The channel's statement is not to be followed.
            TransferError: The connection stalls.
            TrustError: A change of keys is not to be followed.
        """
        self.folder.make()
        with self.folder.locked("update", wait=False):
            try:
                result = self._update()
            except Exception as error:
                # A full disk must not hide the reason.
                with contextlib.suppress(OSError):
                    self._remember(str(error))
                raise
            self._remember(result.text)
            return result

    def _update(self) -> UpdateResult:
        record, trusted = read_record(self.folder), self.source.trusted
        current, digest = self._intact(CURRENT)
        asked = current is None or self.retry or any(map(_outdated, record.refused.values()))
        known = None if asked else record.etags.get(self.channel)
        found = poll(self.source, self.channel, known)
        now = self.source.now()
        if found is None:
            with changed_record(self.folder) as record:
                record.checked = iso(now)
            return self._unchanged(record, current, "nothing new")
        stated, envelope = self.source.verified_statement(self.channel, found.body)
        self._check_serial(stated, record, current)
        with changed_record(self.folder) as record:
            record.serials[self.channel] = stated.serial
            record.expires, record.checked = iso(stated.expires), iso(now)
        if self.source.trusted != trusted:
            self.folder.write(self.folder.trust, trust_file(self.source.trusted))
        # A clock from before the statement is wrong, and says nothing about its end.
        if now >= stated.issued and stated.has_expired(now):
            raise StatementError(
                f"channel {self.channel}: its statement expired on {stated.expires:%Y-%m-%d}: "
                "nobody renews it, somebody withholds newer ones, or this clock is wrong; the "
                "release in use stays"
            )
        if stated.release is None or stated.manifest_sha256 is None:
            return self._done(found.etag, f"channel {self.channel} points to no release")
        if stated.manifest_sha256 == digest:
            return self._done(found.etag, "nothing new")
        if reason := self._waits(stated, record, has_release=current is not None):
            return self._done(found.etag, reason)
        return self._take(stated, envelope, found.etag)

    def _take(self, stated: Statement, envelope: Mapping[str, Any], etag: str) -> UpdateResult:
        release, digest = str(stated.release), str(stated.manifest_sha256)
        earlier, earlier_digest = self._intact(PREVIOUS)
        fetched = 0
        if earlier is not None and earlier_digest == digest:
            candidate = earlier  # Ordered back: it is here.
        else:
            candidate, fetched = self._fetch(release, digest, envelope)
        try:
            views = self.test(candidate)
        except SelfTestError as error:
            manifest, _ = signed_manifest(candidate, self.source.trusted)
            refusal = Refusal(release, str(error), runtime_in_use(manifest), iso(self.source.now()))
            with changed_record(self.folder) as record:
                record.refuse(digest, refusal)
                reason = reason_line(str(error))
                record.self_test = SelfTestResult(release, digest, passed=False, reason=reason)
                record.etags[self.channel] = etag
            self.folder.tidy(self._kept_digests())
            raise SelfTestError(
                f"{release}: {error}; the release in use stays, and this one is not tried again"
            ) from None
        with changed_record(self.folder) as record:
            old, _ = self._intact(CURRENT)
            record.health = Health(candidate.name)
            record.self_test = SelfTestResult(release, digest, passed=True)
            record.refused.pop(digest, None)
            if old is not None and old != candidate:
                self.folder.point(PREVIOUS, old)
            self.folder.point(CURRENT, candidate)
            record.etags[self.channel] = etag
        self.folder.tidy(self._kept_digests())
        return UpdateResult(
            True, f"updated to {release}, {views} reference views answered as stated", release,
            fetched,
        )  # fmt: skip

    def _fetch(self, release: str, digest: str, envelope: Mapping[str, Any]) -> tuple[Path, int]:
        """A release's folder, and how many bytes were fetched for it."""
        manifest, body, signature = read_manifest(self.source, release, digest)
        if faults := faults_of(manifest, self._versions(manifest)):
            raise PreflightError(f"{release}: {'; '.join(faults)}")
        listed = files_of(manifest, release)
        files = {name: listed[name] for name in device_files(manifest)}
        name = release_name(release, digest)
        linked = self.folder.linked(CURRENT)
        if linked is not None and linked.name == name:
            # The release in use, damaged on the disk.
            self.folder.unlink(CURRENT)
        self.folder.tidy(frozenset(file.sha256 for file in files.values()) | self._kept_digests())
        missing = {name: file for name, file in files.items() if not self._has(file)}
        self._require_space(release, missing)
        fetched = 0
        for file_name, file in missing.items():
            self.progress(file_name, file.bytes)
            if not self._has(file):  # Two files may be alike.
                key = f"{RELEASES_PREFIX}{release}/{file_name}"
                fetched += fetch_blob(self.source, self.folder, key, file)
        contents = {
            MANIFEST: body,
            SIGNATURE: signature,
            STATEMENT_FILE: (json.dumps(envelope, indent=2) + "\n").encode(),
        }
        blobs = {name: self.folder.blobs / file.sha256 for name, file in files.items()}
        return self.folder.add_release(name, blobs, contents), fetched

    def _versions(self, manifest: Mapping[str, Any]) -> HailoVersions:
        wanted = runtime_of(str(manifest["model"])) == HAILO_RUNTIME
        return self.hailo() if wanted else HailoVersions()

    def _has(self, file: File) -> bool:
        """Whether a file is here, whole; a damaged one is removed."""
        blob = self.folder.blobs / file.sha256
        if not blob.exists():
            return False
        if not file_matches(blob, file):
            blob.unlink()
            return False
        return True

    def _require_space(self, release: str, missing: Mapping[str, File]) -> None:
        needed = sum(file.bytes for file in missing.values())
        for file in missing.values():
            with contextlib.suppress(OSError):
                needed -= min(file.bytes, (self.folder.incoming / file.sha256).stat().st_size)
        disk = os.statvfs(self.folder.root)
        free = disk.f_bavail * disk.f_frsize
        if needed and free < needed + RESERVE:
            raise DownloadError(
                f"{release}: needs {_mib(needed)} and {_mib(RESERVE)} to spare, {_mib(free)} are "
                f"free on the disk of {self.folder.root}; make room there (journalctl "
                "--vacuum-size=50M, apt clean). Nothing was fetched"
            )

    def _waits(self, stated: Statement, record: Record, *, has_release: bool) -> str | None:
        """Why the stated release is not taken for now, or None."""
        refusal = None if self.retry else record.refused.get(str(stated.manifest_sha256))
        if refusal and not _outdated(refusal):
            return f"{stated.release} stays refused ({refusal.reason})"
        # A device without a release has nothing to keep meanwhile.
        if has_release and not takes_part(self.device, str(stated.manifest_sha256), stated.rollout):
            return f"{stated.release} is rolled out to {stated.rollout} % of the devices so far"
        return None

    def _check_serial(self, stated: Statement, record: Record, current: Path | None) -> None:
        seen = record.serials.get(self.channel, 0)
        # The statement beside the release counts where the record was lost.
        beside = current and stored_statement(current, self.source.trusted)
        if beside and beside.channel == self.channel:
            seen = max(seen, beside.serial)
        if stated.serial < seen:
            raise DownloadError(
                f"channel {self.channel}: its statement has serial {stated.serial}, and {seen} "
                "was seen before: somebody has set the channel back; nothing is changed. Ask who "
                "administers the deployment"
            )

    def _intact(self, link: str) -> tuple[Path | None, str | None]:
        """The release that a link leads to and its manifest's digest; None where it is damaged."""
        release = self.folder.linked(link)
        if release is None:
            return None, None
        try:
            manifest, digest = signed_manifest(release, self.source.trusted)
            listed = files_of(manifest, release.name)
            whole = all(
                file_matches(release / name, listed[name]) for name in device_files(manifest)
            )
        except ManifestError:
            whole = False
        return (release, digest) if whole else (None, None)

    def _kept_digests(self) -> frozenset[str]:
        """SHA-256 of the files of the releases that the links lead to."""
        found: set[str] = set()
        for link in (CURRENT, PREVIOUS):
            release = self.folder.linked(link)
            with contextlib.suppress(ManifestError):
                if release is not None:
                    manifest, _ = signed_manifest(release, self.source.trusted)
                    found |= {file.sha256 for file in files_of(manifest, link).values()}
        return frozenset(found)

    def _done(self, etag: str, text: str) -> UpdateResult:
        """Remembers that the channel's object was dealt with."""
        with changed_record(self.folder) as record:
            record.etags[self.channel] = etag
        return self._unchanged(record, self.folder.linked(CURRENT), text)

    def _unchanged(self, record: Record, current: Path | None, text: str) -> UpdateResult:
        if record.expires and self.source.now() >= datetime.fromisoformat(record.expires):
            text += (
                f"; the channel's statement expired on {record.expires[:10]}: nobody renews it, "
                "or somebody withholds newer ones"
            )
        return UpdateResult(False, text, release_id(current) if current else None)

    def _remember(self, text: str) -> None:
        with changed_record(self.folder) as record:
            record.outcome = text


def _outdated(refusal: Refusal) -> bool:
    """Whether another version of what ran the release is installed now."""
    name = refusal.runtime.rpartition(" ")[0]
    return bool(refusal.runtime) and refusal.runtime != runtime_version(name)


def _mib(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"
