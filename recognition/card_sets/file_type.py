"""What a file is by its first bytes, and what to do with those that hold no readable pixels.

A name says little: an ordinary JPEG is called ``.jfif`` or ``.jpe`` by some programs, and a web
page or a Git LFS pointer may be called ``.png``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: This many bytes are enough to know every type here.
HEAD_BYTES = 512

_EXPORT = "save it as PNG or JPEG"


@dataclass(frozen=True)
class FileType:
    """One type of file.

    Attributes:
        name: As people call it.
        decoder: Pillow's name of the format; None where its pixels are not read.
        remedy: What to do with a file that is not read; empty for the others.
        picture: Is it a picture, whatever the file's name says? A web page is none.
    """

    name: str
    decoder: str | None = None
    remedy: str = ""
    picture: bool = True


PNG = FileType("PNG", "PNG")
JPEG = FileType("JPEG", "JPEG")
WEBP = FileType("WebP", "WEBP")
BMP = FileType("BMP", "BMP")
TIFF = FileType("TIFF", "TIFF")
GIF = FileType("GIF", "GIF")
AVIF = FileType("AVIF", "AVIF")
READABLE = (PNG, JPEG, WEBP, BMP, TIFF, GIF, AVIF)
HEIC = FileType(
    "HEIC",
    remedy=f"{_EXPORT} (iPhones take JPEG with Settings, Camera, Formats, Most Compatible)",
)
JPEG_XL = FileType("JPEG XL", remedy=_EXPORT)
JPEG_2000 = FileType("JPEG 2000", remedy=_EXPORT)
PHOTOSHOP = FileType("Photoshop", remedy=_EXPORT)
CAMERA_RAW = FileType("camera raw", remedy="develop it and save it as PNG or JPEG")
PORTABLE_MAP = FileType("PPM (or PGM, PBM, PAM, PFM)", remedy=_EXPORT)
TARGA = FileType("TGA", remedy=_EXPORT)
ICON = FileType("ICO", remedy="use the scan it was made of, as PNG or JPEG")
OPEN_EXR = FileType("OpenEXR", remedy=_EXPORT)
RADIANCE = FileType("Radiance HDR", remedy=_EXPORT)
PDF = FileType("PDF", remedy="export its pages as PNG", picture=False)
SVG = FileType("SVG", remedy="export it as PNG", picture=False)
WEB_PAGE = FileType(
    "web page", remedy="download the image itself; the server answered with a page", picture=False
)
LFS_POINTER = FileType("Git LFS pointer", remedy="run git lfs pull", picture=False)

#: A file called so should be a scan, and is named where it is none; of others the bytes decide.
IMAGE_SUFFIXES = frozenset(
    (
        *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".webp", ".bmp", ".dib"),
        *(".tif", ".tiff", ".gif", ".avif", ".heic", ".heif", ".hif", ".jxl", ".jp2", ".j2k"),
        *(".ppm", ".pgm", ".pbm", ".pnm", ".pam", ".pfm", ".tga", ".exr", ".hdr"),
        *(".psd", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf"),
    )
)
#: (offset, bytes there, type)
_SIGNATURES = (
    (0, b"\x89PNG\r\n\x1a\n", PNG),
    (0, b"\xff\xd8\xff", JPEG),
    (0, b"GIF87a", GIF),
    (0, b"GIF89a", GIF),
    (8, b"CR\x02\x00", CAMERA_RAW),  # Canon: a TIFF whose first image is a preview
    (0, b"II*\x00", TIFF),
    (0, b"MM\x00*", TIFF),
    (0, b"II+\x00", TIFF),
    (0, b"MM\x00+", TIFF),
    (0, b"IIRO", CAMERA_RAW),
    (0, b"IIU\x00", CAMERA_RAW),
    (0, b"FUJIFILMCCD-RAW", CAMERA_RAW),
    (4, b"ftypcrx ", CAMERA_RAW),
    (0, b"\xff\x0a", JPEG_XL),
    (0, b"\x00\x00\x00\x0cJXL \r\n\x87\n", JPEG_XL),
    (0, b"\x00\x00\x00\x0cjP  \r\n\x87\n", JPEG_2000),
    (0, b"\xff\x4f\xff\x51", JPEG_2000),
    (0, b"8BPS\x00", PHOTOSHOP),
    (0, b"\x76\x2f\x31\x01", OPEN_EXR),
    (0, b"#?RADIANCE", RADIANCE),
    (0, b"%PDF-", PDF),
    (0, b"version https://git-lfs.github.com/", LFS_POINTER),
)
#: Its header is text, in which comments may stand.
_PORTABLE_MAP = re.compile(
    rb"P(?:[1-6Ff]\s+(?:#[^\n]*\n\s*)*\d+\s|7\n(?:#[^\n]*\n)*(?:WIDTH|HEIGHT|DEPTH|MAXVAL) )"
)
#: Bits of a pixel by the coding that a TGA's header names: palette, colour, grey; plain and packed.
_TARGA_DEPTHS = {
    **dict.fromkeys((1, 9), (8, 16)),
    **dict.fromkeys((2, 10), (15, 16, 24, 32)),
    **dict.fromkeys((3, 11), (8, 16)),
}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_AVIF_BRANDS = {b"avif", b"avis"}
_BMP_HEADERS = {12, 40, 52, 56, 64, 108, 124}


def file_type(head: bytes) -> FileType | None:
    """The type of a file; None for one that is not known here.

    Args:
        head: The file's first :data:`HEAD_BYTES`, or all of it.
    """
    for offset, signature, found in _SIGNATURES:
        if head.startswith(signature, offset):
            return found
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return WEBP
    # Two letters begin many a text; a BMP has the size of its second header at 14.
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return BMP
    if _PORTABLE_MAP.match(head):
        return PORTABLE_MAP
    if _is_icon(head):
        return ICON
    if _is_targa(head):
        return TARGA
    if head[4:8] == b"ftyp":
        return _of_brands(head)
    return _of_text(head)


def _is_icon(head: bytes) -> bool:
    """Icons and cursors begin with counts alone: how many there are, and where the first lies."""
    if head[:4] not in (b"\0\0\1\0", b"\0\0\2\0") or len(head) < 22:
        return False
    count, start = int.from_bytes(head[4:6], "little"), int.from_bytes(head[18:22], "little")
    return 0 < count <= 256 and head[9] == 0 and start >= 6 + 16 * count


def _is_targa(head: bytes) -> bool:
    """A TGA has no signature at its start: every field of its header has to make sense."""
    if len(head) < 18:
        return False
    palette, coding, depth, flags = head[1], head[2], head[16], head[17]
    if coding not in _TARGA_DEPTHS or depth not in _TARGA_DEPTHS[coding] or flags & 0xC0:
        return False
    if palette != (coding in (1, 9)) or (not palette and any(head[3:8])):
        return False
    return 0 not in (int.from_bytes(head[offset : offset + 2], "little") for offset in (12, 14))


def _of_brands(head: bytes) -> FileType | None:
    """HEIC and AVIF are one container: a general brand may stand before the coding's own."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    major, others = head[8:12], {head[offset : offset + 4] for offset in range(16, end - 3, 4)}
    if major in _AVIF_BRANDS:
        return AVIF
    if major in _HEIC_BRANDS:
        return HEIC
    if major in (b"mif1", b"msf1", b"miaf"):
        return AVIF if others & _AVIF_BRANDS else HEIC
    return None


def _of_text(head: bytes) -> FileType | None:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return WEB_PAGE
    if text.startswith(b"<svg") or (text.startswith((b"<?xml", b"<!--")) and b"<svg" in text):
        return SVG
    return None
