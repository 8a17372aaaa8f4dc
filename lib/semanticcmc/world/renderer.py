"""Frames of films and stimuli: objects in their places before a slowly drifting camera."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import affine_grid, avg_pool2d, grid_sample

from semanticcmc.world import places
from semanticcmc.world.config import WorldConfig
from semanticcmc.world.objects import REACH, Light, class_looks, draw_objects, instances
from semanticcmc.world.timeline import CLOSE_UP, N_IN_BEAT, TWO_SHOT, Timeline, timelines

GREY = 0.5
SIDE, GROUND, RADIUS = (0.48, 0.24, 0.38)  # of objects on the stage: right or left of the middle, below it, their size
FRAMES_AT_ONCE = 128  # fixed, so that a frame does not depend on what is rendered beside it


class Cameras(NamedTuple):
    """What the camera shows at each of n moments: the middle, in the stage's lengths, and half the width."""

    shot: np.ndarray  # (n,), as beat, setup, width, and sway: the turn of the objects, rad
    beat: np.ndarray
    setup: np.ndarray
    centre: np.ndarray  # (n, 2): x, y
    width: np.ndarray
    sway: np.ndarray
    speed: np.ndarray  # (n, 4): change a second of x, y, log width and sway


class FilmRenderer:
    """Renders the frames of one film.

    Lengths are half-widths of the stage that the two-shot shows: x to the right, y down, 0 in the middle. `looks` are
    `objects.class_looks`; `times_s` are the moments that `frames` may be called with, by default any of the film. Only
    their beats are drawn.
    """

    def __init__(
        self, config: WorldConfig, timeline: Timeline, looks: np.ndarray, times_s: np.ndarray | None = None
    ) -> None:
        self.config, self.timeline = config, timeline
        index = config.movie_ids.index(timeline.movie_id)
        shots, beats = timeline.shots, len(timeline.objects)
        wanted = np.arange(beats)
        if times_s is not None:
            wanted = np.unique(shots["beat"].to_numpy()[timeline.shot_at(np.asarray(times_s, dtype=np.float64))])
        self._row = np.full(beats, -1)  # of a beat among those drawn
        self._row[wanted] = np.arange(len(wanted))
        scene = shots.groupby("beat")["scene"].first().to_numpy()

        generator = config.generator("places", index)
        light = Light.draw(generator, beats)
        latents = places.place_latents(config, scene, timeline.place_classes, generator)
        self._places = places.draw_places(latents[wanted], light.colour[wanted], 3 * config.image_px // 2)
        self._grade = places.Grade.draw(config, config.generator("grade", index))

        generator = config.generator("appearances", index)
        classes = timeline.objects.ravel()  # (beats * 2,): appearances
        shown = instances(config, looks[classes], generator)
        tilt = generator.normal(0, 0.25, len(classes))
        self.tilt = tilt.reshape(beats, N_IN_BEAT)
        beat = np.repeat(np.arange(beats), N_IN_BEAT)
        drawn = self._row[beat] >= 0
        self._near = draw_objects(shown[drawn], tilt[drawn], light[beat[drawn]], even(1.4 * config.image_px))
        self._far = avg_pool2d(self._near, 2)
        # Where they stand: left and right of the middle, the first of the two on either side.
        side = np.where(generator.random(beats) < 0.5, -1.0, 1.0)
        offset = side[:, None] * np.array([-SIDE, SIDE])
        x = offset + generator.normal(0, 0.05, (beats, 2))
        y = generator.normal(GROUND, 0.07, (beats, 2))
        self.position = np.stack([x, y], 2)  # (beats, 2, xy)
        self.radius = RADIUS * np.exp(generator.normal(0, 0.1, (beats, 2)))

        # Cameras: each set-up of a beat has its framing; each shot drifts from one side of it to the other.
        generator = config.generator("cameras", index)
        framing = generator.normal(0, 1, (beats, 2, 3))
        drift = generator.normal(0, 1, (len(shots), 4))
        b, setup = shots["beat"].to_numpy(), shots["setup"].to_numpy()
        close = setup == CLOSE_UP
        width = np.where(close, 0.62, 1.02) * np.exp(0.07 * framing[b, setup, 2])
        centre = np.where(close[:, None], self.position[b, 0], [0.0, 0.06])
        centre = centre + 0.08 * width[:, None] * framing[b, setup, :2]
        self._camera = np.column_stack([centre, np.log(width)])  # (shots, x y log half-width)
        self._drift = drift * np.array([0.10, 0.05, 0.06, 0.12])  # x, y, zoom, sway of the objects (rad)

    def frames(self, times_s: np.ndarray) -> np.ndarray:
        """Pictures at given times (n,), uint8 (n, image_px, image_px, 3)."""
        size = self.config.image_px
        out = np.empty((len(times_s), size, size, 3), dtype=np.uint8)
        for i in range(0, len(times_s), FRAMES_AT_ONCE):
            pictures = self._frames(np.asarray(times_s[i : i + FRAMES_AT_ONCE], dtype=np.float64))
            out[i : i + FRAMES_AT_ONCE] = to_uint8(pictures)
        return out

    def cameras(self, times_s: np.ndarray) -> Cameras:
        """The cameras at given times (n,), which lie in beats that were drawn."""
        shots = self.timeline.shots
        shot = self.timeline.shot_at(times_s)
        start_s, stop_s = (shots[name].to_numpy()[shot] for name in ("start_s", "stop_s"))
        way = ((times_s - start_s) / (stop_s - start_s) - 0.5)[:, None]
        camera = self._camera[shot] + way * self._drift[shot, :3]
        sway = way[:, 0] * self._drift[shot, 3]
        beat, setup = (shots[name].to_numpy()[shot] for name in ("beat", "setup"))
        if (self._row[beat] < 0).any():
            raise ValueError("times_s: some lie in a beat that was not drawn; give FilmRenderer all times_s")
        speed = self._drift[shot] / (stop_s - start_s)[:, None]
        return Cameras(shot, beat, setup, camera[:, :2], np.exp(camera[:, 2]), sway, speed)

    def objects(self, cameras: Cameras) -> Iterator[tuple[int, np.ndarray, Tensor]]:
        """Objects in view, the hindmost first: which of the two, in which pictures, red, green, blue and opacity."""
        for which, kind, pictures_of in ((1, TWO_SHOT, self._far), (0, TWO_SHOT, self._far), (0, CLOSE_UP, self._near)):
            rows = np.flatnonzero(cameras.setup == kind)
            if not rows.size:
                continue
            b, width = cameras.beat[rows], cameras.width[rows]
            offset, reach = cameras.centre[rows] - self.position[b, which], REACH * self.radius[b, which]
            grid = _grid(offset, width, cameras.sway[rows], reach, self.config.image_px)
            yield which, rows, grid_sample(pictures_of[self._row[b] * N_IN_BEAT + which], grid, align_corners=False)

    def _frames(self, times_s: np.ndarray) -> Tensor:
        cameras = self.cameras(times_s)
        _, beat, setup, centre, width, *_ = cameras
        pictures = _view_of_places(self._places[self._row[beat]], centre, width, self.config.image_px)
        for which in (1, 0):  # the second object stands behind the first
            rows = np.flatnonzero((setup == TWO_SHOT) | (which == 0))
            position, radius = self.position[beat[rows], which], self.radius[beat[rows], which]
            _cast_shadow(pictures, rows, position, radius, centre[rows], width[rows])
        for _, rows, layer in self.objects(cameras):
            pictures[rows] = pictures[rows] * (1 - layer[:, 3:]) + layer[:, :3]
        return self._grade.apply(pictures)


def stills(config: WorldConfig, movie_id: str, times_s: np.ndarray, image_px: int) -> np.ndarray:
    """Frames of a film at another size, for people to look at: the same places, objects and camera."""
    timeline = next(film for film in timelines(config) if film.movie_id == movie_id)
    larger = dataclasses.replace(config, image_px=image_px)
    return FilmRenderer(larger, timeline, class_looks(config), times_s).frames(times_s)


def stimuli(config: WorldConfig, looks: np.ndarray, class_index: int) -> tuple[np.ndarray, np.ndarray]:
    """Exemplars of one class: isolated on grey, or in context, framed between close-up and two-shot.

    Each has instance noise, pose and light of its own; none is ever seen in a film. `config.stimuli_in_context` puts
    the same objects, smaller, into places of their class, as a film would. Images are uint8 (stimuli_per_class,
    image_px, image_px, 3); masks, without the last axis, the opacity of the object, 0 to 255. Its shadow belongs to the
    place.
    """
    generator, n, size = config.generator("stimuli", class_index), config.stimuli_per_class, config.image_px
    shown = instances(config, np.repeat(looks[class_index : class_index + 1], n, axis=0), generator)
    tilt, light = generator.normal(0, 0.25, n), Light.draw(generator, n)
    objects = draw_objects(shown, tilt, light, even(1.4 * size))
    radius = (0.48 if config.stimuli_in_context else 0.64) * np.exp(generator.normal(0, 0.1, n))
    shift = generator.normal(0, 0.06, (n, 2))
    layer = grid_sample(objects, _grid(-shift, np.ones(n), np.zeros(n), REACH * radius, size), align_corners=False)
    ground: Tensor | float = GREY
    if config.stimuli_in_context:
        ground = _contexts(config, class_index, light, radius, shift)
    masks = (layer[:, 3] * 255).round().to(torch.uint8).numpy()
    return to_uint8(ground * (1 - layer[:, 3:]) + layer[:, :3]), masks


def _contexts(config: WorldConfig, class_index: int, light: Light, radius: np.ndarray, shift: np.ndarray) -> Tensor:
    """Places of a class (n, 3, size, size) with the shadows of objects of `radius` at `shift` in the picture."""
    n, size = config.stimuli_per_class, config.image_px
    generator = config.generator("contexts", class_index)
    latents = places.place_latents(config, np.arange(n), np.full(n, class_index), generator)
    pictures = places.draw_places(latents, light.colour, 3 * size // 2)
    side = np.where(generator.random(n) < 0.5, -SIDE, SIDE)
    position = np.stack([side, generator.normal(GROUND, 0.07, n)], 1)  # where objects stand in films
    width = RADIUS / radius
    centre = position - shift * width[:, None]
    pictures = _view_of_places(pictures, centre, width, size)
    _cast_shadow(pictures, np.arange(n), position, np.full(n, RADIUS), centre, width)
    return pictures


def to_uint8(pictures: Tensor) -> np.ndarray:
    """Pictures (n, 3, h, w), 0 to 1, as uint8 (n, h, w, 3)."""
    return (pictures * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()


def even(size: float) -> int:
    """The nearest even whole number of pixels."""
    return 2 * round(size / 2)


def _grid(offset: np.ndarray, width: np.ndarray, turn: np.ndarray, reach: np.ndarray, size: int) -> Tensor:
    """Place of each pixel of a view in a picture that spans `reach` to each side (torch's -1 to 1).

    The view is `offset` (n, 2) off the picture's middle and shows `width` (n,) to each side, turned by `turn` rad.
    """
    cos, sin = np.cos(turn), np.sin(turn)
    rotate = np.stack([np.stack([cos, sin], 1), np.stack([-sin, cos], 1)], 1)
    theta = np.concatenate([rotate * width[:, None, None], (rotate @ offset[:, :, None])], 2) / reach[:, None, None]
    return affine_grid(torch.as_tensor(theta, dtype=torch.float32), [len(theta), 1, size, size], align_corners=False)


def _view_of_places(pictures: Tensor, centre: np.ndarray, width: np.ndarray, size: int) -> Tensor:
    """What a camera that shows `width` to each side of `centre` sees of places, (n, 3, size, size)."""
    grid = _grid(centre, width, np.zeros(len(width)), np.full(len(width), places.REACH), size)
    return grid_sample(pictures, grid, padding_mode="border", align_corners=False)


def _cast_shadow(
    pictures: Tensor, rows: np.ndarray, position: np.ndarray, radius: np.ndarray, centre: np.ndarray, width: np.ndarray
) -> None:
    """Darken the ground below objects of given position and radius: a soft, flat ellipse."""
    size = pictures.shape[-1]
    axis = (np.arange(size) + 0.5) / size * 2 - 1
    x = (centre[:, :1] + width[:, None] * axis - position[:, :1]) / (0.75 * radius[:, None])
    y = (centre[:, 1:] + width[:, None] * axis - position[:, 1:] - radius[:, None]) / (0.26 * radius[:, None])
    across, down = (torch.as_tensor(np.exp(-(v**2)), dtype=torch.float32) for v in (x, y))
    pictures[rows] *= 1 - 0.5 * down[:, None, :, None] * across[:, None, None, :]
