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
from multiscale.config.crystal import CrystalModel
from multiscale.config.load import load_case
from multiscale.config.specimen import Block, DoubleCantileverBeam, ImportedSpecimen, Specimen, SupportModel

__all__ = [
    "AdhesionCase",
    "Block",
    "CaseError",
    "CaseModel",
    "CaseProblem",
    "CrystalModel",
    "DecohesionModel",
    "DoubleCantileverBeam",
    "ImportedSpecimen",
    "InterfaceModel",
    "LawModel",
    "LoadingModel",
    "MeshModel",
    "OutputModel",
    "SolverModel",
    "Specimen",
    "SupportModel",
    "VerificationModel",
    "load_case",
]
