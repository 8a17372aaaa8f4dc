"""Bootstrap intervals as an array, from the table that users get."""

import numpy as np

from semanticcmc.rsa import mantel_table


def bootstrap_intervals(rdms, models, control=None, samples=1000, confidence=0.95, **options):
    """Lower and upper limits, (2, RDMs, models)."""
    table = mantel_table(rdms, models, control, 1, bootstrap_samples=samples, confidence=confidence, **options)
    return np.array([table.ci_low, table.ci_high], dtype=float).reshape(2, len(rdms), len(models))
