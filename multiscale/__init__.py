"""What a person launches: case files, studies, run directories, reports, and the command line.

A driver script needs two names of a study:

    from multiscale import AdhesionCase, run_adhesion

    case = AdhesionCase(potential="sevennet-0", crystal={"element": "Al", "structure": "fcc"}, ...)
    result = run_adhesion(case, directory="runs/al")

or `DefectCase` and `run_defect`, `FractureCase` and `run_fracture`, `ContactCase` and `run_contact`, `EmbeddingCase` and
`run_embedding`, `PropertiesCase` and `run_properties`, `ActiveLearningCase` and `run_active_learning`.

They are imported when first used, so that the command line starts at once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiscale.config import (
        ActiveLearningCase,
        AdhesionCase,
        ContactCase,
        DefectCase,
        EmbeddingCase,
        FractureCase,
        PropertiesCase,
        load_case,
    )
    from multiscale.progress import Progress
    from multiscale.studies.active_learning import ActiveLearningResult, run_active_learning
    from multiscale.studies.adhesion import AdhesionResult, predict, run_adhesion
    from multiscale.studies.contact import ContactResult, run_contact
    from multiscale.studies.defect import DefectResult, run_defect
    from multiscale.studies.embedding import EmbeddingResult, run_embedding
    from multiscale.studies.fracture import run_fracture
    from multiscale.studies.fracture_state import FractureResult
    from multiscale.studies.properties import PropertiesResult, run_properties

__all__ = [
    "ActiveLearningCase",
    "ActiveLearningResult",
    "AdhesionCase",
    "AdhesionResult",
    "ContactCase",
    "ContactResult",
    "DefectCase",
    "DefectResult",
    "EmbeddingCase",
    "EmbeddingResult",
    "FractureCase",
    "FractureResult",
    "Progress",
    "PropertiesCase",
    "PropertiesResult",
    "load_case",
    "predict",
    "run_active_learning",
    "run_adhesion",
    "run_contact",
    "run_defect",
    "run_embedding",
    "run_fracture",
    "run_properties",
]

_HOMES = {
    "ActiveLearningCase": "multiscale.config",
    "ActiveLearningResult": "multiscale.studies.active_learning",
    "run_active_learning": "multiscale.studies.active_learning",
    "AdhesionCase": "multiscale.config",
    "ContactCase": "multiscale.config",
    "DefectCase": "multiscale.config",
    "EmbeddingCase": "multiscale.config",
    "FractureCase": "multiscale.config",
    "PropertiesCase": "multiscale.config",
    "load_case": "multiscale.config",
    "Progress": "multiscale.progress",
    "AdhesionResult": "multiscale.studies.adhesion",
    "DefectResult": "multiscale.studies.defect",
    "EmbeddingResult": "multiscale.studies.embedding",
    "FractureResult": "multiscale.studies.fracture_state",
    "ContactResult": "multiscale.studies.contact",
    "run_contact": "multiscale.studies.contact",
    "run_defect": "multiscale.studies.defect",
    "run_embedding": "multiscale.studies.embedding",
    "run_fracture": "multiscale.studies.fracture",
    "PropertiesResult": "multiscale.studies.properties",
    "run_properties": "multiscale.studies.properties",
    "predict": "multiscale.studies.adhesion",
    "run_adhesion": "multiscale.studies.adhesion",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'multiscale' has no attribute {name!r}; it offers {', '.join(__all__)}")
    return getattr(importlib.import_module(_HOMES[name]), name)
