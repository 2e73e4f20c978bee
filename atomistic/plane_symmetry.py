"""Which in-plane shifts of one half of a crystal over the other cost the same."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from atomistic.builders import Stack
from atomistic.crystal import Crystal

Array = NDArray[np.float64]
#: Places that differ by less (Å) are one place.
_SAME_PLACE = 1e-3


def shift_symmetry(crystal: Crystal, stack: Stack) -> list[Array]:
    """Return the operations P (2, 2), in the stack's axes, under which an energy of in-plane shifts is unchanged.

    A symmetry of the perfect crystal that maps its two halves each onto itself turns a shift s into Q s. One that swaps the
    halves turns it into −Q s: the lower half has then moved by Q s under the upper one. Either leaves energy and normal
    traction as they are and turns the shear traction as it turns the shift.

    Args:
        crystal: that the stack was built from.
        stack: with the gap that is opened or sheared on top.
    """
    lattice = crystal.atoms.cell.array @ stack.rotation.T
    found: list[Array] = []
    for turn in _lattice_operations(stack.atoms.cell.array[:2, :2]):
        for side in (1.0, -1.0):
            operation = np.zeros((3, 3))
            operation[:2, :2], operation[2, 2] = turn, side
            if _maps_crystal(operation, lattice, stack):
                found.append(side * turn)
    return [p for k, p in enumerate(found) if not any(np.allclose(p, q) for q in found[:k])]


def distinct_shifts(
    operations: list[Array], in_plane: Array, grid: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sort a grid of shifts over the in-plane cell into classes of equal energy.

    Args:
        operations: as `shift_symmetry` gives them.
        in_plane: (2, 2) rows are the lattice vectors, Å.
        grid: numbers of shifts along the two vectors.

    Returns:
        For each shift, numbered row by row, the one that stands for it, and the operation that leads from there to it.
    """
    size = np.array(grid)
    places = np.array(list(itertools.product(range(grid[0]), range(grid[1]))))
    first = np.arange(len(places))
    by = np.zeros(len(places), dtype=np.int64)
    for number, operation in enumerate(operations):
        whole = in_plane @ operation.T @ np.linalg.inv(in_plane)
        target = (places / size) @ whole * size
        rounded = np.rint(target)
        if np.abs(target - rounded).max() > 1e-6:
            continue  # this operation leads off the grid
        image = (rounded.astype(np.int64) % size) @ np.array([grid[1], 1])
        # Shifts ascend, so that the smallest number of each class keeps itself.
        better = np.arange(len(places)) < first[image]
        first[image[better]] = np.flatnonzero(better)
        by[image[better]] = number
    return first, by


def _lattice_operations(in_plane: Array) -> list[Array]:
    """Return the rotations and mirrors (2, 2) that map a plane lattice (reduced vectors as rows) onto itself."""
    metric = in_plane @ in_plane.T
    found = []
    for entries in itertools.product((-1, 0, 1), repeat=4):
        whole = np.array(entries).reshape(2, 2)
        if np.abs(whole @ metric @ whole.T - metric).max() < 1e-6 * metric.max():
            found.append((np.linalg.inv(in_plane) @ whole @ in_plane).T)
    found.sort(key=lambda q: not np.allclose(q, np.eye(2)))
    return found


def _maps_crystal(operation: Array, lattice: Array, stack: Stack) -> bool:
    """Whether an operation, followed by some in-plane shift, maps the perfect crystal and its cut gap onto themselves."""
    inverse = np.linalg.inv(lattice)
    images = lattice @ operation.T @ inverse
    if np.abs(images - np.rint(images)).max() > 1e-4:
        return False
    atoms, numbers = stack.atoms.positions, stack.atoms.numbers
    turned = atoms @ operation.T
    # A swap of the halves mirrors heights in the middle of the cut gap, which lies below the lowest plane.
    height = 0.0 if operation[2, 2] > 0.0 else -stack.cut_gap
    for atom in np.flatnonzero(numbers == numbers[0]):
        shift = atoms[atom] - turned[0]
        shift[2] = height
        moved = (turned + shift)[:, None, :] - atoms[None, :, :]
        fraction = moved @ inverse
        distance = np.linalg.norm((fraction - np.rint(fraction)) @ lattice, axis=-1)
        same = (distance < _SAME_PLACE) & (numbers[:, None] == numbers[None, :])
        if same.any(axis=1).all():
            return True
    return False
