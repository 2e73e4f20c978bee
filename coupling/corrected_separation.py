"""A separation curve whose end is known better than its course: from quantum energies of the closed and the open interface.

Single points at the two ends of a potential's curve φ(Δ) give the corrected work of separation W' = W + c, with c the difference
that E_QM(C) − E_ML(C) makes between open and closed. In between, the correction c s(Δ) needs a function that rises smoothly and
monotonically from 0 to 1 where the interface opens, and knows nothing that the points do not say. With the potential's own
s = φ/W,

    φ'(Δ) = φ(Δ) + c φ(Δ)/W = (W'/W) φ(Δ),        T'(Δ) = (W'/W) T(Δ):

energies and tractions grow by one factor, openings stay. This is how machine-learned potentials that were fitted near equilibria
err: their whole energy surface is too flat by about one factor (systematic softening; Deng et al. 2025, npj Comput. Mater. 11,
9). The other one-parameter rule, universal binding at a fixed first stiffness (Rose, Smith and Ferrante 1983: energies by r =
W'/W, openings by √r), is right for potentials that err in the range of their forces; docs/embedding_interface.md holds both
against a quantum point in the middle.

The first stiffness grows by W'/W too. Where it passes that of the crystal in the finite elements, the law's extraction bounds it
and says so.
"""

from __future__ import annotations

from dataclasses import replace
from math import isfinite

from atomistic.curves import SeparationCurve
from coupling.errors import CouplingError


def rescale_separation(curve: SeparationCurve, work: float) -> SeparationCurve:
    """Return a curve with another work of separation: energies and tractions times W'/W, openings as they are.

    Args:
        curve: of a potential.
        work: W' at full separation, eV/Å².

    Raises:
        CouplingError: a work of separation, given or of the curve, that is not positive: nothing holds the interface.
    """
    for name, value in (("corrected", work), ("curve's own", curve.work_of_separation)):
        if not (isfinite(value) and value > 0.0):
            raise CouplingError(
                f"the {name} work of separation is {value:.4g} eV/Å²: a law needs a positive one. With an impurity this says "
                "that the interface comes apart by itself; lower its coverage (impurity.repeat)"
            )
    ratio = work / curve.work_of_separation
    return replace(
        curve,
        energy=ratio * curve.energy,
        traction=ratio * curve.traction,
        work_of_separation=work,
        work_of_separation_relaxed=None,
        noise=ratio * curve.noise,
    )
