"""Where two crystals rest on each other, and what it takes to pull them apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from ase import Atoms
from mpi4py import MPI
from numpy.typing import ArrayLike, NDArray

from atomistic.bicrystal import Bicrystal, Half, reach
from atomistic.builders import Stack
from atomistic.curves import SeparationCurve
from atomistic.decohesion import default_openings
from atomistic.potentials.base import Capabilities, Evaluation, Potential
from atomistic.pulling import checked_force, checked_path
from atomistic.ranks import on_first_rank, spread
from atomistic.relaxation import minimise, springs

Array = NDArray[np.float64]

#: Largest distance (Å) of neighbouring shifts that are tried, and how many of the best are followed to their minimum.
_GRID, _FOLLOWED = 0.8, 2
#: Traction (eV/Å³) at which rigid halves are at rest, by precision: beyond it forces of single precision are noise.
_AT_REST = {"float64": 1e-6, "float32": 5e-5}
#: The same on the grid, where the distance alone follows.
_ROUGHLY = 1e-3
#: In-plane stiffness of an interface in parts of the normal one, where the search starts.
_SLIP = 0.3


@dataclass(frozen=True, kw_only=True)
class Seat:
    """A bicrystal at rest, and what the search for it saw.

    Attributes:
        bicrystal: with the shift and the distance of least energy, its halves rigid.
        energies: (n,), of the shifts that were tried, each at its own distance, eV/Å², above that of the best one.
        shifts: (n, 2), those shifts, Å.
        calls: evaluations on the calling rank.
    """

    bicrystal: Bicrystal
    energies: Array
    shifts: Array
    calls: int


def seat(potential: Potential, bicrystal: Bicrystal, *, comm: MPI.Comm | None = None) -> Seat:
    """Find the shift in the plane and the distance at which two rigid crystals rest on each other.

    Shifts on a grid over the cell that repeats the pattern, from the bicrystal's own shift, each with the distance that
    leaves no traction; then the best few are followed downhill in all three directions by the forces on the upper crystal.

    Args:
        potential: gives energies and forces.
        bicrystal: where the search starts.
        comm: ranks among which the shifts are shared out.

    Raises:
        RelaxationError: no rest was found at one of the shifts.
    """
    before = potential.counter.calls
    pattern = bicrystal.pattern
    counts = [max(2, math.ceil(float(np.linalg.norm(v)) / _GRID)) for v in pattern]
    fractions = np.array(list(np.ndindex(*counts))) / counts
    starts = [bicrystal.shift + f @ pattern for f in fractions]

    def above(shift: Array) -> tuple[float, Array]:
        return _at_rest(potential, replace(bicrystal, shift=shift), sliding=False)

    rough = spread(starts, above, potential=potential, comm=comm)
    energies = np.array([energy for energy, _ in rough])
    best = [rough[k][1] for k in np.argsort(energies, kind="stable")[:_FOLLOWED]]

    def downhill(place: Array) -> tuple[float, Array]:
        return _at_rest(potential, replace(bicrystal, shift=place[:2], distance=float(place[2])), sliding=True)

    energy, place = min(spread(best, downhill, potential=potential, comm=comm), key=lambda found: found[0])
    turns = np.floor(np.linalg.solve(pattern.T, place[:2]) + 1e-6)
    return Seat(
        bicrystal=replace(bicrystal, shift=place[:2] - turns @ pattern, distance=float(place[2])),
        energies=(energies - energy) / bicrystal.area,
        shifts=np.array(starts),
        calls=potential.counter.calls - before,
    )


def separate_bicrystal(
    potential: Potential,
    bicrystal: Bicrystal,
    *,
    openings: ArrayLike | None = None,
    comm: MPI.Comm | None = None,
) -> SeparationCurve:
    """Pull a bicrystal apart along its interface, both halves rigid.

        φ(Δ) = [E(Δ) − E(0)]/A,      T = dφ/dΔ = −Σ f_z/A over the atoms of the upper half

    All states have the same cell, so the energy of the strain that makes the crystals fit is in every one of them and in no
    difference. The curve holds the elasticity of half a gap of each crystal, `length` in all.

    Args:
        potential: gives energies and forces.
        bicrystal: at rest, see `seat`.
        openings: ascending from 0, Å; by default `default_openings()`.
        comm: ranks among which the openings are shared out; every rank gets the whole curve.

    Raises:
        InvalidCurveError: openings that do not ascend from 0.
    """
    gaps = checked_path(default_openings() if openings is None else openings, name="openings")
    far = max(float(gaps[-1]), reach(potential) - bicrystal.distance)
    path = gaps if far == gaps[-1] else np.append(gaps, far)
    room = far + reach(potential)

    def at(opening: float) -> tuple[float, float]:
        result = potential.evaluate(bicrystal.atoms(opening, room=room))
        pull = result.forces[len(bicrystal.lower.numbers) :, 2].sum()
        return result.energy / bicrystal.area, -float(pull) / bicrystal.area

    energies, tractions = np.array(spread(list(path), at, potential=potential, comm=comm)).T
    lower, upper = bicrystal.lower, bicrystal.upper
    roundoff = float(np.finfo(potential.capabilities.precision).eps)
    return SeparationCurve(
        opening=gaps,
        energy=energies[: len(gaps)] - energies[0],
        traction=tractions[: len(gaps)],
        mode="rigid",
        n_planes=lower.stack.n_planes + upper.stack.n_planes,
        area=bicrystal.area,
        spacing=0.5 * (lower.stack.spacing + upper.stack.spacing),
        length=0.5 * (lower.gap + upper.gap),
        work_of_separation=float(energies[-1] - energies[0]),
        plane=lower.stack.plane,
        potential=potential.capabilities.name,
        noise=roundoff * abs(float(energies[0])),
    )


def relaxed_work_of_bicrystal(
    potential: Potential, bicrystal: Bicrystal, *, fmax: float = 5e-3, comm: MPI.Comm | None = None
) -> float:
    """Return the work of separation with all atoms at rest before and after, eV/Å², in the cell that both crystals share.

    Args:
        potential: gives energies and forces.
        bicrystal: at rest, see `seat`.
        fmax: largest force left on an atom, eV/Å.
        comm: where given, its first rank computes and all get the number.

    Raises:
        RelaxationError: atoms that do not come to rest.
    """
    checked_force(fmax)
    far = reach(potential)

    def compute() -> float:
        joined = bicrystal.atoms(room=far)
        apart = bicrystal.atoms(far, room=2.0 * far)
        below = np.arange(bicrystal.count) < len(bicrystal.lower.numbers)
        parts = [(joined, [bicrystal.lower, bicrystal.upper])]
        parts += [(apart[below], [bicrystal.lower]), (apart[~below], [bicrystal.upper])]
        whole, *halves = (_relaxed_energy(potential, atoms, members, fmax=fmax) for atoms, members in parts)
        return (sum(halves) - whole) / bicrystal.area

    return on_first_rank(compute, potential=potential, comm=comm)


@dataclass(frozen=True, kw_only=True)
class _RigidHalf:
    """The upper half as one body: an energy over three coordinates, the shift and the distance, as `minimise` takes it."""

    potential: Potential
    bicrystal: Bicrystal
    directions: Array

    @property
    def capabilities(self) -> Capabilities:
        return self.potential.capabilities

    def evaluate(self, atoms: Atoms) -> Evaluation:
        x, y, distance = atoms.positions[0]
        moved = replace(self.bicrystal, shift=np.array([x, y]), distance=float(distance))
        result = self.potential.evaluate(moved.atoms(room=reach(self.potential)))
        force = result.forces[len(self.bicrystal.lower.numbers) :].sum(axis=0)
        return Evaluation(energy=result.energy, forces=(self.directions * force)[None], stress=np.zeros((3, 3)))


def _at_rest(potential: Potential, bicrystal: Bicrystal, *, sliding: bool) -> tuple[float, Array]:
    """Return the energy (eV) and the place (shift and distance, (3,), Å) of a rigid upper half at rest.

    Args:
        potential: gives energies and forces.
        bicrystal: the start.
        sliding: whether it moves in the plane too.
    """
    lower, upper = bicrystal.lower, bicrystal.upper
    compliance = 0.5 * (lower.gap / lower.uniaxial_modulus + upper.gap / upper.uniaxial_modulus) / bicrystal.area
    directions = np.array([1.0, 1.0, 1.0] if sliding else [0.0, 0.0, 1.0])
    rest = _AT_REST[potential.capabilities.precision] if sliding else _ROUGHLY
    relaxed = minimise(
        _RigidHalf(potential=potential, bicrystal=bicrystal, directions=directions),
        Atoms("X", positions=[[*bicrystal.shift, bicrystal.distance]]),
        inverse_hessian=np.diag(compliance * np.array([1.0 / _SLIP, 1.0 / _SLIP, 1.0])),
        fmax=rest * bicrystal.area,
    )
    return relaxed.energy, relaxed.atoms.positions[0]


def _relaxed_energy(potential: Potential, atoms: Atoms, members: Sequence[Half], *, fmax: float) -> float:
    """Return the energy of atoms at rest in their cell, eV."""
    heights = atoms.positions[:, 2]
    stack = Stack(
        atoms=atoms,
        plane=members[0].stack.plane,
        n_planes=sum(half.stack.n_planes for half in members),
        plane_of_atom=np.zeros(len(atoms), dtype=np.int64),
        gaps=np.array([float(np.ptp(heights))]),
        area=abs(float(np.linalg.det(atoms.cell.array[:2, :2]))),
        rotation=np.eye(3),
    )
    # Laboratory axes: strains along the normal y are yz, xy and yy.
    moduli = np.mean([np.diag(half.orientation.stiffness)[[5, 3, 1]] for half in members], axis=0)
    model = springs(stack, moduli=moduli, crossing=True)
    return minimise(potential, atoms, inverse_hessian=model, fmax=fmax).energy
