"""The case of the defect study: a defect of atoms in an elastic body of the same crystal."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from multiscale.config.base import CaseModel, KeyedError
from multiscale.config.common import StudyCase
from multiscale.config.crystal import Element
from multiscale.config.embedding_zone import ZoneEmbeddingModel, check_zone_embedding
from multiscale.config.handshake import (
    SHARP,
    BodyModel,
    HandshakeSolverModel,
    MaterialModel,
    StrainModel,
    Zone,
    check_zone,
)
from multiscale.config.impurity import ImpurityModel
from multiscale.units import Coordinate, Length, format_length


def check_character(value: Any) -> Any:
    """Refuse edge and mixed dislocations with the reason.

    Raises:
        ValueError: for anything but a screw.
    """
    if value in ("edge", "mixed"):
        raise ValueError(
            f"dipoles of {value} dislocations are not built: their Burgers vector adds or removes a plane of atoms between the "
            "two, which the perfect reference lattice does not hold. Write character: screw"
        )
    return value


def check_method(value: Any) -> Any:
    """Say where the method is that cases do not offer.

    Raises:
        ValueError: for arlequin.
    """
    if value == "arlequin":
        raise ValueError(
            "arlequin couples in Python only, by coupling.handshake.couple_arlequin. Write bgfc, or bqcf where the potential "
            "gives forces only"
        )
    return value


class PlacedModel(CaseModel):
    """A defect with a place in the body."""

    center: tuple[Coordinate, ...] | None = Field(default=None, examples=[["0 nm", "0 nm"]])
    """where it lies; by default in the middle of the body"""


class VacancyModel(PlacedModel):
    """A missing atom; in a plane body a row of them along the front."""

    type: Literal["vacancy"]


class VoidModel(PlacedModel):
    """A hole: a ball, or in a plane body a cylinder along the front."""

    type: Literal["void"]
    radius: Length = Field(examples=["0.8 nm"])
    """atoms closer to the center than this are missing"""


class DipoleModel(PlacedModel):
    """Two straight dislocations of opposite sign along the front, one above the other."""

    type: Literal["dipole"]
    character: Annotated[Literal["screw"], BeforeValidator(check_character)] = "screw"
    """screw: the Burgers vector is the crystal's period along the front"""
    separation: Length = Field(examples=["3 nm"])
    """distance between the two, along y"""


class InclusionModel(PlacedModel):
    """Atoms of another element on the sites of the crystal: a ball, or in a plane body a cylinder along the front."""

    type: Literal["inclusion"]
    element: Element = Field(examples=["Cu"])
    """the other element"""
    radius: Length = Field(examples=["0.8 nm"])
    """atoms closer to the center than this are of the other element"""


Defect = Annotated[VacancyModel | VoidModel | DipoleModel | InclusionModel, Field(discriminator="type")]


class CompareModel(CaseModel):
    """The answer of all atoms, computed beside the coupled one."""

    all_atoms: bool = False
    """compute the whole body by atoms too, and report the error against it"""
    largest: int = Field(default=60_000, ge=1)
    """refuse to do so with more atoms than this"""


class DefectOutputModel(CaseModel):
    """What is checked and written at the end."""

    closure_points: int = Field(default=8, ge=0, le=64)
    """points along the way from start to end at which forces check the energy's change; 0 for none"""


class DefectCase(StudyCase):
    """A defect in a zone of atoms, in finite elements of the same crystal."""

    study: Literal["defect"] = "defect"
    """kind of study"""
    body: BodyModel = Field(examples=[{"size": ["30 nm", "30 nm"]}])
    """the body around the defect"""
    defect: Defect = Field(examples=[{"type": "void", "radius": "0.8 nm"}])
    """the defect"""
    strain: StrainModel = StrainModel()
    """homogeneous strain applied far away"""
    zone: Zone = Field(examples=[{"shape": "around", "margin": "1.2 nm"}])
    """where atoms are atoms"""
    method: Annotated[Literal["bgfc", "bqcf", "schwarz", "bqce", "qce", "clamped"], BeforeValidator(check_method)] = (
        "bgfc"
    )
    """how atoms and finite elements are joined"""
    impurity: ImpurityModel | None = Field(default=None, examples=[{"element": "H"}])
    """a foreign atom in the core, between the lattice sites or on one"""
    embedding: ZoneEmbeddingModel | None = Field(default=None, examples=[{"engine": "sevennet-l3i5"}])
    """a quantum region inside the core"""
    material: MaterialModel = MaterialModel()
    """the continuum made from the potential"""
    compare: CompareModel = CompareModel()
    """error against all atoms"""
    solver: HandshakeSolverModel = HandshakeSolverModel()
    """how the equilibrium is sought"""
    output: DefectOutputModel = DefectOutputModel()
    """what is checked and written"""

    @property
    def blended(self) -> bool:
        """Whether the method has a blend."""
        return self.method not in SHARP

    @model_validator(mode="after")
    def _consistent(self) -> DefectCase:
        dimension = self.body.dimension
        if self.crystal.structure not in ("fcc", "bcc"):
            raise KeyedError(
                f"a zone of atoms needs a crystal with one atom in its primitive cell, fcc or bcc, not "
                f"{self.crystal.structure}. Choose another crystal",
                "crystal",
                "structure",
            )
        if self.solver.turns != "monolithic" and self.method != "schwarz":
            raise KeyedError(
                f"only the method schwarz takes turns, and the method is {self.method}. Leave turns out, or write "
                "method: schwarz",
                "solver",
                "turns",
            )
        check_zone(self.zone, method=self.method, dimension=dimension)
        center = self.defect.center
        if center is not None and len(center) != dimension:
            raise KeyedError(
                f"center has {len(center)} coordinates for a body of dimension {dimension}. Write {dimension}",
                "defect",
                "center",
            )
        if isinstance(self.defect, DipoleModel):
            if dimension == 3:
                raise KeyedError(
                    "straight dislocations along the front need a body that repeats there. Write dimension: 2",
                    "body" if "dimension" in self.body.model_fields_set else "defect",
                    "dimension" if "dimension" in self.body.model_fields_set else "type",
                )
            if self.defect.separation >= self.body.size[1]:
                raise KeyedError(
                    f"separation ({format_length(self.defect.separation)}) must be smaller than the height of the body "
                    f"({format_length(self.body.size[1])}). Bring the dislocations together or enlarge the body",
                    "defect",
                    "separation",
                )
        self._check_embedding()
        if isinstance(self.defect, InclusionModel) and self.defect.element in self.crystal.species:
            raise KeyedError(
                f"an inclusion of {self.defect.element} in {self.defect.element} is no defect. Choose another element",
                "defect",
                "element",
            )
        return self

    def _check_embedding(self) -> None:
        """Refuse quantum regions and impurities that the zone, or the comparison, cannot have."""
        check_zone_embedding(
            self.embedding,
            self.impurity,
            method=self.method,
            dimension=self.body.dimension,
            species=self.crystal.species,
        )
        for name in ("impurity", "embedding"):
            if getattr(self, name) is not None and self.compare.all_atoms:
                raise KeyedError(
                    f"the comparison with all atoms knows lattice sites and the potential alone, no {name}. Leave it out",
                    "compare",
                    "all_atoms",
                )
