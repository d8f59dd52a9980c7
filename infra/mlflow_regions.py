"""Where SageMaker has no MLflow App or tracking server, so that a synthesis can say it.

CloudFormation knows a resource type in some regions only, and a deployment to another one would
fail half-way. The lists are those of CloudFormation's own schemas by region, as cfn-lint has them;
``tests/infra/test_mlflow_regions.py`` compares the two.
"""

from __future__ import annotations

from infra.settings import (
    CONTEXT_KEY,
    MLFLOW_APP,
    MLFLOW_NONE,
    MLFLOW_TRACKING_SERVER,
    Settings,
    SettingsError,
)

WITHOUT_TRACKING_SERVER = frozenset(
    {"ap-southeast-6", "cn-north-1", "cn-northwest-1", "us-gov-east-1", "us-gov-west-1"}
)
WITHOUT_APP = WITHOUT_TRACKING_SERVER | {
    *("af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-3", "ap-south-2", "ap-southeast-3"),
    *("ap-southeast-4", "ap-southeast-5", "ap-southeast-7", "ca-west-1", "eu-central-2"),
    *("eu-south-1", "eu-south-2", "il-central-1", "me-central-1", "mx-central-1"),
}
_LACKING = {MLFLOW_APP: WITHOUT_APP, MLFLOW_TRACKING_SERVER: WITHOUT_TRACKING_SERVER}
_WORDS = {MLFLOW_APP: "MLflow App", MLFLOW_TRACKING_SERVER: "MLflow tracking server"}


def require_mlflow(settings: Settings, region: str) -> None:
    """Refuses a kind of MLflow that the region lacks.

    Args:
        settings: The deployment's.
        region: Where it is deployed.

    Raises:
        SettingsError: The region lacks it; with what it has instead.
    """
    if region not in _LACKING.get(settings.mlflow, frozenset()):
        return
    instead = [kind for kind, lacking in _LACKING.items() if region not in lacking]
    choices = " or ".join([*instead, MLFLOW_NONE])
    described = _WORDS[settings.mlflow]
    raise SettingsError(
        f"{CONTEXT_KEY}.mlflow is {settings.mlflow}, and SageMaker has no {described} in {region}: "
        f"set {CONTEXT_KEY}.mlflow to {choices}, or deploy to another region"
    )
