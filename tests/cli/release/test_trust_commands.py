"""``cards release trust`` and ``rotate-key``: which key a machine accepts."""

from __future__ import annotations

import io
import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from registry.deployment import DeployedNames
from registry.names import parameter_name
from registry.releases.signatures.signing import public_key_pem
from registry.releases.signatures.trust import fingerprint
from tests.cli.command import cards, refused
from tests.cli.conftest import RELEASE_BUCKET, Stack
from tests.cli.release.test_commands import RELEASE, deployment_of, point, publish


def new_key(aws: Stack) -> str:
    kms = aws.client("kms")
    made = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    return str(made["KeyMetadata"]["Arn"])


def set_parameter(aws: Stack, key: str, value: str) -> None:
    aws.client("ssm").put_parameter(
        Name=parameter_name("dev", key), Value=value, Type="String", Overwrite=True
    )


@pytest.fixture
def deployed(aws: Stack) -> Any:
    """The deployment; its keys and bucket are put back at the end."""
    publish(aws)
    yield aws
    set_parameter(aws, "signing-key-arn", aws.signing_key)
    set_parameter(aws, "signing-key-arns", "none")
    set_parameter(aws, "release-bucket", RELEASE_BUCKET)


def pull(out: Path, *more: str) -> Any:
    return cards("release", "pull", "--out", str(out), *more)


def answer(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A person at a terminal who types this."""
    typed = io.StringIO(text)
    typed.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stdin", typed)


def test_first_pull_without_terminal_is_refused_with_the_remedy(
    deployed: Stack, tmp_path: Path
) -> None:
    refused(pull(tmp_path / "r"), deployment_of(deployed), "cards release trust")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("typed", "code"), [("y\n", 0), ("n\n", 1), ("\n", 1)])
def test_first_pull_on_a_terminal_shows_the_fingerprint_and_asks(
    deployed: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str, code: int
) -> None:
    answer(monkeypatch, typed)
    done = pull(tmp_path / "r")
    assert done.code == code, done
    shown = fingerprint(public_key_pem(deployed.client("kms"), deployed.signing_key).decode())
    assert shown in "".join((done.out + done.err).split())
    assert (tmp_path / "r").exists() == (code == 0)
    answer(monkeypatch, "")
    assert pull(tmp_path / "r").code == code, "a key that was pinned is not asked for again"


def test_trust_needs_a_person_a_fingerprint_or_yes(deployed: Stack) -> None:
    refused(cards("release", "trust"), "--fingerprint", "--yes")
    refused(cards("release", "trust", "--fingerprint", "0" * 64), "it is not trusted")
    facts = cards("release", "trust", "--yes", "--json").json
    assert facts["deployment"] == deployment_of(deployed)
    grouped = " ".join(facts["fingerprint"][at : at + 4] for at in range(0, 64, 4))
    assert cards("release", "trust", "--fingerprint", grouped.upper()).code == 0
    assert "pinned already" in cards("release", "trust").out


def test_key_that_one_parameter_names_is_refused_once_another_is_pinned(
    deployed: Stack, tmp_path: Path
) -> None:
    assert cards("release", "trust", "--yes").code == 0
    other = new_key(deployed)
    publish(deployed, key=other, serial=9)
    set_parameter(deployed, "signing-key-arn", other)
    refused(pull(tmp_path / "r"), "no signature of a trusted key")
    refused(cards("release", "trust", "--yes"), "another key is pinned", "--replace")
    assert cards("release", "trust", "--yes", "--replace").code == 0
    assert pull(tmp_path / "r").code == 0


def test_bucket_that_one_parameter_names_is_refused(deployed: Stack, tmp_path: Path) -> None:
    assert cards("release", "trust", "--yes").code == 0
    set_parameter(deployed, "release-bucket", "somebody-elses")
    refused(pull(tmp_path / "r"), RELEASE_BUCKET, "somebody-elses", "--replace")


def test_trust_file_pins_the_same_on_a_machine_without_parameters(
    deployed: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "dev.trust.json"
    assert cards("release", "trust", "--out", str(file)).code == 0
    refused(pull(tmp_path / "r"), "cards release trust")  # Nothing was pinned here.
    elsewhere = tmp_path / "elsewhere"
    monkeypatch.setenv("CARDS_TRUST_STORE", str(elsewhere))
    monkeypatch.setattr(DeployedNames, "read", classmethod(no_parameters))
    refused(cards("release", "trust", "--key", str(file)), "--fingerprint")
    assert cards("release", "trust", "--key", str(file), "--yes").code == 0
    assert pull(tmp_path / "r").code == 0
    assert pull(tmp_path / "r", "--deployment", deployment_of(deployed)).code == 0
    refused(pull(tmp_path / "r", "--deployment", "dev/1/x"), "cards release trust")
    assert cards("release", "verify", str(tmp_path / "r")).code == 0


@pytest.mark.parametrize("umask", [0o077, 0o022, 0o000])
def test_trust_file_is_readable_for_every_user_whatever_the_umask(
    deployed: Stack, tmp_path: Path, umask: int
) -> None:
    """It is handed to a device, whose service is another user; only its owner may change it."""
    file = tmp_path / "dev.trust.json"
    before = os.umask(umask)
    try:
        assert cards("release", "trust", "--out", str(file)).code == 0
    finally:
        os.umask(before)
    assert file.stat().st_mode & 0o7777 == 0o644
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_trust_file_with_a_second_key_is_refused(deployed: Stack, tmp_path: Path) -> None:
    """Its fingerprint is the right key's, and the other key would sign manifests."""
    file = tmp_path / "dev.trust.json"
    assert cards("release", "trust", "--out", str(file)).code == 0
    document = json.loads(file.read_text())
    other = public_key_pem(deployed.client("kms"), new_key(deployed)).decode()
    file.write_text(json.dumps({**document, "keys": [other, *document["keys"]]}))
    refused(cards("release", "trust", "--yes", "--key", str(file)), "holds 2 keys")


def no_parameters(cls: type, ssm: object, environment: str = "dev") -> DeployedNames:
    from registry.deployment import DeploymentError

    raise DeploymentError("nothing is deployed")


@pytest.mark.parametrize("text", ["", "no key", "{", '{"schema": 1}', "{}", "x" * 300_000])
def test_file_that_is_no_key_is_refused(deployed: Stack, tmp_path: Path, text: str) -> None:
    file = tmp_path / "key.pem"
    file.write_text(text)
    refused(cards("release", "trust", "--yes", "--key", str(file)), str(file))


def test_verify_uses_the_pinned_key_and_reports_an_expired_statement(
    deployed: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cards("release", "trust", "--yes").code == 0
    body = deployed.client("s3").get_object(
        Bucket=RELEASE_BUCKET, Key=f"releases/{RELEASE}/manifest.json"
    )["Body"].read()  # fmt: skip
    import hashlib

    point(
        deployed, RELEASE, hashlib.sha256(body).hexdigest(), deployed.signing_key, 3,
        lifetime=timedelta(minutes=1),
    )  # fmt: skip
    done = pull(tmp_path / "r")
    assert done.code == 0 and "expired" in done.err
    done = cards("release", "verify", str(tmp_path / "r"))
    assert done.code == 0 and "expired" in done.err
    assert f"is what was signed by {deployment_of(deployed)}" in done.out
    other = json.loads((tmp_path / "r" / "channel.json").read_text())
    other["payload"] = other["payload"][:-8] + "AAAAAAA="
    (tmp_path / "r" / "channel.json").write_text(json.dumps(other))
    refused(cards("release", "verify", str(tmp_path / "r")), "channel.json")
    monkeypatch.setenv("CARDS_TRUST_STORE", str(tmp_path / "empty"))
    refused(cards("release", "verify", str(tmp_path / "r")), "not pinned", "cards release trust")


def test_lower_serial_is_refused_by_the_command(deployed: Stack, tmp_path: Path) -> None:
    assert cards("release", "trust", "--yes").code == 0
    publish(deployed, serial=8)
    assert pull(tmp_path / "r").code == 0
    publish(deployed, serial=7)
    refused(pull(tmp_path / "r"), "serial 7", "8 was seen")
    assert pull(tmp_path / "r", "--release", RELEASE).code == 0


def test_two_rotations_are_followed_by_a_device_that_missed_the_first(
    deployed: Stack, tmp_path: Path
) -> None:
    assert cards("release", "trust", "--yes").code == 0
    assert pull(tmp_path / "r").code == 0
    refused(cards("release", "rotate-key"), "no key follows", "cards.signing_keys=2")
    keys, fingerprints = [deployed.signing_key], []
    for number in (2, 3):
        keys.append(new_key(deployed))
        set_parameter(deployed, "signing-key-arns", ",".join(keys))
        done = cards("release", "rotate-key", "--json")
        assert done.code == 0, done
        fingerprints.append(done.json["new"])
        again = cards("release", "rotate-key")
        assert f"cards.signing_key={number}" in again.out, again
        set_parameter(deployed, "signing-key-arn", keys[-1])
        publish(deployed, key=keys[-1], serial=20 + number)
    done = pull(tmp_path / "r")
    assert done.code == 0, done
    assert cards("release", "verify", str(tmp_path / "r")).code == 0
    assert cards("release", "trust", "--json").json["fingerprint"] == fingerprints[-1]
    publish(deployed, key=keys[1], serial=99)
    refused(pull(tmp_path / "r"), "no signature of a trusted key")


def test_key_in_use_that_was_never_signed_for_is_signed_for_afterwards(
    deployed: Stack, tmp_path: Path
) -> None:
    """The second key was deployed as the one in use before the first had signed for it."""
    first, second = new_key(deployed), new_key(deployed)
    set_parameter(deployed, "signing-key-arn", first)
    publish(deployed, key=first, serial=30)
    assert cards("release", "trust", "--yes").code == 0
    assert pull(tmp_path / "r").code == 0
    set_parameter(deployed, "signing-key-arns", f"{first},{second}")
    set_parameter(deployed, "signing-key-arn", second)
    publish(deployed, key=second, serial=31)
    refused(pull(tmp_path / "r"), "no signature of a trusted key")
    done = cards("release", "rotate-key")
    assert done.code == 0 and "has signed for" in done.out
    assert "no key follows the one in use" in done.out and "cards.signing_keys=3" in done.out
    assert pull(tmp_path / "r").code == 0


def test_second_successor_of_one_key_is_refused(deployed: Stack) -> None:
    first = new_key(deployed)  # in place of the account's key, whose successor other tests sign
    set_parameter(deployed, "signing-key-arn", first)
    for second in (new_key(deployed), new_key(deployed)):
        set_parameter(deployed, "signing-key-arns", f"{first},{second}")
        done = cards("release", "rotate-key")
        if done.code:
            refused(done, "has signed another successor")
            return
    pytest.fail("two successors")


@pytest.mark.parametrize("body", [b"{", b"[1]", b"{}", b"\xff" * 10, b"[" * 300_000])
def test_foreign_object_in_a_successors_place_is_named_with_the_remedy(
    deployed: Stack, body: bytes
) -> None:
    first, second = new_key(deployed), new_key(deployed)
    set_parameter(deployed, "signing-key-arn", first)
    set_parameter(deployed, "signing-key-arns", f"{first},{second}")
    old = fingerprint(public_key_pem(deployed.client("kms"), first).decode())
    key = f"keys/rotation/{old}.json"
    deployed.client("s3").put_object(Bucket=RELEASE_BUCKET, Key=key, Body=body)
    refused(cards("release", "rotate-key"), key, "something else", "remove it")
    deployed.client("s3").delete_object(Bucket=RELEASE_BUCKET, Key=key)
    assert cards("release", "rotate-key").code == 0
