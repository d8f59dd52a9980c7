"""Embeds images on a Hailo chip, with HailoRT's asynchronous inference.

Written against HailoRT 4.20 to 4.23 (``hailo_platform``, its class ``InferModel``). **Not yet run
on a chip**: the tests run it on a stand-in that behaves as HailoRT's documentation and source say.
"""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recognition.hef import HefError, read_hef, require_card_model
from recognition.search.gallery import l2_normalise
from registry.contract import Contract

#: How long one image may take; a Hailo-8L embeds a thousand in a second.
TIMEOUT_MS = 2000
#: ``1``: the chip is shared with other programs through HailoRT's own service.
SERVICE_VARIABLE = "CARDS_EDGE_HAILO_SERVICE"
#: Programs with the same name share the chip.
_GROUP = "SHARED"
#: Images that wait for the chip while it works on one, at most.
_QUEUE = 4
_BUSY = "HAILO_OUT_OF_PHYSICAL_DEVICES"
_REMEDIES = {
    _BUSY: (
        "another program uses the chip; share it through HailoRT's service: sudo systemctl enable "
        f"--now hailort.service, and {SERVICE_VARIABLE}=1 in /etc/cards-edge.env"
    ),
    "HAILO_INVALID_DRIVER_VERSION": (
        "library and driver differ: sudo apt install --reinstall hailo-dkms hailort, then reboot"
    ),
    "HAILO_DRIVER_FAIL": "look at dmesg | grep hailo; reboot, or seat the board anew",
}


class HailoError(RuntimeError):
    """HailoRT or the chip cannot run the model; names the cause and the remedy."""


class HailoBusyError(HailoError):
    """Another program uses the chip; the model may be good."""


class HailoEmbedder:
    """A HEF on the chip: uint8 NHWC images in, one embedding each out, L2 on the host.

    The device stays open until :meth:`close`, since opening it takes a second.
    """

    def __init__(self, path: Path, contract: Contract, timeout_ms: int = TIMEOUT_MS) -> None:
        """Opens the chip and loads a model.

        Args:
            path: The ``.hef`` file.
            contract: What the model must take and give.
            timeout_ms: How long one image may take.

        Raises:
            HailoError: HailoRT is missing, the chip does not answer, or the model is not for it.
        """
        self.contract = contract
        self._path = Path(path)
        self._timeout = timeout_ms
        try:
            require_card_model(read_hef(self._path), contract)
        except (HefError, OSError) as error:
            raise HailoError(f"{self._path}: {error}") from None
        self._platform = _platform()
        self._device: Any = None
        self._configured: Any = None
        try:
            self._open()
        except Exception as error:  # HailoRT's exceptions share no base class with others
            self.close()
            raise _translated(self._path, error) from None

    def _open(self) -> None:
        platform = self._platform
        params = platform.VDevice.create_params()
        if os.environ.get(SERVICE_VARIABLE) == "1":
            params.multi_process_service = True
            params.group_id = _GROUP
        self._device = platform.VDevice(params)
        model = self._device.create_infer_model(str(self._path))
        model.input().set_format_type(platform.FormatType.UINT8)
        # HailoRT scales the chip's bytes back to numbers.
        model.output().set_format_type(platform.FormatType.FLOAT32)
        self._check_shapes(tuple(model.input().shape), tuple(model.output().shape))
        self._output_shape = tuple(model.output().shape)
        self._configured = model.configure()
        self._queue = max(1, min(_QUEUE, self._configured.get_async_queue_size()))

    def _check_shapes(self, taken: tuple[int, ...], given: tuple[int, ...]) -> None:
        size, length = self.contract.size, self.contract.embedding_dim
        if taken != (size, size, 3) or int(np.prod(given)) != length:
            raise HailoError(
                f"{self._path}: takes {taken} and gives {given}, the contract says "
                f"{(size, size, 3)} and {length} numbers"
            )

    def embed(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embeds images; some wait for the chip while it works on one.

        Args:
            images: uint8 RGB (N, S, S, 3), S the contract's size.

        Returns:
            float32 (N, embedding_dim), rows of length 1.

        Raises:
            HailoError: Images of another form, the chip fails or takes too long, or an embedding
                without direction.
        """
        size = self.contract.size
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != (size, size, 3):
            raise HailoError(
                f"{self._path}: takes uint8 images of (N, {size}, {size}, 3), "
                f"got {images.dtype} {images.shape}"
            )
        outputs: NDArray[np.float32] = np.empty((len(images), *self._output_shape), np.float32)
        running: deque[tuple[Any, list[BaseException], Any]] = deque()
        try:
            for image, output in zip(images, outputs, strict=True):
                if len(running) >= self._queue:
                    self._finish(*running.popleft())
                running.append(self._start(image, output))
            while running:
                self._finish(*running.popleft())
            return l2_normalise(outputs.reshape(len(images), self.contract.embedding_dim))
        except HailoError:
            raise
        except Exception as error:
            raise _translated(self._path, error) from None

    def _start(
        self, image: NDArray[np.uint8], output: NDArray[np.float32]
    ) -> tuple[Any, list[BaseException], Any]:
        bindings = self._configured.create_bindings()
        bindings.input().set_buffer(np.ascontiguousarray(image))
        bindings.output().set_buffer(output)
        failed: list[BaseException] = []

        def done(completion_info: Any) -> None:
            # Called on HailoRT's thread; an exception that is raised here would be lost.
            if completion_info.exception:
                failed.append(completion_info.exception)

        self._configured.wait_for_async_ready(timeout_ms=self._timeout)
        # The bindings own the buffers: they live as long as the job.
        return self._configured.run_async([bindings], done), failed, bindings

    def _finish(self, job: Any, failed: list[BaseException], bindings: Any) -> None:
        job.wait(self._timeout)
        if failed:
            raise failed[0]

    def close(self) -> None:
        """Gives the chip back."""
        configured, self._configured = self._configured, None
        device, self._device = self._device, None
        for end in (
            getattr(configured, "shutdown", None),
            getattr(device, "release", None),
        ):
            if end is not None:
                try:
                    end()
                except Exception:  # noqa: S112  # what fails to close is gone with the process
                    continue


def _platform() -> Any:
    try:
        import hailo_platform
    except ImportError as error:
        raise HailoError(
            f"HailoRT's Python package cannot be imported ({error}): sudo apt install hailo-all, "
            "and install cards-edge with --system-site-packages"
        ) from None
    return hailo_platform


def _translated(path: Path, error: Exception) -> HailoError:
    """HailoRT's exception as one line with its remedy."""
    if isinstance(error, HailoError):
        return error
    kind, text = type(error).__name__, str(error).strip().partition("\n")[0]
    for status, remedy in _REMEDIES.items():
        if status in text:
            made = HailoBusyError if status == _BUSY else HailoError
            return made(f"{path}: HailoRT: {text}; {remedy}")
    if kind == "HailoRTTimeout":
        return HailoError(f"{path}: HailoRT: {text}; the chip does not answer: reboot, and look at "
                          "dmesg | grep hailo")  # fmt: skip
    if kind in ("HailoRTInvalidHEFException", "HailoRTHEFNotCompatibleWithDevice"):
        return HailoError(
            f"{path}: HailoRT: {text}; the chip or this HailoRT does not run this HEF: compare "
            "cards-edge doctor with the compiler's version in the manifest"
        )
    return HailoError(f"{path}: HailoRT: {kind}: {text}; cards-edge doctor compares the versions")
