"""The miniature movie world: films whose truth is known, in the formats of real ones.

The world is made top down. A *timeline* says which scene, beat and shot runs when, and which classes are in
it (`timeline`). An *appearance* turns a class's look latent into a picture of one object (`appearance`), the
*renderer* puts objects into places before a camera (`renderer`, `places`), a *detector* labels what is in
view (`detector`). `build` writes it all; `truth` says what an estimator should find.
"""

from semanticcmc.world.build import build
from semanticcmc.world.config import WorldConfig

__all__ = ["WorldConfig", "build"]
