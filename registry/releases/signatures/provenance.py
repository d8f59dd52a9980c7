"""``provenance.sig``: how a release was made, by SLSA provenance v1, for auditors and policies.

It is an in-toto statement in a DSSE envelope, signed with the deployment's key; the specification
is https://slsa.dev/spec/v1.0/provenance. What each field holds is in ``docs/trust.md``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from registry.releases.signatures.envelope import EnvelopeError, Verify
from registry.releases.signatures.envelope import read as read_envelope
from registry.releases.signatures.in_toto import PAYLOAD_TYPE, statement, verified
from registry.releases.signatures.signing import SigningKey

PROVENANCE = "provenance.sig"
PREDICATE = "https://slsa.dev/provenance/v1"
#: Identifies the form of ``externalParameters``; the page describes it.
BUILD_TYPE = "https://card-recognition-registry/docs/trust.md#compile-job-v1"
_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_IMAGE_DIGEST = re.compile(r"@sha256:([0-9a-f]{64})$", re.ASCII)


def predicate(
    manifest: Mapping[str, Any], job: Mapping[str, Any] | None, source: Mapping[str, str]
) -> dict[str, Any]:
    """SLSA's predicate of a release.

    Args:
        manifest: The release's, verified.
        job: DescribeProcessingJob's answer for its compile job; None where SageMaker has it no
            more: role, inputs and start are left out then.
        source: Metadata of the version that it was made from; empty where it was deleted.
    """
    details = job or {}
    builder: dict[str, Any] = {"id": str(details.get("RoleArn") or manifest.get("compile_job"))}
    metadata = {
        "invocationId": manifest.get("compile_job"),
        "startedOn": _moment(details.get("ProcessingStartTime") or details.get("CreationTime")),
        "finishedOn": manifest.get("compiled_at"),
    }
    return {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {
                "source": manifest.get("source"),
                "compiler": manifest.get("compiler"),
                "compile_settings": manifest.get("compile_settings"),
            },
            "internalParameters": {
                "image": manifest.get("image"),
                "toolchain": manifest.get("toolchain"),
            },
            "resolvedDependencies": [
                *_inputs(details, source),
                *_cards(manifest),
                *_image(str(manifest.get("image", ""))),
                *_parents(manifest),
            ],
        },
        "runDetails": {
            "builder": builder,
            "metadata": {key: value for key, value in metadata.items() if value},
            "byproducts": [
                {
                    "name": "compilation.json, canonical",
                    "digest": {"sha256": manifest.get("compilation_report_sha256")},
                }
            ],
        },
    }


def sign(key: SigningKey, files: Mapping[str, str], claim: Mapping[str, Any]) -> bytes:
    """The content of ``provenance.sig``.

    Args:
        key: Signs it.
        files: Hex SHA-256 by the name of each file of the release, the manifest among them.
        claim: From :func:`predicate`.
    """
    subject = [{"name": file, "digest": {"sha256": files[file]}} for file in sorted(files)]
    envelope = key.seal(PAYLOAD_TYPE, statement(PREDICATE, claim, subject))
    return (json.dumps(envelope.to_dict(), indent=2) + "\n").encode()


def check(
    document: object, files: Mapping[str, str], verify: Verify, label: str
) -> Mapping[str, Any]:
    """Checks that an envelope speaks of exactly these files, and returns its predicate.

    Args:
        document: The JSON of ``provenance.sig``.
        files: Hex SHA-256 by the name of each file that is there, the manifest among them.
        verify: Checks a signature.
        label: Names it in errors.

    Raises:
        EnvelopeError: It is malformed, not signed by a trusted key, or of other files.
    """
    found = verified(read_envelope(document, label), PREDICATE, verify, label)
    subject = found.get("subject")
    expected = [{"name": file, "digest": {"sha256": files[file]}} for file in sorted(files)]
    if subject != expected:
        raise EnvelopeError(f"{label}: speaks of other files than those of the release")
    claim: Mapping[str, Any] = found["predicate"]
    return claim


def _inputs(job: Mapping[str, Any], source: Mapping[str, str]) -> list[dict[str, Any]]:
    """The job's inputs; of the model archive, its digest as registered."""
    rows = []
    for entry in job.get("ProcessingInputs", []):
        row: dict[str, Any] = {
            "name": str(entry.get("InputName")),
            "uri": str(entry.get("S3Input", {}).get("S3Uri")),
        }
        archive = source.get("ModelArchive", "").partition(" ")[0]
        if row["name"] == "model" and _SHA256.fullmatch(archive):
            row["digest"] = {"sha256": archive}
        rows.append(row)
    return rows


def _cards(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    digest = str(manifest.get("card_set", {}).get("digest", ""))
    return [{"name": "card set", "digest": {"sha256": digest}}] if _SHA256.fullmatch(digest) else []


def _image(image: str) -> list[dict[str, Any]]:
    found = _IMAGE_DIGEST.search(image)
    row: dict[str, Any] = {"name": "image", "uri": image}
    return [{**row, "digest": {"sha256": found[1]}}] if found else [row]


def _parents(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The versions that the model was made from."""
    return [
        {"name": str(row.get("name")), "uri": str(row["arn"])}
        for row in manifest.get("lineage", [])
        if row.get("arn")
    ]


def _moment(value: object) -> str | None:
    if not isinstance(value, datetime):
        return None
    return value.astimezone(UTC).isoformat(timespec="seconds")
