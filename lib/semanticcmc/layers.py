"""An experiment's YAML file as plain values: what each layer says, and what cannot be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from semanticcmc.config import InputError, opened_text, shown

MOST_CHARACTERS = 2**18  # of a YAML, also with its aliases written out
Origins = dict[tuple[str, ...], str]


def read_layers(file: Path, find: Callable[[str, Path], Path]) -> tuple[dict[str, Any], Origins]:
    """Values of a YAML laid over those of the YAML that its key ``extends`` names, and so on.

    `find` gives the path of what ``extends`` names in a file of a folder. Of the values returned, sections are merged
    key by key, at any depth, and any other value is replaced; the second dict has the name of the file that says a
    value, by the keys that lead to it. Raises InputError for no YAML, files that extend each other, or a value in place
    of a section.
    """
    chain, layers = [file], [read_yaml(file)]
    while (above := layers[-1].pop("extends", None)) is not None:
        chain.append(find(str(above), chain[-1].parent))
        if chain[-1] in chain[:-1]:
            raise InputError(f"{file}: {' extends '.join(path.name for path in chain)}: a circle; remove one `extends`")
        layers.append(read_yaml(chain[-1]))
    values: dict[str, Any] = {}
    origins: Origins = {}
    for layer, own in zip(reversed(chain), reversed(layers), strict=True):
        _lay_over(values, own, layer, origins, ())
    return values, origins


def read_yaml(file: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds, or an InputError that says why it cannot be read."""
    import yaml  # here, since a GPU node that is handed its settings need not have it

    with opened_text(file) as handle:
        text = handle.read(MOST_CHARACTERS + 1)
    if len(text) > MOST_CHARACTERS:
        raise InputError(f"{file}: more than {MOST_CHARACTERS:,} characters; is it an experiment?")
    try:
        loader = yaml.SafeLoader(text)  # the compiled one ends the process where text is nested deeply
        node = loader.get_single_node()
        values = loader.construct_document(node) if node and _refuse_unclear(node, loader, {}, file) else None
    except RecursionError:
        raise InputError(f"{file}: nested too deeply; an experiment has sections of `key: value` lines") from None
    except yaml.YAMLError as error:
        raise InputError(f"{file}: not readable as YAML: {error}") from error
    if not isinstance(values, dict):
        raise InputError(f"{file}: expected `key: value` lines, found {type(values).__name__}")
    return values


def _refuse_unclear(node: Any, loader: Any, sizes: dict[int, int], file: Path) -> int:
    """Characters of a node of YAML with its aliases written out; no duplicate key or wrong date passes.

    `sizes` has those of nodes seen before, by `id`; a node within itself has no end.
    """
    if id(node) in sizes:
        return sizes[id(node)]
    sizes[id(node)], size, where = MOST_CHARACTERS + 1, 1, f"{file}, line {node.start_mark.line + 1}"
    if isinstance(node.value, str):
        size += len(node.value)
        try:
            loader.construct_object(node)
        except ValueError as error:  # a date or number that is none
            raise InputError(f"{where}: {shown(node.value)} is no value ({error}); put text in quotes") from error
    else:
        lines = dict[str, int]()
        for part in node.value:
            key, value = part if isinstance(part, tuple) else (None, part)
            if key is not None and isinstance(key.value, str):
                line, name = key.start_mark.line + 1, key.value
                if name in lines:
                    raise InputError(f"{file}, line {line}: {name} is also in line {lines[name]}; remove one")
                lines[name], size = line, size + len(name) + 1
            size += _refuse_unclear(value, loader, sizes, file)
            if size > MOST_CHARACTERS:
                raise InputError(f"{where}: too long with its aliases (*) written out; write the values")
    sizes[id(node)] = size
    return size


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
            raise InputError(f"{file}: {key}: expected a section of `key: value` lines, found {shown(value)}")
        values[key] = {} if isinstance(value, Mapping) else value
        for place in [place for place in origins if place[: len(here)] == here]:
            del origins[place]
        if isinstance(value, Mapping) and value:
            _lay_over(values[key], value, file, origins, here)
        else:
            origins[here] = file.name
