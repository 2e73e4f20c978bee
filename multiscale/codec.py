"""States as bytes and back, to the last bit: trees of plain things, arrays, atoms and the project's own dataclasses.

Nothing that is read runs code: a class is looked up by name among the dataclasses of the project's packages and filled field
by field.
"""

from __future__ import annotations

import importlib
import io
import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.constraints import dict2constraint
from scipy.sparse import csr_matrix, issparse

PACKAGES = ("atomistic", "continuum", "coupling", "multiscale")
_TREE = "tree"


class CodecError(ValueError):
    """Something that cannot be kept, or bytes that hold no state."""


def encode(tree: Any) -> bytes:
    """The bytes of a tree of None, numbers, text, paths, lists, tuples, dicts, sets, arrays, atoms and dataclasses.

    Raises:
        CodecError: for anything else, naming its place in the tree.
    """
    writer = _Writer()
    text = json.dumps(writer.plain(tree, "state"), ensure_ascii=False, allow_nan=False)
    buffer = io.BytesIO()
    arrays: dict[str, Any] = {_TREE: np.frombuffer(text.encode(), dtype=np.uint8), **writer.arrays}
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def decode(data: bytes) -> Any:
    """The tree of bytes that `encode` made.

    Raises:
        CodecError: they are damaged, or of something else, or of a class that is no longer there.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        tree = json.loads(arrays.pop(_TREE).tobytes().decode())
        return _Reader(arrays).whole(tree)
    except CodecError:
        raise
    except Exception as error:
        # Damaged archives fail in many ways.
        raise CodecError(f"holds no state that can be read ({error!r})") from error


class _Writer:
    """Turns a tree into what JSON can hold, its arrays put aside; an array that stands in several places is kept once."""

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self._known: dict[int, tuple[Any, str]] = {}

    def plain(self, value: Any, place: str) -> Any:
        if value is None or isinstance(value, bool | str) or type(value) is int:
            return value
        if type(value) is float:
            return value if math.isfinite(value) else {"float": repr(value)}
        if isinstance(value, np.ndarray | np.generic):
            return {"array" if isinstance(value, np.ndarray) else "scalar": self._aside(value, place)}
        if isinstance(value, list | tuple | set | frozenset):
            kind = next(k for k in (list, tuple, frozenset, set) if isinstance(value, k)).__name__
            return {kind: [self.plain(item, f"{place}[{i}]") for i, item in enumerate(value)]}
        if isinstance(value, Mapping):
            return {"dict": [[self.plain(k, place), self.plain(v, f"{place}[{k!r}]")] for k, v in value.items()]}
        if isinstance(value, Path):
            return {"path": str(value)}
        return self._object(value, place)

    def _object(self, value: Any, place: str) -> Any:
        kind = type(value)
        if isinstance(value, Atoms):
            content = {"pbc": value.pbc, "cell": value.cell.array, "info": value.info, "arrays": value.arrays}
            limits = [constraint.todict() for constraint in value.constraints]
            return {"atoms": self.plain({**content, "constraints": limits}, place)}
        if issparse(value):
            matrix = value.tocsr()
            parts = (matrix.data, matrix.indices, matrix.indptr, matrix.shape)
            return {"csr": self.plain(parts, place)}
        if is_dataclass(value) and kind.__module__.partition(".")[0] in PACKAGES and "<" not in kind.__qualname__:
            content = {f.name: getattr(value, f.name) for f in fields(value)}
            return {"class": f"{kind.__module__}:{kind.__qualname__}", "fields": self.plain(content, place)}
        raise CodecError(f"{place}: a {kind.__module__}.{kind.__qualname__} cannot be kept")

    def _aside(self, value: Any, place: str) -> str:
        array = np.asarray(value)
        if array.dtype.kind not in "biufcSU":
            raise CodecError(f"{place}: an array of {array.dtype} cannot be kept")
        if (known := self._known.get(id(value))) is not None:
            return known[1]
        name = f"a{len(self.arrays)}"
        self.arrays[name] = array
        # The object is held on to, so that its identity stays its own.
        self._known[id(value)] = (value, name)
        return name


class _Reader:
    """The inverse of `_Writer`."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self._arrays = arrays

    def whole(self, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        if "class" in value:
            return self._instance(value)
        ((kind, content),) = value.items()
        match kind:
            case "float":
                return float(content)
            case "array":
                return self._arrays[content].copy()
            case "scalar":
                return self._arrays[content][()]
            case "dict":
                return {self.whole(key): self.whole(item) for key, item in content}
            case "path":
                return Path(content)
            case "atoms":
                return _atoms(self.whole(content))
            case "csr":
                data, indices, indptr, shape = self.whole(content)
                return csr_matrix((data, indices, indptr), shape=shape)
        sequence = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}[kind]
        return sequence(self.whole(item) for item in content)

    def _instance(self, value: dict[str, Any]) -> Any:
        module, _, name = str(value["class"]).partition(":")
        if module.partition(".")[0] not in PACKAGES:
            raise CodecError(f"of {module}, which is none of the project's packages")
        found: Any = None
        try:
            found = importlib.import_module(module)
            for part in name.split("."):
                found = getattr(found, part)
        except (ImportError, AttributeError):
            found = None
        content = self.whole(value["fields"])
        if not (isinstance(found, type) and is_dataclass(found)) or {f.name for f in fields(found)} != set(content):
            raise CodecError(f"of another version of the program: its {module}.{name} has other fields, or is gone")
        instance = object.__new__(found)
        for field, item in content.items():
            object.__setattr__(instance, field, item)
        return instance


def _atoms(content: dict[str, Any]) -> Atoms:
    arrays = content["arrays"]
    atoms = Atoms(arrays["numbers"], cell=content["cell"], pbc=content["pbc"], info=content["info"])
    for name, values in arrays.items():
        atoms.arrays[name] = values
    atoms.set_constraint([dict2constraint(limit) for limit in content["constraints"]])
    return atoms
