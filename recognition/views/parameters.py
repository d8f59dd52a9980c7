"""What is drawn at random about a camera view: plain numbers, before any pixel is touched.

A view is a pure function of a scan and a :class:`ViewParameters`. The numbers know neither the
scan nor the size of the view nor the machine, so that OpenCV on a processor
(``recognition.views.camera_opencv``) and torch on a GPU (``training.data.gpu_views``) render the
same view.

Lengths are shares of the view's side or of the card's, angles are radians. An effect whose
strength is 0 is not there.
"""

# Over 400 lines: the draws of all effects share one stream of random numbers, in this order.

from __future__ import annotations

import functools
import hashlib
import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]

#: A trading card in millimetres.
CARD_WIDTH, CARD_HEIGHT = 63.0, 88.0
#: Values in the bank that every view's noise is a stretch of.
NOISE_BANK = 2**20
#: Foil cards and sleeved cards are common, and neither is the rule. At this share each the
#: network meets them in every batch, and about seven views in ten still show a bare, dull card.
HOLO_SHARE, SLEEVE_SHARE = 0.15, 0.15
#: How the card came into the view: as a hand holds it before the camera, or cut out by a card
#: finder, which leaves a small error at each corner. ``mixed`` draws lots.
Framing = Literal["framed", "rectified", "mixed"]
RECTIFIED_SHARE = 0.5
#: What a card finder leaves: the deviation of a corner's place, and the most, in shares of the
#: side. One of 256 px is off by 2.6 px.
_CORNER_ERROR, _LARGEST_CORNER_ERROR = 0.01, 0.03
#: The largest table texture that is drawn, in cells.
LARGEST_TABLE = 64

_SKIN = (232.0, 184.0, 154.0)


class Pose(NamedTuple):
    """How the card lies before the camera.

    ``roll``, ``pitch`` and ``yaw`` turn it; ``fill`` is the share of the view that it fills;
    ``distance`` is the camera's in card heights; ``right`` and ``down`` move it.

    Of a card that was found and rectified ``corners`` says where its four corners came to lie, in
    shares of the view's side: x and y of the upper left one, then clockwise. The rest of the pose
    has no effect there.
    """

    roll: float
    pitch: float
    yaw: float
    fill: float
    distance: float
    right: float
    down: float
    corners: tuple[float, ...] = ()


class Finger(NamedTuple):
    """A finger that holds the card at one of four edges and covers a little of it."""

    half_width: float
    along: float
    reach: float
    lean: float
    edge: int
    red: float
    green: float
    blue: float


class Motion(NamedTuple):
    """The way that the camera moved during the exposure: a length and an angle."""

    length: float
    angle: float


class Light(NamedTuple):
    """Exposure, and light that grows from one side of the view to the other."""

    exposure: float
    slope: float
    angle: float


class Shadow(NamedTuple):
    """A shadow beyond a line: its depth, the line's direction and place, and its steepness."""

    depth: float
    angle: float
    place: float
    steepness: float


class Colour(NamedTuple):
    """Saturation, and the white balance as logarithms of the gains."""

    saturation: float
    warmth: float
    tint: float


class Glare(NamedTuple):
    """A lamp's reflection, a bright oblong spot; strength in grey levels, places in -1 to 1."""

    strength: float
    angle: float
    x: float
    y: float
    length: float
    width: float


class Holo(NamedTuple):
    """The rainbow on a foil card.

    Foil is a diffraction grating: across its grooves the reflected wavelength, and so the hue,
    runs through the spectrum and begins again with each order (J. Stam, "Diffraction Shaders",
    SIGGRAPH 1999). It shines where a lamp is mirrored, which is a soft band here, and only where
    there is foil: on the whole card, in the picture (a "holo") or around it (a "reverse holo").

    ``angle`` is the direction across the grooves, ``orders`` how often the spectrum runs through
    over half a card, ``bend`` how much the bands curve; ``band`` and ``band_width`` place the
    lamp's band, in -1 to 1. ``left`` to ``bottom`` are the foil's rectangle in shares of the
    card; with ``around`` the foil is outside of it.
    """

    strength: float
    angle: float
    orders: float
    phase: float
    bend: float
    band: float
    band_width: float
    left: float
    top: float
    right: float
    bottom: float
    around: bool


class Sleeve(NamedTuple):
    """A clear plastic sleeve, a few millimetres larger than the card.

    ``haze`` is the veil over everything, ``rim`` what the doubled plastic beside the card adds,
    ``edge`` the bright welded line at its border: shares of the way to white, and all 0 where
    there is no sleeve. ``edge_width`` and the margins are millimetres. ``streak`` is a soft
    reflection across it; its place and width are in -1 to 1 over the card.
    """

    haze: float
    rim: float
    edge: float
    edge_width: float
    side: float
    top: float
    bottom: float
    streak: float
    streak_angle: float
    streak_place: float
    streak_width: float


class Noise(NamedTuple):
    """The sensor's noise: a deviation in grey levels, and where in the bank it begins."""

    deviation: float
    start: int


NO_FINGER = Finger(0.0, 0.5, 0.0, 0.0, 0, 0.0, 0.0, 0.0)
NO_MOTION = Motion(0.0, 0.0)
NO_SHADOW = Shadow(0.0, 0.0, 0.0, 1.0)
NO_GLARE = Glare(0.0, 0.0, 0.0, 0.0, 1.0, 1.0)
NO_HOLO = Holo(0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, False)
NO_SLEEVE = Sleeve(0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True)
class ViewParameters:
    """Everything that is random about one view.

    Attributes:
        pose: Where the card is.
        table: uint8 (h, w, 3), at most 64 cells a side; scaled up, it is what the card lies on.
        finger: Over the card's edge.
        blur: Deviation of the defocus in shares of the view's side.
        motion: Length in shares of the view's side. A view is out of focus or moved, not both.
        light: Over the whole view.
        shadow: Over a part of the view.
        colour: Of the sensor.
        haze: Grey levels of stray light.
        glare: On the card.
        noise: Added last.
        quality: Of the camera's JPEG, 1 to 100, or None for no JPEG.
        holo: On the card.
        sleeve: Around the card.
    """

    pose: Pose
    table: Pixels
    finger: Finger
    blur: float
    motion: Motion
    light: Light
    shadow: Shadow
    colour: Colour
    haze: float
    glare: Glare
    noise: Noise
    quality: int | None
    holo: Holo
    sleeve: Sleeve


def plain_view() -> ViewParameters:
    """A view without any effect: the card from straight above, and nothing of the table."""
    return ViewParameters(
        pose=Pose(0.0, 0.0, 0.0, 1.0, 1e6, 0.0, 0.0),
        table=np.full((1, 1, 3), 128, dtype=np.uint8),
        finger=NO_FINGER,
        blur=0.0,
        motion=NO_MOTION,
        light=Light(1.0, 0.0, 0.0),
        shadow=NO_SHADOW,
        colour=Colour(1.0, 0.0, 0.0),
        haze=0.0,
        glare=NO_GLARE,
        noise=Noise(0.0, 0),
        quality=None,
        holo=NO_HOLO,
        sleeve=NO_SLEEVE,
    )


def view_generator(seed: int, stream: str, card: str, number: int) -> np.random.Generator:
    """The random generator of one view, seeded by the SHA-256 of what names the view."""
    digest = hashlib.sha256(f"view|{seed}|{stream}|{number}|{card}".encode()).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest[:16], "big")))


def draw_view(rng: np.random.Generator, framing: Framing = "mixed") -> ViewParameters:
    """Draws a view's parameters; the same state of the generator gives the same ones.

    Args:
        rng: Source of every random choice.
        framing: How the card comes into the view; everything else is drawn alike.
    """
    table = _table(rng)
    pose = _pose(rng)
    finger = _finger(rng) if rng.random() < 0.2 else NO_FINGER
    # Out of focus, moved, or (most often) neither.
    kind, blur, motion = rng.random(), 0.0, NO_MOTION
    if kind < 0.35:
        blur = rng.uniform(0.003, 0.011)
    elif kind < 0.55:
        motion = Motion(rng.uniform(0.015, 0.045), rng.uniform(0, math.pi))
    slope, angle = rng.uniform(0, 0.3), rng.uniform(0, 2 * math.pi)
    shadow = _shadow(rng) if rng.random() < 0.3 else NO_SHADOW
    light = Light(math.exp(rng.normal(-0.06, 0.16)), slope, angle)
    colour = Colour(rng.uniform(0.65, 1.25), _bell(rng, 0.07, 0.2), _bell(rng, 0.035, 0.1))
    haze = rng.uniform(0, 22) if rng.random() < 0.4 else 0.0
    glare = _glare(rng) if rng.random() < 0.35 else NO_GLARE
    start = int(rng.integers(0, NOISE_BANK))
    noise = Noise(rng.uniform(0.5, 7.0), start)
    quality = int(rng.integers(40, 96))
    holo = _holo(rng) if rng.random() < HOLO_SHARE else NO_HOLO
    sleeve = _sleeve(rng) if rng.random() < SLEEVE_SHARE else NO_SLEEVE
    found = rng.random() < RECTIFIED_SHARE if framing == "mixed" else framing == "rectified"
    pose = _rectified_pose(rng) if found else pose
    return ViewParameters(
        pose,
        table,
        finger,
        blur,
        motion,
        light,
        shadow,
        colour,
        haze,
        glare,
        noise,
        quality,
        holo,
        sleeve,
    )


@functools.cache
def noise_bank() -> Floats:
    """float32 (NOISE_BANK,) standard normal values; view ``i``'s noise is a stretch of them,
    beginning again at the bank's end, as drawing it would take longer than everything else."""
    return np.random.default_rng(20240229).standard_normal(NOISE_BANK, dtype=np.float32)


def _bell(rng: np.random.Generator, deviation: float, limit: float) -> float:
    """A normal number around 0, held within the limits (as plain floats, which are faster)."""
    return max(-limit, min(limit, deviation * float(rng.standard_normal())))


def _pose(rng: np.random.Generator) -> Pose:
    roll = math.radians(_bell(rng, 5.0, 15.0))
    pitch, yaw = math.radians(_bell(rng, 10.0, 24.0)), math.radians(_bell(rng, 10.0, 24.0))
    fill, distance = rng.uniform(0.80, 1.04), rng.uniform(2.2, 4.5)
    return Pose(roll, pitch, yaw, fill, distance, _bell(rng, 0.025, 0.06), _bell(rng, 0.025, 0.06))


def _rectified_pose(rng: np.random.Generator) -> Pose:
    """A tight crop: the finder's rectangle is a little too large or too small as a whole, and a
    little off at each corner."""
    fill = rng.uniform(0.96, 1.02)
    low, high = 0.5 - fill / 2, 0.5 + fill / 2
    corners = tuple(
        place + _bell(rng, _CORNER_ERROR, _LARGEST_CORNER_ERROR)
        for place in (low, low, high, low, high, high, low, high)
    )
    return Pose(0.0, 0.0, 0.0, fill, 1e6, 0.0, 0.0, corners)


def _table(rng: np.random.Generator) -> Pixels:
    """What the card lies on: plain, blotchy or streaked (cloth, wood), any colour."""
    base = rng.uniform(15, 235) + 22.0 * rng.standard_normal(3)
    kind = rng.random()
    if kind < 0.25:
        slope = _SLOPE * rng.uniform(-30, 30)
        coarse = base + slope + np.zeros((4, 4, 1))
    else:
        if kind < 0.65:
            shape = (int(rng.integers(4, 24)),) * 2
        elif kind < 0.82:
            shape = (int(rng.integers(16, LARGEST_TABLE)), 3)
        else:
            shape = (3, int(rng.integers(16, LARGEST_TABLE)))
        texture = rng.uniform(4, 36) * rng.standard_normal((*shape, 1))
        coarse = base + texture * rng.uniform(0.7, 1, 3)
    return np.maximum(np.minimum(coarse, 255), 0).astype(np.uint8)


_SLOPE = np.linspace(-1.0, 1.0, 8)[:4, None, None]


def _finger(rng: np.random.Generator) -> Finger:
    along, reach = rng.uniform(0.15, 0.85), rng.uniform(0.04, 0.14)
    half_width, shade = rng.uniform(0.05, 0.085), rng.uniform(0.35, 1.0)
    red, green, blue = (
        max(0.0, min(255.0, channel * shade + change))
        for channel, change in zip(_SKIN, rng.normal(0, 6, 3).tolist(), strict=True)
    )
    edge, lean = int(rng.integers(4)), rng.uniform(-0.25, 0.25)
    return Finger(half_width, along, reach, lean, edge, red, green, blue)


def _shadow(rng: np.random.Generator) -> Shadow:
    angle, place = rng.uniform(0, 2 * math.pi), rng.uniform(-0.9, 0.9)
    return Shadow(rng.uniform(0.15, 0.5), angle, place, rng.uniform(4, 14))


def _glare(rng: np.random.Generator) -> Glare:
    angle, x, y = rng.uniform(0, math.pi), rng.uniform(-0.9, 0.9), rng.uniform(-0.9, 0.9)
    length, width = rng.uniform(0.25, 1.2), rng.uniform(0.12, 0.35)
    return Glare(rng.uniform(40, 190), angle, x, y, length, width)


def _holo(rng: np.random.Generator) -> Holo:
    kind = rng.random()
    if kind < 0.35:
        left, top, right, bottom = 0.0, 0.0, 1.0, 1.0
    else:  # the picture's window, which differs from one edition to another
        left, top = rng.uniform(0.06, 0.11), rng.uniform(0.09, 0.14)
        right, bottom = 1.0 - left, rng.uniform(0.46, 0.56)
    return Holo(
        strength=rng.uniform(0.15, 0.5),
        angle=rng.uniform(0, math.pi),
        orders=rng.uniform(0.4, 1.4),
        phase=rng.random(),
        bend=rng.uniform(-0.3, 0.3),
        band=rng.uniform(-0.7, 0.7),
        band_width=rng.uniform(0.3, 1.1),
        left=left,
        top=top,
        right=right,
        bottom=bottom,
        around=kind > 0.75,
    )


def _sleeve(rng: np.random.Generator) -> Sleeve:
    """Penny sleeves are 66 to 67 mm wide and stand over a card's top by up to 4 mm."""
    return Sleeve(
        haze=rng.uniform(0.02, 0.12),
        rim=rng.uniform(0.06, 0.2),
        edge=rng.uniform(0.2, 0.7),
        edge_width=rng.uniform(0.3, 0.8),
        side=rng.uniform(0.8, 2.0),
        top=rng.uniform(0.8, 4.0),
        bottom=rng.uniform(0.5, 1.5),
        streak=rng.uniform(0.05, 0.35),
        streak_angle=rng.uniform(0, math.pi),
        streak_place=rng.uniform(-0.8, 0.8),
        streak_width=rng.uniform(0.06, 0.3),
    )
