"""Defects on the perfect reference lattice: which atoms are missing or foreign, and where the others start from.

A defect is described once, for the zone of atoms, for the body around it and for a body of nothing but atoms alike:
as functions of the undeformed place. So all of them start from the same state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from atomistic.lattice import Lattice
from coupling.errors import DefectError
from coupling.zones import Band, Disc, Zone

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
#: Places closer than this part of the lattice spacing are the same.
_SAME = 1e-6
#: Samples along a cut and around a void's edge, to see whether a zone holds them.
_SAMPLES = 65


class Defect(Protocol):
    """What the coupling needs of a defect."""

    def absent(self, places: Array) -> Mask:
        """Whether each place (n, m) has lost its atom, (n,)."""
        ...

    def foreign(self, places: Array) -> Mask:
        """Whether each place (n, m) holds an atom of another element, (n,)."""
        ...

    def displacement(self, places: Array) -> Array:
        """Where the atoms start, relative to the homogeneously deformed crystal: (n, c), Å."""
        ...

    def extent(self) -> Array:
        """Places (k, m) that must lie in the core: edges of voids, cuts."""
        ...

    def around(self, margin: float) -> Zone:
        """The zone of everything within `margin` (Å) of the defect."""
        ...


@dataclass(frozen=True, kw_only=True)
class Void:
    """Missing atoms within a distance of a center; with the radius of a fraction of a spacing, a vacancy.

    Attributes:
        center: (m,), Å.
        radius: Å.
        components: c, of displacements.
    """

    center: tuple[float, ...]
    radius: float
    components: int

    def absent(self, places: Array) -> Mask:
        """Places up to the radius from the center."""
        return _within(places, self.center, self.radius)

    def foreign(self, places: Array) -> Mask:
        """None."""
        return np.zeros(len(places), dtype=bool)

    def displacement(self, places: Array) -> Array:
        """None: the atoms left start on the deformed lattice."""
        return np.zeros((len(places), self.components))

    def extent(self) -> Array:
        """Points of the edge."""
        return _rim(self.center, self.radius)

    def around(self, margin: float) -> Zone:
        """A disc or ball."""
        return Disc(center=self.center, radius=self.radius + margin)


@dataclass(frozen=True, kw_only=True)
class Inclusion(Void):
    """Atoms of another element within a distance of a center, coherent with the crystal around them."""

    def absent(self, places: Array) -> Mask:
        """None."""
        return np.zeros(len(places), dtype=bool)

    def foreign(self, places: Array) -> Mask:
        """Places up to the radius from the center."""
        return _within(places, self.center, self.radius)


@dataclass(frozen=True, kw_only=True)
class ScrewDipole:
    """Two screw dislocations along z of opposite sign, one above the other.

    Volterra's field in an isotropic body, u_z = (b/2π)(θ₁ − θ₂), is the start; b is the period of the body along z, so
    that the jump of u_z by b across the cut between the two is no jump for the atoms (Hirth and Lothe 1982, ch. 3).
    The cut is the only place where the field is not smooth: it must lie in the core.

    Attributes:
        upper: (2,), place of the first one, Å.
        lower: (2,), of the second, with the opposite sign.
        burgers: b, Å.
    """

    upper: tuple[float, ...]
    lower: tuple[float, ...]
    burgers: float

    def absent(self, places: Array) -> Mask:
        """None."""
        return np.zeros(len(places), dtype=bool)

    def foreign(self, places: Array) -> Mask:
        """None."""
        return np.zeros(len(places), dtype=bool)

    def displacement(self, places: Array) -> Array:
        """Volterra's field (n, 3), Å: the argument of (ζ − ζ₁)/(ζ − ζ₂), whose cut is the segment between the two."""
        z = places[:, 0] + 1j * places[:, 1]
        first, second = (complex(*end) for end in (self.upper, self.lower))
        found = np.zeros((len(places), 3))
        found[:, 2] = self.burgers / (2.0 * np.pi) * np.angle((z - first) / (z - second))
        return found

    def extent(self) -> Array:
        """Points of the cut."""
        return np.linspace(self.upper, self.lower, _SAMPLES)

    def around(self, margin: float) -> Zone:
        """A band along the cut."""
        return Band(points=(self.upper, self.lower), half_width=margin)


def vacancy(lattice: Lattice, *, center: ArrayLike) -> Void:
    """The site nearest to a place without its atom."""
    site = nearest_site(lattice, center)
    return Void(center=tuple(site.tolist()), radius=0.1 * _spacing(lattice), components=lattice.components)


def screw_dipole(lattice: Lattice, *, center: ArrayLike, separation: float) -> ScrewDipole:
    """Two screws, `separation` (Å) apart along y about a place, each moved to the nearest place between three rows of atoms.

    Raises:
        DefectError: the crystal's period along z is no Burgers vector, or both would lie at the same place.
    """
    if lattice.dimension != 2 or lattice.components != 3:
        raise DefectError("screw dislocations along z need a plane lattice that repeats along z")
    shortest = _shortest(lattice)
    if lattice.thickness > shortest * (1.0 + 1e-6):
        raise DefectError(
            f"the period along the front, {lattice.thickness:.3f} Å, is no Burgers vector: the shortest one has "
            f"{shortest:.3f} Å. Take a front along it: plane [1, 1, 1] with growth [1, 1, -2] in fcc, plane [1, 1, 0] with "
            "growth [1, -1, -2] in bcc"
        )
    middle = np.asarray(center, dtype=float)
    half = np.array([0.0, 0.5 * separation])
    upper, lower = _centroid(lattice, middle + half), _centroid(lattice, middle - half)
    if separation < lattice.row_spacing or np.linalg.norm(upper - lower) < _spacing(lattice):
        raise DefectError(
            f"separation = {separation:.3g} Å puts both dislocations into the same place of the lattice: move them apart, by at "
            f"least {lattice.row_spacing:.3g} Å"
        )
    return ScrewDipole(
        upper=(float(upper[0]), float(upper[1])),
        lower=(float(lower[0]), float(lower[1])),
        burgers=lattice.thickness,
    )


def nearest_site(lattice: Lattice, place: ArrayLike) -> Array:
    """Place (m,) of the lattice site nearest to a place."""
    wanted = np.asarray(place, dtype=float)
    base = np.rint(np.linalg.solve(lattice.basis.T, wanted - lattice.origin)).astype(np.int64)
    around = base + lattice.offsets_within(2.0 * float(np.linalg.norm(lattice.basis, axis=1).max()))
    places = lattice.places(around)
    return np.asarray(places[np.argmin(np.linalg.norm(places - wanted, axis=1))])


def check_extent(defect: Defect, zone: Zone, *, margin: float = 0.0) -> None:
    """Refuse a core that does not hold the whole defect, with `margin` (Å) to spare.

    Raises:
        DefectError: part of a void, an inclusion or a cut lies outside.
    """
    outside = float(zone.distance(defect.extent()).max()) + margin
    if outside > 0.0:
        raise DefectError(
            f"the core ends {outside:.2f} Å short of the defect's own edge"
            + (f" and {margin:.2f} Å beyond it" if margin else "")
            + ": where elements take over, the crystal must be whole and its displacement smooth; enlarge the core"
        )


def fading(zone: Zone, *, clear: float) -> _Fading:
    """A window that takes a start to zero before the boundary: 1 near the zone, 0 from `clear` (Å) beyond its edge on.

    A start must meet what is prescribed on the boundary; what the window takes away is elastic, and the solution brings it
    back.
    """
    return _Fading(zone=zone, clear=clear)


@dataclass(frozen=True, kw_only=True)
class _Fading:
    zone: Zone
    clear: float

    def __call__(self, places: Array) -> Array:
        """Window (n,): 1 up to half the way, then a quintic down to 0."""
        s = np.clip(2.0 * self.zone.distance(places) / self.clear - 1.0, 0.0, 1.0)
        return 1.0 - s**3 * (10.0 + s * (6.0 * s - 15.0))


def _within(places: Array, center: Sequence[float], radius: float) -> Mask:
    return np.asarray(np.linalg.norm(places - np.asarray(center), axis=1) <= radius * (1.0 + _SAME))


def _rim(center: Sequence[float], radius: float) -> Array:
    """Points on a circle or a sphere."""
    middle = np.asarray(center, dtype=float)
    angle = np.linspace(0.0, 2.0 * np.pi, _SAMPLES)
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    if len(middle) == 2:
        return middle + radius * circle
    flat = np.zeros((len(circle), 1))
    rings = [np.insert(circle, axis, flat.T, axis=1) for axis in range(3)]
    return middle + radius * np.concatenate(rings)


def _spacing(lattice: Lattice) -> float:
    return float(np.linalg.norm(lattice.basis, axis=1).min())


def _shortest(lattice: Lattice) -> float:
    """Length of the shortest vector of a plane lattice that repeats along z, Å."""
    offsets = lattice.offsets_within(2.0 * lattice.thickness)
    vectors = offsets @ lattice.vectors[: lattice.dimension]
    # The height along z is known up to whole periods.
    vectors[:, 2] -= lattice.thickness * np.rint(vectors[:, 2] / lattice.thickness)
    lengths = np.linalg.norm(vectors, axis=1)
    return float(min(lengths[lengths > 1e-6].min(initial=np.inf), lattice.thickness))


def _centroid(lattice: Lattice, place: Array) -> Array:
    """The middle of the lattice triangle nearest to a place."""
    first, second = lattice.basis
    offsets = np.array([(first + second) / 3.0, 2.0 * (first + second) / 3.0])
    base = nearest_site(lattice, place)
    around = base + lattice.offsets_within(2.0 * _spacing(lattice)) @ lattice.basis
    middles = (around[:, None, :] + offsets).reshape(-1, 2)
    return np.asarray(middles[np.argmin(np.linalg.norm(middles - place, axis=1))])
