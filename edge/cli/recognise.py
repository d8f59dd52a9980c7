"""``cards-edge recognise``: which card is in an image."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from edge.cli.command import FAILED, Commands, options_of, tell
from registry.text import printable

_STDIN = "-"


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "recognise",
        parents=[common],
        help="name the card in images",
        description="Names the card that fills each image, or says that it is none that the "
        "release knows. Needs no network. An image that cannot be read is named, the others are "
        f"recognised all the same, and the exit code is {FAILED}.",
    )
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE", help="image files, folders of them, or - for one "
        "image on standard input",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command: one line for each image."""
    from edge.guarded_recogniser import GuardedRecogniser
    from recognition.card_sets.scan import ScanError, decode_image

    options = options_of(arguments)
    recogniser = GuardedRecogniser(options.folder)
    code = 0
    for name, read in _images(arguments.images):
        try:
            found = recogniser.recognise(decode_image(read()))
        except (ScanError, OSError) as error:
            tell(f"{name}: {error}")
            code = FAILED
            continue
        if options.as_json:
            document = {"image": name, "release": recogniser.release, **found.to_dict()}
            print(json.dumps(document), flush=True)
        else:
            shown = found.card_id or "none that is known"
            print(printable(f"{name}: {shown} ({found.similarity:.3f})"), flush=True)
    for note in recogniser.notes:
        tell(note)
    return code


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
