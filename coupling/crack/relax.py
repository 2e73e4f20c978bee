"""Falling to a stable equilibrium from afar: damped momentum, preconditioned, along the blended forces.

Blended forces have no energy, but they are a gradient but for a small part: v ← a v − b K⁻¹r, u ← u + v, with v forgotten where
it leads up (as FIRE does; Bitzek et al. 2006). Equilibria that are saddles are left by themselves.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from atomistic.errors import CauchyBornError, EvaluationError
from coupling.crack.harmonic import HarmonicTangent
from coupling.crack.method import CrackForces

Array = NDArray[np.float64]
#: Memory of the last step, share of the preconditioned force, largest displacement of a step (Å).
_MEMORY, _SHARE, _LARGEST = 0.85, 0.5, 0.2
#: Forces that grow by this much in one step say that it went too far.
_WILD = 4.0
#: With forces beyond this, in those at first or in eV/Å, a crack has run out of the atoms and elements meet what they cannot
#: describe.
_LOST = 10.0
#: Steps after which springs may break or heal.
_RENEWAL = 5
#: What an evaluation raises where there is no crystal any more.
BREAKDOWNS = (CauchyBornError, EvaluationError)


def fall(
    method: CrackForces,
    u: Array,
    *,
    force: float,
    max_calls: int = 300,
    springs: HarmonicTangent | None = None,
    report: Callable[[int, float], None] | None = None,
) -> tuple[Array, float]:
    """Go down from a state until the largest force is small, or calls run out.

    Args:
        method: blended forces.
        u: (rows, 3), prescribed displacements included.
        force: eV/Å.
        max_calls: of the potential.
        springs: precondition with these, broken and healed on the way; by default with elements.
        report: called with (iteration, largest force).

    Returns:
        Where it came to, and the largest force there, eV/Å.
    """
    factor, free = springs or method.preconditioner(u), method.free
    velocity, reach, first = np.zeros(method.shape), _LARGEST, 0.0
    residual = np.where(free, method.evaluate(u).residual, 0.0)
    for iteration in range(max_calls):
        size = float(np.abs(residual).max())
        if report is not None:
            report(iteration, size)
        first = size if iteration == 0 else first
        if size <= force or size > _LOST * max(first, 1.0):
            break
        if float(np.sum(residual * velocity)) > 0.0:
            velocity[:] = 0.0
        if springs is not None and iteration % _RENEWAL == 0:
            springs.update(u)
        velocity = _MEMORY * velocity - _SHARE * factor.solve(residual)
        largest = float(np.abs(velocity).max())
        ahead = u + velocity * min(1.0, reach / max(largest, 1e-300))
        there = _residual(method, ahead, free)
        if there is None or np.abs(there).max() > _WILD * max(size, _WILD * force):
            # Too far: less at a time, from where it was.
            velocity, reach = np.zeros(method.shape), 0.5 * min(reach, largest)
            continue
        u, residual = ahead, there
    return u, float(np.abs(residual).max())


def _residual(method: CrackForces, u: Array, free: NDArray[np.bool_]) -> Array | None:
    """Forces on the unknowns; None where there is no crystal any more."""
    try:
        found = np.where(free, method.evaluate(u).residual, 0.0)
    except BREAKDOWNS:
        return None
    return found if np.isfinite(found).all() else None
