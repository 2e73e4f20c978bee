"""Mistakes of units and signs that errors betray, told instead of left to be found."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from atomistic.label_keys import FORCE_UNITS, STRESS_UNITS
from atomistic.validation.metrics import Comparison

#: Correlation from which two sets of numbers are the same thing in other units.
_ALIKE = 0.9
#: How far the factor between them may lie from that of a unit, in parts.
_WITHIN = 0.2


def suspicions(comparisons: Mapping[str, Comparison], sizes: np.ndarray) -> list[str]:
    """Return what looks like another unit, sign or normalisation than it is taken for, one sentence each.

    A reference that is proportional to the prediction with the factor of another unit, or of the other sign, is hardly an
    error of the potential.

    Args:
        comparisons: of `compare`.
        sizes: (frames,) numbers of atoms.
    """
    found = []
    if "forces" in comparisons:
        found += _proportional(comparisons["forces"], "forces", FORCE_UNITS, "gradients of the energy, −F")
    if "stress" in comparisons:
        found += _proportional(
            comparisons["stress"], "stresses", STRESS_UNITS, "positive in compression, as VASP writes them"
        )
    if "energy" in comparisons:
        found += _normalisation(comparisons["energy"], sizes)
    return found


def _proportional(comparison: Comparison, what: str, units: Mapping[str, float], reversed_: str) -> list[str]:
    """Compare the factor between reference and prediction with those of units and signs."""
    reference, predicted = comparison.reference.ravel(), comparison.predicted.ravel()
    norm, other = float(predicted @ predicted), float(reference @ reference)
    if norm <= 0.0 or other <= 0.0:
        return []
    product = float(reference @ predicted)
    if abs(product) / np.sqrt(norm * other) < _ALIKE:
        return []
    factor = product / norm
    sign = "" if factor > 0.0 else reversed_
    nearest = min(units, key=lambda name: abs(np.log(abs(factor) * units[name])))
    unit = nearest if units[nearest] != 1.0 and abs(abs(factor) * units[nearest] - 1.0) < _WITHIN else ""
    if not sign and not unit:
        return []
    guesses = " and ".join(part for part in (f"in {unit}" if unit else "", sign) if part)
    return [
        f"the reference {what} are {factor:.4g} times the potential's (correlation {product / np.sqrt(norm * other):.3f}): they "
        f"look as if they were {guesses}. Read them with the right unit and sign"
    ]


def _normalisation(comparison: Comparison, sizes: np.ndarray) -> list[str]:
    """Find energies per atom that are taken for energies of all atoms."""
    n = np.asarray(sizes, dtype=float)[comparison.frame]
    reference, predicted = comparison.reference[:, 0], comparison.predicted[:, 0]
    if len(n) < 2 or np.all(n == 1.0):
        return []
    as_total = np.abs(reference - predicted).mean()
    as_per_atom = np.abs(reference * n - predicted).mean()
    if as_per_atom < 0.05 * as_total:
        return ["the reference energies look like energies per atom; expected is the energy of all atoms of a frame"]
    return []
