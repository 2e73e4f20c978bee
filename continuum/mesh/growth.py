"""How the size of elements grows with the distance from a zone that is meshed as finely as the lattice."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from continuum.errors import MeshError

Array = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Growth:
    """Element size h(d) = h₀((d + R₀)/R₀)^p beyond a zone, continued linearly once its slope reaches a bound.

    p = 3/2 equidistributes the error of linear elements about a point defect in the plane (Luskin, Ortner and Van Koten,
    Comput. Methods Appl. Mech. Eng. 253, 2013).

    Attributes:
        radius: R₀ > 0, Å; None: the radius of a disc (ball) as large as the lattice-fine zone.
        exponent: p ≥ 1.
        slope: bound of dh/dd, in (0, 1]; about twice as many nodes for each e-fold of distance at 0.35 as at 0.5.
        largest: bound of h, Å; None: none.
    """

    radius: float | None = None
    exponent: float = 1.5
    slope: float = 0.5
    largest: float | None = None

    def __post_init__(self) -> None:
        if self.radius is not None and not (np.isfinite(self.radius) and self.radius > 0.0):
            raise MeshError(f"radius = {self.radius!r}: expected the fine zone's radius in Å, above zero, or None")
        if not (np.isfinite(self.exponent) and self.exponent >= 1.0):
            raise MeshError(f"exponent = {self.exponent!r}: expected a power of at least 1 for the growth of elements")
        if not 0.0 < self.slope <= 1.0:
            raise MeshError(f"slope = {self.slope!r}: expected growth of the size with distance in (0, 1]")
        if self.largest is not None and not self.largest > 0.0:
            raise MeshError(
                f"largest = {self.largest!r}: expected the largest element's size in Å, above zero, or None"
            )

    def size(self, distance: Array, *, spacing: float, radius: float) -> Array:
        """Wanted element size, (n,) Å, at distances (n,) Å from the zone; never below the lattice's `spacing`."""
        p, x = self.exponent, 1.0 + np.maximum(distance, 0.0) / radius
        start = spacing * p / radius  # slope at the zone's border
        if start >= self.slope:
            bend = 1.0
        elif p == 1.0:
            bend = np.inf
        else:
            bend = (self.slope / start) ** (1.0 / (p - 1.0))
        size = spacing * np.minimum(x, bend) ** p + self.slope * radius * np.maximum(x - bend, 0.0)
        return size if self.largest is None else np.minimum(size, max(self.largest, spacing))


@dataclass(frozen=True, kw_only=True, eq=False)
class SizeField:
    """Element sizes over space, and the power-of-two level 2^ℓ of the lattice that stands for them.

    Attributes:
        distance: (n, m) Å -> (n,) Å, at most 0 in the lattice-fine zone; no steeper than the true distance.
        spacing: shortest lattice vector, Å.
        reach: distance up to which the lattice is kept whole, Å: the neighbours of the zone's own sites.
        radius: R₀ of the growth, Å.
        growth: law of the growth.
        top: coarsest level.
    """

    distance: Callable[[Array], Array]
    spacing: float
    reach: float
    radius: float
    growth: Growth
    top: int

    def size(self, places: Array) -> Array:
        """Wanted size (n,) Å at places (n, m)."""
        return self.growth.size(self.distance(places), spacing=self.spacing, radius=self.radius)

    def levels_at(self, distance: Array) -> Integers:
        """Level ℓ (n,) at distances (n,): the nearest power of two, in the mean of logarithms, to the wanted size."""
        size = self.growth.size(distance, spacing=self.spacing, radius=self.radius)
        levels = np.floor(np.log2(size / self.spacing) + 0.5).astype(np.int64)
        return np.where(distance <= self.reach, 0, np.clip(levels, 0, self.top))

    def levels(self, places: Array) -> Integers:
        """Level ℓ (n,) at places (n, m)."""
        return self.levels_at(self.distance(places))
