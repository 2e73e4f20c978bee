"""Distances of atoms to a point, to a straight front and to other atoms, by the nearest periodic image."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.geometry import find_mic
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from coupling.errors import SelectionError

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def distance_to_point(atoms: Atoms, place: Array) -> Array:
    """Distance (n,), Å, of each atom to the nearest image of a point (3,)."""
    if len(atoms) == 0:
        return np.zeros(0)
    return np.asarray(find_mic(atoms.positions - place, atoms.cell, atoms.pbc)[1])


def distance_to_front(atoms: Atoms, place: Array) -> Array:
    """Distance (n,), Å, in the plane of x and y to the nearest image of a line along z through a place (2,).

    Raises:
        SelectionError: a period that is tilted against both the plane and z.
    """
    flat = np.column_stack([atoms.positions[:, :2] - place, np.zeros(len(atoms))])
    periods = atoms.cell.array[atoms.pbc]
    across = np.linalg.norm(periods[:, :2], axis=1) > 1e-9
    if np.any(across & (np.abs(periods[:, 2]) > 1e-9)):
        raise SelectionError(
            f"a front along z needs periods along z or in the plane of x and y; got {periods.tolist()} (Å): give the tip "
            "as a point (3,)"
        )
    in_plane = atoms.pbc.copy()
    in_plane[atoms.pbc] = across
    return np.asarray(find_mic(flat, atoms.cell, in_plane)[1]) if len(atoms) else np.zeros(0)


def distance_to_atoms(atoms: Atoms, chosen: Mask, *, reach: float) -> Array:
    """Distance (n,), Å, of each atom to the nearest of the chosen ones or of their images; inf beyond the reach.

    Args:
        atoms: the structure; n atoms.
        chosen: (n,) True for those to which distances are taken.
        reach: Å.
    """
    places = atoms.positions
    if not np.any(chosen):
        return np.full(len(atoms), np.inf)
    # A hair beyond, since the tree's bound is exclusive.
    bound = reach * (1.0 + 1e-12)
    tree = cKDTree(_with_images(places[chosen], places, atoms, bound))
    return np.asarray(tree.query(places, distance_upper_bound=bound)[0])


def _with_images(own: Array, places: Array, atoms: Atoms, reach: float) -> Array:
    """Positions and those of their images that lie within reach of the box around all places."""
    periods = atoms.cell.array[atoms.pbc]
    if not len(periods):
        return own
    reciprocal = np.linalg.pinv(periods)
    bound = np.floor(np.ptp(places @ reciprocal, axis=0) + reach * np.linalg.norm(reciprocal, axis=0)).astype(int)
    axes = [np.arange(-b, b + 1) for b in bound]
    shifts = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, len(periods)) @ periods
    lower, upper = places.min(axis=0) - reach, places.max(axis=0) + reach
    # An image at own + s is near the box where own lies in the box moved back by s.
    return np.concatenate([own[np.all((own >= lower - s) & (own <= upper - s), axis=1)] + s for s in shifts])
