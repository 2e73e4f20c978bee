"""The unit cell of a crystal under homogeneous strain, its inner shifts at rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from atomistic.cauchy_born.base import Array
from atomistic.crystal import Crystal
from atomistic.elasticity import VOIGT, force_constants
from atomistic.orientation import Orientation
from atomistic.potentials.base import Potential
from atomistic.relaxation import Relaxed, minimise

#: Largest force left on an atom of the basis, eV/Å: its effect on the stress is of first order.
_FMAX = {"float64": 1e-7, "float32": 2e-4}


@dataclass(frozen=True, kw_only=True)
class StrainedState:
    """One strained unit cell.

    Attributes:
        energy: W − W(I), eV/Å³.
        stress: (6,), the second Piola–Kirchhoff stress S = ∂W/∂E, Voigt, eV/Å³.
        calls: evaluations that it took.
    """

    energy: float
    stress: Array
    calls: int


class UnitCell:
    """Evaluates W and S of a crystal's primitive cell under symmetric stretches.

    Only stretches are evaluated: F = R U differs from U by a rotation, which W(F) = W(U) and P = F S take into account
    exactly. Atoms of a basis are relaxed at each stretch (Born and Huang 1954), so W is the energy after relaxation.

    Args:
        potential: gives energies, forces and stresses.
        crystal: relaxed with the same potential.
        orientation: the axes of strains and stresses; None for the crystal's own.
        fmax: largest force left on an atom of the basis, eV/Å; by default 1e-7, or 2e-4 in single precision.
    """

    def __init__(
        self,
        potential: Potential,
        crystal: Crystal,
        orientation: Orientation | None = None,
        *,
        fmax: float | None = None,
    ) -> None:
        self.potential = potential
        self.atoms = crystal.atoms.copy()
        self.volume = float(self.atoms.get_volume())
        self.rotation: Array = np.eye(3) if orientation is None else np.asarray(orientation.rotation, dtype=float)
        self._fmax = _FMAX[potential.capabilities.precision] if fmax is None else float(fmax)
        self._inverse: Array | None = None
        self._rest: float | None = None

    @property
    def rest_energy(self) -> float:
        """W(I), eV/Å³: the energy of the undeformed cell over its volume."""
        self.prepare()
        assert self._rest is not None
        return self._rest / self.volume

    def prepare(self) -> int:
        """Evaluate what all states need: the energy at rest, and the force constants of a basis; return how many calls."""
        before = self.potential.counter.calls
        if self._rest is None:
            if len(self.atoms) > 1:
                self._inverse = np.linalg.pinv(force_constants(self.potential, self.atoms), rcond=1e-6, hermitian=True)
            self._rest = self._relaxed(np.eye(3)).energy
        return self.potential.counter.calls - before

    def at(self, stretch: ArrayLike) -> StrainedState:
        """Return the state under a symmetric stretch U (3, 3), given in the axes of the orientation."""
        before = self.potential.counter.calls
        self.prepare()
        assert self._rest is not None
        turned = self.rotation.T @ np.asarray(stretch, dtype=float) @ self.rotation
        result = self._relaxed(turned).result
        inverse = np.linalg.inv(turned)
        second = np.linalg.det(turned) * inverse @ result.stress @ inverse
        second = self.rotation @ second @ self.rotation.T
        return StrainedState(
            energy=(result.energy - self._rest) / self.volume,
            stress=np.array([0.5 * (second[p, q] + second[q, p]) for p, q in VOIGT]),
            calls=self.potential.counter.calls - before,
        )

    def shifts(self, stretch: ArrayLike) -> Array:
        """Return how far the atoms of the basis rest from where the stretch U (3, 3) alone puts them, (n, 3), Å.

        Their mean is zero; axes are those of the orientation.
        """
        self.prepare()
        turned = self.rotation.T @ np.asarray(stretch, dtype=float) @ self.rotation
        moved = self._relaxed(turned).atoms.positions - self.atoms.positions @ turned
        found: Array = (moved - moved.mean(axis=0)) @ self.rotation.T
        return found

    def _relaxed(self, stretch: Array) -> Relaxed:
        """Return the cell under a stretch in the crystal's axes, its basis at rest."""
        atoms = self.atoms.copy()
        atoms.set_cell(self.atoms.cell.array @ stretch, scale_atoms=True)
        if self._inverse is None:
            result = self.potential.evaluate(atoms)
            return Relaxed(atoms=atoms, energy=result.energy, result=result)
        return minimise(self.potential, atoms, inverse_hessian=self._inverse, fmax=self._fmax)
