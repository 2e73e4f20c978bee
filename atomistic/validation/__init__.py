"""How good a potential is on data that somebody trusts: errors, what a committee's doubt is worth, a contract of accuracy."""

from __future__ import annotations

from atomistic.validation.calibration import Calibration, calibration, rank_correlation, threshold_catching
from atomistic.validation.contract import Contract, ContractResult, ContractRow
from atomistic.validation.metrics import Comparison, DoubtMetrics, ErrorStatistics, MetricRow, Metrics
from atomistic.validation.predictions import Prediction, predict
from atomistic.validation.shifts import EnergyShifts, ShiftChoice, energy_shifts
from atomistic.validation.validation import Validation, validate

__all__ = [
    "Calibration",
    "Comparison",
    "Contract",
    "ContractResult",
    "ContractRow",
    "DoubtMetrics",
    "EnergyShifts",
    "ErrorStatistics",
    "MetricRow",
    "Metrics",
    "Prediction",
    "ShiftChoice",
    "Validation",
    "calibration",
    "energy_shifts",
    "predict",
    "rank_correlation",
    "threshold_catching",
    "validate",
]
