"""The worked examples in the docstrings of the registry's packages and of its decision."""

from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize(
    "module",
    [
        "registry",
        "registry.automation",
        "registry.channels",
        "registry.convergence",
        "registry.releases",
    ],
)
def test_worked_example_runs_as_printed(module: str) -> None:
    result = doctest.testmod(importlib.import_module(module))
    assert result.attempted > 0 and result.failed == 0
