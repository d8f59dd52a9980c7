"""The Hailo compiler in a process of its own: ``python -m export.hailo.worker REQUEST``.

It may be killed for its memory, crash, or hang, and only it is lost. It may also have an
environment of its own, since the compiler pins other packages than the job does: this file, and
what it imports, need NumPy and the compiler, nothing else. What it does is said by a line
``step: …`` on its output; its failure stands in ``failure.json``, what it made in the request's
folder.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from export.array_file import read_array
from export.calibration import record

SDK = "hailo_sdk_client"
HAR, HEF, FAILURE, VERSION = "model.har", "model.hef", "failure.json", "version.txt"
IMAGES, EMBEDDINGS = "images.npy", "embeddings.npy"
#: What the quantiser was really shown: a ``CalibrationRecord``.
SHOWN = "shown.json"
FAILED = 3
_NETWORK = "card_embedder"
#: Shape of images: number, height, width, channels.
_IMAGES = (None, None, None, 3)


def main(arguments: list[str]) -> int:
    """Follows a request, which ``export.hailo.compiler`` writes."""
    request = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    folder = Path(request["folder"])
    try:
        sdk = importlib.import_module(SDK)
        tasks = {"compile": _compile, "embed": _embed}
        tasks[request["task"]](sdk, request, folder)
    except Exception as error:
        names = [kind.__name__ for kind in type(error).__mro__ if kind is not object]
        document = {"classes": names, "message": str(error)[:10_000]}
        (folder / FAILURE).write_text(json.dumps(document), encoding="utf-8")
        return FAILED
    return 0


def _compile(sdk: Any, request: dict[str, Any], folder: Path) -> None:
    """Parses, optimises, quantises and compiles; leaves HAR and HEF."""
    (folder / VERSION).write_text(_version(sdk), encoding="utf-8")
    images = read_array(Path(request["calibration"]), np.uint8, _IMAGES)
    _step("parsing")
    runner = sdk.ClientRunner(hw_arch=request["architecture"])
    runner.translate_onnx_model(
        request["network"],
        _NETWORK,
        start_node_names=[request["start"]],
        end_node_names=[request["end"]],
        net_input_shapes={request["start"]: request["shape"]},
    )
    runner.load_model_script(request["script"])
    _step("optimising in full precision")
    runner.optimize_full_precision(calib_data=images)
    _step("quantising")
    # Here and not where the images come from: whatever is done to them on the way must show.
    (folder / SHOWN).write_text(json.dumps(record(images).to_dict()), encoding="utf-8")
    runner.optimize(images)
    _step("compiling")
    (folder / HEF).write_bytes(runner.compile())
    runner.save_har(str(folder / HAR))


def _embed(sdk: Any, request: dict[str, Any], folder: Path) -> None:
    """Runs a network in the compiler's emulator; answers are as it gives them."""
    images = read_array(folder / IMAGES, np.uint8, _IMAGES)
    runner = sdk.ClientRunner(har=request["har"])
    with runner.infer_context(getattr(sdk.InferenceContext, request["mode"])) as context:
        answer = np.asarray(runner.infer(context, images), dtype=np.float32)
    np.save(folder / EMBEDDINGS, answer.reshape(len(images), -1), allow_pickle=False)


def _version(sdk: Any) -> str:
    """The compiler's version; its module is part of a package of another name."""
    for package in importlib.metadata.packages_distributions().get(SDK, []):
        return importlib.metadata.version(package)
    return str(getattr(sdk, "__version__", "unknown"))


def _step(name: str) -> None:
    print(f"step: {name}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
