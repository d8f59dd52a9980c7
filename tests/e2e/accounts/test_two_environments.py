"""Two environments beside each other in one account: ``-c cards.environment=prod`` is enough."""

from __future__ import annotations

import json

import pytest

from registry.names import GROUP
from tests.e2e.cloud import BIN, Cloud, started


def test_second_environment_deploys_beside_the_first(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with started(tmp_path_factory.mktemp("environments")) as cloud:
        cloud.bootstrap()
        cloud.deploy({})
        cloud.deploy({"environment": "prod"})
        dev, prod = cloud.deployed("dev"), cloud.deployed("prod")
        account, region = cloud.variables["CDK_DEFAULT_ACCOUNT"], cloud.variables["AWS_REGION"]
        assert (dev.group_name, prod.group_name) == (GROUP, f"{GROUP}-prod")
        assert dev.training_bucket == f"pokemon-card-training-{account}-{region}"
        assert prod.training_bucket == f"cards-prod-training-{account}-{region}"
        for key in ("mlflow_bucket", "release_bucket", "mlflow_uri", "signing_key_arn"):
            assert getattr(dev, key) != getattr(prod, key), key
        assert _failures(cloud, "dev") == _failures(cloud, "prod") == []


def _failures(cloud: Cloud, environment: str) -> list[dict[str, str]]:
    done = cloud.run(str(BIN / "cards"), "doctor", "--json", "--environment", environment)
    return [row for row in json.loads(done.stdout)["findings"] if row["state"] == "failed"]
