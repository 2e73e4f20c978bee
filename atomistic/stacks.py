"""Periodic stacks of planes whose atoms relax: under prescribed elongation, and along the whole equilibrium branch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from mpi4py import MPI
from numpy.typing import ArrayLike, NDArray

from atomistic.builders import Stack, build_stack, lattice_period
from atomistic.crystal import Crystal
from atomistic.curves import StackCurve
from atomistic.errors import RelaxationError
from atomistic.potentials.base import Potential
from atomistic.pulling import checked_force, checked_path, normal_moduli, traction_of
from atomistic.ranks import spread
from atomistic.relaxation import Relaxed, balance, minimise, springs
from atomistic.uniaxial import StrainedCell, strained_cells

Array = NDArray[np.float64]

#: Strains of the perfect crystal from which stacks start, and the largest of them.
_STRAIN_STEP, _MAX_STRAIN = 0.02, 0.5
#: The cut is opened by this much (Å) before a stretched stack relaxes: an unstable uniform state then falls apart.
_SEED = 0.02
#: A gap this much (Å) wider than in the uniform state means that the stack has come apart.
_APART = 0.3
#: The crystal's tangent stiffness under strain is kept above this part of that at rest, where it scales first steps.
_SOFTEST = 0.1


@dataclass(frozen=True, kw_only=True)
class _State:
    """One relaxed state: opening and elongation (Å), energy/area (eV/Å²), traction (eV/Å³), and whether it held."""

    opening: float
    elongation: float
    energy: float
    traction: float
    apart: bool = False


class _UniformCrystal:
    """The perfect crystal under uniaxial strain, tabulated: where stacks start, and how stiff they are there.

    Attributes:
        strain, stress, gap: arrays over the table; `gap` is how much the cut gap has opened, Å.
        peak: index of the first maximum of the stress.
    """

    def __init__(self, potential: Potential, crystal: Crystal, stack: Stack, period: Stack, *, largest: float, fmax: float,
                 comm: MPI.Comm | None) -> None:  # fmt: skip
        self.stack, self.period = stack, period
        self.count = len(stack.atoms) // len(period.atoms)
        self.strain = np.arange(0.0, min(largest, _MAX_STRAIN) + _STRAIN_STEP, _STRAIN_STEP)
        cells = strained_cells(potential, period, self.strain, fmax=fmax, comm=comm)
        self.stress = np.array([cell.force for cell in cells])
        self.positions = np.array([cell.positions for cell in cells])
        self.gap = np.array([self._cut_opening(cell) for cell in cells])
        # The first maximum: the crystal's strength. Some rise again far beyond it, as other crystals.
        falls = np.flatnonzero(np.diff(self.stress) <= 0.0)
        self.peak = int(falls[0]) if len(falls) else len(self.stress) - 1
        self.modulus = float(normal_moduli(crystal, stack)[2])

    def _cut_opening(self, cell: StrainedCell) -> float:
        """Return how much wider the cut gap of a strained period is than at rest."""
        heights = cell.positions[:, 2]
        planes = self.period.plane_of_atom
        bottom, top = heights[planes == planes.min()].mean(), heights[planes == planes.max()].mean()
        return float(self.period.height * (1.0 + cell.strain) + bottom - top - self.period.cut_gap)

    def strain_at(self, opening: float) -> float:
        """Return the strain of the crystal on both sides of a gap opened by `opening` (Å), on its stable side.

        The gap is taken to carry what a gap of the uniform crystal carries at this opening.
        """
        traction = float(np.interp(opening, self.gap, self.stress, right=0.0))
        if opening <= self.gap[self.peak]:
            return float(np.interp(opening, self.gap, self.strain))
        rising = slice(0, self.peak + 1)
        return float(np.interp(traction, self.stress[rising], self.strain[rising]))

    def softening(self, strain: float) -> float:
        """Return the tangent stiffness at a strain over that at rest, kept positive."""
        tangent = np.interp(strain, self.strain, np.gradient(self.stress, self.strain))
        return float(max(tangent / self.modulus, _SOFTEST))

    def atoms_at(self, strain: float) -> Atoms:
        """Return the whole stack, uniformly strained, with the basis relaxed as in the table."""
        atoms = self.stack.atoms.copy()
        affine = self.stack.atoms.positions * np.array([1.0, 1.0, 1.0 + strain])
        shift = self.positions - self.period.atoms.positions * (
            np.array([1.0, 1.0, 1.0]) + self.strain[:, None, None] * np.array([0.0, 0.0, 1.0])
        )
        inner = np.array(
            [[np.interp(strain, self.strain, shift[:, a, d]) for d in range(3)] for a in range(shift.shape[1])]
        )
        atoms.positions = affine + np.tile(inner, (self.count, 1))
        cell = atoms.cell.array.copy()
        cell[2, 2] *= 1.0 + strain
        atoms.set_cell(cell, scale_atoms=False)
        return atoms


def stretch_stack(
    potential: Potential,
    crystal: Crystal,
    *,
    plane: Sequence[int],
    elongations: ArrayLike,
    n_planes: int,
    cut: str | int = "widest",
    fmax: float = 1e-3,
    comm: MPI.Comm | None = None,
) -> StackCurve:
    """Stretch a periodic stack of planes to prescribed elongations and let everything in it relax.

    Each elongation starts from the uniformly strained crystal with one gap a little wider: a minimum of the energy closes it
    again, and beyond the stack's stability the gap runs away. There the curve ends; `breaks_at` is the elongation. Nothing
    here knows of cohesive laws, so the curve can be held against what they predict.

    Args:
        potential: gives energies, forces and stresses.
        crystal: relaxed with the same potential.
        plane: Miller indices.
        elongations: ascending from 0, Å.
        n_planes: in one period.
        cut: the gap that is seeded.
        fmax: largest force left on an atom, eV/Å.
        comm: ranks among which the elongations are shared out.

    Raises:
        InvalidPlaneError: no such plane.
        InvalidCurveError: elongations that do not ascend from 0.
        RelaxationError: a state that neither holds nor falls apart.
    """
    path = checked_path(elongations, name="elongations")
    checked_force(fmax)
    stack = build_stack(crystal, plane=plane, n_planes=n_planes, cut=cut)
    before = potential.counter.calls
    uniform = _uniform(potential, crystal, stack, plane, cut, largest=path[-1] / stack.height, fmax=fmax, comm=comm)
    model = springs(stack, moduli=normal_moduli(crystal, stack), crossing=True)

    def at(elongation: float) -> _State:
        strain = elongation / stack.height
        start = uniform.atoms_at(strain)
        gaps = _gaps(stack, start)
        if elongation > 0.0:
            height = stack.atoms.positions[:, 2] / max(float(np.ptp(stack.atoms.positions[:, 2])), 1e-9)
            start.positions[:, 2] -= _SEED * height

        def wide(atoms: Atoms) -> bool:
            return bool((_gaps(stack, atoms) - gaps).max() > _APART)

        inverse = model / uniform.softening(strain)
        relaxed = minimise(potential, start, inverse_hessian=inverse, fmax=fmax, stop=wide)
        opening = float(_gaps(stack, relaxed.atoms)[-1]) - stack.cut_gap
        return _state(stack, crystal, relaxed, opening=opening, apart=relaxed.stopped or wide(relaxed.atoms))

    states = spread([float(e) for e in path], at, potential=potential, comm=comm, until=lambda state: state.apart)
    kept = [state for state in states if not state.apart]
    breaks_at = float(path[len(kept)]) if len(kept) < len(path) else None
    calls = _total_calls(potential, before, comm)
    return _curve(stack, kept, potential, stable=np.ones(len(kept), dtype=bool), breaks_at=breaks_at, calls=calls)


def stack_separation(
    potential: Potential,
    crystal: Crystal,
    *,
    plane: Sequence[int],
    openings: ArrayLike,
    n_planes: int,
    cut: str | int = "widest",
    fmax: float = 1e-3,
    comm: MPI.Comm | None = None,
) -> StackCurve:
    """Follow the equilibrium branch of a periodic stack by the opening of its cut gap.

    At each opening Δ the cut gap is g₀ + Δ and all forces vanish: interior coordinates and the elongation ū are those at which
    the stack would rest without anything holding the gap. Under prescribed elongation only the part where ū still grows
    is stable; this follows the rest as well, where the crystal beside the opening gap unloads (Enrique and Van der Ven 2017).
    Up to the crystal's strength the branch is uniform strain; beyond it one gap opens alone.

    Args:
        potential: gives energies, forces and stresses.
        crystal: relaxed with the same potential.
        plane: Miller indices.
        openings: ascending from 0, Å.
        n_planes: in one period.
        cut: which gap opens.
        fmax: largest force left on an atom, eV/Å.
        comm: ranks among which the openings are shared out.

    Raises:
        InvalidPlaneError: no such plane.
        InvalidCurveError: openings that do not ascend from 0.
        RelaxationError: no equilibrium was found at most of the openings. Single ones, near the point where the branch
            turns from uniform strain to one open gap, are left out and listed in `unsettled`.
    """
    path = checked_path(openings, name="openings")
    checked_force(fmax)
    stack = build_stack(crystal, plane=plane, n_planes=n_planes, cut=cut)
    before = potential.counter.calls
    largest = path[-1] / stack.cut_gap
    uniform = _uniform(potential, crystal, stack, plane, cut, largest=largest, fmax=fmax, comm=comm)
    model = springs(stack, moduli=normal_moduli(crystal, stack), crossing=False)

    def at(opening: float) -> _State | RelaxationError:
        strain = uniform.strain_at(opening)

        def rebuild(positions: Array) -> Atoms:
            atoms = stack.atoms.copy()
            atoms.positions = positions
            bottom, top = _faces(stack, atoms)
            cell = atoms.cell.array.copy()
            cell[2, 2] = top - bottom + stack.cut_gap + opening
            atoms.set_cell(cell, scale_atoms=False)
            return atoms

        softer = np.tile([1.0, 1.0, 1.0 / uniform.softening(strain)], len(stack.atoms))
        try:
            relaxed = balance(
                potential, uniform.atoms_at(strain), rebuild=rebuild, inverse_stiffness=model * softer, fmax=fmax
            )
        except RelaxationError as error:
            return error
        return _state(stack, crystal, relaxed, opening=opening)

    results = spread([float(o) for o in path], at, potential=potential, comm=comm)
    states = [state for state in results if isinstance(state, _State)]
    errors = [error for error in results if isinstance(error, RelaxationError)]
    if len(errors) > len(states):
        raise errors[0]
    elongation = np.array([state.elongation for state in states])
    turn = int(np.argmax(np.append(np.diff(elongation) <= 0.0, True)))
    return _curve(
        stack,
        states,
        potential,
        stable=np.arange(len(states)) <= turn,
        unsettled=tuple(float(o) for o, r in zip(path, results, strict=True) if isinstance(r, RelaxationError)),
        calls=_total_calls(potential, before, comm),
    )


def _uniform(
    potential: Potential,
    crystal: Crystal,
    stack: Stack,
    plane: Sequence[int],
    cut: str | int,
    *,
    largest: float,
    fmax: float,
    comm: MPI.Comm | None,
) -> _UniformCrystal:
    """Tabulate the uniformly strained crystal that a stack starts from."""
    period = lattice_period(crystal, plane=plane, cut=cut)
    return _UniformCrystal(potential, crystal, stack, period, largest=largest, fmax=fmax, comm=comm)


def _faces(stack: Stack, atoms: Atoms) -> tuple[float, float]:
    """Return the mean heights of the planes above and below the cut gap: the lowest and the highest one."""
    heights, planes = atoms.positions[:, 2], stack.plane_of_atom
    return float(heights[planes == 0].mean()), float(heights[planes == planes.max()].mean())


def _gaps(stack: Stack, atoms: Atoms) -> Array:
    """Return the distances between the mean heights of successive planes, the cut gap last, Å."""
    count = np.bincount(stack.plane_of_atom)
    heights = np.bincount(stack.plane_of_atom, weights=atoms.positions[:, 2]) / count
    gaps: Array = np.diff([*heights, heights[0] + atoms.cell.array[2, 2]])
    return gaps


def _state(stack: Stack, crystal: Crystal, relaxed: Relaxed, *, opening: float, apart: bool = False) -> _State:
    """Measure a relaxed state."""
    cell = relaxed.atoms.cell.array
    return _State(
        opening=opening,
        elongation=float(cell[2, 2] - stack.height),
        energy=(relaxed.energy - len(stack.atoms) * crystal.energy_per_atom) / stack.area,
        traction=traction_of(relaxed.result, relaxed.atoms.positions, cell) / stack.area,
        apart=apart,
    )


def _total_calls(potential: Potential, before: int, comm: MPI.Comm | None) -> int:
    """Return the evaluations made since `before`, on all ranks together."""
    calls = potential.counter.calls - before
    if comm is None or potential.comm.size > 1:
        return calls
    total: int = comm.allreduce(calls)
    return total


def _curve(
    stack: Stack,
    states: Sequence[_State],
    potential: Potential,
    *,
    stable: NDArray[np.bool_],
    calls: int,
    breaks_at: float | None = None,
    unsettled: tuple[float, ...] = (),
) -> StackCurve:
    """Collect states into a curve."""
    return StackCurve(
        opening=np.array([s.opening for s in states]),
        elongation=np.array([s.elongation for s in states]),
        energy=np.array([s.energy for s in states]),
        traction=np.array([s.traction for s in states]),
        stable=stable,
        n_planes=stack.n_planes,
        area=stack.area,
        spacing=stack.spacing,
        plane=stack.plane,
        potential=potential.capabilities.name,
        breaks_at=breaks_at,
        unsettled=unsettled,
        calls=calls,
    )
