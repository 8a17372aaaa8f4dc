"""Figures of the evaluation show what their tables hold."""

import itertools

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from semanticcmc.evaluation.lag_curve import over_seeds
from semanticcmc.figures import accuracy as dissociation
from semanticcmc.figures import captions, comparisons, layers, style
from semanticcmc.figures.summaries import seeds_text, summary
from tests.figures.test_figures import curve_table, lightness, lines, points, segments

NETWORKS = ["random", "augment", "cmc_lab", "semantic_1s", "semantic_60s", "semantic_600s"]
LAGS_S = (1.0, 60.0, 600.0)


@pytest.fixture(autouse=True)
def house_style():
    with matplotlib.rc_context():
        style.use_house_style()
        yield
        plt.close("all")


def accuracy_table(seeds=(0,), conditions=("intact",), draw=3):
    generator = np.random.default_rng(draw)
    rows = []
    for seed, network, condition in itertools.product(seeds, NETWORKS, conditions):
        for measure in ("knn", "linear_probe"):
            value = generator.uniform(0.2, 0.8)
            where = {"network": network, "lag_s": np.nan, "seed": seed, "layer": "fc7", "condition": condition}
            rows.append(where | {"measure": measure, "accuracy": value, "ci_low": value - 0.1, "ci_high": value + 0.05})
        rows.append(rows[-1] | {"measure": "chance", "accuracy": 1 / 48, "ci_low": np.nan, "ci_high": np.nan})
    return pd.DataFrame(rows)


def bars(ax, axis):
    """(low, high) of all bars along x (0) or y (1)."""
    found = set()
    for collection in ax.collections:
        for segment in collection.get_segments():
            if segment[0][1 - axis] == segment[1][1 - axis]:
                found.add((round(float(segment[0][axis]), 9), round(float(segment[1][axis]), 9)))
    return found


def rounded(low, high):
    return {(round(a, 9), round(b, 9)) for a, b in zip(low, high, strict=True)}


def test_a_summary_of_one_seed_is_the_seed_and_of_several_their_mean():
    table = curve_table((0, 1, 2), LAGS_S)
    rows = table[(table.layer == "fc7") & (table.control == "random")]
    found = summary(rows, over_seeds(table, 0.9)).set_index(["network", "model"])
    for key, own in rows.groupby(["network", "model"]):
        from scipy import stats

        low, high = stats.t.interval(0.9, 2, loc=own.mantel_r.mean(), scale=stats.sem(own.mantel_r))
        one = found.loc[key]
        assert [one.mantel_r, one.ci_low, one.ci_high] == pytest.approx([own.mantel_r.mean(), low, high])
        assert one.significant == (own.p_holm < 0.05).all()
    rows = rows[rows.seed == 1]
    alone = summary(rows, over_seeds(rows, 0.9))
    np.testing.assert_allclose(alone[["mantel_r", "ci_low", "ci_high"]], rows[["mantel_r", "ci_low", "ci_high"]])


def test_seeds_are_counted_as_a_person_would():
    table = curve_table((0, 1, 2))
    assert seeds_text(table[table.seed == 2], 0.9).startswith("1 seed (2); bars: 90")
    assert "bootstrap over classes" in seeds_text(table[table.seed == 2], 0.9)
    assert seeds_text(table, 0.9).startswith("3 seeds: points are their means")
    assert captions.control_text("random", 1) == "given the RDM of one untrained network"
    assert "mean RDM of 7" in captions.control_text("random", 7)
    assert [captions.values_text(column) for column in ([48, 48], [40, 48, 1000], [])] == ["48", "40 to 1,000", "no"]


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_layers_draws_a_line_a_network_in_the_order_of_the_layers(seeds):
    table = curve_table(seeds, layers=("conv1", "conv5", "fc6", "fc7"))
    ax = layers.layers(table, over_seeds(table, 0.95), "lch")
    assert [text.get_text() for text in ax.get_xticklabels()] == ["conv1", "conv5", "fc6", "fc7"]
    chosen = table[(table.model == "lch") & (table.control == "random")]
    assert {line.get_gid() for line in ax.get_lines()} - {None} == set(chosen.network)
    for network in set(chosen.network):
        [line] = lines(ax, network)
        wanted = chosen[chosen.network == network].groupby("layer", sort=False).mantel_r.mean()
        assert line.get_ydata() == pytest.approx(wanted.to_numpy())
    if len(seeds) == 1:
        assert segments(ax) == rounded(chosen.ci_low, chosen.ci_high)
    text = layers.layers_caption(table, "random", "intact", 0.95, 5)
    assert ("2 seeds" if len(seeds) > 1 else "1 seed (0)") in text and "5 untrained" in text and "48 classes" in text


def test_conditions_of_one_network_differ_in_marker_and_lightness():
    conditions = ["intact", "object", "background", "blur", "grey"]
    generator = np.random.default_rng(0)
    table = pd.DataFrame(
        [
            {"condition": condition, "layer": layer, "mantel_r": generator.uniform(0, 1), "ci_low": 0.0, "ci_high": 1.0}
            for condition, layer in itertools.product(conditions, ("conv5", "fc7"))
        ]
    )
    ax = layers.conditions_by_layer(table)
    drawn = [lines(ax, condition)[0] for condition in conditions]
    assert len({line.get_marker() for line in drawn}) == 5
    for line, condition in zip(drawn, conditions, strict=True):
        assert line.get_ydata() == pytest.approx(table[table.condition == condition].mantel_r.to_numpy())
    assert lightness(drawn[0].get_color()) < min(lightness(line.get_color()) for line in drawn[1:]) - 10


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_dissociation_has_intervals_both_ways(seeds):
    table, accuracy = curve_table(seeds, LAGS_S), accuracy_table(seeds).sample(frac=1, random_state=0)
    both = over_seeds(table, 0.95), over_seeds(accuracy, 0.95, "accuracy")
    ax = dissociation.dissociation(table, accuracy, *both, "fc7", "category")
    rows = table[(table.layer == "fc7") & (table.model == "category") & (table.control == "random")]
    scores = accuracy[(accuracy.measure == "knn") & (accuracy.network != "random")]
    for network in NETWORKS[1:]:
        [line] = lines(ax, network)
        assert line.get_xdata() == pytest.approx([scores[scores.network == network].accuracy.mean()])
        assert line.get_ydata() == pytest.approx([rows[rows.network == network].mantel_r.mean()])
        if len(seeds) > 1:
            own = rows[rows.network == network].merge(scores, on=["network", "seed"])
            [line] = lines(ax, f"{network} seeds")
            drawn = set(zip(line.get_xdata(), line.get_ydata(), strict=True))
            assert drawn == set(zip(own.accuracy, own.mantel_r, strict=True))
    assert not lines(ax, "random")  # it has no partial correlation given itself
    if len(seeds) == 1:
        assert bars(ax, 0) == rounded(scores.ci_low, scores.ci_high)
        assert bars(ax, 1) == rounded(rows.ci_low, rows.ci_high)
    else:
        assert len(bars(ax, 0)) == len(bars(ax, 1)) == 5
    assert any(np.allclose(line.get_xdata(), 1 / 48) for line in ax.get_lines())
    text = dissociation.dissociation_caption(table, "fc7", "category", "random", 0.95, 5)
    assert "both ways" in text and ("1 seed (0)" if len(seeds) == 1 else "3 seeds") in text


def test_dissociation_without_any_accuracy_says_so():
    table, accuracy = curve_table(lags_s=LAGS_S), accuracy_table()
    accuracy.loc[accuracy.measure != "chance", ["accuracy", "ci_low", "ci_high"]] = np.nan
    both = over_seeds(table, 0.95), over_seeds(accuracy, 0.95, "accuracy")
    ax = dissociation.dissociation(table, accuracy, *both, "fc7", "category")
    assert any("no class accuracy" in text.get_text() for text in ax.texts)
    ax = dissociation.accuracy_by_condition(accuracy, both[1], "fc7", "knn")
    assert any("no class accuracy" in text.get_text() for text in ax.texts)


def test_accuracy_is_drawn_under_every_condition():
    accuracy = accuracy_table(conditions=("intact", "object", "background"))
    ax = dissociation.accuracy_by_condition(accuracy, over_seeds(accuracy, 0.95, "accuracy"), "fc7", "linear_probe")
    rows = accuracy[accuracy.measure == "linear_probe"]
    for condition in ("intact", "object", "background"):
        [line] = lines(ax, condition)
        own = rows[rows.condition == condition].set_index("network").accuracy[NETWORKS]
        assert line.get_ydata() == pytest.approx(own.to_numpy())
    assert segments(ax) == rounded(rows.ci_low, rows.ci_high)
    assert [text.get_text() for text in ax.get_xticklabels()] == [
        "random",
        "augment",
        "L / ab",
        "1 s",
        "60 s",
        "10 min",
    ]


def test_every_control_is_drawn_for_every_network_and_marked_where_it_holds():
    table = curve_table((0,), LAGS_S)
    more = table[table.control == "none"]
    table = pd.concat([table, more.assign(control="cmc_lab", mantel_r=more.mantel_r + 0.01)])
    table = table[table.network != table.control]
    ax = comparisons.controls(table, over_seeds(table, 0.95), "fc7", "lch")
    rows = table[(table.layer == "fc7") & (table.model == "lch")].set_index("network")
    for control in ("none", "random", "cmc_lab"):
        own = rows[rows.control == control].reindex([name for name in NETWORKS if name != control])
        wanted = list(zip(own.mantel_r, own.p_holm < 0.05, strict=True))
        assert points(ax, control) == wanted
    assert {line.get_gid() for line in ax.get_lines()} >= {"none", "random", "cmc_lab"}
    looks = [comparisons.CONTROL_STYLES[name]["color"] for name in comparisons.CONTROL_STYLES]
    assert len({round(lightness(color)) for color in looks}) == len(looks)
    assert "mean RDM of 5" in comparisons.controls_caption(table, "fc7", "intact", 0.95, 5)


def comparison_table(seeds):
    generator = np.random.default_rng(1)
    rows = [
        {
            "condition": "intact",
            "seed": seed,
            "layer": "fc7",
            "model": "lch",
            "control": "random",
            "first": first,
            "second": second,
            "difference": generator.normal(0, 0.1),
            "p_holm": generator.choice([0.01, 0.5]),
        }
        for seed in seeds
        for first, second in itertools.combinations(NETWORKS[1:], 2)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_matrix_of_differences_prints_each_with_a_dot_a_seed_that_tells_them_apart(seeds):
    table = comparison_table(seeds)
    ax = comparisons.lag_comparisons(table, NETWORKS, "lch", "random", "intact")
    labels = {name: look["label"] for name, look in style.network_styles(NETWORKS).items()}
    assert [text.get_text() for text in ax.get_yticklabels()] == [labels[name] for name in NETWORKS[2:]]
    assert [text.get_text() for text in ax.get_xticklabels()] == [labels[name] for name in NETWORKS[1:-1]]
    drawn = {text.get_gid(): text for text in ax.texts if text.get_gid()}
    for (first, second), own in table.groupby(["first", "second"]):
        text = drawn[f"{second} {first}"]
        number = float(text.get_text().replace("\N{MINUS SIGN}", "-"))
        assert number == pytest.approx(-own.difference.mean(), abs=0.0051)
        told = int((own.p_holm < 0.05).sum())
        assert sum(len(line.get_xdata()) for line in lines(ax, f"{second} {first} told apart")) == told
        assert (text.get_fontweight() == "bold") == (told > 0)
    assert len(drawn) == 10
    text = comparisons.lag_comparisons_caption(table, "fc7", "random", 5)
    assert "Holm-corrected for the 10 comparisons" in text and ("3 seeds" if len(seeds) > 1 else "1 seed") in text


def test_ink_can_be_read_on_every_shade_of_a_matrix():
    """Contrast of at least 4.5 to 1 (WCAG 2)."""

    def luminance(color):
        return sum(
            w * (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4)
            for w, c in zip((0.2126, 0.7152, 0.0722), to_rgb(color), strict=True)
        )

    rows = [
        {"condition": "intact", "seed": 0, "control": "none", "first": first, "second": second, "r": 1.0}
        for first, second in itertools.combinations(NETWORKS, 2)
    ]
    ax = comparisons.connectivity(pd.DataFrame(rows), NETWORKS, "none", "intact")
    for patch in ax.patches:
        assert (luminance(patch.get_facecolor()) + 0.05) / (luminance(style.INK) + 0.05) > 4.5


def test_connectivity_prints_the_mean_over_seeds_and_leaves_out_what_is_not_there():
    generator = np.random.default_rng(2)
    table = pd.DataFrame(
        [
            {
                "condition": "intact",
                "layer": "fc7",
                "seed": seed,
                "control": control,
                "first": first,
                "second": second,
                "r": generator.uniform(-0.2, 1),
            }
            for seed in (0, 1)
            for control in ("none", "random")
            for first, second in itertools.combinations(NETWORKS[control == "random" :], 2)
        ]
    )
    for control, count in (("none", 15), ("random", 10)):
        ax = comparisons.connectivity(table, NETWORKS, control, "intact")
        drawn = {text.get_gid(): float(text.get_text().replace("\N{MINUS SIGN}", "-")) for text in ax.texts}
        assert len(drawn) == count
        for (first, second), own in table[table.control == control].groupby(["first", "second"]):
            assert drawn[f"{second} {first}"] == pytest.approx(own.r.mean(), abs=0.0051)
    assert "mean of 2 seeds" in comparisons.connectivity_caption(table, "fc7", 5)
    table.loc[table["second"] == "semantic_60s", "r"] = np.nan  # a dead network: a dash
    ax = comparisons.connectivity(table, NETWORKS, "none", "intact")
    assert sum(text.get_text() == "-" for text in ax.texts) == 4


def test_a_matrix_of_one_network_says_that_there_is_nothing_to_compare():
    ax = comparisons.connectivity(
        pd.DataFrame(columns=["control", "condition", "first", "second", "r"]), [], "none", "intact"
    )
    assert any("fewer than two networks" in text.get_text() for text in ax.texts)


@pytest.mark.parametrize(
    "value", [(0.004, ".00"), (-0.004, ".00"), (0.126, "+.13"), (-0.126, "\N{MINUS SIGN}.13"), (1.0, "+1.00")]
)
def test_differences_are_printed_with_a_sign_where_there_is_one(value):
    assert comparisons._number(value[0], signed=True) == value[1]


def test_noise_ceiling_stands_above_the_simple_correlations():
    table = curve_table((0, 1), LAGS_S)
    ceilings = pd.DataFrame(itertools.product(NETWORKS, (0, 1)), columns=["network", "seed"])
    ceilings = ceilings.assign(layer="fc7", condition="intact", ceiling=0.9 + 0.005 * ceilings.index)
    ax = dissociation.noise_ceiling(table, ceilings, "fc7")
    [line] = lines(ax, "ceiling")
    assert sorted(line.get_ydata()) == pytest.approx(sorted(ceilings.ceiling))
    rows = table[(table.layer == "fc7") & (table.control == "none") & (table.model == "lch")]
    assert sorted(lines(ax, "lch")[0].get_ydata()) == pytest.approx(sorted(rows.mantel_r))
    assert "2 seeds" in dissociation.noise_ceiling_caption(table, "fc7", 0.95)
    ax = dissociation.noise_ceiling(table, ceilings.assign(ceiling=np.nan), "fc7")
    assert any("no noise ceiling" in text.get_text() for text in ax.texts)
