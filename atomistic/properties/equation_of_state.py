"""Energy of a crystal over its volume, and the equation of state that goes through it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from mpi4py import MPI
from numpy.typing import ArrayLike, NDArray

from atomistic.crystal import Crystal
from atomistic.errors import PropertyError
from atomistic.potentials.base import Potential
from atomistic.ranks import spread

Array = NDArray[np.float64]
#: Steps of the search for c/a at one volume; the response to shape is nearly linear.
_SHAPE_STEPS = 8
#: The shape is found where the next step would change ln(c/a) by less.
_SHAPE_TOLERANCE = {"float64": 1e-7, "float32": 1e-5}


@dataclass(frozen=True, kw_only=True)
class EquationOfState:
    """Energies over volumes and the Birch–Murnaghan equation fitted to them.

    Attributes:
        volume: (n,) Å³ per atom, ascending.
        energy: (n,) eV per atom.
        equilibrium_volume: V0 of the fit, Å³ per atom.
        equilibrium_energy: E0 of the fit, eV per atom.
        bulk_modulus: B0 of the fit, eV/Å³.
        derivative: B0' = dB/dP of the fit.
        rms: root mean square of the energies' misfit, eV per atom.
        potential: its name.
    """

    volume: Array
    energy: Array
    equilibrium_volume: float
    equilibrium_energy: float
    bulk_modulus: float
    derivative: float
    rms: float
    potential: str

    def energy_at(self, volume: ArrayLike) -> Array:
        """Return E(V), eV per atom, at volumes in Å³ per atom."""
        t = (self.equilibrium_volume / np.asarray(volume, dtype=float)) ** (2.0 / 3.0) - 1.0
        scale = 9.0 * self.equilibrium_volume * self.bulk_modulus / 16.0
        return np.asarray(self.equilibrium_energy + scale * t**2 * (2.0 + (self.derivative - 4.0) * t))


def equation_of_state(
    potential: Potential,
    crystal: Crystal,
    *,
    strain: float = 0.06,
    points: int = 11,
    comm: MPI.Comm | None = None,
) -> EquationOfState:
    """Scale a crystal's volume up and down and fit the equation of state.

    A hexagonal crystal takes at every volume the c/a at which its stress is hydrostatic, so that B0 is the response to pressure.

    Args:
        potential: gives energies and, for hcp, stresses.
        crystal: relaxed with the same potential.
        strain: largest relative change of the volume, both ways.
        points: number of volumes.
        comm: ranks among which the volumes are shared out.

    Raises:
        PropertyError: a strain out of range, fewer than five volumes, or energies without a minimum in the range.
    """
    if not 0.0 < strain <= 0.3:
        raise PropertyError(f"The volume of an equation of state changes by at most 0.3; got a strain of {strain!r}.")
    if points < 5:
        raise PropertyError(f"Four constants need at least 5 volumes; got {points!r} points.")
    ratios = np.linspace(1.0 - strain, 1.0 + strain, points)
    count = len(crystal.atoms)

    def at(ratio: float) -> float:
        cell = scaled(crystal.atoms, float(ratio))
        if crystal.structure == "hcp":
            cell = _hydrostatic(potential, crystal, cell)
        return potential.evaluate(cell, stress=False).energy / count

    energies = np.array(spread(list(ratios), at, potential=potential, comm=comm))
    volumes = ratios * crystal.atoms.get_volume() / count
    return fit_birch_murnaghan(volumes, energies, potential=potential.capabilities.name)


def fit_birch_murnaghan(volume: ArrayLike, energy: ArrayLike, *, potential: str = "") -> EquationOfState:
    """Fit the third-order equation of Birch (1947, Phys. Rev. 71, 809).

        E(V) = E0 + (9 V0 B0/16) t² [2 + (B0' − 4) t],    t = (V0/V)^(2/3) − 1

    It is a cubic polynomial of V^(−2/3), so linear least squares give it exactly, without a first guess.

    Args:
        volume: (n,) Å³ per atom, at least five.
        energy: (n,) eV per atom.
        potential: the name to keep.

    Raises:
        PropertyError: too few volumes, or no minimum between the smallest and the largest.
    """
    volumes, energies = np.asarray(volume, dtype=float), np.asarray(energy, dtype=float)
    if volumes.ndim != 1 or volumes.shape != energies.shape or len(volumes) < 5 or np.any(volumes <= 0.0):
        raise PropertyError(
            f"An equation of state needs at least 5 positive volumes and as many energies; got shapes {volumes.shape} and "
            f"{energies.shape}."
        )
    middle = float(np.median(volumes))
    s = (middle / volumes) ** (2.0 / 3.0) - 1.0
    cubic = np.polynomial.Polynomial.fit(s, energies, 3).convert()
    roots = cubic.deriv().roots()
    real = roots[np.isreal(roots)].real
    inside = [r for r in real if s.min() <= r <= s.max() and cubic.deriv(2)(r) > 0.0]
    if not inside:
        raise PropertyError(
            f"The energies have no minimum between {volumes.min():.3f} and {volumes.max():.3f} Å³ per atom. Take volumes on "
            "both sides of the crystal at rest."
        )
    best = float(inside[0])
    v0 = middle / (1.0 + best) ** 1.5
    second = 0.5 * cubic.deriv(2)(best) * (1.0 + best) ** 2
    third = cubic.deriv(3)(best) / 6.0 * (1.0 + best) ** 3
    return EquationOfState(
        volume=volumes,
        energy=energies,
        equilibrium_volume=float(v0),
        equilibrium_energy=float(cubic(best)),
        bulk_modulus=float(8.0 * second / (9.0 * v0)),
        derivative=float(4.0 + 2.0 * third / second),
        rms=float(np.sqrt(np.mean((cubic(s) - energies) ** 2))),
        potential=potential,
    )


def scaled(atoms: Atoms, ratio: float) -> Atoms:
    """Return atoms at `ratio` times their volume, the same in all directions."""
    cell = atoms.copy()
    cell.set_cell(atoms.cell.array * ratio ** (1.0 / 3.0), scale_atoms=True)
    return cell


def _hydrostatic(potential: Potential, crystal: Crystal, start: Atoms) -> Atoms:
    """Return a hexagonal cell of the same volume whose stress is the same along and across c.

    Newton's method on σ_zz − σ_xx with the elastic constants at rest: strain (−x/2, −x/2, x) at fixed volume.
    """
    c = crystal.stiffness
    slope = c[2, 2] - 2.0 * c[0, 2] + 0.5 * (c[0, 0] + c[0, 1])
    tolerance = _SHAPE_TOLERANCE[potential.capabilities.precision]
    cell = start
    for _ in range(_SHAPE_STEPS):
        stress = potential.evaluate(cell).stress
        step = -(stress[2, 2] - 0.5 * (stress[0, 0] + stress[1, 1])) / slope
        stretched = cell.cell.array @ np.diag(np.exp([-0.5 * step, -0.5 * step, step]))
        cell = cell.copy()
        cell.set_cell(stretched, scale_atoms=True)
        if abs(step) < tolerance:
            break
    return cell
