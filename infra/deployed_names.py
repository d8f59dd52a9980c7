"""The names that an environment was deployed with, held against those that the settings derive.

A bucket or group under another name is a new, empty one: CloudFormation replaces it, and everything
that the environment holds stays behind in the old one. So derived names that differ from deployed
ones are refused before a deployment. A name that is set is somebody's decision and is taken.

Example:
    >>> from infra.reading_settings import load_settings
    >>> settings = load_settings({"cards.environment": "prod"})
    >>> old = {"training_bucket": "pokemon-card-training-111122223333-us-east-2"}
    >>> [change] = renames(settings, "111122223333", "us-east-2", old)
    >>> change.next
    'cards-prod-training-111122223333-us-east-2'
    >>> keeping([change])
    '-c cards.training_bucket=pokemon-card-training-111122223333-us-east-2'
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.settings import CONTEXT_KEY, Settings
from registry.names import PARAMETER_ROOT

#: The settings that name what is replaced by an empty one under another name, by SSM parameter.
_SETTING_OF = {
    "group-name": "group_name",
    "training-bucket": "training_bucket",
    "mlflow-bucket": "mlflow_bucket",
    "release-bucket": "release_bucket",
}


@dataclass(frozen=True)
class Rename:
    """A derived name that is not the deployed one.

    Attributes:
        setting: For example ``training_bucket``.
        deployed: What exists.
        next: What the next deployment would make.
    """

    setting: str
    deployed: str
    next: str


def resource_names(settings: Settings, account: str, region: str) -> dict[str, str]:
    """Group and buckets by setting, as a deployment would make them."""
    return {
        "group_name": settings.group,
        "training_bucket": settings.training_bucket
        or settings.bucket_name("training", account, region),
        "mlflow_bucket": settings.mlflow_bucket or settings.bucket_name("mlflow", account, region),
        "release_bucket": settings.release_bucket
        or settings.bucket_name("releases", account, region),
    }


def renames(
    settings: Settings, account: str, region: str, deployed: Mapping[str, str]
) -> list[Rename]:
    """The derived names that would replace deployed ones.

    Args:
        settings: Of the next deployment.
        account: Where it goes.
        region: Where it goes.
        deployed: Names by setting; empty where nothing is deployed.
    """
    return [
        Rename(setting, deployed[setting], name)
        for setting, name in resource_names(settings, account, region).items()
        if getattr(settings, setting) is None and deployed.get(setting, name) != name
    ]


def keeping(changes: Iterable[Rename]) -> str:
    """The options of ``cdk deploy`` that keep the deployed names."""
    return " ".join(f"-c {CONTEXT_KEY}.{each.setting}={each.deployed}" for each in changes)


def refusal(environment: str, changes: Sequence[Rename]) -> str:
    """One line that says what would be replaced, and how it is kept."""
    names = ", ".join(f"{each.deployed} by {each.next}" for each in changes)
    return (
        f"environment {environment!r} was deployed with other names, and new, empty ones would "
        f"replace them ({names}); keep them: {keeping(changes)}, or the same in cdk.json under "
        f"{CONTEXT_KEY!r}"
    )


def deployed_names(ssm: Any) -> dict[str, dict[str, str]]:
    """What every environment of the account and region was deployed with.

    Args:
        ssm: A client.

    Returns:
        Names by setting, by environment.
    """
    found: dict[str, dict[str, str]] = {}
    pages = ssm.get_paginator("get_parameters_by_path")
    for page in pages.paginate(Path=PARAMETER_ROOT, Recursive=True):
        for parameter in page["Parameters"]:
            environment, _, key = (
                parameter["Name"].removeprefix(f"{PARAMETER_ROOT}/").partition("/")
            )
            names = found.setdefault(environment, {})
            if key in _SETTING_OF:
                names[_SETTING_OF[key]] = parameter["Value"]
    return found
