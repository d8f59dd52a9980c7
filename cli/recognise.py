"""``cards recognise``: which card is in a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from recognition.recogniser import Recognition


def recognise(
    release: Annotated[Path, typer.Argument(help="A pulled release.", show_default=False)],
    images: Annotated[
        list[Path], typer.Argument(help="Pictures, each of one card.", show_default=False)
    ],
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Names the card in each picture, or reports that it is none that the release knows.

    \b
    cards recognise release/ photo.jpg
    cards recognise release/ photos/*.jpg --json

    A picture that cannot be read is named, the others are recognised all the same, and the
    command exits with 1.
    """
    from cli.console import print_json, print_table

    found, unreadable = _look(release, images)
    if as_json:
        print_json([{"image": str(path), **result.to_dict()} for path, result in found])
    elif found:
        print_table(
            ["IMAGE", "CARD", "SIMILARITY", "ACCEPTED FROM"],
            [
                [
                    str(path),
                    result.card_id or "none that is known",
                    f"{result.similarity:.3f}",
                    f"{result.threshold:.3f}",
                ]
                for path, result in found
            ],
            right=[2, 3],
        )
    if unreadable:
        raise typer.Exit(1)


def _look(release: Path, images: list[Path]) -> tuple[list[tuple[Path, Recognition]], bool]:
    """Recognises what can be read, names what cannot, and says whether there was such."""
    from cli.console import print_stderr
    from recognition.card_sets.scan import ScanError, decode_image, read_image_bytes
    from recognition.recogniser import Recogniser

    recogniser = Recogniser.load(release)
    found: list[tuple[Path, Recognition]] = []
    unreadable = False
    for path in images:
        try:
            found.append((path, recogniser.recognise(decode_image(read_image_bytes(path)))))
        except ScanError as error:
            unreadable = True
            print_stderr(f"cards: {path}: {error}")
    return found, unreadable
