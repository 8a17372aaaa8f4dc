"""What neighbouring pictures of a film tell: motion, as a second picture of each frame, and where shots end.

Pictures are read about `STEPS_PER_S` times a second, on a grid that holds the frames' own: all have one clock.
"""

from __future__ import annotations

import dataclasses
import importlib.util
from collections.abc import Iterable, Iterator

import numpy as np

from semanticcmc.config import InputError
from semanticcmc.films.files import Frame

STEPS_PER_S = 24
SHOTS_PX = 72  # short side of pictures in which shots are looked for
FASTEST = 1.0  # flow that is full red or green, half-widths of the picture a second


def refuse_missing(flow: str | None, shots: bool) -> None:
    """Refuse what needs a package that is not installed: flow by Farneback, and shots."""
    for extra, module, wanted in (("flow", "cv2", flow == "farneback"), ("shots", "scenedetect", shots)):
        if wanted and not importlib.util.find_spec(module):
            raise InputError(f"movies.{extra}: {module} is not installed; pip install 'semanticcmc[{extra}]'")


def flow_pictures(pictures: Iterable[Frame], every: int, flow: str) -> Iterator[Frame]:
    """Of every so manyth picture, from the first on, its motion up to the next picture; none for the film's last.

    ``farneback``: velocity to the right (red) and down (green) about mid-grey, `FASTEST` at most, blue always mid-grey
    (dense optical flow, Farneback 2003, of OpenCV). ``difference``: mid-grey and half of what changes, by colour.
    """
    waiting: list[Frame] = []  # frames that show one and the same picture
    for number, picture in enumerate(pictures):
        if waiting and picture.frame_index != waiting[0].frame_index:
            moved = _moved(waiting[0], picture, flow)
            yield from (dataclasses.replace(one, image=moved) for one in waiting)
            waiting = []
        if number % every == 0:
            waiting.append(picture)
    yield from (dataclasses.replace(one, image=np.full_like(one.image, 128)) for one in waiting)


def _moved(first: Frame, second: Frame, flow: str) -> np.ndarray:
    images = [np.asarray(one.image) for one in (first, second)]
    if flow == "difference":
        shown = 128 + np.subtract(*images[::-1], dtype=np.float32) / 2
    else:
        import cv2

        before, after = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images)
        pixels = np.zeros((*before.shape, 2), np.float32)
        cv2.calcOpticalFlowFarneback(before, after, pixels, 0.5, 3, 15, 3, 5, 1.2, 0)
        velocity = pixels / (before.shape[1] / 2) / (second.pts_s - first.pts_s)
        shown = np.pad(128 + 127 * velocity / FASTEST, ((0, 0), (0, 0), (0, 1)), constant_values=128)
    return np.rint(shown).clip(0, 255).astype(np.uint8)


def find_shots(pictures: Iterable[Frame], per_s: float) -> list[tuple[float, float]]:
    """Start and stop of each shot, seconds, gapless, by PySceneDetect's adaptive detector with its own settings."""
    from scenedetect import AdaptiveDetector, FrameTimecode

    detector, cuts, at = AdaptiveDetector(), [0.0], FrameTimecode(0, per_s)
    for number, picture in enumerate(pictures):
        at = FrameTimecode(number, per_s)
        cuts += [cut.seconds for cut in detector.process_frame(at, np.asarray(picture.image)[..., ::-1])]
    cuts += [cut.seconds for cut in detector.post_process(at)]
    return list(zip(cuts, [*cuts[1:], at.seconds + 1 / per_s], strict=True))
