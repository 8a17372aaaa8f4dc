"""Representational dissimilarity matrices (RDMs) that carry the names of their classes.

An RDM holds the distances between all pairs of classes in scipy's condensed order (0-1, 0-2, ..., 1-2,
...). Two RDMs are joined by class name, never by position (`align`). On disk several RDMs of the same
classes are one long Parquet table: ``class_i, class_j`` and a column for each layer or model.
"""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from semanticcmc.config import InputError
from semanticcmc.rsa.arrays import as_tensor, in_order, labelled, read_named
from semanticcmc.rsa.distances import pairwise
from semanticcmc.run import atomic, listed

COARSE = 1e-4  # least rounding of float16 and bfloat16, which explains no asymmetry of its root
FEWEST_CLASSES = 4  # three classes have three distances and six permutations: nothing to test


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class RDM:
    """Distances between all pairs of named classes.

    Raises ValueError if the number of values and of classes differ, a class is named twice, a square array is not
    symmetric with a zero diagonal, or the values are no real numbers or carry other names (`arrays`).

    Parameters
    ----------
    values : array of float, shape (n (n - 1) / 2,)
        Condensed distances, in the order of `scipy.spatial.distance.pdist`. A square symmetric (n, n)
        array with zeros on its diagonal is condensed. A DataFrame's rows and columns are put in the order of
        `classes` by name.
    classes : sequence of str
        The n names, all different.
    """

    values: NDArray[np.float64]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        classes = tuple(str(name) for name in self.classes)
        n = len(classes)
        if len(set(classes)) != n:
            raise ValueError(
                f"duplicate class {listed(sorted({c for c in classes if classes.count(c) > 1}))} in an RDM"
            )
        given = as_tensor(in_order(self.values, classes, "RDM", 2), "RDM")
        if given.ndim == 2:
            given = checked_square(given)[*torch.triu_indices(len(given), len(given), 1)]
        values = given.to(torch.float64).cpu().numpy().copy()  # a copy: frozen means frozen
        if values.shape != (n * (n - 1) // 2,):
            raise ValueError(f"{n} classes need {n * (n - 1) // 2} distances, found shape {values.shape}")
        values.flags.writeable = False
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "classes", classes)

    def __repr__(self) -> str:
        if len(self) < 2:
            return f"RDM: {len(self)} classes, no distances"
        first, last = str(self.classes[0]), str(self.classes[-1])
        low, high = self.values.min(), self.values.max()
        return f"RDM: {len(self)} classes, {first} ... {last}; distances {low:.3g} to {high:.3g}"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> Any:
        """What a notebook shows: a picture of the ranked distances, dark where two classes are near."""
        import io

        import pandas as pd
        from matplotlib.figure import Figure

        ranks = np.asarray(pd.Series(self.values).rank(pct=True), dtype=np.float64)
        figure = Figure(figsize=(3, 3), layout="constrained")
        axes = figure.subplots()
        axes.imshow(RDM(ranks, self.classes).square(), cmap="cividis", vmin=0, vmax=1)
        axes.set_axis_off()
        figure.savefig(file := io.BytesIO(), dpi=200)
        shown = {"width": 300, "height": 300, "alt": repr(self)}
        return {"text/plain": repr(self), "image/png": file.getvalue()}, {"image/png": shown}

    def __len__(self) -> int:
        """Return the number of classes."""
        return len(self.classes)

    def square(self) -> NDArray[np.float64]:
        """Return the distances as a symmetric (n, n) array with zeros on its diagonal."""
        from scipy.spatial.distance import squareform  # here: its import takes a second

        n = len(self)
        return squareform(self.values, checks=False) if n > 1 else np.zeros((n, n))

    def subset(self, classes: Sequence[str]) -> RDM:
        """Return the RDM of `classes` alone, in the order given."""
        if tuple(classes) == self.classes:
            return self
        position = {name: index for index, name in enumerate(self.classes)}
        if unknown := [name for name in classes if name not in position]:
            raise ValueError(f"the RDM holds no class {listed(unknown)}")
        rows = np.array([position[name] for name in classes], dtype=np.intp)
        return RDM(self.square()[np.ix_(rows, rows)], tuple(classes))


def as_rdm(given: Any, name: str = "RDM") -> Any:
    """RDM of what carries names: a pandas frame, scikit-bio's DistanceMatrix, one RDM of rsatoolbox; else as it is.

    Raises ValueError for several RDMs in one, and as `RDM` does.
    """
    if hasattr(given, "iloc"):
        classes = tuple(str(one) for one in given.index)  # whose order the columns are put in
        return RDM(checked_square(in_order(given, classes, name, 2), name).numpy(), classes)
    found = list(named_rdms(given, name).values())
    if len(found) > 1:
        raise ValueError(f"{name} holds {len(found)} RDMs: give one, as in rdms[0], or all by name (named_rdms)")
    return found[0] if found else given


def named_rdms(given: Any, name: str = "RDM") -> dict[str, RDM]:
    """All RDMs of an ``RDMs`` of rsatoolbox by name, for `mantel_table`; see `arrays.labelled`."""
    return {key: RDM(values, classes) for key, (values, classes) in labelled(given, name).items()}


def square_tensor(square: ArrayLike | torch.Tensor, name: str = "RDM") -> torch.Tensor:
    """Array or tensor of shape (n, n) as a tensor, without a copy where that can be."""
    given = as_tensor(square, name)
    if given.ndim != 2 or given.shape[0] != given.shape[1]:
        remedy = "; RDM(values, classes) takes condensed distances" if given.ndim == 1 else ""
        raise ValueError(f"{name} has shape {tuple(given.shape)}: expected a square array{remedy}")
    return given


def checked_square(square: ArrayLike | torch.Tensor, name: str = "RDM") -> torch.Tensor:
    """Square array of distances in float64, exactly symmetric and with a diagonal of 0, on the device of `square`.

    Raises ValueError if the array is not square or symmetric, or its diagonal is not zero, each within the rounding of
    its dtype (``1 - np.corrcoef`` misses symmetry by 2e-16; a root in Euclidean distances magnifies what float32
    rounds).
    """
    given = square_tensor(square, name)
    values = given.to(torch.float64)
    if torch.equal(values, values.T) and not bool(values.diagonal().any()):
        return values
    eps = torch.finfo(given.dtype).eps if given.is_floating_point() else 0.0
    rounding = 4 * eps if eps > COARSE else 10 * math.sqrt(eps)
    finite = torch.isfinite(values)
    tolerance = rounding * torch.where(finite, values, 0).abs().max()
    if bool((wrong := ~(values.diagonal().abs() <= tolerance)).any()):
        row = int(torch.nonzero(wrong)[0])
        raise ValueError(
            f"{name} has {float(values[row, row]):g} on its diagonal (row {row}): the distance of a class to "
            "itself is 0; if these are similarities, give 1 - similarity"
        )
    wrong = ((values - values.T).abs() > tolerance) | (finite != finite.T)
    if bool(wrong.any()):
        row, column = (int(index) for index in torch.nonzero(wrong)[0])
        raise ValueError(
            f"{name} is not symmetric: [{row}, {column}] is {float(values[row, column]):g} "
            f"and [{column}, {row}] is {float(values[column, row]):g}"
        )
    return (values / 2 + values.T / 2).fill_diagonal_(0)  # halves first: a sum of two might be infinite


def from_class_means(means: NDArray[Any] | torch.Tensor, classes: Sequence[str], distance: str = "correlation") -> RDM:
    """RDM of the class means of a layer.

    Parameters
    ----------
    means : array, tensor or DataFrame, shape (n, d)
        One row a class. A tensor is computed on its own device. A DataFrame's rows are taken by name.
    classes : sequence of str
        The n class names, in the order of an array's rows.
    distance : {'correlation', 'spearman', 'euclidean', 'cosine'}
        As in `distances.pairwise`, which also says what is refused, and what becomes NaN with a warning.
    """
    classes = tuple(str(name) for name in classes)
    rows = as_tensor(in_order(means, classes, "means", 1), "means")
    if rows.ndim and len(classes) != len(rows):
        raise ValueError(f"{len(classes)} classes, but means of {len(rows)}")
    return RDM(pairwise(rows, distance, classes).cpu().numpy(), classes)


def align(*rdms: RDM) -> tuple[RDM, ...]:
    """RDMs of the classes that all of them share, in the order of the first.

    A UserWarning names the classes that were dropped; a ValueError, if fewer than 4 are shared, those that are not.
    """
    common = set(rdms[0].classes).intersection(*(rdm.classes for rdm in rdms[1:]))
    shared = tuple(name for name in rdms[0].classes if name in common)
    dropped = sorted({name for rdm in rdms for name in rdm.classes} - common)
    if len(shared) < FEWEST_CLASSES:
        raise ValueError(
            f"the RDMs share {len(shared)} classes, at least {FEWEST_CLASSES} are needed; not in all: {listed(dropped)}"
        )
    if dropped:
        warnings.warn(f"{len(dropped)} classes are not in all RDMs and are dropped: {listed(dropped)}", stacklevel=2)
    return tuple(rdm.subset(shared) for rdm in rdms)


def write_rdms(path: str | Path, rdms: Mapping[str, RDM]) -> None:
    """Write RDMs of the same classes, one column (layer or model) each, to a long Parquet table.

    Raises ValueError if there is no RDM, or they differ in their classes or the order of these.
    """
    import pandas as pd  # here, as all that takes long to import, so that `import semanticcmc.rsa` does not

    if not rdms:
        raise ValueError(f"{path}: no RDM to write")
    classes = next(iter(rdms.values())).classes
    if other := [name for name, rdm in rdms.items() if rdm.classes != classes]:
        raise ValueError(f"{path}: {', '.join(other)} has other classes, or another order of them")
    names = np.array(classes, dtype=object)
    first, second = np.triu_indices(len(classes), 1)
    columns = {"class_i": names[first], "class_j": names[second]}
    if clash := [name for name in rdms if name in columns]:
        raise ValueError(f"{path}: an RDM cannot be named {clash[0]}")
    table = pd.DataFrame(columns | {name: rdm.values for name, rdm in rdms.items()})
    with atomic(path) as temporary:
        table.to_parquet(temporary, index=False)


def read_rdms(path: str | Path) -> dict[str, RDM]:
    """Read RDMs that `write_rdms`, pandas or R wrote; the rows may be in any order. Others' files: `arrays.read_named`.

    Classes are in the order in which they first appear. Raises InputError if the file is absent or no Parquet, or a
    pair of classes is missing or duplicate.
    """
    import pandas as pd

    if (file := Path(path)).suffix in (".npz", ".hdf5", ".h5", ".pkl"):
        try:
            return {name: RDM(values, classes) for name, (values, classes) in read_named(file).items()}
        except Exception as error:  # of many kinds, for torn or foreign files
            raise InputError(f"{path}: not readable as a file of RDMs with names of their classes: {error}") from error
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not readable as a Parquet table of RDMs: {error}") from error
    columns = [str(name) for name in table.columns if name not in ("class_i", "class_j")]
    if len(columns) != len(table.columns) - 2 or not columns:
        raise InputError(
            f"{path}: expected the columns class_i, class_j and one or more RDMs, "
            f"found {', '.join(map(str, table.columns))}"
        )
    # Reading pairs row by row, so that condensed order gives back the order of the classes.
    pairs = table[["class_i", "class_j"]].astype(str).to_numpy()
    codes, classes = pd.factorize(pairs.ravel())
    first, second = codes.reshape(-1, 2).T
    n = len(classes)
    count = np.zeros((n, n), dtype=np.int64)
    np.add.at(count, (first, second), 1)
    unnamed = table[["class_i", "class_j"]].isna().to_numpy().any()
    if unnamed or not n or not np.array_equal(count + count.T, 1 - np.eye(n, dtype=np.int64)):
        raise InputError(
            f"{path}: each of the {n * (n - 1) // 2} pairs of its {n} classes is expected once; "
            f"among its {len(table)} rows some are missing, duplicate, without a name, or of a class with itself"
        )
    rdms = {}
    for name in columns:
        values = np.zeros((n, n))
        try:
            column = as_tensor(table[name].to_numpy(na_value=np.nan), f"RDM {name}").to(torch.float64).numpy()
        except ValueError as error:
            raise InputError(f"{path}: {error}") from error
        values[first, second] = values[second, first] = column
        rdms[name] = RDM(values, tuple(str(one) for one in classes))
    return rdms
