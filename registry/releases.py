"""Releases: folders in the release bucket that are complete or absent.

The files are copied first and checked, then the signature is written, the manifest last and only
once (``If-None-Match: *``): whoever finds a manifest finds everything that it names. The manifest
is the same whoever writes it and whenever, so a publication that was interrupted, or that runs
twice at once, ends in one consistent folder.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from botocore.exceptions import ClientError

from registry.aws import error_code, is_missing
from registry.compilation import CompilationError, read_report, verdict
from registry.contract import Contract
from registry.convergence import Verdict
from registry.lineage import ancestors
from registry.manifest import (
    MANIFEST,
    SCHEMA,
    SIGNATURE,
    File,
    ManifestError,
    canonical,
    files_of,
    sha256,
)
from registry.metadata import COMPILE_JOB, PARENT_ARN, PARENT_NAME, metric_key, metric_value
from registry.name_claims import claim_name
from registry.names import COMPILATIONS_PREFIX, KEYS_PREFIX, RELEASES_PREFIX, STUDENT, release_id
from registry.packages import APPROVED, REJECTED, NewPackage, Package, create, describe, find
from registry.recipe import COMPILED_STAGES, Recipe

SIGNING_ALGORITHM = "ECDSA_SHA_256"
COMPILATION_REPORT = "compilation.json"
FIDELITY_REPORT = "fidelity.json"
_CHUNK = 1024**2
_ARTIFACT = re.compile(r"(onnx|int8|hailo8l)/model\.tar\.gz")


@dataclass(frozen=True)
class Publisher:
    """The clients and places that publishing needs.

    Attributes:
        sagemaker: A boto3 SageMaker client.
        s3: A boto3 S3 client.
        kms: A boto3 KMS client.
        signing_key: ARN of the asymmetric key (ECC P-256) that signs manifests.
    """

    sagemaker: Any
    s3: Any
    kms: Any
    group: str
    training_bucket: str
    release_bucket: str
    signing_key: str


def is_complete(s3: Any, bucket: str, release: str) -> bool:
    """Whether a release is there: its manifest, which is written last, exists."""
    try:
        s3.head_object(Bucket=bucket, Key=f"{RELEASES_PREFIX}{release}/{MANIFEST}")
    except ClientError as error:
        if is_missing(error):
            return False
        raise
    return True


def publish(to: Publisher, source: Package, recipe: Recipe, job_name: str) -> str:
    """Publishes the release of an approved version from its completed compile job.

    Registers what was compiled (ONNX and INT8 or HEF) as versions of the group, copies the files,
    signs the manifest. Safe to repeat and to run twice at once.

    Returns:
        The release's id.

    Raises:
        CompilationError: The job's reports are damaged, of another version, or its gate failed.
        ManifestError: A file is not what the report says.
    """
    assert source.name is not None
    report, fidelity = _reports(to, source, job_name)
    if verdict(fidelity) is not Verdict.PASSED:
        raise CompilationError(f"{job_name}: its fidelity gate did not pass; nothing is published")
    files = files_of(report, f"{job_name}: {COMPILATION_REPORT}")
    shipped = _shipped(report, files, job_name)
    packages = register_compiled(to, source, recipe, job_name, report, fidelity)
    release = release_id(source.name, recipe.compiler, recipe.id)
    prefix = f"{RELEASES_PREFIX}{release}/"
    for name, file in shipped.items():
        _copy_checked(
            to, f"{COMPILATIONS_PREFIX}{job_name}/{name}", f"{prefix}{name}", file, job_name
        )
    body = canonical(
        _manifest(to, source, recipe, job_name, release, report, fidelity, shipped, packages)
    )
    signature = sign(to.kms, to.signing_key, body)
    put_public_key(to)
    to.s3.put_object(Bucket=to.release_bucket, Key=f"{prefix}{SIGNATURE}", Body=signature)
    try:
        to.s3.put_object(
            Bucket=to.release_bucket,
            Key=f"{prefix}{MANIFEST}",
            Body=body,
            ContentType="application/json",
            ChecksumSHA256=base64.b64encode(hashlib.sha256(body).digest()).decode(),
            IfNoneMatch="*",
        )
    except ClientError as error:
        if error_code(error) not in ("PreconditionFailed", "ConditionalRequestConflict"):
            raise
    return release


def register_compiled(
    to: Publisher,
    source: Package,
    recipe: Recipe,
    job_name: str,
    report: Mapping[str, Any],
    fidelity: Mapping[str, Any],
) -> dict[str, str]:
    """Registers what a compile job made; ``Rejected`` with its reasons when the gate failed.

    Returns:
        Name by stage, for example ``{"onnx": "student-…-onnx-v1", "int8": "student-…-int8-v1"}``.
    """
    passed = verdict(fidelity) is Verdict.PASSED
    reasons = "; ".join(str(reason) for reason in fidelity.get("reasons", []))
    job = to.sagemaker.describe_processing_job(ProcessingJobName=job_name)
    parent_arn, parent_name = source.arn, str(source.name)
    assert source.name is not None
    names = {}
    for entry in _package_entries(report, recipe, job_name):
        stage = entry["stage"]
        name = claim_name(
            to.s3,
            to.training_bucket,
            STUDENT,
            source.name.architecture,
            stage,
            source=job["ProcessingJobArn"],
            since=job["CreationTime"],
        )
        existing = find(to.sagemaker, to.group, name, created_after=job["CreationTime"])
        arn = (
            existing.arn
            if existing
            else create(
                to.sagemaker,
                to.group,
                NewPackage(
                    name=name,
                    approval=APPROVED if passed else REJECTED,
                    summary=_summary(entry, recipe, parent_name),
                    model_data_url=(
                        f"s3://{to.training_bucket}/{COMPILATIONS_PREFIX}{job_name}/"
                        f"{entry['artifact']}"
                    ),
                    image=source.image,
                    metadata={
                        **entry["metadata"],
                        **{
                            metric_key(key): metric_value(value)
                            for key, value in entry["metrics"].items()
                        },
                        PARENT_ARN: parent_arn,
                        PARENT_NAME: parent_name,
                        COMPILE_JOB: job_name,
                    },
                    generated_by=job["ProcessingJobArn"],
                    approval_reason=(
                        f"{'Passed' if passed else 'Failed'} the fidelity gate of {job_name}"
                        + (f": {reasons}" if reasons else "")
                    ),
                ),
            )
        )
        names[stage] = str(name)
        parent_arn, parent_name = arn, str(name)
    return names


def sign(kms: Any, key: str, body: bytes) -> bytes:
    """Signs a manifest: ECDSA over P-256 with SHA-256, DER-encoded, as KMS gives it."""
    answer = kms.sign(
        KeyId=key,
        Message=hashlib.sha256(body).digest(),
        MessageType="DIGEST",
        SigningAlgorithm=SIGNING_ALGORITHM,
    )
    return bytes(answer["Signature"])


def public_key_pem(kms: Any, key: str) -> bytes:
    """The public half of the signing key, as PEM (SubjectPublicKeyInfo)."""
    der = base64.b64encode(kms.get_public_key(KeyId=key)["PublicKey"]).decode()
    lines = "\n".join(der[at : at + 64] for at in range(0, len(der), 64))
    return f"-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----\n".encode()


def public_key_name(key_arn: str) -> str:
    """The public key's object in the release bucket."""
    return f"{KEYS_PREFIX}{key_arn.rpartition('/')[2]}.pem"


def put_public_key(to: Publisher) -> None:
    """Writes the public key beside the releases, once."""
    try:
        to.s3.put_object(
            Bucket=to.release_bucket,
            Key=public_key_name(to.signing_key),
            Body=public_key_pem(to.kms, to.signing_key),
            IfNoneMatch="*",
        )
    except ClientError as error:
        if error_code(error) not in ("PreconditionFailed", "ConditionalRequestConflict"):
            raise


def _reports(
    to: Publisher, source: Package, job_name: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    report = read_report(to.s3, to.training_bucket, job_name, COMPILATION_REPORT)
    fidelity = read_report(to.s3, to.training_bucket, job_name, FIDELITY_REPORT)
    if report.get("source_arn") != source.arn or report.get("source_name") != str(source.name):
        raise CompilationError(
            f"{job_name}: {COMPILATION_REPORT} is of {report.get('source_name')!r}, "
            f"not of {source.name}"
        )
    return report, fidelity


def _shipped(
    report: Mapping[str, Any], files: Mapping[str, File], job_name: str
) -> dict[str, File]:
    names = report.get("ship")
    if not isinstance(names, list) or not names or any(name not in files for name in names):
        raise ManifestError(
            f"{job_name}: {COMPILATION_REPORT}: ship names a file that is not in files"
        )
    return {name: files[name] for name in names}


def _package_entries(
    report: Mapping[str, Any], recipe: Recipe, job_name: str
) -> list[dict[str, Any]]:
    entries = report.get("packages")
    allowed = ["onnx", COMPILED_STAGES[recipe.compiler]]
    if not isinstance(entries, list) or [e.get("stage") for e in entries] != allowed:
        raise CompilationError(f"{job_name}: {COMPILATION_REPORT}: packages must be {allowed}")
    for entry in entries:
        if not _ARTIFACT.fullmatch(str(entry.get("artifact"))):
            raise CompilationError(f"{job_name}: {entry.get('artifact')!r} is no artifact's name")
    return entries


def _summary(entry: Mapping[str, Any], recipe: Recipe, parent: str) -> str:
    metadata, metrics = entry["metadata"], entry["metrics"]
    parts = [f"{metadata.get('Architecture', '?')} as {entry['stage']}"]
    if "top1" in metrics:
        parts.append(f"top-1 {metrics['top1']:.3f}")
    if entry["stage"] != "onnx":
        parts.append(f"made by {recipe.compiler}")
    return ", ".join([*parts, f"from {parent}"])


def _copy_checked(to: Publisher, key: str, target: str, file: File, job_name: str) -> None:
    """Copies one file on S3's side, having read the very bytes that are copied."""
    try:
        answer = to.s3.get_object(Bucket=to.training_bucket, Key=key)
    except ClientError as error:
        if is_missing(error):
            raise ManifestError(
                f"{job_name}: {key} is in the report and not in the bucket"
            ) from None
        raise
    digest, size = hashlib.sha256(), 0
    for chunk in answer["Body"].iter_chunks(_CHUNK):
        digest.update(chunk)
        size += len(chunk)
    if digest.hexdigest() != file.sha256 or size != file.bytes:
        raise ManifestError(
            f"{job_name}: {key} has {size} bytes and digest {digest.hexdigest()[:12]}…, the report "
            f"says {file.bytes} and {file.sha256[:12]}…; nothing is published"
        )
    to.s3.copy_object(
        Bucket=to.release_bucket,
        Key=target,
        CopySource={"Bucket": to.training_bucket, "Key": key},
        CopySourceIfMatch=answer["ETag"],
    )


def _manifest(
    to: Publisher,
    source: Package,
    recipe: Recipe,
    job_name: str,
    release: str,
    report: Mapping[str, Any],
    fidelity: Mapping[str, Any],
    shipped: Mapping[str, File],
    packages: Mapping[str, str],
) -> dict[str, Any]:
    job = to.sagemaker.describe_processing_job(ProcessingJobName=job_name)
    described = describe(to.sagemaker, source.arn)
    chain = ancestors(to.sagemaker, described) if described else []
    return {
        "schema": SCHEMA,
        "release": release,
        "name": packages[COMPILED_STAGES[recipe.compiler]],
        "source": {"name": str(source.name), "arn": source.arn},
        "compiled_at": job["ProcessingEndTime"].astimezone(UTC).isoformat(timespec="seconds"),
        "compile_job": job["ProcessingJobArn"],
        "compiler": recipe.compiler,
        "recipe": recipe.document,
        "recipe_id": recipe.id,
        "image": recipe.image,
        "toolchain": report.get("toolchain", {}),
        "model": report.get("model") or next(iter(shipped)),
        "contract": Contract.from_dict(report.get("contract", {})).to_dict(),
        "acceptance_threshold": report.get("acceptance_threshold"),
        "card_set": report.get("card_set", {}),
        "gate": {"verdict": fidelity["verdict"], "figures": fidelity.get("figures", {})},
        "lineage": [
            {"name": package.label, "arn": package.arn} for package in reversed([source, *chain])
        ]
        + [{"name": name, "stage": stage} for stage, name in packages.items()],
        "files": {
            name: {"sha256": file.sha256, "bytes": file.bytes} for name, file in shipped.items()
        },
        "signature": {
            "algorithm": SIGNING_ALGORITHM,
            "key": to.signing_key,
            "file": SIGNATURE,
        },
        "compilation_report_sha256": sha256(canonical(report)),
    }
