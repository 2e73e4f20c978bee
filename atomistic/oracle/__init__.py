"""Quantum engines: the one place where they are loaded, retried when they fail, and their results kept."""

from atomistic.oracle.base import Outcome
from atomistic.oracle.cache import ResultCache
from atomistic.oracle.calculator import OracleCalculator, OracleRecord
from atomistic.oracle.registry import EngineInfo, available_engines, load_oracle

__all__ = [
    "EngineInfo",
    "OracleCalculator",
    "OracleRecord",
    "Outcome",
    "ResultCache",
    "available_engines",
    "load_oracle",
]
