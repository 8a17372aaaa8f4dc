"""An experiment's YAML as typed, frozen values; unknown, missing and wrong values refused by name.

A section of the YAML is named after the package whose dataclass it fills: ``world:`` fills
``world.WorldConfig``. The dataclasses have no defaults, so that the YAML is the only place where a
value of an experiment stands.
"""

from __future__ import annotations

import dataclasses
import importlib.resources
import io
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    import pandas as pd

Config = TypeVar("Config")
Chosen = TypeVar("Chosen")


def package_table(name: str) -> Path:
    """Path of a table that comes with the package (`semanticcmc/data`), wherever it is installed."""
    return Path(str(importlib.resources.files("semanticcmc") / "data" / name))


class InputError(ValueError):
    """Bad input: the message names the file, the value and the remedy."""

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: one line, and with ``%tb Verbose`` where it was raised."""
        from IPython import get_ipython

        tracebacks = get_ipython().InteractiveTB
        if tracebacks.mode == "Verbose":
            return list(tracebacks.structured_traceback(type(self), self, self.__traceback__))
        return [f"{type(self).__name__}: {self} (%tb Verbose shows where it was raised)"]


def in_a_tuple(one_or_several: Any) -> tuple[Any, ...]:
    """Several values, or one that was given alone."""
    return (one_or_several,) if isinstance(one_or_several, str | float | int) else tuple(one_or_several)


def one_of(what: str, value: Chosen, there: Iterable[Any], have: str = "there are") -> Chosen:
    """`value`, or an InputError that lists what there is."""
    if value not in (known := list(there)):
        raise InputError(f"{what} {value!r}: {have} {', '.join(map(str, known)) or 'none'}")
    return value


class Rule(NamedTuple):
    """What a field of a `Section` allows, as ``Annotated[int, Rule(...)]``: in words, and as a test of a value."""

    expected: str
    allows: Callable[[Any], bool]


Natural = Annotated[int, Rule("0 or more", lambda value: value >= 0)]
Count = Annotated[int, Rule("1 or more", lambda value: value >= 1)]
Several = Annotated[int, Rule("2 or more", lambda value: value >= 2)]
NotNegative = Annotated[float, Rule("0 or more", lambda value: 0 <= value < math.inf)]
Positive = Annotated[float, Rule("above 0", lambda value: 0 < value < math.inf)]
Share = Annotated[float, Rule("0 to 1", lambda value: 0 <= value <= 1)]
BelowOne = Annotated[float, Rule("0 to less than 1", lambda value: 0 <= value < 1)]
AboveZero = Annotated[float, Rule("above 0, at most 1", lambda value: 0 < value <= 1)]
InnerShare = Annotated[float, Rule("above 0, below 1", lambda value: 0 < value < 1)]
Confidence = Annotated[float, Rule("above 0, below 1, for instance 0.95", lambda value: 0 < value < 1)]
Percent = Annotated[float, Rule("0 to 100", lambda value: 0 <= value <= 100)]
JpegQuality = Annotated[int, Rule("1 to 95", lambda value: 1 <= value <= 95)]
RISING = Rule("rising values", lambda values: list(values) == sorted(values))
DISTINCT = Rule("no duplicate value", lambda values: len(set(values)) == len(values))
SOME = Rule("at least one value", lambda values: len(values) > 0)


class Section:
    """Of a dataclass: values that break a `Rule` of their field, alone or in a list, are refused by a ValueError."""

    def __post_init__(self) -> None:
        for name, hint in typing.get_type_hints(type(self), include_extras=True).items():
            _refuse_broken(getattr(self, name), hint, name)


def _refuse_broken(value: Any, hint: Any, name: str, otherwise: str = "") -> None:
    """Raise a ValueError if `value`, or one of those that it holds, breaks a rule of its type `hint`."""
    if value is None:
        return
    for rule in getattr(hint, "__metadata__", ()):
        if not rule.allows(value):
            shown = list(value) if isinstance(value, tuple) else value
            raise ValueError(f"{name} {shown}: expected {rule.expected}{otherwise}")
    options = typing.get_args(hint)
    for option in options:
        for part in value if typing.get_origin(hint) is tuple else (value,):
            _refuse_broken(part, option, name, ", or null" if type(None) in options else otherwise)


Origins = dict[tuple[str, ...], str]


def read_layers(file: Path, find: Callable[[str, Path], Path]) -> tuple[dict[str, Any], Origins]:
    """Values of a YAML laid over those of the YAML that its key ``extends`` names, and so on.

    Parameters
    ----------
    find : callable
        Path of what ``extends`` names in a file of this folder.

    Returns
    -------
    values : dict
        Sections are merged key by key, at any depth; any other value is replaced.
    origins : dict
        Name of the file that says a value, by the keys that lead to it.

    Raises
    ------
    InputError
        For no YAML, files that extend each other, or a value in place of a section.
    """
    chain = [file]
    while (above := read_yaml(chain[-1]).get("extends")) is not None:
        chain.append(find(str(above), chain[-1].parent))
        if chain[-1] in chain[:-1]:
            raise InputError(f"{file}: {' extends '.join(path.name for path in chain)}: a circle; remove one `extends`")
    values: dict[str, Any] = {}
    origins: Origins = {}
    for layer in reversed(chain):
        own = read_yaml(layer)
        own.pop("extends", None)
        _lay_over(values, own, layer, origins, ())
    return values, origins


def read_yaml(file: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds, or an InputError that says why it cannot be read."""
    import yaml  # here, since a GPU node that is handed its settings need not have it

    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{file}: not readable as YAML: {error}") from error
    if not isinstance(values, dict):
        raise InputError(f"{file}: expected `key: value` lines, found {type(values).__name__}")
    return values


def read_text_table(path: Path, columns: Sequence[str], key: str, remarks: bool = True) -> pd.DataFrame:
    """Read a CSV as text, no value taken for a number or for missing, one row a `key`; `remarks` are `#` lines.

    Raises
    ------
    InputError
        If the file is absent or no CSV in UTF-8, lacks one of `columns`, or has two rows of one `key`.
    """
    import pandas as pd  # here, as all that takes long to import, so that `import semanticcmc.rsa` does not

    try:
        with path.open(encoding="utf-8-sig") as handle:
            text = "".join(line for line in handle if not (remarks and line.startswith("#")))
        rows = pd.read_csv(io.StringIO(text), dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not readable as a CSV table in UTF-8 ({error})") from error
    if missing := [name for name in columns if name not in rows.columns]:
        raise InputError(f"{path}: no column {', '.join(missing)}; found {', '.join(rows.columns)}")
    if (again := rows[key].duplicated()).any():
        raise InputError(f"{path}: two rows of {key} {rows[key][again].iloc[0]}; remove one")
    return rows


def _lay_over(
    values: dict[str, Any], own: Mapping[str, Any], file: Path, origins: Origins, above: tuple[str, ...]
) -> None:
    """Lay a file's `own` values over those below `above`, in place."""
    for key, value in own.items():
        here = (*above, str(key))
        if isinstance(value, Mapping) and isinstance(values.get(key), dict):
            _lay_over(values[key], value, file, origins, here)
            continue
        if not above and isinstance(values.get(key), dict):
            raise InputError(f"{file}: {key}: expected a section of `key: value` lines, found {value!r}")
        values[key] = {} if isinstance(value, Mapping) else value
        for place in [place for place in origins if place[: len(here)] == here]:
            del origins[place]
        if isinstance(value, Mapping) and value:
            _lay_over(values[key], value, file, origins, here)
        else:
            origins[here] = file.name


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
