"""The SNS topic of all notices to people: releases, failures and alarms."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct


class NoticeTopic(sns.Topic):
    """The topic, TLS only; alarms of this account may publish to it.

    Args:
        scope: The stack.
        construct_id: Decides the logical id.
        email: First subscriber; AWS asks them to confirm.
        key: Encrypts what waits to be delivered; None leaves it as it is.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, email: str | None, key: kms.IKey | None = None
    ) -> None:
        super().__init__(
            scope,
            construct_id,
            display_name="Card recognition models",
            enforce_ssl=True,
            master_key=key,
        )
        # A policy of one's own takes the place of the one by which alarms may publish.
        self.add_to_resource_policy(
            iam.PolicyStatement(
                sid="Alarms",
                actions=["sns:Publish"],
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                resources=[self.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": cdk.Stack.of(scope).account}},
            )
        )
        if email:
            self.add_subscription(subscriptions.EmailSubscription(email))
