"""Draw benchmarks/results/mantel.csv: time against items and against permutations."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

RESULTS = Path(__file__).parent / "results"
TOOLS = {
    "cosets": ("#0b6e69", "cosets (ours)"),
    "independent": ("#7fb8ad", "one by one (ours)"),
    "scikit-bio (cython)": ("#d08c2e", "scikit-bio"),
    "scikit-bio (numba)": ("#e6c088", "scikit-bio, numba"),
    "vegan": ("#a23b4a", "vegan"),
}


def draw(ax, table, along):
    """One line a tool."""
    for tool, (color, label) in TOOLS.items():
        rows = table[table.tool == tool].sort_values(along)
        if len(rows):
            ax.loglog(rows[along], rows.seconds, "o-", color=color, label=label)
    ax.grid(alpha=0.25)
    ax.set_ylabel("time (s)")


def main():
    """Two panels, each with the lines that theory says."""
    simple = pd.read_csv(RESULTS / "mantel.csv").query("test == 'simple'")
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    few, many = simple.query("permutations == 9999"), simple.query("n == 1000")
    draw(left, few, "n")
    draw(right, many, "permutations")
    n = np.geomspace(few.n.min(), few.n.max())
    for tool, grow, label in (("scikit-bio (cython)", n**2, "n²"), ("cosets", n**2 * np.log(n), "n² log n")):
        last = few[(few.tool == tool) & (few.n == few.n.max())].seconds.iloc[0]
        left.loglog(n, grow * last / grow[-1], "--", color="0.6", zorder=0)
        left.text(n[-1], last * 1.15, label, color="0.4", ha="right", va="bottom")
    left.set_xlabel("items; 9,999 permutations")
    right.set_xlabel("permutations; 1,000 items")
    right.legend(fontsize=8, frameon=False)
    figure.suptitle("Simple Mantel test, one thread; peers extrapolated from fewer permutations", fontsize=10)
    figure.savefig(RESULTS / "mantel.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
