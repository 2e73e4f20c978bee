"""Cracks: atoms at the tip, finite elements from there to the grips, followed through the breaking of bonds."""

from coupling.crack.build import UnitLoad, couple_crack, grip_load, intensity_load
from coupling.crack.follow import follow
from coupling.crack.harmonic import HarmonicTangent
from coupling.crack.method import CrackForces
from coupling.crack.model import CrackModel
from coupling.crack.options import FollowOptions
from coupling.crack.path import CrackSolver
from coupling.crack.state import CrackState
from coupling.crack.tangent import CrackTangent

__all__ = [
    "CrackForces",
    "CrackModel",
    "CrackSolver",
    "CrackState",
    "CrackTangent",
    "FollowOptions",
    "HarmonicTangent",
    "UnitLoad",
    "couple_crack",
    "follow",
    "grip_load",
    "intensity_load",
]
