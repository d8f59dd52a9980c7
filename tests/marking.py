"""Markers that name why a test is slow: set where path or fixture shows it, checked elsewhere.

``make quick`` leaves these tests out and counts them by reason. A test that starts a program or
trains a model without the marker fails, so that the markers stay complete.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any

import pytest

from tests.properties import IS_QUICK, QUICK_EXAMPLES
from tests.scheduling import longest_first

#: Every reason for which ``make quick`` leaves a test out; a test counts under its first one.
REASONS = {
    "deployed": "deploys the stacks to a local cloud",
    "trained": "trains a model",
    "processes": "starts other programs, or asks the local cloud",
}
#: What a test that requests one of these fixtures does.
_FIXTURES = {
    "deployed": "deployed",
    "cloud": "processes",
    "place": "processes",
    "jobs": "processes",
    "synthesise": "processes",
}
_E2E = Path(__file__).parent / "e2e"
#: The audit events of a process that starts; each names the program first, but for a fork.
_STARTS = frozenset({"subprocess.Popen", "os.posix_spawn", "os.system", "os.fork"})
#: No reason by themselves, started once in a run: the Node that synthesises the usual deployment,
#: uname (of platform.uname), fc-list (of Matplotlib's first look at the fonts) and a look at the
#: commit.
_SHARED_PROGRAMS = frozenset({"node", "git", "uname", "fc-list"})
_ORDER = list(REASONS)
_COUNTS = "left out by reason"


class _Observed:
    """What the test that runs now did.

    Attributes:
        programs: The programs that it started.
        steps: How many steps its optimizers made.
    """

    def __init__(self) -> None:
        self.programs: list[str] = []
        self.steps = 0
        self._watches_torch = False
        sys.addaudithook(self._audit)

    def begin(self) -> None:
        """Forgets what earlier tests did."""
        self.programs.clear()
        self.steps = 0
        self.watch_torch()

    def watch_torch(self) -> None:
        """Counts optimizer steps from here on, if torch was imported."""
        optimizers = sys.modules.get("torch.optim.optimizer")
        if optimizers is not None and not self._watches_torch:
            optimizers.register_optimizer_step_post_hook(self._count_step)
            self._watches_torch = True

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _STARTS:
            self.programs.append(PurePath(str(arguments[0])).name if arguments else "fork")

    def _count_step(self, *ignored: Any) -> None:
        self.steps += 1


_observed = _Observed()
_left_out: Counter[str] = Counter()


def reasons(item: pytest.Item) -> list[str]:
    """The reasons for which a quick run leaves a test out, most costly first."""
    return [reason for reason in REASONS if item.get_closest_marker(reason)]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sets the markers that a test's path and fixtures show."""
    for item in items:
        if _E2E in item.path.parents:
            item.add_marker("deployed")
        for fixture in _FIXTURES.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker(_FIXTURES[fixture])
    longest_first(items, lambda item: min(map(_ORDER.index, reasons(item)), default=len(_ORDER)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Fails a test that starts programs or trains without the marker that says so.

    Raises:
        AssertionError: The marker is missing.
    """
    _observed.begin()
    yield
    _observed.watch_torch()
    programs = [each for each in _observed.programs if each not in _SHARED_PROGRAMS]
    given = reasons(item)
    if programs and not {"deployed", "processes"} & set(given):
        raise AssertionError(
            f"{item.nodeid} starts {programs[0]}: mark it with pytest.mark.processes"
        )
    if _observed.steps and not {"deployed", "trained"} & set(given):
        raise AssertionError(f"{item.nodeid} trains a model: mark it with pytest.mark.trained")


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Counts what ``-m`` leaves out."""
    _left_out.update(found[0] for item in items if (found := reasons(item)))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hands a worker's counts to the process that reports."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[_COUNTS] = dict(_left_out)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Takes a worker's counts; each worker collects all tests, so one's counts are the run's."""
    counts = getattr(node, "workeroutput", {}).get(_COUNTS)
    if counts:
        _left_out.clear()
        _left_out.update(counts)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Says how many tests and examples were left out, and why."""
    for reason, what in REASONS.items():
        if _left_out[reason]:
            terminalreporter.write_line(f"left out: {_left_out[reason]} {reason} ({what})")
    if IS_QUICK:
        terminalreporter.write_line(
            f"{QUICK_EXAMPLES} examples of each property at most; make test runs all of them, "
            "and every test"
        )
