"""The published estimators against scikit-learn, and the study of estimators where the truth is known."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from validation.published_estimators import association_r2, rms_to_first_frame, set_order

from semanticcmc.config import InputError
from semanticcmc.experiment import load_experiment
from semanticcmc.figures.save import Picture
from semanticcmc.timescales.curves import TimescalesConfig
from validation import estimators, estimators_figures


def test_r2_is_that_of_scikit_learn():
    generator = np.random.default_rng(0)
    some = [generator.random((60, 5)) < generator.random(5) for _ in range(7)]
    found = association_r2(some, [0, 1, 30, 90], parts=3)
    for lag, mean_r2 in zip(found["lag"], found["mean_r2"], strict=True):
        expected = []
        for part in ([0, 1, 2], [3, 4], [5, 6]):  # as equal as can be, the larger first
            rows = np.concatenate([some[film] for film in part]).astype(float)
            x, y = rows[: len(rows) - lag], rows[lag:]
            expected.append(r2_score(y, Ridge(alpha=1.0).fit(x, y).predict(x)))
        assert mean_r2 == pytest.approx(np.mean(expected))


def test_sparse_and_dense_films_give_the_same():
    generator = np.random.default_rng(5)
    some = [generator.random((80, 6)) < 0.2 for _ in range(6)]
    dense, thin = (
        association_r2(some, [0, 3, 70], 3),
        association_r2(list(map(sparse.csr_array, some)), [0, 3, 70], 3),
    )
    np.testing.assert_allclose(dense["mean_r2"], thin["mean_r2"], rtol=1e-10)


def by_heart(rates, a):
    """R2 of knowing the film: a film lengths later come its own rates, 1 - a, and the next film's, a."""
    ahead = np.vstack([(1 - a) * rates[:-1] + a * rates[1:], rates[-1:]])
    weight = np.r_[np.ones(len(rates) - 1), 1 - a] / (len(rates) - a)  # the last film leads nowhere
    mean = weight @ ahead
    return np.mean(weight @ (ahead - mean) ** 2 / (mean * (1 - mean)))


@pytest.mark.parametrize("rows", [300, 600])
def test_film_boundaries_alone_put_the_minimum_at_half_a_film(rows):
    """Nothing lasts in these films but how often each label occurs; films of twice the length, twice the lag."""
    generator = np.random.default_rng(1)
    # Labels enough to tell films from any of their moments.
    rates = generator.choice([0.05, 0.95], size=(24, 80))
    some = [generator.random((rows, 80)) < rate for rate in rates]
    a = np.linspace(0.1, 1, 10)
    found = association_r2(some, np.rint(a * rows).astype(int), parts=2)["mean_r2"]
    expected = [np.mean([by_heart(part, share) for part in (rates[:12], rates[12:])]) for share in a]
    np.testing.assert_allclose(found, expected, atol=0.03)
    assert a[found.argmin()] == pytest.approx(0.5, abs=0.11)
    assert found.min() < 0.65 * found.iloc[0] and found.iloc[-1] > 0.9 * found.iloc[0]


def test_unrelated_labels_are_explained_in_sample():
    """With p predictors, n rows and nothing to find, R2 in sample is p / (n - 1) on average."""
    generator = np.random.default_rng(2)
    some = [generator.random((100, 20)) < 0.5 for _ in range(64)]
    found = association_r2(some, [3], parts=32)
    assert found["mean_r2"].item() == pytest.approx(20 / 196, rel=0.1)


def test_a_part_shorter_than_the_lag_and_a_label_that_never_changes_do_not_count():
    generator = np.random.default_rng(3)
    short, long = generator.random((20, 4)) < 0.5, generator.random((200, 4)) < 0.5
    with_constant = [np.hstack([film, np.ones((len(film), 1), bool)]) for film in (short, long)]
    found = association_r2(with_constant, [5, 50], parts=2)
    assert found["parts"].tolist() == [2, 1]
    alone = association_r2([long], [50], parts=1)
    assert found["mean_r2"].iloc[1] == pytest.approx(alone["mean_r2"].item())
    with pytest.raises(InputError, match="3 parts of 2 films"):
        association_r2([short, long], [1], parts=3)


def test_a_set_loses_the_order_of_time_and_no_time():
    time_ms = np.arange(0, 5_730_000, 200)
    order = set_order(time_ms)
    assert sorted(order) == list(range(len(time_ms)))
    assert (np.diff(order) != 1).mean() > 0.3
    assert (time_ms[order] == list(set(time_ms.tolist()))).all()
    with pytest.raises(ValueError, match="duplicate"):
        set_order(np.array([1, 2, 1]))


def test_rms_is_to_the_first_frame_and_seconds_are_short():
    """A film that grows brighter by 1 a second, 50 pixels: RMS is the time itself."""
    time_s = np.arange(0, 200, 0.1)
    pictures = np.repeat(time_s[:, None], 50, axis=1)
    lags_s = np.array([0, 1, 60, 150])
    whole = rms_to_first_frame(pictures, time_s, lags_s, 25.0)
    np.testing.assert_allclose(whole, lags_s)
    truncated = rms_to_first_frame(pictures, time_s, [*lags_s, 300], 23.976)
    np.testing.assert_allclose(truncated[:4], lags_s * 23 / 23.976, atol=0.06)
    assert np.isnan(truncated[4])


# The study.


@pytest.fixture
def config():
    return load_experiment("miniature").section("timescales", TimescalesConfig)


def test_ours_holds_the_truth_and_the_published_minimum_is_far_from_it(config, monkeypatch):
    monkeypatch.setattr(estimators, "LENGTHS_S", (1200.0,))
    monkeypatch.setattr(estimators, "TRUTHS_S", (10.0, np.inf))
    r2, reported = estimators.worlds_of_known_half_life(config)
    assert set(r2.half_life_s) == {10.0, np.inf} and r2.lag_s.between(10, 1500).all()
    reported = reported.set_index(["half_life_s", "estimator"])
    ours, theirs = (reported.loc[(10.0, name)] for name in (estimators_figures.OURS, estimators_figures.THEIRS))
    assert ours.ci_low_s < 10 < ours.ci_high_s
    assert theirs.ci_low_s > 60 and theirs.ci_low_s <= theirs.reported_s <= theirs.ci_high_s
    whole_film = reported.loc[(np.inf, estimators_figures.OURS)]
    assert np.isnan(whole_film.reported_s) and whole_film.reason


def test_all_pairs_follow_the_truth_and_the_first_frame_does_not(config, monkeypatch):
    monkeypatch.setattr(estimators, "SHOT_FILMS", 12)
    curves, found = estimators.films_of_shots(config)
    ours, theirs, truth, published = (curve.rms_difference for curve in curves.values())
    np.testing.assert_allclose(ours, truth, rtol=0.05)
    assert theirs.iloc[-1] > 1.5 * truth.iloc[-1] and len(published) > 20
    assert found.half_life_s == pytest.approx(5.0, rel=0.1)


def test_the_files_of_the_study_belong_together(config, repository):
    folder = repository / "validation"
    table = pd.read_csv(folder / "estimators.csv", keep_default_na=False, na_values=[""])
    assert len(table) == 2 * len(estimators.LENGTHS_S) * len(estimators.TRUTHS_S)
    drawn = estimators_figures.reported(
        table, confidence=config.confidence, films=estimators.FILMS, worlds=len(estimators.SEEDS)
    )
    picture = Picture(folder / "estimators_reported.png")
    assert picture.words.split() == f"{drawn.alt} {drawn.caption}".split()
    record = json.loads((folder / "estimators.json").read_text(encoding="utf-8"))
    assert record["config"]["confidence"] == config.confidence and record["git_commit"]
    ours = pd.read_csv(folder / "estimators_poster.csv").set_index("level").loc["film base rate"]
    assert ours.half_life_s == pytest.approx(estimators.STREAM_HALF_LIFE_S, rel=0.1)
    for name in ("r2", "poster", "rms"):
        assert Picture(folder / f"estimators_{name}.png").words
