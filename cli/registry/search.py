"""``cards registry search``: versions by what is said of them."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.aws import DEFAULT_ENVIRONMENT, AwsSession, Environment
from cli.options import AsJson
from cli.registry.filters import Metric, Since, Stage, Status, Type, Where
from cli.registry.list_versions import All, Limit

EPILOG = """
SageMaker's search index follows a few moments behind what was registered.

Examples: cards registry search "register tokens"

cards registry search --where Recipe=tiny --metric "Top1Unseen>=0.5" --status approved
"""


def search(
    text: Annotated[
        str,
        typer.Argument(
            help="Words in the description or in a metadata value; capitals do not matter.",
            show_default=False,
        ),
    ] = "",
    where: Where = None,
    metric: Metric = None,
    status: Status = None,
    model_type: Type = None,
    stage: Stage = None,
    since: Since = None,
    limit: Limit = 50,
    everything: All = False,
    as_json: AsJson = False,
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Finds versions by their descriptions, metadata and metrics, newest first."""
    from cli.errors import CliError
    from cli.registry.filters import filters
    from cli.registry.list_versions import show_versions

    chosen = filters(
        text=text,
        where=where,
        metric=metric,
        status=status,
        model_type=model_type,
        stage=stage,
        since=since,
    )
    if not chosen.needs_metadata:
        raise CliError("nothing to search for: give words, --where KEY=VALUE or --metric BOUND")
    show_versions(AwsSession(environment), chosen, None if everything else limit, as_json)
