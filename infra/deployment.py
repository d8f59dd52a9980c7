"""The stacks of one deployment, and how they hang together."""

from __future__ import annotations

import aws_cdk as cdk

from infra.access_stack import AccessStack
from infra.automation_stack import AutomationStack
from infra.registry_stack import RegistryStack
from infra.settings import Settings


def add_deployment(app: cdk.App, settings: Settings, environment: cdk.Environment) -> None:
    """Adds ``cards-<environment>-{registry,access,automation}`` to the app.

    Args:
        app: The app to add to.
        settings: What this deployment chose.
        environment: Account and region; the account may be open, the region may not.
    """
    prefix = f"cards-{settings.environment}"
    registry = RegistryStack(app, f"{prefix}-registry", settings=settings, env=environment)
    access = AccessStack(
        app, f"{prefix}-access", settings=settings, registry=registry, env=environment
    )
    AutomationStack(
        app,
        f"{prefix}-automation",
        settings=settings,
        registry=registry,
        access=access,
        env=environment,
    )
    cdk.Tags.of(app).add("Application", "card-recognition")
    cdk.Tags.of(app).add("Environment", settings.environment)
