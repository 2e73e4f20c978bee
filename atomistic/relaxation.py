"""Quasi-Newton relaxation of stacks, started from springs that have the crystal's own stiffness.

A stack is a long chain: its softest mode is N² softer than its stiffest, and an optimiser that starts from a multiple of
the unit matrix spends its evaluations on finding that out. Springs between neighbours, scaled to the elastic constants along the
normal, know it beforehand; a handful of evaluations then suffice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from atomistic.builders import Stack
from atomistic.errors import RelaxationError
from atomistic.potentials.base import Capabilities, Evaluation, Potential

Array = NDArray[np.float64]

#: Decay and range of the springs, in nearest-neighbour distances (Packwood et al. 2016, "Exp" preconditioner).
_DECAY, _RANGE = 3.0, 2.0
#: Longest step of any atom, Å.
_MAX_STEP = 0.15
_MAX_CALLS = 200
#: The same for equilibria that are no minima: what has not settled by then is at a branching point.
_MAX_BALANCE_CALLS = 60


class EnergySurface(Protocol):
    """What is minimised: a potential, or anything that gives energies and forces of something like atoms."""

    @property
    def capabilities(self) -> Capabilities:
        """Tells the precision."""

    def evaluate(self, atoms: Atoms) -> Evaluation:
        """Return energy and forces."""


@dataclass(frozen=True, kw_only=True)
class Relaxed:
    """Atoms at rest, their energy (eV), the last evaluation, and whether `stop` ended the relaxation early."""

    atoms: Atoms
    energy: float
    result: Evaluation
    stopped: bool = False


def springs(body: Stack | Atoms, *, moduli: Array, crossing: bool) -> Array:
    """Return the inverse stiffness of a stack of springs, (3n, 3n), Å²/eV, without uniform translations.

    K = Σ_pairs μ_d exp[−3(r/r_nn − 1)] for each direction d (Packwood et al. 2016, J. Chem. Phys. 144, 164109), with
    μ_d such that a strain of the perfect stack along its normal costs ½ M_d ε² V.

    Args:
        body: the perfect stack, or a periodic cell of atoms.
        moduli: (3,) M_d: stiffness of strain xz, yz and zz, eV/Å³.
        crossing: whether springs reach across the cut gap, the border of the cell along its third vector.
    """
    atoms = body if isinstance(body, Atoms) else body.atoms
    volume = float(atoms.get_volume())
    # Every crystal has neighbours within 1.6 times the edge of the cube that an atom fills.
    nearest = float(neighbor_list("d", atoms, 1.6 * (volume / len(atoms)) ** (1 / 3)).min())
    i, j, distance, vector, image = neighbor_list("ijdDS", atoms, _RANGE * nearest)
    weight = np.exp(-_DECAY * (distance / nearest - 1.0))
    strengths = 2.0 * moduli * volume / (weight @ vector[:, 2] ** 2)
    kept = np.ones(len(i), dtype=bool) if crossing else image[:, 2] == 0
    laplacian = np.zeros((len(atoms),) * 2)
    np.add.at(laplacian, (i[kept], j[kept]), -weight[kept])
    laplacian -= np.diag(laplacian.sum(axis=1))
    inverse = np.linalg.pinv(laplacian, rcond=1e-9, hermitian=True)
    return np.asarray(np.kron(inverse, np.diag(1.0 / strengths)), dtype=np.float64)


def minimise(
    potential: EnergySurface,
    atoms: Atoms,
    *,
    inverse_hessian: Array,
    fmax: float,
    stop: Callable[[Atoms], bool] = lambda atoms: False,
) -> Relaxed:
    """Minimise the energy at a fixed cell (BFGS; Nocedal and Wright 2006, algorithm 6.1).

    A step is halved while it raises the energy beyond the noise; curvature that is not positive is not learnt.

    Args:
        potential: gives energies and forces.
        atoms: the start; left as it is.
        inverse_hessian: (3n, 3n), Å²/eV; see `springs`.
        fmax: largest force on an atom at rest, eV/Å.
        stop: true of atoms that need not be followed further.

    Raises:
        RelaxationError: not at rest after 200 evaluations.
    """
    current = atoms.copy()
    inverse = inverse_hessian.copy()
    result = potential.evaluate(current)
    tolerance = float(np.finfo(potential.capabilities.precision).eps) * abs(result.energy) * 4.0
    calls = 1
    while (largest := float(np.linalg.norm(result.forces, axis=1).max())) > fmax:
        if calls >= _MAX_CALLS:
            raise _restless(atoms, largest, fmax, calls)
        step = _limited(inverse @ result.forces.ravel())
        if step @ result.forces.ravel() <= 0.0:
            inverse = inverse_hessian.copy()
            step = _limited(inverse @ result.forces.ravel())
        for _ in range(6):
            trial = current.copy()
            trial.positions += step.reshape(-1, 3)
            new = potential.evaluate(trial)
            calls += 1
            if new.energy <= result.energy + tolerance:
                break
            step = 0.5 * step
        change = result.forces.ravel() - new.forces.ravel()
        inverse = _bfgs(inverse, step, change)
        current, result = trial, new
        if stop(current):
            return Relaxed(atoms=current, energy=result.energy, result=result, stopped=True)
    return Relaxed(atoms=current, energy=result.energy, result=result)


def balance(
    potential: Potential,
    atoms: Atoms,
    *,
    rebuild: Callable[[Array], Atoms],
    inverse_stiffness: Array,
    fmax: float,
) -> Relaxed:
    """Find displacements at which all forces vanish, where the cell follows the atoms (Broyden 1965, "good" method).

    Unlike `minimise` this also finds equilibria that are no minimum of the energy. The start is the best state found so
    far whenever a step made the forces grow more than threefold.

    Args:
        potential: gives energies and forces.
        atoms: the start; left as it is.
        rebuild: from positions (n, 3) to atoms with the cell that belongs to them.
        inverse_stiffness: (3n, 3n), Å²/eV: minus the inverse derivative of the forces by the positions.
        fmax: largest force on an atom at rest, eV/Å.

    Raises:
        RelaxationError: not at rest after 60 evaluations.
    """
    current = rebuild(atoms.positions.copy())
    inverse = inverse_stiffness.copy()
    result = potential.evaluate(current)
    calls = 1
    damping = 1.0
    while (largest := float(np.linalg.norm(result.forces, axis=1).max())) > fmax:
        if calls >= _MAX_BALANCE_CALLS:
            raise _restless(atoms, largest, fmax, calls)
        step = _limited(damping * (inverse @ result.forces.ravel()))
        trial = rebuild(current.positions + step.reshape(-1, 3))
        new = potential.evaluate(trial)
        calls += 1
        change = result.forces.ravel() - new.forces.ravel()
        guess = inverse @ change
        bottom = step @ guess
        if abs(bottom) > 0.1 * (step @ step):
            inverse += np.outer(step - guess, step @ inverse) / bottom
        else:
            inverse = inverse_stiffness.copy()
        if np.linalg.norm(new.forces) > 3.0 * np.linalg.norm(result.forces):
            damping = 0.5 * damping
            continue
        damping = min(1.0, 2.0 * damping)
        current, result = trial, new
    return Relaxed(atoms=current, energy=result.energy, result=result)


def _bfgs(inverse: Array, step: Array, change: Array) -> Array:
    """Return the updated inverse Hessian; `change` is that of minus the forces."""
    curvature = float(step @ change)
    if curvature <= 1e-8 * float(np.linalg.norm(step) * np.linalg.norm(change)):
        return inverse
    guess = inverse @ change
    scale = 1.0 + float(change @ guess) / curvature
    cross = np.outer(guess, step)
    updated: Array = inverse + (scale * np.outer(step, step) - cross - cross.T) / curvature
    return updated


def _limited(step: Array) -> Array:
    """Shorten a step so that no atom moves farther than allowed."""
    longest = float(np.linalg.norm(step.reshape(-1, 3), axis=1).max())
    return step * min(1.0, _MAX_STEP / max(longest, 1e-300))


def _restless(atoms: Atoms, force: float, fmax: float, calls: int) -> RelaxationError:
    """Describe atoms that do not come to rest."""
    return RelaxationError(
        f"{atoms.symbols} did not come to rest: after {calls} evaluations the largest force is {force:.2e} eV/Å, asked for "
        f"{fmax:.0e}. Allow a larger fmax, smaller steps along the path, or check the potential at these distances.",
        force=force,
        calls=calls,
    )
