"""Of what company and kind explain of a network's distances, how much is either's alone, and how much is common?

    python -m validation.kind_or_company_commonality [FOLDER OF THE MINIATURE'S RESULTS]

Commonality analysis (`rsa.commonality`) of networks of 60 s at the primary layer: shares of the RDM's variance that the
category, the association of the films' labels, and the true looks explain alone, and that they share, cross-validated
over classes. In experiments/miniature.yaml and in the worlds mixed_0 of `validation.kind_or_company` a theme is a
category, so that association and category are nearly the same RDM; in crossed worlds they have nothing in common.
Nothing is trained: RDMs are read that `kind_or_company` and `make poster` left. Writes the shares as CSV (intervals
over worlds, the networks of a world averaged, or over classes where there is one world), a record, and a figure.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from validation.kind_or_company import EVALUATION, FOLDER, mean_over_worlds, world_config
from validation.pictures import write_picture

from semanticcmc.figures import style
from semanticcmc.figures.style import Drawn
from semanticcmc.rsa import commonality, read_rdms
from semanticcmc.rsa.rdm import RDM
from semanticcmc.rsa.semantics import category_rdm
from semanticcmc.run import atomic, record

HERE = Path(__file__).parent
MINIATURE = HERE.parent / "results" / "miniature"
LAG_S = 60
MODELS = ("category", "association", "look")
PARTS = {
    "category": "category alone",
    "association": "association alone",
    "category & association": "category and association",
    "look": "looks alone",
    "all": "all together",
}
TITLES = {
    "miniature": "by category, one world",
    "mixed_0": "by category, {} worlds",
    "crossed": "crossed themes, {} worlds",
}


def shares(rdm: RDM, models: dict[str, RDM]) -> pd.DataFrame:
    """Parts of one network's RDM."""
    aligned = {name: models[name].subset(rdm.classes) for name in MODELS}
    return commonality({"": rdm}, aligned, method=EVALUATION.method, confidence=EVALUATION.confidence)


def of_worlds(kind: str) -> pd.DataFrame:
    """Shares in all worlds of a kind: means over worlds with their t intervals."""
    found = []
    for file in sorted((FOLDER / "rdms").glob(f"{kind}_*_{LAG_S}s_*.parquet")):
        world = int(file.stem.removeprefix(f"{kind}_").split("_")[0])
        models = read_rdms(FOLDER / f"{kind}_{world}" / "models.parquet")
        models["association"] = models[f"association {LAG_S} s"]
        found.append(shares(read_rdms(file)["fc7"], models).assign(world=world))
    rows = pd.concat(found).set_index("world").groupby("part", sort=False)
    means = rows["share_cv"].apply(mean_over_worlds).unstack().drop(columns="p").rename(columns={"mean": "share_cv"})
    return means.assign(kind=kind, over="worlds", share=rows["share"].mean()).reset_index()


def of_miniature(folder: Path) -> pd.DataFrame:
    """Shares of the default experiment's networks, by seed, with intervals over classes."""
    found = []
    for file in sorted((folder / "rdms" / f"semantic_{LAG_S}s").glob("seed-*_intact.parquet")):
        rdm = read_rdms(file)["fc7"]
        models = {"category": category_rdm(rdm.classes, folder / "world" / "classes.csv")}
        models |= read_rdms(folder / "world" / "look_rdm.parquet")
        models |= read_rdms(folder / "rdms" / "association.parquet")
        found.append(shares(rdm, models).drop(columns="rdm").rename(columns={"ci_low": "low", "ci_high": "high"}))
    rows = pd.concat(found).groupby("part", sort=False).mean().reset_index()  # intervals too: of several seeds the mean
    return rows.assign(kind="miniature", over="classes", worlds=1, networks=len(found))


def draw(table: pd.DataFrame) -> Drawn:
    """A panel a kind of world, a row a part."""
    style.use_house_style()
    axes = style.panels(1, len(TITLES), 1.6, 0.5, sharey=True, sharex=True)
    for ax, (kind, title) in zip(axes, TITLES.items(), strict=True):
        own = table[table.kind == kind].set_index("part").loc[list(PARTS)]
        error = np.abs(own[["low", "high"]].to_numpy().T - own["share_cv"].to_numpy())
        ax.errorbar(own["share_cv"], range(len(own)), xerr=error, fmt="o", color=style.INK, capsize=2.5, markersize=5)
        ax.axvline(0, color=style.QUIET, linewidth=0.8, zorder=0)
        ax.set_yticks(range(len(own)), list(PARTS.values()))
        ax.set_title(title.format(int(own.worlds.iloc[0])), fontsize="medium")
        ax.set_xlabel("share of variance")
    axes[0].invert_yaxis()
    alt = (
        "Three panels: shares of the RDM's variance that category alone, association alone, both in common, looks "
        "alone and all together explain, where a theme is a category (one world, and several) and where themes cross "
        "categories."
    )
    said = f"Networks of {LAG_S} s, fc7, 48 classes; cross-validated over classes; intervals of 95 %: over classes "
    return Drawn(list(axes), alt, said + "(jackknife) in the one world, over worlds (t) in the others.")


def main() -> None:
    """Test what there is, and draw it."""
    miniature = of_miniature(Path(sys.argv[1]) if sys.argv[1:] else MINIATURE)
    table = pd.concat([miniature, of_worlds("mixed_0"), of_worlds("crossed")], ignore_index=True)
    columns = ["kind", "part", "share", "share_cv", "low", "high", "over", "worlds", "networks"]
    with atomic(HERE / "kind_or_company_commonality.csv") as temporary:
        table[columns].to_csv(temporary, index=False, float_format="%.5g")
    worlds = {kind: world_config(kind, 0) for kind in ("mixed_0", "crossed")}
    about = record({"worlds": {kind: vars(world) for kind, world in worlds.items()}, "evaluation": vars(EVALUATION)})
    write_picture(
        draw(table), HERE / "kind_or_company_commonality.png", ["validation/kind_or_company_commonality.csv"], about
    )


if __name__ == "__main__":
    main()
