"""``cards-edge recognise``: which cards are in an image."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.cli.command import FAILED, Commands, options_of, tell
from registry.untrusted.text import printable

if TYPE_CHECKING:
    from edge.frames.recognising import SeenCard
    from recognition.recogniser import Recogniser

_STDIN = "-"


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "recognise",
        parents=[common],
        help="name the cards in images",
        description="Finds the cards in each image and names them, or says that one is none that "
        "the release knows, or that there is no card. An image that a card fills is looked at as "
        "a whole. Needs no network. An image that cannot be read is named, the others are "
        f"recognised all the same, and the exit code is {FAILED}.",
    )
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE", help="image files, folders of them, or - for one "
        "image on standard input",
    )  # fmt: skip
    parser.add_argument(
        "--framed", action="store_true", help="each image shows one card that fills it, as a scan "
        "or a crop does: look for no outline, and always say what is nearest",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command: one line for each card."""
    from edge.frames.recognising import recognise_frame, recognise_framed
    from edge.guarded_recogniser import GuardedRecogniser
    from recognition.card_sets.scan import ScanError, decode_image

    options = options_of(arguments)
    recogniser = GuardedRecogniser(options.folder)
    code = 0
    for name, read in _images(arguments.images):
        try:
            image = decode_image(read())
        except (ScanError, OSError) as error:
            tell(f"{name}: {error}")
            code = FAILED
            continue
        work: Callable[[Recogniser], list[SeenCard]]
        if arguments.framed:
            work = partial(recognise_framed, image=image)
        else:
            work = partial(recognise_frame, frame=image, whole_image=True)
        print_cards(recogniser.guarded(work), name, recogniser.release, options.as_json)
    for note in recogniser.notes:
        tell(note)
    return code


def print_cards(cards: list[SeenCard], name: str, release: str, as_json: bool) -> None:
    """Prints one line for each card of an image, or one that says that there is none."""
    for number, card in enumerate(cards, 1):
        where = f"{name} [{number}]" if len(cards) > 1 else name
        print_card(card, {"image": name}, where, release, as_json)
    if not cards:
        document: dict[str, Any] = {"image": name, "release": release, "card_id": None}
        shown = json.dumps({**document, "seen": False}) if as_json else f"{name}: no card"
        print(shown if as_json else printable(shown), flush=True)


def print_card(
    card: SeenCard, where: dict[str, Any], label: str, release: str, as_json: bool
) -> None:
    """Prints one card's answer."""
    answer = card.recognition
    if as_json:
        print(json.dumps({**where, "release": release, "seen": True, **card.to_dict()}), flush=True)
        return
    shown = answer.card_id or "a card that is not known"
    if answer.level == "artwork":
        shown = f"one of {', '.join(answer.printings)}"
    print(printable(f"{label}: {shown} ({answer.similarity:.3f})"), flush=True)


def _images(given: list[str]) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Names of images, and what reads each one's bytes."""
    from recognition.card_sets.file_type import IMAGE_SUFFIXES
    from recognition.card_sets.scan import LARGEST_FILE_BYTES, read_image_bytes

    for name in given:
        path = Path(name)
        if name == _STDIN:
            yield name, partial(sys.stdin.buffer.read, LARGEST_FILE_BYTES + 1)
        elif path.is_dir():
            for file in sorted(path.iterdir()):
                if file.suffix.lower() in IMAGE_SUFFIXES:
                    yield str(file), partial(read_image_bytes, file)
        else:
            yield name, partial(read_image_bytes, path)
