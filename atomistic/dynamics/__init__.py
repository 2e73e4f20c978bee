"""Molecular dynamics for forces that conserve nothing, and what a run says about drift and means, with intervals."""

from atomistic.dynamics.adaptive_langevin import AdaptiveLangevin, ThermostatState
from atomistic.dynamics.estimates import Drift, Estimate, energy_drift, mean_estimate, trend_estimate
from atomistic.dynamics.shadow import ShadowEnergy

__all__ = [
    "AdaptiveLangevin",
    "Drift",
    "Estimate",
    "ShadowEnergy",
    "ThermostatState",
    "energy_drift",
    "mean_estimate",
    "trend_estimate",
]
