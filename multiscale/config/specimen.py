"""The bodies that come apart."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from multiscale.config.base import CaseModel, KeyedError
from multiscale.units import Length, format_length


class DoubleCantileverBeam(CaseModel):
    """Two slender arms joined along the interface, opened at the ends on the side of the initial crack."""

    shape: Literal["double cantilever beam"]
    length: Length = Field(examples=["2 um"])
    """length of the beam along the crack"""
    arm_height: Length = Field(examples=["200 nm"])
    """height of one arm"""
    initial_crack: Length = Field(examples=["600 nm"])
    """length of the crack at the start, from the loaded end"""
    thickness: Length = Field(default="1 nm", validate_default=True)
    """width along the crack front (plane strain); loads are reported per width"""

    @model_validator(mode="after")
    def _a_beam(self) -> DoubleCantileverBeam:
        if self.initial_crack >= self.length:
            raise KeyedError(
                f"initial_crack ({format_length(self.initial_crack)}) must be shorter than length "
                f"({format_length(self.length)}). Shorten the crack or lengthen the beam",
                "initial_crack",
            )
        return self


class Block(CaseModel):
    """Two halves of a block joined at mid-height, pulled apart uniformly."""

    shape: Literal["block"]
    width: Length = Field(examples=["20 nm"])
    """size along the interface"""
    height: Length = Field(examples=["40 nm"])
    """size along the normal, both halves together"""
    thickness: Length = Field(default="1 nm", validate_default=True)
    """size along the third direction"""


class SupportModel(CaseModel):
    """A prescribed displacement on a group of facets: ``factor`` times the loading's opening; 0 holds it fixed."""

    group: str = Field(examples=["grip"])
    """name of the group of facets in the mesh file"""
    component: Literal["x", "y", "z"]
    """displacement component"""
    factor: float = Field(allow_inf_nan=False, examples=[0.5])
    """prescribed displacement as a multiple of the opening"""


class ImportedSpecimen(CaseModel):
    """Bodies and supports from a mesh file (gmsh or any format that meshio reads); interfaces lie where bodies touch."""

    shape: Literal["imported"]
    file: Path = Field(examples=["joint.msh"])
    """mesh file, relative to the case file"""
    length_unit: Length = Field(examples=["1 nm"])
    """what one unit of length in the file is"""
    bodies: tuple[str, ...] = Field(min_length=2, examples=[["upper", "lower"]])
    """names of the groups of cells that are bodies"""
    supports: tuple[SupportModel, ...] = Field(
        min_length=1, examples=[[{"group": "grip", "component": "y", "factor": 1}]]
    )
    """prescribed displacements"""
    initial_crack: Length | None = None
    """where given, facets with x below it are cracked from the start"""
    thickness: Length = Field(default="1 nm", validate_default=True)
    """width along the third direction of a 2D mesh"""

    @model_validator(mode="after")
    def _usable(self) -> ImportedSpecimen:
        if not os.path.isfile(self.file):
            raise KeyedError(f"mesh file {self.file} does not exist. Write its path relative to the case file", "file")
        if len(set(self.bodies)) != len(self.bodies):
            raise KeyedError(f"bodies {list(self.bodies)} repeats a name. Name each body once", "bodies")
        if not any(support.factor for support in self.supports):
            message = "no support moves: all factors are zero. Give the loaded group a factor, for example 1"
            raise KeyedError(message, "supports")
        return self


Specimen = Annotated[DoubleCantileverBeam | Block | ImportedSpecimen, Field(discriminator="shape")]
