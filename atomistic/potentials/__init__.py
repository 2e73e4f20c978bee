"""Potentials: one call that turns a name, a file or an import path into a counted ASE calculator."""

from atomistic.potentials.base import CallCounter, Capabilities, Evaluation, Potential, WeightedEvaluation
from atomistic.potentials.imported import as_potential
from atomistic.potentials.registry import PotentialInfo, available_potentials, load_potential

__all__ = [
    "CallCounter",
    "Capabilities",
    "Evaluation",
    "Potential",
    "PotentialInfo",
    "WeightedEvaluation",
    "as_potential",
    "available_potentials",
    "load_potential",
]
