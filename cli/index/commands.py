"""``cards index add``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.aws import DEFAULT_ENVIRONMENT, AwsSession, Environment
from cli.options import AsJson

app = typer.Typer(
    no_args_is_help=True,
    help="""
    The reference index of a release: which cards it knows.

    \b
    cards release list
    cards index add RELEASE --cards new-set/
    cards registry approve student-efficientnet-lite0-stage2-v2 --reason "why" --wait
    """,
)


@app.callback()
def _group() -> None:
    pass


@app.command(
    epilog="Example: cards index add student-efficientnet-lite0-stage2-v1.onnx-int8-… "
    "--cards new-set/"
)
def add(
    release: Annotated[
        str, typer.Argument(help="A release's id: cards release list.", show_default=False)
    ],
    cards: Annotated[
        Path,
        typer.Option(
            help="A folder of the new cards' scans, DIR/<card_id>/<image>; cards that the release "
            "has already may be among them, unchanged.",
            show_default=False,
        ),
    ],
    work: Annotated[
        Path | None,
        typer.Option(
            help="Keeps the release's card set there, so that it is fetched once; by default a "
            "temporary folder."
        ),
    ] = None,
    as_json: AsJson = False,
    environment: Environment = DEFAULT_ENVIRONMENT,
) -> None:
    """Makes a version with a release's model and more cards in its index. Nothing is trained.

    The new version has the very model archive that was approved, and a card set of its own: the
    release's cards and the new ones. It waits for a person's approval; then it is compiled, passes
    the gate and is signed as every other version is. Before that, this command measures on views
    how well the new cards are recognised among the old ones, and what they change for those.

    A card of the release that has other scans in the folder is an error. A new card that shows the
    same print as another one is reported and added: the two cannot be told apart.

    Repeated, it finds the version that it made.
    """
    from cli.console import activity, print_json, print_line
    from cli.index.addition import add_cards, lines

    aws = AwsSession(environment)
    with activity(f"adding {cards} to {release}") as task:

        def show_progress(line: str) -> None:
            if not as_json:  # what is said on the way would stand before the document
                task.update(line)

        found = add_cards(aws, release, cards, work, show_progress)
    if as_json:
        print_json(found.to_dict())
        return
    for line in lines(found):
        print_line(line)
    print_line(f"next: cards registry approve {found.name} --reason … --wait")
