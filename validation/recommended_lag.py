"""Which rule names the best lag from films and labels alone? Up to 24 worlds of their own (3 hours of one core).

    python -m validation.recommended_lag train 0 2    (goes on where it stopped; the first of two such processes)
    python -m validation.recommended_lag              (names the lags, compares the rules, and draws them)

How long scenes last, how many things meet in one, how strong a film's colours differ, and all that a world's seed
draws are independent of each other and of every world the rules were made in; themes are categories, as in
experiments/miniature.yaml. Each world trains one network at each of seven lags and at each other lag that a rule
names. Its curve is the partial correlation with category given untrained networks, smoothed over the logarithm of the
lag. The *regret* of a rule is the curve's largest value less its value at the rule's lag: at the longest one where
looks never fall so far, and the rule of looks names no lag. Beside it stands the regret without any smoothing: the
largest r of the world's networks less that of the network at the rule's lag. Rules are paired by world, with a 95 % t
interval over worlds: 12 worlds are enough where the interval of a difference lies within `MARGIN`.
The constants of the predicted curve (`predicted_curve`) were fitted to the default world, before these worlds.

Training leaves one RDM a network (primary layer) and a world's labels, looks and truth in `FOLDER`, outside the
repository. Writes recommended_lag.csv (one row a world and lag), recommended_lag_rules.csv (one row a world and rule),
recommended_lag_summary.csv (each rule's regret and its difference from the first, among all worlds, and among those
where the rule of looks names a lag), a record and a figure.
"""

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from scipy.interpolate import make_smoothing_spline
from scipy.special import stdtr, stdtrit
from validation.kind_or_company import TEST, UNTRAINED, miniature_in, rdm_of
from validation.predicted_curve import LAGS_S as PREDICTED_S
from validation.predicted_curve import predicted_curve

from semanticcmc.config import configure
from semanticcmc.evaluation.rdm_files import untrained_network
from semanticcmc.experiment import Experiment, read_values
from semanticcmc.figures import style
from semanticcmc.films.store import FrameStore
from semanticcmc.labels.stream import read_labels
from semanticcmc.rsa.mantel import mantel_table
from semanticcmc.rsa.rdm import RDM, read_rdms, write_rdms
from semanticcmc.rsa.semantics import category_rdm
from semanticcmc.run import atomic, record, write_csv, write_json
from semanticcmc.timescales.appearance import compare_frames, persistence
from semanticcmc.timescales.association import as_wnids
from semanticcmc.timescales.curves import TimescalesConfig, lag_grid
from semanticcmc.timescales.decay import LOOKS_GONE
from semanticcmc.timescales.pairs import label_pairs
from semanticcmc.training.checkpoints import load_network
from semanticcmc.training.loop import Run
from semanticcmc.world.build import build
from semanticcmc.world.config import WorldConfig

HERE = Path(__file__).parent
FOLDER = Path(os.environ.get("RECOMMENDED_LAG", HERE.parent / "results" / "validation" / "recommended_lag"))
WORLDS, SEED = 24, 17
MARGIN = 0.02  # of partial r, both ways: rules whose regrets differ by less are as good as each other
LAGS_S = (1, 3, 10, 30, 90, 270, 810)
PENALTIES = {"regret": 1.0, "regret_less_smooth": 0.3, "regret_smoother": 3.0}  # on the curve's second derivative
FINE = np.geomspace(LAGS_S[0], LAGS_S[-1], 271)


def of_world(world: int) -> dict[str, Any]:
    """What differs from the miniature's world, drawn for each world by a generator of its own."""
    draw = np.random.default_rng([SEED, world])
    scene_s = float(np.exp(draw.uniform(np.log(60), np.log(600))))
    beat_s = scene_s * draw.uniform(0.15, 0.3)
    shot_s = beat_s * draw.uniform(0.15, 0.3)
    spans = {"scene_s": scene_s, "beat_s": beat_s, "shot_s": shot_s}
    spans = {name: [round(float(mean) * 2 / 3, 2), round(float(mean) * 4 / 3, 2)] for name, mean in spans.items()}
    grade, cast = round(float(draw.uniform(0, 1)), 3), int(draw.integers(3, 7))
    return {"seed": 1000 + world, **spans, "film_grade": grade, "cast_size": cast}


def prepared(world: int) -> Experiment:
    """A world, drawn once, with how long its looks last and the RDMs of its truth and its untrained networks."""
    one = miniature_in(FOLDER / f"world_{world:02d}", of_world(world))
    folder = one.folder
    build(one.section("world", WorldConfig), folder, processes=1)  # what is drawn stays
    if not (folder / "models.parquet").exists():
        config = one.section("timescales", TimescalesConfig)
        store = FrameStore(folder / "frames")
        lags_s = lag_grid(1.0, 0.75 * one.section("world", WorldConfig).film_duration_s, config.lags)
        looks = compare_frames(store.index, store.resident(config.frame_px), lags_s, correlation=True)
        write_csv(folder / "looks.csv", persistence("appearance", looks, config).table(config))
        classes = tuple(pd.read_csv(folder / "world" / "classes.csv").wnid)
        models = {"category": category_rdm(classes, folder / "world/classes.csv")}
        for k in range(UNTRAINED):
            rdm = rdm_of(one, untrained_network(one, one.network("random", k)))
            models[f"random {k}"] = RDM(rdm.subset(classes).values, classes)
        write_rdms(folder / "models.parquet", models)
    return one


def file_of(world: int, lag_s: float) -> Path:
    """Where the RDM of a world's network at a lag lies."""
    return FOLDER / "rdms" / f"{world:02d}_{lag_s:g}s.parquet"


def lags_of(world: int) -> list[float]:
    """The lags (s) of a prepared world's networks: the seven, and those that rules name."""
    named = {lag_s for lag_s in rules_of(world).values() if np.isfinite(lag_s)}
    return sorted(named | set(LAGS_S))


def train_all(first: int = 0, of: int = 1, worlds: int = WORLDS) -> None:
    """Train every network that is not trained yet, of each `of`-th world from the `first`."""
    torch.set_num_threads(1)
    for world in range(worlds)[first::of]:
        folder = FOLDER / f"world_{world:02d}"
        if not (folder / "models.parquet").exists():
            prepared(world)
        missing = [lag_s for lag_s in lags_of(world) if not file_of(world, lag_s).exists()]
        one = prepared(world) if missing else None
        for lag_s in missing:
            trained = load_network(Run(one, one.network(f"semantic_{lag_s:g}s", world)).train())
            write_rdms(file_of(world, lag_s), {one.primary_layer: rdm_of(one, trained)})
            print(file_of(world, lag_s).name, flush=True)
        shutil.rmtree(folder / "frames", ignore_errors=True)  # 60 MB


def curve_of(world: int) -> pd.DataFrame:
    """A world's trained curve at `lags_of` it."""
    models = read_rdms(FOLDER / f"world_{world:02d}" / "models.parquet")
    category = models["category"]
    random = RDM(np.mean([models[f"random {k}"].values for k in range(UNTRAINED)], axis=0), category.classes)
    lags_s = lags_of(world)
    rdms = {lag_s: read_rdms(file_of(world, lag_s))["fc7"] for lag_s in lags_s}
    rdms = {lag_s: RDM(rdm.subset(category.classes).values, category.classes) for lag_s, rdm in rdms.items()}
    table = mantel_table(rdms, {"category": category}, control=random, **TEST)
    return pd.DataFrame({"world": world, "lag_s": lags_s, "r": table.mantel_r, "p": table.p})


def rules_of(world: int) -> dict[str, float]:
    """The lag (s) that each rule names for a world, from its frames and labels."""
    folder, declared = FOLDER / f"world_{world:02d}", read_values("miniature")[0]
    classes = pd.read_csv(folder / "world" / "classes.csv")
    stream = as_wnids(read_labels(folder / "labels"), dict(zip(classes.noun, classes.wnid, strict=True)))
    config = configure(TimescalesConfig, declared["timescales"], "miniature")
    pairs = label_pairs(stream, (0.0, *PREDICTED_S), config)
    looks = pd.read_csv(folder / "looks.csv").query("level == 'corpus base rate'").dropna(subset="value")
    models = {"category": category_rdm(tuple(classes.wnid), folder / "world" / "classes.csv")}
    dimensions = declared["networks"]["embedding_dim"]
    both = predicted_curve(pairs, models, dimensions, looks)
    alone = predicted_curve(pairs, models, dimensions)
    gone = looks.lag_s[looks.value < LOOKS_GONE]
    return {
        "predicted curve": both.lag_s[both.predicted_r.idxmax()],
        "predicted, labels alone": alone.lag_s[alone.predicted_r.idxmax()],
        f"looks below {LOOKS_GONE:g}": float(gone.min()) if len(gone) else np.inf,  # the longest lag trained
        "association x (1 - looks)": both.lag_s[(both.association_r * (1 - both.looks)).idxmax()],
        "60 s everywhere": 60.0,
    }


def regret(curve: pd.DataFrame, lag_s: float, smooth: float) -> float:
    """Largest value of a world's smoothed curve less its value at a lag, brought into the range of `LAGS_S`."""
    step = np.log(LAGS_S[1] / LAGS_S[0])
    spline = make_smoothing_spline(np.log(curve.lag_s) / step, curve.r, lam=smooth)
    return float(spline(np.log(FINE) / step).max() - spline(np.log(np.clip(lag_s, LAGS_S[0], LAGS_S[-1])) / step))


def regret_as_trained(curve: pd.DataFrame, lag_s: float) -> float:
    """Largest r of a world's networks less that of the network at a lag; no smoothing."""
    return float(curve.r.max() - curve.r[curve.lag_s == min(lag_s, LAGS_S[-1])].item())


def t_interval(values: np.ndarray) -> dict[str, float]:
    """Mean over worlds, its 95 % t interval and two-sided p."""
    n, mean, error = len(values), values.mean(), values.std(ddof=1) / np.sqrt(len(values))
    half, p = error * stdtrit(n - 1, 0.975), 2 * stdtr(n - 1, -abs(mean / error)) if error else 1.0
    return {"mean": mean, "low": mean - half, "high": mean + half, "p": p, "worlds": n}


def summarise(rules: pd.DataFrame, column: str) -> pd.DataFrame:
    """Each rule's mean regret, and the difference of each from the first rule's, with intervals over worlds."""
    wide = rules.pivot(index="world", columns="rule", values=column)[list(dict.fromkeys(rules.rule))]
    rows = [{"rule": name, "than": "", **t_interval(wide[name].to_numpy())} for name in wide]
    first = wide.columns[0]
    rows += [
        {"rule": name, "than": first, **t_interval((wide[name] - wide[first]).to_numpy())} for name in wide.columns[1:]
    ]
    return pd.DataFrame(rows)


def draw(curves: pd.DataFrame, rules: pd.DataFrame, summary: pd.DataFrame) -> dict[str, str]:
    """Every world's curve, and the regret of each rule with the worlds behind it."""
    style.use_house_style()
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.8), layout="constrained")
    for _, curve in curves.groupby("world"):
        left.plot(curve.lag_s, curve.r, color=style.QUIET, linewidth=0.8)
    mean = curves[curves.lag_s.isin(LAGS_S)].groupby("lag_s").r.mean()
    left.plot(mean.index, mean, color=style.INK, marker="o", label="mean over worlds")
    left.set(xscale="log", xlabel="time lag (s)", ylabel="Partial r with category, fc7")
    left.set_xticks(LAGS_S, [f"{lag_s:g}" for lag_s in LAGS_S], minor=False)
    left.minorticks_off()
    left.legend(frameon=False)
    means = summary[(summary.than == "") & (summary.among == "all")].reset_index(drop=True)
    for place, row in means.iterrows():
        own = rules[rules.rule == row.rule].regret
        right.plot(own, np.full(len(own), place), ".", color=style.QUIET, markersize=4)
        error = [[row["mean"] - row.low], [row.high - row["mean"]]]
        right.errorbar(row["mean"], place, xerr=error, fmt="o", color=style.INK, capsize=3)
    right.set_yticks(range(len(means)), means.rule)
    right.invert_yaxis()
    right.set_xlabel("regret (partial r)")
    n = int(means.worlds.iloc[0])
    caption = (
        f"{n} worlds whose scenes, casts and grades were drawn independently, themes being categories. Left: trained "
        "curves, one network a lag; the mean is at the seven lags of all. Right: what each rule's lag loses "
        "against the best of the smoothed curve; dots are worlds, bars 95 % t intervals over worlds."
    )
    style.caption(figure, caption)
    with atomic(HERE / "recommended_lag.png") as temporary:
        figure.savefig(temporary, dpi=110)
    plt.close(figure)
    alt = "Left, curves of all worlds over the lag with their mean; right, the regret of each rule with its interval."
    return {"alt": alt, "caption": caption}


def main() -> None:
    """Train, or compare the rules in the worlds that are wholly trained."""
    if sys.argv[1:2] == ["train"]:
        return train_all(*map(int, sys.argv[2:]))
    torch.set_num_threads(1)
    started = [world for world in range(WORLDS) if file_of(world, LAGS_S[0]).exists()]
    done = [world for world in started if all(file_of(world, lag_s).exists() for lag_s in lags_of(world))]
    curves = pd.concat([curve_of(world) for world in done], ignore_index=True)
    rules = pd.DataFrame(
        [
            {"world": world, "rule": rule, "lag_s": lag_s}
            | {name: regret(curves[curves.world == world], lag_s, smooth) for name, smooth in PENALTIES.items()}
            | {"regret_as_trained": regret_as_trained(curves[curves.world == world], lag_s)}
            for world in done
            for rule, lag_s in rules_of(world).items()
        ]
    )
    silent = rules.world[np.isinf(rules.lag_s)]  # worlds where the rule of looks names no lag
    summary = pd.concat(
        summarise(own, "regret").assign(among=among)
        for among, own in (("all", rules), ("where looks fall", rules[~rules.world.isin(silent)]))
    )
    write_csv(HERE / "recommended_lag.csv", curves)
    write_csv(HERE / "recommended_lag_rules.csv", rules)
    write_csv(HERE / "recommended_lag_summary.csv", summary)
    others = {name: summarise(rules, name).to_dict("records") for name in [*list(PENALTIES)[1:], "regret_as_trained"]}
    one = read_values("miniature")[0]
    worlds = {world: of_world(world) for world in done}
    config = {"worlds": worlds} | {section: one[section] for section in ("training", "networks", "evaluation")}
    config |= {"other_regrets": others, "margin": MARGIN, "looks_gone": LOOKS_GONE}
    words = draw(curves, rules, summary)
    write_json(HERE / "recommended_lag.json", record(config, seed=SEED) | words)
    print(summary.to_string())


if __name__ == "__main__":
    main()
