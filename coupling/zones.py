"""Shapes of an atomistic zone, each with the signed distance to its core: negative inside, zero on its edge, Å.

A zone says where β = 0; the blend, the pad and the grading of the mesh all follow from the distance outside it. The
distance is what a shape is made for: two zones with the same distance are the same zone.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import ConvexHull, QhullError

from coupling.errors import ZoneError

Array = NDArray[np.float64]
Point = tuple[float, ...]


class Zone(Protocol):
    """What the coupling needs of a shape."""

    @property
    def dimension(self) -> int:
        """2 or 3."""

    def distance(self, places: ArrayLike) -> Array:
        """Signed distance (n,) in Å of places (n, m) to the core: negative inside."""

    def bounds(self, growth: float = 0.0) -> tuple[Array, Array]:
        """Lower and upper corner (m,) of a box that holds every place within `growth` (Å) of the core."""

    def anchors(self) -> Array:
        """Places (k, m) in the core, at least one in each of its connected pieces."""


@dataclass(frozen=True, kw_only=True)
class Disc:
    """A disc, or with three coordinates a ball: |x − c| − r.

    Attributes:
        center: c, two or three coordinates (Å).
        radius: r (Å).
    """

    center: Point
    radius: float

    def __post_init__(self) -> None:
        _keep(self, "center", _point(self, "center", self.center))
        _keep(self, "radius", _length(self, "radius", self.radius))

    @property
    def dimension(self) -> int:
        """2 or 3."""
        return len(self.center)

    def distance(self, places: ArrayLike) -> Array:
        """|x − c| − r."""
        return np.linalg.norm(_places(self, places) - self.center, axis=1) - self.radius

    def bounds(self, growth: float = 0.0) -> tuple[Array, Array]:
        """The square about the grown disc."""
        return np.array(self.center) - self.radius - growth, np.array(self.center) + self.radius + growth

    def anchors(self) -> Array:
        """The center."""
        return np.array([self.center])


Ball = Disc


@dataclass(frozen=True, kw_only=True)
class Hexagon:
    """Hexagonal layers of the triangular lattice: spacing·(λ(x) − layers), λ = max(|i|, |j|, |i + j|).

    i, j are coordinates in the basis (1, 0), (1/2, √3/2)·spacing about the center: on lattice sites λ is the number of the
    site's hexagonal layer. Measured in layers the distance grows by one spacing from corner to corner, by √3/2 spacing of
    Euclidean length across a side.

    Attributes:
        layers: of the core, the center being layer 0.
        spacing: of the lattice (Å).
        center: a lattice site (Å).
    """

    layers: float
    spacing: float = 1.0
    center: Point = (0.0, 0.0)

    def __post_init__(self) -> None:
        _keep(self, "layers", _length(self, "layers", self.layers))
        _keep(self, "spacing", _length(self, "spacing", self.spacing))
        _keep(self, "center", _point(self, "center", self.center, dimensions=(2,)))
        if not self.spacing > 0:
            raise ZoneError(f"spacing of a Hexagon = {self.spacing}: expected the lattice's spacing, above zero (Å)")

    @property
    def dimension(self) -> int:
        """2."""
        return 2

    @property
    def steepness(self) -> float:
        """Largest growth of `distance` per length: 2/√3 across a side."""
        return 2.0 / np.sqrt(3.0)

    def distance(self, places: ArrayLike) -> Array:
        """spacing·(λ(x) − layers)."""
        x, y = (_places(self, places) - self.center).T
        # spacing·j and spacing·(i + j/2) of a place.
        j = 2 * y / np.sqrt(3.0)
        return np.max(np.abs([x - j / 2, j, x + j / 2]), axis=0) - self.layers * self.spacing

    def bounds(self, growth: float = 0.0) -> tuple[Array, Array]:
        """The rectangle about the grown hexagon."""
        reach = (self.layers * self.spacing + growth) * np.array([1.0, np.sqrt(0.75)])
        return np.array(self.center) - reach, np.array(self.center) + reach

    def anchors(self) -> Array:
        """The center."""
        return np.array([self.center])


@dataclass(frozen=True, kw_only=True)
class Box:
    """A rectangle or a cuboid along the axes; the zones about it have rounded corners.

    Attributes:
        lower: smallest coordinates, two or three (Å).
        upper: largest coordinates (Å).
    """

    lower: Point
    upper: Point

    def __post_init__(self) -> None:
        _keep(self, "lower", _point(self, "lower", self.lower))
        _keep(self, "upper", _point(self, "upper", self.upper, dimensions=(len(self.lower),)))
        if np.any(np.array(self.lower) > np.array(self.upper)):
            raise ZoneError(f"a Box from {self.lower} to {self.upper}: no coordinate of lower may exceed that of upper")

    @property
    def dimension(self) -> int:
        """2 or 3."""
        return len(self.lower)

    def distance(self, places: ArrayLike) -> Array:
        """Euclidean outside; inside the nearest side's."""
        lower, upper = np.array(self.lower), np.array(self.upper)
        beyond = np.abs(_places(self, places) - (lower + upper) / 2) - (upper - lower) / 2
        return np.linalg.norm(np.maximum(beyond, 0.0), axis=1) + np.minimum(beyond.max(axis=1), 0.0)

    def bounds(self, growth: float = 0.0) -> tuple[Array, Array]:
        """The box moved out by the growth."""
        return np.array(self.lower) - growth, np.array(self.upper) + growth

    def anchors(self) -> Array:
        """The middle."""
        return (np.array([self.lower]) + self.upper) / 2


@dataclass(frozen=True, kw_only=True)
class Band:
    """What lies within a distance of a polyline: along an interface, a crack, a slip plane (in 3D a tube about a line).

    Attributes:
        points: corners of the polyline, at least two, each of two or three coordinates (Å).
        half_width: (Å).
    """

    points: tuple[Point, ...]
    half_width: float

    def __post_init__(self) -> None:
        if len(self.points) < 2:
            raise ZoneError(f"a Band along {len(self.points)} point(s): expected the two or more corners of a polyline")
        first = _point(self, "points", self.points[0])
        corners = [_point(self, "points", p, dimensions=(len(first),)) for p in self.points]
        _keep(self, "points", tuple(corners))
        _keep(self, "half_width", _length(self, "half_width", self.half_width))

    @property
    def dimension(self) -> int:
        """2 or 3."""
        return len(self.points[0])

    def distance(self, places: ArrayLike) -> Array:
        """Distance to the nearest piece of the polyline, less the half width."""
        x, corners = _places(self, places), np.array(self.points)
        nearest = np.full(len(x), np.inf)
        for a, b in itertools.pairwise(corners):
            along = (x - a) @ (b - a) / max(float((b - a) @ (b - a)), np.finfo(float).tiny)
            foot = a + np.clip(along, 0.0, 1.0)[:, None] * (b - a)
            nearest = np.minimum(nearest, np.linalg.norm(x - foot, axis=1))
        return nearest - self.half_width

    def bounds(self, growth: float = 0.0) -> tuple[Array, Array]:
        """The box about the polyline, moved out."""
        corners, reach = np.array(self.points), self.half_width + growth
        return corners.min(axis=0) - reach, corners.max(axis=0) + reach

    def anchors(self) -> Array:
        """The polyline's corners."""
        return np.array(self.points)


@dataclass(frozen=True, kw_only=True)
class Union:
    """Several zones as one: the smallest of their distances.

    Outside this is the distance to the nearest of them; inside, where zones overlap, its size is a lower bound.

    Attributes:
        zones: one or more, all of one dimension.
    """

    zones: tuple[Zone, ...]

    def __post_init__(self) -> None:
        _keep(self, "zones", tuple(self.zones))
        dimensions = {zone.dimension for zone in self.zones}
        if len(dimensions) != 1:
            raise ZoneError(
                f"a Union of zones of dimensions {sorted(dimensions)}: expected one or more, all 2 or all 3"
            )

    @property
    def dimension(self) -> int:
        """2 or 3."""
        return self.zones[0].dimension

    def distance(self, places: ArrayLike) -> Array:
        """min over the zones."""
        return np.minimum.reduce([zone.distance(places) for zone in self.zones])

    def bounds(self, growth: float = 0.0) -> tuple[Array, Array]:
        """The box about all of them."""
        lower, upper = zip(*(zone.bounds(growth) for zone in self.zones), strict=True)
        return np.min(lower, axis=0), np.max(upper, axis=0)

    def anchors(self) -> Array:
        """Those of all of them."""
        return np.concatenate([zone.anchors() for zone in self.zones])


@dataclass(frozen=True, kw_only=True)
class Custom:
    """A user's own signed distance.

    Attributes:
        function: places (n, m) -> (n,), negative inside. Its slope should be about one: widths are measured with it.
        lower: corner of a box that holds the whole core (Å).
        upper: the opposite corner.
        samples: along each side of that box, to find the pieces of the core.
    """

    function: Callable[[Array], Array]
    lower: Point
    upper: Point
    samples: int = 33

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise ZoneError(f"function of a Custom zone is {self.function!r}: expected places (n, m) -> distance (n,)")
        box = Box(lower=self.lower, upper=self.upper)
        _keep(self, "lower", box.lower)
        _keep(self, "upper", box.upper)
        if not len(self.anchors()):
            raise ZoneError(
                f"the function of a Custom zone is positive at all {self.samples}^{self.dimension} samples of the box from "
                f"{self.lower} to {self.upper}: give the box of the core itself, or more samples; inside is negative"
            )

    @property
    def dimension(self) -> int:
        """2 or 3."""
        return len(self.lower)

    def distance(self, places: ArrayLike) -> Array:
        """What the function returns, checked."""
        x = _places(self, places)
        found = np.asarray(self.function(x), dtype=float)
        if found.shape != (len(x),) or np.isnan(found).any():
            raise ZoneError(
                f"the function of a Custom zone returned shape {found.shape} with {int(np.isnan(found).sum())} NaN for "
                f"{len(x)} places: expected one distance in Å for each"
            )
        return found

    def bounds(self, growth: float = 0.0) -> tuple[Array, Array]:
        """The given box, moved out."""
        return np.array(self.lower) - growth, np.array(self.upper) + growth

    def anchors(self) -> Array:
        """Samples of the box that lie in the core."""
        axes = [np.linspace(a, b, self.samples) for a, b in zip(self.lower, self.upper, strict=True)]
        grid: Array = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, self.dimension)
        return grid[self.distance(grid) <= 0.0]


def clearance(zone: Zone, corners: ArrayLike, *, growth: float = 0.0) -> float:
    """Smallest distance (Å) from the zone, grown by `growth`, to the boundary of a convex body.

    Measured with the zone's own distance on the body's facets: samples, then five times finer about the best until
    it is exact to some 1e-6 of a facet. Negative where the grown zone reaches through the boundary; minus
    infinity where part of the core lies outside the body altogether.

    Args:
        zone: the core.
        corners: (k, m) of the convex body, in any order.
        growth: width of blend and pad about the core (Å).

    Raises:
        ZoneError: corners that make no body of the zone's dimension.
    """
    points = np.asarray(corners, dtype=float)
    if points.ndim != 2 or points.shape[1] != zone.dimension or not np.isfinite(points).all():
        raise ZoneError(
            f"corners of the body have shape {points.shape}: expected (k, {zone.dimension}) finite numbers, as the zone has "
            f"{zone.dimension} coordinates"
        )
    try:
        hull = ConvexHull(points)
    except QhullError as error:
        raise ZoneError(f"{len(points)} corners that span no body of dimension {zone.dimension}") from error
    # Rows of equations: outward normal, offset; positive outside.
    if np.any(zone.anchors() @ hull.equations[:, :-1].T + hull.equations[:, -1] > 0.0):
        return -np.inf
    least = min(_least_on_facet(zone, points[facet]) for facet in hull.simplices)
    return least - growth


def _least_on_facet(zone: Zone, ends: Array) -> float:
    """Smallest distance on a segment (2, 2) or a triangle (3, 3)."""
    count = 401 if len(ends) == 2 else 61
    steps = np.linspace(0.0, 1.0, count)
    if len(ends) == 2:
        share = np.stack([1 - steps, steps], axis=1)
    else:
        a, b = (s.ravel() for s in np.meshgrid(steps, steps))
        share = np.stack([a, b, 1 - a - b], axis=1)
        share = share[share[:, 2] >= -1e-12]
    found = zone.distance(share @ ends)
    best, size = share[np.argmin(found)], 1.0 / (count - 1)
    unit = np.linspace(-1.0, 1.0, 21)
    offsets = np.stack([u.ravel() for u in np.meshgrid(*[unit] * (len(ends) - 1))], axis=1)
    least = float(found.min())
    for _ in range(8):
        near = np.maximum(best[:-1] + 1.5 * size * offsets, 0.0)
        near = np.column_stack([near, 1 - near.sum(axis=1)])
        near = near[near[:, -1] >= 0.0]
        if not len(near):
            break
        found = zone.distance(near @ ends)
        if found.min() < least:
            least, best = float(found.min()), near[np.argmin(found)]
        size /= 5
    return least


def _keep(zone: Any, name: str, value: object) -> None:
    """Set a field of a frozen dataclass to its checked value."""
    object.__setattr__(zone, name, value)


def _length(zone: object, name: str, value: float) -> float:
    if not (np.isscalar(value) and np.isfinite(value) and value >= 0):
        raise ZoneError(f"{name} of a {type(zone).__name__} = {value!r}: expected a finite number, zero or more")
    return float(value)


def _point(zone: object, name: str, value: Sequence[float], dimensions: tuple[int, ...] = (2, 3)) -> Point:
    point = np.asarray(value, dtype=float)
    if point.ndim != 1 or len(point) not in dimensions or not np.isfinite(point).all():
        wanted = " or ".join(str(n) for n in dimensions)
        raise ZoneError(f"{name} of a {type(zone).__name__} = {value!r}: expected {wanted} finite coordinates (Å)")
    return tuple(float(c) for c in point)


def _places(zone: Zone, places: ArrayLike) -> Array:
    found = np.asarray(places, dtype=float)
    if found.ndim != 2 or found.shape[1] != zone.dimension or not np.isfinite(found).all():
        raise ZoneError(
            f"places of shape {found.shape}, {int((~np.isfinite(found)).sum())} of their numbers not finite: expected "
            f"(n, {zone.dimension}), as the {type(zone).__name__} has {zone.dimension} coordinates (Å)"
        )
    return found
