"""One image of a card, from an untrusted file to upright uint8 RGB."""

from __future__ import annotations

import io
import os
import stat
import warnings
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, TiffImagePlugin

from recognition.card_sets.file_type import (
    CAMERA_RAW,
    HEAD_BYTES,
    IMAGE_SUFFIXES,
    READABLE,
    FileType,
    file_type,
)
from recognition.card_sets.png_text import PngTextError, without_text
from registry.contract import Contract
from registry.untrusted.text import one_line

Scan = NDArray[np.uint8]

LARGEST_FILE_BYTES = 64 * 2**20
LARGEST_PIXELS = 50_000_000
SMALLEST_SIDE = 32
_NAMES = [each.name for each in READABLE]
_UNKNOWN = f"not a {', '.join(_NAMES[:-1])} or {_NAMES[-1]} image: save the scan as PNG or JPEG"
_EMPTY = "empty file; copy it again from where it came from"
_EIGHT_BITS = "save the scan as 8-bit RGB"
_FLOATS = f"floating-point pixels; {_EIGHT_BITS}"
#: TIFF tags: what a file's first image is (bit 0: a preview), and a raw file's version.
_NEW_SUBFILE_TYPE, _DNG_VERSION = 254, 50706


class ScanError(ValueError):
    """One image that cannot be used; the message is the reason, without the file's name."""


def load_scan(path: Path, contract: Contract, scale: int = 1) -> Scan:
    """Reads one scan and stretches it to the contract's square with area interpolation.

    Args:
        path: An image file.
        contract: Gives the side of the square.
        scale: Multiple of the contract's size; camera views are rendered from scale 2.

    Returns:
        uint8 RGB, shape (size * scale, size * scale, 3).

    Raises:
        ScanError: The file is no usable image.
    """
    return stretch(decode_image(read_image_bytes(path)), contract.size * scale)


def stretch(image: Scan, size: int) -> Scan:
    """Stretches uint8 (h, w, 3) to (size, size, 3) with area interpolation (the contract's)."""
    resized = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
    return np.asarray(resized, dtype=np.uint8)


def read_image_bytes(path: Path) -> bytes:
    """The bytes of a regular file of limited size.

    Raises:
        ScanError: Not a regular file, empty, over 64 MiB or unreadable.
    """
    with _open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > LARGEST_FILE_BYTES:
            raise ScanError(
                f"{size / 2**20:.0f} MiB is over the limit of "
                f"{LARGEST_FILE_BYTES // 2**20} MiB for a scan"
            )
        content = _read(file, LARGEST_FILE_BYTES + 1)
    if not content:
        raise ScanError(_EMPTY)
    return content


def why_no_scan(file: Path) -> str | None:
    """Why a file is no scan, nor meant to be one; None for one that is to be decoded.

    Args:
        file: In a card's folder. Its name can only add it: of other names the bytes decide.
    """
    if file.suffix.lower() in IMAGE_SUFFIXES:
        return None
    try:
        with _open_regular(file) as opened:
            found = file_type(_read(opened, HEAD_BYTES))
    except ScanError as error:
        return f"not an image by its name, and {error}"
    if found is None:
        return "not an image"
    return None if found.picture else _not_read(found)


def _open_regular(path: Path) -> BinaryIO:
    try:
        # Non-blocking, so that a named pipe put in the folder cannot hang the reader.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise ScanError(f"cannot be read: {error.strerror or error}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ScanError("not a regular file")
    return os.fdopen(descriptor, "rb")


def _read(file: BinaryIO, most: int) -> bytes:
    try:
        return file.read(most)
    except OSError as error:
        raise ScanError(f"cannot be read: {error.strerror or error}") from None


def decode_image(content: bytes) -> Scan:
    """Decodes an image to upright uint8 RGB, checking its header before any pixel.

    What it is its first bytes say. Text and colour profiles of a PNG are not decompressed.

    Grey, palette, 16-bit and CMYK images are converted, transparency is laid on white, and the
    EXIF orientation is applied. Of an animation or a multi-page file the first picture counts.

    Returns:
        uint8, shape (h, w, 3).

    Raises:
        ScanError: Not one of PNG, JPEG, WebP, BMP, TIFF, GIF, AVIF; broken; too large or too small.
    """
    if not content:
        raise ScanError(_EMPTY)
    found = file_type(content[:HEAD_BYTES])
    if found is None:
        raise ScanError(_UNKNOWN)
    if found.decoder is None:
        raise ScanError(_not_read(found))
    if found.decoder == "PNG":
        try:
            content = without_text(content)
        except PngTextError:
            raise ScanError(
                "its EXIF or XMP text is over the limit of 1 MiB when decompressed; save the scan "
                "without metadata"
            ) from None
    with warnings.catch_warnings():
        # Pillow warns at sizes far above our own limit; that limit is what decides.
        warnings.simplefilter("ignore")
        try:
            image = Image.open(io.BytesIO(content), formats=(found.decoder,))
        except Image.DecompressionBombError:
            raise ScanError(f"more than {LARGEST_PIXELS / 1e6:.0f} megapixels") from None
        except Exception:
            raise ScanError(
                (found.decoder == "TIFF" and _tiff_pixels_not_read(content))
                or f"broken image: cannot be read as {found.name}; copy or save it again"
            ) from None
        width, height = image.size
        if width * height > LARGEST_PIXELS:
            raise ScanError(
                f"{width} x {height} pixels are over the limit of {LARGEST_PIXELS / 1e6:.0f} "
                "megapixels; scale the scan down"
            )
        if min(width, height) < SMALLEST_SIDE:
            raise ScanError(
                f"{width} x {height} pixels are too few for a scan (at least {SMALLEST_SIDE} "
                "on each side)"
            )
        try:
            if _is_preview(image):
                raise ScanError(_not_read(CAMERA_RAW))
            image.load()
            upright = ImageOps.exif_transpose(image)
            pixels = _to_rgb(upright)
        except ScanError:
            raise
        except Exception as error:  # Pillow's decoders raise many types on broken data
            detail = one_line(str(error))[:120] or type(error).__name__
            raise ScanError(f"broken image: {detail}") from None
    return pixels


def _not_read(found: FileType) -> str:
    """Why a file of a type whose pixels are not read cannot be used, and what to do."""
    return f"{found.name}, which is not read: {found.remedy}"


def _is_preview(image: Image.Image) -> bool:
    """Whether a TIFF is a camera's raw file, of which Pillow would read the small preview."""
    tags = getattr(image, "tag_v2", None) if image.format == "TIFF" else None
    if tags is None:
        return False
    return _DNG_VERSION in tags or bool(tags.get(_NEW_SUBFILE_TYPE, 0) & 1)


def _tiff_pixels_not_read(content: bytes) -> str:
    """Why a whole TIFF cannot be opened: pixels that Pillow has no form for; empty if unknown."""
    big = content[2:4] in (b"+\0", b"\0+")
    try:
        tags = TiffImagePlugin.ImageFileDirectory_v2(content[: 16 if big else 8])
        file = io.BytesIO(content)
        file.seek(tags.next)
        tags.load(file)
        forms = set(tags.get(TiffImagePlugin.SAMPLEFORMAT, (1,)))
        bits = set(tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,)))
    except Exception:  # as many types as Pillow's own reader of the same bytes raises
        return ""
    if 3 in forms:
        return _FLOATS
    if forms != {1} or bits - {1, 2, 4, 8, 16}:
        return f"{max(bits)}-bit values{'' if forms == {1} else ' with a sign'}; {_EIGHT_BITS}"
    return ""


def _to_rgb(image: Image.Image) -> Scan:
    if image.mode.startswith("I"):
        # 16-bit grey: Pillow's own conversion clips at 255 instead of scaling.
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise ScanError(f"32-bit grey values; {_EIGHT_BITS}")
        grey = ((values * 255 + 32767) // 65535).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode == "F":
        raise ScanError(_FLOATS)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, layer)
    return np.ascontiguousarray(np.asarray(image.convert("RGB"), dtype=np.uint8))
