"""``cards-edge credentials``: AWS credentials for the device's certificate."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from edge.cli.command import Commands
from edge.update.rollout import DEVICE_VARIABLE, device_id


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Adds the command; it needs no device folder."""
    parser = commands.add_parser(
        "credentials",
        help="temporary AWS credentials for the device's certificate (credential_process)",
        description="Asks AWS IoT's credential provider for temporary credentials by the device's "
        "X.509 certificate, and prints them as credential_process of ~/.aws/config expects them. "
        "Not for people: what it prints is secret for an hour.",
    )
    parser.add_argument(
        "--endpoint",
        required=True,
        metavar="HOST",
        help="aws iot describe-endpoint --endpoint-type iot:CredentialProvider",
    )
    parser.add_argument("--role-alias", required=True, help="the deployment's, for its devices")
    parser.add_argument("--certificate", required=True, type=Path, metavar="PEM")
    parser.add_argument("--key", required=True, type=Path, metavar="PEM", help="not encrypted")
    parser.add_argument(
        "--ca", type=Path, metavar="PEM", help="certificates to trust instead of the system's"
    )
    parser.add_argument(
        "--thing",
        metavar="NAME",
        help=f"the device's name in AWS IoT; by default ${DEVICE_VARIABLE} or the machine's hash",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command."""
    from edge.iot_credentials import Certificate, CredentialProvider

    provider = CredentialProvider(
        arguments.endpoint, arguments.role_alias, arguments.thing or device_id()
    )
    identity = Certificate(arguments.certificate, arguments.key, arguments.ca)
    print(json.dumps(provider.credentials(identity)))
    return 0
