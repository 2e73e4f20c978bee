"""Which atoms, in which periodic image, lie around a core; and which of them a periodic sub-cell takes in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.geometry import find_mic
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from coupling.embedding.region import Mask, SubCell
from coupling.errors import EmbeddingError

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

#: Images of atoms are the same place to this (Å).
_ROUNDING = 1e-6
#: A boundary between atoms is sought where they leave at least this much room (Å), within this share of the cell.
_ROOM, _SEARCH = 0.4, 0.25
#: This share of the atoms beside a sub-cell must lie this close (Å) to an image of one inside: then its vectors are periods.
_SHARE, _SAME = 0.8, 0.8


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
    places = _together(atoms, rows)
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


def _together(atoms: Atoms, rows: Indices) -> Array:
    """Places (k, 3) of the core's atoms, each in the image nearest to those placed before it."""
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


def inside_cell(atoms: Atoms, core: Mask, cell: SubCell) -> Surroundings:
    """Return the atoms of a periodic sub-cell around the core, the core first.

    The cell's boundaries go between atoms: along a period both ends by the same vector, along a slice each for itself.

    Raises:
        EmbeddingError: the core does not fit, or the vectors are no periods of the environment.
    """
    rows = np.flatnonzero(core)
    places = _together(atoms, rows)
    middle = 0.5 * (places.min(axis=0) + places.max(axis=0))
    reach = 0.5 * float(np.linalg.norm(cell.vectors, axis=1).sum()) * (1.0 + 2.0 * _SEARCH)
    around = surroundings(atoms, core, reach)
    reciprocal = np.linalg.inv(cell.vectors)
    fractional = (around.relative + places[0] - middle) @ reciprocal
    inside = np.ones(len(fractional), dtype=bool)
    for axis in range(3):
        f, length = fractional[:, axis], float(1.0 / np.linalg.norm(reciprocal[:, axis]))
        if cell.periodic[axis]:
            upper = _boundary(f % 1.0, 0.5, length)
            lower = upper - 1.0
        else:
            upper, lower = _boundary(f, 0.5, length), _boundary(f, -0.5, length)
        inside &= (f >= lower) & (f < upper)
    # In whatever image an atom of the core is inside, it is core: along a short period the core may wind around it.
    own = core[around.indices] & inside
    if len(np.unique(around.indices[own])) < len(rows):
        raise EmbeddingError(
            f"The core of {int(core.sum())} atoms does not fit into its periodic sub-cell {cell.vectors.round(3).tolist()} Å. "
            "Make the cell larger or the core smaller."
        )
    if not cell.trusted:
        _check_periods(fractional, inside, cell)
    pick = np.flatnonzero(inside)[np.argsort(~own[inside], kind="stable")]
    return Surroundings(
        indices=around.indices[pick],
        relative=around.relative[pick] - around.relative[pick[0]],
        distance=np.where(own[pick], 0.0, around.distance[pick]),
        core=own[pick],
    )


def _boundary(fractional: Array, wanted: float, length: float) -> float:
    """Return the middle of the gap between atoms nearest to `wanted` that leaves them room, else `wanted` itself."""
    near = np.unique(np.r_[fractional, fractional - 1.0, fractional + 1.0])
    gaps = np.diff(near)
    centres = near[:-1] + 0.5 * gaps
    roomy = (gaps * length >= _ROOM) & (np.abs(centres - wanted) <= _SEARCH)
    if not roomy.any():
        return wanted
    distance = np.abs(centres[roomy] - wanted)
    # Of two gaps equally far, the one farther out: a symmetric crystal decides alike on every machine.
    return float(centres[roomy][np.flatnonzero(distance <= distance.min() + 1e-6)[-1]])


def _check_periods(fractional: Array, inside: Mask, cell: SubCell) -> None:
    """Refuse vectors that do not repeat the environment: atoms outside must be images of atoms inside."""
    lower, upper = fractional[inside].min(axis=0), fractional[inside].max(axis=0)
    beside = ~inside & np.all(cell.periodic | ((fractional >= lower) & (fractional <= upper)), axis=1)
    if not beside.any():
        return
    shifts = np.stack(np.meshgrid(*[(-1, 0, 1) if p else (0,) for p in cell.periodic], indexing="ij"), -1).reshape(
        -1, 3
    )
    images = (fractional[inside] + shifts[:, None]).reshape(-1, 3) @ cell.vectors
    # Those in cells next to it: images of farther ones were not made.
    near = np.all(np.abs(fractional[beside] - 0.5 * (lower + upper)) <= 1.0, axis=1)
    distance = cKDTree(images).query(fractional[beside][near] @ cell.vectors)[0]
    if len(distance) and np.quantile(distance, _SHARE) > _SAME:
        raise EmbeddingError(
            f"The periodic sub-cell {cell.vectors.round(3).tolist()} Å does not repeat what is around it: of the atoms beside it "
            f"{np.mean(distance > _SAME):.0%} are more than {_SAME} Å from any image of one inside. Give multiples of the "
            "lattice's own periods."
        )
