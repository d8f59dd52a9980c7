"""Which devices take a release while it is rolled out to a share of them.

A device decides by itself, by a hash of its own id and the release: no list is kept anywhere, every
release meets other devices first, and a device that takes part at 10 percent does so at 50.

>>> share = sum(takes_part(f"device-{n}", "0a" * 32, 10) for n in range(10_000)) / 10_000
>>> 0.09 < share < 0.11
True
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

#: Names the device; without it the id is derived from the machine's.
DEVICE_VARIABLE = "CARDS_EDGE_DEVICE"
_MACHINE_ID = Path("/etc/machine-id")
_ID_LENGTH = 16


def takes_part(device: str, manifest_sha256: str, percent: int) -> bool:
    """Whether a device is among the given percentage of devices for a release."""
    digest = hashlib.sha256(f"{device}\0{manifest_sha256}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % 100 < percent


def device_id() -> str:
    """What names this device: ``CARDS_EDGE_DEVICE``, or a hash of the machine's id.

    The machine's id itself is confidential (machine-id(5)), so it is never shown.
    """
    given = os.environ.get(DEVICE_VARIABLE, "")
    if given:
        return given
    try:
        machine = _MACHINE_ID.read_bytes().strip()
    except OSError:
        machine = os.uname().nodename.encode()
    return hashlib.sha256(b"cards-edge\0" + machine).hexdigest()[:_ID_LENGTH]
