"""The examples in docstrings of the registry give what they say."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import registry

MODULES = sorted(
    ["registry"]
    + [module.name for module in pkgutil.walk_packages(registry.__path__, prefix="registry.")]
)
WITH_EXAMPLES = [
    "registry",
    "registry.automation",
    "registry.channels",
    "registry.compilation",
    "registry.compilers",
    "registry.convergence",
    "registry.fleet",
    "registry.lineage",
    "registry.registration",
    "registry.releases",
    "registry.releases.pull",
    "registry.releases.signatures",
    "registry.untrusted",
    "registry.versions",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_give_what_they_say(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0
    assert result.attempted or name not in WITH_EXAMPLES
