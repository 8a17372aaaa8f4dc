"""The house style and one function a figure; none of them computes a statistic.

`style` has palette, type sizes and `save`; `films`, `training`, `representations` and `lag_curve`
hold the figures, named after the chapters of the analysis that show them.
"""
