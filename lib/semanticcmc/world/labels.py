"""Labels of a world: what a detector reports of its films."""

from __future__ import annotations

import numpy as np
import pandas as pd

from semanticcmc.world.classes import is_filmed, read_classes
from semanticcmc.world.config import WorldConfig
from semanticcmc.world.timeline import N_IN_BEAT, Timeline


def label_tables(config: WorldConfig, films: list[Timeline]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Labels and label times of all films, as `labels.stream.write_labels` takes them.

    The label is the class's noun; none names a class that is never filmed. Misses and false alarms are independent
    from one label set to the next. Confidence is 50 to 100, mostly above 80 for what is in view, mostly below 70 for
    false alarms; without any noise (both rates 0) it is 100.
    """
    nouns = read_classes(config)["noun"].to_numpy()
    filmed = np.flatnonzero(is_filmed(config))
    count = int(np.ceil(config.film_duration_s / config.label_interval_s - 1e-9))
    times_s = np.arange(count) * config.label_interval_s
    noisy = config.label_misses > 0 or config.label_false_alarms > 0
    tables = []
    for index, film in enumerate(films):
        generator = config.generator("detector", index)
        classes, found = film.visible(times_s)
        false = filmed[generator.integers(len(filmed), size=count)]
        alarm = generator.random(count) < config.label_false_alarms
        alarm &= ~((classes == false[:, None]) & found).any(1)
        found &= generator.random(found.shape) >= config.label_misses
        label = np.column_stack([classes, false])
        reported = np.column_stack([found, alarm])
        confidence = np.full(reported.shape, 100.0)
        if noisy:
            confidence[:, :N_IN_BEAT] = 50 + 50 * generator.beta(5, 1.5, found.shape)
            confidence[:, N_IN_BEAT] = 50 + 50 * generator.beta(1.5, 5, count)
        step, which = np.nonzero(reported)
        seen = {"time_s": times_s[step], "label": nouns[label[step, which]], "confidence": confidence[step, which]}
        tables.append(pd.DataFrame({"movie_id": film.movie_id} | seen))
    grid = {"start_s": 0.0, "interval_s": config.label_interval_s, "count": count}
    return pd.concat(tables, ignore_index=True), pd.DataFrame({"movie_id": [film.movie_id for film in films]} | grid)
