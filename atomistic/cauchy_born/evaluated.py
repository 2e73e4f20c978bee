"""The strain energy straight from the unit cell: one evaluation for each distinct stretch."""

from __future__ import annotations

import numpy as np
from mpi4py import MPI

from atomistic.cauchy_born.base import (
    Array,
    checked_deformation,
    first_piola,
    first_tangent,
    green_lagrange,
    stretch_of,
)
from atomistic.cauchy_born.unit_cell import StrainedState, UnitCell
from atomistic.crystal import Crystal
from atomistic.errors import CauchyBornError
from atomistic.orientation import Orientation
from atomistic.potentials.base import Potential
from atomistic.ranks import spread

#: Steps of strain of the central differences: truncation against the noise of the stress.
_STEPS = {"float64": 1e-4, "float32": 4e-3}
#: Strains that agree to so many decimals are the same state.
_DECIMALS = 12


class EvaluatedCauchyBorn:
    """W(F), P(F) exactly, and ∂P/∂F by central differences of the second Piola–Kirchhoff stress.

    Each distinct strain costs one evaluation of the unit cell (with inner shifts, a relaxation of it) and is remembered;
    a tangent costs twelve. Meant as the reference for the other descriptions, and for bodies with few distinct strains.

    Args:
        potential: gives energies, forces and stresses.
        crystal: relaxed with the same potential.
        orientation: the axes of F; None for the crystal's own.
        step: of the strain in the central differences; by default 1e-4, or 4e-3 in single precision.
        fmax: largest force left on an atom of the basis, eV/Å.
        comm: ranks among which distinct strains are shared out; all of them then ask for the same F.
    """

    def __init__(
        self,
        potential: Potential,
        crystal: Crystal,
        orientation: Orientation | None = None,
        *,
        step: float | None = None,
        fmax: float | None = None,
        comm: MPI.Comm | None = None,
    ) -> None:
        self.cell = UnitCell(potential, crystal, orientation, fmax=fmax)
        self.step = _STEPS[potential.capabilities.precision] if step is None else float(step)
        if not 0.0 < self.step < 0.1:
            raise CauchyBornError(f"The step of the central differences must lie between 0 and 0.1; got {step!r}.")
        self._comm = comm
        self._known: dict[tuple[float, ...], StrainedState] = {}

    def energy(self, deformation: Array) -> Array:
        """Return W(F), (n,), eV/Å³."""
        states = self._states(self._strain(deformation))
        return self.cell.rest_energy + np.array([state.energy for state in states])

    def stress(self, deformation: Array) -> Array:
        """Return P(F), (n, 3, 3), eV/Å³."""
        strain = self._strain(deformation)
        return first_piola(np.asarray(deformation, dtype=float), self._second(strain))

    def tangent(self, deformation: Array) -> Array:
        """Return ∂P/∂F, (n, 3, 3, 3, 3), eV/Å³."""
        strain = self._strain(deformation)
        count = len(strain)
        steps = self.step * np.concatenate([np.eye(6), -np.eye(6)])
        second = self._second(np.concatenate([strain, (strain[:, None] + steps).reshape(-1, 6)]))
        around = second[count:].reshape(count, 2, 6, 6)
        moduli = (around[:, 0] - around[:, 1]) / (2.0 * self.step)
        moduli = 0.5 * (moduli + np.swapaxes(moduli, 1, 2))
        return first_tangent(np.asarray(deformation, dtype=float), second[:count], moduli)

    def _strain(self, deformation: Array) -> Array:
        """Return E, (n, 6), in the axes of F.

        Raises:
            CauchyBornError: a deformation that turns the crystal inside out.
        """
        gradients = checked_deformation(deformation)
        volumes = np.linalg.det(gradients)
        if len(volumes) and volumes.min() <= 0.0:
            raise CauchyBornError(
                f"det F must be positive; it is {volumes.min():.3g} at point {int(volumes.argmin())}: the body is turned "
                "inside out there. Take smaller load steps."
            )
        return green_lagrange(gradients)

    def _second(self, strain: Array) -> Array:
        """Return S, (n, 6)."""
        return np.array([state.stress for state in self._states(strain)]).reshape(-1, 6)

    def _states(self, strain: Array) -> list[StrainedState]:
        """Return the states of strains (n, 6), evaluating those that are new."""
        # Adding zero turns −0 into 0, which is the same strain.
        keys = [tuple(map(float, row)) for row in np.round(strain, _DECIMALS) + 0.0]
        new = [key for key in dict.fromkeys(keys) if key not in self._known]
        states = spread(new, lambda key: self.cell.at(stretch_of(key)), potential=self.cell.potential, comm=self._comm)
        self._known.update(zip(new, states, strict=True))
        return [self._known[key] for key in keys]
