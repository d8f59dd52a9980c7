"""Frames from folders and cameras."""

from __future__ import annotations

import io
import sys
import types
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from edge.frames.sources import (
    CameraError,
    folder_frames,
    picamera_frames,
    picamera_is_there,
    v4l2_frames,
)


def jpeg(colour: tuple[int, int, int], size: tuple[int, int] = (64, 48), **more: object) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "JPEG", **more)
    return out.getvalue()


def test_images_of_a_folder_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name, colour in (("b.jpg", (0, 255, 0)), ("a.jpg", (255, 0, 0))):
        (tmp_path / name).write_bytes(jpeg(colour))
    (tmp_path / "notes.txt").write_text("no image")
    found = list(folder_frames(tmp_path, follow=False, refused=pytest.fail))
    assert [name for name, _ in found] == ["a.jpg", "b.jpg"]
    assert found[0][1][0, 0, 0] > 200


def test_damaged_and_hostile_images_are_told_and_left_out(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg((1, 2, 3))[:200])
    (tmp_path / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 30)
    (tmp_path / "c.jpg").write_bytes(b"")
    (tmp_path / "d.jpg").symlink_to("/dev/zero")
    (tmp_path / "e.jpg").write_bytes(jpeg((9, 9, 9)))
    told: list[str] = []
    found = list(folder_frames(tmp_path, follow=False, refused=told.append))
    assert [name for name, _ in found] == ["e.jpg"] and len(told) == 4


def test_orientation_that_the_camera_wrote_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "a.jpg").write_bytes(jpeg((1, 2, 3), (80, 40), exif=exif))
    ((_, frame),) = folder_frames(tmp_path, follow=False, refused=pytest.fail)
    assert frame.shape == (80, 40, 3)


def test_followed_folder_gives_each_image_once_when_it_is_whole(tmp_path: Path) -> None:
    whole = jpeg((1, 2, 3))
    looks = 0

    def pause(_: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 1:
            (tmp_path / "a.jpg").write_bytes(whole[:100])
        elif looks == 2:
            (tmp_path / "a.jpg").write_bytes(whole)
        elif looks > 6:
            raise KeyboardInterrupt

    found = []
    with pytest.raises(KeyboardInterrupt):
        for name, _ in folder_frames(tmp_path, follow=True, refused=pytest.fail, pause=pause):
            found.append(name)
    assert found == ["a.jpg"]


def test_folder_and_camera_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match="no such folder"):
        next(folder_frames(tmp_path / "x", follow=False, refused=pytest.fail))
    with pytest.raises(CameraError, match="/dev/video97: is not there"):
        next(v4l2_frames("97", 640, 480))


class Camera:
    """A camera that gives two frames, then none any more."""

    def __init__(self, *_: object) -> None:
        self.left, self.released = 2, False

    def isOpened(self) -> bool:
        return True

    def set(self, *_: object) -> bool:
        return False

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.left -= 1
        frame = np.zeros((4, 6, 3), dtype=np.uint8)
        frame[..., 0] = 200  # blue comes first
        return (True, frame) if self.left >= 0 else (False, None)

    def release(self) -> None:
        self.released = True


def test_camera_gives_rgb_and_its_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    camera = Camera()
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: camera)
    monkeypatch.setattr("edge.frames.sources.time.sleep", lambda _: None)
    frames = v4l2_frames("0", 6, 4)
    assert next(frames)[0, 0].tolist() == [0, 0, 200]
    next(frames)
    with pytest.raises(CameraError, match="gives no frames any more"):
        next(frames)
    assert camera.released


class Picamera2:
    """As picamera2's documentation describes it: rows may be longer than the frame."""

    closed = False

    def create_video_configuration(self, main: dict[str, object]) -> dict[str, object]:
        assert main == {"size": (6, 4), "format": "BGR888"}
        return main

    def configure(self, settings: object) -> None: ...

    def start(self) -> None: ...

    def capture_array(self, name: str) -> np.ndarray:
        return np.zeros((4, 8, 3), dtype=np.uint8)

    def stop(self) -> None: ...

    def close(self) -> None:
        Picamera2.closed = True


def test_camera_of_the_pi_is_used_by_its_documented_interface(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", types.SimpleNamespace(Picamera2=Picamera2))
    assert picamera_is_there()
    frames = picamera_frames(6, 4)
    assert next(frames).shape == (4, 6, 3)
    frames.close()
    assert Picamera2.closed


def test_camera_of_the_pi_without_its_library_names_the_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    assert not picamera_is_there()
    with pytest.raises(CameraError, match="sudo apt install python3-picamera2"):
        next(picamera_frames(6, 4))
