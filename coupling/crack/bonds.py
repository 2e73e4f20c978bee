"""First-neighbour bonds of a crystal that repeats along its crack front: who they join, how far they stretch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from atomistic.pair_list import PairList
from coupling.errors import BondsError

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]
#: Bonds of the perfect crystal may differ by this part; second neighbours in bcc are 15% farther.
_TOLERANCE = 0.1


@dataclass(frozen=True, kw_only=True, eq=False)
class Bonds:
    """Bonds of the undeformed crystal, each once; an atom's bond with its own image along the front is left out.

    Attributes:
        first: (p,) atoms.
        second: (p,) atoms, larger than `first`.
        shift: (p, 3) of the image of the second one that the bond ends at, Å: whole periods along z.
        vector: (p, 3) undeformed, from first to second, Å.
        middle: (p, 2) x and y of the undeformed bond's middle, Å.
        length: of a bond in the perfect crystal, Å.
    """

    first: Integers
    second: Integers
    shift: Array
    vector: Array
    middle: Array
    length: float

    def __len__(self) -> int:
        return len(self.first)

    def deformed(self, positions: Array) -> Array:
        """Deformed bonds (p, 3), Å, of atoms at (n, 3), which must continue the undeformed ones: not wrapped along z."""
        found: Array = positions[self.second] - positions[self.first] + self.shift
        return found

    def stretch(self, positions: Array) -> Array:
        """Length of each bond over its undeformed length, (p,)."""
        return _lengths(self.deformed(positions)) / _lengths(self.vector)

    def crossing(self) -> Mask:
        """(p,) True where one atom lies below the plane y = 0 and the other above."""
        return np.asarray(np.abs(self.middle[:, 1]) < 0.5 * np.abs(self.vector[:, 1]))

    def where(self, keep: ArrayLike) -> Bonds:
        """Those that a mask (p,) or a list of rows selects."""
        rows = np.asarray(keep)
        return Bonds(
            first=self.first[rows],
            second=self.second[rows],
            shift=self.shift[rows],
            vector=self.vector[rows],
            middle=self.middle[rows],
            length=self.length,
        )


def first_neighbours(reference: ArrayLike, thickness: float, length: float, *, tolerance: float = _TOLERANCE) -> Bonds:
    """Find the bonds between first neighbours.

    Args:
        reference: (n, 3) undeformed atoms, Å; heights z need not be wrapped.
        thickness: period along z, Å.
        length: of a bond in the perfect crystal, Å.
        tolerance: part of the length by which bonds may differ from it.

    Raises:
        BondsError: arrays of a wrong shape; no bond of that length, or atoms closer than that.
    """
    places = np.asarray(reference, dtype=float)
    if places.ndim != 2 or places.shape[1:] != (3,) or not np.isfinite(places).all():
        raise BondsError(f"undeformed atoms of shape {places.shape}: expected (n, 3) finite coordinates (Å)")
    if not (thickness > 0.0 and length > 0.0 and 0.0 < tolerance < 1.0):
        raise BondsError(
            f"thickness = {thickness!r} Å, length = {length!r} Å, tolerance = {tolerance!r}: expected positive lengths and a "
            "tolerance between 0 and 1"
        )
    pairs = PairList(
        cutoff=(1.0 + tolerance) * length,
        skin=0.0,
        cell=np.diag([1.0, 1.0, thickness]),
        periodic=(False, False, True),
    )
    pairs.update(places)
    if not len(pairs.first):
        raise BondsError(f"no two atoms are {length:.4g} Å or less apart: give the crystal's first-neighbour distance")
    assert pairs.shift is not None
    vector = places[pairs.second] - places[pairs.first] + pairs.shift
    nearest = float(_lengths(vector).min())
    if nearest < (1.0 - tolerance) * length:
        raise BondsError(
            f"atoms {nearest:.4g} Å apart where bonds have {length:.4g} Å: expected the undeformed crystal and its own "
            "first-neighbour distance"
        )
    turn = np.where(pairs.first < pairs.second, 1.0, -1.0)[:, None]
    found = Bonds(
        first=np.minimum(pairs.first, pairs.second).astype(np.int64),
        second=np.maximum(pairs.first, pairs.second).astype(np.int64),
        shift=turn * pairs.shift,
        vector=turn * vector,
        middle=places[pairs.first, :2] + 0.5 * vector[:, :2],
        length=float(length),
    )
    return found.where(found.first != found.second)


def bonds_across(reference: ArrayLike, thickness: float, length: float, *, tolerance: float = _TOLERANCE) -> Bonds:
    """Find the bonds between first neighbours that cross the crack's plane y = 0.

    Takes the arguments of `first_neighbours`.

    Raises:
        BondsError: as there; atoms that lie on the plane; no bond that crosses it.
    """
    places = np.asarray(reference, dtype=float)
    found = first_neighbours(places, thickness, length, tolerance=tolerance)
    on_plane = int((np.abs(places[:, 1]) < 1e-6 * length).sum())
    if on_plane:
        raise BondsError(
            f"{on_plane} atoms lie on the crack's plane y = 0: expected the cut between two planes of atoms"
        )
    across = found.where(found.crossing())
    if not len(across):
        raise BondsError("no bond crosses the plane y = 0: expected atoms on both sides of it")
    return across


def _lengths(vectors: Array) -> Array:
    return np.asarray(np.linalg.norm(vectors, axis=1))
