"""How far the members of a committee are apart: the exact measure, and cheap bounds that often make it unnecessary.

The measure is max over atoms of max over pairs |F_k,i − F_l,i|. With s_i² = Σ_k |F_k,i − F̄_i|²/(K − 1) the mean over pairs of
|F_k,i − F_l,i|² is 2 s_i², and no pair can exceed 2(K − 1) s_i²: the largest of them lies between √2 s_i and √(2(K − 1)) s_i.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from atomistic.errors import CommitteeError

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Disagreement:
    """How far members' forces are apart, exactly.

    Attributes:
        per_atom: (n,), the largest |F_k,i − F_l,i| over pairs of members, eV/Å.
        largest: of all atoms that count, eV/Å.
        atom: where.
        pair: the two members that are farthest apart there.
    """

    per_atom: Array
    largest: float
    atom: int
    pair: tuple[int, int]


def disagreement(forces: ArrayLike, *, judged: ArrayLike | None = None) -> Disagreement:
    """Return the exact disagreement of members' forces.

    Args:
        forces: (K, n, 3), eV/Å.
        judged: (n,) bool, the atoms whose disagreement counts in `largest`; all by default.

    Raises:
        CommitteeError: fewer than two members, shapes that don't fit, no atom judged, or forces that are not finite.
    """
    f = _checked(forces)
    mask = _mask(judged, f.shape[1])
    rows, columns = np.triu_indices(len(f), 1)
    squares = np.zeros((len(rows), f.shape[1]))
    for p, (k, m) in enumerate(zip(rows, columns, strict=True)):
        squares[p] = np.sum((f[k] - f[m]) ** 2, axis=1)
    per_atom = np.sqrt(squares.max(axis=0))
    atom = int(np.argmax(np.where(mask, per_atom, -1.0)))
    pair = int(np.argmax(squares[:, atom]))
    return Disagreement(
        per_atom=per_atom, largest=float(per_atom[atom]), atom=atom, pair=(int(rows[pair]), int(columns[pair]))
    )


def force_spread(forces: ArrayLike) -> Array:
    """Return s (n,), eV/Å, with s_i² = Σ_k |F_k,i − F̄_i|²/(K − 1)."""
    f = _checked(forces)
    spread: Array = np.sqrt(np.sum((f - f.mean(axis=0)) ** 2, axis=(0, 2)) / (len(f) - 1))
    return spread


def disagreement_bounds(spread: ArrayLike, members: int) -> tuple[Array, Array]:
    """Return the lower and upper bounds √2 s and √(2(K − 1)) s of the disagreement, both (n,), eV/Å."""
    s = np.asarray(spread, dtype=float)
    return np.sqrt(2.0) * s, np.sqrt(2.0 * (members - 1)) * s


def exceeds(forces: ArrayLike, threshold: float, *, judged: ArrayLike | None = None) -> tuple[bool, bool]:
    """Tell whether the disagreement of any atom exceeds a threshold: exactly, by bounds where they decide.

    Args:
        forces: (K, n, 3), eV/Å.
        threshold: eV/Å.
        judged: (n,) bool, the atoms that count; all by default.

    Returns:
        The answer, and whether pairs had to be compared for it.
    """
    f = _checked(forces)
    mask = _mask(judged, f.shape[1])
    lower, upper = disagreement_bounds(force_spread(f)[mask], len(f))
    if np.any(lower > threshold):
        return True, False
    open_ = upper > threshold
    if not np.any(open_):
        return False, False
    return disagreement(f[:, np.flatnonzero(mask)[open_]]).largest > threshold, True


def _checked(forces: ArrayLike) -> Array:
    f = np.asarray(forces, dtype=float)
    if f.ndim != 3 or f.shape[2] != 3 or len(f) < 2 or f.shape[1] == 0:
        raise CommitteeError(
            f"Expected forces of at least two members on at least one atom, (K, n, 3); got shape {f.shape}."
        )
    if not np.all(np.isfinite(f)):
        member, atom = np.argwhere(~np.isfinite(f))[0][:2]
        raise CommitteeError(f"Member {member} gives a force on atom {atom} that is not a finite number.")
    return f


def _mask(judged: ArrayLike | None, count: int) -> NDArray[np.bool_]:
    if judged is None:
        return np.ones(count, dtype=bool)
    mask = np.asarray(judged)
    if mask.shape != (count,) or mask.dtype != bool or not mask.any():
        raise CommitteeError(
            f"The atoms judged are a mask of {count} values with at least one true; got shape {mask.shape} of "
            f"{mask.dtype}, {int(np.count_nonzero(mask))} true."
        )
    return mask
