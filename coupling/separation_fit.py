"""One smooth curve through the energies and the tractions of a separation, so that one is the other's derivative."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline, make_interp_spline

from coupling.errors import InvalidCurveError

# Beyond the opening where the traction has fallen below this fraction of its peak for good, the data are noise of the
# potential (float32) or zero: the curve ends there with zero traction and slope, and the last energies give its height.
TAIL_FRACTION = 2e-4
# Weight of the roughness of the traction in the fit, relative to the data: decides only what the data leave open.
ROUGHNESS = 1e-7


class Separation(Protocol):
    """What the fit reads of a separation curve: openings (Å), energies (eV/Å²), and tractions (eV/Å³) where known."""

    @property
    def opening(self) -> NDArray[np.float64]:
        """(n,) Å, ascending from 0."""

    @property
    def energy(self) -> NDArray[np.float64]:
        """(n,) eV/Å²."""

    @property
    def traction(self) -> NDArray[np.float64] | None:
        """(n,) eV/Å³, or None where only energies are known."""


@dataclass(frozen=True, kw_only=True)
class SeparationFit:
    """φ(Δ) and T(Δ) = φ'(Δ) as splines, φ quartic and T cubic on each interval.

    Attributes:
        energy: φ (eV/Å²) of the opening Δ (Å).
        traction: T = φ' (eV/Å³).
        end: the opening beyond which T = 0 (Å).
        work: φ(end), the fitted work of separation (eV/Å²).
        energy_misfit: largest |φ(Δ_k) − data| as a fraction of `work`.
        traction_misfit: largest |T(Δ_k) − data| as a fraction of the peak traction; None without traction data.
        energy_force_gap: (∫T dΔ by the trapezoidal rule's spline equivalent on tractions alone − last energy)/work, the
            disagreement of the two kinds of data themselves; None without traction data.
        knots: openings at which the pieces meet (Å).
    """

    energy: BSpline
    traction: BSpline
    end: float
    work: float
    energy_misfit: float
    traction_misfit: float | None
    energy_force_gap: float | None
    knots: NDArray[np.float64]

    @property
    def peak(self) -> tuple[float, float]:
        """Opening (Å) and traction (eV/Å³) at the largest traction."""
        grid = np.linspace(0, self.end, 4001)
        values = self.traction(grid)
        top = int(np.argmax(values))
        return float(grid[top]), float(values[top])


def fit_separation(curve: Separation) -> SeparationFit:
    """Fit energies and tractions together by weighted least squares with T a cubic B-spline.

    Unknowns are the B-spline coefficients of T; φ is its exact antiderivative, so φ(0) = 0 and φ' = T by construction.
    T(0) = 0 (the crystal is relaxed) and T = T' = 0 at the end are imposed. Energies are weighted by 1/W, tractions by
    1/T_peak.

    Args:
        curve: at least six openings from 0 upward.

    Returns:
        The fit, with what separates it from either kind of data.

    Raises:
        InvalidCurveError: too few points, openings that do not ascend from zero, values that are not finite, no positive energy
            at the end, or a curve that ends before the traction has died out.
    """
    opening, energy, traction = _checked(curve)
    end = _end_of_traction(opening, energy, traction)
    # The last knot is a datum's opening; where only energies are known half as many pieces carry the curve.
    inside = opening[(opening > 0) & (opening < end)]
    if traction is None:
        inside = inside[1::2]
    breaks = np.concatenate([[0.0], inside, [end]])
    knots = np.concatenate([[0.0] * 3, breaks, [end] * 3])
    count = len(knots) - 4
    free = np.arange(1, count - 2)  # T(0) = 0, T(end) = 0, T'(end) = 0

    basis = [BSpline(knots, row, 3, extrapolate=False) for row in np.eye(count)[free]]
    integrals = [b.antiderivative() for b in basis]
    rows, values = [], []
    clipped = np.minimum(opening, end)
    scale = energy[-1]
    rows.append(np.column_stack([i(clipped) for i in integrals])[1:] / scale)
    values.append(energy[1:] / scale)
    if traction is not None:
        used = opening < end
        top = np.max(traction)
        rows.append(np.nan_to_num(np.column_stack([b(opening[used]) for b in basis]))[1:] / top)
        values.append(traction[used][1:] / top)
    peak_guess = np.max(traction) if traction is not None else np.max(np.diff(energy) / np.diff(opening))
    middles = 0.5 * (breaks[1:] + breaks[:-1])
    rough = np.column_stack([b.derivative(2)(middles) for b in basis]) * end**2 / peak_guess
    rows.append(ROUGHNESS * rough)
    values.append(np.zeros(len(middles)))
    solution, *_ = np.linalg.lstsq(np.vstack(rows), np.concatenate(values), rcond=None)

    coefficients = np.zeros(count)
    coefficients[free] = solution
    spline = BSpline(knots, coefficients, 3)
    integral = spline.antiderivative()
    work = float(integral(end))
    return SeparationFit(
        energy=integral,
        traction=spline,
        end=float(end),
        work=work,
        energy_misfit=float(np.max(np.abs(integral(clipped) - energy)) / work),
        traction_misfit=_traction_misfit(spline, opening, traction, end),
        energy_force_gap=None if traction is None else float((_integral(opening, traction) - energy[-1]) / work),
        knots=breaks,
    )


def _checked(curve: Separation) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64] | None]:
    opening, energy = np.asarray(curve.opening, float), np.asarray(curve.energy, float)
    traction = None if curve.traction is None else np.asarray(curve.traction, float)
    columns = [opening, energy] + ([] if traction is None else [traction])
    if any(c.shape != opening.shape or c.ndim != 1 for c in columns) or len(opening) < 6:
        raise InvalidCurveError(
            "a separation curve needs at least six points of opening and energy, "
            f"got shapes {[c.shape for c in columns]}"
        )
    if not all(np.isfinite(c).all() for c in columns):
        raise InvalidCurveError(
            "the separation curve holds values that are not finite: remove those points or compute them again"
        )
    if abs(opening[0]) > 1e-9 or np.any(np.diff(opening) <= 0):
        raise InvalidCurveError(
            "the openings of a separation curve must start at 0 and ascend: compression has its own penalty in the law"
        )
    energy = energy - energy[0]
    if energy[-1] <= 0:
        raise InvalidCurveError(
            f"the energy at the largest opening is {energy[-1]:.3g} eV/Å² above that of the closed interface: it must be positive"
        )
    return opening, energy, traction


def _end_of_traction(
    opening: NDArray[np.float64], energy: NDArray[np.float64], traction: NDArray[np.float64] | None
) -> float:
    """The opening where the traction is gone: the datum after the last one above the tail's bound."""
    slope = traction if traction is not None else np.gradient(energy, opening)
    peak = np.max(slope)
    above = np.flatnonzero(np.abs(slope) > TAIL_FRACTION * peak)
    last = int(above[-1])
    if last + 1 >= len(opening):
        if slope[-1] > 0.05 * peak:
            raise InvalidCurveError(
                f"the traction at the largest opening, {opening[-1]:.2f} Å, is still {slope[-1] / peak:.0%} of its peak: "
                "extend the curve to larger openings"
            )
        return float(opening[-1])
    return float(opening[last + 1])


def _traction_misfit(
    spline: BSpline, opening: NDArray[np.float64], traction: NDArray[np.float64] | None, end: float
) -> float | None:
    if traction is None:
        return None
    fitted = np.where(opening < end, spline(np.minimum(opening, end)), 0.0)
    return float(np.max(np.abs(fitted - traction)) / np.max(traction))


def _integral(opening: NDArray[np.float64], traction: NDArray[np.float64]) -> float:
    """∫T dΔ from the tractions alone, through the interpolating cubic B-spline."""
    return float(make_interp_spline(opening, traction, k=3).integrate(opening[0], opening[-1]))
