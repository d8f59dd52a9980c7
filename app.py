#!/usr/bin/env python3
"""The CDK app: settings in, stacks out."""

from __future__ import annotations

import os
import sys

# First: `registry`, which these import, switches off what libraries and tools report.
from infra.jsii_cache import choose_cache
from infra.mlflow_regions import require_mlflow
from infra.name_guard import refuse_renames
from infra.reading_settings import load_settings
from infra.settings import SettingsError
from registry.names import FIRST_ENVIRONMENT

try:
    choose_cache(os.environ)
    import aws_cdk as cdk
except ModuleNotFoundError:
    sys.exit(
        f"app.py: {sys.executable} has no aws_cdk; "
        "run the CDK with the environment that `make setup` made first on PATH (.venv/bin)"
    )

from infra.deployment import add_deployment

#: The guide's region, for a synthesis without the CDK's command line, which always names one.
DEFAULT_REGION = "us-east-2"


def main() -> int:
    """Synthesises; answers 1 after one line on stderr when a setting is wrong."""
    app = cdk.App()
    account = os.environ.get("CDK_DEFAULT_ACCOUNT") or None
    region = os.environ.get("CDK_DEFAULT_REGION") or DEFAULT_REGION
    try:
        settings = load_settings(app.node.get_all_context(), account)
        require_mlflow(settings, region)
        unseen = refuse_renames(settings, account, region)
    except SettingsError as error:
        print(f"cdk.json: {error}", file=sys.stderr)
        return 1
    if unseen and settings.environment != FIRST_ENVIRONMENT:
        print(
            f"app.py: could not look whether {settings.environment!r} was deployed with other "
            f"names ({unseen}); cards doctor --environment {settings.environment} does",
            file=sys.stderr,
        )
    add_deployment(app, settings, cdk.Environment(account=account, region=region))
    app.synth()
    return 0


if __name__ == "__main__":
    sys.exit(main())
