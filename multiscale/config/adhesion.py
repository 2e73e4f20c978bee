"""The case of the adhesion study: from a potential to a specimen that comes apart."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from multiscale.config.base import CaseModel, KeyedError
from multiscale.config.common import StudyCase
from multiscale.config.crystal import InterfaceModel, SecondCrystalModel
from multiscale.config.embedding_zone import ZoneEmbeddingModel, check_zone_embedding
from multiscale.config.impurity import ImpurityModel
from multiscale.config.impurity_stack import check_stack
from multiscale.config.learning_coupled import CoupledLearningModel, check_learning
from multiscale.config.specimen import Block, DoubleCantileverBeam, ImportedSpecimen, Specimen
from multiscale.config.zone import Patch, check_patch
from multiscale.units import Length, format_length


class OpeningRange(CaseModel):
    """The openings at which the two halves of the crystal are computed."""

    to: Length = Field(default="6 angstrom", validate_default=True, examples=["6 angstrom"])
    """largest opening"""
    points: int = Field(default=24, ge=6)
    """number of openings, denser where the traction is"""


class DecohesionModel(CaseModel):
    """How the interface's energy over its opening is obtained."""

    mode: Literal["auto", "rigid", "relaxed"] = "auto"
    """rigid halves, or a stack whose planes relax; auto: rigid, beside a zone relaxed where that gives a smooth law"""
    opening: OpeningRange = OpeningRange()
    """range of openings"""
    planes: int = Field(default=10, ge=6)
    """number of atomic planes in the stack"""
    relax: bool = True
    """report the relaxed work of separation too"""
    file: Path | None = Field(default=None, examples=["my_dft_curve.csv"])
    """a curve computed elsewhere, instead of one from the potential: CSV with units in its header"""

    @model_validator(mode="after")
    def _one_source(self) -> DecohesionModel:
        if self.file is None:
            return self
        if not os.path.isfile(self.file):
            raise KeyedError(f"curve file {self.file} does not exist. Write its path relative to the case file", "file")
        extra = [key for key in ("mode", "opening") if key in self.model_fields_set]
        if extra and self.model_fields_set != set(type(self).model_fields):
            message = f"file and {extra[0]} exclude each other: the file holds the curve. Leave one of them out"
            raise KeyedError(message, "file")
        return self


class LawModel(CaseModel):
    """The cohesive law made from the separation curve."""

    type: Literal["tabulated", "uber", "bilinear", "exponential", "trapezoidal", "live"] = "tabulated"
    """the curve itself, an analytic law with its work of separation and peak, or live: cells of atoms asked under load"""
    unloading: Literal["damaging", "reversible"] = "damaging"
    """what happens when an opening shrinks again"""
    stiffness_cap: float = Field(default=50.0, ge=1.0, allow_inf_nan=False)
    """largest stiffness of the law in units of C'/d, the stiffness of one interplanar gap"""
    tolerance: float = Field(default=0.02, gt=0.0, le=0.5, allow_inf_nan=False)
    """of a live law: estimated error of the traction, as a share of its peak, that asks for another cell"""


class MeshModel(CaseModel):
    """The finite elements."""

    degree: Literal[1, 2] = 2
    """polynomial degree of the displacement"""
    elements_in_zone: int = Field(default=8, ge=1)
    """elements within one cohesive zone length along the expected path"""
    cell: Literal["triangle", "quadrilateral", "tetrahedron", "hexahedron"] = "triangle"
    """cell type of a built-in mesh"""
    growth: float = Field(default=1.8, gt=1.0, le=3.0)
    """ratio of neighbouring cell sizes away from the path"""


class LoadPath(CaseModel):
    """A monotone increase of the prescribed opening."""

    to: Length = Field(examples=["80 nm"])
    """opening between the loaded ends at the end"""
    steps: int = Field(ge=1, examples=[60])
    """number of load steps"""


class LoadingModel(CaseModel):
    """What is done to the specimen."""

    opening: LoadPath = Field(examples=[{"to": "80 nm", "steps": 60}])
    """the ends are moved apart"""


class VerificationModel(CaseModel):
    """Checks of the bridge that cost calls of the potential."""

    stacks: tuple[Annotated[int, Field(ge=4)], ...] = (14, 20)
    """numbers of planes of stacks computed by atoms and compared with the law; [] for none"""
    quantum_openings: tuple[Length, ...] = Field(default=(), max_length=2, examples=[["1 angstrom"]])
    """with embedding: openings at which the corrected curves are held against single points too"""


class OutputModel(CaseModel):
    """What is written for ParaView."""

    fields_every: int = Field(default=10, ge=0)
    """write fields every so many steps, and at the last; 0: only at the last"""


class SolverModel(CaseModel):
    """Newton's method."""

    rtol: float = Field(default=1e-9, ge=1e-14, le=1e-2)
    """relative residual at which a step has converged"""
    max_iterations: int = Field(default=40, ge=1)
    """passes over a step before it is cut back; each may take many iterations inside the process zone"""
    max_cutbacks: int = Field(default=6, ge=0)
    """how often a step may be halved"""
    snap_back: Literal["stop", "follow"] = "stop"
    """where the opening has no further equilibrium: stop with all that was found, or follow the path by the energy spent"""


class AdhesionCase(StudyCase):
    """From a potential, through the law of the interface, to a specimen that comes apart."""

    study: Literal["adhesion"] = "adhesion"
    """kind of study"""
    interface: InterfaceModel = Field(examples=[{"plane": [1, 1, 1]}])
    """the plane that comes apart"""
    decohesion: DecohesionModel = DecohesionModel()
    """the separation curve"""
    law: LawModel = LawModel()
    """the cohesive law"""
    specimen: Specimen = Field(
        examples=[
            {"shape": "double cantilever beam", "length": "2 um", "arm_height": "200 nm", "initial_crack": "600 nm"}
        ]
    )
    """the bodies"""
    mesh: MeshModel = MeshModel()
    """the finite elements"""
    zone: Patch | None = None
    """atoms in a patch of the interface, the law on the rest"""
    impurity: ImpurityModel | None = Field(default=None, examples=[{"element": "H"}])
    """a foreign atom on the interface"""
    embedding: ZoneEmbeddingModel | None = Field(default=None, examples=[{"engine": "gpaw"}])
    """a quantum region at the interface"""
    learning: CoupledLearningModel | None = Field(default=None, examples=[{"oracle": "gpaw"}])
    """teach the potential where the interface leaves what it knows"""
    loading: LoadingModel = Field(examples=[{"opening": {"to": "80 nm", "steps": 60}}])
    """the load"""
    verification: VerificationModel = VerificationModel()
    """checks of the bridge"""
    output: OutputModel = OutputModel()
    """what is written"""
    solver: SolverModel = SolverModel()
    """Newton's method"""

    @model_validator(mode="after")
    def _consistent(self) -> AdhesionCase:
        self.interface.check_indices_of(self.crystal, "interface")
        if self.interface.second is not None:
            self._check_second(self.interface.second)
        if self.law.type == "live":
            self._check_live()
        self._check_learning()
        solid = self.mesh.cell in ("tetrahedron", "hexahedron")
        if solid and isinstance(self.specimen, DoubleCantileverBeam):
            raise KeyedError(
                f"a double cantilever beam is computed in plane strain, not with cells of type {self.mesh.cell}. "
                "Write cell: triangle or cell: quadrilateral",
                "mesh",
                "cell",
            )
        if self.zone is not None:
            check_patch(self)
            check_zone_embedding(self.embedding, self.impurity, method=self.zone.method, species=self.crystal.species)
        else:
            check_stack(self)
        if isinstance(self.specimen, Block | DoubleCantileverBeam):
            height = self.specimen.height if isinstance(self.specimen, Block) else 2 * self.specimen.arm_height
            if self.loading.opening.to > height:
                raise KeyedError(
                    f"the opening goes to {format_length(self.loading.opening.to)}, beyond the height of the specimen, "
                    f"{format_length(height)}, where linear elasticity means nothing. Lower it",
                    "loading",
                    "opening",
                    "to",
                )
        return self

    def _check_learning(self) -> None:
        """Refuse interfaces from which nothing can be learnt yet."""
        check_learning(self)
        others = {
            "interface.second": self.interface.second is not None,
            "decohesion.file": self.decohesion.file is not None,
        }
        for name in (name for name, given in others.items() if given and self.learning is not None):
            raise KeyedError(
                f"learning looks at one crystal that its potential pulls apart; {name} is given too. Leave one of them out",
                "learning",
            )

    def _check_live(self) -> None:
        """Refuse what a law that asks cells of one crystal cannot have."""
        others = {
            "zone": self.zone is not None,
            "interface.second": self.interface.second is not None,
            "decohesion.file": self.decohesion.file is not None,
            "decohesion.mode: relaxed": self.decohesion.mode == "relaxed",
            "solver.snap_back: follow": self.solver.snap_back == "follow",
        }
        for name in (name for name, given in others.items() if given):
            raise KeyedError(
                f"a live law asks rigid cells of one crystal along a stable path; {name} is given too. Write type: tabulated, "
                "or leave the other out (coupling.live does more from Python)",
                "law",
                "type",
            )

    def _check_second(self, second: SecondCrystalModel) -> None:
        """Refuse what two different crystals cannot have."""
        here = ("interface", "second")
        second.check_indices_of(second.crystal, *here)
        if self.zone is not None:
            raise KeyedError(
                "a zone of atoms lies in one crystal, and interface.second names another one. Leave one of them out",
                "zone",
            )
        if self.decohesion.mode == "relaxed":
            raise KeyedError(
                "relaxed stacks are of one crystal; two different ones are separated rigidly, and decohesion.relax reports "
                "their relaxed work of separation. Write mode: rigid",
                "decohesion",
                "mode",
            )
        if not isinstance(self.specimen, ImportedSpecimen):
            if second.bodies:
                message = "bodies belongs to an imported mesh; here the upper body is the second crystal. Leave it out"
                raise KeyedError(message, *here, "bodies")
            return
        if unknown := sorted(set(second.bodies) - set(self.specimen.bodies)):
            raise KeyedError(
                f"the mesh has no bodies {unknown}. Choose among {list(self.specimen.bodies)}", *here, "bodies"
            )
        if not second.bodies or set(second.bodies) == set(self.specimen.bodies):
            raise KeyedError(
                f"which of the bodies {list(self.specimen.bodies)} are made of the second crystal? Name some of them",
                *here,
                "bodies",
            )
