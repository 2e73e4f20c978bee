"""Traction–separation laws, one class a file."""

from continuum.laws.base import CohesiveLaw, EffectiveLaw, LawResponse
from continuum.laws.bilinear import BilinearLaw
from continuum.laws.exponential import ExponentialLaw
from continuum.laws.tabulated import TabulatedLaw
from continuum.laws.uber import UberLaw

__all__ = ["BilinearLaw", "CohesiveLaw", "EffectiveLaw", "ExponentialLaw", "LawResponse", "TabulatedLaw", "UberLaw"]
