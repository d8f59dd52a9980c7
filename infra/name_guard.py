"""Looks, before a deployment, whether its environment has other names than would be made."""

from __future__ import annotations

from infra.deployed_names import deployed_names, refusal, renames
from infra.settings import Settings, SettingsError

#: Seconds for a connection and an answer: a synthesis without a network must not hang.
_CONNECT, _READ = 3, 10


def refuse_renames(settings: Settings, account: str | None, region: str) -> str | None:
    """Refuses to replace what is deployed under other names by new, empty resources.

    The CDK hands its own credentials to no app. So this looks with those of the environment, and
    only where they are those of the account that is deployed to.

    Args:
        settings: Of the deployment.
        account: Where it goes; None where that is open.
        region: Where it goes.

    Returns:
        Why it could not look; None where it did, or had no reason to.

    Raises:
        SettingsError: Derived names differ from the deployed ones.
    """
    given = (settings.group_name, settings.training_bucket, settings.mlflow_bucket,
             settings.release_bucket)  # fmt: skip
    if account is None or all(given):
        return None
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    limits = Config(connect_timeout=_CONNECT, read_timeout=_READ, retries={"total_max_attempts": 1})
    try:
        session = boto3.Session(region_name=region)
        if session.get_credentials() is None:
            return "the environment has no AWS credentials"
        caller = session.client("sts", config=limits).get_caller_identity()["Account"]
        if caller != account:
            return f"the environment's credentials are of account {caller}, not {account}"
        found = deployed_names(session.client("ssm", config=limits))
    except (BotoCoreError, ClientError) as error:
        return " ".join(str(error).split())
    changes = renames(settings, account, region, found.get(settings.environment, {}))
    if changes:
        raise SettingsError(refusal(settings.environment, changes))
    return None
