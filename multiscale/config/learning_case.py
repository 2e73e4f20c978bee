"""The case of the active-learning study: dynamics or a relaxation during which the potential is taught."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from multiscale.config.base import CaseModel, KeyedError
from multiscale.config.common import CheckedCase, Device, PotentialSpec
from multiscale.config.crystal import PlaneModel
from multiscale.config.embedding_case import StructureModel
from multiscale.config.learning import LearningModel
from multiscale.units import Force, NonNegativeLength, Temperature, Time

LARGEST_STRAIN = 0.3
"""Beyond it no crystal is left that could be strained."""
StrainComponent = Annotated[float, Field(ge=-LARGEST_STRAIN, le=LARGEST_STRAIN, allow_inf_nan=False)]


class StackModel(PlaneModel):
    """A crystal cut into planes: periodic, with one gap that can be opened."""

    planes: int = Field(default=6, ge=2)
    """planes of atoms in the stack"""
    opening: NonNegativeLength = Field(default="0 angstrom", validate_default=True, examples=["1 angstrom"])
    """by which the gap is wider than in the crystal when the run begins"""

    @model_validator(mode="after")
    def _no_growth(self) -> StackModel:
        if self.growth is not None:
            raise KeyedError("no crack grows in a stack. Leave growth out", "growth")
        return self


class LearningStructureModel(StructureModel):
    """The atoms: read from a file, a crystal with what is done to it, or a stack of its planes."""

    stack: StackModel | None = Field(default=None, examples=[{"plane": [1, 1, 1], "planes": 6}])
    """the crystal as a stack of planes, pulled apart by run.opening; repeat then counts its cells, [2, 2, 1]"""

    @model_validator(mode="after")
    def _stacked(self) -> LearningStructureModel:
        if self.stack is None:
            return self
        if self.crystal is None:
            raise KeyedError("a stack is made of a crystal, and a file is given. Leave it out", "stack")
        if self.repeat[2] != 1:
            raise KeyedError("a stack repeats along its plane alone. Write repeat: [2, 2, 1]", "repeat")
        self.stack.check_indices_of(self.crystal, "stack")
        return self


class CellStrainModel(CaseModel):
    """A homogeneous strain of the cell in the axes of the structure: F = I + ε."""

    xx: StrainComponent = 0.0
    """along x"""
    yy: StrainComponent = 0.0
    """along y"""
    zz: StrainComponent = 0.0
    """along z, the normal of a stack"""
    yz: StrainComponent = 0.0
    """tensor component: half the engineering shear"""
    xz: StrainComponent = 0.0
    """tensor component"""
    xy: StrainComponent = 0.0
    """tensor component"""


class DynamicsModel(CaseModel):
    """Molecular dynamics at a temperature, while the cell is strained and the gap opened."""

    type: Literal["dynamics"] = "dynamics"
    """molecular dynamics"""
    steps: int = Field(ge=1, examples=[1000])
    """to make"""
    temperature: Temperature = Field(examples=["300 K"])
    """at the start"""
    heat_to: Temperature | None = Field(default=None, examples=["900 K"])
    """at the end, reached evenly; by default the same"""
    timestep: Time = Field(default="2 fs", validate_default=True, examples=["2 fs"])
    """of one step"""
    damping: Time = Field(default="500 fs", validate_default=True, examples=["500 fs"])
    """of the Langevin thermostat: the inverse of its friction"""
    strain: CellStrainModel = CellStrainModel()
    """strain of the cell reached at the end, evenly from none"""
    opening: NonNegativeLength = Field(default="0 angstrom", validate_default=True, examples=["3 angstrom"])
    """opening of a stack's gap added until the end, evenly"""
    seed: int = Field(default=0, ge=0)
    """of the first velocities and of the thermostat"""


class RelaxationModel(CaseModel):
    """A relaxation of the atoms in a fixed cell, strained and opened before."""

    type: Literal["relaxation"] = "relaxation"
    """relaxation of the atoms"""
    steps: int = Field(default=500, ge=1)
    """at most"""
    fmax: Force = Field(default="0.02 eV/angstrom", validate_default=True, examples=["0.02 eV/angstrom"])
    """largest force on an atom at rest"""
    strain: CellStrainModel = CellStrainModel()
    """strain of the cell"""
    opening: NonNegativeLength = Field(default="0 angstrom", validate_default=True, examples=["3 angstrom"])
    """opening of a stack's gap"""


RunModel = Annotated[DynamicsModel | RelaxationModel, Field(discriminator="type")]


class ActiveLearningCase(CheckedCase):
    """A run during which an oracle teaches the potential where its committee is in doubt."""

    study: Literal["active-learning"] = "active-learning"
    """kind of study"""
    potential: PotentialSpec = Field(examples=["sevennet-0"])
    """what is taught: the backbone under the heads; finds the crystal's lattice constants"""
    device: Device = "cpu"
    """where the potential runs: cpu, cuda or cuda:N"""
    structure: LearningStructureModel = Field(examples=[{"file": "start.xyz"}])
    """the atoms"""
    run: RunModel = Field(examples=[{"type": "dynamics", "steps": 1000, "temperature": "300 K"}])
    """what is done to them"""
    learning: LearningModel = Field(examples=[{"oracle": "gpaw"}])
    """who is asked, when, and who is taught"""

    @model_validator(mode="after")
    def _consistent(self) -> ActiveLearningCase:
        if self.run.opening and self.structure.stack is None:
            raise KeyedError(
                "there is no gap to open: the structure is no stack. Write structure: {stack: {plane: [1, 1, 1]}}, or leave "
                "opening out",
                "run",
                "opening",
            )
        backbone = self.learning.student.backbone
        if self.learning.student.factory is None and backbone is None and not isinstance(self.potential, str):
            raise KeyedError(
                "the heads stand on a SevenNet model, and the potential is not given by its name. Write potential: sevennet-0, "
                "or learning: {student: {backbone: sevennet-0}}",
                "potential",
            )
        return self
