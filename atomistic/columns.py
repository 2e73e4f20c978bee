"""A crystal seen along a crack front: a plane lattice of sites, each of them a motif of atoms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from atomistic.cleavage import Cut, bonds, find_cuts
from atomistic.crystal import Crystal
from atomistic.errors import LatticeError
from atomistic.lattice import Lattice, translation_lattice
from atomistic.orientation import Orientation

Array = NDArray[np.float64]

#: Lengths (Å) that differ by less are the same.
_SAME = 1e-6
#: An atom this near (Å) to the plane of a cut lies on neither side of it.
_ON_CUT = 1e-3


@dataclass(frozen=True, kw_only=True, eq=False)
class Columns:
    """A crystal along its crack front: a plane lattice whose sites each carry a motif of atoms.

    Rows of sites lie at y = ±h/2, ±3h/2, ... with h the lattice's row spacing, so no motif crosses a plane y = m h.

    Attributes:
        lattice: of the crystal's translations, seen along z; its thickness is a whole number of periods.
        offsets: (q, 3), atoms of a motif from their site, Å, with |y| < h/2; the atoms of the primitive cell, whose mean has
            x = z = 0, then the same atoms one period further along z, and so on.
        symbols: (q,), their elements.
        period: of the crystal along z, Å.
    """

    lattice: Lattice
    offsets: Array
    symbols: tuple[str, ...]
    period: float

    @property
    def atoms_per_site(self) -> int:
        """Atoms q that a site carries."""
        return len(self.offsets)

    @property
    def periods(self) -> int:
        """Periods of the crystal in one thickness of the body."""
        return round(self.lattice.thickness / self.period)

    def positions(self, indices: ArrayLike) -> Array:
        """Return the undeformed atoms (n, q, 3) of sites with indices (n, 2), Å; heights z are not wrapped."""
        found: Array = self.lattice.positions(indices)[:, None, :] + self.offsets
        return found

    def chemical_symbols(self, count: int) -> list[str]:
        """Return the elements of the atoms of `count` sites, q of each site together."""
        return list(self.symbols) * count


def crack_columns(
    crystal: Crystal,
    orientation: Orientation,
    *,
    cut: Cut | None = None,
    periods: int = 1,
    tip_at: float = 0.0,
) -> Columns:
    """Return a crystal as columns of atoms whose cut lies at y = 0.

    The middles of the nearest-neighbour bonds across the cut recur after each row period L. With `tip_at` = 0 the nominal tip
    x = 0 lies in the middle of the widest interval between two of them, of equally wide ones the first ahead of a site of
    the row below; `tip_at` moves it forward by that share of L.

    Args:
        crystal: any structure; its primitive cell is the motif.
        orientation: of the laboratory axes; its front must be a lattice direction.
        cut: one of `find_cuts`; by default the one that breaks the fewest bonds.
        periods: of the crystal in one thickness of the body.
        tip_at: in [0, 1).

    Raises:
        LatticeError: a front that is no lattice direction, no row of sites along x, a cut through atoms, no positive number of
            periods, or a tip beyond one period.
    """
    if isinstance(periods, bool) or periods != int(periods) or periods < 1:
        raise LatticeError(f"A body needs a whole number of periods along its front, at least 1; got {periods!r}.")
    if not 0.0 <= tip_at < 1.0:
        raise LatticeError(f"tip_at is a share of the row period, at least 0 and below 1; got {tip_at!r}.")
    plane = translation_lattice(crystal, orientation)
    chosen = find_cuts(crystal, orientation)[0] if cut is None else cut
    period, motif = plane.thickness, _motif(crystal, orientation, plane, chosen)
    stacked = motif + period * np.arange(int(periods))[:, None, None] * np.array([0.0, 0.0, 1.0])
    origin = _first_site(crystal, orientation, plane, motif, tip_at)
    return Columns(
        lattice=translation_lattice(crystal, orientation, origin=origin, periods=int(periods)),
        offsets=stacked.reshape(-1, 3),
        symbols=tuple(crystal.atoms.get_chemical_symbols()) * int(periods),
        period=period,
    )


def _motif(crystal: Crystal, orientation: Orientation, lattice: Lattice, cut: Cut) -> Array:
    """Return the atoms of the primitive cell (n, 3) about their site, all between two neighbouring cuts, Å.

    Of the translations of an atom within a row, the one nearest to the first atom is taken; of equally near ones that with
    the least difference along z, then along x.
    """
    spacing = lattice.row_spacing
    atoms = crystal.atoms.positions @ orientation.rotation.T
    heights = (atoms[:, 1] - cut.height) % spacing
    if np.minimum(heights, spacing - heights).min() < _ON_CUT:
        raise LatticeError(
            f"The cut at {cut.height:g} Å over the crystal's origin passes through atoms of plane {orientation.plane}. Take "
            "one of atomistic.cleavage.find_cuts for this crystal and plane."
        )
    rows = _row_steps(lattice, np.rint((heights - heights[0] - (atoms[:, 1] - atoms[0, 1])) / spacing))
    motif = np.array([_nearest(lattice, *pair) for pair in zip(atoms - atoms[0], rows, strict=True)])
    motif[:, 1] = heights - 0.5 * spacing
    motif[:, [0, 2]] -= motif[:, [0, 2]].mean(axis=0)
    return np.where(np.abs(motif) < 1e-12 * lattice.thickness, 0.0, motif)


def _row_steps(lattice: Lattice, rows: Array) -> Array:
    """Return lattice vectors (n, 3) that lead up by the given numbers (n,) of rows, Å."""
    along = lattice.row
    # Bézout: i1 r2 − i2 r1 = ±1 has a solution among |i| <= |r|; its vector leads from one row to the next.
    reach = int(np.abs(along).max()) + 1
    axis = np.arange(-reach, reach + 1)
    first, second = (grid.ravel() for grid in np.meshgrid(axis, axis, indexing="ij"))
    rises = np.flatnonzero(along[0] * second - along[1] * first == 1)
    step = np.array([first[rises[0]], second[rises[0]]])
    vector = np.array([*(step @ lattice.basis), step @ lattice.lift])
    found: Array = rows[:, None] * vector
    return found


def _nearest(lattice: Lattice, atom: Array, row_step: Array) -> Array:
    """Return the translation of an atom within a row that is nearest to the line x = z = 0, (3,), Å."""
    length, period = lattice.row @ lattice.basis[:, 0], lattice.thickness
    lift = lattice.row @ lattice.lift
    place = atom + row_step
    turns = np.arange(-3, 4) - np.rint(place[0] / length)
    x = place[0] + turns * length
    z = place[2] + turns * lift
    # Half a period up and half a period down are equally near: up is taken.
    z = z - period * np.ceil(z / period - 0.5 - 1e-9)
    order = np.lexsort((x, *(np.round(c / _SAME) for c in (np.abs(x), np.abs(z), np.hypot(x, z)))))
    return np.array([x[order[0]], place[1], z[order[0]]])


def _first_site(crystal: Crystal, orientation: Orientation, lattice: Lattice, motif: Array, tip_at: float) -> Array:
    """Return the place (2,) of a site of the row above the cut, Å."""
    length, spacing = float(lattice.row @ lattice.basis[:, 0]), lattice.row_spacing
    step = float(_row_steps(lattice, np.array([1.0]))[0, 0])
    start, vector = bonds(crystal, orientation)
    # Seen from a site of the row below the cut; on planes of high indices bonds lead up from lower rows as well.
    depth = np.arange(np.ceil(vector[:, 1].max() / spacing) + 1.0)
    crosses = motif[start, 1, None] + vector[:, 1, None] > (depth + 0.5) * spacing
    middles = (motif[start, 0] + 0.5 * vector[:, 0])[:, None] - step * depth
    between = _widest_interval(middles[crosses], length)
    above = step - between - tip_at * length
    return np.array([above - length * np.floor(above / length), 0.5 * spacing])


def _widest_interval(places: Array, length: float) -> float:
    """Return the middle of the widest interval between places (n,) that recur after a length; of equal ones the first."""
    sorted_places = np.sort(places - length * np.floor(places / length + _SAME))
    widths = np.diff([*sorted_places, sorted_places[0] + length])
    widest = int(np.argmax(np.round(widths / _SAME)))
    return float(sorted_places[widest] + 0.5 * widths[widest])
