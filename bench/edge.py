"""The device's client: start to first answer, one image by stage, memory, bytes of an update.

    python -m bench.edge [--rows 17592] [--rounds 7]
    make bench-edge

A release of full size (EfficientNet-Lite0 of random weights as INT8, an index of random rows) is
published to a bucket in memory and pulled by the product's own update, its self-test included. The
baseline is a plain script: ONNX Runtime, one matrix product, argmax. Client and script alternate in
one run; medians with their intervals by order statistics.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.edge_release import MemoryBucket, release_files, updater
from bench.order_statistics import median_interval
from edge.state.folder import CURRENT, StateFolder
from registry.contract import Contract
from registry.releases.manifest import sha256

#: The most memory that a process had, in MiB.
PEAK = """
def peak():
    # Not getrusage: it counts the parent's memory from before exec.
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmHWM"))
"""
#: What a device's user would write without the client: no check, no threshold, no update.
PLAIN = """
import sys, time
import cv2, numpy as np, onnxruntime
folder, image, threads, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads, options.log_severity_level = threads, 3
session = onnxruntime.InferenceSession(f"{folder}/model.int8.onnx", options)
rows = np.load(f"{folder}/embeddings.npy").astype(np.float32)
rows /= np.linalg.norm(rows, axis=1, keepdims=True)
name, size = session.get_inputs()[0].name, session.get_inputs()[0].shape[1]
def answer(pixels):
    row = session.run(None, {name: pixels[None]})[0][0]
    return int((rows @ (row / np.linalg.norm(row))).argmax())
pixels = cv2.resize(cv2.imread(image)[:, :, ::-1], (size, size), interpolation=cv2.INTER_AREA)
pixels = np.ascontiguousarray(pixels)
first = answer(pixels)
begun = time.perf_counter()
for _ in range(count):
    answer(pixels)
took = (time.perf_counter() - begun) / max(count, 1)
print(1000 * took, peak())
"""
CLIENT = """
import sys, time
from pathlib import Path
from edge.guarded_recogniser import GuardedRecogniser
from edge.state.folder import StateFolder
from recognition.card_sets.scan import decode_image, read_image_bytes, stretch
state, image, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
recogniser = GuardedRecogniser(StateFolder(state))
recogniser.recognise(decode_image(read_image_bytes(image)))
inner = recogniser.recogniser
stages = dict.fromkeys(("decode", "resize", "embed", "search"), 0.0)
for _ in range(count):
    marks = [time.perf_counter()]
    pixels = decode_image(read_image_bytes(image)); marks.append(time.perf_counter())
    square = stretch(pixels, inner.contract.size); marks.append(time.perf_counter())
    row = inner.embed(square[None])[0]; marks.append(time.perf_counter())
    inner.answer(row); marks.append(time.perf_counter())
    for name, one, other in zip(stages, marks, marks[1:]):
        stages[name] += other - one
print(*(1000 * each / max(count, 1) for each in stages.values()),
      peak())
"""


def run(code: str, *words: str, threads: int) -> tuple[float, list[float]]:
    """Runs a script in a process of its own: seconds from start to end, and what it printed."""
    cores = {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", PEAK + code, *words],
        env={**os.environ, **cores, "CARDS_EDGE_THREADS": str(threads)},
        capture_output=True, text=True,
    )  # fmt: skip
    took = time.perf_counter() - begun
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return took, [float(value) for value in done.stdout.split()]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.edge", description=__doc__)
    parser.add_argument("--rows", type=int, default=17_592)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--images", type=int, default=40, help="of each round")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="cards-edge-") as temporary:
        root = Path(temporary)
        files, contract = release_files(root, options.size, options.rows)
        bucket, folder = MemoryBucket(), StateFolder(root / "device")
        print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, "
              f"{options.rows:,} rows of {contract.embedding_dim}")  # fmt: skip
        _updates(bucket, folder, files, contract)
        image = _image(root, options.size)
        current = folder.linked(CURRENT)
        assert current is not None
        for threads in (1, 2):
            _recognition(folder, current, image, threads, options.rounds, options.images)
    return 0


def _updates(
    bucket: MemoryBucket, folder: StateFolder, files: dict[str, bytes], contract: Contract
) -> None:
    print(f"\n{'update':34}{'seconds':>9}{'requests':>10}{'bytes':>14}")

    def measured(name: str) -> None:
        bucket.sent.clear()
        bucket.requests.clear()
        begun = time.perf_counter()
        result = updater(bucket, folder).run()
        took = time.perf_counter() - begun
        requests, sent = sum(bucket.requests.values()), sum(bucket.sent.values())
        print(f"{name:34}{took:9.2f}{requests:10}{sent:14,}   {result.text[:40]}")

    bucket.publish("v1.onnx-int8-00000000", files, contract)
    measured("first release, self-test included")
    measured("unchanged")
    changed = {**files, "index.json": files["index.json"].replace(b"set99-99", b"set99-x")}
    changed["metadata.json"] = files["metadata.json"].replace(
        sha256(files["index.json"]).encode(), sha256(changed["index.json"]).encode()
    )
    bucket.publish("v2.onnx-int8-00000000", changed, contract)
    measured("one card id changed")


def _image(root: Path, size: int) -> Path:
    import cv2

    from recognition.sample_cards.drawing import draw_card

    path = root / "photo.jpg"
    cv2.imwrite(str(path), draw_card(3, height=4 * size)[:, :, ::-1])
    return path


def _recognition(
    folder: StateFolder, current: Path, image: Path, threads: int, rounds: int, images: int
) -> None:
    root = str(folder.root)
    starts: dict[str, list[float]] = {"client": [], "script": []}
    stages: list[list[float]] = []
    scripts: list[list[float]] = []
    for _ in range(rounds):
        starts["client"].append(run(CLIENT, root, str(image), "0", threads=threads)[0])
        words = (str(current), str(image), str(threads))
        starts["script"].append(run(PLAIN, *words, "0", threads=threads)[0])
        stages.append(run(CLIENT, root, str(image), str(images), threads=threads)[1])
        scripts.append(run(PLAIN, *words, str(images), threads=threads)[1])
    print(f"\n{f'{threads} thread' + 's' * (threads > 1):34}{'median':>9}{'interval':>20}")
    table: list[tuple[str, Callable[[int], float], str]] = [
        ("start to first answer", lambda n: starts["client"][n], "s"),
        ("  plain script", lambda n: starts["script"][n], "s"),
        *(
            (name, lambda n, index=index: stages[n][index], "ms")
            for index, name in enumerate(("decode", "resize", "embed", "search"))
        ),
        ("embed and search", lambda n: stages[n][2] + stages[n][3], "ms"),
        ("  plain script", lambda n: scripts[n][0], "ms"),
        ("  ratio", lambda n: (stages[n][2] + stages[n][3]) / scripts[n][0], "×"),
        ("memory", lambda n: stages[n][4], "MiB"),
        ("  plain script", lambda n: scripts[n][1], "MiB"),
    ]
    for name, value, unit in table:
        middle, low, high = median_interval([value(n) for n in range(rounds)])
        print(f"{name:34}{middle:9.3g} {unit:4}[{low:.3g}, {high:.3g}]")


if __name__ == "__main__":
    sys.exit(main())
