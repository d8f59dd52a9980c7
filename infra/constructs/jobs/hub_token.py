"""The secret that training jobs may read to fetch published weights."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam


def hub_token_statements(stack: cdk.Stack, secret: str | None) -> list[iam.PolicyStatement]:
    """Allows reading one secret, which its owner has made; without one, nothing.

    Args:
        stack: Gives account and region where the secret is given by its name.
        secret: Name or ARN. Secrets Manager ends every ARN with six characters of its own.
    """
    if secret is None:
        return []
    arn = secret
    if not secret.startswith("arn:"):
        arn = stack.format_arn(
            service="secretsmanager",
            resource="secret",
            resource_name=f"{secret}-??????",
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )
    return [iam.PolicyStatement(actions=["secretsmanager:GetSecretValue"], resources=[arn])]
