"""The stacks of one deployment, and how they hang together."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from infra.access_stack import AccessStack
from infra.automation_stack import AutomationStack
from infra.constructs.monitoring.cost_budget import APPLICATION
from infra.network_stack import NetworkStack
from infra.registry_stack import RegistryStack
from infra.settings import ISOLATED, Settings


def add_deployment(app: cdk.App, settings: Settings, environment: cdk.Environment) -> None:
    """Adds ``cards-<environment>-{registry,access,automation}`` to the app.

    And ``-network``, where one is asked for.

    Args:
        app: The app to add to.
        settings: What this deployment chose.
        environment: Account and region; the account may be open, the region may not.
    """
    prefix = f"cards-{settings.environment}"
    network = None
    if settings.network == ISOLATED:
        network = NetworkStack(app, f"{prefix}-network", settings=settings, env=environment)
    registry = RegistryStack(app, f"{prefix}-registry", settings=settings, env=environment)
    access = AccessStack(
        app,
        f"{prefix}-access",
        settings=settings,
        registry=registry,
        network=network,
        env=environment,
    )
    AutomationStack(
        app,
        f"{prefix}-automation",
        settings=settings,
        registry=registry,
        access=access,
        network=network,
        env=environment,
    )
    if settings.permissions_boundary:
        boundary = iam.ManagedPolicy.from_managed_policy_arn(
            registry, "Boundary", settings.permissions_boundary
        )
        iam.PermissionsBoundary.of(app).apply(boundary)
    cdk.Tags.of(app).add("Application", APPLICATION)
    cdk.Tags.of(app).add("Environment", settings.environment)
