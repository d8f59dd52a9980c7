"""Which keys S3 holds so that every client can list, read and delete them.

S3 takes any UTF-8 of up to 1,024 bytes; its lists and deletions are XML 1.0, which has no control
characters, and clients normalise ``.``, ``..`` and empty parts:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
"""

from __future__ import annotations

import unicodedata

KEY_LIMIT = 1024


def key_fault(key: str) -> str | None:
    """Why S3 cannot hold a key, as words that follow its name; None for one that it can.

    Args:
        key: A key, or a part of one; a file name that is no UTF-8 has surrogates in it.
    """
    try:
        length = len(key.encode())
    except UnicodeEncodeError:
        return "is not UTF-8"
    if length > KEY_LIMIT:
        return f"has {length} bytes, more than {KEY_LIMIT}"
    if any(unicodedata.category(c) == "Cc" or c in "\ufffe\uffff" for c in key):
        return "holds control characters"
    if any(part in ("", ".", "..") for part in key.split("/")):
        return "has a part that is empty or . or .."
    return None


def storable_name(name: str, number: int, sha256: str) -> str:
    """A file's name within its card's folder in S3: its own, or one made from its contents.

    Args:
        name: The file's name on disk.
        number: Its place among the scans of its card, which keeps equal files apart.
        sha256: Of its bytes, in hex.
    """
    if key_fault(name) is None:
        return name
    suffix = name.rpartition(".")[2]
    ending = f".{suffix}" if suffix != name and suffix.isascii() and suffix.isalnum() else ""
    return f"scan-{number:04d}-{sha256[:12]}{ending}"
