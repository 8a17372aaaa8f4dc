"""A world's sound: each category's pitch where it is in view, and nothing of category where hums are shuffled."""

import dataclasses

import numpy as np
import pytest
from scipy.io import wavfile
from scipy.stats import chi2_contingency

from semanticcmc.films.sound import Sounds
from semanticcmc.films.soundtrack import SOUND_HZ, sound_file
from semanticcmc.films.store import FrameStore
from semanticcmc.world.build import build
from semanticcmc.world.classes import categories, read_classes
from semanticcmc.world.hum import hum, pitch_hz
from semanticcmc.world.timeline import timelines
from tests.world.test_build import SMALL
from tests.world.test_timeline import world

CONFIG = world(films=3, film_duration_s=600.0)


def pitches(samples):
    """Hums that sound in the middle of a piece: those whose fundamental and its double are both there."""
    middle = samples[len(samples) // 2 - SOUND_HZ // 2 :][:SOUND_HZ]  # a second: whole Hz
    power = np.abs(np.fft.rfft(middle / 2**15)) / SOUND_HZ
    return {one for one in range(8) if min(power[pitch_hz(one) * k] for k in (1, 2)) > 0.02}


def test_no_hum_is_in_another():
    """No harmonic of one is a fundamental of another, within what a mel band of the objective tells apart."""
    for one in range(8):
        for other in range(8):
            apart = [abs(np.log2(k * pitch_hz(one) / pitch_hz(other))) for k in range(1, 5)]
            assert one == other or min(apart) > 0.02
    assert 4 * pitch_hz(7) < SOUND_HZ / 2


def test_by_category_a_shot_sounds_of_what_it_shows():
    config = dataclasses.replace(CONFIG, hum="category")
    _, category = categories(read_classes(config))
    for film in timelines(config):
        pieces = list(hum(config, film))
        assert len(pieces) == len(film.shots) and sum(map(len, pieces)) == 600 * SOUND_HZ
        assert np.abs(np.concatenate(pieces)).max() < 2**15 - 1  # nothing is cut off
        for piece, (start_s, stop_s) in zip(pieces, film.shots[["start_s", "stop_s"]].to_numpy(), strict=True):
            assert len(piece) == pytest.approx((stop_s - start_s) * SOUND_HZ, abs=1)
            classes, in_view = (one[0] for one in film.visible(np.array([(start_s + stop_s) / 2])))
            if len(piece) >= SOUND_HZ:
                assert pitches(piece) == set(category[classes[in_view]])


def test_shuffled_it_tells_nothing_of_category():
    """Of close-ups, one object each: the pitch and the object's category are independent; by category they are one."""
    tables = {}
    for kind in ("category", "shuffled"):
        config = dataclasses.replace(CONFIG, films=12, hum=kind)
        _, category = categories(read_classes(config))
        table = np.zeros((8, 8))
        for film in timelines(config):
            beats = set()
            for piece, shot in zip(hum(config, film), film.shots.itertuples(), strict=True):
                if shot.setup == 1 and shot.beat not in beats and len(piece) >= SOUND_HZ:
                    beats.add(shot.beat)  # once a beat, in which it stays the same
                    (heard,) = pitches(piece)
                    table[category[film.objects[shot.beat, 0]], heard] += 1
        tables[kind] = table
    assert np.count_nonzero(tables["category"] - np.diag(np.diag(tables["category"]))) == 0
    table = tables["shuffled"]
    assert table.sum() > 150 and chi2_contingency(table[table.sum(1) > 0]).pvalue > 0.01


def test_shuffled_a_hum_stays_for_its_beat():
    config = dataclasses.replace(CONFIG, hum="shuffled")
    film = timelines(config)[1]
    heard = {}
    for piece, shot in zip(hum(config, film), film.shots.itertuples(), strict=True):
        if len(piece) >= SOUND_HZ:
            heard.setdefault((shot.beat, shot.setup), set()).add(frozenset(pitches(piece)))
    assert all(len(one) == 1 for one in heard.values())
    both = [beat for beat, setup in heard if setup == 1 and (beat, 0) in heard]
    assert both and all(heard[beat, 1].copy().pop() <= heard[beat, 0].copy().pop() for beat in both)


def test_a_world_hums_where_asked_and_is_the_same_without(tmp_path):
    asked = dataclasses.replace(SMALL, hum="category")
    for name, config in (("plain", SMALL), ("asked", asked)):
        build(config, tmp_path / name, processes=1)
    for file in (tmp_path / "plain").rglob("*"):
        same = tmp_path / "asked" / file.relative_to(tmp_path / "plain")
        if file.is_file() and file.suffix not in (".json", ".parquet"):  # these tell what the films were made from
            assert file.read_bytes() == same.read_bytes(), file
    frames = {name: {path.name for path in (tmp_path / name / "frames").glob("*")} for name in ("plain", "asked")}
    assert frames["asked"] - frames["plain"] == {"film-01.sound.wav", "film-02.sound.wav"}
    rate, samples = wavfile.read(sound_file(tmp_path / "asked/frames", "film-02"))
    np.testing.assert_array_equal(samples, np.concatenate(list(hum(asked, timelines(asked)[1]))))
    assert rate == SOUND_HZ
    Sounds(tmp_path / "asked/frames", FrameStore(tmp_path / "asked/frames").index)
    build(SMALL, tmp_path / "asked", processes=1)  # no longer asked for: what was made is taken away
    assert not list((tmp_path / "asked/frames").glob("*.wav"))
