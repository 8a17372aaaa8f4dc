"""Frames and sounds: the loss as written, spectrograms of tones, and sounds that are of the right moments."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.signal import stft

from semanticcmc.config import InputError, configure
from semanticcmc.films.soundtrack import SOUND_HZ, write_sound
from semanticcmc.training.networks import AlexNet, NetworksConfig
from semanticcmc.training.objectives.sound import Sound, SoundConfig, log_mel, mel_filters
from semanticcmc.training.pairings import Fixed, NoKeys
from tests.training.test_loop import NETWORKS

SHIFTED = {"task": "synchronisation", "apart_s": 2.0}
TONES = 300 * 1.05 ** np.random.default_rng(0).permutation(60).reshape(2, 30)  # Hz, of each second of two films


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two films of 30 s, whose frames have a tone of their own from half a second before to half a second after."""
    folder, at = tmp_path_factory.mktemp("films"), np.arange(SOUND_HZ) / SOUND_HZ
    for film, tones in zip("ab", TONES, strict=True):
        sound = np.concatenate([9000 * np.sin(2 * np.pi * hz * at) for hz in tones])
        write_sound(folder / "frames", film, [np.roll(sound, -SOUND_HZ // 2).astype(np.int16)])
    return folder


def objective(folder, lag_s=0.0, films="ab", **changes):
    tables = [pd.DataFrame({"movie_id": film, "time_s": np.arange(30.0)}) for film in films]
    keys = {"task": "correspondence", "apart_s": None, "seconds": 0.5, "bands": 40, "channels": 4}
    config = configure(SoundConfig, keys | changes, "here")
    encoder = AlexNet(configure(NetworksConfig, NETWORKS, "here"))
    index = pd.concat(tables, ignore_index=True)
    return Sound(config, encoder, Fixed(NoKeys(), index, folder, lag_s, 5.0, 0.0), 0)


def unit(*shape):
    values = np.random.default_rng(1).normal(size=shape)
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


def test_the_loss_is_the_logistic_one_of_distances_as_written(folder):
    made, (x, own, other) = objective(folder), unit(3, 7, 5)
    with torch.no_grad():
        made.slope.fill_(3.0)
        made.offset.fill_(2.5)
    terms, right = [], []
    for i in range(7):
        p_own, p_other = (1 / (1 + math.exp(3 * math.dist(x[i], y[i]) - 2.5)) for y in (own, other))
        terms.append(-(math.log(p_own) + math.log(1 - p_other)) / 2)
        right += [p_own > 0.5, p_other < 0.5]
    loss = made.loss(*map(torch.from_numpy, (x, own, other)))
    assert loss.item() == pytest.approx(np.mean(terms), rel=1e-6)
    assert made.measures()["right"] == pytest.approx(np.mean(right))


def test_chance_is_where_all_is_at_right_angles(folder):
    axes = torch.eye(8)
    loss = objective(folder).loss(axes[:2], axes[2:4], axes[4:6])
    assert loss.item() == pytest.approx(Sound.chance(None, 2)) == pytest.approx(math.log(2))


@pytest.mark.parametrize("lag_s", [0.0, 5.0])
@pytest.mark.parametrize("task", [{}, SHIFTED])
def test_sounds_are_of_the_frames_moment_a_lag_later_and_of_all_others_allowed(folder, lag_s, task):
    made = objective(folder, lag_s, **task)
    draw = made.draw(6000, torch.Generator().manual_seed(0))
    own, other = draw.targets.T
    assert made.images == made.config.images == 1
    assert torch.equal(own, draw.rows[:, 0] + int(lag_s))
    if task:
        assert torch.equal(own // 30, other // 30) and (own - other).abs().min() == 2
    else:
        assert (own // 30 != other // 30).all()
    drawn = pd.crosstab(own.numpy(), other.numpy())
    allowed = [
        [abs(a - b) >= 2 and a // 30 == b // 30 if task else a // 30 != b // 30 for b in range(60)] for a in drawn.index
    ]
    assert ((drawn.reindex(columns=range(60), fill_value=0).to_numpy() > 0) <= np.array(allowed)).all()
    assert (drawn > 0).to_numpy().sum() > 0.9 * np.sum(allowed)


def test_the_sound_of_a_target_is_its_frames_tone(folder):
    rows = torch.tensor([0, 3, 17, 30, 44, 59])
    spectrum = np.abs(np.fft.rfft(objective(folder).sounds.around(rows, 0.5).numpy()))
    tones = TONES.ravel()[rows.numpy()]
    inside = slice(1, -1)  # half of what is heard at a film's ends is silence
    np.testing.assert_allclose(spectrum.argmax(1)[inside] * 2, tones[inside], atol=2)


def test_spectra_are_scipys_and_a_tones_power_is_in_its_band(folder):
    at = np.arange(SOUND_HZ // 2) / SOUND_HZ
    sound = np.rint(8000 * np.sin(2 * np.pi * 1234 * at)).astype(np.int16)
    found = log_mel(torch.from_numpy(sound)[None], 40)[0]
    peer = stft(sound / 2**15, nperseg=512, window="hann", boundary="even", padded=False, return_onesided=True)[2]
    power = np.abs(peer * 256) ** 2  # SciPy divides by the sum of the window
    expected = np.log(mel_filters(40).numpy() @ power + 1e-6)[:, : found.shape[1]]
    middle = slice(2, -2)  # the ends are continued otherwise
    np.testing.assert_allclose(found.numpy()[:, middle], expected[:, middle], atol=0.02)
    mel = np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 42)[1:-1]
    nearest = np.abs(mel - 2595 * np.log10(1 + 1234 / 700)).argmin()
    assert (found[:, middle].argmax(0) == nearest).all()


def test_mel_filters_share_each_frequency_between_two(folder):
    filters = mel_filters(40).double()
    between = slice(int(filters[0].argmax()) + 1, int(filters[-1].argmax()) - 1)
    torch.testing.assert_close(filters.sum(0)[between], torch.ones_like(filters.sum(0)[between]), atol=1e-5, rtol=0)
    assert (filters.sum(1) > 0.5).all() and (mel_filters(64).sum(1) > 0).all()


@pytest.mark.parametrize("task", [{}, SHIFTED])
def test_a_few_steps_lower_the_loss_where_pictures_tell_the_tone(folder, task):
    """Pictures are the tones' own colours: within a few steps frames and sounds are matched better than by chance."""
    torch.manual_seed(0)
    made = objective(folder, **task)
    high = torch.from_numpy(TONES.ravel() > np.median(TONES)).float()
    optimiser = torch.optim.AdamW(made.parameters(), lr=3e-3)
    generator, losses = torch.Generator().manual_seed(0), []
    for _ in range(25):
        draw = made.draw(48, generator)
        images = (2 * high[draw.rows[:, 0]] - 1)[:, None, None, None] + 0.1 * torch.randn(48, 3, 44, 44)
        loss = made((images,), draw)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:3])


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"task": "hearing"}, "task"),
        ({"apart_s": 2.0}, "apart_s 2.0: a number in the task synchronisation"),
        ({"task": "synchronisation"}, "apart_s None"),
        (SHIFTED | {"apart_s": 15.0}, "apart_s 15: a film spans 29 s"),
        ({"films": "a"}, "only one film"),
        ({"seconds": 0.0}, "seconds"),
        ({"bands": 4}, "bands"),
        ({"channels": 0}, "channels"),
    ],
)
def test_what_cannot_be_is_refused(folder, wrong, says):
    with pytest.raises(InputError, match=says):
        objective(folder, **wrong)


def test_films_without_sound_are_refused(tmp_path):
    with pytest.raises(InputError, match="a.sound.wav: no sound"):
        objective(tmp_path)
