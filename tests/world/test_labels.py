"""What the detector reports of timelines."""

import numpy as np
import pytest

from semanticcmc.world.classes import read_classes
from semanticcmc.world.labels import label_tables
from semanticcmc.world.timeline import TWO_SHOT, timelines
from tests.world.test_timeline import WORLD, world


def test_labels_without_noise_are_what_is_in_view():
    films = timelines(WORLD)
    labels, times = label_tables(WORLD, films)
    assert times["count"].tolist() == [3000] * 3 and (labels["confidence"] == 100).all()
    nouns = read_classes(WORLD)["noun"].to_numpy()
    for film in films:
        reported = labels[labels["movie_id"] == film.movie_id].groupby("time_s")["label"].agg(set)
        assert len(reported) == 3000
        for time_s in (0.0, 100.2, 333.4, 599.8):
            shot = film.shots[(film.shots["start_s"] <= time_s) & (time_s < film.shots["stop_s"])].iloc[0]
            shown = film.objects[shot["beat"].astype(int)][: 2 if shot["setup"] == TWO_SHOT else 1]
            assert reported.iloc[round(time_s / 0.2)] == set(nouns[shown])


def test_detector_noise_has_the_rates_asked_for():
    films = timelines(WORLD)
    clean, _ = label_tables(WORLD, films)
    noisy, _ = label_tables(world(label_misses=0.2, label_false_alarms=0.1), films)
    truth_rows = set(zip(clean["movie_id"], clean["time_s"], clean["label"], strict=True))
    hit = np.array([row in truth_rows for row in zip(noisy["movie_id"], noisy["time_s"], noisy["label"], strict=True)])
    assert hit.sum() / len(clean) == pytest.approx(0.8, abs=0.01)
    assert (~hit).sum() / 9000 == pytest.approx(0.1 * (1 - 1.5 / 48), abs=0.01)
    assert not noisy.duplicated(["movie_id", "time_s", "label"]).any()
    assert noisy["confidence"].between(50, 100).all()
    assert noisy["confidence"][hit].mean() > noisy["confidence"][~hit].mean() + 10
