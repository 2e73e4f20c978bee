"""Beam estimates of a double cantilever beam, for planning a run and for holding its result against.

Per unit width of the specimen. Two arms of height h and effective length a, opened by Δ at their ends:

    Δ = 2Pa³/(3E'I),    G = P²a²/(E'I),    I = h³/12,

hence at G = G_c an onset at Δ_0 = (2a²/3)√(G_c/E'I) and, with a eliminated, the envelope P = √(2/3Δ)(E'I)^{1/4}G_c^{3/4}
(Alfano 2006, Compos. Sci. Technol. 66, 723). The arms of a short specimen also shear and rotate at their roots: a is then
the crack's length plus χh, χ from Williams (1989), J. Strain Anal. 24, 207.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, kw_only=True)
class DoubleCantileverEstimate:
    """What beam theory expects of a double cantilever beam. Any consistent units; those of this project below.

    Attributes:
        modulus: E' along the arms in plane strain (eV/Å³).
        transverse_modulus: E' across the arms in plane strain (eV/Å³).
        shear_modulus: in the plane (eV/Å³).
        fracture_energy: G_c (eV/Å²).
        arm_height: h (Å).
        initial_crack: a0 (Å).
    """

    modulus: float
    transverse_modulus: float
    shear_modulus: float
    fracture_energy: float
    arm_height: float
    initial_crack: float

    @property
    def bending_stiffness(self) -> float:
        """E'I per unit width (eV)."""
        return self.modulus * self.arm_height**3 / 12

    @property
    def root_correction(self) -> float:
        """χ of Williams (1989): √{E1/(11 G) [3 − 2(Γ/(1+Γ))²]}, Γ = 1.18 √(E1 E2)/G."""
        ratio = 1.18 * np.sqrt(self.modulus * self.transverse_modulus) / self.shear_modulus
        return float(np.sqrt(self.modulus / (11 * self.shear_modulus) * (3 - 2 * (ratio / (1 + ratio)) ** 2)))

    def onset(self, *, corrected: bool = True) -> tuple[float, float]:
        """Opening Δ_0 (Å) and load per width (eV/Å²) at which the initial crack advances."""
        length = self.initial_crack + (self.root_correction * self.arm_height if corrected else 0.0)
        root = np.sqrt(self.fracture_energy / self.bending_stiffness)
        return float(2 * length**2 / 3 * root), float(np.sqrt(self.fracture_energy * self.bending_stiffness) / length)

    def envelope(self, opening: ArrayLike) -> NDArray[np.float64]:
        """Load per width (eV/Å²) of an advancing crack at openings Δ (Å): the same with and without χ."""
        return (
            np.sqrt(2 / (3 * np.asarray(opening, dtype=float)))
            * self.bending_stiffness**0.25
            * self.fracture_energy**0.75
        )

    def crack_length(self, opening: float, *, corrected: bool = True) -> float:
        """Length a (Å) of the crack at an opening Δ (Å), not less than the initial one."""
        length = np.sqrt(1.5 * opening / np.sqrt(self.fracture_energy / self.bending_stiffness))
        shift = self.root_correction * self.arm_height if corrected else 0.0
        return float(max(length - shift, self.initial_crack))


def cohesive_zone_length(*, modulus: float, fracture_energy: float, peak_traction: float) -> float:
    """l_cz = E'G_c/σ² (Å), the scale that the mesh must resolve (Hillerborg 1976; prefactors 0.2 to 1 in the literature)."""
    return modulus * fracture_energy / peak_traction**2
