"""The trapezoidal law: linear up to the peak, a plateau, linear softening: for ductile failure."""

import numpy as np

from continuum.errors import LawError
from continuum.laws.base import Array, EffectiveLaw, Unloading, positive


class TrapezoidalLaw(EffectiveLaw):
    """T = K₀δ up to σ_max, constant over `plateau`, then straight down to zero at δ_f (Tvergaard and Hutchinson 1992).

    G_c = ½ σ_max (δ_f + plateau), so δ_f = 2G_c/σ_max − plateau.

    Args:
        fracture_energy: G_c, eV/Å².
        peak_traction: σ_max, eV/Å³.
        initial_stiffness: K₀, eV/Å⁴.
        plateau: opening over which the traction stays at its peak, Å.
        unloading: ``damaging`` (default) or ``reversible``.
        penalty: stiffness against interpenetration, eV/Å⁴; the initial stiffness if None.

    Raises:
        LawError: where a parameter is not positive or rise and plateau leave nothing to soften.
    """

    def __init__(
        self,
        *,
        fracture_energy: float,
        peak_traction: float,
        initial_stiffness: float,
        plateau: float,
        unloading: Unloading = "damaging",
        penalty: float | None = None,
    ) -> None:
        self.fracture_energy = positive(fracture_energy, "fracture_energy", "an energy per area in eV/Å²")
        self.peak_traction = positive(peak_traction, "peak_traction", "a traction in eV/Å³")
        self.initial_stiffness = positive(initial_stiffness, "initial_stiffness", "a traction per length in eV/Å⁴")
        self.plateau = positive(plateau, "plateau", "an opening in Å")
        self.opening_at_peak = self.peak_traction / self.initial_stiffness
        self._end = self.opening_at_peak + self.plateau
        self.final_opening = 2.0 * self.fracture_energy / self.peak_traction - self.plateau
        if self.final_opening <= self._end:
            most = self.fracture_energy / self.peak_traction - 0.5 * self.opening_at_peak
            raise LawError(
                f"plateau = {plateau!r}: the softening would begin at {self._end:g} Å, beyond the final opening "
                f"{self.final_opening:g} Å; expected a plateau below {most:g} Å (or a stiffer start): shorten it"
            )
        self._softening = self.peak_traction / (self.final_opening - self._end)
        self._finish(unloading, penalty)

    def curve(self, opening: Array) -> tuple[Array, Array, Array]:
        """ψ, T and K at effective openings ≥ 0, each (n,)."""
        left = np.maximum(self.final_opening - opening, 0.0)
        rising, flat, broken = opening <= self.opening_at_peak, opening <= self._end, opening >= self.final_opening
        force = np.where(
            rising, self.initial_stiffness * opening, np.where(flat, self.peak_traction, self._softening * left)
        )
        level = self.peak_traction * (opening - 0.5 * self.opening_at_peak)
        psi = np.where(
            rising,
            0.5 * self.initial_stiffness * opening**2,
            np.where(flat, level, self.fracture_energy - 0.5 * force * left),
        )
        stiffness = np.where(rising, self.initial_stiffness, np.where(flat | broken, 0.0, -self._softening))
        return psi, force, stiffness
