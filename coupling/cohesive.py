"""From a separation curve of atoms to a cohesive law, with the elasticity that the finite elements hold taken out.

Atoms pulled apart over an opening Δ also stretch: the curve φ(Δ) contains the elasticity of a length L of crystal. The
finite-element bodies that meet at the interface hold that elasticity already. With ε(T) and w(ε) of *the material that
the finite elements use*,

    δ = Δ − L ε(T),        ψ(δ) = φ(Δ) − L w(ε(T)),

so that dψ/dδ = T still and ψ(∞) = φ(∞) = W_sep. For a linear body ε = T/C', w = T²/(2C') and rigid separation, L is the
spacing d of the planes that part: the δ–Δ relation of Rice (1992), J. Mech. Phys. Solids 40, 239.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from continuum.laws import TabulatedLaw
from coupling.elasticity import UniaxialElasticity
from coupling.errors import CouplingError
from coupling.separation_fit import Separation, SeparationFit, fit_separation

Array = NDArray[np.float64]
SAMPLES_PER_PIECE = 32


@dataclass(frozen=True, kw_only=True)
class CohesiveExtraction:
    """A cohesive law taken from atoms, as a table, and what was done to get it.

    Attributes:
        opening: δ (n,) Å, ascending from 0.
        potential: ψ (n,) eV/Å², from 0 to the work of separation.
        traction: T (n,) eV/Å³.
        stiffness: dT/dδ (n,) eV/Å⁴.
        work: ψ at the end, equal to the fitted work of separation (eV/Å²).
        fit: the smooth curve through the atoms' data.
        length: L, the length of crystal whose elasticity was taken out (Å); 0 for an uncorrected law.
        modulus: C' of the finite-element body (eV/Å³).
        initial_stiffness_ratio: T'(0)·L/C' of the curve before the correction; 1 would make the law rigid at first.
        stiffness_cap: the largest stiffness allowed (eV/Å⁴).
        capped_to: the opening Δ up to which the cap or the monotone envelope replaces the curve (Å); 0 where it never does.
        lowered: the range of Δ (Å) in which a traction that rises faster than in proportion to the opening was lowered, so that
            damage never heals; None where there is none.
        envelope_defect: the energy that cap and envelopes cut off, as a fraction of `work`.
        stretch: the factor on the opening that returns that energy, so that ψ(∞) is the fitted work.
    """

    opening: Array
    potential: Array
    traction: Array
    stiffness: Array
    work: float
    fit: SeparationFit
    length: float
    modulus: float
    initial_stiffness_ratio: float
    stiffness_cap: float
    capped_to: float
    lowered: tuple[float, float] | None
    envelope_defect: float
    stretch: float

    @property
    def peak_traction(self) -> float:
        """The largest traction (eV/Å³)."""
        return float(np.max(self.traction))

    @property
    def penalty(self) -> float:
        """Stiffness in compression (eV/Å⁴): the law's initial one, at least ten times that of one plane."""
        return max(float(self.stiffness[0]), 10 * self.modulus / (self.length or self.fit.end))

    def law(
        self, *, unloading: Literal["reversible", "damaging"] = "damaging", penalty: float | None = None
    ) -> TabulatedLaw:
        """The law that an interface of the finite-element model carries.

        Args:
            unloading: back along the curve (adhesion) or to the origin (fracture).
            penalty: stiffness in compression (eV/Å⁴); `penalty` if None.
        """
        return TabulatedLaw(
            opening=self.opening,
            potential=self.potential,
            traction=self.traction,
            stiffness=self.stiffness,
            unloading=unloading,
            penalty=self.penalty if penalty is None else penalty,
        )


def extract_law(
    curve: Separation, elasticity: UniaxialElasticity, *, length: float, stiffness_cap: float = 50.0
) -> CohesiveExtraction:
    """Take the finite elements' own elasticity out of a separation curve.

    Where the correction makes the law stiffer than `stiffness_cap`·C'/L, or folds it (T' > C'/L: forces across more than
    one plane), the opening follows the smallest monotone envelope of at most that stiffness. Where T/δ rises, as in the tails
    of some potentials, the traction is lowered to the smallest T/δ so far: a law that unloads to the origin would heal there
    and create energy. What these cut off is returned by stretching the opening axis, and all of it is reported.

    Args:
        curve: openings (Å), energies (eV/Å²), tractions (eV/Å³) of the atoms.
        elasticity: of the finite-element body along the interface's normal.
        length: L, the length of crystal whose elasticity the curve contains (Å): the gap of the parting planes for rigid
            separation, n_planes·d for a relaxed stack. 0 leaves the curve as it is.
        stiffness_cap: in units of C'/L.

    Returns:
        The law's table and its audit.

    Raises:
        CouplingError: a negative length, a cap below 1, or a curve that cannot be fitted.
    """
    if length < 0 or not np.isfinite(length):
        raise CouplingError(
            f"the length of crystal in the curve is {length} Å: it must be zero (no correction) or positive"
        )
    if stiffness_cap < 1:
        raise CouplingError(f"stiffness_cap is {stiffness_cap} (in units of C'/L): give at least 1, better 50")
    fit = fit_separation(curve)
    gap = _samples(fit)
    slope = np.asarray(fit.traction(gap, 1))
    cap = stiffness_cap * elasticity.modulus / (length or fit.end)
    law = corrected(
        gap,
        np.asarray(fit.energy(gap)),
        np.asarray(fit.traction(gap)),
        slope,
        elasticity=elasticity,
        length=length,
        cap=cap,
    )
    return CohesiveExtraction(
        opening=law.opening,
        potential=law.potential,
        traction=law.traction,
        stiffness=law.stiffness,
        work=fit.work,
        fit=fit,
        length=length,
        modulus=elasticity.modulus,
        initial_stiffness_ratio=float(slope[0] * length * elasticity.compliance(0.0)),
        stiffness_cap=cap,
        capped_to=law.capped_to,
        lowered=law.lowered,
        envelope_defect=law.envelope_defect,
        stretch=law.stretch,
    )


@dataclass(frozen=True, kw_only=True)
class CorrectedCurve:
    """A separation curve at samples, the elasticity of a length of crystal taken out.

    Attributes:
        opening: δ (n,) Å.
        potential: ψ (n,) eV/Å².
        traction: T (n,) eV/Å³.
        stiffness: dT/dδ (n,) eV/Å⁴.
        capped_to, lowered, envelope_defect, stretch: as in `CohesiveExtraction`.
    """

    opening: Array
    potential: Array
    traction: Array
    stiffness: Array
    capped_to: float
    lowered: tuple[float, float] | None
    envelope_defect: float
    stretch: float


def corrected(
    gap: Array,
    energy: Array,
    traction: Array,
    slope: Array,
    *,
    elasticity: UniaxialElasticity,
    length: float,
    cap: float,
) -> CorrectedCurve:
    """Take the elasticity of a length of crystal out of a curve given at close samples (see `extract_law`).

    Args:
        gap: Δ (n,) Å, rising from 0 to complete separation.
        energy: φ (n,) eV/Å², from 0 to the work of separation.
        traction: T (n,) eV/Å³; first and last count as 0.
        slope: dT/dΔ (n,) eV/Å⁴; the last counts as 0.
        elasticity: of the finite-element body.
        length: L, Å.
        cap: largest stiffness, eV/Å⁴.
    """
    traction, slope, end, work = traction.copy(), slope.copy(), gap[-1], float(energy[-1])
    traction[[0, -1]] = 0.0
    slope[-1] = 0.0
    opening = gap - length * elasticity.strain(traction)
    potential = energy - length * elasticity.energy_density(traction)
    folding = 1 - length * elasticity.compliance(traction) * slope

    monotone = monotone_envelope(opening, traction, cap)
    moved = np.abs(monotone - opening - (monotone[-1] - opening[-1])) > 1e-12 * end
    # The first point never moves; the piece that it starts may.
    moved[0] = moved[1]
    capped_to = float(gap[np.flatnonzero(moved)[-1]]) if moved.any() else 0.0
    traction, lowered = falling_secant(monotone, traction)
    moved |= lowered
    stiffness = np.divide(slope, folding, out=np.full_like(slope, cap), where=np.abs(folding) > 1e-12)
    stiffness = np.clip(np.where(moved, np.gradient(traction, monotone), stiffness), -cap, cap)
    # A law starts upward: where the curve's first slope is noise, the first piece's own slope stands in.
    stiffness[0] = np.clip(stiffness[0], traction[1] / monotone[1], cap)
    stiffness[-1] = 0.0
    # Rounding apart, ψ is what it was wherever the curve was left alone; elsewhere it follows from the new one.
    width = np.diff(monotone)
    redone = 0.5 * (traction[1:] + traction[:-1]) * width + (stiffness[:-1] - stiffness[1:]) * width**2 / 12
    steps = np.where(moved[1:] | moved[:-1], redone, np.diff(potential))
    potential = np.concatenate([[0.0], np.cumsum(steps)])
    stretch = work / potential[-1]
    return CorrectedCurve(
        opening=monotone * stretch,
        potential=np.append(potential[:-1] * stretch, work),
        traction=traction,
        stiffness=stiffness / stretch,
        capped_to=capped_to,
        lowered=(float(gap[lowered].min()), float(gap[lowered].max())) if lowered.any() else None,
        envelope_defect=float(1 - potential[-1] / work),
        stretch=float(stretch),
    )


def _samples(fit: SeparationFit) -> Array:
    """Openings Δ (Å) at which the law is tabulated: every knot, and the same number of points in each piece between."""
    unit = np.arange(SAMPLES_PER_PIECE) / SAMPLES_PER_PIECE
    pieces = fit.knots[:-1, None] + np.diff(fit.knots)[:, None] * unit
    return np.append(pieces.ravel(), fit.end)


def monotone_envelope(opening: Array, traction: Array, cap: float) -> Array:
    """The smallest opening axis ≥ the given one on which no two neighbours differ by more than the capped stiffness.

    With z_k = Σ|ΔT|/cap the condition δ_k ≥ δ_{k−1} + |ΔT_k|/cap reads: δ − z never decreases.
    """
    minimum = np.concatenate([[0.0], np.cumsum(np.maximum(np.abs(np.diff(traction)) / cap, 1e-9))])
    return np.maximum.accumulate(opening - minimum) + minimum


def falling_secant(opening: Array, traction: Array) -> tuple[Array, NDArray[np.bool_]]:
    """The traction with a ratio to the opening that never rises, and where it differs from the given one.

    Up to the largest ratio the traction is proportional to the opening; from there on the ratio is the smallest so far.
    """
    secant = np.zeros_like(opening)
    secant[1:] = np.maximum(traction[1:], 0.0) / opening[1:]
    stiffest = int(np.argmax(secant))
    secant[:stiffest] = secant[stiffest]
    lowered = np.minimum.accumulate(secant) * opening
    changed = np.abs(lowered - traction) > 1e-9 * np.max(traction)
    return np.where(changed, lowered, traction), changed
