"""Whether the next deployment would keep the names that are deployed, and take nobody else's."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cli.operations.checks.check import (
    Check,
    CheckContext,
    CheckResult,
    failed,
    ok,
    unchecked,
    warning,
)

if TYPE_CHECKING:
    from infra.settings import Settings


def next_deployment(context: CheckContext) -> Iterator[CheckResult]:
    """``cdk deploy`` keeps this environment's group and buckets, and uses no other's."""
    from cli.external_commands import ROOT
    from infra.deployed_names import deployed_names, resource_names
    from infra.reading_settings import load_settings
    from infra.settings import SettingsError

    document: Any = {}
    if (ROOT / "cdk.json").is_file():
        document = json.loads((ROOT / "cdk.json").read_text()).get("context", {})
    try:
        settings = load_settings({**document, "cards.environment": context.environment})
    except SettingsError as error:
        yield unchecked(f"cdk.json: {error}")
        return
    account = context.caller.split(":")[4]
    every = deployed_names(context.client("ssm"))
    results = [*judge_names(settings, account, context.aws.region, every, context.deploy)]
    if not every.get(context.environment):
        names = resource_names(settings, account, context.aws.region)
        there = {setting for setting, name in names.items() if _exists(context, setting, name)}
        results += judge_retained(names, there)
    yield from results or [ok("keeps group and buckets")]


def _exists(context: CheckContext, setting: str, name: str) -> bool:
    """Whether a group or bucket is there; another account's bucket has its name, too."""
    from botocore.exceptions import ClientError

    from registry.aws_errors import is_denied, is_missing

    try:
        if setting == "group_name":
            context.client("sagemaker").describe_model_package_group(ModelPackageGroupName=name)
        else:
            context.client("s3").head_bucket(Bucket=name)
    except ClientError as error:
        if is_missing(error):
            return False
        if not is_denied(error):
            raise
    return True


def judge_retained(names: Mapping[str, str], there: Collection[str]) -> Iterator[CheckResult]:
    """The group and buckets that a first deployment would make and cannot.

    A destroyed stack leaves them there, and CloudFormation makes nothing whose name is taken. It
    leaves the MLflow App, too, whose name follows from the environment's: the group's and buckets'
    settings alone do not lead past it.

    Args:
        names: Group and buckets by setting, of an environment that is not deployed.
        there: Settings of those that exist.
    """
    taken = {setting: name for setting, name in names.items() if setting in there}
    if taken:
        yield failed(
            f"{', '.join(taken.values())}: there without a deployment, as a destroyed one leaves "
            "them; no deployment can make them",
            "cdk deploy --all -c cards.environment=ANOTHER-NAME; or look at what is in them, then "
            "empty and delete them and the MLflow App that was left",
        )


def judge_names(
    settings: Settings,
    account: str,
    region: str,
    deployed: Mapping[str, Mapping[str, str]],
    deploy: str,
) -> Iterator[CheckResult]:
    """What a deployment with these settings would replace, or share with another environment.

    Args:
        settings: Of the next deployment, before options of the command line.
        account: Where it goes.
        region: Where it goes.
        deployed: Names by setting, by environment.
        deploy: The command that deploys.
    """
    from infra.deployed_names import keeping, renames, resource_names

    own = deployed.get(settings.environment, {})
    changes = renames(settings, account, region, own)
    if changes:
        names = ", ".join(each.deployed for each in changes)
        yield warning(
            f"deployed with names that the settings do not have ({names}); a deployment without "
            "them is refused",
            f"{deploy} {keeping(changes)}; or set them in cdk.json",
        )
    upcoming = {
        **resource_names(settings, account, region),
        **{c.setting: c.deployed for c in changes},
    }
    for setting, name in upcoming.items():
        others = [
            environment
            for environment, names in sorted(deployed.items())
            if environment != settings.environment and name in names.values()
        ]
        if others:
            yield failed(
                f"{name} is the {setting} of environment {others[0]}, and would be this one's too",
                f"{deploy} -c cards.{setting}= (a name of its own); or remove it from cdk.json",
            )


CHECKS = (Check("next deployment", next_deployment, ("credentials",)),)
