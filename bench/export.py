"""A student on a processor: PyTorch, ONNX Runtime in FP32 and in INT8, in one run.

    python -m bench.export [--size 224] [--rounds 5]
    make bench-export

An EfficientNet-Lite0 with random weights, exported and quantised by the product on views of drawn
cards: speed does not depend on the weights. Rounds alternate between the runtimes, batch 1, at one
and at two threads; ratios are of neighbours, intervals order statistics' (95 %, or the whole range
where there are too few rounds).
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.order_statistics import median_interval

CALIBRATION_CARDS, VIEWS = 64, 4


def student(size: int) -> Any:
    """EfficientNet-Lite0 to 768, as the recipes have it, with random weights."""
    from registry.names import STUDENT
    from training.models.networks import build_model
    from training.recipe import resolve

    config = resolve("full", STUDENT, "stage2", {"image_size": size, "pretrained": False})
    return build_model(config).eval(), config


def milliseconds(work: Callable[[Any], object], images: np.ndarray) -> float:
    """Of one image, on average."""
    work(images[:1])
    begun = time.perf_counter()
    for number in range(len(images)):
        work(images[number : number + 1])
    return 1000 * (time.perf_counter() - begun) / len(images)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.export", description=__doc__)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=40, help="of each round")
    options = parser.parse_args(arguments)
    import torch

    from export.graphs.onnx_export import export_onnx
    from export.int8 import OnnxInt8
    from recognition.card_sets.card_set import read_card_set
    from recognition.onnx_model import OnnxEmbedder
    from recognition.sample_cards.drawing import draw_card_set
    from recognition.views.camera import camera_views
    from training.data.normaliser import Normaliser

    with tempfile.TemporaryDirectory(prefix="cards-export-") as temporary:
        folder = Path(temporary)
        model, config = student(options.size)
        contract = config.contract
        normalise = Normaliser(config, torch.device("cpu"))
        draw_card_set(folder / "cards", CALIBRATION_CARDS, seed=0)
        cards = read_card_set(folder / "cards", contract)
        scans = cards.first_scans(contract, scale=2)
        views, _ = camera_views(
            scans, cards.card_ids, size=contract.size, seed=0, stream="calibration",
            per_card=VIEWS, threads=os.cpu_count() or 1,
        )  # fmt: skip
        begun = time.monotonic()
        export_onnx(model, contract, folder / "model.onnx", views[:4])
        exported = time.monotonic() - begun
        begun = time.monotonic()
        made = OnnxInt8().compile(folder / "model.onnx", views, contract, folder)
        quantised = time.monotonic() - begun
        print(
            f"{platform.machine()}, {os.cpu_count()} cores; {options.size} px, batch 1, "
            f"{options.rounds} rounds of {options.images} images"
        )
        print(f"export {exported:.1f} s; quantisation {quantised:.1f} s on {len(views)} images")
        images = views[: options.images]
        print("| threads | runtime | ms an image | images/s | against PyTorch | file |")
        print("|---|---|---|---|---|---|")
        for threads in (1, 2):
            torch.set_num_threads(threads)
            eager = model.to(memory_format=torch.channels_last)

            def by_torch(batch: np.ndarray, eager: Any = eager) -> object:
                with torch.inference_mode():
                    return eager(normalise(batch))

            float_graph = OnnxEmbedder(
                folder / "model.onnx", contract, threads=threads, parallel="operators"
            )
            small = OnnxEmbedder(made.path, contract, threads=threads, parallel="operators")
            ways: dict[str, tuple[Callable[[Any], object], Path | None]] = {
                "PyTorch": (by_torch, None),
                "ONNX Runtime, FP32": (float_graph.embed, folder / "model.onnx"),
                "ONNX Runtime, INT8": (small.embed, made.path),
            }
            took: dict[str, list[float]] = {name: [] for name in ways}
            for _ in range(options.rounds):
                for name, (work, _) in ways.items():
                    took[name].append(milliseconds(work, images))
            for name, (_, file) in ways.items():
                middle = statistics.median(took[name])
                ratios = [a / b for a, b in zip(took["PyTorch"], took[name], strict=True)]
                ratio, low, high = median_interval(ratios)
                size = f"{file.stat().st_size / 2**20:.1f} MiB" if file else ""
                print(
                    f"| {threads} | {name} | {middle:.2f} | {1000 / middle:.0f} "
                    f"| ×{ratio:.2f} [{low:.2f}, {high:.2f}] | {size} |",
                    flush=True,
                )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
