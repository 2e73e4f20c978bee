"""Quantum engines: the one place where they are loaded, retried when they fail, and their results kept."""

from atomistic.oracle.base import Outcome
from atomistic.oracle.cache import ResultCache
from atomistic.oracle.calculator import OracleCalculator, OracleRecord
from atomistic.oracle.excerpt import Excerpt
from atomistic.oracle.labels import is_cut, label, provenance_of
from atomistic.oracle.registry import EngineInfo, available_engines, load_oracle

__all__ = [
    "EngineInfo",
    "Excerpt",
    "OracleCalculator",
    "OracleRecord",
    "Outcome",
    "ResultCache",
    "available_engines",
    "is_cut",
    "label",
    "load_oracle",
    "provenance_of",
]
