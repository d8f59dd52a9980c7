"""Embeds images with an exported ONNX model, float or INT8."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from recognition.search.gallery import l2_normalise
from registry.contract import Contract

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

LARGEST_MODEL_BYTES = 2 * 2**30
_CHUNK = 32


class OnnxModelError(ValueError):
    """A model that does not follow the contract, or cannot run; names the file and why."""


class OnnxEmbedder:
    """Runs a shipped graph: one uint8 NHWC image in, one embedding out, L2 on the host."""

    def __init__(
        self,
        path: Path,
        contract: Contract,
        threads: int = 1,
        *,
        parallel: Literal["images", "operators"] = "images",
    ) -> None:
        """Loads a model and checks it against the contract.

        Args:
            path: The ``.onnx`` file.
            contract: What the model must take and give.
            threads: Cores to use.
            parallel: Use them for several images at once, which is fastest for many, or within
                one image, which answers soonest for one.

        Raises:
            OnnxModelError: No such file, no ONNX model, or of another contract.
        """
        self.contract = contract
        self._path = Path(path)
        self._workers = max(1, threads) if parallel == "images" else 1
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = max(1, threads) if parallel == "operators" else 1
        options.inter_op_num_threads = 1
        # One image at a time needs no pool of memory, which on a device only grows.
        options.enable_cpu_mem_arena = options.enable_mem_pattern = parallel == "images"
        options.log_severity_level = 3
        # From bytes, so that a graph cannot name other files to read its weights from.
        try:
            if self._path.stat().st_size > LARGEST_MODEL_BYTES:
                raise OnnxModelError(f"{self._path}: over 2 GiB")
            content = self._path.read_bytes()
        except OSError as error:
            raise OnnxModelError(
                f"{self._path}: cannot be read ({error.strerror or error})"
            ) from None
        try:
            self._session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's exceptions share no public base class
            first_line = str(error).strip().splitlines()[0][:200] if str(error).strip() else ""
            raise OnnxModelError(f"{self._path}: ONNX Runtime refuses it ({first_line})") from None
        self._input, self._output = self._check()

    def embed(self, images: Pixels, progress: Callable[[int], None] | None = None) -> Floats:
        """Embeds images one by one, as the device does.

        Args:
            images: uint8 RGB (N, S, S, 3), S the contract's size.
            progress: Called with the number of images finished since the last call.

        Returns:
            float32 (N, embedding_dim), rows of length 1.

        Raises:
            OnnxModelError: Images of another type or shape, or an embedding without direction.
        """
        size = self.contract.size
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != (size, size, 3):
            raise OnnxModelError(
                f"{self._path}: takes uint8 images of (N, {size}, {size}, 3), "
                f"got {images.dtype} {images.shape}"
            )
        embeddings: Floats = np.empty((len(images), self.contract.embedding_dim), dtype=np.float32)

        def run(start: int) -> int:
            stop = min(start + _CHUNK, len(images))
            for row in range(start, stop):
                image = np.ascontiguousarray(images[row : row + 1])
                embeddings[row] = self._session.run([self._output], {self._input: image})[0][0]
            return stop - start

        with ThreadPoolExecutor(self._workers) as pool:
            for finished in pool.map(run, range(0, len(images), _CHUNK)):
                if progress is not None:
                    progress(finished)
        try:
            return l2_normalise(embeddings)
        except ValueError as error:
            raise OnnxModelError(f"{self._path}: {error}") from None

    def _check(self) -> tuple[str, str]:
        size, length = self.contract.size, self.contract.embedding_dim
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1:
            raise OnnxModelError(
                f"{self._path}: {len(inputs)} inputs and {len(outputs)} outputs, "
                "a card model has one of each"
            )
        taken, given = inputs[0], outputs[0]
        for subject, found, expected in (
            ("input", (taken.type, list(taken.shape)), ("tensor(uint8)", [1, size, size, 3])),
            ("output", (given.type, list(given.shape)), ("tensor(float)", [1, length])),
        ):
            if found != expected:
                raise OnnxModelError(
                    f"{self._path}: {subject} is {found[0]} {found[1]}, "
                    f"the contract says {expected[0]} {expected[1]}"
                )
        return str(taken.name), str(given.name)
