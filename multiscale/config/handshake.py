"""Zones of atoms in a body, how they are joined to it and how the two are solved together, as a person asks for them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from multiscale.config.base import CaseModel, KeyedError
from multiscale.config.crystal import check_indices
from multiscale.units import Coordinate, Force, Length, NonNegativeLength, format_length

SHARP = ("qce", "clamped")
"""Methods without a blend."""
LARGEST_STRAIN = 0.2
"""Of the far field: beyond it no crystal's strain energy means anything."""


LARGEST_SIZE = 1e6
"""Of a body, Å: a hundred micrometres, beyond which places of atoms in it lose digits."""
LEAST_TOLERANCE = 1e-9
"""Of forces, eV/Å: what rounding leaves of them."""


class ZoneModel(CaseModel):
    """What all zones share: how the core goes over into the finite elements."""

    blend: NonNegativeLength | None = Field(default=None, examples=["1 nm"])
    """width of the blend around the core; by default as wide as the core, and at least the potential's range"""
    pad: Length | None = Field(default=None, examples=["0.8 nm"])
    """width of the pad beyond the blend; by default from the potential's measured range"""
    blending: Literal["quintic", "cubic", "linear", "minimal-curvature"] = "quintic"
    """blending function"""


class AroundModel(ZoneModel):
    """Everything within a distance of the defect, whatever its shape."""

    shape: Literal["around"]
    margin: Length = Field(examples=["1.2 nm"])
    """distance from the defect to the edge of the core"""


class DiscModel(ZoneModel):
    """A disc, or a ball in a solid body."""

    shape: Literal["disc"]
    radius: Length = Field(examples=["2 nm"])
    """radius of the core"""
    center: tuple[Coordinate, ...] | None = None
    """center of the core; by default that of the defect"""


class BoxModel(ZoneModel):
    """A rectangle, or a cuboid in a solid body, along the axes of the laboratory."""

    shape: Literal["box"]
    size: tuple[Length, ...] = Field(min_length=2, max_length=3, examples=[["4 nm", "6 nm"]])
    """sides of the core"""
    center: tuple[Coordinate, ...] | None = None
    """center of the core; by default that of the defect"""


class BandModel(ZoneModel):
    """What lies within a distance of a polyline."""

    shape: Literal["band"]
    points: tuple[tuple[Coordinate, ...], ...] = Field(min_length=2, examples=[[["-2 nm", "0 nm"], ["2 nm", "0 nm"]]])
    """corners of the polyline"""
    half_width: Length = Field(examples=["1.5 nm"])
    """distance from the polyline to the edge of the core"""


Zone = Annotated[AroundModel | DiscModel | BoxModel | BandModel, Field(discriminator="shape")]


class StrainModel(CaseModel):
    """A homogeneous strain applied far away, in the axes of the laboratory: F₀ = I + ε."""

    xx: float = Field(default=0.0, ge=-LARGEST_STRAIN, le=LARGEST_STRAIN, allow_inf_nan=False)
    """along x, the growth direction"""
    yy: float = Field(default=0.0, ge=-LARGEST_STRAIN, le=LARGEST_STRAIN, allow_inf_nan=False)
    """along y, the plane's normal"""
    zz: float = Field(default=0.0, ge=-LARGEST_STRAIN, le=LARGEST_STRAIN, allow_inf_nan=False)
    """along z"""
    yz: float = Field(default=0.0, ge=-LARGEST_STRAIN, le=LARGEST_STRAIN, allow_inf_nan=False)
    """tensor component: half the engineering shear"""
    xz: float = Field(default=0.0, ge=-LARGEST_STRAIN, le=LARGEST_STRAIN, allow_inf_nan=False)
    """tensor component"""
    xy: float = Field(default=0.0, ge=-LARGEST_STRAIN, le=LARGEST_STRAIN, allow_inf_nan=False)
    """tensor component"""


class MaterialModel(CaseModel):
    """The continuum made from the potential."""

    type: Literal["auto", "exact", "expanded", "linear"] = "auto"
    """strain energy: exact from analytic potentials, expanded in the strain, or linear; auto: exact where there is one"""
    largest_strain: float = Field(default=0.04, gt=0.0, le=LARGEST_STRAIN)
    """strain up to which the expansion is fitted"""
    order: int = Field(default=4, ge=2, le=6)
    """order of the expansion"""
    largest_mismatch: float = Field(default=0.02, gt=0.0, le=0.5)
    """largest difference of elastic constants between atoms and continuum, as a share of the largest one"""


class GradingModel(CaseModel):
    """How elements grow with the distance from the zone."""

    exponent: float = Field(default=1.5, ge=1.0, le=4.0)
    """power of the distance with which the size grows"""
    slope: float = Field(default=0.5, gt=0.0, le=1.0)
    """largest growth of the size with distance"""
    largest: Length | None = None
    """largest element; by default only the body bounds it"""


class HandshakeSolverModel(CaseModel):
    """How the coupled equilibrium is sought."""

    tolerance: Force = Field(default="1e-4 eV/angstrom", validate_default=True, examples=["1e-4 eV/angstrom"])
    """largest force left on an unknown"""
    type: Literal["auto", "newton", "newton-krylov", "lbfgs", "anderson"] = "auto"
    """solver"""
    turns: Literal["monolithic", "plain", "aitken", "anderson"] = "monolithic"
    """method schwarz: both sides at once, or by turns with this acceleration"""
    max_iterations: int = Field(default=200, ge=1)
    """of the outer loop"""
    max_calls: int = Field(default=1000, ge=1)
    """of the potential"""
    depth: int = Field(default=10, ge=1, le=100)
    """vectors that the acceleration keeps"""
    largest_step: Length = Field(default="0.3 angstrom", validate_default=True)
    """a displacement beyond this shortens the step"""

    @model_validator(mode="after")
    def _attainable(self) -> HandshakeSolverModel:
        if self.tolerance < LEAST_TOLERANCE:
            raise KeyedError(
                f"a force of {self.tolerance:.1e} eV/Å is lost in rounding. Write at least {LEAST_TOLERANCE:g} eV/angstrom",
                "tolerance",
            )
        return self


class BodyModel(CaseModel):
    """The body: a plane one that repeats along the front, or a solid one in the crystal's cubic axes."""

    dimension: Literal[2, 3] = 2
    """2: periodic along z with the crystal's own period; 3: a parallelepiped of the crystal's primitive cells"""
    plane: tuple[int, ...] | None = Field(default=None, examples=[[1, 1, 1]])
    """dimension 2: Miller indices of the plane whose normal is y; by default (111) for fcc, (110) for bcc"""
    growth: tuple[int, ...] | None = Field(default=None, examples=[[1, 1, -2]])
    """dimension 2: direction of x in the plane; by default one whose front is the shortest by symmetry"""
    size: tuple[Length, ...] = Field(examples=[["30 nm", "30 nm"]])
    """dimension 2: width and height; dimension 3: distances of opposite faces"""
    elements: Literal["linear", "quadratic"] = "quadratic"
    """elements beyond the blend"""
    grading: GradingModel = GradingModel()
    """how elements grow with the distance from the zone"""

    @model_validator(mode="after")
    def _consistent(self) -> BodyModel:
        if max(self.size) > LARGEST_SIZE:
            raise KeyedError(
                f"a body of {format_length(max(self.size))} is too large to be meshed down to single atoms. Write at most "
                f"{format_length(LARGEST_SIZE)}",
                "size",
            )
        if len(self.size) != self.dimension:
            example = '["30 nm", "30 nm"]' if self.dimension == 2 else '["10 nm", "10 nm", "10 nm"]'
            raise KeyedError(
                f"size has {len(self.size)} lengths for a body of dimension {self.dimension}. Write {example}", "size"
            )
        for name in ("plane", "growth"):
            indices = getattr(self, name)
            if indices is None:
                continue
            if self.dimension == 3:
                raise KeyedError(
                    f"a body of dimension 3 lies in the crystal's cubic axes, so {name} means nothing. Leave it out",
                    name,
                )
            check_indices(indices, name)
            if len(indices) != 3:
                raise KeyedError(f"{name} {list(indices)} has four indices. Write three for fcc and bcc", name)
        if self.growth is None:
            return self
        if self.plane is None:
            raise KeyedError("a growth direction needs its plane. Give plane too, or leave growth out", "growth")
        if sum(h * u for h, u in zip(self.plane, self.growth, strict=True)) != 0:
            raise KeyedError(
                f"growth {list(self.growth)} does not lie in the plane {list(self.plane)}: hu + kv + lw must be 0. "
                "Choose a direction in the plane, or leave growth out",
                "growth",
            )
        return self


def check_zone(zone: ZoneModel, *, method: str, dimension: int) -> None:
    """Refuse zones that don't fit the method or the body's dimension.

    Raises:
        KeyedError: pointing at the key below ``zone``.
    """
    if method in SHARP and zone.blend:
        raise KeyedError(
            f"the method {method} has no blend, and the zone asks for one of {format_length(zone.blend)}. "
            "Leave blend out, or choose bgfc or bqcf",
            "zone",
            "blend",
        )
    if method not in SHARP and zone.blend == 0.0:
        raise KeyedError(
            f"the method {method} needs a blend wider than nothing. Leave blend out, or give a width", "zone", "blend"
        )
    for name in ("center", "size"):
        given = getattr(zone, name, None)
        if given is not None and len(given) != dimension:
            raise KeyedError(
                f"{name} has {len(given)} entries for a body of dimension {dimension}. Write {dimension}", "zone", name
            )
    if isinstance(zone, BandModel):
        if len(set(zone.points)) < 2:
            raise KeyedError(
                "all points of the band are the same. Give two points apart, or write shape: disc", "zone", "points"
            )
        for index, point in enumerate(zone.points):
            if len(point) != dimension:
                raise KeyedError(
                    f"a point with {len(point)} coordinates for a body of dimension {dimension}. Write {dimension}",
                    "zone",
                    "points",
                    index,
                )
