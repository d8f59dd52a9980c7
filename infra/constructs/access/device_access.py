"""What devices may do, and how a device's certificate is exchanged for that.

AWS IoT's credential provider gives temporary credentials of one role to every device whose
certificate has the policy: https://docs.aws.amazon.com/iot/latest/developerguide/authorizing-direct-aws.html
"""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_iot as iot
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.constructs.storage.bucket_access import READ, objects
from registry.channels import CHANNELS
from registry.names import (
    CHANNELS_PREFIX,
    DEVICE_STATUS,
    DEVICES_PREFIX,
    KEY_ROTATION_PREFIX,
    RELEASES_PREFIX,
)

#: IAM puts the name of the thing here that a certificate is attached to. A request that named no
#: thing has none, and the statement then allows nothing.
THING = "${credentials-iot:ThingName}"
#: AWS IoT's default: a stolen token is worth an hour.
CREDENTIAL_SECONDS = 3600


def device_statements(bucket: s3.IBucket) -> list[iam.PolicyStatement]:
    """Read what an update reads, and write the device's own report.

    A device lists nothing, and does not see a hold, which names people.

    Args:
        bucket: The release bucket.
    """
    return [
        iam.PolicyStatement(
            actions=list(READ),
            resources=[
                bucket.arn_for_objects(f"{CHANNELS_PREFIX}{channel.name}.json")
                for channel in CHANNELS
            ],
        ),
        objects(bucket, READ, RELEASES_PREFIX, KEY_ROTATION_PREFIX),
        iam.PolicyStatement(
            actions=["s3:PutObject"],
            resources=[bucket.arn_for_objects(f"{DEVICES_PREFIX}{THING}/{DEVICE_STATUS}")],
        ),
    ]


class DeviceAccess(Construct):
    """The devices' role, its alias in AWS IoT, and the policy that a certificate needs.

    The trust names the service alone: AWS documents no condition keys for the credential provider,
    and an alias of another account cannot lead here, since making one takes ``iam:PassRole`` in
    the role's account.

    Args:
        scope: The stack.
        construct_id: Decides the logical ids.
        environment: Stands in the names ``cards-<environment>-device``.
        bucket: The release bucket.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, environment: str, bucket: s3.IBucket
    ) -> None:
        super().__init__(scope, construct_id)
        name = f"cards-{environment}-device"
        self.role = iam.Role(
            self,
            "Role",
            description="Devices: read releases, write their own report",
            assumed_by=iam.ServicePrincipal("credentials.iot.amazonaws.com"),
        )
        for statement in device_statements(bucket):
            self.role.add_to_policy(statement)
        alias = iot.CfnRoleAlias(
            self,
            "Alias",
            role_alias=name,
            role_arn=self.role.role_arn,
            credential_duration_seconds=CREDENTIAL_SECONDS,
        )
        iot.CfnPolicy(
            self,
            "Policy",
            policy_name=name,
            policy_document={
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Action": "iot:AssumeRoleWithCertificate",
                        "Resource": alias.attr_role_alias_arn,
                    }
                ],
            },
        )
        for key, value, description in (
            ("DeviceRoleAlias", name, "For cards-edge credentials --role-alias"),
            ("DevicePolicy", name, "AWS IoT policy to attach to a device's certificate"),
        ):
            cdk.CfnOutput(cdk.Stack.of(self), key, value=value, description=description)
