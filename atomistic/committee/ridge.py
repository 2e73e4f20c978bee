"""Ridge regression in closed form: rows of energies, forces and stresses, and how strongly to hold weights back.

With rows a (m, d) and targets y (m,), both over the noise that is allowed for each, w = (aᵀa + λ1)⁻¹aᵀy minimises
|aw − y|² + λ|w|². λ is chosen by leaving groups of frames out, never single rows: the rows of one frame know each other. Of all
λ whose misfit there is within one standard error of the least, the largest is taken (Breiman, Friedman, Olshen and Stone 1984):
heads meet structures beyond their data, where small penalties do harm that frames left out cannot show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, eigh

from atomistic.errors import CommitteeError

Array = NDArray[np.float64]

#: The penalties that are tried, relative to the mean diagonal of aᵀa.
_PENALTIES = 10.0 ** np.arange(-10.0, 2.5, 0.5)


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The rows of one frame.

    Attributes:
        matrix: (m, d), over the noise.
        target: (m,), over the noise.
    """

    matrix: Array
    target: Array

    def normal(self) -> tuple[Array, Array]:
        """Return aᵀa (d, d) and aᵀy (d,)."""
        return self.matrix.T @ self.matrix, self.matrix.T @ self.target


@dataclass(frozen=True, kw_only=True)
class RidgeFit:
    """A fit of all frames.

    Attributes:
        weights: (d,).
        penalty: λ.
        noise: root mean square of y − aw on frames left out; 1 where the noise allowed for is met.
        hessian: aᵀa + λ1 (d, d).
    """

    weights: Array
    penalty: float
    noise: float
    hessian: Array


def fit_ridge(frames: Sequence[Rows], *, folds: int = 5) -> RidgeFit:
    """Fit all frames, with the largest penalty that frames left out do not speak against.

    Args:
        frames: rows of each frame.
        folds: groups of frames, left out one after the other; at most one for each frame.

    Raises:
        CommitteeError: fewer than two frames, or no row at all.
    """
    if len(frames) < 2:
        raise CommitteeError(
            f"Heads need at least two labelled frames, so that one can test the other; got {len(frames)}. Label more."
        )
    count = min(folds, len(frames))
    groups = [list(range(len(frames)))[k::count] for k in range(count)]
    normals = [_summed([frames[i] for i in group]) for group in groups]
    gram = np.sum([n[0] for n in normals], axis=0)
    pull = np.sum([n[1] for n in normals], axis=0)
    scale = float(np.trace(gram)) / len(gram)
    if not scale > 0.0:
        raise CommitteeError(
            "The frames hold nothing that heads could learn from: no energy, force or stress changes them."
        )
    lost = np.concatenate(
        [
            _left_out([frames[i] for i in group], gram - own_gram, pull - own_pull, scale)
            for group, (own_gram, own_pull) in zip(groups, normals, strict=True)
        ]
    )
    chosen = _largest_within_error(lost)
    penalty = float(_PENALTIES[chosen] * scale)
    hessian = gram + penalty * np.eye(len(gram))
    rows = sum(len(frame.target) for frame in frames)
    return RidgeFit(
        weights=cho_solve(cho_factor(hessian), pull),
        penalty=penalty,
        noise=float(np.sqrt(lost[:, chosen].sum() / rows)),
        hessian=hessian,
    )


def refit(frames: Sequence[Rows], *, penalty: float, shares: Array, kept: NDArray[np.bool_]) -> Array:
    """Return the weights (d,) of a fit in which each frame counts by its share and only some features are used.

    Args:
        frames: rows of each frame.
        penalty: λ.
        shares: (frames,), how much each counts.
        kept: (d,) bool; the weights of the others are zero.
    """
    d = len(kept)
    gram, pull = np.zeros((d, d)), np.zeros(d)
    for share, frame in zip(shares, frames, strict=True):
        own_gram, own_pull = frame.normal()
        gram += share * own_gram
        pull += share * own_pull
    weights = np.zeros(d)
    chosen = np.ix_(kept, kept)
    weights[kept] = cho_solve(cho_factor(gram[chosen] + penalty * np.eye(int(kept.sum()))), pull[kept])
    return weights


def _summed(frames: Sequence[Rows]) -> tuple[Array, Array]:
    matrix = np.concatenate([frame.matrix for frame in frames])
    return matrix.T @ matrix, matrix.T @ np.concatenate([frame.target for frame in frames])


def _left_out(frames: Sequence[Rows], gram: Array, pull: Array, scale: float) -> Array:
    """Sums of squares on these frames (frames, penalties) of fits to all others: one eigenvalue problem serves them all."""
    values, vectors = eigh(gram)
    turned = vectors.T @ pull
    solutions = vectors @ (turned[:, None] / (np.maximum(values, 0.0)[:, None] + _PENALTIES * scale))
    return np.array([np.sum((f.matrix @ solutions - f.target[:, None]) ** 2, axis=0) for f in frames])


def _largest_within_error(lost: Array) -> int:
    """The largest penalty whose misfit, of frames by penalties, is within one standard error of the least."""
    sums = lost.sum(axis=0)
    best = int(np.argmin(sums))
    error = np.sqrt(len(lost)) * lost[:, best].std(ddof=1)
    return int(np.flatnonzero(sums <= sums[best] + error)[-1])
