"""Bicrystals: slabs of two different crystals on a common cell, joined along one plane, with vacuum behind both.

Axes of a bicrystal: z along the normal, x along the direction of crack growth, y against the crack front. The lower
crystal lies below the interface. Both are strained to the common cell in the plane; along the normal each is as long as makes it
free of traction by its elastic constants.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from atomistic.bicrystal_match import LatticeMatch, choose_match, displacement_lattice, find_matches
from atomistic.builders import Stack, build_stack, lattice_period
from atomistic.crystal import Crystal
from atomistic.elasticity import rotate_stiffness
from atomistic.errors import BicrystalError
from atomistic.orientation import Orientation
from atomistic.potentials.base import Potential

Array = NDArray[np.float64]
Share = Literal["stiffness", "lower", "upper"]

#: Distance (Å) beyond which surfaces are taken not to feel each other where the potential does not tell its range.
_FAR = 12.0
_IN_PLANE, _OUT_OF_PLANE = np.array([0, 1, 5]), np.array([2, 3, 4])


@dataclass(frozen=True, kw_only=True)
class Half:
    """One crystal of a bicrystal, strained to the common cell.

    Attributes:
        crystal: at rest.
        stack: the planes of atoms that it is made of, at rest, in the stack's axes.
        orientation: in laboratory axes: x growth, y normal, z front.
        supercell: (2, 2) integers, rows are the common cell's vectors in those of the crystal's plane.
        deformation: (3, 3), from the crystal at rest, turned into the bicrystal's axes, to the strained one.
        positions: (n, 3), Å, in the bicrystal's axes, the lowest plane at z = 0.
        numbers: (n,), atomic numbers.
    """

    crystal: Crystal
    stack: Stack
    orientation: Orientation
    supercell: NDArray[np.int64]
    deformation: Array
    positions: Array
    numbers: NDArray[np.int64]

    @property
    def strain(self) -> Array:
        """(2, 2) strain in the plane, F − 1, in the bicrystal's axes; symmetric."""
        strain: Array = self.deformation[:2, :2] - np.eye(2)
        return strain

    @property
    def height(self) -> float:
        """From the lowest to the highest plane, Å."""
        return float(np.ptp(self.positions[:, 2]))

    @property
    def gap(self) -> float:
        """Width of the gap of the crystal at rest along which it was cut, Å."""
        return self.stack.cut_gap

    @property
    def uniaxial_modulus(self) -> float:
        """C' of strain along the normal of the crystal at rest, eV/Å³."""
        return float(self.orientation.stiffness[1, 1])


@dataclass(frozen=True, kw_only=True)
class Bicrystal:
    """Two crystals on a common cell.

    Attributes:
        lower: the crystal below the interface.
        upper: the crystal above it.
        match: their lattices' coincidence.
        cell: (2, 2), rows are the common cell's vectors in the plane, Å.
        share: the part of the strain between the two that the lower crystal carries, 0 to 1.
        shift: (2,), of the upper crystal in the plane, Å.
        distance: from the lower crystal's highest plane to the upper one's lowest, Å.
    """

    lower: Half
    upper: Half
    match: LatticeMatch
    cell: Array
    share: float
    shift: Array
    distance: float

    @property
    def area(self) -> float:
        """Of the common cell, Å²."""
        return abs(float(np.linalg.det(self.cell)))

    @property
    def count(self) -> int:
        """Number of atoms; those of the lower crystal come first."""
        return len(self.lower.numbers) + len(self.upper.numbers)

    @property
    def pattern(self) -> Array:
        """(2, 2) rows: shifts of the upper crystal that repeat the interface, Å; see `displacement_lattice`."""
        return displacement_lattice(self.match, self.cell)

    def atoms(self, opening: float = 0.0, *, room: float) -> Atoms:
        """Return the bicrystal with its interface opened by `opening` (Å), in a cell that leaves `room` (Å) for it."""
        lower = self.lower.positions
        upper = self.upper.positions + np.array([*self.shift, self.lower.height + self.distance + opening])
        cell = np.zeros((3, 3))
        cell[:2, :2] = self.cell
        cell[2, 2] = self.lower.height + self.upper.height + self.distance + room
        numbers = np.concatenate([self.lower.numbers, self.upper.numbers])
        return Atoms(numbers=numbers, positions=np.vstack([lower, upper]), cell=cell, pbc=True)


def match_crystals(
    lower: Crystal,
    upper: Crystal,
    *,
    orientations: tuple[Orientation, Orientation],
    max_strain: float = 0.03,
    max_area: float = 500.0,
    free: bool = False,
) -> LatticeMatch:
    """Return the smallest common cell of two crystals' planes within a strain.

    Args:
        lower: the crystal below.
        upper: the crystal above, of the same potential.
        orientations: of both; the directions of growth are laid along each other.
        max_strain: largest principal logarithmic strain between the two.
        max_area: of the common cell, Å².
        free: turn the upper crystal about the normal where it fits best, instead.

    Raises:
        BicrystalError: crystals of two potentials, or no such cell; the message tells the nearest one.
    """
    if lower.potential != upper.potential:
        raise BicrystalError(
            f"Both crystals of a bicrystal must come from one potential; got {lower.potential!r} and {upper.potential!r}."
        )
    lattices = [_plane_lattice(c, o) for c, o in zip((lower, upper), orientations, strict=True)]
    matches = find_matches(lattices[0], lattices[1], max_area=max_area, free=free)
    return choose_match(matches, max_strain=max_strain, max_area=max_area)


def build_bicrystal(
    lower: Crystal,
    upper: Crystal,
    *,
    orientations: tuple[Orientation, Orientation],
    match: LatticeMatch,
    n_planes: tuple[int, int] = (10, 10),
    cuts: tuple[str | int, str | int] = ("widest", "widest"),
    share: Share = "stiffness",
) -> Bicrystal:
    """Build the bicrystal of a match, unshifted, its halves apart by the mean of their own gaps.

    The strain E between the two lattices is shared out along itself, θE on the lower crystal and (θ − 1)E on the upper one.
    By stiffness, θ makes the elastic energy of equally thick halves least: θ = k₂/(k₁ + k₂), k = E:C̄:E with the stiffness C̄
    of a layer whose normal is free of traction.

    Args:
        lower: the crystal below.
        upper: the crystal above.
        orientations: of both, as the match was found with.
        match: of `match_crystals`.
        n_planes: planes of atoms in each half, rounded up to whole lattice periods.
        cuts: the gap along which each crystal ends at the interface.
        share: "stiffness", or the side, "lower" or "upper", that carries the whole strain.

    Raises:
        BicrystalError: no such way to share the strain.
        InvalidCurveError: fewer than two planes, or no such gap.
    """
    turned = replace(orientations[1], rotation=_turned(orientations[1].rotation, match.twist))
    turned = replace(turned, stiffness=rotate_stiffness(upper.stiffness, turned.rotation), front=None)
    both = ((lower, orientations[0]), (upper, turned if match.twist else orientations[1]))
    values, vectors = np.linalg.eigh(match.stretch)
    logarithm = (vectors * np.log(values)) @ vectors.T
    theta = _lower_share(share, logarithm, both)
    strains = [_exponential(theta * logarithm), _exponential((theta - 1.0) * logarithm)]
    halves = []
    for k, (crystal, orientation) in enumerate(both):
        stack = build_stack(crystal, plane=orientation.plane, n_planes=n_planes[k], cut=cuts[k])
        halves.append(_half(crystal, stack, orientation, (match.lower, match.upper)[k], strains[k]))
    cell = match.lower @ _plane_lattice(*both[0]) @ strains[0].T
    return Bicrystal(
        lower=halves[0],
        upper=halves[1],
        match=match,
        cell=cell,
        share=theta,
        shift=np.zeros(2),
        distance=0.5 * (halves[0].gap + halves[1].gap),
    )


def strain_energies(potential: Potential, bicrystal: Bicrystal) -> tuple[float, float]:
    """Return the elastic energy that the common cell stores in the lower and the upper half, eV/Å².

    That of the crystal strained like the half, its basis not relaxed, for as many atoms as the half has. A work of
    separation from two states in one cell holds none of it.
    """
    return _strain_energy(potential, bicrystal.lower, bicrystal.area), _strain_energy(
        potential, bicrystal.upper, bicrystal.area
    )


def reach(potential: Potential) -> float:
    """Return the distance beyond which two surfaces do not feel each other, Å."""
    cutoff = potential.capabilities.cutoff
    return _FAR if cutoff is None else cutoff + 0.1


def _strain_energy(potential: Potential, half: Half, area: float) -> float:
    """Return the elastic energy of a half per area of the interface, eV/Å²."""
    period = lattice_period(half.crystal, plane=half.stack.plane)
    atoms = period.atoms
    turn = _axes(half.orientation) @ period.rotation.T
    atoms.set_cell(atoms.cell.array @ (half.deformation @ turn).T, scale_atoms=True)
    energy = potential.evaluate(atoms).energy / len(atoms) - half.crystal.energy_per_atom
    return energy * len(half.numbers) / area


def _axes(orientation: Orientation) -> Array:
    """Return the bicrystal's axes in the crystal's Cartesian ones, rows: growth, against the front, normal."""
    x, normal, front = orientation.rotation
    return np.array([x, -front, normal])


def _turned(rotation: Array, angle: float) -> Array:
    """Return the laboratory axes of a crystal that is turned about the normal, counter-clockwise seen from above."""
    x, normal, front = rotation
    c, s = np.cos(angle), np.sin(angle)
    return np.array([c * x + s * front, normal, c * front - s * x])


def _plane_lattice(crystal: Crystal, orientation: Orientation) -> Array:
    """Return the lattice vectors in the plane, (2, 2) rows, Å, in the bicrystal's axes."""
    period = lattice_period(crystal, plane=orientation.plane)
    vectors: Array = (period.atoms.cell.array[:2] @ period.rotation @ _axes(orientation).T)[:, :2]
    return vectors


def _exponential(logarithm: Array) -> Array:
    """Return the symmetric stretch of a logarithmic strain."""
    values, vectors = np.linalg.eigh(logarithm)
    stretch: Array = (vectors * np.exp(values)) @ vectors.T
    return stretch


def _voigt(strain: Array) -> Array:
    """Return a strain in the plane, (2, 2), as xx, yy and engineering xy."""
    return np.array([strain[0, 0], strain[1, 1], 2.0 * strain[0, 1]])


def _lower_share(share: str, strain: Array, both: Sequence[tuple[Crystal, Orientation]]) -> float:
    """Return the part of the strain that the lower crystal carries."""
    if share in ("lower", "upper"):
        return float(share == "lower")
    if share != "stiffness":
        raise BicrystalError(f"The strain is shared by 'stiffness', or carried by 'lower' or 'upper'; got {share!r}.")
    e = _voigt(strain)
    if not e.any():
        return 0.5
    soft = []
    for crystal, orientation in both:
        c = rotate_stiffness(crystal.stiffness, _axes(orientation))
        soft.append(
            float(e @ (c[np.ix_(_IN_PLANE, _IN_PLANE)] @ e + c[np.ix_(_IN_PLANE, _OUT_OF_PLANE)] @ _free(c, e)))
        )
    return soft[1] / (soft[0] + soft[1])


def _free(stiffness: Array, strain: Array) -> Array:
    """Return the strains zz, yz, xz (engineering) that leave the plane free of traction under xx, yy, xy."""
    free: Array = -np.linalg.solve(
        stiffness[np.ix_(_OUT_OF_PLANE, _OUT_OF_PLANE)], stiffness[np.ix_(_OUT_OF_PLANE, _IN_PLANE)] @ strain
    )
    return free


def _half(
    crystal: Crystal, stack: Stack, orientation: Orientation, supercell: NDArray[np.int64], stretch: Array
) -> Half:
    """Repeat a stack over the common cell and strain it."""
    axes = _axes(orientation)
    turn = axes @ stack.rotation.T
    zz, yz, xz = _free(rotate_stiffness(crystal.stiffness, axes), _voigt(stretch - np.eye(2)))
    deformation = np.eye(3)
    deformation[:2, :2] = stretch
    deformation[:, 2] += np.array([xz, yz, zz])
    determinant = round(float(np.linalg.det(supercell)))
    places = np.array(list(np.ndindex(*(2 * np.abs(supercell).sum(axis=0) + 1)))) - np.abs(supercell).sum(axis=0)
    inside = places @ np.array([[supercell[1, 1], -supercell[0, 1]], [-supercell[1, 0], supercell[0, 0]]])
    places = places[((inside >= 0) & (inside < determinant)).all(axis=1)]
    shifts = places @ stack.atoms.cell.array[:2]
    positions = (stack.atoms.positions[None] + shifts[:, None]).reshape(-1, 3) @ turn.T @ deformation.T
    numbers = np.tile(stack.atoms.numbers, len(places))
    order = np.argsort(np.round(positions[:, 2], 3), kind="stable")
    return Half(
        crystal=crystal,
        stack=stack,
        orientation=orientation,
        supercell=supercell,
        deformation=deformation,
        positions=positions[order],
        numbers=numbers[order],
    )
