"""Text and colour profiles of a PNG: left out before its pixels are decoded.

Editors and image generators write megabytes of them beside the pixels, which Pillow refuses above
1 MiB for fear of a decompression bomb. The pixels need none of it, so that it is not decompressed
at all; only the text that may hold the orientation is kept.
"""

from __future__ import annotations

import zlib

#: What Pillow takes of one compressed text (``PngImagePlugin.MAX_TEXT_CHUNK``).
LARGEST_COMPRESSED_TEXT_BYTES = 2**20
_SIGNATURE_BYTES = 8
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
#: EXIF as ImageMagick writes it, and XMP: Pillow finds the orientation in them.
_ORIENTATION_KEYWORDS = (b"Raw profile type exif", b"XML:com.adobe.xmp")


class PngTextError(ValueError):
    """A text that may hold the orientation is too large when decompressed."""


def without_text(content: bytes) -> bytes:
    """A PNG without its colour profile and text, except the text that may hold its orientation.

    Chunks: https://www.w3.org/TR/png-3/#5Chunk-layout. Damage is left for the decoder to find.

    Raises:
        PngTextError: Compressed EXIF or XMP of more than 1 MiB.
    """
    kept: list[bytes] = []
    start = place = _SIGNATURE_BYTES
    while place + 8 <= len(content):
        length = int.from_bytes(content[place : place + 4], "big")
        kind, end = content[place + 4 : place + 8], place + 12 + length
        if end > len(content):
            break
        body = memoryview(content)[place + 8 : end - 4]
        if kind == b"iCCP" or (kind in _TEXTS and not _orientation(kind, body)):
            kept.append(content[start:place])
            start = end
        place = end
    if not kept:
        return content
    return b"".join((content[:_SIGNATURE_BYTES], *kept, content[start:]))


def _orientation(kind: bytes, body: memoryview) -> bool:
    """Whether a text may hold the orientation.

    Raises:
        PngTextError: It does, and is too large when decompressed.
    """
    keyword, _, rest = bytes(body[:80]).partition(b"\0")
    if keyword not in _ORIENTATION_KEYWORDS:
        return False
    if kind == b"tEXt" or (kind == b"iTXt" and rest[:1] != b"\1"):
        return True
    packed = bytes(body[len(keyword) + 1 :])
    # Method; for iTXt flag, method, language and translated keyword.
    text = packed[1:] if kind == b"zTXt" else packed[2:].split(b"\0", 2)[-1]
    inflater = zlib.decompressobj()
    try:
        inflater.decompress(text, LARGEST_COMPRESSED_TEXT_BYTES)
    except zlib.error:
        return False  # Pillow passes over it, too
    if inflater.unconsumed_tail:
        raise PngTextError
    return True
