"""A crack as a person asks for it: its plane, front and cut, and the body that holds it."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from multiscale.config.base import CaseModel, KeyedError
from multiscale.config.crystal import check_indices
from multiscale.config.handshake import LARGEST_SIZE, GradingModel
from multiscale.units import Length, format_length

LARGEST_INDEX = 12
"""Of a plane that is given by broken numbers and may yet be a lattice plane."""
MODES = ("I", "II", "III")
"""Modes of a crack, as people count them."""


def check_plane(value: Any) -> Any:
    """Refuse a plane that no three sites of a lattice share, and say which one was meant where that can be told.

    Raises:
        ValueError: for indices that are not whole.
    """
    if not isinstance(value, list | tuple) or not all(isinstance(v, int | float) for v in value):
        return value
    if all(float(v).is_integer() for v in value):
        return value
    fix = "Write whole numbers of low index, for example [1, 1, 1]"
    if all(abs(v) < LARGEST_INDEX for v in value):  # neither huge nor NaN
        parts = [Fraction(v).limit_denominator(LARGEST_INDEX) for v in value]
        if all(abs(part - v) < 1e-6 for part, v in zip(parts, value, strict=True)):
            common = math.lcm(*(part.denominator for part in parts))
            fix = f"Write {[int(part * common) for part in parts]}"
    raise ValueError(f"{list(value)} is not a lattice plane: Miller indices are whole numbers. {fix}")


def check_mode(value: Any) -> Any:
    """Read "I" as {I: 1}.

    Raises:
        ValueError: for anything that names no mode.
    """
    if isinstance(value, str):
        if value not in MODES:
            raise ValueError(
                f"{value!r} is no mode of a crack. Write I, II or III, or a mixture such as {{I: 1, II: 0.1}}"
            )
        return {value: 1.0}
    return value


class MixtureModel(CaseModel):
    """Stress intensities per unit of load: K of the load times these."""

    I: float = Field(default=0.0, ge=0.0, allow_inf_nan=False)  # noqa: E741 - the mode's own name
    """opening"""
    II: float = Field(default=0.0, allow_inf_nan=False)
    """sliding along the growth direction"""
    III: float = Field(default=0.0, allow_inf_nan=False)
    """sliding along the front"""

    @model_validator(mode="after")
    def _some(self) -> MixtureModel:
        if not (self.I or self.II or self.III):
            raise ValueError("a mixture of no mode loads nothing. Write I, or a mixture such as {I: 1, II: 0.1}")
        return self

    @property
    def stroh(self) -> tuple[float, float, float]:
        """In Stroh's order (II, I, III), that of the displacement's components."""
        return self.II, self.I, self.III

    @property
    def pure(self) -> bool:
        """Whether only mode I is there."""
        return not (self.II or self.III)


class CrackModel(CaseModel):
    """Where the crystal cleaves, and which way the crack grows."""

    plane: Annotated[tuple[int, ...], BeforeValidator(check_plane)] = Field(examples=[[1, 1, 1]])
    """Miller indices of the cleavage plane; its normal is y"""
    front: tuple[int, ...] | None = Field(default=None, examples=[[1, -1, 0]])
    """direction of the crack front, z, in the plane; growth is normal × front"""
    growth: tuple[int, ...] | None = Field(default=None, examples=[[1, 1, -2]])
    """direction of growth, x, in the plane; instead of the front, or at right angles to it; by default chosen by symmetry"""
    cut: Annotated[str, BeforeValidator(lambda value: str(value) if type(value) is int else value)] | None = Field(
        default=None, examples=["shuffle"]
    )
    """which planes of atoms part where the plane offers several: shuffle or glide, or a number; by default the cheapest"""
    periods: int = Field(default=1, ge=1)
    """thickness along the front in periods of the crystal"""
    mode: Annotated[MixtureModel, BeforeValidator(check_mode)] = Field(
        default="I", validate_default=True, examples=["I", {"I": 1.0, "II": 0.1}]
    )
    """I, II, III, or a mixture: the K of the load times these numbers"""

    @model_validator(mode="after")
    def _consistent(self) -> CrackModel:
        check_indices(self.plane, "plane")
        for name in ("front", "growth"):
            direction = getattr(self, name)
            if direction is None:
                continue
            check_indices(direction, name)
            if len(direction) != len(self.plane):
                raise KeyedError(
                    f"plane {list(self.plane)} and {name} {list(direction)} have different numbers of indices. "
                    "Write both with 3 or both with 4",
                    name,
                )
            if sum(h * u for h, u in zip(self.plane, direction, strict=True)) != 0:
                raise KeyedError(
                    f"the {name} {list(direction)} does not lie in the plane {list(self.plane)}: hu + kv + lw must be 0. "
                    "Choose a direction in the plane, or leave it out",
                    name,
                )
        return self


class CrackBodyModel(CaseModel):
    """What all bodies share; the crack's tip lies at the origin, the crack at y = 0 and x < 0."""

    elements: Literal["linear", "quadratic"] = "quadratic"
    """elements beyond the blend"""
    grading: GradingModel = GradingModel(slope=0.25)
    """how elements grow with the distance from the zone"""

    @model_validator(mode="after")
    def _meshable(self) -> CrackBodyModel:
        for name in ("radius", "width", "height", "length"):
            size = getattr(self, name, None)
            if size is not None and size > LARGEST_SIZE:
                raise KeyedError(
                    f"a body of {format_length(size)} is too large to be meshed down to single atoms. Write at most "
                    f"{format_length(LARGEST_SIZE)}",
                    name,
                )
        return self


class DiscBody(CrackBodyModel):
    """A disc about the tip, its rim moved by the anisotropic K-field."""

    shape: Literal["disc"]
    radius: Length = Field(examples=["100 nm"])
    """radius of the rim"""


def _shorter(crack: float, whole: float, name: str, key: str) -> None:
    if crack >= whole:
        raise KeyedError(
            f"{key} ({format_length(crack)}) must be shorter than {name} ({format_length(whole)}). Shorten the crack or enlarge "
            "the body",
            key,
        )


class EdgeCrackBody(CrackBodyModel):
    """A plate cracked from its left edge, pulled at top and bottom."""

    shape: Literal["edge crack"]
    width: Length = Field(examples=["200 nm"])
    """along the crack"""
    height: Length = Field(examples=["400 nm"])
    """between the grips"""
    crack: Length = Field(examples=["60 nm"])
    """from the edge to the tip"""

    @model_validator(mode="after")
    def _inside(self) -> EdgeCrackBody:
        _shorter(self.crack, self.width, "width", "crack")
        return self


class CentreCrackBody(CrackBodyModel):
    """A plate with a crack in its middle, pulled at top and bottom; atoms stand at the right tip."""

    shape: Literal["centre crack"]
    width: Length = Field(examples=["300 nm"])
    """along the crack"""
    height: Length = Field(examples=["600 nm"])
    """between the grips"""
    crack: Length = Field(examples=["40 nm"])
    """half its length"""

    @model_validator(mode="after")
    def _inside(self) -> CentreCrackBody:
        _shorter(2.0 * self.crack, self.width, "half the width", "crack")
        return self


class CantileverBody(CrackBodyModel):
    """Two arms opened at the ends on the side of the crack."""

    shape: Literal["double cantilever beam"]
    length: Length = Field(examples=["400 nm"])
    """along the crack"""
    height: Length = Field(examples=["80 nm"])
    """of both arms together"""
    crack: Length = Field(examples=["120 nm"])
    """from the loaded end to the tip"""

    @model_validator(mode="after")
    def _inside(self) -> CantileverBody:
        _shorter(self.crack, self.length, "length", "crack")
        return self


class StripBody(CrackBodyModel):
    """A long strip whose long sides are moved apart: K does not depend on the length of the crack."""

    shape: Literal["thin strip"]
    length: Length = Field(examples=["400 nm"])
    """along the crack"""
    height: Length = Field(examples=["80 nm"])
    """between the grips"""
    crack: Length = Field(examples=["200 nm"])
    """from the left end to the tip"""

    @model_validator(mode="after")
    def _inside(self) -> StripBody:
        _shorter(self.crack, self.length, "length", "crack")
        return self


CrackBody = Annotated[
    DiscBody | EdgeCrackBody | CentreCrackBody | CantileverBody | StripBody, Field(discriminator="shape")
]
