"""What a result was made from, told by content: what the workflow compares to know what is to be made again."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import stat
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from semanticcmc.run import atomic, sha256

LONG_READ_BYTES = 2**31  # from here on it is said that files are read


class Contents:
    """Digests (SHA-256) of files, folders and code, each file read once.

    A notebook counts by its cells without their outputs, Python by its code without comments and docstrings, any other
    file by its bytes. Where a file lies, its owner and its times play no part. Relative paths count from `root`, the
    checkout, and modules are found in it and in its ``lib``. The file `known` keeps digests by (device, inode, size,
    time of change), so that the next start reads none again.
    """

    def __init__(self, root: Path, known: Path) -> None:
        self.root, self.known = root, known
        try:
            self.before: dict[str, str] = json.loads(known.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self.before = {}
        self.digests: dict[str, str] = {}
        self.named: dict[Path, list[Path]] = {}
        self.tables = {path.name: path for path in (root / "lib" / "semanticcmc" / "data").glob("*.csv")}

    def of(self, *paths: str | Path) -> str:
        """Digest of files and folders, of folders with all below them, also behind links; one may be absent."""
        listed = [list(_files(self.root / Path(one).expanduser())) for one in paths]
        marks = [mark for files in listed for _, path in files if (mark := _mark(path)) and mark not in self.before]
        if (unread := sum(int(mark.split()[2]) for mark in marks)) > LONG_READ_BYTES:
            print(f"Reading {unread / 1e9:.0f} GB once, to know what results are made from ...", file=sys.stderr)
        found = [[(name, self._file(path)) for name, path in files] for files in listed]
        return _sha256(repr(found).encode())

    def values(self, values: Any) -> Any:
        """Values of an experiment, what is at a path in place of the path."""
        if isinstance(values, Mapping):
            return {key: self.values(value) for key, value in values.items()}
        if isinstance(values, (list, tuple)):
            return [self.values(value) for value in values]
        if isinstance(values, str) and ("/" in values or "." in values):
            path = self.root / Path(values).expanduser()
            return {"content": self.of(path)} if os.path.exists(path) else values
        return values

    def code(self, *modules: str) -> str:
        """Digest of modules with all that they import of this repository, and of the tables that these name."""
        reached: set[Path] = set()
        waiting = [path for module in modules for path in self._places(module)]
        while waiting:
            path = waiting.pop()
            if path not in reached:
                reached.add(path)
                waiting += self._named(path)
        return self.of(*sorted(reached))

    def save(self) -> None:
        """Keep the digests for the next start."""
        if self.digests != self.before:
            with atomic(self.known) as temporary:
                temporary.write_text(json.dumps(self.digests), encoding="utf-8")

    def _named(self, path: Path) -> list[Path]:
        """Files of this repository that one of Python imports, and tables of the package that it names."""
        if path not in self.named:
            found = self.named[path] = []
            for node in ast.walk(ast.parse(path.read_bytes())) if path.suffix == ".py" else ():
                if isinstance(node, ast.Import):
                    found += [place for name in node.names for place in self._places(name.name)]
                elif isinstance(node, ast.ImportFrom) and node.module:
                    names = (node.module, *(f"{node.module}.{name.name}" for name in node.names))
                    found += [place for name in names for place in self._places(name)]
                elif isinstance(node, ast.Constant) and node.value in self.tables:
                    found.append(self.tables[node.value])
        return self.named[path]

    def _places(self, module: str) -> list[Path]:
        """Files of a module of this repository and of the packages that it is in, but the first; none for others."""
        parts, found = module.split("."), []
        for depth in range(2, len(parts) + 1):
            path = Path(*parts[:depth])
            named = (path.with_suffix(".py"), path / "__init__.py")
            found += [
                place for top in (self.root / "lib", self.root) for one in named if (place := top / one).is_file()
            ]
        return found

    def _file(self, path: Path) -> str:
        mark = _mark(path)
        if mark is None:
            return "no file"
        if mark not in self.digests:
            self.digests[mark] = self.before.get(mark) or _digest(path)
        return self.digests[mark]


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    """A file itself, or all files below a folder, by their paths from it, in order; each folder is entered once."""
    if not path.is_dir():
        yield "", path
        return
    entered, found = set(), []
    for place, below, names in os.walk(path, followlinks=True):
        about = os.stat(place)
        if (about.st_dev, about.st_ino) in entered:
            below.clear()
            continue
        entered.add((about.st_dev, about.st_ino))
        below.sort()
        found += [os.path.relpath(os.path.join(place, name), path) for name in names]
    yield from ((name, path / name) for name in sorted(found))


def _mark(path: Path) -> str | None:
    """What tells whether a file is still the same without reading it; None where there is none to be read."""
    try:
        about = path.stat()
    except OSError:
        return None
    kind = path.suffix.lower() if path.suffix.lower() in (".py", ".ipynb") else ""
    marks = (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns)
    return " ".join(map(str, (*marks, kind))) if stat.S_ISREG(about.st_mode) else None


def _digest(path: Path) -> str:
    try:
        if path.suffix == ".ipynb":
            cells = json.loads(path.read_bytes())["cells"]
            parts = [(cell["cell_type"], cell["source"], cell["metadata"].get("tags")) for cell in cells]
            return _sha256(json.dumps(parts).encode())
        if path.suffix == ".py":
            return _sha256(ast.unparse(_without_docstrings(ast.parse(path.read_bytes()))).encode())
    except (ValueError, KeyError, TypeError, SyntaxError):
        pass  # no notebook, no Python: its bytes
    try:
        return sha256(path)
    except OSError as error:
        return f"not readable: {error.strerror}"


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return tree


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
