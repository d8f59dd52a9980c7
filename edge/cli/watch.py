"""``cards-edge watch``: follows a camera or a folder, and prints one line a card."""

from __future__ import annotations

import argparse
import json
from collections.abc import Generator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.cli.command import USAGE, Commands, fail, options_of, tell
from registry.untrusted.text import printable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_SMALLEST, _LARGEST = 160, 4608


def add(commands: Commands, common: argparse.ArgumentParser) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "watch",
        parents=[common],
        help="name the cards that a camera sees, one line a card",
        description="Follows the cards before a camera. A card is answered once, from the mean of "
        "several frames, when it has been seen in so many; a line 'no card' says that the table is "
        "empty. An update is taken between two frames. Ends with Ctrl-C.",
    )
    parser.add_argument(
        "--camera", default="auto", metavar="CAMERA",
        help="picamera for the Raspberry Pi's own, or the number or path of a USB camera; by "
        "default the former where picamera2 is installed, else camera 0",
    )  # fmt: skip
    parser.add_argument(
        "--folder", type=Path, help="read images that appear in a folder instead of a camera"
    )
    parser.add_argument(
        "--once", action="store_true", help="with --folder: end when every image was read"
    )
    parser.add_argument("--size", default="1280x720", metavar="WxH", help="of the frames")
    parser.add_argument(
        "--frames", type=int, default=5, help="frames of a card before its answer (default: 5)"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Runs the command."""
    from edge.cli.recognise import print_card
    from edge.frames.tracking import Tracker, Tracking
    from edge.guarded_recogniser import GuardedRecogniser

    if arguments.frames < 1:
        fail("--frames must be at least 1", USAGE)
    options = options_of(arguments)
    guarded = GuardedRecogniser(options.folder)
    tracker, told = Tracker(tracking=Tracking(frames=arguments.frames)), 0
    with closing(_frames(arguments)) as frames:
        for frame in frames:
            guarded.refresh()
            change = guarded.guarded(partial(tracker.add, frame))
            for card in change.answered:
                print_card(card, {}, "card", guarded.release, options.as_json)
            if change.empty:
                document: dict[str, Any] = {"release": guarded.release, "seen": False}
                shown = json.dumps({**document, "card_id": None}) if options.as_json else "no card"
                print(shown, flush=True)
            for note in guarded.notes[told:]:
                tell(printable(note))
            told = len(guarded.notes)
    return 0


def _frames(arguments: argparse.Namespace) -> Generator[NDArray[np.uint8], None, None]:
    """Frames of what was asked for.

    Raises:
        CameraError: It is not there.
    """
    from edge.frames.sources import folder_frames, picamera_frames, picamera_is_there, v4l2_frames

    if arguments.folder is not None:
        for _, frame in folder_frames(arguments.folder, follow=not arguments.once, refused=tell):
            yield frame
        return
    width, height = _size(arguments.size)
    camera = str(arguments.camera)
    if camera == "picamera" or (camera == "auto" and picamera_is_there()):
        yield from picamera_frames(width, height)
    else:
        yield from v4l2_frames("0" if camera == "auto" else camera, width, height)


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if width.isdecimal() and height.isdecimal():
        size = int(width), int(height)
        if min(size) >= _SMALLEST and max(size) <= _LARGEST:
            return size
    fail(f"--size {text}: must be WIDTHxHEIGHT, {_SMALLEST} to {_LARGEST} pixels", USAGE)
