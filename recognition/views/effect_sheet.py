"""A contact sheet of camera views, for a person to judge: each effect alone, then random views."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from recognition.card_sets.scan import stretch
from recognition.contact_sheet import Text, Tile, draw_contact_sheet
from recognition.views.camera_opencv import render_view
from recognition.views.parameters import (
    Colour,
    Finger,
    Glare,
    Holo,
    Light,
    Motion,
    Noise,
    Pixels,
    Pose,
    Shadow,
    Sleeve,
    ViewParameters,
    draw_view,
    plain_view,
    view_generator,
)

_COLUMNS = 8


def single_effects() -> dict[str, ViewParameters]:
    """Each effect alone, about as strong as it is ever drawn, by the name to show under it."""
    plain = plain_view()
    cloth = draw_view(view_generator(3, "sheet", "cloth", 3)).table
    lying = replace(plain, table=cloth, pose=Pose(0.0, 0.0, 0.0, 0.9, 3.0, 0.0, 0.0))
    foil = Holo(0.45, 0.7, 1.0, 0.1, 0.2, 0.1, 0.7, 0.0, 0.0, 1.0, 1.0, False)
    window = foil._replace(left=0.08, top=0.11, right=0.92, bottom=0.52)
    sleeve = Sleeve(0.07, 0.14, 0.55, 0.6, 1.6, 3.0, 1.0, 0.3, 0.6, 0.2, 0.15)
    return {
        "no effect": plain,
        "table": lying,
        "perspective": replace(lying, pose=Pose(0.0, 0.35, -0.3, 0.95, 2.4, 0.0, 0.0)),
        "rotation": replace(lying, pose=lying.pose._replace(roll=0.24)),
        "scale and place": replace(lying, pose=Pose(0.0, 0.0, 0.0, 0.8, 3.0, 0.05, -0.05)),
        "blur": replace(plain, blur=0.011),
        "motion": replace(plain, motion=Motion(0.045, 0.6)),
        "glare": replace(plain, glare=Glare(170.0, 0.9, 0.2, -0.3, 0.9, 0.3)),
        "shadow": replace(plain, shadow=Shadow(0.45, 0.6, 0.1, 12.0)),
        "uneven light": replace(plain, light=Light(1.0, 0.3, 2.5)),
        "underexposed": replace(plain, light=Light(0.68, 0.0, 0.0)),
        "haze": replace(plain, haze=22.0),
        "foil: whole card": replace(plain, holo=foil),
        "foil: picture": replace(plain, holo=window),
        "foil: around it": replace(plain, holo=window._replace(around=True)),
        "sleeve": replace(lying, sleeve=sleeve),
        "finger": replace(lying, finger=Finger(0.07, 0.3, 0.12, 0.15, 2, 205.0, 160.0, 134.0)),
        "warm light": replace(plain, colour=Colour(1.0, 0.2, 0.0)),
        "cold light": replace(plain, colour=Colour(1.0, -0.2, 0.0)),
        "green tint": replace(plain, colour=Colour(1.0, 0.0, 0.1)),
        "pale": replace(plain, colour=Colour(0.65, 0.0, 0.0)),
        "vivid": replace(plain, colour=Colour(1.25, 0.0, 0.0)),
        "noise": replace(plain, noise=Noise(7.0, 0)),
        "JPEG": replace(plain, quality=40),
    }


def draw_view_sheet(
    scan: Pixels, path: Path, *, size: int = 224, views: int = 24, seed: int = 0
) -> None:
    """Writes a PNG with one effect a tile and its name, and below them views drawn at random.

    Args:
        scan: uint8 RGB (h, w, 3) of one card.
        path: The file, replaced as a whole.
        size: Side of the views in pixels, as the network gets them.
        views: How many random views, at least 0.
        seed: Other seeds draw other random views.

    Raises:
        ValueError: The scan is no uint8 RGB image, or the number of views is negative.
    """
    if scan.dtype != np.uint8 or scan.ndim != 3 or scan.shape[2] != 3:
        raise ValueError(f"scan is {scan.dtype} {scan.shape}: give a uint8 RGB image (h, w, 3)")
    if views < 0:
        raise ValueError(f"{views} views cannot be drawn: ask for 0 or more")
    views_by_name = list(single_effects().items())
    views_by_name += [
        (f"random {number}", draw_view(view_generator(seed, "sheet", "card", number)))
        for number in range(views)
    ]
    source = stretch(scan, 2 * size)
    draw_contact_sheet(
        [Tile([render_view(source, view, size)], [Text(name)]) for name, view in views_by_name],
        path,
        f"Camera views at {size} pixels, shown in a card's proportion",
        columns=_COLUMNS,
    )
