"""Sound beside frames: a known tone at known seconds, a real film's sound track, and what cannot be."""

import math
import wave
from fractions import Fraction

import av
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.io import wavfile

from semanticcmc.config import InputError
from semanticcmc.films.ingest import ingest, merge
from semanticcmc.films.probe import probe
from semanticcmc.films.sound import Sounds
from semanticcmc.films.soundtrack import SOUND_HZ, film_sound, sound_file, write_sound
from semanticcmc.films.store import FrameStore
from tests.conftest import ROOT
from tests.films.counter_films import constant, counter
from tests.films.test_ingest import config

CLIP = ROOT.parent / "shared" / "data" / "clips" / "bunny240.ts"
RATE, TONE_HZ = 44100, 440


def tone_film(path, seconds=8, begin=2.0, end=3.0, starts=0.0, lasts=None, gap=(0.0, 0.0), jump=0.0, codec="aac"):
    """A film whose stereo sound is a tone of 440 Hz from `begin` to `end`, else silence; times count from the pictures.

    Pictures begin at `starts` s on the file's clock, `gap` is left out of the sound, which lasts `lasts` s; after the
    gap its clock is ahead by `jump`.
    """
    lasts = seconds if lasts is None else lasts
    with av.open(str(path), "w") as out:
        pictures, sound = out.add_stream("libx264", rate=25), out.add_stream(codec, rate=RATE)
        picture = counter(0)
        pictures.height, pictures.width = picture.shape[:2]
        pictures.pix_fmt, sound.layout = "yuv420p", "stereo"
        pictures.codec_context.time_base = Fraction(1, 25)
        form = sound.codec_context.format.name
        size = sound.codec_context.frame_size or 1024
        for i in range(25 * seconds):
            frame = av.VideoFrame.from_ndarray(counter(i), format="rgb24")
            frame.pts, frame.time_base = i + round(25 * starts), Fraction(1, 25)
            out.mux(pictures.encode(frame))
        out.mux(pictures.encode())
        for first in range(0, int((starts + lasts) * RATE), size):
            at = np.arange(first, first + size) / RATE - starts
            if gap[0] <= at[0] < gap[1]:
                continue
            wave_ = 0.5 * np.sin(2 * math.pi * TONE_HZ * at) * ((at >= begin) & (at < end))
            frame = av.AudioFrame.from_ndarray(np.stack([wave_, wave_]).astype(np.float32), "fltp", "stereo")
            frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
            frame.pts = first + (round(jump * RATE) if at[0] >= gap[1] > 0 else 0)
            frames = [frame] if form == "fltp" else av.AudioResampler(form, "stereo", RATE).resample(frame)
            for one in frames:
                one.pts = frame.pts
                out.mux(sound.encode(one))
        out.mux(sound.encode())
    return path


def loud(samples):
    """Seconds at which the sound begins and ends, and the frequency of its greatest part."""
    there = np.flatnonzero(np.abs(samples.astype(float)) > 2000)
    part = samples[there[0] : there[-1]].astype(float)
    peak = np.abs(np.fft.rfft(part)).argmax() * SOUND_HZ / len(part)
    return there[0] / SOUND_HZ, there[-1] / SOUND_HZ, peak


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("film.mp4", {}),
        ("film.mkv", {"codec": "pcm_s16le"}),
        ("late.mkv", {"codec": "pcm_s16le", "starts": 1.6}),  # the sound begins before the pictures
        ("gap.mkv", {"codec": "pcm_s16le", "gap": (0.5, 1.5)}),  # nothing at all is stored there
        ("film.ts", {}),
        ("short.mp4", {"lasts": 7.5}),  # silence is put at its end
    ],
)
def test_a_tone_is_where_it_is_in_the_film(tmp_path, name, how):
    samples = np.concatenate(list(film_sound(tone_film(tmp_path / name, **how), 8.0)))
    assert samples.dtype == np.int16 and len(samples) == 8 * SOUND_HZ
    begin, end, peak = loud(samples)
    assert (begin, end) == pytest.approx((2.0, 3.0), abs=0.005) and peak == pytest.approx(TONE_HZ, abs=2)
    assert np.abs(samples).max() == pytest.approx(0.5 * 2**15, rel=0.1)  # both channels alike: as loud as each


def test_ingest_writes_it_beside_the_frames_which_stay_the_same(tmp_path):
    (tmp_path / "films").mkdir()
    path = tone_film(tmp_path / "films/film.mp4")
    silent, store = tmp_path / "silent", tmp_path / "frames"
    ingest(path, "film", silent, config())
    assert not sound_file(silent, "film").exists()
    ingest(path, "film", silent, config(sound=True))  # asked for later
    ingest(path, "film", store, config(sound=True))
    for end in (".tar", ".parquet"):
        assert (silent / f"film{end}").read_bytes() == (store / f"film{end}").read_bytes()
    assert sound_file(silent, "film").read_bytes() == sound_file(store, "film").read_bytes()
    merge(probe(tmp_path / "films"), store)
    index = FrameStore(store).index
    assert index["time_s"].tolist() == list(range(8))
    heard = Sounds(store, index).around(torch.tensor([0, 2, 7]), 0.5)
    whole = wavfile.read(sound_file(store, "film"))[1]
    assert heard.dtype == torch.int16 and heard.shape == (3, SOUND_HZ // 2)
    assert (heard[0, : SOUND_HZ // 4] == 0).all()  # before the film
    np.testing.assert_array_equal(heard[1], whole[7 * SOUND_HZ // 4 : 9 * SOUND_HZ // 4])
    before, after = heard[1].numpy()[: SOUND_HZ // 4 - 100], heard[1].numpy()[SOUND_HZ // 4 + 100 :]
    assert np.abs(before).max() < 500 < np.abs(after).max()
    sound_file(store, "film").unlink()
    ingest(path, "film", store, config(sound=True))
    assert sound_file(store, "film").exists()


@pytest.mark.parametrize(
    ("how", "says"),
    [(None, "no sound in it.*movies.sound to false"), ({"lasts": 4}, "its sound ends at 4.0 s of 8.0 s")],
)
def test_a_film_whose_sound_cannot_be_had_is_left_out_by_name(tmp_path, how, says):
    path = tmp_path / "film.mkv"
    if how is None:
        constant(path, 200, 25)
    else:
        tone_film(path, **how)
    with pytest.raises(InputError, match=says):
        ingest(path, "film", tmp_path / "frames", config(sound=True))
    assert (tmp_path / "frames/film.problem.json").exists()
    assert not sound_file(tmp_path / "frames", "film").exists()
    ingest(path, "film", tmp_path / "frames", config())


def test_a_clock_that_jumps_is_named(tmp_path):
    path = tone_film(tmp_path / "film.mkv", codec="pcm_s16le", gap=(2.5, 3.0), jump=20.0)
    with pytest.raises(InputError, match="the clock of its sound jumps by 2[01] s; write its times anew"):
        list(film_sound(path, 8.0))


def test_a_folder_of_pictures_has_no_sound(tmp_path):
    (tmp_path / "film").mkdir()
    Image.fromarray(counter(0)).save(tmp_path / "film/1.png")
    with pytest.raises(InputError, match="no sound; set movies.sound to false"):
        ingest(tmp_path / "film", "film", tmp_path / "frames", config(sound=True, frame_folders_per_s=1.0))


def two_films(seconds=(3.0, 3.0)):
    tables = [pd.DataFrame({"movie_id": name, "time_s": np.arange(3.0)}) for name in "ab"]
    return pd.concat(tables, ignore_index=True)


def test_each_frame_has_its_own_films_sound(tmp_path):
    ramps = [np.arange(3 * SOUND_HZ, dtype=np.int64) % 30_000 * sign for sign in (1, -1)]
    for name, ramp in zip("ab", ramps, strict=True):
        write_sound(tmp_path, name, np.array_split(ramp.astype(np.int16), 5))
    with wave.open(str(sound_file(tmp_path, "a"))) as file:
        assert file.getparams()[:4] == (1, 2, SOUND_HZ, 3 * SOUND_HZ)
    heard = Sounds(tmp_path, two_films()).around(torch.tensor([4, 1, 2]), 0.1)
    for one, (film, second) in zip(heard, [(1, 1), (0, 1), (0, 2)], strict=True):
        first = second * SOUND_HZ - 800
        np.testing.assert_array_equal(one, ramps[film][first : first + 1600])


@pytest.mark.parametrize(
    ("hz", "samples", "says"),
    [
        (None, None, "b.sound.wav: no sound of this film.*world.hum.*movies.sound"),
        (8000, np.zeros(48_000, np.int16), "8000 Hz.*expected 16000 Hz"),
        (SOUND_HZ, np.zeros((48_000, 2), np.int16), "2 channels"),
        (SOUND_HZ, np.zeros(48_000, np.float32), "float32"),
        (SOUND_HZ, np.zeros(16_000, np.int16), "ends at 1.0 s, the film's last frame is at 2.0 s"),
        ("text", None, "not readable as sound"),
    ],
)
def test_sound_in_another_form_is_refused(tmp_path, hz, samples, says):
    write_sound(tmp_path, "a", [np.zeros(3 * SOUND_HZ, np.int16)])
    if hz == "text":
        sound_file(tmp_path, "b").write_text("no sound at all")
    elif hz:
        wavfile.write(sound_file(tmp_path, "b"), hz, samples)
    with pytest.raises(InputError, match=says):
        Sounds(tmp_path, two_films())


@pytest.mark.skipif(not CLIP.exists(), reason="shared/data/clips/bunny240.ts is not there")
def test_a_real_films_sound_is_that_of_its_file_on_the_clock_of_its_pictures():
    """Decoded plainly and mixed by hand, the sound begins as late after the pictures as the file says: at once here."""
    seconds = 30
    samples = np.concatenate(list(film_sound(CLIP, float(seconds)))).astype(float)
    with av.open(str(CLIP)) as container:
        assert container.streams.audio[0].start_time == container.streams.video[0].start_time
        resampler = av.AudioResampler("fltp", "stereo", SOUND_HZ)
        plain = []
        for frame in container.decode(audio=0):
            plain += [piece.to_ndarray().mean(0) for piece in resampler.resample(frame)]
            if sum(map(len, plain)) >= seconds * SOUND_HZ:
                break
    expected = np.concatenate(plain)[: len(samples)] * 2**15
    assert samples.std() > 20 and np.corrcoef(samples, expected)[0, 1] > 0.999
