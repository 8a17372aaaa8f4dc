"""What else is known of a world's frames, exactly: boxes of objects, flow, silhouettes and poses, as pictures."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from semanticcmc.world.renderer import FRAMES_AT_ONCE, Cameras, FilmRenderer, to_uint8
from semanticcmc.world.timeline import N_IN_BEAT, TWO_SHOT

EXTENT = 1.3  # half the side of an object's box, in its radii: the body's greatest extent
FASTEST = 0.05  # flow that is full red or green, half-widths of the picture a second
KEYPOINT = 0.08  # standard deviation of a keypoint's blob, half-widths of the picture


def tracks(renderer: FilmRenderer, times_s: np.ndarray) -> pd.DataFrame:
    """Boxes of the objects in view, at least half inside the picture: `time_s, shot, object, top, left, height, width`.

    Pixels, clipped to the picture; an `object` is 0 or 1, the same throughout a shot.
    """
    at, size, tables = renderer.cameras(times_s), renderer.config.image_px, []
    for which in range(N_IN_BEAT):
        x, y = ((renderer.position[at.beat, which] - at.centre) / at.width[:, None] + 1).T / 2 * size
        reach = EXTENT * renderer.radius[at.beat, which] / at.width / 2 * size
        corners = np.stack([y - reach, x - reach, y + reach, x + reach], 1)
        top, left, bottom, right = np.clip(np.rint(corners), 0, size).astype(np.int64).T
        box = {"top": top, "left": left, "height": bottom - top, "width": right - left}
        seen = ((at.setup == TWO_SHOT) | (which == 0)) & (box["height"] * box["width"] >= 2 * reach**2)
        tables.append(pd.DataFrame({"time_s": times_s, "shot": at.shot, "object": which} | box)[seen])
    return pd.concat(tables).sort_values(["time_s", "object"], ignore_index=True)


def pictures(renderer: FilmRenderer, times_s: np.ndarray, view: str) -> np.ndarray:
    """Another view at given times (n,), uint8 (n, image_px, image_px, 3).

    ``segmentation``: opacity of the objects, white on black. ``pose``: a blob at each object's middle (red) and at the
    ends of its own axes to the right (green) and down (blue). ``flow``: exact velocity to the right (red) and down
    (green) about mid-grey, of the moment and within the shot.
    """
    draw = {"segmentation": _segmentation, "pose": _pose, "flow": _flow}[view]
    parts = np.array_split(np.asarray(times_s, dtype=np.float64), -(-len(times_s) // FRAMES_AT_ONCE))
    return np.concatenate([to_uint8(draw(renderer, renderer.cameras(part))) for part in parts])


def _segmentation(renderer: FilmRenderer, at: Cameras) -> Tensor:
    size = renderer.config.image_px
    ground = torch.ones(len(at.shot), 1, size, size)
    for _, rows, layer in renderer.objects(at):
        ground[rows] *= 1 - layer[:, 3:]
    return (1 - ground).expand(-1, 3, -1, -1)


def _pose(renderer: FilmRenderer, at: Cameras) -> Tensor:
    size = renderer.config.image_px
    axis = (torch.arange(size) + 0.5) / size * 2 - 1
    maps = torch.zeros(len(at.shot), 3, size, size)
    for which in range(N_IN_BEAT):
        turn = renderer.tilt[at.beat, which] + at.sway
        reach = (renderer.radius[at.beat, which] / at.width)[:, None]
        middle = (renderer.position[at.beat, which] - at.centre) / at.width[:, None]
        right = np.stack([np.cos(turn), np.sin(turn)], 1)
        down = np.stack([-np.sin(turn), np.cos(turn)], 1)
        points = torch.tensor(np.stack([middle, middle + reach * right, middle + reach * down], 1)).float()
        x, y = (torch.exp(-((axis - points[:, :, i, None]) ** 2) / (2 * KEYPOINT**2)) for i in (0, 1))
        seen = torch.tensor((at.setup == TWO_SHOT) | (which == 0))[:, None, None, None]
        maps = torch.maximum(maps, y[:, :, :, None] * x[:, :, None, :] * seen)
    return maps


def velocities(renderer: FilmRenderer, at: Cameras, which: int | None, points: Tensor) -> Tensor:
    """Half-widths of the picture a second (n, 2, ...) at its `points` (n, 2, ...), of the place or of an object."""
    shape = (len(at.shot), -1, *[1] * (points.ndim - 2))
    centre, width, speed = (torch.tensor(v).float().view(shape) for v in (at.centre, at.width, at.speed))
    velocity = -speed[:, :2] / width - points * speed[:, 2:3]
    if which is not None:
        position = torch.tensor(renderer.position[at.beat, which]).float().view(shape)
        x, y = ((centre - position) / width + points).unbind(1)
        velocity = velocity + speed[:, 3:] * torch.stack([-y, x], 1)
    return velocity


def _flow(renderer: FilmRenderer, at: Cameras) -> Tensor:
    axis = (torch.arange(renderer.config.image_px) + 0.5) / renderer.config.image_px * 2 - 1
    points = torch.stack(torch.meshgrid(axis, axis, indexing="xy")).expand(len(at.shot), -1, -1, -1)
    flow = velocities(renderer, at, None, points)
    for which, rows, layer in renderer.objects(at):
        own = velocities(renderer, Cameras(*(value[rows] for value in at)), which, points[rows])
        flow[rows] = torch.lerp(flow[rows], own, layer[:, 3:])
    return torch.nn.functional.pad(0.5 + flow / (2 * FASTEST), (0, 0, 0, 0, 0, 1), value=0.5).clamp(0, 1)
