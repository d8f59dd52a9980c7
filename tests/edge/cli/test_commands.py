"""The commands that a person uses: trust, update, doctor; their errors are one line."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError

from edge.cli.device_checks import BAD, GOOD, NOTE, findings
from edge.cli.main import main
from edge.cli.units import FOLDER
from edge.preflight.hailo_versions import HailoVersions
from edge.state.record import read_record
from registry.releases.signatures.trust import fingerprint, trust_file
from tests.edge.device import Device, DeviceBucket
from tests.registry.releases.signatures.p256 import Key
from tests.registry.releases.signed_releases import NOW, pem

OTHER = "prod/210987654321/us-east-2"


@pytest.fixture
def trust(tmp_path: Path, bucket: DeviceBucket) -> Path:
    path = tmp_path / "dev.trust.json"
    path.write_text(trust_file(bucket.trusted()))
    return path


def test_key_is_pinned_by_its_fingerprint_once(
    tmp_path: Path, bucket: DeviceBucket, trust: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = ["--state", str(tmp_path / "state")]
    shown = fingerprint(pem(bucket.key))
    assert main(["trust", str(trust), *state]) == 1
    assert "name it with --fingerprint" in capsys.readouterr().err
    assert main(["trust", str(trust), "--fingerprint", "0" * 64, *state]) == 1
    assert "it is not trusted" in capsys.readouterr().err
    assert main(["trust", str(trust), "--fingerprint", shown.upper(), *state]) == 0
    assert "pinned; updates accept this key only" in capsys.readouterr().out
    assert main(["trust", *state, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["fingerprint"] == shown


def test_another_key_replaces_the_pinned_one_only_when_said(
    tmp_path: Path, bucket: DeviceBucket, trust: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = ["--state", str(tmp_path / "state")]
    main(["trust", str(trust), "--fingerprint", fingerprint(pem(bucket.key)), *state])
    other = DeviceBucket(key=Key())
    trust.write_text(trust_file(other.trusted()))
    given = ["trust", str(trust), "--fingerprint", fingerprint(pem(other.key)), *state]
    assert main(given) == 1
    assert "another key is pinned" in capsys.readouterr().err
    assert main([*given, "--replace"]) == 0


def test_trust_file_with_a_second_key_is_refused(
    tmp_path: Path, bucket: DeviceBucket, trust: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = json.loads(trust.read_text())
    trust.write_text(json.dumps({**document, "keys": [pem(Key()), *document["keys"]]}))
    shown = fingerprint(pem(bucket.key))
    state = ["--state", str(tmp_path / "state")]
    assert main(["trust", str(trust), "--fingerprint", shown, *state]) == 1
    assert "holds 2 keys" in capsys.readouterr().err
    assert not (tmp_path / "state" / "trust.json").exists()


def test_person_who_types_nothing_pins_nothing(
    tmp_path: Path, trust: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = io.StringIO("")  # The end of the input, as Ctrl-D gives it.
    typed.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stdin", typed)
    assert main(["trust", str(trust), "--state", str(tmp_path / "state")]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_device_of_another_deployment_begins_its_serials_anew(
    device: Device, trust: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each deployment numbers its statements by itself; another's lower one is no rollback."""
    device.updater().run()
    assert read_record(device.folder).serials["stable"] > 0
    state = ["--replace", "--state", str(device.folder.root)]
    rotated = {**device.trusted.to_dict(), "keys": [pem(Key())]}
    for document, kept in ((rotated, True), ({**rotated, "deployment": OTHER}, False)):
        trust.write_text(json.dumps(document))
        shown = fingerprint(document["keys"][0])
        assert main(["trust", str(trust), "--fingerprint", shown, *state]) == 0
        assert bool(read_record(device.folder).serials) is kept


def test_update_command_says_what_it_did(
    device: Device, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.update.s3_client.s3_client", lambda region: device.bucket)

    state = ["--state", str(device.folder.root), "--json"]
    monkeypatch.setattr("edge.update.updating.Updater.__init__", _with_device_s_test())
    assert main(["update", *state]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["updated"] and shown["release"] == "new" and shown["fetched_bytes"] > 0


def _with_device_s_test() -> Any:
    from edge.update.updating import Updater

    made = Updater.__init__

    def init(self: Updater, *given: Any, **more: Any) -> None:
        given[1].now = lambda: NOW
        made(self, *given, **{**more, "test": lambda release: 8})

    return init


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (NoCredentialsError(), 1, "no AWS credentials"),
        (EndpointConnectionError(endpoint_url="https://s3"), 75, "the release in use stays"),
    ],
)
def test_update_without_network_or_credentials_is_one_line(
    device: Device,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    code: int,
    reason: str,
) -> None:
    def fails(**ignored: Any) -> None:
        raise error

    monkeypatch.setattr("edge.update.s3_client.s3_client", lambda region: device.bucket)
    monkeypatch.setattr(device.bucket, "get_object", fails)
    assert main(["update", "--state", str(device.folder.root)]) == code
    shown = capsys.readouterr().err
    assert reason in shown and shown.count("\n") == 1
    assert device.in_use() == "old"


def test_device_without_a_key_says_where_it_comes_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("update", "status", "rollback"):
        assert main([command, "--state", str(tmp_path / "none")]) == 1
        assert "cards release trust --out FILE" in capsys.readouterr().err


def test_doctor_finds_what_is_wrong(device: Device) -> None:
    def levels(**more: Any) -> dict[str, str]:
        given: dict[str, Any] = {
            "hailo": HailoVersions(), "run": lambda command: None, "now": NOW,
            "reach": lambda: None, **more,
        }  # fmt: skip
        return {each.subject: each.level for each in findings(device.folder, **given)}

    good = levels()
    assert (good["key"], good["release"], good["network"], good["clock"]) == (GOOD,) * 4
    assert good["Hailo"] == NOTE and good["disk"] in (GOOD, BAD)
    assert levels(reach=lambda: "s3://releases: no route")["network"] == BAD
    assert levels(now=NOW - timedelta(days=900))["clock"] == BAD
    assert levels(now=NOW + timedelta(days=900))["clock"] == NOTE
    assert levels(run=lambda command: (0, "no\n"))["clock"] == NOTE
    mismatch = HailoVersions("hailo8l", "", "4.20.0", "4.19.0", "4.20.0", "4.20.0")
    found = [each for each in findings(
        device.folder, mismatch, lambda command: None, NOW, lambda: None
    ) if each.subject == "Hailo"]  # fmt: skip
    assert found[0].level == BAD and "hailo-dkms" in found[0].text
    current = device.folder.linked("current")
    assert current is not None
    (current / "manifest.json").write_text("{}")
    assert levels()["release"] == BAD


def test_units_are_beside_the_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["units"]) == 0
    assert capsys.readouterr().out.strip() == str(FOLDER)
    assert {path.name for path in FOLDER.iterdir()} >= {
        "cards-edge-update.service", "cards-edge-update.timer"
    }  # fmt: skip


@pytest.mark.parametrize("command", ["trust", "update", "status", "doctor", "recognise"])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0 and len(capsys.readouterr().out) > 300
