"""A permutation test as one writes it first: permutations one by one, controls by regression. A peer of cosets."""

import numpy as np


def left_over(rows, controls):
    """What a regression on the controls, and a constant, leaves of rows of condensed distances."""
    design = np.column_stack([np.ones(rows.shape[-1]), *controls])
    return rows - rows @ np.linalg.pinv(design).T @ design.T


def one_by_one(x, y, *controls, permutations=999, seed=0, alternative="greater"):
    """R and p of a (partial) Mantel test of square matrices: the items of x move, y and the controls stay."""
    first, second = np.triu_indices(len(x), 1)
    orders = np.random.default_rng(seed).permuted(np.tile(np.arange(len(x)), (permutations, 1)), axis=1)
    orders = np.vstack([np.arange(len(x)), orders])  # the observed order first
    z = [one[first, second] for one in controls]
    moved, fixed = left_over(x[orders[:, first], orders[:, second]], z), left_over(y[first, second], z)
    r = moved @ fixed / np.sqrt((moved**2).sum(1) * (fixed**2).sum())
    extreme = {"greater": r, "less": -r, "two-sided": np.abs(r)}[alternative]
    return r[0], np.mean(extreme >= extreme[0] - 1e-10)
