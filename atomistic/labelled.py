"""Structures with the answers that somebody trusts: what a potential is measured against and taught with."""

from __future__ import annotations

import difflib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from atomistic.errors import LabelledDataError
from atomistic.label_keys import (
    ENERGY_UNITS,
    FORCE_UNITS,
    KNOWN_KEYS,
    ChosenKeys,
    LabelOptions,
    as_number,
    as_vectors,
    choose_keys,
    stress_of,
    unit_factor,
    values_of,
)
from atomistic.whole_file import write_whole

_OWN = ("REF_energy", "REF_forces", "REF_stress", "counted", "config_type", "provenance")
_RANGE = re.compile(r"-?\d+|(-?\d*:){1,2}(-?\d+)?")
_DATABASES = (".db", ".json", ".aselmdb")
_Images = list[tuple[Atoms, dict[str, Any]]]


@dataclass(frozen=True, kw_only=True)
class LabelledFrame:
    """One structure and its reference values; what is None was not computed.

    Attributes:
        atoms: the structure, without a calculator.
        energy: of all atoms, eV.
        forces: (n, 3), eV/Å.
        stress: (3, 3), symmetric, eV/Å³, positive in tension.
        counted: (n,) bool, the atoms whose forces mean something (the core of a piece cut from a larger body); None for all.
        config_type: the group that the structure belongs to ("bulk", "surface", ...), for metrics by group.
        provenance: who computed it, with which settings, and where the structure comes from.
    """

    atoms: Atoms
    energy: float | None = None
    forces: NDArray[np.float64] | None = None
    stress: NDArray[np.float64] | None = None
    counted: NDArray[np.bool_] | None = None
    config_type: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def labelled(self) -> bool:
        """Whether anything was computed for the structure."""
        return self.energy is not None or self.forces is not None or self.stress is not None


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a file held.

    Attributes:
        frames: in the file's order.
        numbers: what number each of them has in the file, counted from 0, whichever were chosen.
        keys: the names from which the labels were taken.
        counts: number of frames with an energy, with forces, with a stress, and without any of them ("unlabelled").
    """

    frames: list[LabelledFrame]
    numbers: list[int]
    keys: ChosenKeys
    counts: Mapping[str, int]


def read_frames(
    path: str | Path, *, options: LabelOptions | None = None, index: str = ":", unlabelled: bool = False
) -> list[LabelledFrame]:
    """Read labelled structures; `read_labelled` says besides where their labels were found."""
    return read_labelled(path, options=options, index=index, unlabelled=unlabelled).frames


def read_labelled(
    path: str | Path, *, options: LabelOptions | None = None, index: str = ":", unlabelled: bool = False
) -> Reading:
    """Read labelled structures from extended XYZ, an ASE database, or anything else that ASE reads (OUTCAR, vasprun.xml, traj).

    Labels are found by their usual names, REF_energy and dft_energy before energy, one name for the whole file
    (`atomistic.label_keys.KNOWN_KEYS`). A virial W becomes the stress −W/V. Every rank that calls reads for itself.

    Args:
        path: the file.
        options: names and units where they are not the usual ones.
        index: which frames, as ASE writes it: ":", "0:100", "::10".
        unlabelled: whether a file without any label will do.

    Raises:
        LabelledDataError: no such file, not readable, no structures, no labels, or labels that are not finite, have the
            wrong shape or are in another unit.
    """
    path = Path(path)
    options = options or LabelOptions()
    if not _RANGE.fullmatch(index):
        raise LabelledDataError(f"Frames are chosen as 0:100, ::10, -5: or by one number; got {index!r}.")
    images, numbers = _images(path, index)
    if not images:
        raise LabelledDataError(
            f"{path} holds no structures{'' if index == ':' else f' in {index!r}'}. Is it the right file?"
        )
    values = [values_of(atoms, extra) for atoms, extra in images]
    keys = choose_keys(values, options, str(path))
    frames = [
        _frame(atoms, found, keys, options, f"frame {k} of {path}")
        for k, (atoms, _), found in zip(numbers, images, values, strict=True)
    ]
    counts = Counter(
        {
            "energy": sum(frame.energy is not None for frame in frames),
            "forces": sum(frame.forces is not None for frame in frames),
            "stress": sum(frame.stress is not None for frame in frames),
            "unlabelled": sum(not frame.labelled for frame in frames),
        }
    )
    if counts["unlabelled"] == len(frames) and not unlabelled:
        names = sorted({name for found in values for name in found})
        raise LabelledDataError(
            f"None of the {len(frames)} structures of {path} has an energy, forces or a stress under a known name (REF_energy, "
            f"dft_energy, energy; REF_forces ...). They have {', '.join(names) or 'nothing but places'}: name the labels' keys."
        )
    return Reading(frames=frames, numbers=numbers, keys=keys, counts=dict(counts))


def write_frames(path: str | Path, frames: Sequence[LabelledFrame]) -> None:
    """Write frames as extended XYZ, to the last bit, the whole file or nothing; every rank that calls writes.

    Labels are REF_energy, REF_forces and REF_stress, which ASE does not take for a calculator's. Constraints, a calculator
    and values in `atoms.info` or `atoms.arrays` with the name of a label are not written.

    Raises:
        LabelledDataError: a frame that `checked_frame` refuses, or a place that cannot be written.
    """
    path = Path(path)
    text = "".join(frame_text(checked_frame(frame, f"frame {k}")) for k, frame in enumerate(frames))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text.encode())
    except OSError as error:
        raise LabelledDataError(f"{path} cannot be written ({error.strerror}). Choose another file.") from error


def frame_text(frame: LabelledFrame) -> str:
    """Return one frame as lines of extended XYZ, every number to the last bit."""
    atoms = frame.atoms
    columns: dict[str, NDArray[Any]] = {
        "species": np.array(atoms.get_chemical_symbols(), dtype=str),
        "pos": atoms.positions,
        **{
            k: v
            for k, v in atoms.arrays.items()
            if k not in ("numbers", "positions", *_OWN) and v.dtype.kind in "fiubUS"
        },
    }
    if frame.forces is not None:
        columns["REF_forces"] = frame.forces
    if frame.counted is not None:
        columns["counted"] = frame.counted
    info = {k: v for k, v in atoms.info.items() if _is_extra(k)}
    if frame.energy is not None:
        info["REF_energy"] = float(frame.energy)
    if frame.stress is not None:
        info["REF_stress"] = np.asarray(frame.stress, dtype=float).reshape(9)
    if frame.config_type:
        info["config_type"] = frame.config_type
    if frame.provenance:
        info["provenance"] = json.dumps(dict(frame.provenance), sort_keys=True, default=_plain)
    kinds = {"f": "R", "i": "I", "u": "I", "b": "L"}
    properties = ":".join(
        f"{name}:{kinds.get(column.dtype.kind, 'S')}:{1 if column.ndim == 1 else column.shape[1]}"
        for name, column in columns.items()
    )
    cell = "" if atoms.cell.rank == 0 else f"Lattice={_quoted(_words(atoms.cell.array.reshape(9)))} "
    pairs = "".join(f" {name if name.isidentifier() else _quoted(name)}={_info_text(v)}" for name, v in info.items())
    header = f"{cell}Properties={properties} pbc={_quoted(_words(atoms.pbc))}{pairs}"
    rows = (" ".join(parts) for parts in zip(*map(_column_words, columns.values()), strict=True))
    return "\n".join([str(len(atoms)), header, *rows, ""])


def _is_extra(name: str) -> bool:
    """Whether a name of the structure's own is kept in a file: none that a reader could take for a label."""
    return name not in ("numbers", "positions", *_OWN) and all(
        name.lower() not in known for known in KNOWN_KEYS.values()
    )


def checked_frame(frame: LabelledFrame, where: str) -> LabelledFrame:
    """Return the frame if its labels have the right shapes and are finite; `where` names it in the error.

    Raises:
        LabelledDataError: they are not, or there are no atoms.
    """
    n = len(frame.atoms)
    if n == 0:
        raise LabelledDataError(f"{where} has no atoms.")
    shapes: dict[str, tuple[Any, tuple[int, ...]]] = {
        "energy": (frame.energy, ()),
        "forces": (frame.forces, (n, 3)),
        "stress": (frame.stress, (3, 3)),
        "counted": (frame.counted, (n,)),
        "positions": (frame.atoms.positions, (n, 3)),
    }
    for name, (value, shape) in shapes.items():
        if value is None:
            continue
        array = np.asarray(value)
        if array.shape != shape:
            raise LabelledDataError(f"The {name} of {where} must have shape {shape}; got {array.shape}.")
        if not np.all(np.isfinite(array)):
            raise LabelledDataError(
                f"Numbers of the {name} of {where} ({frame.atoms.symbols}) are not finite: {_first_bad(array)}. "
                "Compute it again or leave the frame out (or read it with `nan_is_missing`, where NaN means not computed)."
            )
    return frame


def _first_bad(array: NDArray[Any]) -> str:
    """Say where the first number is that is not finite."""
    if array.ndim == 0:
        return str(array)
    place = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
    return f"{array[place]} at {list(place)}"


def _images(path: Path, index: str) -> tuple[_Images, list[int]]:
    """Read structures, each with the pairs and arrays that a database keeps beside it, and their numbers in the file."""
    if not path.exists():
        siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        near = difflib.get_close_matches(path.name, siblings, n=1)
        hint = f" Did you mean {path.parent / near[0]}?" if near else ""
        folder = "" if path.parent.is_dir() else f" There is no folder {path.parent}."
        raise LabelledDataError(f"There is no file {path}.{folder}{hint}")
    if path.is_dir():
        raise LabelledDataError(f"{path} is a folder; expected a file with structures, such as {path / 'data.extxyz'}.")
    if path.stat().st_size == 0:
        raise LabelledDataError(f"{path} is empty; expected structures with energies, forces or stresses.")
    try:
        return _from_database(path, index) if path.suffix.lower() in _DATABASES else _from_file(path, index)
    except LabelledDataError:
        raise
    except Exception as error:  # ASE's readers raise whatever their parsing meets
        raise LabelledDataError(
            f"{path} cannot be read ({type(error).__name__}: {str(error) or 'no more said'}). Expected extended XYZ, an ASE "
            "database or another file that ASE reads, with an ending that says which (.extxyz, .xyz, .db, .traj, OUTCAR)."
        ) from error


def _from_file(path: Path, index: str) -> tuple[_Images, list[int]]:
    from ase.io import read

    # Numbers that count from the end need the whole file.
    images = read(str(path), ":" if "-" in index else index, parallel=False, do_not_split_by_at_sign=True)
    found: _Images = [(atoms, {}) for atoms in (images if isinstance(images, list) else [images])]
    if "-" in index:
        numbers = _numbers(index, len(found))
        return [found[k] for k in numbers], numbers
    first, _, rest = index.partition(":")
    step = int(rest.partition(":")[2] or 1)
    return found, [int(first or 0) + step * k for k in range(len(found))]


def _from_database(path: Path, index: str) -> tuple[_Images, list[int]]:
    from ase.db import connect

    rows = list(connect(str(path), serial=True).select())
    numbers = _numbers(index, len(rows))
    chosen = [rows[k] for k in numbers]
    return [(row.toatoms(), {**row.key_value_pairs, **row.data}) for row in chosen], numbers


def _numbers(index: str, count: int) -> list[int]:
    """Return the numbers of the frames that `index` chooses among so many."""
    from ase.io.formats import string2index

    wanted = string2index(index)
    return list(range(count)[wanted]) if isinstance(wanted, slice) else [range(count)[int(wanted)]]


def _frame(
    atoms: Atoms, values: Mapping[str, Any], keys: ChosenKeys, options: LabelOptions, where: str
) -> LabelledFrame:
    """Make a frame of a structure and all that it carries."""
    bare = atoms.copy()
    bare.calc = None
    used = {*_OWN, keys.energy, keys.forces, keys.stress, keys.virial, options.group_key}
    bare.info = {name: value for name, value in atoms.info.items() if name not in used}
    for name in [name for name in bare.arrays if name in used]:
        del bare.arrays[name]
    energy, forces = values.get(keys.energy or ""), values.get(keys.forces or "")
    counted = values.get("counted")
    labels: dict[str, Any] = {
        "energy": None
        if energy is None
        else as_number(energy, f"The energy of {where}") * unit_factor(options.energy_unit, ENERGY_UNITS, "energy"),
        "forces": None
        if forces is None
        else as_vectors(forces, len(bare), f"The forces of {where}")
        * unit_factor(options.forces_unit, FORCE_UNITS, "force"),
        "stress": stress_of(bare, values, keys, options, where),
    }
    if options.nan_is_missing:
        labels = {k: v if v is not None and np.all(np.isfinite(v)) else None for k, v in labels.items()}
    frame = LabelledFrame(
        atoms=bare,
        **labels,
        counted=None if counted is None else np.asarray(counted, dtype=bool),
        config_type=str(values.get(options.group_key, "")),
        provenance=_provenance(values.get("provenance")),
    )
    return checked_frame(frame, where)


def _provenance(given: Any) -> dict[str, Any]:
    """Return the provenance as a mapping; text that is no JSON object is kept as a note."""
    if given is None:
        return {}
    if isinstance(given, Mapping):
        return dict(given)
    try:
        parsed = json.loads(str(given))
    except json.JSONDecodeError:
        return {"note": str(given)}
    return parsed if isinstance(parsed, dict) else {"note": str(given)}


def _plain(value: Any) -> Any:
    """Turn what JSON does not know into what it does."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)


def _column_words(column: NDArray[Any]) -> list[str]:
    """Write the rows of a column."""
    return [_words(row) for row in column.reshape(len(column), -1).tolist()]


def _words(values: Iterable[Any]) -> str:
    """Write values so that they read back to the last bit."""
    return " ".join(_word(value) for value in values)


def _word(value: Any) -> str:
    if isinstance(value, bool | np.bool_):
        return "T" if value else "F"
    if isinstance(value, float | np.floating):
        return repr(float(value))
    return str(value)


def _quoted(text: str) -> str:
    """Quote text as ASE's reader unquotes it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    return f'"{escaped}"'


def _info_text(value: Any) -> str:
    """Write a value of a frame's header."""
    if isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "fiub" and value.size:
        return _quoted(_words(value))
    if isinstance(value, bool | np.bool_ | int | float | np.number):
        return _word(value)
    if isinstance(value, str):
        return _quoted(value)
    return _quoted("_JSON " + json.dumps(value, default=_plain))
