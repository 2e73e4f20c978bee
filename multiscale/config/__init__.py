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
from multiscale.config.common import CheckedCase, StudyCase
from multiscale.config.contact import ContactCase, ContactLawModel, IndenterModel
from multiscale.config.crack import (
    CantileverBody,
    CentreCrackBody,
    CrackBodyModel,
    DiscBody,
    EdgeCrackBody,
    MixtureModel,
    StripBody,
)
from multiscale.config.crystal import CrystalModel, SecondCrystalModel
from multiscale.config.defect import (
    CompareModel,
    DefectCase,
    DefectOutputModel,
    DipoleModel,
    InclusionModel,
    VacancyModel,
    VoidModel,
)
from multiscale.config.embedding import CoreModel, EmbeddingModel, SubCellModel
from multiscale.config.embedding_case import ConvergeModel, EmbeddingCase, StructureModel
from multiscale.config.fracture import FollowModel, FractureCase, StepsModel
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
from multiscale.config.learning import DataModel, ExcerptModel, LearningModel, StudentModel
from multiscale.config.learning_case import (
    ActiveLearningCase,
    DynamicsModel,
    LearningStructureModel,
    RelaxationModel,
    StackModel,
)
from multiscale.config.learning_coupled import CoupledLearningModel
from multiscale.config.load import load_case
from multiscale.config.properties import PropertiesCase, ReferenceModel
from multiscale.config.specimen import Block, DoubleCantileverBeam, ImportedSpecimen, Specimen, SupportModel
from multiscale.config.zone import BoxPatch, DiscPatch

__all__ = [
    "ActiveLearningCase",
    "AdhesionCase",
    "AroundModel",
    "BandModel",
    "Block",
    "BodyModel",
    "BoxModel",
    "BoxPatch",
    "CantileverBody",
    "CaseError",
    "CaseModel",
    "CaseProblem",
    "CentreCrackBody",
    "CheckedCase",
    "CompareModel",
    "ContactCase",
    "ContactLawModel",
    "ConvergeModel",
    "CoreModel",
    "CoupledLearningModel",
    "CrackBodyModel",
    "CrystalModel",
    "DataModel",
    "DecohesionModel",
    "DefectCase",
    "DefectOutputModel",
    "DipoleModel",
    "DiscBody",
    "DiscModel",
    "DiscPatch",
    "DoubleCantileverBeam",
    "DynamicsModel",
    "EdgeCrackBody",
    "EmbeddingCase",
    "EmbeddingModel",
    "ExcerptModel",
    "FollowModel",
    "FractureCase",
    "GradingModel",
    "HandshakeSolverModel",
    "ImportedSpecimen",
    "InclusionModel",
    "IndenterModel",
    "InterfaceModel",
    "LawModel",
    "LearningModel",
    "LearningStructureModel",
    "LoadingModel",
    "MaterialModel",
    "MeshModel",
    "MixtureModel",
    "OutputModel",
    "PropertiesCase",
    "ReferenceModel",
    "RelaxationModel",
    "SecondCrystalModel",
    "SolverModel",
    "Specimen",
    "StackModel",
    "StepsModel",
    "StrainModel",
    "StripBody",
    "StructureModel",
    "StudentModel",
    "StudyCase",
    "SubCellModel",
    "SupportModel",
    "VacancyModel",
    "VerificationModel",
    "VoidModel",
    "load_case",
]
