#!/usr/bin/env python3
"""The CDK app: settings in, stacks out."""

from __future__ import annotations

import os
import sys

try:
    import aws_cdk as cdk
except ModuleNotFoundError:
    sys.exit(
        f"app.py: {sys.executable} has no aws_cdk; "
        "run the CDK with the environment that `make setup` made first on PATH (.venv/bin)"
    )

from infra.deployment import add_deployment
from infra.reading_settings import load_settings
from infra.settings import SettingsError

#: The guide's region, for a synthesis without the CDK's command line, which always names one.
DEFAULT_REGION = "us-east-2"


def main() -> int:
    """Synthesises; answers 1 after one line on stderr when a setting is wrong."""
    app = cdk.App()
    account = os.environ.get("CDK_DEFAULT_ACCOUNT") or None
    try:
        settings = load_settings(app.node.get_all_context(), account)
    except SettingsError as error:
        print(f"cdk.json: {error}", file=sys.stderr)
        return 1
    region = os.environ.get("CDK_DEFAULT_REGION") or DEFAULT_REGION
    add_deployment(app, settings, cdk.Environment(account=account, region=region))
    app.synth()
    return 0


if __name__ == "__main__":
    sys.exit(main())
