"""A value that the rest of the product finds: an SSM parameter, and the same as stack output."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from registry.names import parameter_name


def publish_value(
    scope: Construct, environment: str, key: str, value: str, description: str
) -> None:
    """Writes ``/cards/<environment>/<key>`` and an output named after the key.

    Args:
        scope: The stack.
        environment: The deployment's name.
        key: One of ``registry.names.PARAMETERS``, for example ``training-bucket``.
        value: A name, ARN or word; no secret, since anybody who may read the stack reads it.
        description: Shown with parameter and output.
    """
    camel = "".join(word.capitalize() for word in key.split("-"))
    ssm.StringParameter(
        scope,
        f"{camel}Parameter",
        parameter_name=parameter_name(environment, key),
        string_value=value,
        description=description,
    )
    output = cdk.CfnOutput(scope, f"{camel}Output", value=value, description=description)
    output.override_logical_id(camel)
