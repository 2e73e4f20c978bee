"""What every way of pulling a stack apart shares: its traction, its range, its moduli, and the check of a path."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from atomistic.builders import Stack
from atomistic.crystal import Crystal
from atomistic.elasticity import rotate_stiffness
from atomistic.errors import InvalidCurveError
from atomistic.potentials.base import Evaluation, Potential

#: Opening (Å) taken for complete separation where the potential does not tell its range.
_FAR = 12.0


def traction_of(result: Evaluation, positions: NDArray[np.float64], cell: NDArray[np.float64]) -> float:
    """Return dE/dL_z at fixed positions, (V σ_zz + Σ_i f_iz z_i)/L_z, eV/Å; z is the third cell vector's height."""
    volume = abs(float(np.linalg.det(cell)))
    return float((volume * result.stress[2, 2] + result.forces[:, 2] @ positions[:, 2]) / cell[2, 2])


def full_opening(potential: Potential, stack: Stack, opening: float) -> float:
    """Return `opening` where it already separates the stack completely, else one (Å) that does."""
    cutoff = potential.capabilities.cutoff
    far = _FAR if cutoff is None else cutoff - stack.cut_gap + 0.1
    return max(float(opening), far)


def energy_noise(potential: Potential, crystal: Crystal, stack: Stack) -> float:
    """Return how far rounding may move an energy per area, eV/Å²: the precision's unit roundoff times the energy."""
    roundoff = float(np.finfo(potential.capabilities.precision).eps)
    return roundoff * abs(crystal.energy_per_atom) * len(stack.atoms) / stack.area


def normal_moduli(crystal: Crystal, stack: Stack) -> NDArray[np.float64]:
    """Return the stiffness C_xzxz, C_yzyz, C_zzzz of strain along the stack's normal z, (3,), eV/Å³."""
    stiffness = rotate_stiffness(crystal.stiffness, stack.rotation)
    return np.array([stiffness[4, 4], stiffness[3, 3], stiffness[2, 2]])


def checked_path(values: ArrayLike, *, name: str) -> NDArray[np.float64]:
    """Return a path as an array, having checked that it ascends from 0.

    Raises:
        InvalidCurveError: it does not, or holds fewer than two values, or values that are not finite.
    """
    path = np.asarray(values, dtype=float)
    if (
        path.ndim != 1
        or len(path) < 2
        or not np.all(np.isfinite(path))
        or path[0] != 0.0
        or np.any(np.diff(path) <= 0.0)
    ):
        shown = np.array2string(path, threshold=8)
        raise InvalidCurveError(f"The {name} must ascend from 0 and be at least two; got {shown}.")
    return path


def checked_force(fmax: float) -> None:
    """Raise InvalidCurveError unless the force (eV/Å) at which atoms count as relaxed is positive."""
    if not fmax > 0.0:
        raise InvalidCurveError(f"The largest force left, fmax, must be positive, in eV/Å; got {fmax!r}.")
