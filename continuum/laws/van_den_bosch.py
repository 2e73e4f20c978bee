"""The exponential law of van den Bosch, Schreurs and Geers: coupled, with independent energies in opening and sliding."""

import numpy as np
import ufl

from continuum.laws.base import positive
from continuum.laws.exponential import TAIL
from continuum.laws.secant import SymbolicSecantLaw
from continuum.laws.symbolic import Expression


class VanDenBoschLaw(SymbolicSecantLaw):
    """T_n = (φ_n/l_n) x e^{−x} e^{−y²}, T_t = 2(φ_t/l_t) y (1 + x) e^{−x} e^{−y²}, x = δ_n/l_n, y = |δ_t|/l_t.

    Van den Bosch, Schreurs and Geers (2006), Eng. Fract. Mech. 73, 1220. φ_n = e σ l_n, φ_t = √(e/2) τ l_t.
    Any separation leaves nothing behind. Where φ_n ≠ φ_t there is no potential, so unloading is always damaging.

    Args:
        fracture_energy: φ_n, eV/Å².
        shear_fracture_energy: φ_t, eV/Å².
        peak_traction: largest normal traction σ without sliding, eV/Å³.
        shear_peak: largest shear traction τ without opening, eV/Å³.
        penalty: stiffness against interpenetration, eV/Å⁴; the initial stiffness if None.

    Raises:
        LawError: where a parameter is not positive.
    """

    def __init__(
        self,
        *,
        fracture_energy: float,
        shear_fracture_energy: float,
        peak_traction: float,
        shear_peak: float,
        penalty: float | None = None,
    ) -> None:
        self.fracture_energy = positive(fracture_energy, "fracture_energy", "an energy per area in eV/Å²")
        self.shear_fracture_energy = positive(
            shear_fracture_energy, "shear_fracture_energy", "an energy per area in eV/Å²"
        )
        self.peak_traction = positive(peak_traction, "peak_traction", "a traction in eV/Å³")
        self.shear_peak = positive(shear_peak, "shear_peak", "a traction in eV/Å³")
        self.opening_at_peak = self.fracture_energy / (np.e * self.peak_traction)
        self.shear_length = self.shear_fracture_energy / (np.sqrt(0.5 * np.e) * self.shear_peak)
        self.initial_stiffness = self.fracture_energy / self.opening_at_peak**2
        self.final_opening = TAIL * self.opening_at_peak
        self._finish("damaging", penalty)

    def secants(self, opening: Expression) -> tuple[Expression, Expression]:
        """a_n and a_t of a first opening as UFL scalars (eV/Å⁴) of a UFL vector (Å), normal first."""
        x = opening[0] / self.opening_at_peak
        left = ufl.exp(-x - sum(opening[i] ** 2 for i in range(1, len(opening))) / self.shear_length**2)
        return self.initial_stiffness * left, 2.0 * self.shear_fracture_energy / self.shear_length**2 * (1.0 + x) * left
