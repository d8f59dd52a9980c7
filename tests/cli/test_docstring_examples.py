"""The examples in the docstrings of the command line's packages run and give what they show."""

from __future__ import annotations

import doctest
import importlib

import pytest

PACKAGES = ("data", "demo", "export", "operations", "operations.checks", "registry", "release",
            "train")  # fmt: skip


@pytest.mark.parametrize("package", PACKAGES)
def test_package_docstring_example_runs(package: str) -> None:
    module = importlib.import_module(f"cli.{package}")
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL)
    assert result.attempted > 0
    assert result.failed == 0
