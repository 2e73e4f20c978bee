"""The uniaxial elasticity that a finite-element body carries along the normal of an interface.

A separation curve computed with atoms contains the elasticity of the crystal that was pulled. What the finite elements
hold already must be taken out of it: exactly that, no more and no less. These classes say what a body holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicHermiteSpline

from atomistic.decohesion import UniaxialResponse
from coupling.errors import CouplingError


class UniaxialElasticity(Protocol):
    """Uniaxial strain along an interface's normal, under a traction T (eV/Å³)."""

    @property
    def modulus(self) -> float:
        """C' = dT/dε at zero strain (eV/Å³)."""

    def strain(self, traction: ArrayLike) -> NDArray[np.float64]:
        """ε(T), no unit."""

    def energy_density(self, traction: ArrayLike) -> NDArray[np.float64]:
        """w(ε(T)) in eV/Å³."""

    def compliance(self, traction: ArrayLike) -> NDArray[np.float64]:
        """dε/dT in Å³/eV."""


@dataclass(frozen=True)
class LinearUniaxial:
    """A linear elastic body: ε = T/C', w = T²/(2C').

    Attributes:
        modulus: C', the stiffness of uniaxial strain along the normal (eV/Å³), of the body itself.
    """

    modulus: float

    def __post_init__(self) -> None:
        if not (np.isfinite(self.modulus) and self.modulus > 0):
            raise CouplingError(f"the uniaxial modulus is {self.modulus} eV/Å³: it must be a positive, finite number")

    def strain(self, traction: ArrayLike) -> NDArray[np.float64]:
        """ε = T/C'."""
        return np.asarray(traction, dtype=float) / self.modulus

    def energy_density(self, traction: ArrayLike) -> NDArray[np.float64]:
        """w = T²/(2C')."""
        return np.asarray(traction, dtype=float) ** 2 / (2 * self.modulus)

    def compliance(self, traction: ArrayLike) -> NDArray[np.float64]:
        """dε/dT = 1/C'."""
        return np.full(np.shape(traction), 1 / self.modulus)


class CauchyBornUniaxial:
    """A hyperelastic body with the potential's own uniaxial curve, up to the crystal's strength.

    Between the computed strains the stress is a cubic Hermite spline. Beyond the largest stress of the monotone branch the
    crystal itself is unstable; the inverse is held there, and `strength` says where.

    Args:
        response: strains in ascending order from 0, their stresses (eV/Å³) and energy densities (eV/Å³).

    Raises:
        CouplingError: fewer than four points on the rising branch.
    """

    def __init__(self, response: UniaxialResponse) -> None:
        strain, stress = np.asarray(response.strain, float), np.asarray(response.stress, float)
        rising = np.flatnonzero(np.diff(stress) <= 0)
        last = int(rising[0]) + 1 if len(rising) else len(stress)
        if last < 4:
            raise CouplingError(
                f"the uniaxial response rises over {last} points only: give at least four strains below the crystal's strength"
            )
        stress = stress - stress[0]
        slope = np.gradient(stress, strain, edge_order=2)[:last]
        slope = np.maximum(slope, 1e-3 * slope[0])
        stress, strain = stress[:last], strain[:last]
        self.strength = float(stress[-1])
        self.modulus = float(slope[0])
        self._strain = CubicHermiteSpline(stress, strain, 1 / slope)
        # w(ε(T)) = ∫ T ε'(T) dT = T ε − ∫ ε dT: from the same spline, so that dw/dε = T holds exactly.
        self._complement = self._strain.antiderivative()

    def _clip(self, traction: ArrayLike) -> NDArray[np.float64]:
        return np.clip(np.asarray(traction, dtype=float), 0.0, self.strength)

    def strain(self, traction: ArrayLike) -> NDArray[np.float64]:
        """ε(T) on the rising branch."""
        return self._strain(self._clip(traction))

    def energy_density(self, traction: ArrayLike) -> NDArray[np.float64]:
        """w = Tε − ∫ε dT."""
        clipped = self._clip(traction)
        return clipped * self._strain(clipped) - self._complement(clipped)

    def compliance(self, traction: ArrayLike) -> NDArray[np.float64]:
        """dε/dT; zero beyond the strength, where the strain is held."""
        traction = np.asarray(traction, dtype=float)
        inside = (traction >= 0) & (traction <= self.strength)
        return np.where(inside, self._strain(self._clip(traction), 1), 0.0)


class SeriesUniaxial:
    """Two materials in series: the elasticity on both sides of an interface between different crystals.

    Under one traction their strains add by their shares of the length, f₁ + f₂ = 1:

        ε(T) = f₁ ε₁(T) + f₂ ε₂(T),    w = f₁ w₁ + f₂ w₂,    1/C' = f₁/C'₁ + f₂/C'₂.

    Args:
        parts: length of each material (Å) and its elasticity.

    Raises:
        CouplingError: no part, or a length that is not positive.
    """

    def __init__(self, *parts: tuple[float, UniaxialElasticity]) -> None:
        lengths = [length for length, _ in parts]
        if not parts or not all(np.isfinite(length) and length > 0 for length in lengths):
            raise CouplingError(
                f"materials in series of lengths {lengths} Å: give at least one, all positive and finite"
            )
        self.length = float(sum(lengths))
        self._parts = [(length / self.length, elasticity) for length, elasticity in parts]

    @property
    def modulus(self) -> float:
        """C' of the series at zero strain (eV/Å³)."""
        return 1 / sum(share / elasticity.modulus for share, elasticity in self._parts)

    def strain(self, traction: ArrayLike) -> NDArray[np.float64]:
        """ε(T), the elongation over the whole length."""
        return np.sum([share * elasticity.strain(traction) for share, elasticity in self._parts], axis=0)

    def energy_density(self, traction: ArrayLike) -> NDArray[np.float64]:
        """w(T) per volume of both."""
        return np.sum([share * elasticity.energy_density(traction) for share, elasticity in self._parts], axis=0)

    def compliance(self, traction: ArrayLike) -> NDArray[np.float64]:
        """dε/dT."""
        return np.sum([share * elasticity.compliance(traction) for share, elasticity in self._parts], axis=0)
