"""A network for jobs that has no way to the internet; only where the settings ask for one."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.settings import Settings

#: AWS's services that a job asks, each by an address of its own inside of the network.
SERVICES = {
    "Sagemaker": ec2.InterfaceVpcEndpointAwsService.SAGEMAKER_API,
    "Logs": ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS,
    "Metrics": ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_MONITORING,
    "EcrApi": ec2.InterfaceVpcEndpointAwsService.ECR,
    "EcrDocker": ec2.InterfaceVpcEndpointAwsService.ECR_DOCKER,
    "SecretsManager": ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER,
    "Sts": ec2.InterfaceVpcEndpointAwsService.STS,
}
ZONES = 2


class NetworkStack(cdk.Stack):
    """Subnets in two zones without a gateway; S3 and a few services are reached inside of AWS.

    Each interface endpoint has an hourly price in each zone. A job that installs packages from the
    internet cannot do so here: its image must hold them.

    Attributes:
        subnets: Ids of the jobs' subnets.
        security_group: Id of the jobs' security group.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, settings: Settings, env: cdk.Environment
    ) -> None:
        super().__init__(
            scope, construct_id, env=env, description="Card recognition: a network for jobs"
        )
        vpc = ec2.Vpc(
            self,
            "Vpc",
            max_azs=ZONES,
            nat_gateways=0,
            restrict_default_security_group=False,
            subnet_configuration=[
                ec2.SubnetConfiguration(name="Jobs", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)
            ],
        )
        flows = logs.LogGroup(self, "Flows", removal_policy=cdk.RemovalPolicy.DESTROY)
        vpc.add_flow_log("FlowLog", destination=ec2.FlowLogDestination.to_cloud_watch_logs(flows))
        vpc.add_gateway_endpoint("S3", service=ec2.GatewayVpcEndpointAwsService.S3)
        jobs = ec2.SecurityGroup(
            self, "Jobs", vpc=vpc, description="Jobs: each other, and services of AWS over TLS"
        )
        # Processes of one training job on several machines talk to each other.
        jobs.add_ingress_rule(jobs, ec2.Port.all_traffic(), "Between machines of a job")
        services = ec2.SecurityGroup(
            self,
            "Services",
            vpc=vpc,
            description="Services of AWS, for jobs",
            allow_all_outbound=False,
        )
        services.add_ingress_rule(jobs, ec2.Port.tcp(443), "From jobs")
        for name, service in SERVICES.items():
            vpc.add_interface_endpoint(
                name, service=service, security_groups=[services], open=False
            )
        self.subnets = vpc.select_subnets(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED).subnet_ids
        self.security_group = jobs.security_group_id

    def joining_statements(self) -> list[iam.PolicyStatement]:
        """What SageMaker does in a job's name to place it into the network.

        https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html names the actions; EC2
        has no resource level for describing.
        """

        def of_ec2(resource: str, names: list[str]) -> list[str]:
            return [
                self.format_arn(service="ec2", resource=resource, resource_name=name)
                for name in names
            ]

        subnets = of_ec2("subnet", self.subnets)
        interfaces = of_ec2("network-interface", ["*"])
        within = {"ArnEquals": {"ec2:Subnet": subnets}}
        return [
            iam.PolicyStatement(
                actions=["ec2:CreateNetworkInterface"],
                resources=[
                    *subnets,
                    *interfaces,
                    *of_ec2("security-group", [self.security_group]),
                ],
            ),
            iam.PolicyStatement(
                actions=[
                    "ec2:CreateNetworkInterfacePermission",
                    "ec2:DeleteNetworkInterface",
                    "ec2:DeleteNetworkInterfacePermission",
                ],
                resources=interfaces,
                conditions=within,
            ),
            iam.PolicyStatement(
                actions=[
                    "ec2:DescribeDhcpOptions",
                    "ec2:DescribeNetworkInterfaces",
                    "ec2:DescribeSecurityGroups",
                    "ec2:DescribeSubnets",
                    "ec2:DescribeVpcs",
                ],
                resources=["*"],
            ),
        ]
