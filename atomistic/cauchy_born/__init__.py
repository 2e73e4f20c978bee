"""The continuum of a crystal from the very potential that drives its atoms: W(F), P(F) and ∂P/∂F (Cauchy–Born)."""

from atomistic.cauchy_born.base import CauchyBorn
from atomistic.cauchy_born.checks import CrystalMatch, check_same_crystal
from atomistic.cauchy_born.choice import cauchy_born
from atomistic.cauchy_born.evaluated import EvaluatedCauchyBorn
from atomistic.cauchy_born.expanded import ExpandedCauchyBorn, expand_cauchy_born
from atomistic.cauchy_born.linear import LinearCauchyBorn

__all__ = [
    "CauchyBorn",
    "CrystalMatch",
    "EvaluatedCauchyBorn",
    "ExpandedCauchyBorn",
    "LinearCauchyBorn",
    "cauchy_born",
    "check_same_crystal",
    "expand_cauchy_born",
]
