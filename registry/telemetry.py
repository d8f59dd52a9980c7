"""Reports that libraries and tools send to their makers, all switched off in this one place.

Every package of the product calls :func:`opt_out` when it is imported, which is before it imports
any library; jobs get :data:`OPT_OUTS` in their environment as well, because their container starts
other programs before the product's code. Programs that the product starts inherit the variables.

What each variable switches off, by its maker's documentation:

- ``ORT_DISABLE_TELEMETRY``: ONNX Runtime 1.29 and later: events to Microsoft, and a device id below
  the home directory (``onnxruntime/Privacy.md`` in the package)
- ``MLFLOW_DISABLE_TELEMETRY``: MLflow's client and server
- ``HF_HUB_DISABLE_TELEMETRY``: the Hugging Face hub, of which timm loads published weights
- ``CDK_DISABLE_CLI_TELEMETRY``, ``CDK_DISABLE_VERSION_CHECK``: the CDK command line; ``cdk.json``
  switches off its notices and the version report in templates
- ``PIP_DISABLE_PIP_VERSION_CHECK``, ``npm_config_update_notifier``: looking for a newer pip, npm
- ``DO_NOT_TRACK``: everything that follows https://donottrack.sh

The SageMaker SDK has no variable; :mod:`training.submission.sdk_session` sets its option. boto3,
OpenCV, NumKong, timm and PyTorch report nothing by themselves.

Example:
    >>> variables = {"MLFLOW_DISABLE_TELEMETRY": "false"}
    >>> opt_out(variables)
    >>> variables["ORT_DISABLE_TELEMETRY"], variables["MLFLOW_DISABLE_TELEMETRY"]
    ('1', 'false')
"""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from types import MappingProxyType

#: Value by environment variable.
OPT_OUTS: Mapping[str, str] = MappingProxyType(
    {
        "ORT_DISABLE_TELEMETRY": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "CDK_DISABLE_VERSION_CHECK": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "npm_config_update_notifier": "false",
        "DO_NOT_TRACK": "1",
    }
)
_ON = ("1", "true", "yes", "on")


def opt_out(environment: MutableMapping[str, str] | None = None) -> None:
    """Switches reports off; a variable that is set keeps its value, because someone chose it.

    Args:
        environment: Changed in place; this process's own by default.
    """
    variables = os.environ if environment is None else environment
    for name, value in OPT_OUTS.items():
        if not variables.get(name):
            variables[name] = value


def enabled_reports(environment: Mapping[str, str]) -> list[str]:
    """The variables whose value leaves reports on.

    Args:
        environment: Names and values.
    """
    return [
        name
        for name, value in OPT_OUTS.items()
        if environment.get(name) and (environment[name].lower() in _ON) != (value in _ON)
    ]
