"""Tables to draw, and what was drawn, as tests of figures want them."""

import itertools

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.colors import to_rgb

from semanticcmc.figures import style
from semanticcmc.figures.style import Drawn
from semanticcmc.figures.tables import Selection

LAGS_S = (1.0, 5.0, 20.0, 60.0, 180.0, 600.0)
FEW_LAGS_S = (1.0, 60.0, 600.0)
NETWORKS = {"random": np.nan, "augment": 0.0, "cmc_lab": np.nan}
NETWORKS |= {f"semantic_{lag_s:g}s": lag_s for lag_s in FEW_LAGS_S}
TESTED = pd.DataFrame(NETWORKS.items(), columns=["network", "lag_s"])


def selection(**chosen):
    """What tests show of `curve_table`, unless they say otherwise."""
    return Selection(
        **{
            "layer": "fc7",
            "models": ("category", "lch"),
            "control": "random",
            "condition": "intact",
            "confidence": 0.95,
            "random_networks": 5,
        }
        | chosen
    )


def curve_table(seeds=(0,), lags_s=LAGS_S, layers=("conv5", "fc7"), draw=0):
    """A table of the columns of tables/lag_curve.csv with values drawn at random."""
    generator = np.random.default_rng(draw)
    networks = [("random", np.nan), ("augment", 0.0), ("cmc_lab", np.nan)]
    networks += [(f"semantic_{lag_s:g}s", lag_s) for lag_s in lags_s]
    rows = []
    for seed, (network, lag_s), layer, model, control in itertools.product(
        seeds, networks, layers, ("category", "lch"), ("none", "random")
    ):
        if network == control == "random":
            continue
        r = generator.uniform(-0.1, 0.3)
        rows.append(
            {
                "network": network,
                "lag_s": lag_s,
                "seed": seed,
                "layer": layer,
                "condition": "intact",
                "model": model,
                "control": control,
                "mantel_r": r,
                "p": 0.001,
                "p_holm": generator.choice([0.01, 0.4]),
                "ci_low": r - generator.uniform(0.01, 0.1),
                "ci_high": r + generator.uniform(0.01, 0.1),
                "permutations": 9999,
                "alternative": "greater",
                "method": "pearson",
                "classes": 48,
            }
        )
    return pd.DataFrame(rows)


def lines(ax, gid):
    return [line for line in ax.get_lines() if line.get_gid() == gid]


def line(ax, gid):
    [found] = lines(ax, gid)
    return found


def gids(ax):
    return {artist.get_gid() for artist in (*ax.get_lines(), *ax.collections)} - {None}


def points(ax, gid, axis=1):
    """Values on `axis` of every point drawn under `gid`, with whether it is filled, in order of the other axis."""
    found = []
    for collection in ax.collections:
        if collection.get_gid() == gid:
            offsets = np.ma.getdata(collection.get_offsets())
            faces = np.broadcast_to(collection.get_facecolors(), (len(offsets), 4))
            found += [(xy[1 - axis], xy[axis], not (face == 1).all()) for xy, face in zip(offsets, faces, strict=True)]
    return [(value, filled) for _, value, filled in sorted(found)]


def values(ax, gid):
    return [value for value, _ in points(ax, gid)]


def bars(ax, axis=1):
    """(low, high) of all bars along x (0) or y (1)."""
    return {
        (round(float(segment[0][axis]), 9), round(float(segment[1][axis]), 9))
        for collection in ax.collections
        if hasattr(collection, "get_segments")
        for segment in collection.get_segments()
        if len(segment) and segment[0][1 - axis] == segment[1][1 - axis]
    }


def rounded(low, high):
    return {(round(a, 9), round(b, 9)) for a, b in zip(low, high, strict=True)}


def heights(ax, gid):
    """Lowest and highest edge of a filled band, by x."""
    [band] = [c for c in ax.collections if c.get_gid() == gid]
    x, y = band.get_paths()[0].vertices.T
    return {at: (y[x == at].min(), y[x == at].max()) for at in np.unique(x)}


def texts(labels):
    return [text.get_text() for text in labels]


def pictures(count, height=20, width=30):
    generator = np.random.default_rng(0)
    return [generator.integers(0, 255, (height, width, 3), dtype=np.uint8) for _ in range(count)]


def assert_words_and_letters(drawn):
    """A figure has words for those who cannot see it, and letters large enough to read."""
    assert isinstance(drawn, Drawn) and all(ax.figure is drawn.figure for ax in drawn.axes)
    assert not drawn.alt[0].islower()
    for words in filter(None, (drawn.alt, drawn.caption)):
        assert words.endswith(".") and ".." not in words and "nan" not in words.split() and "  " not in words
    drawn.figure.draw_without_rendering()  # which labels the ticks
    texts = [text for text in drawn.figure.findobj(matplotlib.text.Text) if text.get_text().strip()]
    assert min(text.get_fontsize() for text in texts) >= style.SMALL_PT
    assert not any("\\math" in text.get_text() for text in texts)


def lightness(color):
    """CIE L* of a colour."""
    from skimage.color import rgb2lab

    return float(rgb2lab(np.array(to_rgb(color)).reshape(1, 1, 3))[0, 0, 0])
