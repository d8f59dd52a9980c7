"""Where container images lie: AWS's own PyTorch containers, and anybody's in ECR."""

from __future__ import annotations

import re

import aws_cdk as cdk
from aws_cdk import region_info

from infra.settings import SettingsError

TRAINING_REPOSITORY = "pytorch-training"
#: PyTorch 2.8 without CUDA, the newest that AWS maintains for CPU instances.
TRAINING_CPU_TAG = "2.8.0-cpu-py312-ubuntu22.04-sagemaker"

_ACCOUNT = "763104351884"
#: Regions in which the Deep Learning Containers are another account's (AWS's image list).
_ACCOUNTS = {
    "af-south-1": "626614931356",
    "ap-east-1": "871362719292",
    "ap-east-2": "975050140332",
    "ap-northeast-3": "364406365360",
    "ap-south-2": "772153158452",
    "ap-southeast-3": "907027046896",
    "ap-southeast-4": "457447274322",
    "ap-southeast-5": "550225433462",
    "ap-southeast-6": "633930458069",
    "ap-southeast-7": "590183813437",
    "ca-west-1": "204538143572",
    "cn-north-1": "727897471807",
    "cn-northwest-1": "727897471807",
    "eu-central-2": "380420809688",
    "eu-south-1": "692866216735",
    "eu-south-2": "503227376785",
    "il-central-1": "780543022126",
    "me-central-1": "914824155844",
    "me-south-1": "217643126080",
    "mx-central-1": "637423239942",
    "us-gov-east-1": "446045086412",
    "us-gov-west-1": "442386744353",
}


def containers_account(region: str) -> str:
    """The AWS account that serves the Deep Learning Containers of a region."""
    return _ACCOUNTS.get(region, _ACCOUNT)


def training_cpu_image(region: str) -> str:
    """The URI of AWS's PyTorch CPU container in a region.

    Args:
        region: A concrete region such as ``us-east-2``; the account that serves it depends on it.
    """
    if cdk.Token.is_unresolved(region):
        raise SettingsError("the region must be known at synthesis: set CDK_DEFAULT_REGION")
    suffix = region_info.RegionInfo.get(region).domain_suffix or "amazonaws.com"
    return (
        f"{containers_account(region)}.dkr.ecr.{region}.{suffix}"
        f"/{TRAINING_REPOSITORY}:{TRAINING_CPU_TAG}"
    )


def repository_arn(stack: cdk.Stack, image: str) -> str:
    """The ARN of the ECR repository that holds an image.

    Args:
        stack: Gives the partition.
        image: ``<account>.dkr.ecr.<region>.<suffix>/<repository>:<tag>`` or ``…@sha256:…``.
    """
    registry, _, path = image.partition("/")
    account, _, _, region = registry.split(".")[:4]
    return stack.format_arn(
        service="ecr",
        account=account,
        region=region,
        resource="repository",
        resource_name=re.split("[:@]", path)[0],
    )
