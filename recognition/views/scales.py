"""How large the pictures are that lie between a scan and the network's input. Needs no library."""

from __future__ import annotations

import math

#: Views are drawn at this multiple of their size.
RENDER_SCALE = 1.5


def canvas_side(size: int) -> int:
    """Side in pixels of what a view is drawn on."""
    return math.ceil(RENDER_SCALE * size)


def scan_scale(size: int, camera_side: int) -> int:
    """How many times as large as the network's input a scan should be for its views.

    At least as large as the camera's picture, so that none of it is made up; twice at least.

    Args:
        size: Side of the network's input in pixels.
        camera_side: Side of the camera's picture.
    """
    return max(2, math.ceil(camera_side / size))
