"""Xu and Needleman's law: opening and sliding coupled through one exponential potential."""

import numpy as np
import ufl

from continuum.errors import LawError
from continuum.laws.base import Unloading, positive
from continuum.laws.exponential import TAIL
from continuum.laws.potential import PotentialLaw
from continuum.laws.symbolic import Expression


class XuNeedlemanLaw(PotentialLaw):
    """ψ = φ_n + φ_n e^{−x} {(1 − r + x)(1 − q)/(r − 1) − [q + x(r − q)/(r − 1)] e^{−y²}}, x = δ_n/l_n, y = |δ_t|/l_t.

    Xu and Needleman (1993), Modelling Simul. Mater. Sci. Eng. 1, 111. φ_n = e σ l_n and φ_t = q φ_n = √(e/2) τ l_t.
    Opening alone spends φ_n and sliding alone φ_t; where q ≠ 1 what a path to complete separation spends depends on its
    order (van den Bosch et al. 2006), and sliding in complete separation is not free of traction.

    Args:
        fracture_energy: φ_n, eV/Å².
        peak_traction: largest normal traction σ without sliding, eV/Å³.
        shear_peak: largest shear traction τ without opening, eV/Å³; the normal one if None.
        q: φ_t/φ_n, above 0.
        r: the normal opening, in l_n, after complete sliding at zero normal traction; not 1. It acts where q ≠ 1.
        unloading: ``damaging`` (default; q ≤ 1, and r = 0 unless q = 1) or ``reversible``.
        penalty: stiffness against interpenetration, eV/Å⁴; the initial stiffness if None.

    Raises:
        LawError: where a parameter is not positive, r = 1, or damaging unloading is asked of a law without secants.
    """

    def __init__(
        self,
        *,
        fracture_energy: float,
        peak_traction: float,
        shear_peak: float | None = None,
        q: float = 1.0,
        r: float = 0.0,
        unloading: Unloading = "damaging",
        penalty: float | None = None,
    ) -> None:
        self.fracture_energy = positive(fracture_energy, "fracture_energy", "an energy per area in eV/Å²")
        self.peak_traction = positive(peak_traction, "peak_traction", "a traction in eV/Å³")
        self.shear_peak = positive(
            peak_traction if shear_peak is None else shear_peak, "shear_peak", "a traction in eV/Å³"
        )
        self.q, self.r = positive(q, "q", "the ratio φ_t/φ_n"), float(r)
        if not np.isfinite(self.r) or self.r == 1.0:
            raise LawError(f"r = {r!r}: expected a finite number other than 1, where the potential has a pole")
        if unloading == "damaging" and self.q != 1.0 and (self.r != 0.0 or self.q > 1.0):
            raise LawError(
                f"q = {q!r}, r = {r!r}, unloading = 'damaging': sliding alone would bring normal tractions, or secants "
                "that rise; expected q = 1, or q < 1 with r = 0: take those or unloading = 'reversible'"
            )
        self.shear_fracture_energy = self.q * self.fracture_energy
        self.opening_at_peak = self.fracture_energy / (np.e * self.peak_traction)
        self.shear_length = self.shear_fracture_energy / (np.sqrt(0.5 * np.e) * self.shear_peak)
        self.initial_stiffness = self.fracture_energy / self.opening_at_peak**2
        self.final_opening = TAIL * self.opening_at_peak
        self._finish(unloading, penalty)

    def density(self, opening: Expression) -> Expression:
        """ψ as a UFL scalar (eV/Å²) of a UFL vector (Å): normal first, then one tangent or two."""
        x = opening[0] / self.opening_at_peak
        slid = ufl.exp(-sum(opening[i] ** 2 for i in range(1, len(opening))) / self.shear_length**2)
        first, second = (1.0 - self.q) / (self.r - 1.0), (self.r - self.q) / (self.r - 1.0)
        inner = (1.0 - self.r + x) * first - (self.q + second * x) * slid
        return self.fracture_energy * (1.0 + ufl.exp(-x) * inner)
