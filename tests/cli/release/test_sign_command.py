"""``cards release sign``: releases of earlier versions are named as such, and signed again."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cli.aws import AwsSession
from cli.errors import CliError
from cli.operations.checks.check import State
from cli.operations.checks.releases import signatures
from registry.automation.actions import MOVE_CHANNELS, SIGN_RELEASE
from registry.releases.manifest import ManifestError
from registry.releases.verification import sign_release
from tests.cli.command import cards, refused
from tests.cli.conftest import RELEASE_BUCKET, Stack
from tests.cli.release.test_commands import RELEASE, point, publish
from tests.model_signing_tool import verify_with_tool

ALL = ["manifest.sig", "model.sig", "provenance.sig"]


@pytest.fixture
def old(aws: Stack, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """A stable release of an earlier version of the product; the publisher runs in this process."""
    for page in aws.client("s3").get_paginator("list_objects_v2").paginate(Bucket=RELEASE_BUCKET):
        for entry in page.get("Contents", []):
            aws.client("s3").delete_object(Bucket=RELEASE_BUCKET, Key=entry["Key"])
    publish(aws)

    def invoke(session: AwsSession, function: str, detail: dict[str, Any]) -> dict[str, Any]:
        if detail == MOVE_CHANNELS:
            return {"result": "stable -> nothing"}
        try:
            signed = sign_release(session.deployment, detail[SIGN_RELEASE])
        except ManifestError as error:
            raise CliError(f"publisher: {error}") from None
        return {"result": ", ".join(signed) or "nothing to sign"}

    monkeypatch.setattr("cli.release.sign.invoke", invoke)
    assert cards("release", "trust", "--yes").code == 0
    return aws


def listed() -> dict[str, Any]:
    return {
        row["release"]: row["missing_signatures"] for row in cards("release", "list", "--json").json
    }


def test_list_show_and_verify_name_the_missing_signatures(old: Stack, tmp_path: Path) -> None:
    assert listed() == {RELEASE: ALL}
    advice = f"{RELEASE} was signed by an earlier version of this product and lacks "
    for words in (("list",), ("show",)):
        out = " ".join(cards("release", *words).out.split())
        assert advice + ", ".join(ALL) in out
        assert "cards release sign --all" in out
    folder = str(tmp_path / "release")
    assert cards("release", "pull", "--out", folder).code == 0
    said = cards("release", "verify", folder)
    assert said.code == 0, said
    assert "without model.sig and provenance.sig" in " ".join(said.out.split())


@pytest.mark.processes
def test_sign_all_adds_what_standard_tools_verify(old: Stack, tmp_path: Path) -> None:
    signed = cards("release", "sign", "--all", "--json")
    assert signed.json == [{"release": RELEASE, "signed": ", ".join(ALL)}]
    assert listed() == {RELEASE: []}
    again = cards("release", "sign", "--all")
    assert (again.code, again.out) == (
        0,
        "every release has its signatures\n"
        "channels, each with its signed statement: stable -> nothing\n",
    )
    folder = tmp_path / "release"
    assert cards("release", "pull", "--out", str(folder)).code == 0
    said = cards("release", "verify", str(folder))
    assert said.code == 0 and "without" not in said.out, said
    tool = verify_with_tool(folder, folder / "signing-key.pem")
    assert tool.returncode == 0, tool.stdout + tool.stderr


def test_damaged_release_keeps_no_other_from_its_signatures(old: Stack) -> None:
    damaged = "student-a-stage2-v1.onnx-int8-01234567"  # It comes first in the list.
    old.client("s3").put_object(
        Bucket=RELEASE_BUCKET, Key=f"releases/{damaged}/manifest.json", Body=b"of nobody"
    )
    done = cards("release", "sign", "--all", "--json")
    assert done.code == 1 and damaged in done.err
    first, second = done.json
    assert first["release"] == damaged and "no signature" in first["error"]
    assert second == {"release": RELEASE, "signed": ", ".join(ALL)}
    assert listed()[RELEASE] == []
    refused(cards("release", "sign", damaged), damaged)


@pytest.mark.parametrize("name", ALL[1:])
def test_verify_refuses_a_signature_that_does_not_fit(
    old: Stack, tmp_path: Path, name: str
) -> None:
    assert cards("release", "sign", RELEASE).code == 0
    folder = tmp_path / "release"
    assert cards("release", "pull", "--out", str(folder)).code == 0
    (folder / name).write_text("{}")
    refused(cards("release", "verify", str(folder)), name, "does not fit the release")


def test_sign_without_a_choice_or_of_an_unknown_release_is_refused(old: Stack) -> None:
    refused(cards("release", "sign"), "name one release, or give --all")
    refused(cards("release", "sign", RELEASE, "--all"), "name one release, or give --all")
    refused(cards("release", "sign", "nothing"), "nothing: is no complete release")


def test_doctor_names_releases_without_signatures_and_expired_statements(old: Stack) -> None:
    context: Any = SimpleNamespace(deployment=AwsSession("dev").deployment, environment="dev")
    (result,) = signatures(context)
    assert result.state is State.WARNING
    assert result.remedy == "cards release sign --all -e dev"
    assert cards("release", "sign", "--all").code == 0
    (result,) = signatures(context)
    assert result.state is State.OK
    point(old, RELEASE, "0" * 64, old.signing_key, 7, timedelta(minutes=1))
    (result,) = signatures(context)
    assert result.state is State.FAILED and "stable: its statement expired" in result.line
    assert result.remedy == "cards reconcile -e dev"
