"""The perfect Bravais lattice by integer indices: the sites of a body that is periodic along its thickness, or fills space."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from ase import Atoms
from numpy.typing import ArrayLike, NDArray

from atomistic.crystal import Crystal
from atomistic.errors import LatticeError
from atomistic.orientation import Orientation, lowest_indices

#: Lengths that differ by this part of a lattice vector are the same.
_SAME = 1e-9
#: Primitive vectors of fcc at 90° and 120° from those at 60°; those of bcc enclose 109° as they are.
_OBTUSE_FCC = np.array([[0, 0, -1], [0, 1, 0], [-1, 0, 1]])
#: Largest index of a row of sites along x.
_ROW_INDEX = 60
#: Places in the box around a set of sites for each of its sites, up to which all of them are listed.
_DENSE = 16


@dataclass(frozen=True, kw_only=True, eq=False)
class Lattice:
    """A Bravais lattice in the coordinates of a mesh, one atom on each site.

    A crystal that repeats along z after its thickness t is, seen along z, a plane lattice again: each site stands for a
    column of atoms t apart, and the column's height follows from the site's indices and the lift.

    Attributes:
        basis: (m, m), rows are the primitive vectors in the mesh's coordinates, Å, right-handed; for m = 2 reduced, at
            angles from 60 to 90 degrees.
        lift: (m,), change of z along each primitive vector, Å; zeros unless m = 2 and c = 3.
        thickness: period along z, Å; 1 without such a period.
        components: c, of positions and displacements.
        symbol: the element; None for model lattices.
        origin: (m,), place of the site with indices 0, Å.
    """

    basis: NDArray[np.float64]
    lift: NDArray[np.float64]
    thickness: float
    components: int
    symbol: str | None
    origin: NDArray[np.float64]

    def __post_init__(self) -> None:
        m = len(self.basis)
        if self.basis.shape != (m, m) or m not in (2, 3) or self.lift.shape != (m,) or self.origin.shape != (m,):
            raise LatticeError(
                f"A lattice needs a basis (m, m), a lift (m,) and an origin (m,) with m = 2 or 3; got shapes "
                f"{self.basis.shape}, {self.lift.shape} and {self.origin.shape}."
            )
        if self.components not in (m, 3):
            raise LatticeError(f"A lattice in {m} dimensions has {m} or 3 components; got {self.components}.")
        if not np.linalg.det(self.basis) > 0.0 or not self.thickness > 0.0:
            raise LatticeError(
                f"The basis must be right-handed and the thickness positive; got the determinant "
                f"{np.linalg.det(self.basis):g} and the thickness {self.thickness:g}."
            )

    @property
    def dimension(self) -> int:
        """Dimension m of the mesh."""
        return len(self.basis)

    @property
    def site_volume(self) -> float:
        """Volume of one site, |det basis| t: Å³, or Å² for flat model lattices."""
        return float(abs(np.linalg.det(self.basis))) * self.thickness

    @property
    def vectors(self) -> NDArray[np.float64]:
        """Primitive vectors of the periodic body, (c, c), rows, Å: the basis with its lift, and the thickness along z."""
        m, c = self.dimension, self.components
        rows = np.zeros((c, c))
        rows[:m, :m] = self.basis
        if c > m:
            rows[:m, 2] = self.lift
            rows[2, 2] = self.thickness
        return rows

    def places(self, indices: ArrayLike) -> NDArray[np.float64]:
        """Return the mesh coordinates of sites, (n, m), Å, from their indices (n, m)."""
        return self.origin + np.asarray(indices, dtype=float) @ self.basis

    def positions(self, indices: ArrayLike) -> NDArray[np.float64]:
        """Return the undeformed positions X of sites, (n, c), Å; heights lie between 0 and the thickness."""
        places = self.places(indices)
        if self.components == self.dimension:
            return places
        turns = np.asarray(indices, dtype=float) @ (self.lift / self.thickness)
        # A height of one thickness less a rounding error is zero.
        turns -= np.floor(turns + _SAME)
        return np.column_stack([places, turns * self.thickness])

    def indices_within(
        self, inside: Callable[[NDArray[np.float64]], NDArray[np.bool_]] | None, lower: ArrayLike, upper: ArrayLike
    ) -> NDArray[np.int64]:
        """Return the indices (n, m) of the sites in a box that a function accepts, in lexicographic order.

        Args:
            inside: of places (n, m), whether each is wanted (n,); None takes all.
            lower: (m,), corner of the box, Å; sites on its faces belong to it.
            upper: (m,), the opposite corner.
        """
        low, high = (np.asarray(corner, dtype=float) for corner in (lower, upper))
        if low.shape != (self.dimension,) or high.shape != low.shape or not np.all(low <= high):
            raise LatticeError(
                f"The box needs corners of {self.dimension} coordinates, the lower one first; got {lower!r} and {upper!r}."
            )
        slack = _SAME * float(np.abs(self.basis).max())
        corners = np.array(list(itertools.product(*zip(low - slack, high + slack, strict=True))))
        reach = np.linalg.solve(self.basis.T, (corners - self.origin).T).T
        axes = [np.arange(a, b + 1) for a, b in zip(np.floor(reach.min(0)), np.ceil(reach.max(0)), strict=True)]
        found = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, self.dimension).astype(np.int64)
        places = self.places(found)
        kept = np.all((places >= low - slack) & (places <= high + slack), axis=1)
        found = found[kept]
        return found if inside is None else found[np.asarray(inside(places[kept]), dtype=bool)]

    def offsets_within(self, radius: float) -> NDArray[np.int64]:
        """Return the index offsets (k, m) of the sites at most `radius` (Å, in the mesh) from a site, nearest first.

        The first one is zero. Of equally near ones the order is lexicographic.
        """
        # The distance from the origin to a face of the box of |index| <= n is at least n times the least spacing.
        spacing = 1.0 / np.linalg.norm(np.linalg.inv(self.basis), axis=0)
        axes = [np.arange(-k, k + 1) for k in np.ceil((radius + _SAME) / spacing).astype(int)]
        found = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, self.dimension)
        distance = np.linalg.norm(found @ self.basis, axis=1)
        found, distance = found[distance <= radius + 1e-7], distance[distance <= radius + 1e-7]
        return found[np.argsort(np.round(distance, 6), kind="stable")].astype(np.int64)

    @cached_property
    def row(self) -> NDArray[np.int64]:
        """Indices (2,) of the shortest lattice vector along x, for m = 2.

        Raises:
            LatticeError: no row of sites runs along x.
        """
        if self.dimension != 2:
            raise LatticeError("Only plane lattices have rows; this one fills space.")
        heights = self.basis[:, 1]
        scale = float(np.abs(self.basis).max())
        for first, second in sorted(
            itertools.product(range(-_ROW_INDEX, _ROW_INDEX + 1), repeat=2), key=lambda i: abs(i[0]) + abs(i[1])
        ):
            vector = np.array([first, second]) @ self.basis
            if vector[0] > 0.5 * _SAME * scale and abs(first * heights[0] + second * heights[1]) < 1e-7 * scale:
                return np.array([first, second])
        raise LatticeError(
            "No row of sites of low index runs along x, so the lattice has no row spacing along y. Take a growth direction "
            "of low indices."
        )

    @property
    def row_spacing(self) -> float:
        """Distance of neighbouring rows of sites along y, Å, for m = 2."""
        return float(abs(np.linalg.det(self.basis)) / np.linalg.norm(self.row @ self.basis))

    def supercell(self, counts: Sequence[int], *, thicknesses: int = 1) -> Atoms:
        """Return a periodic supercell of n1 × n2 (× n3) sites, sites in lexicographic order of their indices.

        Args:
            counts: (m,), sites along each primitive vector.
            thicknesses: periods along z of a plane body.
        """
        numbers = [int(n) for n in counts]
        if len(numbers) != self.dimension or min(numbers) < 1 or thicknesses < 1:
            raise LatticeError(
                f"A supercell needs {self.dimension} positive counts and a positive number of thicknesses; got {counts!r} "
                f"and {thicknesses!r}."
            )
        indices = np.array(list(itertools.product(*(range(n) for n in numbers))))
        cell, positions = np.zeros((3, 3)), np.zeros((len(indices), 3))
        c = self.components
        cell[:c, :c] = self.vectors
        cell[: self.dimension] *= np.array(numbers)[:, None]
        positions[:, :c] = self.positions(indices)
        atoms = Atoms(self._symbols(len(indices)), positions=positions, cell=cell, pbc=[True, True, c == 3])
        return atoms if thicknesses == 1 or c == self.dimension else atoms.repeat((1, 1, thicknesses))

    def atoms(self, indices: ArrayLike, *, positions: ArrayLike | None = None) -> Atoms:
        """Return the atoms of given sites: free in the mesh's directions, periodic along z for a plane body.

        Args:
            indices: (n, m).
            positions: (n, c), Å, where the atoms are; by default on the perfect lattice.
        """
        c = self.components
        where = self.positions(indices) if positions is None else np.asarray(positions, dtype=float)
        full = np.zeros((len(where), 3))
        full[:, :c] = where
        plane_body = c > self.dimension
        cell = np.diag([0.0, 0.0, self.thickness]) if plane_body else None
        return Atoms(self._symbols(len(full)), positions=full, cell=cell, pbc=[False, False, plane_body])

    def _symbols(self, count: int) -> list[str]:
        """Return the chemical symbols of `count` sites; "X" for a model lattice."""
        return [self.symbol or "X"] * count


class SiteTable:
    """Finds sites of a finite set by their lattice indices.

    Args:
        indices: (n, m) integers, each site once.
    """

    def __init__(self, indices: ArrayLike) -> None:
        sites = np.asarray(indices, dtype=np.int64)
        if sites.ndim != 2:
            raise LatticeError(f"Sites are given by their indices (n, m); got shape {sites.shape}.")
        self.sites = sites
        self._lower = sites.min(axis=0, initial=0)
        self._shape = sites.max(axis=0, initial=0) - self._lower + 1
        self._strides = np.concatenate([np.cumprod(self._shape[:0:-1])[::-1], [1]])
        keys = (sites - self._lower) @ self._strides
        self._order = np.argsort(keys, kind="stable")
        self._keys = keys[self._order]
        twice = np.flatnonzero(self._keys[1:] == self._keys[:-1])
        if len(twice):
            raise LatticeError(f"Each site may be given once; {sites[self._order[twice[0]]].tolist()} is there twice.")
        # A table of the whole box is faster, where the sites fill a fair part of it.
        box = int(np.prod(self._shape))
        self._dense: NDArray[np.int64] | None = None
        if box <= _DENSE * (len(sites) + 1):
            self._dense = np.full(box, -1, dtype=np.int64)
            self._dense[keys] = np.arange(len(sites))

    def find(self, indices: ArrayLike) -> NDArray[np.int64]:
        """Return the number (n,) of each site in the set, −1 where it is absent."""
        wanted = np.asarray(indices, dtype=np.int64) - self._lower
        inside = np.all((wanted >= 0) & (wanted < self._shape), axis=-1)
        found = np.full(wanted.shape[:-1], -1, dtype=np.int64)
        keys = wanted[inside] @ self._strides
        if self._dense is not None:
            found[inside] = self._dense[keys]
        elif len(self._keys):
            places = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
            found[inside] = np.where(self._keys[places] == keys, self._order[places], -1)
        return found

    def pairs(self, offset: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the numbers i of the sites whose neighbour at a lattice vector is in the set, and that neighbour's j."""
        found = self.find(self.sites + np.asarray(offset))
        start = np.flatnonzero(found >= 0)
        return start, found[start]


def plane_lattice(crystal: Crystal, orientation: Orientation, *, origin: ArrayLike | None = None) -> Lattice:
    """Return the plane lattice of an oriented crystal: x growth, y normal, one thickness period along z.

    The projection of a Bravais lattice along one of its primitive vectors is a plane Bravais lattice; the thickness is the
    length of the shortest lattice vector along z.

    Args:
        crystal: fcc or bcc.
        orientation: of the laboratory axes; its front must be a lattice direction.
        origin: (2,), place of site 0, Å; by default (0, 0).

    Raises:
        LatticeError: a crystal with several atoms in its primitive cell, or a front that is no lattice direction.
    """
    _check_bravais(crystal)
    return translation_lattice(crystal, orientation, origin=origin)


def translation_lattice(
    crystal: Crystal, orientation: Orientation, *, origin: ArrayLike | None = None, periods: int = 1
) -> Lattice:
    """Return the plane lattice of an oriented crystal's translations, however many atoms each of its sites stands for.

    Args:
        crystal: any; what its sites carry is told by `atomistic.columns`.
        orientation: of the laboratory axes; its front must be a lattice direction.
        origin: (2,), place of site 0, Å; by default (0, 0).
        periods: of the crystal along z, in one thickness of the body.

    Raises:
        LatticeError: a front that is no lattice direction.
    """
    vectors = crystal.atoms.cell.array @ orientation.rotation.T
    along = lowest_indices(np.array([0.0, 0.0, 1.0]), vectors)
    if along is None:
        raise LatticeError(
            f"The front of plane {orientation.plane} with growth {list(orientation.growth)} is no lattice direction of low "
            "index, so the body has no short period along z. Choose another plane or growth direction."
        )
    first, second = _completed(along)
    period = float(np.linalg.norm(along @ vectors))
    rows = _reduced(np.array([first, second]), vectors[:, :2])
    full = rows @ vectors
    lift = full[:, 2] - period * np.floor(full[:, 2] / period + _SAME)
    basis = np.where(np.abs(full[:, :2]) < 1e-12 * period, 0.0, full[:, :2])
    return Lattice(
        basis=basis,
        lift=np.where(np.abs(lift) < _SAME * period, 0.0, lift),
        thickness=period * periods,
        components=3,
        symbol=crystal.symbols[0] if len(crystal.symbols) == 1 else None,
        origin=np.zeros(2) if origin is None else np.asarray(origin, dtype=float),
    )


def bulk_lattice(crystal: Crystal, *, origin: ArrayLike | None = None) -> Lattice:
    """Return the lattice of a crystal that fills space, in its cubic axes.

    With −(a + b + c), no two of its primitive vectors enclose less than 90°: tetrahedra along a + b + c are then the best-shaped
    ones of the lattice (Selling 1874).

    Raises:
        LatticeError: a crystal with several atoms in its primitive cell.
    """
    _check_bravais(crystal)
    vectors = np.array(crystal.atoms.cell.array)
    if crystal.structure == "fcc":
        vectors = _OBTUSE_FCC @ vectors
    if np.linalg.det(vectors) < 0.0:
        vectors = vectors[[1, 0, 2]]
    return Lattice(
        basis=vectors,
        lift=np.zeros(3),
        thickness=1.0,
        components=3,
        symbol=crystal.symbols[0],
        origin=np.zeros(3) if origin is None else np.asarray(origin, dtype=float),
    )


def triangular_lattice(*, spacing: float = 1.0) -> Lattice:
    """Return the flat triangular lattice with rows along x, two components: the field of model potentials."""
    return Lattice(
        basis=spacing * np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]]),
        lift=np.zeros(2),
        thickness=1.0,
        components=2,
        symbol=None,
        origin=np.zeros(2),
    )


def _check_bravais(crystal: Crystal) -> None:
    """Raise unless every atom of the crystal is a lattice point."""
    count = len(crystal.atoms)
    if count != 1:
        raise LatticeError(
            f"The {crystal.structure} crystal of {'-'.join(crystal.symbols)} has {count} atoms in its primitive cell; a "
            "lattice of sites needs one (fcc or bcc). Coupled zones of such crystals are not built."
        )


def _completed(along: Sequence[int]) -> list[NDArray[np.int64]]:
    """Return two integer vectors that form a basis of the integer lattice with the given coprime one.

    Euclid's algorithm on the coefficients of `along` in a basis: p_i r_i + p_j r_j = p_i (r_i + q r_j) + (p_j − q p_i) r_j
    shortens one coefficient and leaves a basis, until `along` is, but for its sign, one of the vectors.
    """
    rows = [np.array(row) for row in np.eye(3, dtype=np.int64)]
    coefficients = [int(p) for p in along]
    while sum(p != 0 for p in coefficients) > 1:
        i, j = sorted((k for k in range(3) if coefficients[k]), key=lambda k: abs(coefficients[k]))[:2]
        turns = coefficients[j] // coefficients[i]
        coefficients[j] -= turns * coefficients[i]
        rows[i] = rows[i] + turns * rows[j]
    return [row for row, p in zip(rows, coefficients, strict=True) if p == 0]


def _reduced(rows: NDArray[np.int64], projected: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the integer rows of the reduced plane basis (Gauss): shortest vectors, acute, right-handed, pointing up."""
    first, second = rows
    while True:
        a, b = first @ projected, second @ projected
        if a @ a > b @ b * (1.0 + _SAME):
            first, second, a, b = second, first, b, a
        ratio = a @ b / (a @ a)
        if abs(ratio) <= 0.5 + _SAME:
            break
        second = second - int(np.rint(ratio)) * first
    if ratio < -_SAME:
        second, b = -second, -b
    if a[0] * b[1] - a[1] * b[0] < 0.0:
        if abs(ratio) > _SAME:
            first, second = second, first
        else:  # at right angles turning the second one over keeps the shorter one first
            second, b = -second, -b
    x, y = a + b
    sign = -1 if y < -_SAME or (abs(y) <= _SAME and x < 0.0) else 1
    return sign * np.array([first, second])
