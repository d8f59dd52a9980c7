"""Which tests run in one process where there are several, and in which order.

``pytest -n 2 --dist loadfile`` gives each file to one process, so that a module's fixtures are made
once. The files of ``tests/e2e`` that share a deployment count as one file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

#: Files that use the session's own deployment and what was trained in it.
SHARED_DEPLOYMENT = frozenset(
    {
        "test_deployed_roles.py",
        "test_deployed_rules.py",
        "test_verify_account.py",
        "test_whole_path.py",
        "test_whole_path_operations.py",
        "test_whole_path_with_a_device.py",
    }
)
_E2E, _INFRA = "tests/e2e/", "tests/infra/"


def unit(node_id: str) -> str:
    """The unit of work to which a test belongs.

    >>> unit("tests/registry/test_names.py::test_round_trip")
    'tests/registry/test_names.py'
    >>> unit("tests/e2e/test_whole_path.py::test_release")
    'the shared deployment'
    >>> unit("tests/infra/test_stacks.py::test_names")
    'the synthesised deployment'
    """
    file = node_id.partition("::")[0]
    if file.startswith(_INFRA):
        return "the synthesised deployment"
    if file.startswith(_E2E) and file.removeprefix(_E2E) in SHARED_DEPLOYMENT:
        return "the shared deployment"
    return file


@pytest.hookimpl(tryfirst=True, optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Distributes by :func:`unit` in place of by file.

    Returns:
        A scheduler of pytest-xdist; None where another distribution is asked for.
    """
    from xdist.scheduler import LoadFileScheduling

    class ByUnit(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return unit(nodeid)

    return ByUnit(config, log) if config.getvalue("dist") == "loadfile" else None


def longest_first(items: list[pytest.Item], rank: Callable[[pytest.Item], int]) -> None:
    """Sorts files by their longest kind of test, so that no process waits for one at the end.

    Args:
        items: What was collected; sorted in place, and in the same order within a file.
        rank: A test's kind, the longest kind first.

    Raises:
        pytest.UsageError: A file uses the shared deployment and is not in ``SHARED_DEPLOYMENT``.
    """
    ranks: dict[Path, int] = {}
    for item in items:
        module = getattr(item, "module", None)
        shares = "deployed" in getattr(item, "fixturenames", ()) and not hasattr(module, "deployed")
        if shares and item.path.name not in SHARED_DEPLOYMENT:
            raise pytest.UsageError(
                f"{item.path}: uses the shared deployment; name it in tests/scheduling.py"
            )
        ranks[item.path] = min(rank(item), ranks.get(item.path, rank(item)))
    items.sort(key=lambda item: ranks[item.path])
