"""Training objectives, one file each, found by the file's name."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

from semanticcmc.config import one_of

if TYPE_CHECKING:
    from semanticcmc.training.objectives.base import Objective

SHARED = ("base", "order")  # what several of them are made of
NAMES = tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in SHARED))


def find(name: str) -> type[Objective]:
    """The objective of the file ``<name>.py`` beside this one; an InputError lists what there is."""
    from semanticcmc.training.objectives.base import Objective

    module = importlib.import_module(f"{__name__}.{one_of('objective', name, NAMES)}")
    own = [value for value in vars(module).values() if isinstance(value, type) and value.__module__ == module.__name__]
    (kind,) = (value for value in own if issubclass(value, Objective))
    return kind
