"""The compile job: SageMaker's Processing entry point, ``python -m export.compile_job``.

From an approved stage-2 student and its card set to everything that a release needs: the compiled
model, its reference index, and the gate's verdict. A failed gate is a result, not a fault: the
job completes and ``fidelity.json`` holds the verdict. The exit code distinguishes a refusal, which
every retry would repeat, from a fault of the machine (``registry.compilation.last_words``).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from export.calibration import CalibrationError, record, tints
from export.compilation_report import ONNX, Source, compilation
from export.compiler import CompiledModel, CompileError, CompileFault, Compiler
from export.deadline import Deadline
from export.fidelity.embedding_shards import EmbeddingShards
from export.fidelity.gate import GateInputs, GateResult, apply_gate
from export.fidelity.gate_images import GateImages, evenly_spaced, render_gate_images
from export.fidelity.index_recall import cosines_lost
from export.fidelity.measurement import MeasuredModel, embed, embed_with_swapped_channels, measure
from export.fidelity.page import fidelity_page
from export.fidelity.report import fidelity_report
from export.fidelity.thresholds import GateError, Thresholds
from export.graphs import batch_graph
from export.graphs.lint import has_external_data, lint
from export.load_compiler import load_compiler
from export.reference_views import make_reference_views
from export.student_artifact import StudentArtifact, StudentArtifactError, read_artifact
from recognition.atomic_files import write_atomically
from recognition.card_sets.card_set import CardSetError
from recognition.embedding_model import EmbeddingModel
from recognition.file_digest import file_sha256
from recognition.onnx_model import OnnxEmbedder, OnnxModelError
from recognition.reference_views import REFERENCE_VIEWS, write_reference_views
from recognition.search.index import FILES as INDEX_FILES
from recognition.search.index import ReferenceIndex, write_index
from registry.compilation.last_words import FAULT, FAULT_CODE, REFUSED, REFUSED_CODE
from registry.compilation.reports import FIDELITY_PAGE
from registry.compilers import ONNX_STAGE, compiler_kind, compiler_names
from registry.contract import ContractError
from registry.names import ModelNameError, parse_name
from registry.untrusted.archives import ArchiveError
from registry.untrusted.text import one_line

FIDELITY, COMPILATION = "fidelity.json", "compilation.json"
#: Holds embeddings until all are made, so that a repeated job continues from them.
SHARDS, OPTIMISED = ".embedded", "optimised"
#: As in the deployment's settings.
LARGEST_CALIBRATION = 100_000
#: Scans that are embedded again with red and blue exchanged, and that colours are compared with.
KNOWN_IMAGES = 256
_BATCH_CHECK_IMAGES = 3
_began = time.monotonic()
#: Errors in the job's inputs: every retry would repeat them.
_REFUSALS = (
    *(ArchiveError, StudentArtifactError, CardSetError, CompileError, ContractError, GateError),
    *(CalibrationError, ModelNameError, OnnxModelError),
)


def main(arguments: list[str] | None = None) -> int:
    """Runs the job and returns its exit code: 0, a refusal's, or a fault's."""
    options = _parser().parse_args(arguments)
    try:
        verdict = run(options)
    except Exception as error:
        # SageMaker shows no more of a failed job than this line.
        refused = isinstance(error, _REFUSALS) and not isinstance(error, CompileFault)
        line = one_line(str(error)) or type(error).__name__
        if not isinstance(error, (*_REFUSALS, OSError)):
            traceback.print_exc()
            line = f"unexpected {type(error).__name__}: {line}"
        line = f"{REFUSED if refused else FAULT}{line}"
        print(f"compile job: {line}", file=sys.stderr, flush=True)
        _last_words(options.message, line)
        return REFUSED_CODE if refused else FAULT_CODE
    _last_words(options.message, verdict)
    return 0


def run(options: argparse.Namespace) -> str:
    """Compiles, applies the gate and writes; returns one line for the job's ExitMessage."""
    chosen = load_compiler(options.compiler, Deadline(options.max_runtime_seconds, _began))
    kind = compiler_kind(chosen.name)
    advised = kind.calibration_images
    compile_settings, thresholds, images = _compile_settings(options.settings, advised)
    name = parse_name(options.source_name)
    output: Path = options.output
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        artifact = read_artifact(options.model, Path(scratch), options.model_sha256)
        graph = _graph(artifact.model)
        if findings := lint(graph, artifact.contract):
            raise CompileError(f"{name}: {'; '.join(map(str, findings))}")
        _say(f"{name}: {artifact.contract.size} px, {len(artifact.split.known)} known cards")
        gate_images = render_gate_images(options.cards, artifact, images, options.cards_digest)
        if len(gate_images.added):
            _say(f"{len(set(gate_images.added.card_ids))} cards were added after training")
        _say(f"{len(gate_images.queries)} query views, {len(gate_images.calibration)} to calibrate")
        if not artifact.views_digest:
            _say("reference.npz has no views_digest: that these are PyTorch's views is not checked")
        shutil.copyfile(artifact.model, output / ONNX)
        made = chosen.compile(output / ONNX, gate_images.calibration, artifact.contract, output)
        _say(f"compiled {made.path.name} ({made.path.stat().st_size:,} bytes) by {chosen.name}")
        fidelity, measured = _apply_gate(artifact, gate_images, chosen, made, thresholds, output)
        added = measured[made.stage].added
        fidelity.figures |= added.metrics() if added else {}
        report = fidelity_report(
            fidelity,
            made.calibration,
            images,
            advised,
            artifact.top1,
            artifact.weights,
        )
        _write_json(output / FIDELITY, report)
        page = fidelity_page(
            options.source_name,
            kind,
            made,
            gate_images,
            (measured[ONNX_STAGE], measured[made.stage]),
            fidelity,
            artifact.weights,
            images,
        )
        write_atomically(output / FIDELITY_PAGE, page)
        batch_files = _batch_graph(graph, gate_images, output)
        source = Source(
            options.source_name,
            options.source_arn,
            options.compiler,
            compile_settings,
            name.architecture,
        )
        report = compilation(
            output,
            source,
            artifact,
            graph,
            made,
            {
                "digest": gate_images.digest,
                "cards": gate_images.cards,
                # The digest does not depend on it; None says that the set states none.
                "licence": gate_images.licence or None,
            },
            fidelity.figures,
            measured,
            [made.path.name, ONNX, *INDEX_FILES, REFERENCE_VIEWS, FIDELITY, FIDELITY_PAGE],
            {ONNX_STAGE: batch_files, made.stage: made.companions},
        )
    _write_json(output / COMPILATION, report)
    line = f"fidelity gate {fidelity.verdict}"
    if fidelity.reasons:
        line += f": {'; '.join(fidelity.reasons)}"
    _say(line)
    return line


def _compile_settings(text: str, advised: int) -> tuple[dict[str, Any], Thresholds, int]:
    """The compile settings, their thresholds, and how many calibration images they ask for.

    Without a number they are as many as the compiler should have.
    """
    try:
        compile_settings = json.loads(text)
    except ValueError as error:
        raise CompileError(f"--settings: not JSON ({error})") from None
    if not isinstance(compile_settings, dict) or not isinstance(
        compile_settings.get("gate", {}), dict
    ):
        raise CompileError("--settings: must be a JSON object, and its gate another")
    images = compile_settings.get("calibration_images", advised)
    if type(images) is not int or not 1 <= images <= LARGEST_CALIBRATION:
        raise CompileError(
            f"--settings: calibration_images is {images!r}, must be 1 to {LARGEST_CALIBRATION}"
        )
    return compile_settings, Thresholds.from_settings(compile_settings.get("gate", {})), images


def _graph(path: Path) -> onnx.ModelProto:
    """Loads the graph; one that names other files is refused, wherever they would be."""
    try:
        graph = onnx.load(path, load_external_data=False)
    except Exception as error:  # protobuf's decoder has its own kind
        raise CompileError(f"{path.name}: is no ONNX graph ({error})") from None
    if has_external_data(graph):
        raise CompileError(
            f"{path.name}: has its weights in other files; export it again as one file"
        )
    return graph


def _batch_graph(graph: onnx.ModelProto, gate_images: GateImages, output: Path) -> list[str]:
    """Writes the graph for batches and returns its name; none where it cannot be made."""
    images = gate_images.calibration[:_BATCH_CHECK_IMAGES]
    try:
        return [batch_graph.write_batch_graph(graph, images, output / batch_graph.FILE).name]
    except CompileError as error:
        _say(f"without {batch_graph.FILE}: {error}")
        return []


def _apply_gate(
    artifact: StudentArtifact,
    gate_images: GateImages,
    chosen: Compiler,
    made: CompiledModel,
    thresholds: Thresholds,
    output: Path,
) -> tuple[GateResult, dict[str, MeasuredModel]]:
    """Embeds with both models, writes index and reference views, and applies the gate."""
    shipped = chosen.embedder(made, artifact.contract)
    runtimes: dict[str, EmbeddingModel] = {
        ONNX_STAGE: OnnxEmbedder(output / ONNX, artifact.contract, threads=os.cpu_count() or 1),
        made.stage: shipped,
    }
    model = file_sha256(made.path)
    digests = {ONNX_STAGE: file_sha256(output / ONNX), made.stage: model, OPTIMISED: model}
    shards = EmbeddingShards(output / SHARDS, digests, artifact.contract.embedding_dim)
    measured = measure(
        gate_images,
        runtimes,
        _say,
        shards,
        artifact.false_accepts,
        artifact.printing_margin,
    )
    before = chosen.before_quantisation(made, artifact.contract)
    optimised = None
    if before is not None:
        name = "queries before quantisation"
        optimised = embed(gate_images.queries, {OPTIMISED: before}, name, _say, shards)[OPTIMISED]
    compiled = measured[made.stage]
    ids = gate_images.gallery.card_ids
    write_index(
        output,
        ids,
        compiled.embeddings.gallery,
        {
            "card_set": gate_images.digest,
            "contract": artifact.contract.to_dict(),
            "model": made.path.name,
            "model_sha256": model,
        },
        gate_images.artworks,
    )
    write_reference_views(
        output / REFERENCE_VIEWS, make_reference_views(gate_images, compiled, shipped, thresholds)
    )
    index = ReferenceIndex.load(output)
    known = _sampled_rows(len(ids))
    shown = _sampled_rows(len(gate_images.calibration))
    scan_of = {card_id: row for row, card_id in reversed(list(enumerate(ids)))}
    scans = [gate_images.gallery.image(scan_of[gate_images.calibration_ids[row]]) for row in shown]
    fidelity = apply_gate(
        GateInputs(
            reference=artifact.reference,
            onnx=measured[ONNX_STAGE].embeddings,
            compiled=compiled.embeddings,
            gallery_ids=ids,
            query_ids=gate_images.queries.card_ids,
            known=known,
            swapped=embed_with_swapped_channels(gate_images.gallery, known, shipped),
            indexed=index.rows.unit(),
            indexed_ids=index.card_ids,
            lost=cosines_lost(index, compiled.embeddings.gallery, ids, compiled.embeddings.queries),
            onnx_auroc=measured[ONNX_STAGE].evaluation.auroc,
            compiled_auroc=compiled.evaluation.auroc,
            shown=made.calibration,
            made=record(gate_images.calibration),
            seen=gate_images.seen,
            tints=tints(gate_images.calibration[shown]),
            scan_tints=tints(np.stack(scans)),
            optimised=optimised,
        ),
        thresholds,
    )
    shards.remove()
    return fidelity, measured


def _sampled_rows(count: int) -> list[int]:
    """Row numbers below ``count``, evenly spaced, at most KNOWN_IMAGES of them."""
    return [int(row) for row in evenly_spaced([str(row) for row in range(count)], KNOWN_IMAGES)]


def _write_json(path: Path, document: dict[str, Any]) -> None:
    write_atomically(path, json.dumps(document, indent=2, allow_nan=False) + "\n")


def _last_words(path: Path | None, line: str) -> None:
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(line[:1024], encoding="utf-8")


def _say(line: str) -> None:
    print(f"[{time.monotonic() - _began:6.1f} s] {line}", flush=True)


def _sha256(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", text, re.ASCII):
        raise ValueError("not a SHA-256 in hexadecimal")
    return text


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise ValueError("not a positive number")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m export.compile_job",
        description="Compiles an approved student, applies the fidelity gate, builds its index.",
    )
    parser.add_argument("--model", type=Path, required=True, help="folder of model.tar.gz")
    parser.add_argument(
        "--model-sha256",
        type=_sha256,
        metavar="HEX",
        help="SHA-256 of the model.tar.gz that was approved; another one is refused",
    )
    parser.add_argument(
        "--cards-digest",
        metavar="DIGEST",
        help="digest of the card set that the student was trained on; another one is refused",
    )
    parser.add_argument("--cards", type=Path, required=True, help="folder of the card set")
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    parser.add_argument("--compiler", required=True, help=" or ".join(compiler_names()))
    parser.add_argument("--source-name", required=True, help="the student's name")
    parser.add_argument("--source-arn", required=True, help="the student's ARN")
    parser.add_argument("--settings", required=True, help="the compile settings, as JSON")
    parser.add_argument(
        "--max-runtime-seconds",
        type=_positive,
        required=True,
        metavar="SECONDS",
        help="SageMaker's limit on this job's run time; long steps end before it",
    )
    parser.add_argument("--message", type=Path, help="file for the job's last words")
    return parser


if __name__ == "__main__":
    # A job that is stopped takes the compiler's process with it, which has a session of its own.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(FAULT_CODE))
    sys.exit(main())
