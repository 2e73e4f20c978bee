"""The bilinear law: linear up to the peak, linear softening after it."""

import numpy as np

from continuum.errors import LawError
from continuum.laws.base import Array, EffectiveLaw, Unloading, positive


class BilinearLaw(EffectiveLaw):
    """T = K₀δ up to σ_max, then straight down to zero at δ_f = 2G_c/σ_max (Geubelle and Baylor 1998; Alfano 2006).

    Args:
        fracture_energy: G_c, eV/Å².
        peak_traction: σ_max, eV/Å³.
        initial_stiffness: K₀, eV/Å⁴; at least σ_max²/(2G_c), or the triangle would not close.
        unloading: ``damaging`` (default) or ``reversible``.
        penalty: stiffness against interpenetration, eV/Å⁴; the initial stiffness if None.

    Raises:
        LawError: where a parameter is not positive or K₀ is too small.
    """

    def __init__(
        self,
        *,
        fracture_energy: float,
        peak_traction: float,
        initial_stiffness: float,
        unloading: Unloading = "damaging",
        penalty: float | None = None,
    ) -> None:
        self.fracture_energy = positive(fracture_energy, "fracture_energy", "an energy per area in eV/Å²")
        self.peak_traction = positive(peak_traction, "peak_traction", "a traction in eV/Å³")
        self.initial_stiffness = positive(initial_stiffness, "initial_stiffness", "a traction per length in eV/Å⁴")
        self.opening_at_peak = self.peak_traction / self.initial_stiffness
        self.final_opening = 2.0 * self.fracture_energy / self.peak_traction
        if self.final_opening <= self.opening_at_peak:
            least = self.peak_traction**2 / (2.0 * self.fracture_energy)
            raise LawError(
                f"initial_stiffness = {initial_stiffness!r}: the peak would lie beyond the final opening "
                f"{self.final_opening:g}; expected more than peak_traction²/(2 fracture_energy) = {least:g}: raise it"
            )
        self._softening = self.peak_traction / (self.final_opening - self.opening_at_peak)
        self._finish(unloading, penalty)

    def curve(self, opening: Array) -> tuple[Array, Array, Array]:
        """ψ, T and K at effective openings ≥ 0, each (n,)."""
        left = np.maximum(self.final_opening - opening, 0.0)
        rising, broken = opening <= self.opening_at_peak, opening >= self.final_opening
        force = np.where(rising, self.initial_stiffness * opening, self._softening * left)
        psi = np.where(rising, 0.5 * self.initial_stiffness * opening**2, self.fracture_energy - 0.5 * force * left)
        stiffness = np.where(rising, self.initial_stiffness, np.where(broken, 0.0, -self._softening))
        return psi, force, stiffness
