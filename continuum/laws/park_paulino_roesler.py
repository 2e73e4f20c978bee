"""The law of Park, Paulino and Roesler (PPR): a polynomial potential with its own energy, strength and shape in each mode."""

import numpy as np
import ufl

from continuum.errors import LawError
from continuum.laws.base import Unloading, positive
from continuum.laws.potential import PotentialLaw
from continuum.laws.symbolic import Expression, length


class ParkPaulinoRoeslerLaw(PotentialLaw):
    """ψ = min(φ_n, φ_t) + [Γ_n g_n(δ_n) + ⟨φ_n − φ_t⟩] [Γ_t g_t(|δ_t|) + ⟨φ_t − φ_n⟩].

    g_n = (1 − δ_n/l_n)^α (m/α + δ_n/l_n)^m and g_t alike with β, n and l_t (Park, Paulino and Roesler 2009, J. Mech. Phys.
    Solids 57, 891). Tractions are zero from l_n or l_t on, and where the
    potential would have them change sign. That cut leaves no potential there unless φ_n = φ_t: reversible unloading needs that.

    Args:
        fracture_energy: φ_n, eV/Å².
        shear_fracture_energy: φ_t, eV/Å².
        peak_traction: normal strength, eV/Å³.
        shear_peak: shear strength, eV/Å³.
        shape: α > 1; softening is convex above 2 (quasi-brittle), concave below.
        shear_shape: β > 1.
        slope: λ_n, opening at the peak over final opening, in (0, 1/√α).
        shear_slope: λ_t, in (0, 1/√β).
        unloading: ``damaging`` (default) or ``reversible``.
        penalty: stiffness against interpenetration, eV/Å⁴; the initial stiffness if None.

    Raises:
        LawError: where a parameter is out of its range.
    """

    def __init__(
        self,
        *,
        fracture_energy: float,
        shear_fracture_energy: float,
        peak_traction: float,
        shear_peak: float,
        shape: float = 3.0,
        shear_shape: float = 3.0,
        slope: float = 0.1,
        shear_slope: float = 0.1,
        unloading: Unloading = "damaging",
        penalty: float | None = None,
    ) -> None:
        self.fracture_energy = positive(fracture_energy, "fracture_energy", "an energy per area in eV/Å²")
        self.shear_fracture_energy = positive(
            shear_fracture_energy, "shear_fracture_energy", "an energy per area in eV/Å²"
        )
        self.peak_traction = positive(peak_traction, "peak_traction", "a traction in eV/Å³")
        self.shear_peak = positive(shear_peak, "shear_peak", "a traction in eV/Å³")
        damaging = unloading == "damaging"
        self.normal_exponents = _exponents("shape", shape, "slope", slope, damaging)
        self.shear_exponents = _exponents("shear_shape", shear_shape, "shear_slope", shear_slope, damaging)
        self.final_opening = _final(self.fracture_energy, self.peak_traction, slope, *self.normal_exponents)
        self.final_sliding = _final(self.shear_fracture_energy, self.shear_peak, shear_slope, *self.shear_exponents)
        self.opening_at_peak, self.sliding_at_peak = slope * self.final_opening, shear_slope * self.final_sliding
        difference = self.fracture_energy - self.shear_fracture_energy
        if abs(difference) <= 1e-12 * self.fracture_energy:
            difference = 0.0
        if difference and not damaging:
            raise LawError(
                f"fracture_energy = {fracture_energy!r}, shear_fracture_energy = {shear_fracture_energy!r}, "
                f"unloading = {unloading!r}: expected equal energies, or 'damaging': without them there is no potential"
            )
        self._more = max(difference, 0.0), max(-difference, 0.0)
        # One of Γ_n, Γ_t carries the smaller-index energy and the sign.
        self._factors = (-self.fracture_energy, 1.0) if difference >= 0.0 else (1.0, -self.shear_fracture_energy)
        self.initial_stiffness = float(self.derivatives(np.zeros((1, 2)))[2][0, 0, 0])
        self._finish(unloading, penalty)

    def density(self, opening: Expression) -> Expression:
        """ψ as a UFL scalar (eV/Å²) of a UFL vector (Å): normal first, then one tangent or two."""
        slid = length([opening[i] for i in range(1, len(opening))], 1e-9 * self.sliding_at_peak)
        normal = _shape_function(opening[0] / self.final_opening, *self.normal_exponents)
        shear = _shape_function(slid / self.final_sliding, *self.shear_exponents)
        return min(self.fracture_energy, self.shear_fracture_energy) + (self._factors[0] * normal + self._more[0]) * (
            self._factors[1] * shear + self._more[1]
        )


def _shape_function(x: Expression, alpha: float, m: float) -> Expression:
    """(1 − x)^α (1 + αx/m)^m: one at x = 0, zero from x = 1 on."""
    # The floor keeps derivatives with powers below zero finite at x = 1, where they are multiplied by zero.
    left = ufl.max_value(1.0 - x, 1e-12)
    return left**alpha * (1.0 + alpha * x / m) ** m


def _exponents(name: str, alpha: float, slope_name: str, slope: float, damaging: bool) -> tuple[float, float]:
    """α and m = α(α − 1)λ²/(1 − αλ²), checked."""
    alpha = positive(alpha, name, "a shape above 1")
    slope = positive(slope, slope_name, "opening at the peak over final opening")
    if alpha <= 1.0:
        raise LawError(f"{name} = {alpha!r}: expected more than 1 (2 softens in a straight line)")
    if alpha * slope**2 >= 1.0:
        raise LawError(f"{slope_name} = {slope!r}: expected less than 1/√{name} = {alpha**-0.5:g}: lower it")
    if damaging and slope**2 * (2.0 * alpha - 1.0) > 1.0:
        raise LawError(
            f"{slope_name} = {slope!r}, unloading = 'damaging': traction/opening would rise before it falls; expected at "
            f"most 1/√(2 {name} − 1) = {(2.0 * alpha - 1.0) ** -0.5:g}: lower it or take unloading = 'reversible'"
        )
    return alpha, alpha * (alpha - 1.0) * slope**2 / (1.0 - alpha * slope**2)


def _final(energy: float, strength: float, slope: float, alpha: float, m: float) -> float:
    """Opening (Å) at which the traction ends."""
    rise = (alpha / m + 1.0) * (alpha / m * slope + 1.0) ** (m - 1.0)
    return energy / strength * alpha * slope * (1.0 - slope) ** (alpha - 1.0) * rise
