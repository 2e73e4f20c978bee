"""Faster fixed points x = f(x) from the iterates alone: Aitken's relaxation and Anderson's multi-secant method.

Both see an iteration as pairs (x, f(x)) and answer with the next x; neither knows what is iterated. They hold no state but
the last pairs, work on arrays of any shape, and give the same answer on every rank that gives them the same pairs.

At a standstill they do not raise, as only the caller knows how small a residual is small enough: `stagnated` says that the
last `patience` residuals brought no better one, and the memory has then been emptied, once each time, so that the next step
is the plain relaxed one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque

import numpy as np
from numpy.typing import ArrayLike, NDArray

from coupling.errors import CouplingError

Array = NDArray[np.float64]


class Acceleration(ABC):
    """What the methods share: residuals, the best of them, and the way back when they grow.

    Args:
        damping: ω of the plain step x + ω (f(x) − x), in (0, 1].
        growth: factor on the smallest residual since the last restart beyond which the method returns to the iterate that
            gave it, empties its memory and takes half the plain step from there.
        patience: calls without a smaller residual that count as a standstill.

    Attributes:
        residuals: ‖f(x) − x‖ of every call.
        restarts: how often the memory was emptied.
        stagnated: the last `patience` calls brought no smaller residual.
    """

    def __init__(self, *, damping: float = 1.0, growth: float = 10.0, patience: int = 10) -> None:
        if not 0 < damping <= 1:
            raise CouplingError(f"damping = {damping!r}: expected a factor above 0, at most 1")
        if not growth > 1 or patience < 1:
            raise CouplingError(f"growth = {growth!r}, patience = {patience!r}: expected above 1 and at least 1")
        self.damping, self.growth, self.patience = damping, growth, patience
        self.residuals: list[float] = []
        self.restarts, self.stagnated = 0, False
        self._scale, self._idle = 1.0, 0
        self._best: tuple[float, Array, Array] | None = None

    def next(self, x: ArrayLike, fx: ArrayLike) -> Array:
        """The next iterate, of x's shape, from x and f(x).

        Raises:
            CouplingError: two shapes, or a number that is not finite.
        """
        point, image = np.asarray(x, dtype=float), np.asarray(fx, dtype=float)
        if point.shape != image.shape or not np.isfinite(point).all() or not np.isfinite(image).all():
            raise CouplingError(
                f"x of shape {point.shape} and f(x) of shape {image.shape}: expected one shape and finite numbers; the map "
                "that is iterated has failed"
            )
        shape, p, r = point.shape, point.ravel().copy(), (image - point).ravel()
        size = float(np.linalg.norm(r))
        self.residuals.append(size)
        if self._best is None or size < self._best[0]:
            self._best, self._idle, self.stagnated = (size, p, r), 0, False
        else:
            self._idle += 1
        if size > self.growth * self._best[0] > 0.0:
            return self._retreat().reshape(shape)
        if self._idle >= self.patience:
            self.stagnated, self._idle = True, 0
            self._empty()
        return self._step(p, r).reshape(shape)

    def restart(self) -> None:
        """Forget everything but the count of residuals: for another load, or another map."""
        self._empty()
        self._best, self._scale, self._idle, self.stagnated = None, 1.0, 0, False

    def _retreat(self) -> Array:
        """Half the plain step from the best iterate, and half of that the next time."""
        assert self._best is not None
        self._empty()
        self._scale = max(0.5 * self._scale, 1e-3)
        _, p, r = self._best
        return p + self._scale * self.damping * r

    def _empty(self) -> None:
        self.restarts += 1
        self._forget()

    @abstractmethod
    def _forget(self) -> None:
        """Empty the memory of pairs."""

    @abstractmethod
    def _step(self, p: Array, r: Array) -> Array:
        """The next iterate from a flat one and its residual."""


class Relaxation(Acceleration):
    """x + ω (f(x) − x): plain iteration, for comparison."""

    def _forget(self) -> None:
        pass

    def _step(self, p: Array, r: Array) -> Array:
        return p + self._scale * self.damping * r


class Aitken(Acceleration):
    """Aitken's Δ² for vectors: one relaxation factor, renewed each time (Irons and Tuck 1969; Küttler and Wall 2008).

    ω_{k+1} = −ω_k r_k·(r_{k+1} − r_k) / |r_{k+1} − r_k|², x_{k+1} = x_k + ω r. Exact for one unknown, and negative where
    the map overshoots outward. Where two residuals are the same to rounding the factor is kept.

    Args:
        damping: the first factor.
        smallest: of |ω|: below it the iteration would stand still.
        largest: of |ω|.
        growth: see `Acceleration`.
        patience: see `Acceleration`.
    """

    def __init__(
        self,
        *,
        damping: float = 1.0,
        smallest: float = 1e-3,
        largest: float = 1e3,
        growth: float = 1e3,
        patience: int = 10,
    ) -> None:
        super().__init__(damping=damping, growth=growth, patience=patience)
        if not 0 < smallest <= largest:
            raise CouplingError(f"smallest = {smallest!r}, largest = {largest!r}: expected 0 < smallest <= largest")
        self.smallest, self.largest = smallest, largest
        self.factor = damping
        self._last: Array | None = None

    def _forget(self) -> None:
        self._last, self.factor = None, self.damping

    def _step(self, p: Array, r: Array) -> Array:
        if self._last is None:
            self.factor = self._scale * self.damping
        else:
            change = r - self._last
            square = float(change @ change)
            if square > (1e-14 * float(np.linalg.norm(r))) ** 2:
                factor = -self.factor * float(self._last @ change) / square
                self.factor = float(np.copysign(np.clip(abs(factor), self.smallest, self.largest), factor))
        self._last = r
        return p + self.factor * r


class Anderson(Acceleration):
    """Anderson's acceleration, type II: the interface quasi-Newton method with an inverse least-squares Jacobian.

    With the last m differences ΔX, ΔR of iterates and residuals, γ minimises |r − ΔR γ|² + λ²|γ|² and
    x_{k+1} = x + ω r − (ΔX + ω ΔR) γ (Anderson 1965, J. ACM 12, 547; Walker and Ni 2011, SIAM J. Numer. Anal. 49, 1715;
    Degroote, Bathe and Vierendeels 2009). Columns of ΔR are scaled to length one; older ones that depend on newer ones to
    `filter` are dropped for good. On a linear problem of n unknowns with m ≥ n the n + 1st answer solves it.

    Args:
        depth: m, how many differences are kept.
        damping: ω.
        regularisation: λ, for columns of length one; raise it (1e-3) where residuals are noisy, as with float32 potentials.
        filter: part of a column that must be new.
        growth: see `Acceleration`.
        patience: see `Acceleration`.
    """

    def __init__(
        self,
        *,
        depth: int = 8,
        damping: float = 1.0,
        regularisation: float = 1e-12,
        filter: float = 1e-8,
        growth: float = 1e3,
        patience: int = 20,
    ) -> None:
        super().__init__(damping=damping, growth=growth, patience=patience)
        if depth < 1 or not regularisation >= 0 or not 0 <= filter < 1:
            raise CouplingError(
                f"depth = {depth!r}, regularisation = {regularisation!r}, filter = {filter!r}: expected at least 1, at least "
                "0, and from 0 to below 1"
            )
        self.depth, self.regularisation, self.filter = depth, regularisation, filter
        # Newest first: differences of iterates and of residuals.
        self._pairs: deque[tuple[Array, Array]] = deque(maxlen=depth)
        self._last: tuple[Array, Array] | None = None

    @property
    def columns(self) -> int:
        """Differences in use."""
        return len(self._pairs)

    def _forget(self) -> None:
        self._pairs.clear()
        self._last = None

    def _step(self, p: Array, r: Array) -> Array:
        if self._last is not None:
            self._pairs.appendleft((p - self._last[0], r - self._last[1]))
        self._last = (p, r)
        damping = self._scale * self.damping
        basis, upper = self._independent()
        if not self._pairs:
            return p + damping * r
        n = len(self._pairs)
        stacked = np.concatenate([upper, self.regularisation * np.eye(n)])
        gamma = np.linalg.lstsq(stacked, np.concatenate([basis.T @ r, np.zeros(n)]), rcond=None)[0]
        step = p + damping * r
        for (dx, dr), g in zip(self._pairs, gamma, strict=True):
            step -= g / np.linalg.norm(dr) * (dx + damping * dr)
        return step

    def _independent(self) -> tuple[Array, Array]:
        """Drop dependent columns; orthonormal basis (n, k) of the rest and their coefficients (k, k), upper triangular."""
        kept: list[tuple[Array, Array]] = []
        basis: list[Array] = []
        upper = np.zeros((len(self._pairs), len(self._pairs)))
        for dx, dr in self._pairs:
            length = float(np.linalg.norm(dr))
            if not length > 0.0:
                continue
            column, k = dr / length, len(basis)
            # Twice is enough for orthogonality to rounding.
            for _ in range(2):
                for j, q in enumerate(basis):
                    share = float(q @ column)
                    upper[j, k] += share
                    column = column - share * q
            rest = float(np.linalg.norm(column))
            if not rest > self.filter:
                upper[:, k] = 0.0
                continue
            upper[k, k] = rest
            basis.append(column / rest)
            kept.append((dx, dr))
        self._pairs = deque(kept, maxlen=self.depth)
        k = len(kept)
        return np.array(basis).T, upper[:k, :k]
