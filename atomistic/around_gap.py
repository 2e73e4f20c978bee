"""The few planes on either side of a stack's gap as a periodic cell of their own: what a quantum engine can afford."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from atomistic.builders import Stack
from atomistic.errors import InvalidCurveError


def planes_around_gap(atoms: Atoms, stack: Stack, n_planes: int) -> tuple[Atoms, NDArray[np.int64]]:
    """Take whole lattice periods of planes out of the middle of a stack, far from the gap, and close the cell over them.

    The planes next to the gap stay where they are against each other, and so does what lies in it. Those that meet at the seam
    do so at the distance that they had from the planes taken out.

    Args:
        atoms: the stack in any state, relaxed, opened, its gap filled; rows as in `stack`, foreign atoms after them.
        stack: the perfect stack of the host.
        n_planes: to be kept, half of them on either side; all are kept where the stack has no more.

    Returns:
        The cell, periodic in all directions, and the row in `atoms` of each of its atoms.

    Raises:
        InvalidCurveError: fewer than two planes, or planes that no lattice periods separate from the next ones.
    """
    if n_planes < 2:
        raise InvalidCurveError(f"A cell around a gap needs at least a plane on either side; got {n_planes} planes.")
    if n_planes >= stack.n_planes:
        return atoms.copy(), np.arange(len(atoms))
    above, below = n_planes // 2, stack.n_planes - (n_planes - n_planes // 2)
    first, second = (np.flatnonzero(stack.plane_of_atom == plane) for plane in (above, below))
    if not _alike(stack, above, below):
        raise InvalidCurveError(
            f"Of {stack.n_planes} planes {n_planes} are to be kept, but the {below - above} between them are no whole lattice "
            "periods. Keep another number, or stack more planes."
        )
    shift = stack.atoms.positions[second[0]] - stack.atoms.positions[first[0]]
    shift[2] = atoms.positions[second, 2].mean() - atoms.positions[first, 2].mean()
    plane = np.append(stack.plane_of_atom, np.full(len(atoms) - len(stack.plane_of_atom), stack.n_planes))
    rows = np.flatnonzero((plane < above) | (plane >= below))
    part = atoms[rows]
    part.positions[plane[rows] >= below] -= shift
    cell = atoms.cell.array.copy()
    cell[2] -= shift
    turns = np.rint(np.linalg.solve(cell[:2, :2].T, cell[2, :2]))
    cell[2, :2] -= turns @ cell[:2, :2]
    part.set_cell(cell, scale_atoms=False)
    return part, rows


def _alike(stack: Stack, first: int, second: int) -> bool:
    """Whether one plane is the other one's image by a lattice vector: the planes above both, and their gaps, agree."""
    numbers, planes, gaps = stack.atoms.numbers, stack.plane_of_atom, stack.gaps
    count = stack.n_planes
    return all(
        set(numbers[planes == (first + k) % count]) == set(numbers[planes == (second + k) % count])
        and abs(gaps[(first + k) % count] - gaps[(second + k) % count]) < 1e-6
        for k in range(count)
    )
