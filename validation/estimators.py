"""What do the published estimators of time scales, and ours, report where the truth is known? (a minute on one core)

    python -m validation.estimators

Three comparisons, shown in notebook 06. Worlds of labels (`validation.label_worlds`) whose associations have a
half-life of 10 s, a minute, ten minutes, or last the whole film, in films of 20, 95 and 150 minutes: the published
estimator (`validation.published_estimators`), whose time constant is the lag at which its curve is lowest, in three
worlds of each kind, and the half-life by `semanticcmc.timescales` in the first. A stream like the published one, a
hundred films of about 95.5 minutes whose associations have a half-life of one minute, beside the published curve. And
films of shots that open in black: RMS difference to the first frame, as published, and over all pairs.
Writes estimators.csv (what each estimator reports of each kind of world; the interval of the published one is the range
over worlds), estimators_poster.csv (our half-lives of the stream like the published one), a record, and the figures
estimators_r2.png, estimators_reported.png, estimators_poster.png and estimators_rms.png, each with its words in a JSON
file.
"""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
from validation.label_worlds import LabelWorld, simulate
from validation.pictures import write_picture
from validation.presence import presence, presence_matrix
from validation.published_estimators import association_r2, rms_to_first_frame, set_order

from semanticcmc.experiment import load_experiment
from semanticcmc.figures import style
from semanticcmc.run import atomic, git_commit, record, write_json
from semanticcmc.timescales.appearance import compare_frames, persistence, rms_difference
from semanticcmc.timescales.association import association
from semanticcmc.timescales.curves import TimescalesConfig, lag_grid
from semanticcmc.timescales.decay import half_lives
from semanticcmc.timescales.pairs import label_pairs
from validation import estimators_figures as figures

HERE = Path(__file__).parent
INTERVAL_S, FILMS, PARTS, SEEDS = 10.0, 48, 8, (0, 1, 2)
LENGTHS_S, TRUTHS_S = (1200.0, 5700.0, 9000.0), (10.0, 60.0, 600.0, np.inf)
STREAM_HALF_LIFE_S, STREAM_PARTS = 60.0, 16  # of the stream like the published one
SHOT_FILMS, SHOT_FILM_S, SHOT_HALF_LIFE_S, BLACK_S, PIXELS = 40, 1200, 5.0, 6.0, 256
FRAMES_PER_SECOND = 23.976


def published(name: str) -> pd.DataFrame:
    """A published curve of ``data_manifests``: ``association_r2`` or ``rms_difference``, by ``lag_s``."""
    return pd.read_csv(HERE.parent / "data_manifests" / f"published_{name}.csv")


def worlds_of_known_half_life(config: TimescalesConfig) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Both estimators on films of `LENGTHS_S` whose associations have the half-lives `TRUTHS_S`.

    Returns
    -------
    r2 : DataFrame
        The published R2 by ``lag_s``, one world of each ``film_s`` and ``half_life_s``.
    reported : DataFrame
        The half-life that each ``estimator`` reports, s, with its interval and the reason where there is none.
        Published: the lag of the minimum, median and range over `SEEDS`.
    """
    config = dataclasses.replace(config, step_s=INTERVAL_S)
    r2, reported = [], []
    for film_s in LENGTHS_S:
        rows = np.unique(np.rint(np.append(1, np.linspace(0.05, 1.25, 25) * film_s / INTERVAL_S)).astype(int))
        for half_life_s in TRUTHS_S:
            streams = [simulate(world_of(film_s, half_life_s, seed)) for seed in SEEDS]
            curves = [
                association_r2([presence(stream, film, truth.labels) for film in stream.movies], rows, PARTS)
                for stream, truth in streams
            ]
            lowest_s = [INTERVAL_S * curve.lag[curve.mean_r2.idxmin()] for curve in curves]
            first, (stream, _) = curves[0], streams[0]
            r2.append(first.assign(film_s=film_s, half_life_s=half_life_s, lag_s=INTERVAL_S * first.lag))
            theirs = (np.median(lowest_s), min(lowest_s), max(lowest_s), "")
            reported.append((film_s, half_life_s, figures.THEIRS, *theirs))
            pairs = label_pairs(stream, lag_grid(INTERVAL_S, film_s - INTERVAL_S, config.lags), config)
            found = half_lives([association(pairs, config)], config).set_index("level").loc["film base rate"]
            ours = found[["half_life_s", "ci_low_s", "ci_high_s", "reason"]]
            reported.append((film_s, half_life_s, figures.OURS, *ours))
    columns = ["film_s", "half_life_s", "estimator", "reported_s", "ci_low_s", "ci_high_s", "reason"]
    return pd.concat(r2, ignore_index=True), pd.DataFrame(reported, columns=columns)


def world_of(film_s: float, half_life_s: float, seed: int) -> LabelWorld:
    """A world of `FILMS` films of one length, in which ten groups of four labels last `half_life_s`."""
    return LabelWorld(
        (film_s,) * FILMS,
        INTERVAL_S,
        half_life_s,
        groups=10,
        labels_per_group=4,
        active=0.2,
        hit=0.6,
        false_alarm=0.02,
        film_base_rate_sd=1.0,
        seed=seed,
    )


def like_the_published(config: TimescalesConfig) -> tuple[dict[str, pd.DataFrame], pd.DataFrame, np.ndarray]:
    """A hundred films of about 95.5 min whose associations last one minute, in time order and in the order of a set.

    How often labels occur was chosen so that R2 has about the published level; nothing else was fitted.

    Returns
    -------
    curves : dict of str to DataFrame
        Order of the rows to the published R2 by ``lag_s``.
    ours : DataFrame
        `half_lives` of the same stream.
    film_s : float64 array (films,)
        Durations of the films.
    """
    generator = np.random.default_rng(0)
    film_s = np.clip(generator.normal(95.5, 15.0, 100), 70.0, 150.0).round() * 60
    world = LabelWorld(
        tuple(film_s.tolist()),
        1.0,
        STREAM_HALF_LIFE_S,
        groups=30,
        labels_per_group=2,
        active=0.1,
        hit=0.25,
        false_alarm=0.005,
        film_base_rate_sd=1.6,
        seed=0,
    )
    stream, truth = simulate(world)
    in_time = [presence_matrix(stream, truth.labels, [film]) for film in stream.movies]  # sparse: labels are rare
    orders = [set_order(np.rint(1000 * stream.time_s(film)).astype(int)) for film in stream.movies]
    in_set = [seen[order] for seen, order in zip(in_time, orders, strict=True)]
    rows = np.unique(np.rint(np.linspace(1, 7200, 20)).astype(int))  # one row a second
    curves = {
        name: association_r2(films, rows, STREAM_PARTS).rename(columns={"lag": "lag_s"})
        for name, films in zip(figures.ORDER_LINES, (in_time, in_set), strict=True)
    }
    config = dataclasses.replace(config, step_s=5.0)
    pairs = label_pairs(stream, lag_grid(1.0, film_s.min() - 1, config.lags), config)
    return curves, half_lives([association(pairs, config)], config), film_s


def films_of_shots(config: TimescalesConfig) -> tuple[dict[str, pd.DataFrame], pd.Series]:
    """RMS difference of films of shots that open in black: to the first frame as published, and over all pairs.

    Returns
    -------
    curves : dict of str to DataFrame
        ``rms_difference``, grey levels, by ``lag_s``; the truth scaled to unrelated frames, and the published curve.
    found : Series
        Half-life that our estimator finds above the film's base rate, with its interval, s.
    """
    generator = np.random.default_rng(1)
    lags_s, pictures = lag_grid(1.0, 600.0, config.lags), []
    for _ in range(SHOT_FILMS):
        shot = np.cumsum(generator.random(SHOT_FILM_S) >= 0.5 ** (1 / SHOT_HALF_LIFE_S))
        scenery = 110 + 25 * generator.normal(size=PIXELS) + 55 * generator.normal(size=(shot[-1] + 1, PIXELS))
        pictures.append(np.clip(scenery[shot], 0, 255))
        pictures[-1][: 1 + round(generator.exponential(BLACK_S))] = 0
    time_s = np.arange(SHOT_FILM_S)  # one frame a second
    to_first = [rms_to_first_frame(film, time_s, lags_s, FRAMES_PER_SECOND) for film in pictures]
    names = np.repeat([f"film-{i:02d}" for i in range(SHOT_FILMS)], SHOT_FILM_S)
    index = pd.DataFrame({"movie_id": names, "time_s": np.tile(time_s, SHOT_FILMS)})
    looks = compare_frames(index, np.concatenate(pictures), lags_s, correlation=False)
    all_pairs = rms_difference(looks, config)
    truth = all_pairs.same_film * np.sqrt(1 - 0.5 ** (np.array(lags_s) / SHOT_HALF_LIFE_S))
    theirs = published("rms_difference")
    curves = {
        "all pairs (ours)": all_pairs,
        "first frame (published estimator)": pd.DataFrame(
            {"lag_s": lags_s, "rms_difference": np.mean(to_first, axis=0)}
        ),
        "truth": pd.DataFrame({"lag_s": lags_s, "rms_difference": truth}),
        "published films, first frame": theirs[theirs.lag_s.between(1, max(lags_s))],
    }
    found = half_lives([persistence("rms", looks, config)], config).set_index("level").loc["film base rate"]
    return curves, found


def main() -> None:
    """Make the three comparisons, and write their tables and figures."""
    config = load_experiment("miniature").section("timescales", TimescalesConfig)
    r2, reported = worlds_of_known_half_life(config)
    curves, ours, film_s = like_the_published(config)
    rms, found = films_of_shots(config)
    style.use_house_style()
    drawn = {
        "r2": figures.r2_by_lag(r2, films=FILMS, parts=PARTS, interval_s=INTERVAL_S),
        "reported": figures.reported(reported, confidence=config.confidence, films=FILMS, worlds=len(SEEDS)),
        "poster": figures.r2_beside_published(
            curves, published("association_r2"), film_s=film_s, half_life_s=STREAM_HALF_LIFE_S, parts=STREAM_PARTS
        ),
        "rms": figures.rms_by_lag(rms, found, films=SHOT_FILMS, half_life_s=SHOT_HALF_LIFE_S),
    }
    for name, table in (("estimators", reported), ("estimators_poster", ours)):
        with atomic(HERE / f"{name}.csv") as temporary:
            table.to_csv(temporary, index=False, float_format="%.5g")
    tables = {
        "r2": ["validation/estimators.csv"],
        "reported": ["validation/estimators.csv"],
        "poster": ["validation/estimators_poster.csv", "data_manifests/published_association_r2.csv"],
        "rms": ["data_manifests/published_rms_difference.csv"],
    }
    for name, figure in drawn.items():
        about = {"figure": f"estimators_{name}", "study": "validation.estimators", "git_commit": git_commit()}
        write_picture(figure, HERE / f"estimators_{name}.png", tables[name], about)
    write_json(HERE / "estimators.json", record(config, seed=0, seeds=SEEDS))
    print(reported.to_string(index=False, float_format="{:.3g}".format))


if __name__ == "__main__":
    main()
