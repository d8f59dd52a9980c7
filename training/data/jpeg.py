"""JPEG's loss, in batches: what a camera's compression does to a picture, without the file.

Source: ITU-T T.81 (the example tables of annex K) and libjpeg's scaling of them by quality; chroma
at half the resolution, and the decoder's triangle filter ("fancy upsampling") on the way back, as
libjpeg-turbo has both by default.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

_LUMA = (
    *(16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMA = (
    *(17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99),
    *(24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 32),
)
_TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
_TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))
_BLOCK = 8
_HALF = 0.501


def jpeg(pixels: Tensor, qualities: Sequence[int]) -> Tensor:
    """Compresses and opens again.

    Args:
        pixels: (B, 3, h, w) RGB in whole grey levels, 0 to 255.
        qualities: libjpeg's quality of each picture, 1 to 100.

    Returns:
        (B, 3, h, w), whole grey levels.
    """
    high, wide = pixels.shape[-2:]
    # Whole blocks of the halved chroma. On the right libjpeg repeats the picture's last column;
    # at the bottom, the last row of each plane, which for chroma is the mean of two.
    whole = functional.pad(pixels, (0, -wide % (2 * _BLOCK), 0, high % 2), mode="replicate")
    ycc = _mixed(whole, _TO_YCC).round()
    luma, chroma = ycc[:, :1] - 128, functional.avg_pool2d(ycc[:, 1:], 2)
    # Means of four end in quarters; libjpeg rounds halves down and up by turns.
    turns = torch.arange(chroma.shape[3], device=pixels.device) % 2
    chroma = (chroma + 0.25 * (1 + turns)).floor()
    luma = functional.pad(luma, (0, 0, 0, -luma.shape[2] % (2 * _BLOCK)), mode="replicate")
    chroma = functional.pad(chroma, (0, 0, 0, -chroma.shape[2] % _BLOCK), mode="replicate")
    luma = _through(luma, _table(_LUMA, qualities, pixels))
    chroma = _through(chroma, _table(_CHROMA, qualities, pixels))
    rgb = _mixed(torch.cat([luma + 128, _doubled(chroma).round()], dim=1), _TO_RGB)
    return rgb[..., :high, :wide].round().clamp(0, 255)


def _mixed(planes: Tensor, rows: Sequence[Sequence[float]]) -> Tensor:
    """Three planes (B, 3, h, w) as sums of three; exact where a GPU's matrix product is not."""
    one, two, three = planes.unbind(1)
    return torch.stack([a * one + b * two + c * three for a, b, c in rows], dim=1)


def _table(base: Sequence[int], qualities: Sequence[int], like: Tensor) -> Tensor:
    """(B, 1, 1, 1, 8, 8): each picture's steps, by libjpeg's rule (jpeg_quality_scaling)."""
    quality = np.asarray(qualities)
    scale = np.where(quality < 50, 5000 // np.maximum(quality, 1), 200 - 2 * quality)
    steps = (np.asarray(base)[None, :] * scale[:, None] + 50) // 100
    steps = np.clip(steps, 1, 255).astype(np.float32).reshape(-1, 1, 1, 1, _BLOCK, _BLOCK)
    return torch.from_numpy(steps).to(like.device)


def _through(plane: Tensor, steps: Tensor) -> Tensor:
    """A plane's blocks transformed, rounded to the steps, and transformed back."""
    count, channels, high, wide = plane.shape
    blocks = plane.reshape(count, channels, high // _BLOCK, _BLOCK, wide // _BLOCK, _BLOCK)
    cosines = _cosines().to(plane.device)
    blocks = cosines @ blocks.transpose(3, 4) @ cosines.T
    # Just halfway goes up, as in libjpeg, also where the sums' last bits, which differ from one
    # batch to another, say that it is just below.
    blocks = blocks.sign() * (blocks.abs() / steps + _HALF).floor() * steps
    blocks = cosines.T @ blocks @ cosines
    return blocks.transpose(3, 4).reshape(count, channels, high, wide).round().clamp(-128, 127)


@functools.cache
def _cosines() -> Tensor:
    """The 8 × 8 discrete cosine transform, orthonormal."""
    k, n = np.arange(_BLOCK)[:, None], np.arange(_BLOCK)[None, :]
    rows = np.cos(math.pi * (2 * n + 1) * k / (2 * _BLOCK)) * math.sqrt(2 / _BLOCK)
    rows[0] /= math.sqrt(2)
    return torch.from_numpy(rows.astype(np.float32))


def _doubled(plane: Tensor) -> Tensor:
    """Twice the size: three quarters of the nearer sample and one of the farther."""
    return functional.interpolate(plane, scale_factor=2.0, mode="bilinear", align_corners=False)
