"""What a compile job reports to the registry: ``compilation.json``, an archive for each version."""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from export.compiler import CompiledModel
from export.fidelity.measurement import MeasuredModel
from export.graphs.graph import parameter_count
from export.student_artifact import StudentArtifact
from recognition.file_digest import file_sha256
from registry.compilers import ONNX_FILE, ONNX_INT8, ONNX_STAGE, compiler_of_stage

ONNX = ONNX_FILE


@dataclass(frozen=True)
class Source:
    """What was compiled, and how.

    Attributes:
        name: The student's name.
        arn: Its ARN.
        compiler: Name of the compiler.
        compile_settings: The compile settings, as the job was given them.
        architecture: Of the name.
    """

    name: str
    arn: str
    compiler: str
    compile_settings: Mapping[str, Any]
    architecture: str


def compilation(
    output: Path,
    source: Source,
    artifact: StudentArtifact,
    graph: onnx.ModelProto,
    made: CompiledModel,
    card_set: Mapping[str, Any],
    figures: Mapping[str, float],
    measured: Mapping[str, MeasuredModel],
    ship: Sequence[str],
    companions: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    """Packs the registry's archives and says what everything is.

    Args:
        output: The job's folder; holds all files that are named.
        source: What was compiled.
        artifact: The student's.
        graph: The shipped ONNX graph.
        made: The compiled model.
        card_set: Its digest, number of cards, and the licence of its scans.
        figures: The gate's metrics.
        measured: Retrieval metrics of each stage.
        ship: Names of the release's files.
        companions: By stage, files that go into its archive beside the model.
    """
    packages = []
    for stage, file in ((ONNX_STAGE, ONNX), (made.stage, made.path.name)):
        beside = [output / name for name in companions.get(stage, ())]
        _pack(output / stage, [output / file, *beside, artifact.model.parent / "contract.json"])
        packages.append(
            {
                "stage": stage,
                "artifact": f"{stage}/model.tar.gz",
                "metadata": _metadata(stage, output / file, artifact, graph, made),
                "metrics": _metrics(stage, figures, measured[stage]),
            }
        )
    return {
        "schema": 1,
        "source_name": source.name,
        "source_arn": source.arn,
        "compiler": source.compiler,
        "stage": made.stage,
        "architecture": source.architecture,
        "model": made.path.name,
        "toolchain": made.toolchain,
        "notes": list(made.notes),
        "compile_settings": dict(source.compile_settings),
        "model_archive_sha256": artifact.sha256,
        "contract": artifact.contract.to_dict(),
        "card_set": dict(card_set),
        "weights": [origin.line for origin in artifact.weights],
        # What clients from before there was a rule compare: a cosine.
        "acceptance_threshold": measured[made.stage].evaluation.cosine_threshold,
        "acceptance": measured[made.stage].evaluation.acceptance(),
        "ship": list(ship),
        "files": {file: identity(output / file) for file in ship},
        "packages": packages,
    }


def identity(path: Path) -> dict[str, Any]:
    """SHA-256 and size of a file."""
    return {"sha256": file_sha256(path), "bytes": path.stat().st_size}


def _metadata(
    stage: str, file: Path, artifact: StudentArtifact, graph: onnx.ModelProto, made: CompiledModel
) -> dict[str, str]:
    metadata = {
        "Architecture": artifact.backbone,
        "Parameters": str(parameter_count(graph)),
        "EmbeddingDim": str(artifact.contract.embedding_dim),
        "InputSize": str(artifact.contract.size),
        "ModelType": "student",
        "Stage": stage,
        "Purpose": "edge_deployment_hailo8l",
        "InferenceTarget": (compiler_of_stage(stage) or ONNX_INT8).inference_target,
        "SizeBytes": str(file.stat().st_size),
        "Sha256": identity(file)["sha256"],
    }
    if stage == ONNX_STAGE:
        metadata["Opset"] = str(graph.opset_import[0].version)
    else:
        metadata["CalibrationImages"] = str(made.calibration.images)
        metadata["CalibrationSha256"] = made.calibration.sha256
        metadata["Toolchain"] = ", ".join(f"{k} {v}" for k, v in made.toolchain.items())
    return metadata


def _metrics(stage: str, figures: Mapping[str, float], measured: MeasuredModel) -> dict[str, float]:
    prefix = "onnx_" if stage == ONNX_STAGE else ""
    metrics = measured.metrics()
    for key in ("cosine_mean", "cosine_worst"):
        metrics[key] = figures[prefix + key]
    return metrics


def _pack(folder: Path, files: Sequence[Path]) -> None:
    """Writes ``model.tar.gz``: SageMaker takes nothing else as a model's data."""
    folder.mkdir(exist_ok=True)
    with (
        (folder / "model.tar.gz").open("wb") as stream,
        gzip.GzipFile("", "wb", compresslevel=1, fileobj=stream, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        for file in files:
            tar.add(file, arcname=file.name, filter=_anonymous)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leaves out owner and time, so that equal files make equal archives."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    member.mode = 0o644
    return member
