"""Camera views in batches, by torch: what ``recognition.views.camera_opencv`` renders one by one.

A GPU's training job would wait for its processors: they draw some 350 views of 224 px a second and
core, and a GPU trains on thousands. What is random about a view is drawn on the host in either case
(``recognition.views.parameters``), so the two renderers show the same view, to about a grey level.
Evaluation is always rendered by OpenCV: its views have to come out the same on every machine.

torch's own operators are all that it takes. Batched augmentation libraries draw parameters of their
own, and know neither sleeves nor foil.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from recognition.views.camera_opencv import shrinks
from recognition.views.effects import (
    added_light,
    colour_matrices,
    finger_strokes,
    foil_area,
    gaussian_radius,
    holo_sheen,
    homographies,
    light_fields,
    motion_kernels,
    sleeve_grid,
    sleeve_map,
    sleeve_veils,
)
from recognition.views.parameters import LARGEST_TABLE, NOISE_BANK, ViewParameters, noise_bank
from recognition.views.scales import RENDER_SCALE, canvas_side
from training.data.jpeg import jpeg

#: Views that are rendered at a time; bounds the memory (about 5 MB a view of 224 px).
_GROUP = 128


@torch.no_grad()
def render_views(scans: Tensor, parameters: Sequence[ViewParameters], size: int) -> Tensor:
    """Renders one camera view of each scan.

    Args:
        scans: uint8 (B, s, s, 3), preferably twice as large as the views.
        parameters: What each view is like.
        size: Side of the square views in pixels.

    Returns:
        uint8 (B, size, size, 3) on the scans' device.

    Raises:
        ValueError: The scans are no uint8 RGB images, or differ in number from the parameters.
    """
    if scans.dtype != torch.uint8 or scans.dim() != 4 or scans.shape[3] != 3:
        raise ValueError(
            f"scans are {scans.dtype} {tuple(scans.shape)}: give uint8 RGB images (B, h, w, 3)"
        )
    if len(scans) != len(parameters):
        raise ValueError(f"{len(scans)} scans but parameters of {len(parameters)} views")
    # Half precision has the digits neither for pixel coordinates nor for JPEG's rounding.
    with torch.autocast(scans.device.type, enabled=False):
        groups = [
            _render(scans[start : start + _GROUP], parameters[start : start + _GROUP], size)
            for start in range(0, len(scans), _GROUP)
        ]
    return torch.cat(groups) if groups else scans.new_empty((0, size, size, 3))


def shrink(scans: Tensor, size: int) -> Tensor:
    """Clean scans, uint8 (B, s, s, 3), averaged down to (B, size, size, 3)."""
    pixels = scans.permute(0, 3, 1, 2).float()
    small = functional.interpolate(pixels, (size, size), mode="area")
    # Halves upward, as OpenCV's area method has it.
    return (small + 0.5).floor().to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def _render(scans: Tensor, parameters: Sequence[ViewParameters], size: int) -> Tensor:
    side = canvas_side(size)
    source = _fitted(scans.permute(0, 3, 1, 2).float(), side)
    _holo(source, parameters)
    high, wide = source.shape[-2:]
    poses = homographies([view.pose for view in parameters], wide, high, side)
    canvas = _tables([view.table for view in parameters], side, scans.device)
    seen = _warp(source, poses, side)
    # At the border a pixel is the card's in part, and the table's for the rest.
    covered = _warp(torch.ones_like(source[:, :1]), poses, side)
    canvas = _rounded(seen + (1 - covered) * canvas)
    _sleeves(canvas, parameters, poses, (wide, high))
    _fingers(canvas, parameters)
    views = _rounded(_resized(canvas, size, "bilinear"))
    _blur(views, parameters, size)
    views = _light(views, parameters, size)
    _some(views, [view.quality is not None for view in parameters], lambda some, which: jpeg(
        some, [parameters[i].quality or 0 for i in which]
    ))  # fmt: skip
    return _bytes(views).permute(0, 2, 3, 1).contiguous()


def _bytes(pixels: Tensor) -> Tensor:
    return pixels.round().clamp(0, 255).to(torch.uint8)


def _rounded(pixels: Tensor) -> Tensor:
    """To whole grey levels, as OpenCV keeps them between its steps."""
    return pixels.round().clamp(0, 255)


def _resized(pixels: Tensor, size: int, mode: str) -> Tensor:
    corners = None if mode == "area" else False
    return functional.interpolate(pixels, (size, size), mode=mode, align_corners=corners)


def _fitted(source: Tensor, side: int) -> Tensor:
    """Scans much larger than the canvas, shrunk to it, as ``camera_opencv.fit_source`` does."""
    high, wide = source.shape[-2:]
    if not shrinks(wide, high, side):
        return source.clone()
    near = max(wide, high) <= RENDER_SCALE * side
    return _rounded(_resized(source, side, "bilinear" if near else "area"))


def _on(values: np.ndarray, like: Tensor) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values)).to(like.device, non_blocking=True)


def _some(
    pixels: Tensor, chosen: Sequence[bool], change: Callable[[Tensor, list[int]], Tensor]
) -> None:
    """Changes some views of a batch, in place."""
    which = [place for place, wanted in enumerate(chosen) if wanted]
    if which:
        places = torch.tensor(which, device=pixels.device)
        pixels[places] = change(pixels[places], which)


def _screen(under: Tensor, veil: Tensor) -> Tensor:
    """Takes pixels the veil's share (of 255) of the way to white."""
    return _rounded(255 - (255 - under) * (255 - veil) / 255)


def _warp(source: Tensor, maps: np.ndarray, side: int) -> Tensor:
    """Pixels (B, C, side, side) of sources (B, C, h, w) under maps (B, 3, 3) from source to
    canvas; zeros beyond the source."""
    high, wide = source.shape[-2:]
    back = _on(np.linalg.inv(maps).astype(np.float32).transpose(1, 2, 0), source)
    right = torch.arange(side, device=source.device, dtype=torch.float32)
    down = right[:, None]
    # No matrix product: some GPUs round its factors to 10 bits (TF32), a third of a pixel here,
    # and its sums' order changes with the batch.
    x, y, depth = (a * right + b * down + c for a, b, c in back[..., None, None])
    grid = torch.stack([(2 * x / depth + 1) / wide - 1, (2 * y / depth + 1) / high - 1], dim=-1)
    return functional.grid_sample(source, grid, align_corners=False)


def _tables(tables: Sequence[np.ndarray], side: int, device: torch.device) -> Tensor:
    """(B, 3, side, side): each table scaled up. All are sampled from one padded batch."""
    padded = np.zeros((len(tables), LARGEST_TABLE, LARGEST_TABLE, 3), np.float32)
    shapes = np.empty((len(tables), 2), np.float32)
    for place, table in enumerate(tables):
        high, wide = table.shape[:2]
        padded[place, :high, :wide] = table
        shapes[place] = high, wide
    cells = torch.from_numpy(padded).to(device, non_blocking=True).permute(0, 3, 1, 2)
    sizes = torch.from_numpy(shapes).to(device, non_blocking=True)
    line = (torch.arange(side, device=device, dtype=torch.float32) + 0.5) / side
    # Never beyond the last cell's centre: what lies there is padding.
    place_of = (line * sizes[..., None] - 0.5).clamp_min(0).minimum(sizes[..., None] - 1)
    spots = (2 * place_of + 1) / LARGEST_TABLE - 1
    down = spots[:, 0, :, None].expand(-1, -1, side)
    right = spots[:, 1, None, :].expand(-1, side, -1)
    grid = torch.stack([right, down], dim=-1)
    return functional.grid_sample(cells, grid, padding_mode="border", align_corners=False)


def _holo(source: Tensor, parameters: Sequence[ViewParameters]) -> None:
    high, wide = source.shape[-2:]

    def shine(some: Tensor, which: list[int]) -> Tensor:
        holos = [parameters[i].holo for i in which]
        sheen = _on(holo_sheen(holos), some).permute(0, 3, 1, 2).float()
        sheen = functional.interpolate(sheen, (high, wide), mode="bicubic", align_corners=False)
        sheen = _rounded(sheen)
        shining = _rounded(some * (255 - sheen[:, 3:]) / 255) + sheen[:, :3]
        foil = torch.zeros(len(holos), 1, high, wide, dtype=torch.bool)
        for place, holo in enumerate(holos):
            rows, columns = foil_area(holo, wide, high)
            foil[place, :, rows, columns] = True
            if holo.around:
                foil[place] = ~foil[place]
        return torch.where(foil.to(some.device), shining.clamp(max=255), some)

    _some(source, [view.holo.strength > 0 for view in parameters], shine)


def _sleeves(
    canvas: Tensor, parameters: Sequence[ViewParameters], poses: np.ndarray, scan: tuple[int, int]
) -> None:
    side = canvas.shape[-1]
    grid = sleeve_grid(side)

    def cover(some: Tensor, which: list[int]) -> Tensor:
        veils = _on(sleeve_veils([parameters[i].sleeve for i in which], grid), some)
        places = poses[which] @ sleeve_map(*scan, grid)
        return _screen(some, _rounded(_warp(veils[:, None].float(), places, side)))

    _some(canvas, [view.sleeve.haze > 0 for view in parameters], cover)


def _fingers(canvas: Tensor, parameters: Sequence[ViewParameters]) -> None:
    side = canvas.shape[-1]

    def hold(some: Tensor, which: list[int]) -> Tensor:
        strokes = finger_strokes([parameters[i].finger for i in which], side)
        lines = _on(strokes.astype(np.float32), some)
        line = torch.arange(side, device=some.device, dtype=torch.float32)
        down, right = line[None, :, None], line[None, None, :]
        for stroke in lines.unbind(1):
            x, y, tip_x, tip_y, thickness = (value[:, None, None] for value in stroke.T[:5])
            along_x, along_y = tip_x - x, tip_y - y
            length = (along_x**2 + along_y**2).clamp_min(1e-6)
            share = ((right - x) * along_x + (down - y) * along_y) / length
            share = share.clamp(0, 1)
            far = torch.hypot(right - x - share * along_x, down - y - share * along_y)
            # The border's pixels are covered in part. OpenCV's thick lines reach this far, as
            # was measured on some of 9 to 19 pixels.
            reach = ((thickness + 1) / 2).floor() + 0.7
            cover = (reach - far + 0.5).clamp(0, 1)[:, None]
            some = some + cover * (stroke[:, 5:, None, None] - some)
        return _rounded(some)

    _some(canvas, [view.finger.half_width > 0 for view in parameters], hold)


def _blur(views: Tensor, parameters: Sequence[ViewParameters], size: int) -> None:
    def defocus(some: Tensor, which: list[int]) -> Tensor:
        deviations = [parameters[i].blur * size for i in which]
        radii = [gaussian_radius(deviation) for deviation in deviations]
        reach = np.arange(-max(radii), max(radii) + 1)
        rows = np.exp(-(reach**2) / (2 * np.array(deviations)[:, None] ** 2))
        # OpenCV's kernel ends where its own radius does.
        rows *= np.abs(reach) <= np.array(radii)[:, None]
        rows = (rows / rows.sum(axis=1, keepdims=True)).astype(np.float32)
        kernels = _on(rows, some)
        once = _convolved(some, kernels[:, None, :])
        return _rounded(_convolved(once, kernels[:, :, None]))

    def move(some: Tensor, which: list[int]) -> Tensor:
        kernels, _ = motion_kernels([parameters[i].motion for i in which], size)
        return _rounded(_convolved(some, _on(kernels, some)))

    _some(views, [view.blur > 0 for view in parameters], defocus)
    moved = [not view.blur and view.motion.length > 0 for view in parameters]
    _some(views, moved, move)


def _convolved(pixels: Tensor, kernels: Tensor) -> Tensor:
    """Each picture (B, C, h, w) with its own kernel (B, kh, kw), mirrored at the border."""
    count, channels, high, wide = pixels.shape
    reach_y, reach_x = kernels.shape[1] // 2, kernels.shape[2] // 2
    padded = functional.pad(pixels, (reach_x, reach_x, reach_y, reach_y), mode="reflect")
    weights = kernels.repeat_interleave(channels, dim=0)[:, None]
    flat = padded.reshape(1, count * channels, *padded.shape[-2:])
    return functional.conv2d(flat, weights, groups=count * channels).view(
        count, channels, high, wide
    )


def _light(views: Tensor, parameters: Sequence[ViewParameters], size: int) -> Tensor:
    matrices = _on(colour_matrices([view.colour for view in parameters]), views)
    red, green, blue = (views[:, channel, None] for channel in range(3))
    by_red, by_green, by_blue = matrices[..., None, None].unbind(2)
    pixels = by_red * red + by_green * green + by_blue * blue
    fields = light_fields([v.light for v in parameters], [v.shadow for v in parameters])
    pixels = pixels * _resized(_on(fields, views)[:, None], size, "bicubic")
    added = added_light([view.haze for view in parameters], [view.glare for view in parameters])
    pixels = pixels + _resized(_on(added, views)[:, None], size, "bicubic")
    deviations = _on(np.array([v.noise.deviation for v in parameters], np.float32), views)
    starts = _on(np.array([view.noise.start for view in parameters]), views)
    bank = _bank(views.device)
    places = starts[:, None] + torch.arange(3 * size * size, device=views.device)
    noise = bank[places % NOISE_BANK].view(-1, size, size, 3).permute(0, 3, 1, 2)
    return _rounded(pixels + deviations[:, None, None, None] * noise)


_BANKS: dict[torch.device, Tensor] = {}


def _bank(device: torch.device) -> Tensor:
    """The bank of noise on a device; put there once."""
    if device not in _BANKS:
        _BANKS[device] = torch.from_numpy(noise_bank()).to(device)
    return _BANKS[device]
