"""Why a finding of cdk-nag's AwsSolutions rules is accepted, written beside the resource."""

from __future__ import annotations

import aws_cdk as cdk
from constructs import IConstruct


def accept(construct: IConstruct, rule: str, reason: str) -> None:
    """Accepts the findings of one rule on a construct.

    Args:
        construct: The resource, or what contains it.
        rule: Without the pack's name, for example ``S1``.
        reason: Why what the rule warns of is right here.
    """
    cdk.Validations.of(construct).acknowledge(
        cdk.Acknowledgment(id=f"AwsSolutions::AwsSolutions-{rule}", reason=reason)
    )
