"""What a separation computation gives: curves of energy and traction, with what is needed to judge them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from atomistic.errors import InvalidCurveError

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class SeparationCurve:
    """Energy and traction against the opening of one gap.

    Attributes:
        opening: (n,), Å, from 0.
        energy: (n,), eV/Å², above that at opening 0.
        traction: (n,), eV/Å³, dφ/dΔ from forces and stresses.
        mode: "rigid" or "relaxed".
        n_planes: planes in the periodic stack.
        area: Å².
        spacing: mean distance of neighbouring planes d, Å.
        length: Å of crystal whose elasticity the curve contains: the cut gap for rigid separation.
        work_of_separation: energy at full separation, eV/Å².
        work_of_separation_relaxed: the same with both surfaces relaxed, where it was computed.
        plane: Miller indices.
        potential: its name.
        noise: what the potential's precision leaves uncertain in `energy`, eV/Å².
    """

    opening: Array
    energy: Array
    traction: Array
    mode: str
    n_planes: int
    area: float
    spacing: float
    length: float
    work_of_separation: float
    work_of_separation_relaxed: float | None = None
    plane: tuple[int, ...]
    potential: str
    noise: float


@dataclass(frozen=True, kw_only=True)
class StackCurve:
    """Energy and traction of a periodic stack of planes against its elongation.

    Attributes:
        opening: (n,), Å, opening of the cut gap.
        elongation: (n,), Å, growth ū of the whole period.
        energy: (n,), eV/Å², above that of the perfect stack.
        traction: (n,), eV/Å³, dE/dū/A.
        stable: (n,) whether the state lies on the loading part, stable at prescribed elongation: until ū first turns back.
        n_planes: planes in one period.
        area: Å².
        spacing: mean distance of neighbouring planes d, Å.
        plane: Miller indices.
        potential: its name.
        breaks_at: the first elongation tried at which the stack fell apart (Å), None where it never did.
        unsettled: openings asked for at which no equilibrium was found (Å); the curve goes without them.
        calls: evaluations of the potential, on all ranks together.
    """

    opening: Array
    elongation: Array
    energy: Array
    traction: Array
    stable: NDArray[np.bool_]
    n_planes: int
    area: float
    spacing: float
    plane: tuple[int, ...]
    potential: str
    breaks_at: float | None = None
    unsettled: tuple[float, ...] = ()
    calls: int = 0


@dataclass(frozen=True, kw_only=True)
class UniaxialResponse:
    """The perfect crystal under strain along a plane's normal, its lateral size held.

    Attributes:
        strain: (n,), elongation over the length at rest.
        energy_density: (n,), eV per Å³ at rest, above the unstrained crystal.
        stress: (n,), eV/Å³, derivative of `energy_density` by `strain`: force per area of the plane.
        plane: Miller indices.
        potential: its name.
    """

    strain: Array
    energy_density: Array
    stress: Array
    plane: tuple[int, ...]
    potential: str


@dataclass(frozen=True, kw_only=True)
class UberFit:
    """The universal binding curve that fits best.

    Attributes:
        work: W, eV/Å².
        length: l, Å.
        peak_traction: W/(e l), eV/Å³.
        rms_energy: root mean square of the energies' misfit, eV/Å².
        rms_traction: the same of the tractions, eV/Å³.
    """

    work: float
    length: float
    peak_traction: float
    rms_energy: float
    rms_traction: float

    def energy(self, opening: Array) -> Array:
        """Return φ(Δ), eV/Å²."""
        x = np.asarray(opening) / self.length
        return self.work * (1.0 - (1.0 + x) * np.exp(-x))

    def traction(self, opening: Array) -> Array:
        """Return T(Δ) = dφ/dΔ, eV/Å³."""
        x = np.asarray(opening) / self.length
        return self.work / self.length * x * np.exp(-x)


def fit_uber(curve: SeparationCurve) -> UberFit:
    """Fit the universal binding energy relation to energies and tractions together.

        φ = W [1 − (1 + Δ/l) e^(−Δ/l)],    T = (W Δ/l²) e^(−Δ/l),    peak W/(e l) at Δ = l

    (Rose, Smith and Ferrante 1983). Least squares of both misfits, energies in units of the largest energy,
    tractions of the largest traction.

    Raises:
        InvalidCurveError: the curve has no positive energy and traction, so nothing was separated.
    """
    work, peak = float(curve.energy.max()), float(curve.traction.max())
    if not (work > 0.0 and peak > 0.0):
        raise InvalidCurveError(
            f"A separation curve must rise: its largest energy is {work:.3g} eV/Å² and its largest traction {peak:.3g} eV/Å³. "
            "Open it further, and check that the crystal is relaxed."
        )

    def fit(parameters: Array) -> UberFit:
        w, length = np.exp(parameters)
        trial = UberFit(work=w, length=length, peak_traction=w / (np.e * length), rms_energy=0.0, rms_traction=0.0)
        return trial

    def misfit(parameters: Array) -> Array:
        trial = fit(parameters)
        energies = (trial.energy(curve.opening) - curve.energy) / work
        return np.concatenate([energies, (trial.traction(curve.opening) - curve.traction) / peak])

    best = fit(least_squares(misfit, np.log([work, work / (np.e * peak)]), xtol=1e-12, ftol=1e-12).x)
    return UberFit(
        work=float(best.work),
        length=float(best.length),
        peak_traction=float(best.peak_traction),
        rms_energy=float(np.sqrt(np.mean((best.energy(curve.opening) - curve.energy) ** 2))),
        rms_traction=float(np.sqrt(np.mean((best.traction(curve.opening) - curve.traction) ** 2))),
    )
