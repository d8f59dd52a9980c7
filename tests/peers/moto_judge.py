"""Runs tests of the product against moto's server, not the local cloud: ``pytest --peer moto``.

It keeps the tests that ask a cloud and start no job: moto runs none. A test that moto is known
to fail is in ``moto_differences.py`` with the reason; one that passes nevertheless is a failure.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.peers.moto_differences import DIFFERENCES
from tests.running_cloud import ROOT


def name_of(item: pytest.Item) -> str:
    """A test's file below the tests' folder and its function."""
    path = Path(item.path).relative_to(ROOT / "tests")
    return f"{path}::{item.nodeid.partition('::')[2].partition('[')[0]}"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keeps what can be judged, and marks what is known to differ."""
    asking = [item for item in items if "cloud" in getattr(item, "fixturenames", ())]
    kept = [item for item in asking if "jobs" not in getattr(item, "fixturenames", ())]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    for item in kept:
        if reason := DIFFERENCES.get(name_of(item)):
            item.add_marker(pytest.mark.xfail(strict=True, reason=reason))
    items[:] = kept
