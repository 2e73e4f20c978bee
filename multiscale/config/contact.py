"""The case of the contact study: an indenter is pressed onto a half space that attracts it, and pulled off again."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from multiscale.config.adhesion import DecohesionModel
from multiscale.config.base import CaseModel, KeyedError
from multiscale.config.common import CheckedCase, Device, PotentialSpec, SpreadChoice
from multiscale.config.crystal import CrystalModel, InterfaceModel
from multiscale.units import EnergyPerArea, Length, Stress


class IndenterModel(CaseModel):
    """What is pressed onto the half space."""

    shape: Literal["sphere", "cylinder"] = Field(examples=["sphere"])
    """a sphere (axisymmetric), or a long cylinder (plane strain, loads per length)"""
    radius: Length = Field(examples=["100 nm"])
    """radius of the sphere or cylinder"""
    elastic: bool = False
    """made of the half space's material; by default rigid"""


class ElasticModel(CaseModel):
    """An isotropic half space."""

    E: Stress = Field(examples=["70 GPa"])
    """Young's modulus"""
    nu: Annotated[float, Field(gt=-1.0, lt=0.5)] = Field(examples=[0.3])
    """Poisson's ratio"""


class ContactLawModel(CaseModel):
    """How the surfaces attract each other."""

    type: Literal["dugdale", "lennard-jones", "exponential", "atoms"] = "dugdale"
    """constant stress up to a range; 3-9 of two half spaces; exponential; atoms: the potential's own law of the plane"""
    work: EnergyPerArea | None = Field(default=None, examples=["0.5 J/m^2"])
    """work of adhesion; with a potential by default that of its law"""
    strength: Stress | None = Field(default=None, examples=["2 GPa"])
    """largest stress; with a potential by default that of its law"""

    @model_validator(mode="after")
    def _own_numbers(self) -> ContactLawModel:
        if self.type == "atoms" and (given := [k for k in ("work", "strength") if getattr(self, k) is not None]):
            raise KeyedError(f"the law of the atoms has its own {given[0]}. Leave it out", given[0])
        return self


class ContactPathModel(CaseModel):
    """How far the indenter goes: from the first attraction to a contact radius, and back until it lets go."""

    contact: Length | None = Field(default=None, examples=["20 nm"])
    """contact radius (half width) at which it turns round; by default 2 (cylinder: 2.7) times that of JKR at pull-off"""
    steps: int = Field(default=40, ge=8, le=1000)
    """steps on the way in; as many or more on the way back"""


class ContactMeshModel(CaseModel):
    """The finite elements."""

    facets_in_zone: Annotated[float, Field(ge=1.0, le=100.0)] = 8.0
    """facets within the zone of attraction beside the contact at pull-off"""
    size: Annotated[float, Field(ge=4.0, le=1000.0)] = 20.0
    """size of the half space, in units of the widest zone of attraction"""
    degree: Literal[1, 2] = 2
    """polynomial degree of the displacement"""


class ContactCase(CheckedCase):
    """An indenter on an elastic half space with adhesion."""

    study: Literal["contact"] = "contact"
    """kind of study"""
    indenter: IndenterModel = Field(examples=[{"shape": "sphere", "radius": "100 nm"}])
    """what is pressed onto the half space"""
    material: ElasticModel | None = Field(default=None, examples=[{"E": "70 GPa", "nu": 0.3}])
    """the half space, isotropic; or leave it out and give potential, crystal and interface"""
    potential: PotentialSpec | None = Field(default=None, examples=["sevennet-0"])
    """the interatomic potential of the half space"""
    device: Device = "cpu"
    """where the potential runs: cpu, cuda or cuda:N"""
    spread: SpreadChoice = "members"
    """where the potential is a committee: members runs the study with each of them too and reports the spread; none does not"""
    crystal: CrystalModel | None = Field(default=None, examples=[{"element": "Al", "structure": "fcc"}])
    """the crystal of the half space"""
    interface: InterfaceModel | None = Field(default=None, examples=[{"plane": [1, 1, 1]}])
    """its surface; attraction is that of the same plane on the other side"""
    decohesion: DecohesionModel = DecohesionModel()
    """the separation curve, by atoms"""
    law: ContactLawModel = Field(examples=[{"type": "dugdale", "work": "0.5 J/m^2", "strength": "2 GPa"}])
    """the attraction"""
    path: ContactPathModel = ContactPathModel()
    """the way in and back"""
    mesh: ContactMeshModel = ContactMeshModel()
    """the finite elements"""

    @model_validator(mode="after")
    def _one_source(self) -> ContactCase:
        if (self.material is None) == (self.potential is None):
            given = "neither" if self.material is None else "both"
            raise KeyedError(
                f"{given} of material and potential given. Write material: {{E: 70 GPa, nu: 0.3}}, or potential, crystal "
                "and interface",
                *([] if self.material is None else ["material"]),
            )
        atomic = ("crystal", "interface")
        if self.material is not None:
            if foreign := [key for key in atomic if getattr(self, key) is not None]:
                raise KeyedError(
                    f"{foreign[0]} belongs to a potential, and the half space has a material. Leave it out", foreign[0]
                )
            self._check_law()
            return self
        if absent := [key for key in atomic if getattr(self, key) is None]:
            example = {"crystal": "{element: Al, structure: fcc}", "interface": "{plane: [1, 1, 1]}"}[absent[0]]
            raise KeyedError(f"a potential needs {absent[0]} too. Write {absent[0]}: {example}", "potential")
        assert self.crystal is not None
        assert self.interface is not None
        if self.interface.second is not None:
            raise KeyedError(
                "contact of two different crystals is not offered. Leave second out", "interface", "second"
            )
        self.interface.check_indices_of(self.crystal, "interface")
        return self

    def _check_law(self) -> None:
        """Without a potential the law must say everything."""
        if self.law.type == "atoms":
            raise KeyedError(
                "the law of the atoms needs a potential. Choose dugdale, lennard-jones or exponential, or give a potential "
                "instead of material",
                "law",
                "type",
            )
        for key, example in (("work", "0.5 J/m^2"), ("strength", "2 GPa")):
            if getattr(self.law, key) is None:
                raise KeyedError(f"without a potential the law needs its {key}. Write {key}: {example}", "law")
