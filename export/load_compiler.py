"""Loads the adapter of a compiler by its name; ``registry/compilers.py`` lists them."""

from __future__ import annotations

import importlib

from export.compiler import CompileError, Compiler
from export.deadline import Deadline
from registry.compilers import compiler_kind


def load_compiler(name: str, deadline: Deadline) -> Compiler:
    """The adapter of the compiler of that name, see :data:`registry.compilers.COMPILERS`.

    Args:
        name: As the settings name it.
        deadline: When its long steps must end.

    Raises:
        CompileError: There is none of that name.
    """
    try:
        kind = compiler_kind(name)
    except KeyError as error:
        raise CompileError(error.args[0]) from None
    module, _, adapter = kind.adapter.partition(":")
    made: Compiler = getattr(importlib.import_module(module), adapter).for_job(deadline)
    return made
