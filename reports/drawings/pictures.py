"""Images on a page: small, as ``data:`` addresses."""

from __future__ import annotations

import base64
import binascii
import io
import re
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Pixels = NDArray[np.uint8]
#: Width and height of a card on the page, in pixels: a card's proportion.
SIZE = (96, 134)
#: Characters of one picture's address.
LIMIT = 24_000
_QUALITIES = (72, 50, 25)
_ADDRESS = re.compile(r"data:image/(webp|png|jpeg);base64,([A-Za-z0-9+/]+={0,2})", re.ASCII)
_BEGINS = {"webp": b"RIFF", "png": b"\x89PNG\r\n\x1a\n", "jpeg": b"\xff\xd8\xff"}


def picture(image: Any) -> str:
    """A uint8 RGB (S, S, 3) image in a card's proportion, as the address of a WebP.

    Args:
        image: As the contract prepares it: a card stretched to a square.
    """
    small = cv2.resize(np.asarray(image, dtype=np.uint8), SIZE, interpolation=cv2.INTER_AREA)
    address = ""
    for quality in _QUALITIES:
        stream = io.BytesIO()
        Image.fromarray(np.asarray(small, dtype=np.uint8)).save(stream, "WEBP", quality=quality)
        address = f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode()}"
        if len(address) <= LIMIT:
            break
    return address


def is_picture(address: object) -> bool:
    """Whether this is the address of a small picture and of nothing else, such as a script."""
    if not isinstance(address, str) or len(address) > LIMIT:
        return False
    found = _ADDRESS.fullmatch(address)
    if found is None:
        return False
    try:
        body = base64.b64decode(found[2], validate=True)
    except (binascii.Error, ValueError):
        return False
    return body.startswith(_BEGINS[found[1]])
