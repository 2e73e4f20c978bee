"""Which atoms a periodic sub-cell takes in."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from atomistic.surroundings import Surroundings, surroundings, together
from coupling.embedding.region import Mask, SubCell
from coupling.errors import EmbeddingError

Array = NDArray[np.float64]

#: A boundary between atoms is sought where they leave at least this much room (Å), within this share of the cell.
_ROOM, _SEARCH = 0.4, 0.25
#: This share of the atoms beside a sub-cell must lie this close (Å) to an image of one inside: then its vectors are periods.
_SHARE, _SAME = 0.8, 0.8


def inside_cell(atoms: Atoms, core: Mask, cell: SubCell) -> Surroundings:
    """Return the atoms of a periodic sub-cell around the core, the core first.

    The cell's boundaries go between atoms: along a period both ends by the same vector, along a slice each for itself.

    Raises:
        EmbeddingError: the core does not fit, or the vectors are no periods of the environment.
    """
    rows = np.flatnonzero(core)
    places = together(atoms, rows)
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
