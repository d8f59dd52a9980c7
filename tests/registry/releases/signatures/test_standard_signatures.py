"""``model.sig`` and ``provenance.sig`` of a release are what standard tools verify."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from registry.names import RELEASES_PREFIX
from registry.releases.manifest import MANIFEST, SIGNATURE, canonical
from registry.releases.signatures import model_signature, provenance
from registry.releases.signatures.release_signatures import signed_files
from registry.releases.signatures.signing import SigningKey
from tests.model_signing_tool import verify_provenance_with_tool, verify_with_tool
from tests.registry.compilation.compiled_files import FILES
from tests.registry.releases.signatures.p256 import Key, KmsOfKey, example_manifest

RELEASE = "student-efficientnet-lite0-stage2-v1.onnx-int8-01234567"
KEY, OTHER = Key(), Key()


@pytest.fixture
def pulled(tmp_path: Path) -> Path:
    """A pulled release with everything that a client keeps beside its files, and its key."""
    folder, signer = tmp_path / "any-name", SigningKey(KmsOfKey(KEY), "arn")
    folder.mkdir()
    manifest = example_manifest(RELEASE, FILES)
    body = canonical(manifest)
    files = signed_files(manifest, body)
    claim = provenance.predicate(manifest, None, {})
    contents = {
        **FILES,
        MANIFEST: body,
        SIGNATURE: signer.sign(body),
        "model.sig": model_signature.sign(signer, RELEASE, files),
        "provenance.sig": provenance.sign(signer, files, claim),
        "signing-key.pem": signer.public_key_pem,
        "channel.json": b"{}",
        ".cards-release.json": b"{}",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (tmp_path / "trusted.pem").write_bytes(signer.public_key_pem)
    (tmp_path / "other.pem").write_bytes(SigningKey(KmsOfKey(OTHER), "arn").public_key_pem)
    return folder


@pytest.mark.processes
def test_model_signing_verifies_a_release(pulled: Path) -> None:
    said = verify_with_tool(pulled, pulled.parent / "trusted.pem")
    assert said.returncode == 0, said.stdout + said.stderr


CHANGES: dict[str, Callable[[Path], object]] = {
    "changed": lambda folder: (folder / "model.onnx").write_bytes(b"another"),
    "changed manifest": lambda folder: (folder / MANIFEST).write_bytes(b"{}"),
    "added": lambda folder: (folder / "extra.txt").write_bytes(b"x"),
    "removed": lambda folder: (folder / "model.onnx").unlink(),
    "renamed": lambda folder: (folder / "model.onnx").rename(folder / "model2.onnx"),
}


@pytest.mark.processes
@pytest.mark.parametrize("change", CHANGES)
def test_model_signing_refuses_a_release_with_a_file(pulled: Path, change: str) -> None:
    CHANGES[change](pulled)
    said = verify_with_tool(pulled, pulled.parent / "trusted.pem")
    assert said.returncode != 0
    assert "Signature mismatch" in said.stdout + said.stderr


@pytest.mark.processes
def test_model_signing_refuses_another_key(pulled: Path) -> None:
    assert verify_with_tool(pulled, pulled.parent / "other.pem").returncode != 0


@pytest.mark.processes
def test_provenance_is_verified_by_securesystemslib(pulled: Path) -> None:
    said = verify_provenance_with_tool(pulled, pulled.parent / "trusted.pem")
    assert said.returncode == 0, said.stderr
    assert verify_provenance_with_tool(pulled, pulled.parent / "other.pem").returncode != 0


def test_provenance_names_source_compile_settings_and_every_file(pulled: Path) -> None:
    document = json.loads((pulled / "provenance.sig").read_text())
    statement = json.loads(base64.b64decode(document["payload"]))
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    assert {row["name"] for row in statement["subject"]} == {*FILES, MANIFEST}
    build = statement["predicate"]["buildDefinition"]
    assert build["externalParameters"]["source"]["name"] == "student-efficientnet-lite0-stage2-v1"
    assert {"name": "card set", "digest": {"sha256": "d" * 64}} in build["resolvedDependencies"]
    assert RELEASES_PREFIX not in json.dumps(statement)
