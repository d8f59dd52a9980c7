"""Where frames come from: a camera of the Raspberry Pi, a USB camera, or a folder of images."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from recognition.card_sets.file_type import IMAGE_SUFFIXES
from recognition.card_sets.scan import ScanError, decode_image, read_image_bytes

Pixels = NDArray[np.uint8]

#: Frames in a row that a camera may fail to give before it counts as gone.
_LOST = 30
#: Seconds between two looks at a folder.
_PAUSE = 0.5


class CameraError(RuntimeError):
    """A camera that cannot be used; names it, the cause and the remedy."""


def picamera_is_there() -> bool:
    """Whether the Raspberry Pi's own camera library can be imported (``python3-picamera2``)."""
    try:
        import picamera2  # noqa: F401
    except Exception:  # a broken libcamera raises whatever it likes
        return False
    return True


def picamera_frames(width: int, height: int) -> Iterator[Pixels]:
    """Frames of the Raspberry Pi's camera, uint8 RGB, until the caller stops.

    Raises:
        CameraError: The library or the camera is not there.
    """
    try:
        from picamera2 import Picamera2
    except Exception as error:
        raise CameraError(
            f"picamera2 cannot be imported ({error}): sudo apt install python3-picamera2, and make "
            "the virtual environment with --system-site-packages"
        ) from None
    try:
        camera: Any = Picamera2()
        # picamera2 names its formats backwards: this one is R, G, B in memory.
        settings = camera.create_video_configuration(
            main={"size": (width, height), "format": "BGR888"}
        )
        camera.configure(settings)
        camera.start()
    except Exception as error:
        raise CameraError(f"the camera does not start ({error}): is it connected?") from None
    try:
        while True:
            frame = np.asarray(camera.capture_array("main"))
            yield np.ascontiguousarray(frame[:height, :width, :3], dtype=np.uint8)
    finally:
        camera.stop()
        camera.close()


def v4l2_frames(device: str, width: int, height: int) -> Iterator[Pixels]:
    """Frames of a USB camera, uint8 RGB, until the caller stops.

    Args:
        device: Its number, or its path such as ``/dev/video0``.
        width, height: Asked for; the camera gives what it can.

    Raises:
        CameraError: It cannot be opened, or gives no frames any more.
    """
    name: int | str = int(device) if device.isdecimal() else device
    backend = cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY
    camera = cv2.VideoCapture(name, backend)
    if not camera.isOpened():
        path = f"/dev/video{device}" if isinstance(name, int) else device
        cause = "is not there" if not os.path.exists(path) else "cannot be opened"
        raise CameraError(
            f"{path}: {cause}; v4l2-ctl --list-devices shows the cameras, and the user must be in "
            "the group video"
        )
    try:
        camera.set(cv2.CAP_PROP_FRAME_WIDTH, width)
        camera.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
        # The newest frame, not one that has waited while a card was recognised.
        camera.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        failed = 0
        while failed < _LOST:
            given, frame = camera.read()
            if not given or frame is None or frame.ndim != 3:
                failed += 1
                time.sleep(0.03)
                continue
            failed = 0
            yield np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), dtype=np.uint8)
        raise CameraError(f"{device}: the camera gives no frames any more")
    finally:
        camera.release()


def folder_frames(
    folder: Path,
    *,
    follow: bool,
    refused: Callable[[str], None],
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[tuple[str, Pixels]]:
    """Images of a folder in the order of their names, with their names.

    Args:
        folder: Where they lie.
        follow: Go on with what is put there later, until the caller stops.
        refused: Told of a file that is no usable image, one line.
        pause: Waits some seconds.

    Raises:
        CameraError: The folder cannot be read.
    """
    done: set[tuple[str, int, int]] = set()
    waiting: dict[str, tuple[int, int]] = {}
    while True:
        try:
            files = sorted(each for each in folder.iterdir() if not each.name.startswith("."))
            states = {each: each.stat() for each in files}
        except FileNotFoundError:
            if not folder.is_dir():
                raise CameraError(f"{folder}: no such folder") from None
            continue  # a file went while it was looked at
        except OSError as error:
            raise CameraError(f"{folder}: cannot be read ({error.strerror or error})") from None
        for file, state in states.items():
            key = file.name, state.st_size, state.st_mtime_ns
            if key in done or file.suffix.lower() not in IMAGE_SUFFIXES:
                continue
            # A file that is still being written changes from one look to the next.
            if follow and waiting.get(file.name) != key[1:]:
                waiting[file.name] = key[1:]
                continue
            done.add(key)
            waiting.pop(file.name, None)
            try:
                yield file.name, decode_image(read_image_bytes(file))
            except ScanError as error:
                refused(f"{file}: {error}")
        if not follow:
            return
        pause(_PAUSE)
