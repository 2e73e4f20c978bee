"""Adhesion between bodies whose atoms attract by Lennard-Jones pairs."""

import numpy as np
import ufl

from continuum.errors import LawError
from continuum.laws.base import positive
from continuum.laws.potential import PotentialLaw
from continuum.laws.symbolic import Expression


class LennardJonesLaw(PotentialLaw):
    """T_n = C [(z₀/z)^m − (z₀/z)^n], z = z₀ + δ_n, C = (w/z₀)(m − 1)(n − 1)/(n − m): ∫T dδ = w from equilibrium on.

    The exponents (3, 9) of the traction are those of two half spaces, T = (8w/3z₀)[(z₀/z)³ − (z₀/z)⁹] (Greenwood 1997,
    Proc. R. Soc. A 453, 1277); (4, 10) those of one layer of atoms on a half space, whose energy has the exponents
    3 and 9 (the "9-3 wall" of molecular simulation). The law has its own repulsion and no penalty; closer than `closest`
    z₀ it goes on in a straight line, so that no iteration can fall into the pole. Reversible. Sliding meets no resistance.

    Args:
        work: work of adhesion w, eV/Å².
        distance: equilibrium distance z₀, Å; openings are measured from there.
        exponents: m and n of the traction, 1 < m < n.
        closest: z/z₀ below which the repulsion is linear, in (0, 1).

    Raises:
        LawError: where a parameter is out of its range.
    """

    own_repulsion = True
    shear_fracture_energy = 0.0

    def __init__(
        self,
        *,
        work: float,
        distance: float,
        exponents: tuple[float, float] = (3.0, 9.0),
        closest: float = 0.8,
    ) -> None:
        self.fracture_energy = positive(work, "work", "a work of adhesion in eV/Å²")
        self.distance = positive(distance, "distance", "an equilibrium distance in Å")
        self.closest = positive(closest, "closest", "a share of the equilibrium distance")
        if self.closest >= 1.0:
            raise LawError(f"closest = {closest!r}: expected less than 1: the law holds down to closest × distance")
        m, n = (float(e) for e in exponents)
        if not 1.0 < m < n < np.inf:
            raise LawError(f"exponents = {exponents!r}: expected 1 < m < n, as in (3, 9) or (4, 10)")
        self.exponents = m, n
        self._strength = self.fracture_energy / self.distance * (m - 1.0) * (n - 1.0) / (n - m)
        farther = (n / m) ** (1.0 / (n - m))
        self.opening_at_peak = self.distance * (farther - 1.0)
        self.peak_traction = self._strength * (farther**-m - farther**-n)
        self.initial_stiffness = self._strength * (n - m) / self.distance
        # What is left beyond z is about C z₀ (z₀/z)^(m−1)/(m−1) = w (n−1)/(n−m) (z₀/z)^(m−1): a thousandth there.
        self.final_opening = self.distance * ((1e3 * (n - 1.0) / (n - m)) ** (1.0 / (m - 1.0)) - 1.0)
        self._finish("reversible", None)

    def density(self, opening: Expression) -> Expression:
        """ψ as a UFL scalar (eV/Å²) of a UFL vector (Å): normal first, then one tangent or two."""
        (m, n), c, z0 = self.exponents, self._strength, self.distance
        nearest = z0 * (self.closest - 1.0)
        inverse = z0 / (z0 + ufl.max_value(opening[0], nearest))
        psi = self.fracture_energy - c * z0 * (inverse ** (m - 1.0) / (m - 1.0) - inverse ** (n - 1.0) / (n - 1.0))
        s = 1.0 / self.closest
        below = ufl.min_value(opening[0] - nearest, 0.0)
        force, stiffness = c * (s**m - s**n), c / z0 * (n * s ** (n + 1.0) - m * s ** (m + 1.0))
        return psi + force * below + 0.5 * stiffness * below**2
