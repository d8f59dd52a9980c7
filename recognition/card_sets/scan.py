"""One image of a card, from an untrusted file to upright uint8 RGB."""

from __future__ import annotations

import io
import os
import stat
import warnings
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from registry.contract import Contract
from registry.text import one_line

Scan = NDArray[np.uint8]

IMAGE_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
LARGEST_FILE_BYTES = 64 * 2**20
LARGEST_PIXELS = 50_000_000
SMALLEST_SIDE = 32


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
    try:
        # Non-blocking, so that a named pipe put in the folder cannot hang the reader.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise ScanError(f"cannot be read: {error.strerror or error}") from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise ScanError("not a regular file")
    with os.fdopen(descriptor, "rb") as file:
        if status.st_size > LARGEST_FILE_BYTES:
            raise ScanError(
                f"{status.st_size / 2**20:.0f} MiB is over the limit of "
                f"{LARGEST_FILE_BYTES // 2**20} MiB for a scan"
            )
        try:
            content = file.read(LARGEST_FILE_BYTES + 1)
        except OSError as error:
            raise ScanError(f"cannot be read: {error.strerror or error}") from None
    if not content:
        raise ScanError("empty file")
    return content


def decode_image(content: bytes) -> Scan:
    """Decodes an image to upright uint8 RGB, checking its header before any pixel.

    Grey, palette, 16-bit and CMYK images are converted, transparency is laid on white, and the
    EXIF orientation is applied. Of an animation or a multi-page file the first picture counts.

    Returns:
        uint8, shape (h, w, 3).

    Raises:
        ScanError: Not one of PNG, JPEG, WebP, BMP, TIFF; broken; too large or too small.
    """
    with warnings.catch_warnings():
        # Pillow warns at sizes far above our own limit; that limit is what decides.
        warnings.simplefilter("ignore")
        try:
            image = Image.open(io.BytesIO(content), formats=IMAGE_FORMATS)
        except Image.DecompressionBombError:
            raise ScanError(f"more than {LARGEST_PIXELS / 1e6:.0f} megapixels") from None
        except Exception:
            raise ScanError("not a PNG, JPEG, WebP, BMP or TIFF image") from None
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
            image.load()
            upright = ImageOps.exif_transpose(image)
            pixels = _to_rgb(upright)
        except ScanError:
            raise
        except Exception as error:  # Pillow's decoders raise many types on broken data
            detail = one_line(str(error))[:120] or type(error).__name__
            raise ScanError(f"broken image: {detail}") from None
    return pixels


def _to_rgb(image: Image.Image) -> Scan:
    if image.mode.startswith("I"):
        # 16-bit grey: Pillow's own conversion clips at 255 instead of scaling.
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise ScanError("32-bit grey values; save the scan as 8-bit RGB")
        grey = ((values * 255 + 32767) // 65535).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode == "F":
        raise ScanError("floating-point pixels; save the scan as 8-bit RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, layer)
    return np.ascontiguousarray(np.asarray(image.convert("RGB"), dtype=np.uint8))
