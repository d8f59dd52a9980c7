"""A stand-in for ``hailo_platform``: HailoRT's Python interface as its source says.

From hailo-ai/hailort 4.20 to 4.23 (MIT): ``VDevice.create_params``, ``create_infer_model``,
``InferModel.input().set_format_type``, ``configure``, ``create_bindings``, ``run_async`` with a
callback that gets ``completion_info.exception``, ``AsyncInferJob.wait`` that raises
``HailoRTTimeout``, and exceptions whose text carries the status.
"""

from __future__ import annotations

import enum
import sys
import threading
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

#: The texts of HailoRT's exceptions for a status, by ``create_exception_from_status``.
OUT_OF_DEVICES = "libhailort failed with error: 74 (HAILO_OUT_OF_PHYSICAL_DEVICES)"
DRIVER_VERSION = "libhailort failed with error: 76 (HAILO_INVALID_DRIVER_VERSION)"
TIMEOUT = "Received a timeout - hailort has failed because a timeout had occurred"


class HailoRTException(Exception):
    pass


class HailoRTTimeout(HailoRTException):
    pass


class HailoRTInvalidHEFException(HailoRTException):
    pass


class FormatType(enum.Enum):
    AUTO, UINT8, UINT16, FLOAT32 = range(4)


@dataclass
class Chip:
    """What the chip does, and what was asked of it.

    Attributes:
        embed: The network: uint8 (S, S, 3) to float32 (D,).
        input_shape: As the HEF says.
        output_shape: Likewise.
        open_error: Raised when the device is opened.
        model_error: Raised when the HEF is loaded.
        job_error: Given to the callback of every job.
        hangs: Jobs never end.
        queue: How many jobs may wait.
        running: Jobs at this moment.
        most_running: The most that there were.
        params: Of every device that was opened.
        opened: Devices that are open.
    """

    embed: Callable[[np.ndarray], np.ndarray]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    open_error: Exception | None = None
    model_error: Exception | None = None
    job_error: Exception | None = None
    hangs: bool = False
    queue: int = 2
    running: int = 0
    most_running: int = 0
    params: list[Any] = field(default_factory=list)
    opened: int = 0

    def module(self) -> types.ModuleType:
        """The module ``hailo_platform`` of a machine with this chip."""
        chip = self

        class VDevice(_Device):
            def __init__(self, params: Any = None) -> None:
                super().__init__(chip, params)

            @staticmethod
            def create_params() -> types.SimpleNamespace:
                return types.SimpleNamespace(multi_process_service=False, group_id="")

        made = types.ModuleType("hailo_platform")
        made.__version__ = "4.20.0"  # type: ignore[attr-defined]
        for each in (VDevice, FormatType, HailoRTException, HailoRTTimeout):
            setattr(made, each.__name__, each)
        return made


class _Device:
    def __init__(self, chip: Chip, params: Any) -> None:
        if chip.open_error:
            raise chip.open_error
        self._chip, self._released = chip, False
        chip.params.append(params)
        chip.opened += 1

    def create_infer_model(self, hef_source: str | bytes, name: str = "") -> _Model:
        assert isinstance(hef_source, str | bytes), "ValueError in HailoRT: a Path is neither"
        if self._chip.model_error:
            raise self._chip.model_error
        return _Model(self._chip)

    def release(self) -> None:
        if not self._released:
            self._released = True
            self._chip.opened -= 1


class _Stream:
    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape, self.format_type = list(shape), FormatType.AUTO

    def set_format_type(self, format_type: FormatType) -> None:
        assert isinstance(format_type, FormatType)
        self.format_type = format_type


class _Model:
    def __init__(self, chip: Chip) -> None:
        self._chip = chip
        self._input, self._output = _Stream(chip.input_shape), _Stream(chip.output_shape)

    def input(self, name: str = "") -> _Stream:
        return self._input

    def output(self, name: str = "") -> _Stream:
        return self._output

    def configure(self) -> _Configured:
        return _Configured(self._chip, self._input, self._output)


class _Buffer:
    """Refuses buffers as HailoRT does: of another size, or not in one piece."""

    def __init__(self, stream: _Stream) -> None:
        self._stream, self.array = stream, np.empty(0)

    def set_buffer(self, array: np.ndarray) -> None:
        types_ = {FormatType.UINT8: np.uint8, FormatType.FLOAT32: np.float32}
        if not array.flags.c_contiguous:
            raise HailoRTException("the buffer must be C_CONTIGUOUS")
        if array.dtype != types_.get(self._stream.format_type, np.uint8):
            raise HailoRTException(f"buffer of {array.dtype} for {self._stream.format_type}")
        if array.size != int(np.prod(self._stream.shape)):
            raise HailoRTException(
                "libhailort failed with error: 2 (HAILO_INVALID_ARGUMENT): buffer size"
            )
        self.array = array


class _Bindings:
    def __init__(self, taken: _Stream, given: _Stream) -> None:
        self._input, self._output = _Buffer(taken), _Buffer(given)

    def input(self, name: str = "") -> _Buffer:
        return self._input

    def output(self, name: str = "") -> _Buffer:
        return self._output


class _Job:
    def __init__(self, done: threading.Event) -> None:
        self._done = done

    def wait(self, timeout_ms: int) -> None:
        if not self._done.wait(timeout_ms / 1000):
            raise HailoRTTimeout(TIMEOUT)


class _Configured:
    def __init__(self, chip: Chip, taken: _Stream, given: _Stream) -> None:
        self._chip, self._streams = chip, (taken, given)
        self._free = threading.Semaphore(chip.queue)

    def get_async_queue_size(self) -> int:
        return self._chip.queue

    def create_bindings(self) -> _Bindings:
        return _Bindings(*self._streams)

    def wait_for_async_ready(self, timeout_ms: int = 1000, frames_count: int = 1) -> None:
        if not self._free.acquire(timeout=timeout_ms / 1000):
            raise HailoRTTimeout(TIMEOUT)
        self._free.release()

    def run_async(self, bindings: list[_Bindings], callback: Callable[[Any], None]) -> _Job:
        (binding,), done, chip = bindings, threading.Event(), self._chip
        assert self._free.acquire(blocking=False), "HAILO_QUEUE_IS_FULL"
        chip.running += 1
        chip.most_running = max(chip.most_running, chip.running)

        def work() -> None:
            error = chip.job_error
            if error is None:
                embedded = chip.embed(binding.input().array)
                binding.output().array[...] = embedded.reshape(binding.output().array.shape)
            chip.running -= 1
            self._free.release()
            callback(types.SimpleNamespace(exception=error))
            done.set()

        if not chip.hangs:
            threading.Timer(0.001, work).start()
        return _Job(done)

    def shutdown(self) -> None:
        pass


def plug_in(monkeypatch: Any, chip: Chip) -> Chip:
    """Makes ``import hailo_platform`` give the chip's module."""
    monkeypatch.setitem(sys.modules, "hailo_platform", chip.module())
    return chip
