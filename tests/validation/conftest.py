"""Figures of studies are drawn as those of the package: without a screen, in the house style."""

from tests.figures.conftest import house_style

__all__ = ["house_style"]
