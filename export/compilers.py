"""The compilers that there are: Hailo's, and ONNX Runtime's quantiser."""

from __future__ import annotations

from export.compiler import CompileError, Compiler
from export.deadline import Deadline


def compiler(name: str, deadline: Deadline) -> Compiler:
    """The compiler of that name: ``onnx-int8`` or ``hailo``.

    Args:
        name: As settings and recipes name it.
        deadline: When its long steps must end; ``onnx-int8`` takes minutes and has none.

    Raises:
        CompileError: There is none of that name.
    """
    if name == "onnx-int8":
        from export.int8 import OnnxInt8

        return OnnxInt8()
    if name == "hailo":
        from export.hailo.compiler import Hailo

        return Hailo(deadline)
    raise CompileError(f"compiler {name!r} is none of onnx-int8, hailo")
