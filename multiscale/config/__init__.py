"""Cases: what a person asks for, as pydantic models, and the YAML files that hold them."""

from multiscale.config.adhesion import (
    AdhesionCase,
    DecohesionModel,
    InterfaceModel,
    LawModel,
    LoadingModel,
    MeshModel,
    OutputModel,
    SolverModel,
    VerificationModel,
)
from multiscale.config.base import CaseError, CaseModel, CaseProblem
from multiscale.config.common import StudyCase
from multiscale.config.crystal import CrystalModel
from multiscale.config.defect import (
    CompareModel,
    DefectCase,
    DefectOutputModel,
    DipoleModel,
    InclusionModel,
    VacancyModel,
    VoidModel,
)
from multiscale.config.handshake import (
    AroundModel,
    BandModel,
    BodyModel,
    BoxModel,
    DiscModel,
    GradingModel,
    HandshakeSolverModel,
    MaterialModel,
    StrainModel,
)
from multiscale.config.load import load_case
from multiscale.config.specimen import Block, DoubleCantileverBeam, ImportedSpecimen, Specimen, SupportModel
from multiscale.config.zone import BoxPatch, DiscPatch

__all__ = [
    "AdhesionCase",
    "AroundModel",
    "BandModel",
    "Block",
    "BodyModel",
    "BoxModel",
    "BoxPatch",
    "CaseError",
    "CaseModel",
    "CaseProblem",
    "CompareModel",
    "CrystalModel",
    "DecohesionModel",
    "DefectCase",
    "DefectOutputModel",
    "DipoleModel",
    "DiscModel",
    "DiscPatch",
    "DoubleCantileverBeam",
    "GradingModel",
    "HandshakeSolverModel",
    "ImportedSpecimen",
    "InclusionModel",
    "InterfaceModel",
    "LawModel",
    "LoadingModel",
    "MaterialModel",
    "MeshModel",
    "OutputModel",
    "SolverModel",
    "Specimen",
    "StrainModel",
    "StudyCase",
    "SupportModel",
    "VacancyModel",
    "VerificationModel",
    "VoidModel",
    "load_case",
]
