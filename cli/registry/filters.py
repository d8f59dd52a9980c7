"""The options that choose among versions, defined once for every command that lists them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from cli.errors import CliError
from cli.version_facts import STATUS_WORDS
from registry.names import STAGES, STUDENT, TEACHER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from registry.versions.queries import Filters

_PANEL = "Which versions"

Status = Annotated[
    str | None,
    typer.Option(help="approved, rejected or pending.", rich_help_panel=_PANEL, metavar="STATUS"),
]
Type = Annotated[
    str | None,
    typer.Option("--type", help="teacher or student.", rich_help_panel=_PANEL, metavar="TYPE"),
]
Stage = Annotated[
    str | None,
    typer.Option(
        help=f"{' or '.join(STAGES[TEACHER])} of a teacher; "
        f"{', '.join(STAGES[STUDENT][:-1])} or {STAGES[STUDENT][-1]} of a student.",
        rich_help_panel=_PANEL,
        metavar="STAGE",
    ),
]
Since = Annotated[
    str | None,
    typer.Option(
        help="Registered after it: 2026-01-31, 2026-01-31T12:00 (UTC), 12h, 7d, 4w.",
        rich_help_panel=_PANEL,
        metavar="WHEN",
    ),
]
Metric = Annotated[
    list[str] | None,
    typer.Option(
        help='Within a bound, such as "Top1>=0.8"; may be repeated.',
        rich_help_panel=_PANEL,
        metavar="BOUND",
    ),
]
Where = Annotated[
    list[str] | None,
    typer.Option(
        help="With exactly this metadata value, such as Recipe=tiny; may be repeated.",
        rich_help_panel=_PANEL,
        metavar="KEY=VALUE",
    ),
]


def filters(
    *,
    status: str | None = None,
    model_type: str | None = None,
    stage: str | None = None,
    since: str | None = None,
    metric: Sequence[str] | None = None,
    where: Sequence[str] | None = None,
    text: str = "",
) -> Filters:
    """The filters that options ask for.

    Raises:
        CliError: One of them is wrong; the line names the option.
    """
    from registry.versions.queries import Filters, QueryError, Threshold, parse_since, parse_where

    sagemaker_status = {word: name for name, word in STATUS_WORDS.items()}
    # Filters' own message begins with the option's name.
    option = "--"
    try:
        if since:
            option = "--since "
            after = parse_since(since, datetime.now(UTC))
        option = "--metric "
        thresholds = tuple(Threshold.parse(each) for each in metric or ())
        option = "--where "
        pairs = tuple(parse_where(each) for each in where or ())
        option = "--"
        return Filters(
            approval=sagemaker_status.get(status.lower(), status) if status else None,
            model_type=model_type,
            stage=stage,
            since=after if since else None,
            thresholds=thresholds,
            where=pairs,
            text=text,
        )
    except QueryError as error:
        raise CliError(f"{option}{error}") from None
