"""Flow and shots at ingest: films that move and cut as the tests say, and a real one (Big Buck Bunny)."""

import math
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from semanticcmc.cli import main
from semanticcmc.config import InputError
from semanticcmc.experiment import load_experiment, read_values
from semanticcmc.films.ingest import ingest, merge
from semanticcmc.films.motion import FASTEST, STEPS_PER_S
from semanticcmc.films.pairs import lagged_pairs
from semanticcmc.films.probe import probe
from semanticcmc.films.store import FrameStore
from semanticcmc.timescales.appearance import compare_frames
from semanticcmc.training.batches import pairing_of
from tests.conftest import SHARED
from tests.films.counter_films import constant
from tests.films.test_ingest import config

CLIP = SHARED / "data" / "clips" / "bunny240.ts"
SIDE = 128
LOSSLESS = {"codec": "libx264", "options": {"qp": "0"}, "pix_fmt": "yuv444p"}


def texture(number, seed=0):
    """A smooth picture of its own, whose content moves a pixel to the right and a pixel up from number to number."""
    noise = np.random.default_rng(seed).normal(size=(SIDE, SIDE))
    wave = np.fft.fftfreq(SIDE)
    smooth = np.fft.ifft2(np.fft.fft2(noise) * np.exp(-600 * (wave**2 + wave[:, None] ** 2))).real
    level = 128 + 40 * np.roll(smooth / smooth.std(), (-number, number), (0, 1))
    return np.repeat(level.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


def store_of(path, folder, **values):
    """Make a frame store of one film; returned is its `films.csv`."""
    ingest(path, "film", folder, config(short_side_px=SIDE, **values))
    return merge(probe(path.parent).query("movie_id == 'film'"), folder)


@pytest.mark.parametrize("rate", [25, 12, Fraction(24000, 1001)])
def test_farnebacks_flow_is_the_velocity_of_what_moves(tmp_path, rate):
    """A pixel a picture is ``rate`` pixels a second, of which half the width has 64."""
    pytest.importorskip("cv2")
    constant(tmp_path / "film.mp4", int(3 * rate), rate, picture=texture, **LOSSLESS)
    store_of(tmp_path / "film.mp4", tmp_path / "frames", flow="farneback")
    frames, flow = (FrameStore(tmp_path / "frames", view) for view in ("", "flow"))
    middle = flow.read_rows(range(len(flow)))[:, :, 16:-16, 16:-16].float().mean((2, 3))
    fast = 127 * float(rate) / 64 / FASTEST
    assert np.array_equal(frames.times("film"), [0, 1, 2])
    assert middle[:2].numpy() == pytest.approx(np.array([[128 + fast, 128 - fast, 128]] * 2), abs=3)


def test_difference_is_half_of_what_changes_about_mid_grey_and_the_last_picture_changes_no_more(tmp_path):
    def flicker(number):
        return np.full((SIDE, SIDE, 3), 100 if number % 2 else 60, np.uint8)

    constant(tmp_path / "film.mkv", 51, 25, picture=flicker, **LOSSLESS)
    store_of(tmp_path / "film.mkv", tmp_path / "frames", flow="difference")
    seen = FrameStore(tmp_path / "frames", "flow").read_rows(range(3)).float().mean((1, 2, 3))
    assert seen.numpy() == pytest.approx([148, 108, 128], abs=1)


def cut_film(path, cuts, rate, length):
    """A film that shows another texture from each of the pictures `cuts` on."""
    constant(path, length, rate, picture=lambda i: texture(i // 4, seed=sum(i >= cut for cut in cuts)))
    return path


def test_shots_begin_with_the_first_look_at_a_new_picture(tmp_path):
    """Cuts at pictures of 25 a second are seen at the next of 24 steps a second, and frames lie in their own shot."""
    pytest.importorskip("scenedetect")
    cuts, rate = (40, 101, 175), 25
    cut_film(tmp_path / "film.mp4", cuts, rate, 220)
    films = store_of(tmp_path / "film.mp4", tmp_path / "frames", shots=True, frames_per_s=2.0)
    assert films["problem"].tolist() == [""]
    shots = pd.read_parquet(tmp_path / "frames" / "index.shots.parquet")
    seen = [0.0, *(math.ceil(cut / rate * STEPS_PER_S) / STEPS_PER_S for cut in cuts)]
    assert shots["start_s"].tolist() == pytest.approx(seen)
    assert shots["stop_s"].tolist() == pytest.approx([*seen[1:], 220 / rate], abs=1 / STEPS_PER_S)
    assert shots["shot"].tolist() == [0, 1, 2, 3] and set(shots["movie_id"]) == {"film"}


def test_what_is_asked_for_later_is_made_and_what_is_no_longer_asked_for_is_not_used(tmp_path):
    pytest.importorskip("scenedetect")
    path, folder = cut_film(tmp_path / "film.mp4", (50,), 25, 100), tmp_path / "frames"
    store_of(path, folder)
    frames = (folder / "film.tar").read_bytes()
    assert not (folder / "index.shots.parquet").exists()
    store_of(path, folder, shots=True, flow="difference")
    assert (folder / "film.tar").read_bytes() == frames  # the frames are the same
    written = (folder / "film.tar").stat().st_mtime_ns
    assert len(pd.read_parquet(folder / "index.shots.parquet")) == 2 and len(FrameStore(folder, "flow")) == 4
    store_of(path, folder, shots=True, flow="difference")
    assert (folder / "film.tar").stat().st_mtime_ns == written  # all of it stands there
    cut_film(path, (), 25, 75)  # another film of that name
    store_of(path, folder)
    assert not (folder / "index.shots.parquet").exists()
    with pytest.raises(InputError, match="flow has other frames than they have"):
        FrameStore(folder, "flow")


@pytest.mark.parametrize(("extra", "value", "module"), [("flow", "farneback", "cv2"), ("shots", True, "scenedetect")])
def test_a_package_that_is_not_installed_is_named_before_any_film_is_opened(
    tmp_path, monkeypatch, capsys, extra, value, module
):
    values = read_values("clips")[0]
    values["movies"] |= {"folder": str(tmp_path), extra: value}
    (tmp_path / "experiment.yaml").write_text(yaml.safe_dump(values))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["probe", str(tmp_path / "experiment.yaml")]) == 2
    said = capsys.readouterr().err
    assert f"movies.{extra}: {module} is not installed; pip install 'semanticcmc[{extra}]'" in said
    assert not (tmp_path / "frames").exists()


@pytest.mark.skipif(not CLIP.exists(), reason="the clips of ../shared are not here")
def test_a_real_film_its_frames_looks_and_shots(tmp_path):
    """Two minutes of Big Buck Bunny (CC BY 3.0): shots as PySceneDetect finds them when it reads the file itself."""
    scenedetect = pytest.importorskip("scenedetect", reason="PySceneDetect (the extra shots) is not installed")
    values = read_values("clips")[0]
    values["movies"] |= {"folder": str(tmp_path / "films"), "shots": True, "sound": True}
    values["training"] |= {"same_shot": True, "lag_tolerance": 0.0}
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / CLIP.name).symlink_to(CLIP)
    (tmp_path / "experiment.yaml").write_text(yaml.safe_dump(values))
    for verb in (["probe"], ["merge"]):
        if verb == ["merge"]:
            assert main(["ingest", str(tmp_path / "experiment.yaml"), "bunny240", "--threads", "1"]) == 0
        assert main([*verb, str(tmp_path / "experiment.yaml")]) == 0
    E = load_experiment(tmp_path / "experiment.yaml")
    store = FrameStore(tmp_path / "frames")
    assert len(store) == 121 and np.array_equal(store.times("bunny240"), np.arange(121))
    assert (tmp_path / "frames" / "bunny240.sound.wav").exists()

    shots = pd.read_parquet(tmp_path / "frames" / "index.shots.parquet")
    theirs = scenedetect.detect(str(CLIP), scenedetect.AdaptiveDetector(), end_time="40s")
    starts = [start.seconds for start, _ in theirs]
    ours = shots["start_s"][: len(starts)].to_numpy()
    assert len(starts) >= 4 and ((ours - starts >= 0) & (ours - starts <= 1 / STEPS_PER_S + 1e-9)).all()
    assert np.array_equal(shots["start_s"][1:], shots["stop_s"][:-1]) and len(shots) > 12

    pictures = store.read_rows(range(len(store)), (9, 16)).float().flatten(1)
    likeness = compare_frames(store.index, pictures, [0, 1, 2, 5, 20], correlation=True).likeness(np.ones(1))[0]
    assert likeness[0] == pytest.approx(1) and (np.diff(likeness) < 0).all() and likeness[-1] < 0.1 < likeness[1]

    within, free = pairing_of(E.network("semantic_2s", 0), E, store).pairs, lagged_pairs(store.index, 2.0, 5.0)
    first = within.anchors
    time_s, second_s = (store.index["time_s"].to_numpy()[rows] for rows in (first, within.partner(first, 2.0)))
    assert 20 < len(first) < len(free.anchors) and (second_s - time_s == 2).all()
    for start_s in shots["start_s"][1:]:  # no pair has a cut between its frames
        assert not ((time_s < start_s) & (start_s <= second_s)).any()
    units = torch.nn.functional.normalize(pictures - pictures.mean(1, keepdim=True))
    alike = [(units[p.anchors] * units[p.partner(p.anchors, 2.0)]).sum(1).mean() for p in (within, free)]
    assert alike[0] > alike[1] + 0.1  # looks last within a shot
