"""Releases: folders in the release bucket that are complete or absent.

The files are copied first and checked, then the signature is written, the manifest last and only
once (``If-None-Match: *``): whoever finds a manifest finds everything that it names. The manifest
is the same whoever writes it and whenever, so a publication that was interrupted, or that runs
twice at once, ends in one consistent folder.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import UTC
from typing import Any

from botocore.exceptions import ClientError

from registry.aws import put_once
from registry.aws_errors import is_missing
from registry.compilation.compile_settings import CompileSettings
from registry.compilation.compiled_versions import register_compiled
from registry.compilation.completed_job import (
    model_digest,
    own_job,
    require_registered_inputs,
    require_unchanged_outputs,
)
from registry.compilation.jobs import CompilationError, gate_verdict, read_report
from registry.compilation.reports import COMPILATION_REPORT, FIDELITY_REPORT
from registry.compilers import compiler_of_stage
from registry.contract import Contract
from registry.convergence import Verdict
from registry.deployment import Deployment
from registry.lineage.ancestry import ancestors
from registry.names import (
    COMPILATIONS_PREFIX,
    RELEASES_PREFIX,
    RETIRED,
    parse_compile_job,
    release_id,
)
from registry.releases.folders import folder
from registry.releases.manifest import (
    MANIFEST,
    SCHEMA,
    SIGNATURE,
    File,
    ManifestError,
    canonical,
    files_of,
    sha256,
)
from registry.releases.release_owner import is_stale, owner_arn
from registry.releases.signatures import release_signatures
from registry.releases.signatures.signing import SIGNING_ALGORITHM, put_public_key
from registry.releases.verification import sign_release, verify_release
from registry.versions.metadata import COMPILE_JOB
from registry.versions.packages import Package, describe
from registry.weight_origins import WeightOrigin, WeightOriginError, read_origins

_CHUNK = 1024**2
#: How often a manifest is written before what else writes there is left to a person.
_WRITE_ATTEMPTS = 2


class CopyError(RuntimeError):
    """S3 has written other bytes than it was given: a fault, and not the job's."""


def withdraw(deployment: Deployment, release: str) -> None:
    """Makes a release absent: without its manifest it is not there.

    The files stay, so that it can be published again; so does the manifest, as an earlier version
    of its object.
    """
    deployment.s3.delete_object(
        Bucket=deployment.release_bucket, Key=f"{RELEASES_PREFIX}{release}/{MANIFEST}"
    )


def release_of(package: Package) -> str | None:
    """The release that a compiled version belongs to, by the job that compiled it.

    None for a version that no compile job made, and for an ONNX version, which a release holds
    beside what it is for. Whether the release is there is another question:
    :func:`registry.releases.folders.is_complete`.
    """
    compiler = compiler_of_stage(package.name.stage) if package.name else None
    job = parse_compile_job(package.metadata.get(COMPILE_JOB, ""))
    return release_id(job[0], compiler.name, job[1]) if job and compiler else None


def publish(
    deployment: Deployment, source: Package, compile_settings: CompileSettings, job_name: str
) -> str:
    """Publishes the release of an approved version from its completed compile job.

    Registers what was compiled (ONNX and INT8 or HEF) as versions of the group, copies the files,
    signs the manifest. Safe to repeat and to run twice at once.

    Returns:
        The release's id.

    Raises:
        CompilationError: The job is not this deployment's or compiled other bytes than those
            that were registered; its reports are damaged, of another version, or its gate failed;
            or the release is that of another version of the same name.
        ManifestError: A file is not what the report says.
    """
    assert source.name is not None
    job = own_job(deployment, source, compile_settings, job_name)
    report, fidelity = _reports(deployment, source, job_name)
    require_registered_inputs(source, job, report)
    require_unchanged_outputs(deployment, job)
    if gate_verdict(fidelity) is not Verdict.PASSED:
        raise CompilationError(f"{job_name}: its fidelity gate did not pass; nothing is published")
    files = files_of(report, f"{job_name}: {COMPILATION_REPORT}")
    shipped = _shipped(report, files, job_name)
    packages = register_compiled(
        deployment,
        source=source,
        compile_settings=compile_settings,
        job_name=job_name,
        report=report,
        fidelity=fidelity,
    )
    release = release_id(source.name, compile_settings.compiler, compile_settings.id)
    prefix = f"{RELEASES_PREFIX}{release}/"
    there = folder(deployment.s3, deployment.release_bucket, release)
    if there and there.retired:
        # Retired, and compiled again: the old manifest does not name the new files.
        withdraw(deployment, release)
    elif there and there.published:
        _withdraw_stale(deployment, source, release)
    for name, file in shipped.items():
        _copy_checked(
            deployment, f"{COMPILATIONS_PREFIX}{job_name}/{name}", f"{prefix}{name}", file, job_name
        )
    body = canonical(
        _manifest(
            deployment, source, compile_settings, job, release, report, fidelity, shipped, packages
        )
    )
    put_public_key(deployment)
    _write_manifest(deployment, release, body)
    if there and there.retired:
        deployment.s3.delete_object(Bucket=deployment.release_bucket, Key=f"{prefix}{RETIRED}")
    return release


def _withdraw_stale(deployment: Deployment, source: Package, release: str) -> None:
    """Withdraws a release of this id that a deleted version of the same name has left."""
    owner = owner_arn(deployment.s3, deployment.release_bucket, release)
    if is_stale(deployment, owner, source.arn):
        withdraw(deployment, release)
    elif owner != source.arn:
        raise CompilationError(
            f"{source.label}: release {release} was made from {owner}, which has the same name; "
            "register this version under a name of its own"
        )


def _write_manifest(deployment: Deployment, release: str, body: bytes) -> None:
    """Signs and writes the manifest, and reads the whole release back.

    Another publisher may have written its manifest first. It stays where its signature is the
    deployment's own and the files are those that it names; anything else is replaced.

    Raises:
        CopyError: What was read back is still not what was written.
    """
    for _ in range(_WRITE_ATTEMPTS):
        release_signatures.write(deployment, release, body)
        put_once(
            deployment.s3,
            deployment.release_bucket,
            f"{RELEASES_PREFIX}{release}/{MANIFEST}",
            body,
            ContentType="application/json",
            ChecksumSHA256=base64.b64encode(hashlib.sha256(body).digest()).decode(),
        )
        try:
            verified = verify_release(deployment, release)
        except ManifestError as error:
            fault = str(error)
            withdraw(deployment, release)
            continue
        if verified.signatures.missing or verified.signatures.wrong:
            # The other publisher's manifest stands, and `manifest.sig` is still this one's.
            sign_release(deployment, release)
        return
    raise CopyError(f"{fault}; it was written and read back wrong, and is tried again")


def _reports(
    deployment: Deployment, source: Package, job_name: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    report = read_report(deployment.s3, deployment.training_bucket, job_name, COMPILATION_REPORT)
    fidelity = read_report(deployment.s3, deployment.training_bucket, job_name, FIDELITY_REPORT)
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


def _copy_checked(deployment: Deployment, key: str, target: str, file: File, job_name: str) -> None:
    """Copies one file on S3's side, having read the very bytes that are copied."""
    try:
        answer = deployment.s3.get_object(Bucket=deployment.training_bucket, Key=key)
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
    copied = deployment.s3.copy_object(
        Bucket=deployment.release_bucket,
        Key=target,
        CopySource={"Bucket": deployment.training_bucket, "Key": key},
        CopySourceIfMatch=answer["ETag"],
        ChecksumAlgorithm="SHA256",
    )
    # What S3 has computed over the bytes that it wrote; it stays on the object. One with a hyphen
    # is of parts, and of no whole file.
    written = copied.get("CopyObjectResult", {}).get("ChecksumSHA256", "")
    if written and "-" not in written and base64.b64decode(written) != digest.digest():
        raise CopyError(f"{job_name}: {target} was not written as it was read; it is tried again")


def _weights(report: Mapping[str, Any]) -> tuple[WeightOrigin, ...]:
    try:
        return read_origins(*map(str, report.get("weights", [])))
    except (TypeError, WeightOriginError) as error:
        raise ManifestError(f"{COMPILATION_REPORT}: weights: {error}") from None


def _manifest(
    deployment: Deployment,
    source: Package,
    compile_settings: CompileSettings,
    job: Mapping[str, Any],
    release: str,
    report: Mapping[str, Any],
    fidelity: Mapping[str, Any],
    shipped: Mapping[str, File],
    packages: Mapping[str, str],
) -> dict[str, Any]:
    described = describe(deployment.sagemaker, source.arn)
    chain = ancestors(deployment.sagemaker, described) if described else []
    return {
        "schema": SCHEMA,
        "release": release,
        "name": packages[compile_settings.kind.stage],
        "source": {"name": str(source.name), "arn": source.arn},
        "compiled_at": job["ProcessingEndTime"].astimezone(UTC).isoformat(timespec="seconds"),
        "compile_job": job["ProcessingJobArn"],
        "compiler": compile_settings.compiler,
        "compile_settings": compile_settings.document,
        "compile_settings_id": compile_settings.id,
        "image": compile_settings.image,
        "toolchain": report.get("toolchain", {}),
        "model": report.get("model") or next(iter(shipped)),
        "contract": Contract.from_dict(report.get("contract", {})).to_dict(),
        "acceptance_threshold": report.get("acceptance_threshold"),
        **({"acceptance": report["acceptance"]} if "acceptance" in report else {}),
        "card_set": report.get("card_set", {}),
        # Published weights that the model descends from, and their licences.
        "weights": [origin.to_dict() for origin in _weights(report)],
        "model_archive": {"sha256": model_digest(job)},
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
            "key": deployment.signing_key_arn,
            "file": SIGNATURE,
        },
        "compilation_report_sha256": sha256(canonical(report)),
    }
