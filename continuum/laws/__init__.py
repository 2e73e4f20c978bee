"""Traction–separation laws, one class a file."""

from continuum.laws.alfano_sacco import AlfanoSaccoLaw
from continuum.laws.base import CohesiveLaw, EffectiveLaw, LawResponse
from continuum.laws.bilinear import BilinearLaw
from continuum.laws.coupled import CoupledTableLaw
from continuum.laws.dugdale_maugis import DugdaleMaugisLaw
from continuum.laws.exponential import ExponentialLaw
from continuum.laws.frictionless import FrictionlessLaw
from continuum.laws.gamma_surface import GammaSurfaceLaw
from continuum.laws.lennard_jones import LennardJonesLaw
from continuum.laws.mixed_bilinear import MixedBilinearLaw
from continuum.laws.n_plane import NPlaneLaw
from continuum.laws.park_paulino_roesler import ParkPaulinoRoeslerLaw
from continuum.laws.potential import PotentialLaw
from continuum.laws.secant import SecantLaw, SymbolicSecantLaw
from continuum.laws.tabulated import TabulatedLaw
from continuum.laws.trapezoidal import TrapezoidalLaw
from continuum.laws.uber import UberLaw
from continuum.laws.van_den_bosch import VanDenBoschLaw
from continuum.laws.xu_needleman import XuNeedlemanLaw

__all__ = [
    "AlfanoSaccoLaw",
    "BilinearLaw",
    "CohesiveLaw",
    "CoupledTableLaw",
    "DugdaleMaugisLaw",
    "EffectiveLaw",
    "ExponentialLaw",
    "FrictionlessLaw",
    "GammaSurfaceLaw",
    "LawResponse",
    "LennardJonesLaw",
    "MixedBilinearLaw",
    "NPlaneLaw",
    "ParkPaulinoRoeslerLaw",
    "PotentialLaw",
    "SecantLaw",
    "SymbolicSecantLaw",
    "TabulatedLaw",
    "TrapezoidalLaw",
    "UberLaw",
    "VanDenBoschLaw",
    "XuNeedlemanLaw",
]
