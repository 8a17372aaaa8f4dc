"""An experiment's YAML as typed, frozen values; unknown, missing and wrong values refused by name.

A section of the YAML is named after the room whose dataclass it fills: ``world:`` fills
``world.WorldConfig``. The dataclasses have no defaults, so that the YAML is the only place where a
value of an experiment stands.
"""

from __future__ import annotations

import dataclasses
import importlib.resources
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

Config = TypeVar("Config")


def package_table(name: str) -> Path:
    """Path of a table that comes with the package (`semanticcmc/data`), wherever it is installed."""
    return Path(str(importlib.resources.files("semanticcmc") / "data" / name))


class InputError(ValueError):
    """Bad input: the message names the file, the value and the remedy."""


def configure(config: type[Config], values: Mapping[str, Any] | None, where: str | Path) -> Config:
    """Fill a frozen dataclass from a mapping, refusing unknown, missing and ill-typed keys.

    Parameters
    ----------
    config : type
        A dataclass, whose fields may be dataclasses. Its ``__post_init__`` may raise ``ValueError`` for values
        out of range.
    values : mapping
        Key to value, as read from YAML. Lists become tuples.
    where : str or Path
        Named in every message, for instance ``analysis/experiments/smoke.yaml, section world``.

    Returns
    -------
    Config
        An instance of `config`.

    Raises
    ------
    InputError
        Names `where`, the key, the value found and what was expected.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"{where}: expected a section of `key: value` lines, found {values!r}")
    fields = {field.name: field for field in dataclasses.fields(config)}  # type: ignore[arg-type]
    unknown = [str(key) for key in values if key not in fields]
    if unknown:
        raise InputError(f"{where}: unknown key {', '.join(unknown)}; the keys here are {', '.join(sorted(fields))}")
    missing = [name for name in fields if name not in values]
    if missing:
        raise InputError(f"{where}: missing key {', '.join(missing)}; every value of an experiment is stated")
    hints = typing.get_type_hints(config)
    typed = {name: _typed(value, hints[name], f"{where}, {name}") for name, value in values.items()}
    try:
        return config(**typed)
    except ValueError as error:
        raise InputError(f"{where}: {error}") from error


def _typed(value: Any, hint: Any, where: str) -> Any:
    """`value` as `hint` says, or an InputError; int passes for float, list for tuple."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        for option in arguments:
            if dataclasses.is_dataclass(option) and isinstance(value, Mapping):
                return _typed(value, option, where)
        for option in (a for a in arguments if a is not type(None)):
            try:
                return _typed(value, option, where)
            except InputError:
                continue
        names = " or ".join("nothing" if a is type(None) else _name(a) for a in arguments)
        raise InputError(f"{where}: expected {names}, found {value!r}")
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return configure(hint, value, where)
    if origin is typing.Literal:
        if value in arguments:
            return value
        raise InputError(f"{where}: expected one of {', '.join(map(str, arguments))}, found {value!r}")
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise InputError(f"{where}: expected a list, found {value!r}")
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_typed(item, arguments[0], where) for item in value)
        if len(value) != len(arguments):
            raise InputError(f"{where}: expected {len(arguments)} values, found {value!r}")
        return tuple(_typed(item, one, where) for item, one in zip(value, arguments, strict=True))
    if origin in (dict, Mapping) or hint in (dict, Mapping):
        if isinstance(value, Mapping):
            return dict(value)
        raise InputError(f"{where}: expected `key: value` lines, found {value!r}")
    if hint is Any:
        return value
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if hint is Path and isinstance(value, (str, Path)):
        return Path(value)
    if hint is int and isinstance(value, bool):
        raise InputError(f"{where}: expected a whole number, found {value!r}")
    if isinstance(hint, type) and isinstance(value, hint):
        return value
    raise InputError(f"{where}: expected {_name(hint)}, found {value!r}")


def _name(hint: Any) -> str:
    words = {int: "a whole number", float: "a number", str: "text", bool: "true or false", Path: "a path"}
    return words.get(hint, str(hint))
