"""Quantum results on disk, in files that people can read; a restart repeats none of them."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from numpy.typing import NDArray

from atomistic.errors import OracleCacheError, OracleInputError
from atomistic.oracle.base import Outcome, Task
from atomistic.whole_file import PART, put_whole, write_whole

FORMAT = 1
BUCKET = "bucket.json"


#: Structures farther apart than this (Å) are never the same.
_FARTHEST = 0.5


@dataclass(frozen=True, kw_only=True)
class _Stored:
    """A result in memory, with cell and positions (Å) of its structure as one row."""

    outcome: Outcome
    geometry: NDArray[np.float64]


class ResultCache:
    """A folder of results. Results of one engine, settings, list of elements, pbc, charge and spin share a bucket.

    Files appear whole or not at all, so that any number of processes may write at once; two that compute the same
    structure at the same time write the same file.

    Args:
        folder: made when first written to.
        match: how far cell vectors and positions may lie from those of a stored result (Å).

    Raises:
        OracleInputError: a negative match.
        OracleCacheError: `folder` is a file, or cannot be made.
    """

    def __init__(self, folder: Path, *, match: float) -> None:
        if isinstance(match, bool) or not isinstance(match, int | float) or not match >= 0.0 or not np.isfinite(match):
            raise OracleInputError(f"match is a distance ≥ 0 (Å) within which structures are the same; got {match!r}.")
        if match > _FARTHEST:
            raise OracleInputError(
                f"match = {match!r} Å: within half a bond length any structure would be any other; expected at most "
                f"{_FARTHEST} Å, and for relaxed structures 0.01 Å."
            )
        self.folder = folder.expanduser()
        self.match = float(match)
        self._shelves: dict[str, dict[str, _Stored]] = {}
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OracleCacheError(
                f"The folder {self.folder} for quantum results cannot be made ({error.strerror}). Give another cache."
            ) from error

    def find(self, engine: str, identity: Mapping[str, Any], task: Task, *, changed: bool) -> Outcome | None:
        """Return the stored result of the structure nearest to the task's within `match`, or None.

        Args:
            engine: its name.
            identity: what decides the answer apart from the structure.
            task: the structure.
            changed: whether results whose physics differs from what was asked will do.

        Raises:
            OracleCacheError: a damaged file.
        """
        shelf = list(self._read(self._bucket(engine, identity, task)).values())
        if not shelf:
            return None
        away = np.abs(np.array([stored.geometry for stored in shelf]) - _flat(task.atoms)).max(axis=1)
        for row in np.argsort(away, kind="stable"):
            if away[row] > self.match:
                break
            if changed or not shelf[row].outcome.changed:
                return replace(shelf[row].outcome, away=float(away[row]))
        return None

    def store(self, engine: str, identity: Mapping[str, Any], task: Task, outcome: Outcome) -> Path:
        """Write a result and return its file; one of the very same structure is replaced.

        Raises:
            OracleCacheError: the folder cannot be written.
        """
        bucket = self._bucket(engine, identity, task)
        name = hashlib.sha256(_flat(task.atoms).tobytes() + outcome.changed.encode()).hexdigest()[:16]
        header = _header(engine, identity, task)
        try:
            bucket.mkdir(parents=True, exist_ok=True)
            if not (bucket / BUCKET).exists():
                write_whole(bucket / BUCKET, _lines(header).encode())
            _write_structure(bucket / f"{name}.xyz", task, outcome)
            write_whole(bucket / f"{name}.json", _lines(_entry(task, outcome)).encode())
        except OSError as error:
            raise self._unwritable(error) from error
        self._shelves.get(bucket.name, {}).pop(f"{name}.json", None)  # read again when next looked for
        return bucket / f"{name}.json"

    def prepare(self, engine: str, identity: Mapping[str, Any], task: Task) -> Path:
        """Make sure, before an expensive calculation, that its result can be stored; return a file for the engine's log.

        Raises:
            OracleCacheError: the folder cannot be written.
        """
        logs = self.folder / "logs"
        try:
            logs.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=logs):
                pass
        except OSError as error:
            raise self._unwritable(error) from error
        return logs / f"{self._bucket(engine, identity, task).name}-{os.getpid()}.txt"

    def _unwritable(self, error: OSError) -> OracleCacheError:
        return OracleCacheError(
            f"Quantum results cannot be stored in {self.folder} ({error.strerror or error}). Give a folder that can be written "
            "and has room, or no cache."
        )

    def _bucket(self, engine: str, identity: Mapping[str, Any], task: Task) -> Path:
        text = json.dumps(_header(engine, identity, task), sort_keys=True)
        word = word_of(engine)
        formula = task.atoms.get_chemical_formula()[:40]
        return self.folder / f"{word}-{formula}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    def _read(self, bucket: Path) -> dict[str, _Stored]:
        """The bucket's results by file; files that came since the last look are read, those that went are forgotten."""
        shelf = self._shelves.setdefault(bucket.name, {})
        try:
            found = {
                entry.name
                for entry in os.scandir(bucket)
                # Another process may be in the middle of writing.
                if entry.name.endswith(".json") and entry.name != BUCKET and not entry.name.startswith(PART)
            }
        except FileNotFoundError:
            found = set()
        for name in shelf.keys() - found:
            del shelf[name]
        for name in sorted(found - shelf.keys()):
            outcome, geometry = read_result(bucket / name)
            shelf[name] = _Stored(outcome=outcome, geometry=geometry)
        return shelf


def word_of(engine: str) -> str:
    """The name of an engine as a part of a file name."""
    return "".join(c if c.isalnum() or c in "-." else "_" for c in engine)[:40]


def read_result(path: Path) -> tuple[Outcome, NDArray[np.float64]]:
    """Return a stored result, and cell and positions (Å) of its structure as one row.

    Raises:
        OracleCacheError: the file cannot be read, was changed, or comes from another version.
    """
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        if entry["format"] != FORMAT:
            raise OracleCacheError(f"{path} has format {entry['format']!r}; this version reads {FORMAT}. Move it away.")
        if entry.pop("checksum") != _checksum(entry):
            raise ValueError("its checksum does not fit its contents")
        geometry = np.concatenate([np.ravel(entry["cell"]), np.ravel(entry["positions"])])
        outcome = Outcome(
            energy=float(entry["energy"]),
            free_energy=float(entry["free_energy"]),
            forces=np.array(entry["forces"], dtype=float),
            stress=None if entry["stress"] is None else np.array(entry["stress"], dtype=float),
            magmoms=None if entry["magmoms"] is None else np.array(entry["magmoms"], dtype=float),
            magmom=entry.get("magmom"),
            engine=entry["engine"],
            seconds=float(entry["seconds"]),
            attempts=tuple(entry["attempts"]),
            changed=entry["changed"],
        )
    except OracleCacheError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise OracleCacheError(
            f"The stored quantum result {path} is damaged ({type(error).__name__}: {error}). It is not used: delete it (the "
            "structure will be computed anew), or restore it."
        ) from error
    return outcome, geometry


def merged(old: Outcome | None, new: Outcome) -> Outcome:
    """Return a result completed by a later one: energy and forces stay, to the bit, what they were."""
    if old is None or old.changed != new.changed:
        return new
    return replace(
        old,
        stress=new.stress if old.stress is None else old.stress,
        seconds=old.seconds + new.seconds,
        attempts=(*old.attempts, *new.attempts),
    )


def _header(engine: str, identity: Mapping[str, Any], task: Task) -> dict[str, Any]:
    return {
        "format": FORMAT, "engine": engine, "settings": dict(identity), "symbols": task.atoms.get_chemical_symbols(),
        "pbc": task.atoms.pbc.tolist(), "charge": task.charge, "spin": task.spin,
    }  # fmt: skip


def _entry(task: Task, outcome: Outcome) -> dict[str, Any]:
    entry = {
        "format": FORMAT,
        "engine": outcome.engine,
        "seconds": round(outcome.seconds, 3),
        "attempts": list(outcome.attempts),
        "changed": outcome.changed,
        "energy": outcome.energy,
        "free_energy": outcome.free_energy,
        "stress": _list(outcome.stress),
        "magmom": outcome.magmom,
        "magmoms": _list(outcome.magmoms),
        "cell": _list(task.atoms.cell.array),
        "positions": _list(task.atoms.positions),
        "forces": _list(outcome.forces),
    }
    return {"checksum": _checksum(entry)} | entry


def _checksum(entry: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()


def _list(array: NDArray[np.float64] | None) -> Any:
    return None if array is None else array.tolist()


def _lines(content: Mapping[str, Any]) -> str:
    """JSON with one entry, and one atom, a line; floats keep all their bits."""
    parts = []
    for key, value in content.items():
        rows = isinstance(value, list) and value and isinstance(value[0], list)
        text = (
            "[\n  " + ",\n  ".join(map(json.dumps, value)) + "\n ]" if rows else json.dumps(value, ensure_ascii=False)
        )
        parts.append(f" {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _write_structure(path: Path, task: Task, outcome: Outcome) -> None:
    """Write the structure with energy and forces as extended XYZ, for people and for OVITO; it is never read here."""
    atoms = task.atoms.copy()
    results = {"energy": outcome.energy, "free_energy": outcome.free_energy, "forces": outcome.forces}
    results |= {
        name: value for name in ("stress", "magmoms", "magmom") if (value := getattr(outcome, name)) is not None
    }
    atoms.calc = SinglePointCalculator(atoms, **results)
    put_whole(path, lambda part: write(part, atoms, format="extxyz", parallel=False))


def _flat(atoms: Atoms) -> NDArray[np.float64]:
    return np.concatenate([atoms.cell.array.ravel(), atoms.positions.ravel()])
