"""Stacks with a foreign atom at rest: their gap closed, opening, and open with the atom on one of the surfaces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from mpi4py import MPI
from numpy.typing import ArrayLike, NDArray

from atomistic.builders import Stack
from atomistic.crystal import Crystal
from atomistic.curves import SeparationCurve
from atomistic.decohesion import default_openings, rigid_curve
from atomistic.impurity import Face, ImpureStack
from atomistic.potentials.base import Capabilities, Evaluation, Potential
from atomistic.pulling import checked_force, checked_path, full_opening, normal_moduli, traction_of
from atomistic.ranks import on_first_rank, spread
from atomistic.relaxation import minimise, springs

Array = NDArray[np.float64]

#: Stiffness (eV/Å²) that a search gives a foreign atom in its hole before it has learnt its own.
HOLE_STIFFNESS = 4.0
#: Openings beyond reach (Å): the atom on one face stands out into the gap.
_STANDS_OUT = 3.0


@dataclass(frozen=True, kw_only=True)
class AtRest:
    """A stack whose atoms are at rest.

    Attributes:
        atoms: no calculator attached; the foreign atom, if any, is the last one.
        energy: eV.
        opening: of the period over that of the perfect host, Å.
        face: on which the foreign atom stays; None while the gap is closed, or without one.
    """

    atoms: Atoms
    energy: float
    opening: float
    face: Face | None = None


def relax_closed(
    potential: Potential,
    crystal: Crystal,
    stack: ImpureStack | Stack,
    *,
    fmax: float = 1e-3,
    comm: MPI.Comm | None = None,
) -> AtRest:
    """Let the closed stack come to rest: every atom, and the period along the normal; the plane keeps the host's lattice.

    Args:
        potential: gives energies, forces and stresses.
        crystal: the host, relaxed with the same potential.
        stack: with a foreign atom or without.
        fmax: largest force left on an atom, and on the period, eV/Å.
        comm: where given, its first rank computes and all get the result.

    Raises:
        RelaxationError: it does not come to rest.
    """
    checked_force(fmax)
    host, atoms = (stack.stack, stack.atoms) if isinstance(stack, ImpureStack) else (stack, stack.atoms)

    def compute() -> AtRest:
        surface = _WithPeriod(potential=potential, atoms=atoms, height=host.height)
        compliance = host.height / (normal_moduli(crystal, host)[2] * host.area)
        inverse = block_inverse(_springs_of(crystal, stack, crossing=True), np.diag([0.0, 0.0, compliance]))
        start = atoms.copy()
        start.append("X")
        start.positions[-1] = 0.0
        relaxed = minimise(potential=surface, atoms=start, inverse_hessian=inverse, fmax=fmax)
        strained = surface.strained(relaxed.atoms)
        return AtRest(atoms=strained, energy=relaxed.energy, opening=float(strained.cell[2, 2] - host.height))

    return on_first_rank(compute, potential=potential, comm=comm)


def relax_open(
    potential: Potential,
    crystal: Crystal,
    stack: ImpureStack | Stack,
    *,
    closed: AtRest | None = None,
    opening: float | None = None,
    fmax: float = 1e-3,
    comm: MPI.Comm | None = None,
) -> AtRest:
    """Open the gap completely and let both surfaces come to rest, the foreign atom on the face where it costs least.

    Args:
        potential: gives energies and forces.
        crystal: the host, relaxed with the same potential.
        stack: with a foreign atom or without.
        closed: where it starts; by default the perfect planes.
        opening: Å; by default beyond the potential's reach.
        fmax: largest force left on an atom, eV/Å.
        comm: ranks among which the faces are shared out.

    Raises:
        RelaxationError: no face on which it comes to rest.
    """
    checked_force(fmax)
    impure = isinstance(stack, ImpureStack)
    host = stack.stack if isinstance(stack, ImpureStack) else stack
    start = (stack.atoms if closed is None else closed.atoms).copy()
    before = 0.0 if closed is None else closed.opening
    far = apart(potential, host) if opening is None else opening
    inverse = _springs_of(crystal, stack, crossing=False)

    def on(face: Face | None) -> AtRest:
        atoms = opened(start, far, lift=[len(start) - 1] if face == "upper" else [])
        relaxed = minimise(potential, atoms, inverse_hessian=inverse, fmax=fmax)
        return AtRest(atoms=relaxed.atoms, energy=relaxed.energy, opening=before + far, face=face)

    faces: tuple[Face | None, ...] = stack.faces if isinstance(stack, ImpureStack) and impure else (None,)
    found = spread(list(faces), on, potential=potential, comm=comm)
    # Equivalent faces differ by rounding alone; the first is taken then, on every machine.
    lowest = min(state.energy for state in found)
    return next(state for state in found if state.energy <= lowest + 1e-4)


def apart(potential: Potential, stack: Stack) -> float:
    """Return an opening (Å) beyond the potential's reach, with room for an atom that stands on one face."""
    return full_opening(potential, stack, 0.0) + _STANDS_OUT


def opened(atoms: Atoms, opening: float, *, lift: Sequence[int] = ()) -> Atoms:
    """Return a stack with its period longer by `opening` (Å): all atoms stay, but those to `lift`, which go with the next."""
    moved = atoms.copy()
    cell = moved.cell.array.copy()
    cell[2, 2] += opening
    moved.set_cell(cell, scale_atoms=False)
    moved.positions[list(lift), 2] += opening
    return moved


def impure_separation(
    potential: Potential,
    crystal: Crystal,
    stack: ImpureStack,
    closed: AtRest,
    *,
    face: Face = "lower",
    openings: ArrayLike | None = None,
    fmax: float = 1e-3,
    comm: MPI.Comm | None = None,
) -> SeparationCurve:
    """Pull a stack apart with both halves of the host rigid as they are when closed, the foreign atom at rest at each opening.

        φ(Δ) = min over its place of [E(Δ) − E(0)]/A,      T = dφ/dΔ with the place held (the envelope theorem)

    A substitutional atom is one of its half and stays with it.

    Args:
        potential: gives energies, forces and stresses.
        crystal: the host.
        stack: with the foreign atom.
        closed: at rest, from `relax_closed`.
        face: with which the foreign atom goes where it has a choice.
        openings: ascending from 0, Å; by default `default_openings()`.
        fmax: largest force left on the foreign atom, eV/Å.
        comm: ranks among which the openings are shared out; every rank gets the whole curve.

    Raises:
        InvalidCurveError: openings that do not ascend from 0.
        RelaxationError: the foreign atom does not come to rest.
    """
    gaps = checked_path(default_openings() if openings is None else openings, name="openings")
    checked_force(fmax)
    host = stack.stack

    def at(opening: float) -> tuple[float, float]:
        state = rigid_state(potential, stack, closed, opening, face=face, fmax=fmax)
        result = potential.evaluate(state.atoms)
        return result.energy / host.area, traction_of(result, state.atoms.positions, state.atoms.cell.array) / host.area

    roundoff = float(np.finfo(potential.capabilities.precision).eps)
    return rigid_curve(
        potential,
        host,
        at,
        openings=gaps,
        far=max(float(gaps[-1]), apart(potential, host)),
        noise=roundoff * abs(closed.energy) / host.area,
        comm=comm,
    )


def rigid_state(
    potential: Potential,
    stack: ImpureStack | Stack,
    closed: AtRest,
    opening: float,
    *,
    face: Face = "lower",
    fmax: float = 1e-3,
) -> AtRest:
    """Return a stack opened with both halves as they are when closed, its foreign atom at rest between them.

    Args:
        potential: gives energies and forces.
        stack: with a foreign atom or without.
        closed: from `relax_closed`.
        opening: beyond the closed state, Å.
        face: with which the foreign atom goes where it has a choice.
        fmax: largest force left on it, eV/Å.

    Raises:
        RelaxationError: the foreign atom does not come to rest.
    """
    atoms = opened(closed.atoms, opening)
    if isinstance(stack, ImpureStack) and stack.site != "substitutional" and opening > 0.0:
        if face == "upper":
            atoms.positions[stack.row, 2] += opening
        one = _OneAtom(potential=potential, atoms=atoms, row=stack.row)
        place = minimise(one, one.start(), inverse_hessian=np.eye(3) / HOLE_STIFFNESS, fmax=fmax)
        atoms.positions[stack.row] = place.atoms.positions[0]
        return AtRest(atoms=atoms, energy=place.energy, opening=closed.opening + opening, face=face)
    return AtRest(atoms=atoms, energy=potential.evaluate(atoms).energy, opening=closed.opening + opening)


@dataclass(frozen=True, kw_only=True)
class _WithPeriod:
    """A stack with the growth of its period as three more coordinates, of which the third counts, as `minimise` takes it.

    The atoms' own coordinates are those of the unstrained period, so that a change of the period strains all gaps alike.
    """

    potential: Potential
    atoms: Atoms
    height: float

    @property
    def capabilities(self) -> Capabilities:
        return self.potential.capabilities

    def strained(self, atoms: Atoms) -> Atoms:
        """The stack itself."""
        factor = 1.0 + float(atoms.positions[-1, 2]) / self.height
        whole = self.atoms.copy()
        whole.positions = atoms.positions[:-1] * [1.0, 1.0, factor]
        cell = self.atoms.cell.array.copy()
        cell[2, 2] *= factor
        whole.set_cell(cell, scale_atoms=False)
        return whole

    def evaluate(self, atoms: Atoms) -> Evaluation:
        whole = self.strained(atoms)
        result = self.potential.evaluate(whole)
        period = float(whole.cell[2, 2])
        forces = result.forces * [1.0, 1.0, period / self.height]
        pull = -whole.get_volume() * result.stress[2, 2] / period
        return Evaluation(energy=result.energy, forces=np.vstack([forces, [0.0, 0.0, pull]]), stress=np.zeros((3, 3)))


@dataclass(frozen=True, kw_only=True)
class _OneAtom:
    """All atoms held but one, as `minimise` takes it."""

    potential: Potential
    atoms: Atoms
    row: int

    @property
    def capabilities(self) -> Capabilities:
        return self.potential.capabilities

    def start(self) -> Atoms:
        return Atoms("X", positions=self.atoms.positions[[self.row]])

    def evaluate(self, atoms: Atoms) -> Evaluation:
        whole = self.atoms.copy()
        whole.positions[self.row] = atoms.positions[0]
        result = self.potential.evaluate(whole)
        return Evaluation(energy=result.energy, forces=result.forces[[self.row]], stress=np.zeros((3, 3)))


def _springs_of(crystal: Crystal, stack: ImpureStack | Stack, *, crossing: bool) -> Array:
    """Inverse stiffness where a relaxation starts: the host's springs, and the foreign atom held in its hole."""
    host = stack.stack if isinstance(stack, ImpureStack) else stack
    inverse = springs(host, moduli=normal_moduli(crystal, host), crossing=crossing)
    return block_inverse(inverse, np.eye(3) / HOLE_STIFFNESS) if isinstance(stack, ImpureStack) else inverse


def block_inverse(first: Array, second: Array) -> Array:
    """Return two inverse stiffnesses, (m, m) and (n, n), of parts that do not feel each other, as one."""
    joined = np.zeros((len(first) + len(second),) * 2)
    joined[: len(first), : len(first)] = first
    joined[len(first) :, len(first) :] = second
    return joined
