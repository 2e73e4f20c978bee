"""The exponential law: Xu and Needleman's normal law, carried to mixed mode by the effective opening."""

import numpy as np

from continuum.laws.base import Array, EffectiveLaw, Unloading, positive

# (1 + x) e^{-x} = 1e-3: where the tail holds a thousandth of the fracture energy.
TAIL = 9.2334


class ExponentialLaw(EffectiveLaw):
    """ψ = G_c [1 − (1 + δ/δ₀) e^{−δ/δ₀}], T = (G_c/δ₀²) δ e^{−δ/δ₀}, with δ₀ = G_c/(e σ_max).

    Xu and Needleman (1994), pure normal separation; the same shape as the universal binding-energy relation.

    Args:
        fracture_energy: G_c, eV/Å².
        peak_traction: σ_max, eV/Å³, reached at δ₀.
        unloading: ``damaging`` (default) or ``reversible``.
        penalty: stiffness against interpenetration, eV/Å⁴; the initial stiffness if None.

    Raises:
        LawError: where a parameter is not positive.
    """

    def __init__(
        self,
        *,
        fracture_energy: float,
        peak_traction: float,
        unloading: Unloading = "damaging",
        penalty: float | None = None,
    ) -> None:
        self.fracture_energy = positive(fracture_energy, "fracture_energy", "an energy per area in eV/Å²")
        self.peak_traction = positive(peak_traction, "peak_traction", "a traction in eV/Å³")
        self.opening_at_peak = self.fracture_energy / (np.e * self.peak_traction)
        self.initial_stiffness = self.fracture_energy / self.opening_at_peak**2
        self.final_opening = TAIL * self.opening_at_peak
        self._finish(unloading, penalty)

    def curve(self, opening: Array) -> tuple[Array, Array, Array]:
        """ψ, T and K at effective openings ≥ 0, each (n,)."""
        x = opening / self.opening_at_peak
        decay = np.exp(-x)
        # expm1 keeps ψ accurate for openings far below δ₀.
        psi = self.fracture_energy * (-np.expm1(-x) - x * decay)
        return psi, self.initial_stiffness * opening * decay, self.initial_stiffness * (1.0 - x) * decay
