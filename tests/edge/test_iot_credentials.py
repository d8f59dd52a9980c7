"""A device's certificate is exchanged for credentials as AWS IoT's documentation says.

Against a TLS server that demands client certificates; it has not run against AWS IoT.
"""

from __future__ import annotations

import json
import shlex
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.session import Session

from edge.cli.main import main
from edge.iot_credentials import NO_ANSWER, Certificate, CredentialError, CredentialProvider
from tests.edge.credential_provider import ALIAS, ANSWER, THING, Authority, Provider, running
from tests.edge.device import Device

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[Provider]:
    with running(tmp_path) as started:
        yield started


def flags(provider: Provider, name: str = THING) -> list[str]:
    pair = provider.authority.issue(name)
    return [
        "--endpoint", provider.endpoint, "--role-alias", ALIAS, "--thing", THING,
        "--certificate", str(pair.certificate), "--key", str(pair.key),
        "--ca", str(provider.authority.certificate),
    ]  # fmt: skip


def ask(provider: Provider, **changes: Any) -> dict[str, str | int]:
    pair = provider.authority.issue(THING)
    identity = Certificate(pair.certificate, pair.key, provider.authority.certificate)
    given = {"endpoint": provider.endpoint, "role_alias": ALIAS, "thing": THING, **changes}
    return CredentialProvider(**given).credentials(identity)


def test_certificate_is_exchanged_for_credentials(
    provider: Provider, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["credentials", *flags(provider)]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "Version": 1, "AccessKeyId": "ASIAEXAMPLE", "SecretAccessKey": "secret/of+an=hour",
        "SessionToken": "token", "Expiration": "2026-11-27T10:00:00+00:00",
    }  # fmt: skip
    assert provider.asked == [(f"/role-aliases/{ALIAS}/credentials", THING, THING)]


def test_thing_is_the_device_s_id_where_none_is_named(
    provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = flags(provider)
    del given[4:6]
    monkeypatch.setenv("CARDS_EDGE_DEVICE", "shop-99")
    assert main(["credentials", *given]) == 0
    assert provider.asked[0][1] == "shop-99"


@pytest.mark.processes
def test_botocore_takes_the_command_as_credential_process(
    provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = {**ANSWER["credentials"], "expiration": "2126-11-27T10:00:00Z"}
    provider.body = json.dumps({"credentials": later}).encode()
    command = [sys.executable, "-m", "edge.cli.main", "credentials", *flags(provider)]
    (tmp_path / "config").write_text(f"[default]\ncredential_process = {shlex.join(command)}\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    found = Session().get_credentials()
    assert found is not None and found.method == "custom-process"
    assert (found.access_key, found.token) == ("ASIAEXAMPLE", "token")


@pytest.mark.parametrize("body", [b'{"message": "Invalid thing\\u001b[31m\\n name"}', b"{", b"[1]"])
def test_refusal_is_one_line_that_says_what_to_look_at(
    provider: Provider, body: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    provider.status, provider.body = 403, body
    assert main(["credentials", *flags(provider)]) == 1
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.count("\n") == 1 and "\x1b" not in shown.err
    said = " (Invalid thing [31m name);" if b"thing" in body else ";"
    assert f"refused with 403{said}" in shown.err
    assert f"attached to the thing {THING}" in shown.err


@pytest.mark.parametrize("answer", [
    b"", b"{", b'{"credentials": []}', b'{"credentials": {}}', b" " * 20_000,
    json.dumps({"credentials": {**ANSWER["credentials"], "sessionToken": 5}}).encode(),
    json.dumps({"credentials": {**ANSWER["credentials"], "expiration": "tomorrow"}}).encode(),
])  # fmt: skip
def test_answer_without_credentials_is_refused(provider: Provider, answer: bytes) -> None:
    provider.body = answer
    with pytest.raises(CredentialError, match="answers without credentials") as error:
        ask(provider)
    assert "secret" not in str(error.value)


def test_server_that_is_not_aws_gets_no_request(provider: Provider, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other")
    pair = provider.authority.issue(THING)
    identity = Certificate(pair.certificate, pair.key, other.certificate)
    with pytest.raises(CredentialError, match="no TLS connection"):
        CredentialProvider(provider.endpoint, ALIAS, THING).credentials(identity)
    assert provider.asked == []


def test_certificate_of_another_authority_gets_no_credentials(
    provider: Provider, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    pair = Authority(tmp_path / "other").issue(THING)
    identity = Certificate(pair.certificate, pair.key, provider.authority.certificate)
    with pytest.raises(CredentialError):
        CredentialProvider(provider.endpoint, ALIAS, THING).credentials(identity)
    assert provider.asked == []


@pytest.mark.parametrize(("changes", "said"), [
    ({"endpoint": "https://x.credentials.iot.us-east-2.amazonaws.com/"}, "is no endpoint"),
    ({"endpoint": "x\r\nHost: y"}, "is no endpoint"),
    ({"role_alias": "../things"}, "is no role alias"),
    ({"thing": "shop\r\nx: y"}, "is no name of a thing"),
])  # fmt: skip
def test_name_that_is_none_is_refused_before_anything_is_asked(
    provider: Provider, changes: dict[str, str], said: str
) -> None:
    with pytest.raises(CredentialError, match=said):
        ask(provider, **changes)
    assert provider.asked == []


@pytest.mark.parametrize("fault", ["missing", "another key", "encrypted", "no authorities"])
def test_file_that_cannot_be_used_is_named(provider: Provider, tmp_path: Path, fault: str) -> None:
    pair = provider.authority.issue(THING, password=b"word" if fault == "encrypted" else None)
    key = provider.authority.issue("shop-13").key if fault == "another key" else pair.key
    authorities: Path | None = provider.authority.certificate
    if fault == "missing":
        key.unlink()
    if fault == "no authorities":
        authorities = tmp_path / "none.pem"
    with pytest.raises(CredentialError, match="none.pem" if "auth" in fault else "and its key"):
        CredentialProvider(provider.endpoint, ALIAS, THING).credentials(
            Certificate(pair.certificate, key, authorities)
        )


@pytest.mark.parametrize("how", ["refuses", "is silent"])
def test_provider_that_does_not_answer_is_said_in_time(provider: Provider, how: str) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        if how == "is silent":
            listening.listen()
        endpoint = f"localhost:{listening.getsockname()[1]}"
        with pytest.raises(CredentialError, match=NO_ANSWER):
            ask(provider, endpoint=endpoint, seconds=0.3)


@pytest.mark.parametrize(("said", "code"), [(f"x: {NO_ANSWER} (timed out)", 75), ("refused", 1)])
def test_update_without_credentials_is_the_network_s_fault_or_the_device_s(
    device: Device, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    said: str, code: int,
) -> None:  # fmt: skip
    from botocore.exceptions import CredentialRetrievalError

    def fails(**ignored: Any) -> None:
        raise CredentialRetrievalError(provider="custom-process", error_msg=f"cards-edge: {said}\n")

    monkeypatch.setattr("edge.update.s3_client.s3_client", lambda region: device.bucket)
    monkeypatch.setattr(device.bucket, "get_object", fails)
    assert main(["update", "--report", "--state", str(device.folder.root)]) == code
    shown = capsys.readouterr().err
    assert said in shown and shown.count("\n") == 1 and device.bucket.written == []
