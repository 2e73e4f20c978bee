"""A foreign atom at an interface, at a crack's tip or in a crystal: what it is and which hole it takes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from multiscale.config.base import CaseModel
from multiscale.config.crystal import Element
from multiscale.units import Coordinate


class ImpurityModel(CaseModel):
    """One foreign atom."""

    element: Element = Field(examples=["H"])
    """chemical symbol"""
    site: Literal["octahedral", "tetrahedral", "substitutional", "largest"] = "octahedral"
    """the hole that it takes, the largest one of any kind, or the place of an atom"""
    at: tuple[Coordinate, ...] | None = Field(default=None, min_length=2, max_length=3, examples=[["12 nm", "0 nm"]])
    """beside a zone of atoms: place (x, y) near which the site is looked for; by default the middle of the zone's core"""
    repeat: tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]] = (1, 2)
    """in a stack: cells of the plane, along either edge, that share one foreign atom; its coverage"""
