"""What each way to quantise costs a trained student, on views that calibrated nothing.

    python -m bench.quantisation --model FOLDER --cards CARDS
    make bench-int8 MODEL=FOLDER CARDS=CARDS

FOLDER holds the student's ``model.tar.gz``. Every way gets the same images, and is compared with
the FP32 graph on the same held-out query views: cosine of the embeddings, and top-1 against the
gallery that the same build makes. The interval of the drop in top-1 is over cards.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from onnxruntime.quantization import CalibrationMethod, QuantType

from export.fidelity.gate import cosines
from export.fidelity.gate_images import GateImages, render_gate_images
from export.fidelity.measurement import embed
from export.int8 import OnnxInt8, Scheme
from export.student_artifact import read_artifact
from recognition.clustered_intervals import Clusters, mean_interval
from recognition.onnx_model import OnnxEmbedder
from recognition.search.gallery import best_matches

#: By name: the scheme, and how many images calibrate it. Histograms keep every value that any
#: layer makes in memory, so they get fewer; extremes get as many for comparison.
WAYS: Mapping[str, tuple[Scheme, int]] = {
    "extremes, per channel": (Scheme(), 1024),
    "extremes, per channel, 256 images": (Scheme(), 256),
    "extremes, eight-bit weights, 256 images": (Scheme(seven_bit_weights=False), 256),
    "extremes, per channel, 64 images": (Scheme(), 64),
    "extremes, one scale a layer": (Scheme(per_channel=False), 1024),
    "moving average of extremes": (Scheme(options={"CalibMovingAverage": True}), 1024),
    "percentile 99.999, 256 images": (
        Scheme(CalibrationMethod.Percentile, options={"CalibPercentile": 99.999}),
        256,
    ),
    "percentile 99.99, 256 images": (
        Scheme(CalibrationMethod.Percentile, options={"CalibPercentile": 99.99}),
        256,
    ),
    "percentile 99.9, 256 images": (
        Scheme(CalibrationMethod.Percentile, options={"CalibPercentile": 99.9}),
        256,
    ),
    "entropy, 256 images": (Scheme(CalibrationMethod.Entropy), 256),
    "signed activations, extremes": (Scheme(activations=QuantType.QInt8), 1024),
}


def hits(embedder: OnnxEmbedder, gate_images: GateImages) -> tuple[np.ndarray, np.ndarray]:
    """(Q, D) embeddings of the queries, and (Q,) whether the nearest card is the right one."""
    gallery = embed(gate_images.gallery, {"": embedder})[""]
    queries = embed(gate_images.queries, {"": embedder})[""]
    found = best_matches(gallery, gate_images.gallery.card_ids, queries, k=1).card_ids
    return queries, np.asarray(found)[:, 0] == np.asarray(gate_images.queries.card_ids)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures every way and prints a Markdown table."""
    parser = argparse.ArgumentParser(prog="python -m bench.quantisation", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="folder of model.tar.gz")
    parser.add_argument("--cards", type=Path, required=True, help="its card set")
    parser.add_argument("--only", default="", help="ways that hold this text")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="cards-int8-") as temporary:
        folder = Path(temporary)
        artifact = read_artifact(options.model, folder)
        gate_images = render_gate_images(
            options.cards, artifact, max(count for _, count in WAYS.values())
        )
        float_graph = OnnxEmbedder(artifact.model, artifact.contract, threads=2)
        float_hits, right = hits(float_graph, gate_images)
        known = len(artifact.split.known)
        print(f"{known} cards, {len(right)} queries, FP32 top-1 {right.mean():.4f}")
        print(
            "| way | cosine, mean | 5th percentile | 1st | worst | top-1 | drop, 95 % | made in |"
        )
        print("|---|---|---|---|---|---|---|---|")
        for name, (scheme, count) in WAYS.items():
            if options.only not in name:
                continue
            begun = time.monotonic()
            compiler = OnnxInt8(scheme)
            # Of every card as many: the views come card by card.
            rows = np.arange(count) * len(gate_images.calibration) // count
            made = compiler.compile(
                artifact.model, gate_images.calibration[rows], artifact.contract, folder
            )
            seconds = time.monotonic() - begun
            int8_hits, correct = hits(compiler.embedder(made, artifact.contract), gate_images)
            agreement = cosines(int8_hits, float_hits)
            p5, p1 = np.percentile(agreement, [5, 1])
            drop = right.astype(float) - correct
            low, high = mean_interval(drop, Clusters(gate_images.queries.card_ids, len(drop)))
            print(
                f"| {name} | {agreement.mean():.5f} | {p5:.5f} | {p1:.5f} | {agreement.min():.4f} "
                f"| {correct.mean():.4f} | {drop.mean():+.4f} [{low:+.4f}, {high:+.4f}] "
                f"| {seconds:.0f} s |",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
