"""What a world sounds like: every object in view hums."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from semanticcmc.films.soundtrack import SOUND_HZ
from semanticcmc.world.classes import categories, read_classes
from semanticcmc.world.config import WorldConfig
from semanticcmc.world.timeline import TWO_SHOT, Timeline


def pitch_hz(hum: int) -> int:
    """Fundamental of a hum: whole, so that hums repeat every second, and no small multiple of another's."""
    return round(110 * 1.3**hum)


def hum(config: WorldConfig, film: Timeline) -> Iterator[np.ndarray]:
    """Sound of a film, int16, a piece a shot: the sum of the hums of the objects in view, four harmonics each.

    ``category``: an object's hum is its category's. ``shuffled``: it is drawn for each object of each beat, whatever
    its category, so that sounds last as long as beats and tell nothing of category.
    """
    hums = categories(read_classes(config))[1][film.objects]
    if config.hum == "shuffled":
        generator = config.generator("hum", config.movie_ids.index(film.movie_id))
        hums = generator.integers(config.categories, size=hums.shape)
    turns = 2 * np.pi * np.arange(SOUND_HZ) / SOUND_HZ
    waves = [sum(np.sin(k * pitch_hz(one) * turns) / k for k in range(1, 5)) for one in range(config.categories)]
    second = np.rint(6_000 * np.array(waves)).astype(np.int16)  # two of them stay within int16
    ends = np.ceil(film.shots["stop_s"].to_numpy() * SOUND_HZ).astype(np.int64)
    for shot, begin, end in zip(film.shots.itertuples(), np.append(0, ends), ends, strict=False):
        seen = hums[shot.beat, : 2 if shot.setup == TWO_SHOT else 1]
        yield np.resize(np.roll(second[seen].sum(0, dtype=np.int16), -begin), end - begin)
