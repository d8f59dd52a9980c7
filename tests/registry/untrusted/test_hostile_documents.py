"""Each reader of a JSON document from outside, with every document that differs in one place.

A reader answers or raises its own error, whatever it is given: nothing that somebody has written
into a bucket, an archive or a folder ends a program otherwise.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from edge.cli.status import status
from edge.state.folder import StateFolder
from edge.state.record import Health, Record, Refusal, changed_record, read_record
from recognition.acceptance.rule import AcceptanceRule
from registry.compilation.reports import COMPILATION_REPORT, check
from registry.fleet.device_report import DeviceReportError, SelfTestResult, parse_report
from registry.registration.request import RegistrationError, RegistrationRequest
from registry.releases import pointers
from registry.releases import statement as statements
from registry.releases.manifest import ManifestError, parse
from registry.releases.pull import pulled_folder
from registry.releases.signatures import envelope, model_signature, provenance
from registry.releases.signatures.in_toto import PAYLOAD_TYPE
from registry.releases.signatures.in_toto import statement as in_toto
from registry.releases.signatures.trust import (
    TrustedDeployment,
    TrustError,
    follow_rotation,
    parse_trusted,
    sign_rotation,
    trust_file,
)
from registry.untrusted.json_object import JsonObjectError, parse_object
from tests.hostile_json import variants
from tests.registry.compilation.compiled_files import report
from tests.registry.fleet.device_reports import FAILED, device_report
from tests.registry.registration.training_jobs import request
from tests.registry.releases.signatures.p256 import Key
from tests.registry.releases.signed_releases import BUCKET, DEPLOYMENT, NOW, fits, pem
from tests.registry.releases.test_manifest import GOOD, RULE

LIMIT = 1024**2
FILES = {"a": "0" * 64}
STATEMENT = statements.Statement(
    "stable", DEPLOYMENT, 7, "release", "0" * 64, NOW, NOW + timedelta(days=3)
)
PLACE = {"release": "r", "package_arn": "a", "name": "n", "since": "s"}
MANIFEST = {
    **GOOD,
    "acceptance": RULE,
    "lineage": [{"name": "n", "arn": "a"}],
    "source": {"name": "n", "arn": "a"},
    "card_set": {"digest": "0" * 64},
    "gate": {"verdict": "passed", "figures": {"cosine_mean": 0.99}},
}
OLD, NEW = Key(), Key()
TRUSTED = TrustedDeployment(DEPLOYMENT, BUCKET, (pem(OLD),))
ROTATION = sign_rotation(DEPLOYMENT, pem(OLD), pem(NEW), OLD.sign, NOW).to_dict()


def sealed(kind: str, payload: bytes) -> dict[str, Any]:
    """As a key would have signed it that a hostile publisher holds."""
    return envelope.seal(kind, payload, OLD.sign, "key").to_dict()


def of_old_key(signature: bytes, message: bytes) -> bool:
    return fits(pem(OLD), signature, message)


def bundle(payload: bytes) -> dict[str, Any]:
    return {"mediaType": model_signature.BUNDLE, "dsseEnvelope": sealed(PAYLOAD_TYPE, payload)}


def rotation(payload: bytes) -> dict[str, Any]:
    return sealed("application/vnd.cards.key-rotation+json", payload)


def of_envelope(document: dict[str, Any]) -> Any:
    return json.loads(base64.b64decode(document["payload"]))


#: A good document, its reader, and the errors that it may raise.
READERS: dict[str, tuple[Any, Callable[[bytes], object], tuple[type[Exception], ...]]] = {
    "device's report": (
        json.loads(device_report(self_test=FAILED).to_bytes()),
        lambda text: parse_report(text, "shop-12"),
        (DeviceReportError,),
    ),
    "registration request": (
        {**request(), "weights": [{"name": "a", "sha256": "0" * 64, "licence": "MIT"}]},
        lambda text: RegistrationRequest.from_json(text, "x"),
        (RegistrationError,),
    ),
    "compile job's report": (
        report("student", "arn"),
        lambda text: check(COMPILATION_REPORT, parse_object(text, LIMIT)),
        (ValueError,),
    ),
    "manifest": (MANIFEST, lambda text: parse(text, "x"), (ManifestError,)),
    "acceptance rule": (
        {**MANIFEST, "acceptance": AcceptanceRule({1: 0.9, 3: 0.8}).to_dict()},
        lambda text: AcceptanceRule.from_manifest(parse(text, "x")),
        (ValueError,),
    ),
    "statement": (
        json.loads(STATEMENT.payload()),
        lambda text: statements.parse(text, "x"),
        (statements.StatementError,),
    ),
    "envelope": (
        sealed("text/plain", b"x"),
        lambda text: envelope.read(parse_object(text, LIMIT), "x"),
        (JsonObjectError, envelope.EnvelopeError),
    ),
    "trust file": (
        json.loads(trust_file(TRUSTED)),
        lambda text: parse_trusted(parse_object(text, LIMIT), "x"),
        (JsonObjectError, TrustError),
    ),
    "rotation's envelope": (
        ROTATION,
        lambda text: follow_rotation(TRUSTED, parse_object(text, LIMIT), fits, "x"),
        (JsonObjectError, TrustError),
    ),
    "rotation": (
        of_envelope(ROTATION),
        lambda text: follow_rotation(TRUSTED, rotation(text), fits, "x"),
        (TrustError,),
    ),
    "model.sig": (
        bundle(model_signature.payload("r", FILES)),
        lambda text: model_signature.check(parse_object(text, LIMIT), FILES, of_old_key, "x"),
        (JsonObjectError, envelope.EnvelopeError),
    ),
    "model.sig's statement": (
        json.loads(model_signature.payload("r", FILES)),
        lambda text: model_signature.check(bundle(text), FILES, of_old_key, "x"),
        (envelope.EnvelopeError,),
    ),
    "provenance.sig's statement": (
        json.loads(
            in_toto(
                provenance.PREDICATE, {"a": 1}, [{"name": "a", "digest": {"sha256": FILES["a"]}}]
            )
        ),
        lambda text: provenance.check(sealed(PAYLOAD_TYPE, text), FILES, of_old_key, "x"),
        (envelope.EnvelopeError,),
    ),
    "pointer and its history": (
        {"channel": "stable", **PLACE, "history": [PLACE]},
        lambda text: pointers.moves_of(parse_object(text, LIMIT), "x"),
        (JsonObjectError, pointers.ChannelError),
    ),
}


@pytest.mark.parametrize("name", READERS)
def test_reader_of_a_hostile_document_raises_its_own_errors_only(name: str) -> None:
    good, read, errors = READERS[name]
    read(json.dumps(good).encode())
    for what, text in variants(good):
        try:
            read(text)
        except errors:
            continue
        except Exception as error:
            error.add_note(what)
            raise


@pytest.mark.parametrize(
    "release", ["../x", "a/b", "", "x" * 300, "a\n", "\x1b[31m", ".hidden", "ａ"]
)
def test_pointer_and_manifest_with_a_hostile_release_are_refused(release: str) -> None:
    with pytest.raises(pointers.ChannelError, match="is no pointer"):
        pointers.moves_of({**PLACE, "release": release}, "x")
    with pytest.raises(ManifestError, match="release is no release's id"):
        parse(json.dumps({**GOOD, "release": release}).encode(), "x")


def test_damaged_record_of_a_pull_is_refused(tmp_path: Path) -> None:
    record = pulled_folder.PullRecord(DEPLOYMENT, "r", {DEPLOYMENT: {"stable": 5}}, ("a",))
    refused = 0
    for what, text in variants(json.loads(record.to_bytes())):
        (tmp_path / pulled_folder.RECORD).write_bytes(text)
        try:
            found = pulled_folder.read_record(tmp_path)
        except pulled_folder.DownloadError:
            refused += 1
            continue
        except Exception as error:
            error.add_note(what)
            raise
        assert isinstance(found, pulled_folder.PullRecord), what
    assert refused > 10


def test_damaged_record_of_a_device_is_none(tmp_path: Path) -> None:
    folder = StateFolder(tmp_path)
    folder.make()
    folder.write(folder.trust, trust_file(TRUSTED))
    with changed_record(folder) as record:
        record.serials, record.etags = {"stable": 5}, {"stable": "e"}
        record.refused = {"0" * 64: Refusal("r", "why", "runtime 1", NOW.isoformat())}
        record.health = Health("r", 1, 2, confirmed=True)
        record.checked = record.expires = record.reported = NOW.isoformat()
        record.self_test = SelfTestResult("r", "0" * 64, passed=False, reason="why")
    path = tmp_path / "record.json"
    good = json.loads(path.read_bytes())
    assert read_record(folder) != Record()
    for what, text in variants(good):
        path.write_bytes(text)
        try:
            status(folder, NOW)
        except Exception as error:
            error.add_note(what)
            raise
