"""The topic of notices: whether messages about releases, failures and alarms reach anybody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cli.operations.checks.check import Check, CheckContext, CheckResult, State, failed, ok, warning
from cli.operations.checks.storage import judge_key

_LOST = "messages about releases, failures and alarms reach nobody"


def notices(context: CheckContext) -> Iterator[CheckResult]:
    """The topic is there, somebody has subscribed, and its key can be used."""
    from botocore.exceptions import ClientError

    from registry.aws_errors import is_missing

    topic = context.names.notice_topic_arn
    if not topic:
        yield warning(
            f"no topic: an earlier state of the product is deployed; {_LOST}", context.deploy
        )
        return
    try:
        attributes = context.client("sns").get_topic_attributes(TopicArn=topic)["Attributes"]
    except ClientError as error:
        if not is_missing(error):
            raise
        yield failed(f"{topic} does not exist: {_LOST}", context.restore)
        return
    key = attributes.get("KmsMasterKeyId")
    if key:
        described = context.client("kms").describe_key(KeyId=key)["KeyMetadata"]
        judged = judge_key(key, str(described["KeyState"]), _LOST, f"then {_LOST}")
        if judged.state is not State.OK:
            yield judged
            return
    result = judge_subscriptions(topic, attributes)
    if result.state is State.WARNING and context.aws.is_local:
        result = ok(f"{topic}: no subscription; the local cloud sends no mail")
    yield result


def judge_subscriptions(topic: str, attributes: Mapping[str, str]) -> CheckResult:
    """Whether a topic's messages reach anybody.

    Args:
        topic: Its ARN.
        attributes: GetTopicAttributes' answer.
    """
    confirmed = int(attributes.get("SubscriptionsConfirmed", "0"))
    pending = int(attributes.get("SubscriptionsPending", "0"))
    if pending:
        count = "1 subscription waits" if pending == 1 else f"{pending} subscriptions wait"
        return warning(
            f"{topic}: {count} for its confirmation and gets nothing; {confirmed} confirmed",
            "follow the link in the mail of AWS Notifications; it is valid for two days, then "
            "subscribe again",
        )
    if not confirmed:
        return warning(
            f"{topic}: nobody has subscribed; {_LOST}",
            f"aws sns subscribe --protocol email --topic-arn {topic} "
            "--notification-endpoint YOU@EXAMPLE.COM",
        )
    count = "1 subscription" if confirmed == 1 else f"{confirmed} subscriptions"
    return ok(f"{topic}: {count}")


CHECKS = (Check("notices", notices, ("deployment",)),)
