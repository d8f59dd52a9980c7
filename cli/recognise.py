"""``cards recognise``: which card is in a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from recognition.recogniser import Recognition


def recognise(
    release: Annotated[Path, typer.Argument(help="A pulled release.", show_default=False)],
    images: Annotated[
        list[Path], typer.Argument(help="Pictures, each of one card.", show_default=False)
    ],
    one_card: Annotated[
        bool,
        typer.Option("--one-card", help="The pictures are frames of one card: one answer of all."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Names the card in each picture, or reports that it is none that the release knows.

    \b
    cards recognise release/ photo.jpg
    cards recognise release/ photos/*.jpg --json
    cards recognise release/ first.jpg second.jpg third.jpg --one-card

    Where the index knows that cards are printings of one artwork, an answer is of one of two
    levels: that very printing, or the artwork, with the printings that it may be. Three frames of
    a card are recognised more surely than one.

    A picture that cannot be read is named, the others are recognised all the same, and the
    command exits with 1.
    """
    from cli.console import print_json, print_table

    found, unreadable = _look(release, images, one_card)
    if as_json:
        print_json([{**_named(paths, one_card), **result.to_dict()} for paths, result in found])
    elif found:
        print_table(
            ["FRAMES" if one_card else "IMAGE", "CARD", "LEVEL", "SCORE", "ACCEPTED FROM"],
            [
                [
                    str(len(paths)) if one_card else str(paths[0]),
                    _answer(result),
                    result.level or "–",
                    f"{result.similarity if result.score is None else result.score:.3f}",
                    f"{result.threshold:.3f}",
                ]
                for paths, result in found
            ],
            right=[3, 4],
        )
    if unreadable:
        raise typer.Exit(1)


def _named(paths: list[Path], one_card: bool) -> dict[str, Any]:
    if one_card:
        return {"images": [str(path) for path in paths]}
    return {"image": str(paths[0])}


def _answer(result: Recognition) -> str:
    if result.card_id is None:
        return "none that is known"
    if result.level == "artwork":
        return f"one of {', '.join(result.printings)}"
    return result.card_id


def _look(
    release: Path, images: list[Path], one_card: bool
) -> tuple[list[tuple[list[Path], Recognition]], bool]:
    """Recognises what can be read, names what cannot, and says whether there was such."""
    from cli.console import print_stderr
    from recognition.card_sets.scan import ScanError, decode_image, read_image_bytes
    from recognition.recogniser import Recogniser

    recogniser = Recogniser.load(release)
    found: list[tuple[list[Path], Recognition]] = []
    frames: list[tuple[Path, Any]] = []
    unreadable = False
    for path in images:
        try:
            image = decode_image(read_image_bytes(path))
        except ScanError as error:
            unreadable = True
            print_stderr(f"cards: {path}: {error}")
            continue
        if one_card:
            frames.append((path, image))
        else:
            found.append(([path], recogniser.recognise(image)))
    if frames:
        paths = [path for path, _ in frames]
        found.append((paths, recogniser.recognise_frames([image for _, image in frames])))
    return found, unreadable
