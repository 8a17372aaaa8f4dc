"""An experiment's YAML as typed, frozen values; unknown, missing and wrong values refused by name.

A section of the YAML is named after the package whose dataclass it fills: ``world:`` fills
``world.WorldConfig``. The dataclasses have no defaults, so that the YAML is the only place where a
value of an experiment stands.
"""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import importlib.resources
import math
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
    alone = isinstance(one_or_several, str) or not isinstance(one_or_several, Iterable)
    return (one_or_several,) if alone else tuple(one_or_several)


def one_of(what: str, value: Chosen, there: Iterable[Any], have: str = "there are") -> Chosen:
    """`value`, or an InputError that lists what there is."""
    if value not in (known := list(there)):
        raise InputError(f"{what} {value!r}: {have} {', '.join(map(str, known)) or 'none'}")
    return value


def existing(file: Path, remedy: str) -> Path:
    """`file`, or an InputError that says what makes it."""
    if not file.is_file():
        raise InputError(f"{file}: missing; {remedy}")
    return file


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


NO_FILE = "no regular file (a pipe, a device, or a link to nothing); remove it"  # such may be waited for without end


@contextlib.contextmanager
def opened_text(path: Path) -> Iterator[typing.TextIO]:
    """A regular file of text in UTF-8, opened, behind its BOM; else an InputError with line and remedy."""
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{path}: {NO_FILE}")
        with path.open(encoding="utf-8") as handle:
            if handle.read(1) != "\ufeff":
                handle.seek(0)
            yield handle
    except UnicodeDecodeError as error:  # its position is that in what was read at once, a part of the file
        text = path.read_bytes().decode("utf-8", "surrogateescape")
        line = text.count("\n", 0, next(i for i, sign in enumerate(text) if "\udc80" <= sign <= "\udcff")) + 1
        raise InputError(f"{path}, line {line}: not readable as text in UTF-8 ({error}); save it as UTF-8") from error
    except OSError as error:
        raise InputError(f"{path}: not readable: {error.strerror}") from error


def table_head(path: Path) -> tuple[int, str, list[str]]:
    """Of a CSV: number of lines above its head (empty, or with #), its delimiter, and the names in its head.

    The delimiter is that of comma, semicolon and tab with which the head has the most names.
    """
    with opened_text(path) as handle:
        found = ((i, line) for i, line in enumerate(handle) if line.strip() and not line.startswith("#"))
        above, head = next(found, (0, ""))
    heads = {sign: next(csv.reader([head], delimiter=sign, skipinitialspace=True), []) for sign in ",;\t"}
    delimiter = max(heads, key=lambda sign: len(heads[sign]))
    return above, delimiter, [name.strip() for name in heads[delimiter]]


def read_text_table(path: Path, columns: Sequence[str], key: str, remarks: bool = True) -> pd.DataFrame:
    """Read a CSV as text, no value taken for a number or for missing, one row a `key`; `remarks` are `#` lines.

    Lines above the head, the delimiter and quotes are as of `table_head`; missing values at a row's end are empty.
    Raises InputError if the file is absent or no CSV in UTF-8, lacks one of `columns`, has two of one name or two rows
    of one `key`.
    """
    import pandas as pd  # here, as all that takes long to import, so that `import semanticcmc.rsa` does not

    above, delimiter, head = table_head(path)
    while head and not head[-1]:
        head.pop()
    if missing := [name for name in columns if name not in head]:
        raise InputError(f"{path}: no column {', '.join(missing)}; found {', '.join(head)}")
    if len(set(head)) < len(head):
        raise InputError(f"{path}: two columns of one name in {', '.join(head)}; rename one")
    rows = []
    with opened_text(path) as handle:
        lines = ("\n" if i <= above or (remarks and line.startswith("#")) else line for i, line in enumerate(handle))
        reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
        try:
            for row in filter(None, reader):
                if any(row[len(head) :]):
                    raise csv.Error(f"{len(row)} values for {len(head)} columns; put text with {delimiter!r} in quotes")
                rows.append([value.strip() for value in row[: len(head)]] + [""] * (len(head) - len(row)))
        except csv.Error as error:
            raise InputError(f"{path}, line {reader.line_num}: not readable as a CSV table ({error})") from error
    table = pd.DataFrame(rows, columns=head, dtype=str)
    if (again := table[key].duplicated()).any():
        raise InputError(f"{path}: two rows of {key} {table[key][again].iloc[0]}; remove one")
    return table


def configure(config: type[Config], values: Mapping[str, Any] | None, where: str | Path) -> Config:
    """Fill a frozen dataclass from a mapping, refusing unknown, missing and ill-typed keys.

    `config` is a dataclass, whose fields may be dataclasses; its ``__post_init__`` may raise ``ValueError``. `values`
    are as read from YAML; lists become tuples. `where` is for instance ``analysis/experiments/smoke.yaml, section
    world``. An InputError names `where`, the key, the value found and what was expected.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"{where}: expected a section of `key: value` lines, found {shown(values)}")
    fields = {field.name: field for field in dataclasses.fields(config)}  # type: ignore[arg-type]
    if unknown := [str(key) for key in values if key not in fields]:
        raise InputError(f"{where}: unknown key {', '.join(unknown)}; the keys here are {', '.join(sorted(fields))}")
    if missing := [name for name in fields if name not in values]:
        raise InputError(f"{where}: missing key {', '.join(missing)}; every value of an experiment is stated")
    hints = typing.get_type_hints(config)
    typed = {name: _typed(value, hints[name], f"{where}, {name}") for name, value in values.items()}
    try:
        return config(**typed)
    except ValueError as error:
        raise InputError(f"{where}: {error}") from error


def _typed(value: Any, hint: Any, where: str) -> Any:
    """`value` as `hint` says, or an InputError; int passes for float, list for tuple."""
    origin, arguments, expected = typing.get_origin(hint), typing.get_args(hint), _name(hint)
    if origin in (typing.Union, types.UnionType):
        for option in arguments:
            try:
                return _typed(value, option, where)
            except InputError:
                if dataclasses.is_dataclass(option) and isinstance(value, Mapping):
                    raise
        expected = " or ".join("nothing" if a is type(None) else _name(a) for a in arguments)
    elif dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return configure(hint, value, where)
    elif origin is typing.Literal:
        if value in arguments:
            return value
        expected = f"one of {', '.join(map(str, arguments))}"
    elif origin is tuple:
        expected = "a list"
        if isinstance(value, (list, tuple)):
            of = arguments[:1] * len(value) if arguments[1:] == (Ellipsis,) else arguments
            if len(value) == len(of):
                return tuple(_typed(item, one, where) for item, one in zip(value, of, strict=True))
            expected = f"{len(of)} values"
    elif origin in (dict, Mapping) or hint in (dict, Mapping):
        if isinstance(value, Mapping):
            return dict(value)
        expected = "`key: value` lines"
    elif hint is Any:
        return value
    elif hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    elif hint is Path and isinstance(value, (str, Path)):
        return Path(value)
    elif isinstance(hint, type) and isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    raise InputError(f"{where}: expected {expected}, found {shown(value)}")


def _name(hint: Any) -> str:
    words = {int: "a whole number", float: "a number", str: "text", bool: "true or false", Path: "a path"}
    return words.get(hint, str(hint))


def shown(value: Any) -> str:
    """A value in a message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."
