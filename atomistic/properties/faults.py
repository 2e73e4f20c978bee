"""The γ-surface along one direction: the barrier of a slip and the stacking fault behind it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray
from scipy.interpolate import CubicHermiteSpline

from atomistic.builders import build_stack
from atomistic.crystal import Crystal
from atomistic.errors import PropertyError
from atomistic.orientation import orient
from atomistic.potentials.base import Potential
from atomistic.pulling import energy_noise
from atomistic.ranks import spread
from atomistic.shear import fault_energies

Array = NDArray[np.float64]
#: A flat place nearer than this part of the period to the perfect crystal is the crystal itself.
_BESIDE = 0.04


@dataclass(frozen=True, kw_only=True)
class LineFault:
    """A flat place of a γ-line: shift along it (Å) and energy (eV/Å²)."""

    shift: float
    energy: float


@dataclass(frozen=True, kw_only=True)
class GammaLine:
    """Energy of a stacking fault against the shift of one half of a crystal along a direction.

    Attributes:
        shift: (n,) Å, from 0 to the lattice period along the direction, where the crystal is perfect again.
        energy: (n,) eV/Å².
        slope: (n,) eV/Å³, its derivative, from forces and stresses.
        unstable: the lowest maximum, None without one.
        intrinsic: the lowest minimum beside the perfect crystal; None without one below that maximum.
        direction: indices of the direction.
        plane: Miller indices.
        relax: False, or "normal".
        potential: its name.
        noise: what the potential's precision leaves uncertain in `energy`, eV/Å².
    """

    shift: Array
    energy: Array
    slope: Array
    unstable: LineFault | None
    intrinsic: LineFault | None
    direction: tuple[int, int, int]
    plane: tuple[int, ...]
    relax: Literal[False, "normal"]
    potential: str
    noise: float

    def energy_at(self, shift: Array) -> Array:
        """Return the energy between the points, eV/Å², by energies and slopes of its neighbours."""
        return np.asarray(CubicHermiteSpline(self.shift, self.energy, self.slope)(shift))


def gamma_line(
    potential: Potential,
    crystal: Crystal,
    *,
    plane: Sequence[int],
    direction: Sequence[int],
    points: int = 25,
    n_planes: int = 8,
    cut: str | int = "widest",
    relax: Literal[False, "normal"] = "normal",
    fmax: float = 1e-3,
    comm: MPI.Comm | None = None,
) -> GammaLine:
    """Return the γ-surface (Vítek 1968) along a direction, over one lattice period, with its flat places.

    Halves and relaxation as of `atomistic.shear.gamma_surface`. Energies and their slopes are both computed, so that a cubic
    between neighbours gives the flat places to the fourth power of the step. Faults are those of the surface only where the
    direction passes through them, as [11-2] does on an fcc (111) plane.

    Args:
        potential: gives energies, forces and, for a rigid line, stresses.
        crystal: relaxed with the same potential.
        plane: Miller indices.
        direction: in the plane.
        points: shifts over the period, both ends included.
        n_planes: in one period, or in each half of the slab.
        cut: which gap is sheared.
        relax: False, or "normal".
        fmax: largest force left along the normal, eV/Å.
        comm: ranks among which the shifts are shared out.

    Raises:
        InvalidPlaneError: no such plane or direction, or a direction out of the plane.
        InvalidCurveError: an unknown `relax`, or too few planes.
        PropertyError: fewer than seven points.
        RelaxationError: atoms that do not come to rest.
    """
    if points < 7:
        raise PropertyError(f"A γ-line needs at least 7 points to show its maxima and minima; got {points!r}.")
    orientation = orient(crystal, plane=plane, growth=direction)
    stack = build_stack(crystal, plane=plane, n_planes=n_planes, cut=cut)
    along = (stack.rotation @ orientation.rotation[0])[:2]
    shifts = np.linspace(0.0, lattice_repeat(crystal, orientation.growth), points)
    at = fault_energies(potential, crystal, stack, relax=relax, fmax=fmax, cut=cut)
    # The last shift is the first one again.
    answers = np.array(spread([s * along for s in shifts[:-1]], at, potential=potential, comm=comm))
    answers = np.concatenate([answers, answers[:1]])
    energy, slope = answers[:, 0] - answers[0, 0], answers[:, 1:3] @ along
    maximum, minimum = _flat_places(shifts, energy, slope)
    if maximum is None or (minimum is not None and minimum.energy > 0.999 * maximum.energy):
        minimum = None
    return GammaLine(
        shift=shifts,
        energy=energy,
        slope=slope,
        unstable=maximum,
        intrinsic=minimum,
        direction=orientation.growth,
        plane=stack.plane,
        relax=relax,
        potential=potential.capabilities.name,
        noise=energy_noise(potential, crystal, stack),
    )


def lattice_repeat(crystal: Crystal, direction: Sequence[int]) -> float:
    """Return the length of the shortest lattice vector along a direction of the conventional cell, Å."""
    vector = np.asarray(direction) @ crystal.conventional.cell.array
    steps = np.rint(vector @ np.linalg.inv(crystal.atoms.cell.array)).astype(int)
    return float(np.linalg.norm(vector)) / math.gcd(*(int(i) for i in steps))


def _flat_places(shift: Array, energy: Array, slope: Array) -> tuple[LineFault | None, LineFault | None]:
    """Return the lowest maximum and the lowest minimum away from the ends of a line."""
    spline = CubicHermiteSpline(shift, energy, slope)
    roots = np.unique(spline.derivative().roots(extrapolate=False))
    margin = _BESIDE * shift[-1]
    roots = roots[np.isfinite(roots) & (roots > margin) & (roots < shift[-1] - margin)]
    curvature = spline.derivative(2)(roots)

    def lowest(found: Array) -> LineFault | None:
        if not len(found):
            return None
        best = min(found, key=lambda s: float(spline(s)))
        return LineFault(shift=float(best), energy=float(spline(best)))

    return lowest(roots[curvature < 0.0]), lowest(roots[curvature > 0.0])
