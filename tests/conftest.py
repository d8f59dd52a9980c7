"""What every test shares: hypothesis' settings, the markers, one local cloud, accounts in it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, ClassVar

import boto3
import botocore.session
import pytest
import typer.main
from botocore.client import ClientCreator
from botocore.loaders import Loader
from botocore.model import ServiceModel
from hypothesis import settings

from localcloud import LocalCloud
from tests.marking import (
    pytest_collection_modifyitems,
    pytest_deselected,
    pytest_runtest_call,
    pytest_sessionfinish,
    pytest_terminal_summary,
    pytest_testnodedown,
)
from tests.peers import moto_judge
from tests.peers.moto_server import MotoServer
from tests.properties import examples
from tests.running_cloud import Account, make_cloud
from tests.scheduling import pytest_xdist_make_scheduler

__all__ = [
    "pytest_collection_modifyitems",
    "pytest_deselected",
    "pytest_runtest_call",
    "pytest_sessionfinish",
    "pytest_terminal_summary",
    "pytest_testnodedown",
    "pytest_xdist_make_scheduler",
]


def pytest_addoption(parser: pytest.Parser) -> None:
    """A judge of the product's tests in the place of the local cloud; ``make peers`` uses it."""
    parser.addoption("--peer", choices=["moto"], help="ask this server, not the local cloud")


def pytest_configure(config: pytest.Config) -> None:
    """Lets the judge choose what it can judge."""
    if config.getoption("--peer") == "moto":
        config.pluginmanager.register(moto_judge)


class _SharedLoader(Loader):
    """Reads each file of botocore once for all sessions: each command makes a session of its own.

    What Loader caches per instance is a service's model, and also the endpoints of all services,
    whose text of a megabyte each session parsed.
    """

    _shared: ClassVar[dict[Any, Any]] = {}

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._cache = self._shared


def _shared_methods() -> Callable[[ClientCreator, ServiceModel], dict[str, Any]]:
    """Makes a client's methods once a service: SageMaker has 400, and none knows its session."""
    create = ClientCreator._create_methods
    made: dict[str, dict[str, Any]] = {}

    def methods(self: ClientCreator, model: ServiceModel) -> dict[str, Any]:
        if model.service_name not in made:
            made[model.service_name] = create(self, model)
        return dict(made[model.service_name])

    return methods


@pytest.fixture(scope="session", autouse=True)
def shared_service_models() -> Iterator[None]:
    """Parsing SageMaker's model takes a second, in each of a thousand tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", lambda *_: _SharedLoader())
        patch.setattr(ClientCreator, "_create_methods", _shared_methods())
        yield


@pytest.fixture(autouse=True)
def process_wide_clients_forget_other_tests() -> Iterator[None]:
    """What libraries keep for the whole process was read from another test's environment.

    boto3's default session holds its credentials, MLflow's tracking address also its variable.
    """
    boto3.DEFAULT_SESSION = None
    yield
    boto3.DEFAULT_SESSION = None
    if "mlflow" in sys.modules:
        sys.modules["mlflow"].set_tracking_uri(None)


@pytest.fixture(scope="session", autouse=True)
def shared_commands() -> Iterator[None]:
    """Typer builds all commands anew for each command line: four fifths of what most take here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.main, "get_command", cache(typer.main.get_command))
        yield


# A busy machine is slow; that is no fault of what is tested.
settings.register_profile("cards", deadline=None, max_examples=examples())
settings.load_profile("cards")


@pytest.fixture(scope="session")
def cloud(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[LocalCloud]:
    """One running local cloud for every test that needs AWS, but not the cloud's start or stop.

    Tests share it: a test names its resources with a random part, or uses ``account``.
    """
    make = MotoServer.in_folder if request.config.getoption("--peer") else make_cloud
    running = make(tmp_path_factory.mktemp("cloud"))
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def account(cloud: LocalCloud) -> Account:
    """An account of the module's own in the shared cloud, empty at first."""
    if isinstance(cloud, MotoServer):
        return cloud.emptied_account()
    return Account.new(cloud)
