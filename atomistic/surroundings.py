"""Which atoms, in which periodic image, lie around a core."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.geometry import find_mic
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]

#: Images of atoms are the same place to this (Å).
_ROUNDING = 1e-6


@dataclass(frozen=True, kw_only=True, eq=False)
class Surroundings:
    """Atoms around a core, by image.

    Attributes:
        indices: (k,) atoms of the whole system.
        relative: (k, 3) places relative to the first core atom, Å.
        distance: (k,) to the nearest core atom, Å; zero for the core itself.
        core: (k,) whether it is an atom of the core, in the image in which the core hangs together.
    """

    indices: Indices
    relative: Array
    distance: Array
    core: Mask


def surroundings(atoms: Atoms, core: Mask, radius: float) -> Surroundings:
    """Return all images of atoms within `radius` (Å) of the core, the core first."""
    rows = np.flatnonzero(core)
    places = together(atoms, rows)
    relative, indices = _images(atoms, places, radius + _ROUNDING)
    distance, nearest = cKDTree(places).query(relative)
    own = (distance < _ROUNDING) & (rows[nearest] == indices)
    # Rounding may leave a core atom 1e-15 Å from itself: the core belongs to C whatever the radius.
    near = own | (distance <= radius)
    order = np.lexsort((indices[near], ~own[near]))
    pick = np.flatnonzero(near)[order]
    return Surroundings(
        indices=indices[pick],
        relative=relative[pick] - places[0],
        distance=np.where(own[pick], 0.0, distance[pick]),
        core=own[pick],
    )


def together(atoms: Atoms, rows: Indices) -> Array:
    """Return places (k, 3) of the core's atoms, each in the image nearest to those placed before it."""
    start = atoms.positions[rows]
    found = start.copy()
    best, origin = np.full(len(rows), np.inf), np.zeros((len(rows), 3))
    waiting = np.ones(len(rows), dtype=bool)
    current = 0
    for _ in range(len(rows) - 1):
        waiting[current] = False
        vectors, lengths = find_mic(start - start[current], atoms.cell, atoms.pbc)
        closer = waiting & (lengths < best)
        best[closer] = lengths[closer]
        origin[closer] = found[current] + vectors[closer]
        current = int(np.flatnonzero(waiting)[np.argmin(best[waiting])])
        found[current] = origin[current]
    return found


def _images(atoms: Atoms, places: Array, radius: float) -> tuple[Array, Indices]:
    """Places and atoms of all images in the box around the core, grown by `radius`."""
    lower, upper = places.min(axis=0) - radius, places.max(axis=0) + radius
    cell = np.asarray(atoms.cell.complete())
    reciprocal = np.linalg.inv(cell)
    fractional = atoms.positions @ reciprocal
    corners = np.array(np.meshgrid(*zip(lower, upper, strict=True), indexing="ij")).reshape(3, -1).T @ reciprocal
    first = np.where(atoms.pbc, np.floor(corners.min(axis=0) - fractional.max(axis=0)), 0).astype(int)
    last = np.where(atoms.pbc, np.ceil(corners.max(axis=0) - fractional.min(axis=0)), 0).astype(int)
    shifts = np.stack(np.meshgrid(*[np.arange(a, b + 1) for a, b in zip(first, last, strict=True)], indexing="ij"), -1)
    found, whose = [], []
    for shift in shifts.reshape(-1, 3) @ cell:
        moved = atoms.positions + shift
        inside = np.flatnonzero(np.all((moved >= lower) & (moved <= upper), axis=1))
        found.append(moved[inside])
        whose.append(inside)
    return np.concatenate(found), np.concatenate(whose)
