"""The energy that velocity Verlet keeps: drift without the ripple of the time step.

The total energy of a run by velocity Verlet wavers with every vibration, by an amount of second order in Δt; on short runs that
ripple, not the drift, sets the confidence interval. The scheme keeps another energy far better (Toxvaerd 1994, Phys. Rev. E
50, 2271; Gans and Shalloway 2000, Phys. Rev. E 61, 4587, eq. 19),

    E' = E + Δt² [v·U''·v/12 − Σ F²/(24 m)] + O(Δt⁴),            v·U''·v = −v·dF/dt,

with dF/dt from the forces one step before and after. A trend of E is one of E': their difference is bounded.
"""

from __future__ import annotations

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from atomistic.errors import DynamicsError

Array = NDArray[np.float64]


class ShadowEnergy:
    """Records E and E' of an NVE run: attach it to `ase.md.verlet.VelocityVerlet` at every step.

    Args:
        atoms: those of the dynamics; their calculator gives energies.
        timestep: of the dynamics, ASE units.

    Raises:
        DynamicsError: a time step that is not positive.
    """

    def __init__(self, atoms: Atoms, timestep: float) -> None:
        if not timestep > 0.0:
            raise DynamicsError(f"The time step must be positive, e.g. 2 * ase.units.fs; got {timestep}.")
        self.atoms, self.timestep = atoms, timestep
        self._energies: list[float] = []
        self._powers: list[tuple[float, float]] = []
        self._squares: list[float] = []
        self._last: tuple[Array, Array] | None = None

    def __call__(self) -> None:
        """Take in the state."""
        velocities, forces = self.atoms.get_velocities(), self.atoms.get_forces(md=True)
        self._energies.append(float(self.atoms.get_total_energy()))
        self._squares.append(float(np.sum(forces**2 / self.atoms.get_masses()[:, None])))
        if self._last is not None:
            old_velocities, old_forces = self._last
            # v now with the force before, v before with the force now: both are needed for v·(F₊ − F₋).
            self._powers.append((float(np.sum(velocities * old_forces)), float(np.sum(old_velocities * forces))))
        self._last = velocities, forces

    @property
    def times(self) -> Array:
        """Times (n,) of the energies below: all calls but the first and the last, ASE units."""
        return np.asarray(self.timestep * np.arange(1, len(self._energies) - 1), dtype=float)

    @property
    def plain(self) -> Array:
        """E (n,), eV."""
        return np.array(self._energies[1:-1])

    @property
    def energies(self) -> Array:
        """E' (n,), eV.

        Raises:
            DynamicsError: fewer than three calls.
        """
        if len(self._energies) < 3:
            raise DynamicsError(f"The kept energy needs at least 3 steps; got {len(self._energies)}.")
        before, after = np.array(self._powers).T
        change = (after[1:] - before[:-1]) / (2.0 * self.timestep)
        return self.plain + self.timestep**2 * (-change / 12.0 - np.array(self._squares[1:-1]) / 24.0)
