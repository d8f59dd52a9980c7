"""``cards release``: a release is trusted only while it is what was signed."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from registry.contract import Contract
from registry.releases.manifest import canonical
from registry.releases.signatures.signing import SigningKey, public_key_pem
from registry.releases.statement import Statement
from registry.releases.statement import sign as sign_statement
from registry.untrusted.text import printable
from tests.cli.command import cards, refused
from tests.cli.conftest import RELEASE_BUCKET, Stack

RELEASE = "student-efficientnet-lite0-stage2-v1.onnx-int8-01234567"
FILES = {"model.int8.onnx": b"a model" * 100, "metadata.json": b"{}"}


def publish(
    aws: Stack,
    release: str = RELEASE,
    channel: bool = True,
    key: str = "",
    serial: int = 1,
    **changes: Any,
) -> dict[str, Any]:
    """Writes a release as the automation does, signed by the deployment's key or another."""
    key = key or aws.signing_key
    manifest = {
        "schema": 1,
        "release": release,
        "name": "student-efficientnet-lite0-int8-v1",
        "source": {"name": "student-efficientnet-lite0-stage2-v1", "arn": "arn"},
        "compiler": "onnx-int8",
        "compiled_at": "2026-01-02T03:04:05+00:00",
        "model": "model.int8.onnx",
        "contract": Contract().to_dict(),
        "acceptance_threshold": 0.7,
        "card_set": {"digest": "d" * 64, "cards": 12},
        "gate": {"verdict": "passed", "figures": {}},
        "lineage": [],
        "files": {
            name: {"sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)}
            for name, body in FILES.items()
        },
        **changes,
    }
    body = canonical(manifest)
    s3 = aws.client("s3")
    objects = {
        **FILES,
        "manifest.json": body,
        "manifest.sig": SigningKey(aws.client("kms"), key).sign(body),
    }
    for name, content in objects.items():
        s3.put_object(Bucket=RELEASE_BUCKET, Key=f"releases/{release}/{name}", Body=content)
    if channel:
        point(aws, release, hashlib.sha256(body).hexdigest(), key, serial)
    return manifest


def point(
    aws: Stack,
    release: str,
    digest: str,
    key: str,
    serial: int,
    lifetime: timedelta = timedelta(days=30),
) -> None:
    """Moves stable, with a signed statement."""
    now = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    stated = Statement("stable", deployment_of(aws), serial, release, digest, now, now + lifetime)
    envelope = sign_statement(stated, SigningKey(aws.client("kms"), key).sign, "key")
    pointer = {
        "release": release, "package_arn": "arn", "name": "n", "statement": envelope.to_dict()
    }  # fmt: skip
    aws.client("s3").put_object(
        Bucket=RELEASE_BUCKET, Key="channels/stable.json", Body=json.dumps(pointer).encode()
    )


def deployment_of(aws: Stack) -> str:
    return f"dev/{aws.account.number}/us-east-2"


@pytest.fixture
def published(aws: Stack) -> Stack:
    """A release in stable, whose key is pinned."""
    publish(aws)
    done = cards("release", "trust", "--yes")
    assert done.code == 0, done
    return aws


def test_release_is_listed_shown_pulled_and_verified(published: Stack, tmp_path: Path) -> None:
    publish(published, "student-efficientnet-lite0-stage2-v2.onnx-int8-01234567", channel=False)
    listed = {row["release"]: row for row in cards("release", "list", "--json").json}
    assert listed[RELEASE]["stable"]
    assert len(listed) == 2
    assert cards("release", "show", "--json").json["release"] == RELEASE
    out = tmp_path / "release"
    pulled = cards("release", "pull", "--out", str(out))
    assert pulled.code == 0, pulled
    assert RELEASE in pulled.out
    assert {name: (out / name).read_bytes() for name in FILES} == FILES
    assert cards("release", "verify", str(out)).code == 0


def test_manifest_is_shown_with_the_licence_of_the_scans_or_that_it_is_not_stated(
    published: Stack,
) -> None:
    assert "Licence of the scans not stated" in " ".join(cards("release", "show").out.split())
    publish(published, card_set={"digest": "d" * 64, "cards": 12, "licence": "CC-BY-4.0, by Ada"})
    assert "Licence of the scans CC-BY-4.0, by Ada" in " ".join(
        cards("release", "show", RELEASE).out.split()
    )


def test_pulled_release_is_replaced_whole(published: Stack, tmp_path: Path) -> None:
    out = tmp_path / "release"
    assert cards("release", "pull", "--out", str(out)).code == 0
    (out / "model.int8.onnx").write_text("x")
    assert cards("release", "pull", "--out", str(out)).code == 0
    assert {name: (out / name).read_bytes() for name in FILES} == FILES
    assert [path.name for path in tmp_path.iterdir()] == ["release"]


def test_pulled_folder_with_an_added_file_is_not_changed(published: Stack, tmp_path: Path) -> None:
    out = tmp_path / "release"
    assert cards("release", "pull", "--out", str(out)).code == 0
    (out / "left-over").write_text("x")
    refused(cards("release", "pull", "--out", str(out)), "left-over")
    assert (out / "left-over").read_text() == "x"


def test_folder_with_other_files_is_not_changed(published: Stack, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("x")
    refused(cards("release", "pull", "--out", str(tmp_path)), str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_changed_file_in_the_bucket_is_not_put_in_place(published: Stack, tmp_path: Path) -> None:
    published.client("s3").put_object(
        Bucket=RELEASE_BUCKET, Key=f"releases/{RELEASE}/model.int8.onnx", Body=b"evil" * 175
    )
    refused(cards("release", "pull", "--out", str(tmp_path / "release")), "model.int8.onnx")
    assert list(tmp_path.iterdir()) == []


def test_manifest_that_the_key_did_not_sign_is_refused(published: Stack, tmp_path: Path) -> None:
    s3, key = published.client("s3"), f"releases/{RELEASE}/manifest.json"
    body = s3.get_object(Bucket=RELEASE_BUCKET, Key=key)["Body"].read()
    s3.put_object(Bucket=RELEASE_BUCKET, Key=key, Body=body.replace(b"0.7", b"0.1"))
    for command in (["pull", "--out", str(tmp_path / "release")], ["show"]):
        refused(cards("release", *command), "signature")
    assert list(tmp_path.iterdir()) == []


def test_verification_trusts_the_key_that_it_is_given_and_no_other(
    published: Stack, tmp_path: Path
) -> None:
    out, kms = tmp_path / "release", published.client("kms")
    assert cards("release", "pull", "--out", str(out)).code == 0
    right = tmp_path / "right.pem"
    right.write_bytes(public_key_pem(kms, published.signing_key))
    assert cards("release", "verify", str(out), "--key", str(right)).code == 0
    other = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"]
    wrong = tmp_path / "wrong.pem"
    wrong.write_bytes(public_key_pem(kms, other))
    refused(cards("release", "verify", str(out), "--key", str(wrong)), "signature")
    wrong.write_text("no key")
    refused(cards("release", "verify", str(out), "--key", str(wrong)), "PEM")


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_changed_byte_on_disk_is_found(published: Stack, tmp_path: Path, name: str) -> None:
    out = tmp_path / "release"
    assert cards("release", "pull", "--out", str(out)).code == 0
    body = bytearray((out / name).read_bytes())
    body[-1] ^= 1
    (out / name).write_bytes(bytes(body))
    refused(cards("release", "verify", str(out)), name.partition(".")[0])


ADDED = {
    "notes.txt": lambda path: path.write_text("x"),
    ".DS_Store": lambda path: path.write_bytes(b""),
    "model.onnx.data": lambda path: path.symlink_to("metadata.json"),
    "sitecustomize": lambda path: path.mkdir(),
    "\x1b[31m": lambda path: path.write_text("x"),
}


@pytest.mark.parametrize("name", ADDED)
def test_added_file_on_disk_is_refused_by_name(published: Stack, tmp_path: Path, name: str) -> None:
    out = tmp_path / "release"
    assert cards("release", "pull", "--out", str(out)).code == 0
    ADDED[name](out / name)
    said = cards("release", "verify", str(out))
    refused(said, printable(name), "no file that was signed")
    assert "\x1b" not in said.err


def test_folder_in_place_of_a_signature_on_disk_is_refused(
    published: Stack, tmp_path: Path
) -> None:
    """Standard tools ignore that name and all that is below it."""
    out = tmp_path / "release"
    assert cards("release", "pull", "--out", str(out)).code == 0
    (out / "provenance.sig").unlink(missing_ok=True)
    (out / "provenance.sig").mkdir()
    refused(cards("release", "verify", str(out)), "provenance.sig", "no file that was signed")


def test_empty_channel_is_refused_with_the_remedy(aws: Stack, tmp_path: Path) -> None:
    assert cards("release", "trust", "--yes").code == 0
    for channel, words in (("candidate", ["candidate", "approve"]), ("beta", ["'beta'", "stable"])):
        refused(
            cards("release", "pull", "--channel", channel, "--out", str(tmp_path / "r")), *words
        )


def test_unknown_release_says_where_to_look(aws: Stack, tmp_path: Path) -> None:
    assert cards("release", "trust", "--yes").code == 0
    words = ["pull", "--release", "nothing", "--out", str(tmp_path / "r")]
    refused(cards("release", *words), "nothing", "cards release list")
    refused(cards("release", "show", "nothing"), "nothing", "cards release list")


@pytest.mark.parametrize("command", ["promote", "rollback"])
@pytest.mark.parametrize(
    ("channel", "words"),
    [
        ("candidate", ["--channel candidate", "cannot be held", "stable"]),
        ("beta", ["channel 'beta'", "not declared", "candidate, stable"]),
    ],
)
def test_promote_and_rollback_of_a_channel_that_cannot_be_held_are_refused(
    command: str, channel: str, words: list[str]
) -> None:
    refused(cards("release", command, "--channel", channel, "--reason", "x"), *words)
