"""Arrays, tensors and tables of others, read in one place: as real numbers, aligned by names, or refused. `Squares`."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from semanticcmc.run import listed

_NAMED = ("iloc", "coords", "columns")  # what tables of pandas, xarray and polars have, and arrays have not


def as_tensor(values: Any, name: str = "values") -> torch.Tensor:
    """Real numbers as a tensor, without a copy where torch has their type and byte order.

    A ValueError refuses masked values, complex numbers, text, dates, sparse and quantised tensors, floats of 8 bits,
    and tables with names of rows or columns (which `in_order` takes).
    """
    rows = values if isinstance(values, list | tuple) else ()
    if np.ma.is_masked(values) or hasattr(values, "get_mask") or any(np.ma.is_masked(row) for row in rows):
        raise ValueError(f"{name} has masked values: leave out their classes, or fill them")
    if isinstance(values, torch.Tensor):
        eight_bits = values.is_floating_point() and values.itemsize == 1
        if values.layout != torch.strided or values.is_quantized or values.is_complex() or eight_bits:
            raise ValueError(f"{name} is a {values.layout} tensor of {values.dtype}: give a dense one of real numbers")
        return values.detach()
    if any(hasattr(values, mark) for mark in _NAMED) and not _only_counts(values):
        raise ValueError(
            f"{name} is a {type(values).__name__}, whose names would be lost: give an array to match by position"
        )
    try:
        array = np.asarray(values)
        if array.dtype.kind == "O" and any(isinstance(one, str | bytes) for one in array.flat):
            raise TypeError("text")
        if array.dtype.kind not in "biufO":
            raise TypeError(f"{array.dtype} is no type of real numbers")
        wide = array.dtype.kind == "O" or array.dtype.itemsize > 8
        array = array.astype(np.float64 if wide else array.dtype.newbyteorder("="), copy=False)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name} cannot be read as real numbers: {error}") from error
    # torch takes no negative strides, and warns of read-only arrays
    return torch.from_numpy(np.require(array, requirements=["C", "W"]))


def in_order(table: Any, names: Sequence[str], name: str, axes: int) -> Any:
    """Values of a pandas table, its rows (`axes` 2: and columns) put in the order of `names`; an array stays itself.

    A table that only counts its rows and columns from 0 is matched by position. A ValueError refuses names that are
    duplicate, or not those of `names`.
    """
    if not hasattr(table, "iloc") or table.ndim < axes:
        return table
    values = table.to_numpy(na_value=np.nan)
    if _only_counts(table, axes):
        return values
    for axis, what in enumerate(("rows", "columns")[:axes]):
        position = {str(one): place for place, one in enumerate(table.axes[axis])}
        if len(position) < len(table.axes[axis]):
            raise ValueError(f"{name} has duplicate names among its {what}")
        if other := sorted(position.keys() ^ set(names)):
            raise ValueError(
                f"{name}: its {what} and the classes differ in {len(other)} names ({listed(other)}); "
                "to_numpy() is matched by position"
            )
        values = values.take([position[one] for one in names], axis)
    return values


def _only_counts(table: Any, axes: int = 2) -> bool:
    """Whether a pandas table has no names but 0, 1, 2, ... that pandas gives by itself."""
    indices = getattr(table, "axes", [None])[:axes]
    return all(getattr(index, "start", None) == 0 and getattr(index, "step", None) == 1 for index in indices)


Named = dict[str, tuple[Any, tuple[str, ...]]]  # by name: distances, condensed or square, and the names of the classes


def labelled(given: Any, name: str) -> Named:
    """Distances and classes of an ``RDMs`` of rsatoolbox or a ``DistanceMatrix`` of scikit-bio; nothing of others.

    Conditions are named by the first of rsatoolbox's pattern descriptors, by name, whose values are text and all
    differ, its RDMs by the first such RDM descriptor, else by `name` and a number.
    """
    if hasattr(given, "redundant_form"):
        return {name: (given.redundant_form(), tuple(given.ids))}
    if not hasattr(given, "pattern_descriptors"):
        return {}
    values, patterns = given.dissimilarities, given.pattern_descriptors
    if not (classes := _names(patterns)):
        raise ValueError(
            f"{name}: none of its pattern descriptors ({', '.join(patterns)}) names each condition by its own text; "
            "add one, as in rdms.pattern_descriptors['class'] = names"
        )
    numbered = tuple(f"{name} {row}" for row in range(len(values))) if len(values) > 1 else (name,)
    keys = _names(given.rdm_descriptors) or numbered
    return {key: (row, classes) for key, row in zip(keys, values, strict=True)}


def _names(columns: Mapping[str, Any]) -> tuple[str, ...]:
    """The first descriptor, by name, whose values are text and all differ."""
    for _, values in sorted(columns.items()):
        texts = [one.decode() if isinstance(one, bytes) else one for one in values]
        if all(isinstance(one, str) for one in texts) and len(set(texts)) == len(texts):
            return tuple(texts)
    return ()


def read_named(path: Path) -> Named:
    """RDMs of a file: NumPy's ``.npz`` with ``classes`` beside them, or HDF5 as rsatoolbox's ``RDMs.save`` writes it.

    Nothing in a file is executed: pickled objects are refused.
    """
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            found = dict(file)
        classes = tuple(found.pop("classes").astype(str).tolist())
        return {name: (values, classes) for name, values in found.items()}
    if path.suffix == ".pkl":
        raise ValueError("a pickle can execute anything; rsatoolbox writes HDF5 by save(file, 'hdf5')")
    import h5py

    with h5py.File(path) as file:
        patterns, rdms = (
            {key: column[()] for key, column in file[kind].items()}
            for kind in ("pattern_descriptors", "rdm_descriptors")
        )
        values = file["dissimilarities"][()]
    told = SimpleNamespace(dissimilarities=values, pattern_descriptors=patterns, rdm_descriptors=rdms)
    return labelled(told, path.stem)


@dataclasses.dataclass(frozen=True)
class Squares:
    """Distance matrices of the same items, which are standardised when they are read.

    To write n^2 values and read them again takes about as long as the rest of a test of many items.
    """

    given: Sequence[torch.Tensor] | torch.Tensor  # float64, (n, n) each
    scales: Sequence[tuple[float, float]] = ()  # standardised is (given - mean) * factor, of each; empty: it is

    def __len__(self) -> int:
        """How many."""
        return len(self.given)

    @property
    def n(self) -> int:
        """Number of items."""
        return self.given[0].shape[-1]

    def some(self, places: Sequence[int]) -> Squares:
        """Those at some places."""
        scales = [self.scales[place] for place in places] if self.scales else ()
        return Squares([self.given[place] for place in places], scales)

    @functools.cached_property
    def stack(self) -> torch.Tensor:
        """Standardised, (N, n, n): the diagonal is 0; entries above it have mean 0 and sum of squares 1."""
        if not self.scales:
            return self.given if isinstance(self.given, torch.Tensor) else torch.stack(list(self.given))
        out = torch.empty(len(self), self.n, self.n, dtype=torch.float64)
        for one, given, (mean, factor) in zip(out, self.given, self.scales, strict=True):
            one.copy_(given).sub_(mean).mul_(factor).fill_diagonal_(0)
        return out

    def of(self, place: int) -> tuple[NDArray[np.float64], float, float]:
        """One matrix as it is given, its mean and its factor."""
        return (self.given[place].numpy(), *(self.scales[place] if self.scales else (0.0, 1.0)))
