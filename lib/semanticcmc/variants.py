"""Variants of an experiment: ``poster:fast`` is ``poster.yaml`` with what its variant ``fast`` says instead.

    variants:
      fast:
        title: The same, faster
        training: {precision: bfloat16, compile: true}

Whatever a variant does not name stays as it is. Its results lie in ``results/<name>_<variant>``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from semanticcmc.config import InputError

FIXED = ("name", "variants")


def split_variant(experiment: str | Path) -> tuple[str, str | None]:
    """Experiment and variant: ``poster:fast`` gives ``poster`` and ``fast``, ``poster`` gives no variant."""
    match = re.fullmatch(r"(.+):([A-Za-z0-9_-]+)", str(experiment))
    return (match[1], match[2]) if match else (str(experiment), None)


def varied(values: Mapping[str, Any], variant: str | None, file: Path) -> dict[str, Any]:
    """The values of an experiment's YAML as the variant wants them, without its variants.

    Parameters
    ----------
    values : mapping
        As read from `file`; may hold ``variants``.
    variant : str, optional
        By default the values stay as they are, and variants are only checked.

    Raises
    ------
    InputError
        For a variant that is not there, or names a key that the experiment does not have.
    """
    plain = {key: value for key, value in values.items() if key != "variants"}
    variants = values.get("variants", {})
    if not isinstance(variants, Mapping):
        raise InputError(f"{file}, variants: expected a name and its changes, found {variants!r}")
    for name, changes in variants.items():
        where = f"{file}, variant {name}"
        if not isinstance(changes, Mapping):
            raise InputError(f"{where}: expected `key: value` lines, found {changes!r}")
        for key, value in changes.items():
            if key in FIXED or key not in plain:
                raise InputError(f"{where}: {key!r} is none of the keys that it can change")
            if isinstance(value, Mapping) != isinstance(plain[key], Mapping):
                raise InputError(f"{where}: {key} is {value!r}, the experiment's is {plain[key]!r}")
            if isinstance(value, Mapping) and (unknown := sorted(set(value) - set(plain[key]))):
                raise InputError(f"{where}: section {key} has no key {', '.join(unknown)}")
    if variant is None:
        return plain
    if variant not in variants:
        raise InputError(f"{file}: no variant {variant!r}; there are {', '.join(variants) or 'none'}")
    for key, value in variants[variant].items():
        plain[key] = {**plain[key], **value} if isinstance(value, Mapping) else value
    return {**plain, "name": f"{plain['name']}_{variant}"}
