"""The case of the embedding study: how wide the buffer around a quantum region must be."""

from __future__ import annotations

import os
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from multiscale.config.base import CaseModel, KeyedError
from multiscale.config.common import CheckedCase, Device, PotentialSpec, SpreadChoice
from multiscale.config.crystal import CrystalModel, Element
from multiscale.config.embedding import EmbeddingModel
from multiscale.units import Force, Length, NonNegativeLength, format_length

MOST_BUFFERS = 60
BUILT = ("repeat", "vacancy", "impurity")
"""Keys that belong to a crystal."""


def check_structure_file(value: Any) -> Any:
    """Refuse files that are not there.

    Raises:
        ValueError: with the name of the file.
    """
    if isinstance(value, str) and not os.path.isfile(value):
        raise ValueError(f"the structure file {value} does not exist. Write its path relative to the case file")
    return value


class SubstituteModel(CaseModel):
    """An atom of another element on a site of the crystal."""

    element: Element = Field(examples=["C"])
    """the other element"""
    index: int = Field(default=0, ge=0)
    """number of the site, from 0"""


class StructureModel(CaseModel):
    """The atoms: read from a file, or a crystal with what is done to it."""

    file: Annotated[str, BeforeValidator(check_structure_file)] | None = Field(default=None, examples=["start.xyz"])
    """structure in any format that ASE reads"""
    frame: int = -1
    """which structure of a file that holds several; -1 is the last"""
    crystal: CrystalModel | None = Field(default=None, examples=[{"element": "Si", "structure": "diamond"}])
    """instead of a file: a perfect crystal; the potential finds its lattice constants"""
    repeat: tuple[int, int, int] = Field(default=(1, 1, 1), examples=[[4, 4, 4]])
    """conventional cells along each edge, periodic"""
    vacancy: int | None = Field(default=None, ge=0, examples=[0])
    """number of a site, from 0, that is empty"""
    impurity: SubstituteModel | None = Field(default=None, examples=[{"element": "C", "index": 0}])
    """an atom of another element"""
    rattle: NonNegativeLength = Field(default="0 angstrom", validate_default=True, examples=["0.05 angstrom"])
    """standard deviation of random displacements of all atoms: in a perfect crystal every force vanishes"""
    seed: int = Field(default=0, ge=0)
    """of these displacements"""

    @model_validator(mode="after")
    def _consistent(self) -> StructureModel:
        if (self.file is None) == (self.crystal is None):
            given = "both" if self.file is not None else "neither"
            raise ValueError(
                f"{given} of file and crystal given. Write file: start.xyz, or crystal: {{element: Si, structure: diamond}}"
            )
        if self.file is not None and (extra := [name for name in BUILT if name in self.model_fields_set]):
            raise KeyedError(f"{extra[0]} belongs to a crystal, and a file is given. Leave it out", extra[0])
        if self.crystal is not None and "frame" in self.model_fields_set:
            raise KeyedError("frame belongs to a file, and a crystal is given. Leave it out", "frame")
        if min(self.repeat) < 1:
            raise KeyedError(f"repeat {list(self.repeat)} leaves no atoms. Write numbers from 1", "repeat")
        if self.vacancy is not None and self.impurity is not None and self.vacancy == self.impurity.index:
            raise KeyedError(
                f"site {self.vacancy} cannot both be empty and hold an impurity. Choose another index",
                "impurity",
                "index",
            )
        return self


class ConvergeModel(CaseModel):
    """The buffers that are tried and what counts as enough."""

    buffers: tuple[NonNegativeLength, ...] | None = Field(
        default=None, examples=[["2 angstrom", "4 angstrom", "6 angstrom"]]
    )
    """the buffers, one by one; instead of first, last and step"""
    first: NonNegativeLength | None = Field(default=None, examples=["2 angstrom"])
    """smallest buffer"""
    last: Length | None = Field(default=None, examples=["8 angstrom"])
    """largest buffer"""
    step: Length | None = Field(default=None, examples=["1 angstrom"])
    """between two buffers"""
    tolerance: Force = Field(default="0.05 eV/angstrom", validate_default=True, examples=["0.05 eV/angstrom"])
    """largest error of a core atom's force that is small enough"""
    reference: Literal["whole system", "largest buffer"] = "whole system"
    """what counts as right: all atoms by the engine, or the largest buffer where that is too much"""
    displace: NonNegativeLength = Field(default="0 angstrom", validate_default=True, examples=["0.1 angstrom"])
    """standard deviation of displacements of the core whose energy is compared too, subtractive against the reference; 0: not"""

    @model_validator(mode="after")
    def _consistent(self) -> ConvergeModel:
        ramp = [name for name in ("first", "last", "step") if getattr(self, name) is not None]
        if self.buffers is not None:
            if ramp:
                raise KeyedError(
                    f"buffers and {ramp[0]} exclude each other: the list says every buffer. Leave one of them out",
                    "buffers",
                )
            if len(self.buffers) < 2:
                raise KeyedError("one buffer alone shows no convergence. Write two at least", "buffers")
            if any(b <= a for a, b in zip(self.buffers, self.buffers[1:], strict=False)):
                raise KeyedError("the buffers must grow. Write them in rising order, each once", "buffers")
            return self
        if missing := [name for name in ("first", "last", "step") if name not in ramp]:
            raise ValueError(
                f"either buffers or first, last and step are needed; missing: {', '.join(missing)}. Write, for example, "
                "buffers: [2 angstrom, 4 angstrom, 6 angstrom]"
            )
        assert self.first is not None
        assert self.last is not None
        assert self.step is not None
        if self.last <= self.first:
            raise KeyedError(
                f"last ({format_length(self.last)}) must exceed first ({format_length(self.first)}). Exchange them",
                "last",
            )
        if (self.last - self.first) / self.step > MOST_BUFFERS:
            raise KeyedError(f"these are more than {MOST_BUFFERS} buffers. Enlarge the step", "step")
        return self

    @property
    def wanted(self) -> tuple[float, ...]:
        """All buffers, Å, rising; the last one whatever remains of the steps."""
        if self.buffers is not None:
            return self.buffers
        assert self.first is not None
        assert self.last is not None
        assert self.step is not None
        count = int((self.last - self.first) / self.step * (1.0 + 1e-9))
        values = [round(self.first + k * self.step, 9) for k in range(count + 1)]
        return tuple(values) if self.last - values[-1] < 1e-6 else (*values, self.last)


class EmbeddingCase(CheckedCase):
    """The error of core forces against the width of the buffer, for a user's own system."""

    study: Literal["embedding"] = "embedding"
    """kind of study"""
    potential: PotentialSpec = Field(examples=["sevennet-0"])
    """the potential: a name, or {name: lammps, ...}, {calculator: "module:Class"}, {path: file}, {committee: [...]}"""
    device: Device = "cpu"
    """where the potential runs: cpu, cuda or cuda:N"""
    spread: SpreadChoice = "members"
    """where the potential is a committee: members runs the study with each of them too and reports the spread; none does not"""
    structure: StructureModel = Field(examples=[{"file": "start.xyz"}])
    """the atoms"""
    embedding: EmbeddingModel = Field(examples=[{"engine": "tblite", "core": {"indices": [0]}}])
    """the quantum region"""
    converge: ConvergeModel = Field(examples=[{"buffers": ["2 angstrom", "4 angstrom", "6 angstrom"]}])
    """the buffers that are tried"""

    @model_validator(mode="after")
    def _consistent(self) -> EmbeddingCase:
        if self.embedding.needs_tip:
            raise KeyedError(
                "there is no crack here whose tip a core could be near. Choose it by near, species or indices",
                "embedding",
                "core",
            )
        if "buffer" in self.embedding.model_fields_set:
            raise KeyedError(
                "the buffer is what this study looks for. Leave it out, and list those to try in converge.buffers",
                "embedding",
                "buffer",
            )
        if self.embedding.cell is not None:
            raise KeyedError(
                "a periodic quantum cell holds the same atoms whatever the buffer. Leave cell out", "embedding", "cell"
            )
        return self
