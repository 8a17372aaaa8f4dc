"""The predicted lag curve is drawn from the numbers that it is given."""

import matplotlib as mpl
import numpy as np
import pandas as pd

mpl.use("Agg")

from semanticcmc.figures.prediction import predicted_lag_curve


def test_lines_points_and_recommended_lags_are_the_tables():
    """Each line's values by its gid."""
    curve = pd.DataFrame(
        {
            "model": ["category"] * 3 + ["lch"] * 3,
            "lag_s": [60.0, 1, 10] * 2,
            "predicted_r": [0.2, 0.0, 0.1, 0.15, 0.02, 0.3],
        }
    )
    curve = curve.assign(ci_low=curve.predicted_r - 0.05, ci_high=curve.predicted_r + 0.05)
    best = pd.DataFrame(
        {
            "model": ["category", "lch"],
            "lag_s": [60.0, 10.0],
            "ci_low_s": [10.0, 10.0],
            "ci_high_s": [60.0, 60.0],
            "p_holm": [0.2, 0.01],
        }
    )
    trained = pd.DataFrame({"model": ["lch", "category"], "lag_s": [60.0, 1.0], "mantel_r": [0.4, 0.5]})
    ax = predicted_lag_curve(curve, best, trained)
    lines = {line.get_gid(): line for line in ax.lines}
    np.testing.assert_allclose(lines["predicted category"].get_xydata(), [[1, 0.0], [10, 0.1], [60, 0.2]])
    np.testing.assert_allclose(lines["trained lch"].get_xydata(), [[60, 0.4]])
    np.testing.assert_allclose(lines["recommended lch"].get_xdata(), [10, 60])
    assert "recommended category" not in lines, "its associations do not go with the model"
    assert ax.get_xlabel() == "time lag between the two views"
