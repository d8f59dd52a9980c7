"""A kind of MLflow that a region lacks is named at synthesis, with what the region has."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from infra.mlflow_regions import WITHOUT_APP, WITHOUT_TRACKING_SERVER, require_mlflow
from infra.settings import Settings, SettingsError
from tests.infra.assembly import ROOT


@pytest.mark.parametrize(
    ("kind", "lacking"),
    [("MlflowApp", WITHOUT_APP), ("MlflowTrackingServer", WITHOUT_TRACKING_SERVER)],
)
def test_regions_are_those_of_cloudformations_schemas(kind: str, lacking: frozenset[str]) -> None:
    from cfnlint.helpers import REGIONS
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

    known = PROVIDER_SCHEMA_MANAGER.get_resource_types
    name = f"AWS::SageMaker::{kind}"
    assert lacking == {region for region in REGIONS if name not in known(region)}


@pytest.mark.parametrize(
    ("region", "kind", "choices"),
    [
        ("eu-south-1", "app", "tracking-server or none"),
        ("us-gov-west-1", "app", "to none"),
        ("cn-north-1", "tracking-server", "to none"),
    ],
)
def test_kind_that_the_region_lacks_is_refused_with_what_it_has(
    region: str, kind: str, choices: str
) -> None:
    with pytest.raises(SettingsError, match=f"has no MLflow .* in {region}: .*{choices}"):
        require_mlflow(Settings(mlflow=kind), region)


@pytest.mark.parametrize(
    ("region", "kind"),
    [("us-east-2", "app"), ("eu-south-1", "tracking-server"), ("us-gov-west-1", "none")],
)
def test_kind_that_the_region_has_is_accepted(region: str, kind: str) -> None:
    require_mlflow(Settings(mlflow=kind), region)


@pytest.mark.processes
def test_synthesis_for_a_region_without_mlflow_app_ends_with_one_line() -> None:
    ran = subprocess.run(
        [sys.executable, "app.py"],
        cwd=ROOT,
        env={**os.environ, "CDK_DEFAULT_REGION": "ap-east-1", "CDK_CONTEXT_JSON": "{}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert "no MLflow App in ap-east-1" in ran.stderr and ran.stderr.count("\n") == 1
