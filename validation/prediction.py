"""Does the lag curve predicted from labels hold in worlds that the predictor has not seen?

    python -m validation.prediction           (after validation.lag_curve, which trains the networks; a minute)

The predictor's two constants (`prediction.NOISE`, `prediction.LOOKS`) are fitted here to the trained curve of the
default world alone, and the fit is compared with the constants that the package holds. Then, with those constants,
every world of `UNSEEN` is predicted from its labels, with the perceptual curve of its frames and without, and compared
with its trained curve: the error of the best lag in steps of the world's own grid of lags, and Spearman's correlation.
Writes prediction.csv (one row a world, model and lag), prediction_summary.csv (one row a world and model), a record and
a figure.
"""

from pathlib import Path

import lag_curve as trained_worlds
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.optimize import least_squares
from scipy.stats import spearmanr

from semanticcmc.evaluation.models import category_table
from semanticcmc.experiment import Experiment, load_experiment
from semanticcmc.figures import style
from semanticcmc.labels.stream import experiment_labels
from semanticcmc.rsa.semantics import category_rdm, lch_rdm
from semanticcmc.run import atomic, record, write_json
from semanticcmc.timescales import prediction
from semanticcmc.timescales.curves import TimescalesConfig
from semanticcmc.timescales.pairs import label_pairs
from semanticcmc.training.networks import NetworksConfig

HERE = Path(__file__).parent
MINIATURE = load_experiment(HERE.parent / "analysis/experiments/miniature.yaml")  # all worlds share what is asked of it
SEEN = "miniature"
UNSEEN = ("four_times_faster", "two_times_faster", "three_times_slower", "objects_shuffled")
KINDS = ("labels and looks", "labels alone")
CONFIG = {"permutations": 999, "bootstrap_samples": 500, "confidence": 0.95, "seed": 0}


def predict(experiment: Experiment, lags_s: list[float]) -> pd.DataFrame:
    """Predicted curves of one world at the lags trained, both kinds."""
    wnids = pd.read_csv(experiment.folder / "world/classes.csv").wnid.tolist()
    models = {"category": category_rdm(wnids, category_table(experiment)), "lch": lch_rdm(wnids)}
    stream = prediction.labels_as_wnids(experiment, experiment_labels(experiment))
    table = pd.read_csv(experiment.folder / "tables/timescales.csv")
    looks = table[(table.measure == "appearance") & (table.level == "corpus base rate")][["lag_s", "value"]]
    config = prediction.PredictionConfig(lags_s=tuple(lags_s), **CONFIG)
    dimensions = MINIATURE.section("networks", NetworksConfig).embedding_dim
    pairs = label_pairs(stream, (0.0, *lags_s), MINIATURE.section("timescales", TimescalesConfig))
    curves = []
    for kind, given in zip(KINDS, (looks, None), strict=True):
        found = prediction.predicted_lag_curve(pairs, models, config, dimensions, given)
        best = found.best.rename(columns={"lag_s": "best_lag_s", "ci_low_s": "best_low_s", "ci_high_s": "best_high_s"})
        curves.append(found.curve.assign(kind=kind).merge(best, on="model"))
    return pd.concat(curves, ignore_index=True)


def trained_curve(world: str) -> pd.DataFrame:
    """Mean over seeds of the trained partial correlation given the random network, by model and lag."""
    table = pd.read_csv(HERE / "lag_curve.csv", keep_default_na=False, na_values=[""])
    rows = table[(table.world == world) & (table.control == "random") & (table.lag_s > 0)]
    rows = rows.astype({"mantel_r": float, "lag_s": float})
    return rows.groupby(["model", "lag_s"]).mantel_r.agg(trained_r="mean", seeds="size").reset_index()


def fitted_constants(curves: pd.DataFrame) -> tuple[float, float]:
    """NOISE and LOOKS that bring the seen world's curves nearest to the trained ones, least squares."""

    def residuals(logs: np.ndarray) -> np.ndarray:
        noise, looks = np.exp(logs)
        nats = curves.information_nats
        shown = curves.association_r * np.sqrt(nats / (nats + noise + looks * curves.looks**2))
        return (shown - curves.trained_r).to_numpy()

    noise, looks = np.exp(least_squares(residuals, np.log([10.0, 100.0])).x)
    return float(noise), float(looks)


def summary(curves: pd.DataFrame) -> pd.DataFrame:
    """Error of the best lag in steps of the trained grid, and rank correlation, by world, kind and model."""
    rows = []
    for (world, kind, model), curve in curves.groupby(["world", "kind", "model"], sort=False):
        curve = curve.sort_values("lag_s", ignore_index=True)
        steps = int(curve.predicted_r.idxmax() - curve.trained_r.idxmax())
        rows.append(
            {
                "world": world,
                "kind": kind,
                "model": model,
                "lags": len(curve),
                "seeds": int(curve.seeds.max()),
                "best_trained_s": curve.lag_s[curve.trained_r.idxmax()],
                "best_predicted_s": curve.best_lag_s[0],
                "best_low_s": curve.best_low_s[0],
                "best_high_s": curve.best_high_s[0],
                "error_steps": steps,
                "spearman": spearmanr(curve.predicted_r, curve.trained_r)[0] if len(curve) > 2 else np.nan,
                "largest_predicted_r": curve.predicted_r.max(),
                "largest_trained_r": curve.trained_r.max(),
            }
        )
    return pd.DataFrame(rows)


def draw(curves: pd.DataFrame) -> None:
    """Predicted over trained, a panel a world, for category; the trained curve in black."""
    style.use_house_style()
    worlds = (SEEN, *UNSEEN)
    figure, axes = plt.subplots(1, len(worlds), figsize=(4.4 * len(worlds), 4.2), sharey=True)
    for ax, world in zip(axes, worlds, strict=True):
        rows = curves[(curves.world == world) & (curves.model == "category")].sort_values("lag_s")
        for kind, line, marker in zip(KINDS, ("-", "--"), ("o", "s"), strict=True):
            own = rows[rows.kind == kind]
            ax.errorbar(
                own.lag_s,
                own.predicted_r,
                [own.predicted_r - own.ci_low, own.ci_high - own.predicted_r],
                linestyle=line,
                marker=marker,
                markersize=5,
                color=style.MODEL_STYLES["category"]["color"],
                label=f"predicted, {kind}",
            )
        own = rows[rows.kind == KINDS[0]]
        ax.plot(own.lag_s, own.trained_r, color="black", marker="D", label="trained, mean of seeds")
        style.zero_line(ax)
        style.lag_axis(ax, sorted(own.lag_s), "time lag")
        title = trained_worlds.WORLDS[world][0]
        ax.set_title(f"{title}{' (fitted to this)' if world == SEEN else ''}", fontsize=style.TEXT_PT)
    axes[0].set_ylabel("partial correlation with category, r")
    axes[0].legend(loc="upper left")
    style.caption(
        figure,
        "Bars: 95 % bootstrap over films of the prediction. Fitted to the first world alone; "
        f"{curves.seeds.min()} to {curves.seeds.max()} seeds trained.",
    )
    with atomic(HERE / "prediction.png") as temporary:
        figure.savefig(temporary, dpi=110)


def main() -> None:
    """Predict every world, compare with what was trained, write tables, record and figure."""
    results = HERE.parent / "results" / "validation"
    curves = []
    for world in (SEEN, *UNSEEN):
        experiment = load_experiment(results / world / "experiment.yaml", results=results)
        trained = trained_curve(world)
        print(f"== {world}: lags {', '.join(f'{lag:g}' for lag in trained.lag_s.unique())} s", flush=True)
        curves.append(predict(experiment, sorted(trained.lag_s.unique())).merge(trained).assign(world=world))
    table = pd.concat(curves, ignore_index=True)
    noise, looks = fitted_constants(table[table.world == SEEN])
    print(
        f"Fitted to {SEEN}: NOISE {noise:.1f} nats (the package holds {prediction.NOISE}), "
        f"LOOKS {looks:.0f} nats ({prediction.LOOKS})"
    )
    found = summary(table)
    print(found.to_string(index=False))
    for name, values in (("prediction", table), ("prediction_summary", found)):
        with atomic(HERE / f"{name}.csv") as temporary:
            values.to_csv(temporary, index=False, float_format="%.5g")
    config = {
        **CONFIG,
        "fitted": {"NOISE": noise, "LOOKS": looks},
        "used": {"NOISE": prediction.NOISE, "LOOKS": prediction.LOOKS},
    }
    write_json(HERE / "prediction.json", record(config, seed=CONFIG["seed"]))
    draw(table)
    print(f"Wrote {HERE / 'prediction.csv'}, prediction_summary.csv, .json and .png")


if __name__ == "__main__":
    main()
