"""What a compile job made, as versions of the group: ONNX, and INT8 or HEF."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from registry.compilation.compile_settings import CompileSettings
from registry.compilation.jobs import CompilationError, gate_verdict
from registry.compilation.reports import COMPILATION_REPORT
from registry.compilers import ONNX_STAGE
from registry.convergence import Verdict
from registry.deployment import Deployment
from registry.names import COMPILATIONS_PREFIX, STUDENT
from registry.versions import model_card, model_quality
from registry.versions.metadata import (
    COMPILE_JOB,
    FIDELITY_GATE,
    PARENT_ARN,
    PARENT_NAME,
    RESERVED,
    kept_metrics,
)
from registry.versions.name_claims import claim_name
from registry.versions.packages import APPROVED, REJECTED, NewPackage, Package, create, find
from registry.versions.validation import validate


def register_compiled(
    deployment: Deployment,
    *,
    source: Package,
    compile_settings: CompileSettings,
    job_name: str,
    report: Mapping[str, Any],
    fidelity: Mapping[str, Any],
) -> dict[str, str]:
    """Registers what a compile job made; ``Rejected`` with its reasons when the gate failed.

    Safe to repeat, as :func:`registry.registration.register.register_training_job` is and by the
    same means.

    Args:
        deployment: Clients and names.
        source: The student that was compiled; the parent of the first version.
        compile_settings: How it was compiled.
        job_name: The compile job.
        report: Its ``compilation.json``.
        fidelity: Its ``fidelity.json``.

    Returns:
        Name by stage, for example ``{"onnx": "student-…-onnx-v1", "int8": "student-…-int8-v1"}``.

    Raises:
        CompilationError: The report names something else than this compiler makes.
        MetadataError: The report's metadata is incomplete or contradictory.
    """
    assert source.name is not None
    gate = gate_verdict(fidelity)
    reasons = "; ".join(str(reason) for reason in fidelity.get("reasons", []))
    job = deployment.sagemaker.describe_processing_job(ProcessingJobName=job_name)
    job_arn = job["ProcessingJobArn"]
    parent_arn, parent_name = source.arn, str(source.name)
    names = {}
    for entry in _entries(report, compile_settings, job_name):
        stage, metrics = entry["stage"], entry["metrics"]
        name = claim_name(
            deployment.s3,
            deployment.training_bucket,
            STUDENT,
            source.name.architecture,
            stage,
            source=job_arn,
            since=job["CreationTime"],
        )
        existing = find(
            deployment.sagemaker, deployment.group_name, name, created_after=job["CreationTime"]
        )
        if existing:
            arn = existing.arn
        else:
            artifact = f"s3://{deployment.training_bucket}/{COMPILATIONS_PREFIX}{job_name}/{entry['artifact']}"
            metadata = {
                **entry["metadata"],
                **kept_metrics(STUDENT, stage, metrics),
                PARENT_ARN: parent_arn,
                PARENT_NAME: parent_name,
                COMPILE_JOB: job_name,
                FIDELITY_GATE: gate.value,
            }
            metadata |= validate(name, metadata).metadata()
            passed = gate is Verdict.PASSED
            package = NewPackage(
                name=name,
                approval=APPROVED if passed else REJECTED,
                summary=_summary(entry, compile_settings, parent_name),
                model_data_url=artifact,
                image=source.image,
                metadata=metadata,
                generated_by=job_arn,
                commit=source.commit or None,
                approval_reason=(
                    f"{'Passed' if passed else 'Failed'} the fidelity gate of {job_name}"
                    + (f": {reasons}" if reasons else "")
                ),
                quality_uri=model_quality.put(
                    deployment.s3, deployment.training_bucket, name, metrics
                ),
                card=model_card.card(
                    name,
                    metadata,
                    metrics,
                    artifact=artifact,
                    image=compile_settings.image,
                    job_arn=job_arn,
                ),
            )
            arn = create(deployment.sagemaker, deployment.group_name, package)
        names[stage] = str(name)
        parent_arn, parent_name = arn, str(name)
    return names


def _entries(
    report: Mapping[str, Any], compile_settings: CompileSettings, job_name: str
) -> list[dict[str, Any]]:
    entries = report.get("packages")
    allowed = [ONNX_STAGE, compile_settings.kind.stage]
    if not isinstance(entries, list) or [e.get("stage") for e in entries] != allowed:
        raise CompilationError(f"{job_name}: {COMPILATION_REPORT}: packages must be {allowed}")
    for entry in entries:
        if entry.get("artifact") != f"{entry['stage']}/model.tar.gz":
            raise CompilationError(f"{job_name}: {entry.get('artifact')!r} is no artifact's name")
        reserved = sorted(RESERVED & set(entry["metadata"]))
        if reserved:
            raise CompilationError(
                f"{job_name}: {COMPILATION_REPORT}: {', '.join(reserved)} are written by the "
                "registry alone"
            )
    return entries


def _summary(entry: Mapping[str, Any], compile_settings: CompileSettings, parent: str) -> str:
    metadata, metrics = entry["metadata"], entry["metrics"]
    parts = [f"{metadata.get('Architecture', '?')} as {entry['stage']}"]
    if "top1" in metrics:
        parts.append(f"top-1 {metrics['top1']:.3f}")
    if entry["stage"] != ONNX_STAGE:
        parts.append(f"made by {compile_settings.compiler}")
    return ", ".join([*parts, f"from {parent}"])
