"""AWS as the commands reach it: one session, and what is deployed there."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.errors import CliError

if TYPE_CHECKING:
    import boto3

    from registry.deployment import DeployedNames, Deployment

#: ``--environment`` of every command that talks to AWS.
Environment = Annotated[
    str,
    typer.Option(
        "--environment",
        "-e",
        envvar="CARDS_ENVIRONMENT",
        help="Which deployment, as in cdk deploy -c cards.environment=…",
        rich_help_panel="AWS",
    ),
]
DEFAULT_ENVIRONMENT = "dev"
#: How long an answer is waited for, where that is longer than botocore's minute: a function ends
#: after 15 minutes at most, and botocore would call it again meanwhile.
READ_SECONDS = {"lambda": 15 * 60 + 30}


@dataclass(frozen=True)
class AwsSession:
    """The clients of one command.

    Attributes:
        environment: Which deployment.
        profile: AWS profile of its account; None for the caller's own.
    """

    environment: str = DEFAULT_ENVIRONMENT
    profile: str | None = None

    @cached_property
    def session(self) -> boto3.Session:
        """A boto3 session from the caller's environment and profile."""
        import boto3

        # boto3 reads AWS_DEFAULT_REGION alone; the CDK and the newer AWS CLI read AWS_REGION.
        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        # A profile names its own region; the environment's is for those without one.
        session = boto3.Session(
            profile_name=self.profile, region_name=None if self.profile else region
        )
        if self.profile and not session.region_name:
            session = boto3.Session(profile_name=self.profile, region_name=region)
        if not session.region_name:
            raise CliError(
                "no AWS region is set; for the local cloud: "
                'eval "$(cards local env)"; for an account: export AWS_REGION=us-east-2'
            )
        return session

    @property
    def region(self) -> str:
        """The session's region."""
        return str(self.session.region_name)

    def client(self, service: str) -> Any:
        """A boto3 client of the session, one a service."""
        clients: dict[str, Any] = self.__dict__.setdefault("clients", {})
        if service not in clients:
            # boto3's stubs know services by literal names alone.
            session: Any = self.session
            clients[service] = session.client(service, **_options(service))
        return clients[service]

    @cached_property
    def deployment(self) -> Deployment:
        """The deployment: its clients, names and settings."""
        return self.names.deployment(self.client)

    @cached_property
    def names(self) -> DeployedNames:
        """The names of what is deployed, from SSM."""
        from registry.deployment import DeployedNames

        return DeployedNames.read(self.client("ssm"), self.environment)

    @property
    def is_local(self) -> bool:
        """Whether the endpoint is this machine."""
        from urllib.parse import urlsplit

        host = urlsplit(os.environ.get("AWS_ENDPOINT_URL", "")).hostname or ""
        return host in ("localhost", "127.0.0.1", "::1")


def _options(service: str) -> dict[str, Any]:
    from botocore.config import Config

    seconds = READ_SECONDS.get(service)
    # Without it a router may drop the silent connection.
    return {"config": Config(read_timeout=seconds, tcp_keepalive=True)} if seconds else {}
