"""The compile job: SageMaker's Processing entry point, ``python -m export.compile_job``.

From an approved stage-2 student and its card set to everything that a release needs: the compiled
model, its reference index, and the gate's word. A gate that fails is a result, not a fault: the
job completes and ``fidelity.json`` says so.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import shutil
import sys
import tarfile
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from export.calibration import record
from export.compilers import CompiledModel, CompileError, Compiler, compiler
from export.gate import Embeddings, Evidence, Fidelity, GateError, Thresholds, judge
from export.graph import parameter_count
from export.held_out import HeldOut, render
from export.lint import lint
from export.student_artifact import ArtifactError, StudentArtifact, read_artifact
from recognition.cardset import CardSetError
from recognition.index import write_index
from recognition.onnx_model import OnnxEmbedder
from recognition.retrieval import Evaluation, evaluate
from recognition.whole_files import write_whole
from registry.archives import ArchiveError
from registry.contract import ContractError
from registry.names import parse_name

ONNX = "model.onnx"
INDEX_FILES = ("embeddings.npy", "usearch.index", "index.json", "metadata.json")
FIDELITY, COMPILATION = "fidelity.json", "compilation.json"
DEFAULT_CALIBRATION = 1024
#: As in the deployment's settings.
LARGEST_CALIBRATION = 100_000
_EXPECTED = (ArtifactError, ArchiveError, CardSetError, CompileError, ContractError, GateError)
_began = time.monotonic()


def main(arguments: list[str] | None = None) -> int:
    """Runs the job and returns its exit code."""
    options = _parser().parse_args(arguments)
    try:
        verdict = run(options)
    except Exception as error:
        # SageMaker shows no more of a failed job than these words, whatever went wrong.
        line = " ".join(str(error).split())
        if not isinstance(error, (*_EXPECTED, OSError, ValueError)):
            traceback.print_exc()
            line = f"unexpected {type(error).__name__}: {line}"
        print(f"compile job: {line}", file=sys.stderr, flush=True)
        _last_words(options.message, line)
        return 1
    _last_words(options.message, verdict)
    return 0


def run(options: argparse.Namespace) -> str:
    """Compiles, judges and writes; returns one line for the job's ExitMessage."""
    recipe, thresholds, images = _recipe(options.recipe)
    chosen = compiler(options.compiler)
    name = parse_name(options.source_name)
    output: Path = options.output
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        artifact = read_artifact(options.model, Path(scratch))
        findings = lint(_graph(artifact.model))
        if findings:
            raise CompileError(f"{name}: {'; '.join(map(str, findings))}")
        _say(f"{name}: {artifact.contract.size} px, {len(artifact.split.known)} known cards")
        held_out = render(options.cards, artifact, images)
        _say(f"rendered {len(held_out.queries.images)} query views, "
             f"{len(held_out.calibration.images)} calibration views")  # fmt: skip
        if not artifact.views_digest:
            _say("reference.npz has no views_digest: that these are PyTorch's views is not checked")
        shutil.copyfile(artifact.model, output / ONNX)
        made = chosen.compile(output / ONNX, held_out.calibration.images, artifact.contract, output)
        _say(f"compiled {made.path.name} ({made.path.stat().st_size:,} bytes) by {chosen.name}")
        fidelity, evaluations = _judge(artifact, held_out, chosen, made, thresholds, output)
        report = _report(fidelity, artifact, made, evaluations, images)
        _write_json(output / FIDELITY, report)
        compilation = _compilation(
            options, recipe, artifact, held_out, made, report, evaluations, output
        )
    _write_json(output / COMPILATION, compilation)
    line = f"fidelity gate {fidelity.verdict}"
    if fidelity.reasons:
        line += f": {'; '.join(fidelity.reasons)}"
    _say(line)
    return line


def _recipe(text: str) -> tuple[dict[str, Any], Thresholds, int]:
    """The recipe, its thresholds, and how many calibration images it asks for."""
    recipe = json.loads(text)
    if not isinstance(recipe, dict) or not isinstance(recipe.get("gate", {}), dict):
        raise CompileError("--recipe: must be a JSON object, and its gate another")
    images = recipe.get("calibration_images", DEFAULT_CALIBRATION)
    if type(images) is not int or not 1 <= images <= LARGEST_CALIBRATION:
        raise CompileError(
            f"--recipe: calibration_images is {images!r}, must be 1 to {LARGEST_CALIBRATION}"
        )
    return recipe, Thresholds.from_recipe(recipe.get("gate", {})), images


def _graph(path: Path) -> onnx.ModelProto:
    """The graph, and no other file that it might name."""
    try:
        return onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's decoder has its own kind
        raise CompileError(f"{path.name}: is no ONNX graph ({error})") from None


def _report(
    fidelity: Fidelity,
    artifact: StudentArtifact,
    made: CompiledModel,
    evaluations: dict[str, Evaluation],
    requested: int,
) -> dict[str, Any]:
    """The form of ``fidelity.json``."""
    report = fidelity.to_dict()
    report["figures"] |= {
        "pytorch_top1": artifact.top1,
        "onnx_auroc": evaluations["onnx"].auroc,
        "compiled_auroc": evaluations[made.stage].auroc,
    }
    few = made.calibration.images < DEFAULT_CALIBRATION
    report["calibration"] = {
        **made.calibration.to_dict(),
        "requested": requested,
        "warning": f"fewer than the {DEFAULT_CALIBRATION} images that are advised" if few else None,
    }
    return report


def _judge(
    artifact: StudentArtifact,
    held_out: HeldOut,
    chosen: Compiler,
    made: CompiledModel,
    thresholds: Thresholds,
    output: Path,
) -> tuple[Fidelity, dict[str, Evaluation]]:
    """Embeds everything by both models, asks the gate, and writes the index."""
    runtimes = {
        "onnx": OnnxEmbedder(output / ONNX, artifact.contract, threads=os.cpu_count() or 1),
        made.stage: chosen.embedder(made, artifact.contract),
    }
    embedded, evaluations = {}, {}
    for stage, runtime in runtimes.items():
        embedded[stage] = Embeddings(
            gallery=runtime.embed(held_out.gallery.images),
            queries=runtime.embed(held_out.queries.images),
        )
        evaluations[stage] = evaluate(
            embedded[stage].gallery,
            held_out.gallery.card_ids,
            embedded[stage].queries,
            held_out.queries.card_ids,
            runtime.embed(held_out.outside.images),
            runtime.embed(held_out.outside_test.images),
            unseen_gallery=runtime.embed(held_out.outside_gallery.images),
            unseen_gallery_ids=held_out.outside_gallery.card_ids,
            unseen_test_ids=held_out.outside_test.card_ids,
            unseen_validation_ids=held_out.outside.card_ids,
        )
        _say(f"{stage}: top-1 {evaluations[stage].top1:.3f}")
    swapped = np.ascontiguousarray(held_out.gallery.images[..., ::-1])
    fidelity = judge(
        Evidence(
            reference=artifact.reference,
            onnx=embedded["onnx"],
            compiled=embedded[made.stage],
            gallery_ids=held_out.gallery.card_ids,
            query_ids=held_out.queries.card_ids,
            swapped=runtimes[made.stage].embed(swapped),
            shown=made.calibration,
            made=record(held_out.calibration.images),
            seen=record(held_out.queries.images),
        ),
        thresholds,
    )
    write_index(
        output,
        held_out.gallery.card_ids,
        embedded[made.stage].gallery,
        {
            "card_set": held_out.digest,
            "contract": artifact.contract.to_dict(),
            "model": made.path.name,
            "model_sha256": _identity(made.path)["sha256"],
        },
    )
    return fidelity, evaluations


def _compilation(
    options: argparse.Namespace,
    recipe: dict[str, Any],
    artifact: StudentArtifact,
    held_out: HeldOut,
    made: CompiledModel,
    report: dict[str, Any],
    evaluations: dict[str, Evaluation],
    output: Path,
) -> dict[str, Any]:
    """Packs the registry's artifacts and says what everything is (``compilation.json``)."""
    name = parse_name(options.source_name)
    ship = [made.path.name, ONNX, *INDEX_FILES, FIDELITY]
    packages = []
    for stage, file in (("onnx", ONNX), (made.stage, made.path.name)):
        _pack(output, stage, file, artifact)
        packages.append(
            {
                "stage": stage,
                "artifact": f"{stage}/model.tar.gz",
                "metadata": _metadata(stage, output / file, artifact, made),
                "metrics": _metrics(stage, report["figures"], evaluations[stage]),
            }
        )
    return {
        "schema": 1,
        "source_name": options.source_name,
        "source_arn": options.source_arn,
        "compiler": options.compiler,
        "stage": made.stage,
        "architecture": name.architecture,
        "model": made.path.name,
        "toolchain": made.toolchain,
        "notes": list(made.notes),
        "recipe": recipe,
        "contract": artifact.contract.to_dict(),
        "card_set": {"digest": held_out.digest, "cards": held_out.cards},
        "acceptance_threshold": evaluations[made.stage].threshold,
        "ship": ship,
        "files": {file: _identity(output / file) for file in ship},
        "packages": packages,
    }


def _metadata(
    stage: str, file: Path, artifact: StudentArtifact, made: CompiledModel
) -> dict[str, str]:
    graph = _graph(artifact.model)
    metadata = {
        "Architecture": artifact.backbone,
        "Parameters": str(parameter_count(graph)),
        "EmbeddingDim": str(artifact.contract.embedding_dim),
        "InputSize": str(artifact.contract.size),
        "ModelType": "student",
        "Stage": stage,
        "Purpose": "edge_deployment_hailo8l",
        "InferenceTarget": "raspberry-pi-hailo8l" if stage == "hailo8l" else "cpu-onnxruntime",
        "SizeBytes": str(file.stat().st_size),
        "Sha256": _identity(file)["sha256"],
    }
    if stage == "onnx":
        metadata["Opset"] = str(graph.opset_import[0].version)
    else:
        metadata["CalibrationImages"] = str(made.calibration.images)
        metadata["Toolchain"] = ", ".join(f"{k} {v}" for k, v in made.toolchain.items())
    return metadata


def _metrics(stage: str, figures: dict[str, float], measured: Evaluation) -> dict[str, float]:
    prefix = "onnx_" if stage == "onnx" else ""
    metrics = measured.figures()
    for key in ("cosine_mean", "cosine_worst"):
        metrics[key] = figures[prefix + key]
    return metrics


def _pack(output: Path, stage: str, file: str, artifact: StudentArtifact) -> None:
    """Writes ``<stage>/model.tar.gz``: SageMaker takes nothing else as a model's data."""
    folder = output / stage
    folder.mkdir(exist_ok=True)
    contract = artifact.model.parent / "contract.json"
    with (
        (folder / "model.tar.gz").open("wb") as stream,
        gzip.GzipFile("", "wb", compresslevel=1, fileobj=stream, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        tar.add(output / file, arcname=file, filter=_anonymous)
        tar.add(contract, arcname="contract.json", filter=_anonymous)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """The same archive whoever packs it, and when."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    member.mode = 0o644
    return member


def _identity(path: Path) -> dict[str, Any]:
    with path.open("rb") as stream:
        return {
            "sha256": hashlib.file_digest(stream, "sha256").hexdigest(),
            "bytes": path.stat().st_size,
        }


def _write_json(path: Path, document: dict[str, Any]) -> None:
    write_whole(path, json.dumps(document, indent=2, allow_nan=False) + "\n")


def _last_words(path: Path | None, line: str) -> None:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(line[:1024], encoding="utf-8")


def _say(line: str) -> None:
    print(f"[{time.monotonic() - _began:6.1f} s] {line}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m export.compile_job",
        description="Compiles an approved student, judges it, and builds its reference index.",
    )
    parser.add_argument("--model", type=Path, required=True, help="folder of model.tar.gz")
    parser.add_argument("--cards", type=Path, required=True, help="folder of the card set")
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    parser.add_argument("--compiler", required=True, help="onnx-int8 or hailo")
    parser.add_argument("--source-name", required=True, help="the student's name")
    parser.add_argument("--source-arn", required=True, help="the student's ARN")
    parser.add_argument("--recipe", required=True, help="the recipe, as JSON")
    parser.add_argument("--message", type=Path, help="file for the job's last words")
    return parser


if __name__ == "__main__":
    sys.exit(main())
