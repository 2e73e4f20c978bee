"""Dugdale's constant traction, as Maugis takes it for adhesion: what the theory from JKR to DMT is written in."""

import ufl

from continuum.errors import LawError
from continuum.laws.base import positive
from continuum.laws.potential import PotentialLaw
from continuum.laws.symbolic import Expression


class DugdaleMaugisLaw(PotentialLaw):
    """T_n = σ₀ for 0 < δ_n < h₀ = w/σ₀, nothing beyond (Dugdale 1960; Maugis 1992, J. Colloid Interface Sci. 150, 243).

    So that Newton's method has a slope to go by, T_n rises in a straight line over the opening s h₀, s the smoothing, and
    falls along a cubic with flat ends over another s h₀ centred so that w stays what it is: the cut-off, halfway down, is
    at (1 + s/2) h₀. Reversible. Sliding meets no resistance.

    Args:
        work: work of adhesion w, eV/Å².
        peak_traction: σ₀, eV/Å³.
        smoothing: s, in (0, ½).
        penalty: stiffness against interpenetration, eV/Å⁴; that of the rise, σ₀/(s h₀), if None.

    Raises:
        LawError: where a parameter is not positive or the smoothing is out of range.
    """

    shear_fracture_energy = 0.0

    def __init__(
        self, *, work: float, peak_traction: float, smoothing: float = 0.05, penalty: float | None = None
    ) -> None:
        self.fracture_energy = positive(work, "work", "a work of adhesion in eV/Å²")
        self.peak_traction = positive(peak_traction, "peak_traction", "a traction in eV/Å³")
        self.smoothing = positive(smoothing, "smoothing", "a share of the cut-off opening")
        if self.smoothing >= 0.5:
            raise LawError(f"smoothing = {smoothing!r}: expected less than 0.5, or no plateau is left: lower it")
        self.cut_off = self.fracture_energy / self.peak_traction
        self.opening_at_peak = self._ramp = self.smoothing * self.cut_off
        self.final_opening = self.cut_off + self._ramp
        self.initial_stiffness = self.peak_traction / self._ramp
        self._finish("reversible", penalty)

    def density(self, opening: Expression) -> Expression:
        """ψ as a UFL scalar (eV/Å²) of a UFL vector (Å): normal first, then one tangent or two."""
        x, ramp, sigma = opening[0], self._ramp, self.peak_traction
        s = (x - self.cut_off) / ramp
        rising = 0.5 * self.initial_stiffness * x**2
        level = sigma * (x - 0.5 * ramp)
        falling = sigma * (self.cut_off - 0.5 * ramp) + sigma * ramp * (s - s**3 + 0.5 * s**4)
        beyond = ufl.conditional(ufl.lt(x, self.final_opening), falling, self.fracture_energy)
        return ufl.conditional(ufl.lt(x, ramp), rising, ufl.conditional(ufl.lt(x, self.cut_off), level, beyond))
