"""What a person launches: case files, studies, run directories, reports, and the command line.

A driver script needs two names of a study:

    from multiscale import AdhesionCase, run_adhesion

    case = AdhesionCase(potential="sevennet-0", crystal={"element": "Al", "structure": "fcc"}, ...)
    result = run_adhesion(case, directory="runs/al")

or `DefectCase` and `run_defect`, `FractureCase` and `run_fracture`, `ContactCase` and `run_contact`, `EmbeddingCase` and
`run_embedding`.

They are imported when first used, so that the command line starts at once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiscale.config import AdhesionCase, ContactCase, DefectCase, EmbeddingCase, FractureCase, load_case
    from multiscale.progress import Progress
    from multiscale.studies.adhesion import AdhesionResult, predict, run_adhesion
    from multiscale.studies.contact import ContactResult, run_contact
    from multiscale.studies.defect import DefectResult, run_defect
    from multiscale.studies.embedding import EmbeddingResult, run_embedding
    from multiscale.studies.fracture import run_fracture
    from multiscale.studies.fracture_state import FractureResult

__all__ = [
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
    "load_case",
    "predict",
    "run_adhesion",
    "run_contact",
    "run_defect",
    "run_embedding",
    "run_fracture",
]

_HOMES = {
    "AdhesionCase": "multiscale.config",
    "ContactCase": "multiscale.config",
    "DefectCase": "multiscale.config",
    "EmbeddingCase": "multiscale.config",
    "FractureCase": "multiscale.config",
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
    "predict": "multiscale.studies.adhesion",
    "run_adhesion": "multiscale.studies.adhesion",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'multiscale' has no attribute {name!r}; it offers {', '.join(__all__)}")
    return getattr(importlib.import_module(_HOMES[name]), name)
