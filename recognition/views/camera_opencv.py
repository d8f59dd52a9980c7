"""Rendering one camera view with OpenCV: the scan and the view's parameters give the pixels.

Views are drawn at one and a half times their size and then averaged down, so that fine print
turns into grey and not into aliasing. Hand-written OpenCV, because rendering is what a training
job on CPUs waits for.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from recognition.views.effects import (
    Doubles,
    Floats,
    added_light,
    colour_matrices,
    finger_strokes,
    foil_area,
    holo_sheen,
    homographies,
    light_fields,
    motion_kernels,
    sleeve_grid,
    sleeve_map,
    sleeve_veils,
)
from recognition.views.parameters import (
    NOISE_BANK,
    Finger,
    Holo,
    Noise,
    Pixels,
    Sleeve,
    ViewParameters,
    noise_bank,
)
from recognition.views.scales import RENDER_SCALE, canvas_side

#: How much larger than the canvas a scan is warped as it is.
LARGEST_WARP = 1.25


def render_view(scan: Pixels, parameters: ViewParameters, size: int) -> Pixels:
    """Renders one camera view of a scan.

    Args:
        scan: uint8 RGB (h, w, 3), preferably twice as large as the view.
        parameters: What the view is like.
        size: Side of the square view in pixels.

    Returns:
        uint8 RGB, shape (size, size, 3).
    """
    side = canvas_side(size)
    source = fit_source(scan, side)
    height, width = source.shape[:2]
    pose = homographies([parameters.pose], width, height, side)[0]
    if parameters.holo.strength:
        source = _holo(source, parameters.holo)
    table = cv2.resize(parameters.table, (side, side), interpolation=cv2.INTER_LINEAR)
    canvas: Pixels = np.asarray(table, dtype=np.uint8)
    cv2.warpPerspective(
        source,
        pose,
        (side, side),
        dst=canvas,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_TRANSPARENT,
    )
    if parameters.sleeve.haze:
        canvas = _sleeve(canvas, parameters.sleeve, pose, source.shape)
    if parameters.finger.half_width:
        _finger(canvas, parameters.finger)
    # At two thirds, bilinear takes in every pixel, and is four times as fast as the area method.
    seen = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_LINEAR)
    view = _blur(np.asarray(seen, dtype=np.uint8), parameters, size)
    view = _light(view, parameters, size)
    return view if parameters.quality is None else _jpeg(view, parameters.quality)


def shrinks(width: int, height: int, side: int) -> bool:
    """Whether a scan is so much larger than the canvas that the warp would skip pixels."""
    return max(width, height) > LARGEST_WARP * side


def fit_source(scan: Pixels, side: int) -> Pixels:
    """The scan, shrunk to the canvas where it is much larger."""
    height, width = scan.shape[:2]
    if not shrinks(width, height, side):
        return scan
    shape = (min(width, side), min(height, side))
    # Up to one and a half times, bilinear takes in every pixel. From a scan of twice the view's
    # side that is four times as fast as by area, and moves the view by a third of a grey level.
    near = max(width, height) <= RENDER_SCALE * side
    method = cv2.INTER_LINEAR if near else cv2.INTER_AREA
    return np.asarray(cv2.resize(scan, shape, interpolation=method), dtype=np.uint8)


def _screen(under: Pixels, veil: Pixels) -> Pixels:
    """Takes pixels (h, w, 3) the veil's share of the way to white; both uint8."""
    dark = cv2.multiply(cv2.bitwise_not(under), cv2.bitwise_not(veil), scale=1 / 255)
    return np.asarray(cv2.bitwise_not(dark), dtype=np.uint8)


def _holo(source: Pixels, holo: Holo) -> Pixels:
    height, width = source.shape[:2]
    sheen = cv2.resize(holo_sheen([holo])[0], (width, height), interpolation=cv2.INTER_CUBIC)
    red, green, blue, lost = cv2.split(cv2.bitwise_not(sheen))
    kept = cv2.multiply(source, cv2.merge([lost, lost, lost]), scale=1 / 255)
    shining = cv2.add(kept, cv2.bitwise_not(cv2.merge([red, green, blue])))
    area = foil_area(holo, width, height)
    if holo.around:
        shining[area] = source[area]
        return np.asarray(shining, dtype=np.uint8)
    partly = source.copy()
    partly[area] = shining[area]
    return partly


def _sleeve(canvas: Pixels, sleeve: Sleeve, pose: Doubles, scan_shape: tuple[int, ...]) -> Pixels:
    side = len(canvas)
    grid = sleeve_grid(side)
    place = pose @ sleeve_map(scan_shape[1], scan_shape[0], grid)
    veil = cv2.warpPerspective(sleeve_veils([sleeve], grid)[0], place, (side, side))
    return _screen(canvas, np.asarray(cv2.merge([veil, veil, veil]), dtype=np.uint8))


def _finger(canvas: Pixels, finger: Finger) -> None:
    for x, y, tip_x, tip_y, thickness, *colour in finger_strokes([finger], len(canvas))[0]:
        ends = (int(x), int(y)), (int(tip_x), int(tip_y))
        cv2.line(canvas, *ends, [float(c) for c in colour], int(thickness), cv2.LINE_AA)


def _blur(view: Pixels, parameters: ViewParameters, size: int) -> Pixels:
    if parameters.blur:
        return np.asarray(cv2.GaussianBlur(view, (0, 0), parameters.blur * size), dtype=np.uint8)
    if parameters.motion.length:
        kernels, _ = motion_kernels([parameters.motion], size)
        return np.asarray(cv2.filter2D(view, -1, kernels[0]), dtype=np.uint8)
    return view


def _light(view: Pixels, parameters: ViewParameters, size: int) -> Pixels:
    """White balance, exposure, uneven light, a shadow's edge, haze, glare and sensor noise."""
    matrix = colour_matrices([parameters.colour])[0]
    pixels: Floats = np.asarray(cv2.transform(view.astype(np.float32), matrix), dtype=np.float32)
    pixels *= _over_view(light_fields([parameters.light], [parameters.shadow])[0], size)
    if parameters.glare.strength:
        pixels += _over_view(added_light([parameters.haze], [parameters.glare])[0], size)
    elif parameters.haze:
        pixels += np.float32(parameters.haze)
    deviation = parameters.noise.deviation
    noise = _noise(parameters.noise, pixels.shape) if deviation else pixels
    # Adds the noise, rounds, and holds the result within 0-255, in one pass.
    noisy = cv2.addWeighted(pixels, 1.0, noise, deviation, 0.0, dtype=cv2.CV_8U)
    return np.asarray(noisy, dtype=np.uint8)


def _over_view(coarse: Floats, size: int) -> Floats:
    """Scales a coarse grid (g, g) up to (size, size, 3), the same in each channel."""
    wide = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.merge([wide, wide, wide]), dtype=np.float32)


def _noise(noise: Noise, shape: tuple[int, ...]) -> Floats:
    """Standard normal values: a stretch of the bank."""
    bank, end = noise_bank(), noise.start + math.prod(shape)
    stretch = bank[noise.start : end]
    if end > NOISE_BANK:
        stretch = np.concatenate([stretch, np.resize(bank, end - NOISE_BANK)])
    return stretch.reshape(shape)


def _jpeg(view: Pixels, quality: int) -> Pixels:
    """The camera's compression, its chroma taken from the right channels."""
    _, encoded = cv2.imencode(
        ".jpg", cv2.cvtColor(view, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB), dtype=np.uint8)
