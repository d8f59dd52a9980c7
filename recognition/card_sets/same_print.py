"""Whether two scans show one print: the same picture, the same text, the same colours.

A small picture of a scan says which other scan it may be a second one of, and not whether it is:
two prints of one picture that differ in a line of text are the same small picture. Here two scans
are laid on each other and compared piece by piece:

1. the second is aligned with the first (an affine map by OpenCV's ECC, at a quarter of the size),
   for two scanners never crop alike;
2. every 32 px square with something in it must be found again, within 3 px, with a normalised
   correlation of at least :data:`AGREEMENT`;
3. no thirteenth of the picture may have another colour, once the scanners' overall difference is
   taken away.

Measured with made-up scans of 24 drawn cards and 24 playing cards, two of each card: turned by up
to 0.4 degrees, shifted and scaled by up to 0.6 %, at 60 to 100 % of 736 × 1024 pixels, with other
exposure, gamma, white balance, blur, noise and JPEG quality (70 to 95). All 48 pairs are the same
print (lowest agreement 0.968, colours at most 16 apart); twice as crooked, 45 of 48 are. Of the
drawn cards with one line of text replaced none is (0.62 at best), nor with another symbol of 32 px
(0.89), a stamp (0.92), or hues turned by 16 degrees (colours 20 apart at least). Of the 277 pairs
among 676 playing-card designs that look alike when small, none is.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from recognition.card_sets.scan import Scan, stretch

#: Every square of a second scan of the same print agrees at least so well.
AGREEMENT = 0.93
#: And no part of it differs by more grey levels in any colour channel.
COLOUR = 18.0

_SIDE, _SMALL = 448, 112
_BLOCK, _STEP, _REACH, _EDGE = 32, 16, 3, 8
#: Squares with a standard deviation below so many grey levels hold nothing to compare.
_FLAT = 10.0
#: Below so much, whole pictures that are aligned as well as can be are not one.
_ALIGNED = 0.9
#: The search for the map: steps, and the gain in correlation that is not worth another.
_ECC_STEPS, _ECC_ENOUGH = 60, 1e-5
_PARTS, _BORDER = 13, 4

_Grey = NDArray[np.float32]


@dataclass(frozen=True)
class PrintComparison:
    """How two scans agree where they agree least.

    Attributes:
        agreement: Normalised correlation of the worst square, -1 to 1.
        colour: Largest difference of a part's colour, in grey levels.
    """

    agreement: float
    colour: float

    @property
    def same_print(self) -> bool:
        """Whether both are within what a second scan of one card shows."""
        return self.agreement >= AGREEMENT and self.colour <= COLOUR


def compare_prints(one: Scan, other: Scan) -> PrintComparison:
    """Compares two scans, uint8 RGB squares (h, h, 3) of any side.

    A comparison that has failed stops: the agreement is then that of the first square that failed.
    """
    first, second = _sized(one), _sized(other)
    aligned, agreement = _aligned(first, second)
    if agreement < _ALIGNED:
        return PrintComparison(agreement, 255.0)
    return PrintComparison(_agreement(first, aligned), _colour(first, aligned))


def _sized(scan: Scan) -> Scan:
    return scan if scan.shape[0] == _SIDE else stretch(np.ascontiguousarray(scan), _SIDE)


def _grey(scan: Scan, side: int, blur: float) -> _Grey:
    small = scan if side == _SIDE else stretch(np.ascontiguousarray(scan), side)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(grey, (0, 0), blur), dtype=np.float32)


def _aligned(one: Scan, other: Scan) -> tuple[Scan, float]:
    """The other scan laid on the first, and their correlation after it (-1: not to be done)."""
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _ECC_STEPS, _ECC_ENOUGH)
    try:
        found, small = cv2.findTransformECC(
            _grey(one, _SMALL, 1.5),
            _grey(other, _SMALL, 1.5),
            np.eye(2, 3, dtype=np.float32),
            cv2.MOTION_AFFINE,
            criteria,
            np.full((_SMALL, _SMALL), 255, np.uint8),
            1,
        )
    except cv2.error:  # no contrast to go by, or it runs away
        return other, -1.0
    factor = _SIDE / _SMALL
    offset = (factor - 1) / 2  # the middle of the first small pixel, in large ones
    grow = np.array([[factor, 0, offset], [0, factor, offset], [0, 0, 1]])
    matrix = grow @ np.vstack([small, [0, 0, 1]]) @ np.linalg.inv(grow)
    warped = cv2.warpAffine(
        other,
        matrix[:2],
        (_SIDE, _SIDE),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(warped, dtype=np.uint8), float(found)


def _agreement(one: Scan, other: Scan) -> float:
    first, second = _grey(one, _SIDE, 1.2), _grey(other, _SIDE, 1.2)
    lowest = 1.0
    for top in range(_EDGE, _SIDE - _BLOCK - _EDGE + 1, _STEP):
        for left in range(_EDGE, _SIDE - _BLOCK - _EDGE + 1, _STEP):
            block = first[top : top + _BLOCK, left : left + _BLOCK]
            there = second[top : top + _BLOCK, left : left + _BLOCK]
            if max(float(block.std()), float(there.std())) < _FLAT:
                continue
            window = second[
                top - _REACH : top + _BLOCK + _REACH, left - _REACH : left + _BLOCK + _REACH
            ]
            found = float(cv2.matchTemplate(window, block, cv2.TM_CCOEFF_NORMED).max())
            lowest = min(lowest, found)
            if lowest < AGREEMENT:
                return lowest
    return lowest


def _colour(one: Scan, other: Scan) -> float:
    inside = slice(_BORDER, _SIDE - _BORDER)
    first, second = (
        stretch(np.ascontiguousarray(scan[inside, inside]), _PARTS).astype(np.float64)
        for scan in (one, other)
    )
    difference = first - second
    difference -= np.median(difference, axis=(0, 1))
    return float(np.abs(difference).max())
