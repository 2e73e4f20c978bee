"""Atoms that are no lattice sites, at rest among those that are: x*(y) with ∂E/∂x(y, x*) = 0.

An interstitial atom has no node and no place in the continuum. Its places x are therefore no unknowns of the handshake but a
function of the sites' places y, found anew in every evaluation. At rest, the envelope theorem (Danskin 1966) gives

    d/dy E(y, x*(y)) = ∂E/∂y(y, x*),

so nothing of x* need be differentiated. A force τ that is left on x costs |∂²E/∂y∂x| |∂²E/∂x²|⁻¹ τ, about τ, in the gradient, and
τ²/2k in the energy: within that, the evaluation is a function of y as long as x stays in one basin of E(y, ·).

*Which basin* is the one thing that y does not say. A search begins where the nearest of the last evaluations in y has ended,
moved along with the neighbours, so that trial steps of a line search that go far do not decide for the next one near. The states
kept are an object of their own that can be taken and put back (`snapshot`, `restore`).

Rounds: x comes to rest on a surrogate, the local cluster by the potential alone, to which the difference of the whole's force is
added as a linear function of x; then the whole is evaluated once and that function updated (symmetric rank one; Conn, Gould and
Toint 1991). Whatever the surrogate lacks, the quantum engine's own part for example, is in the difference, which changes little
from one evaluation to the next: one round is the rule. A round that raises the energy is taken back and its length halved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atomistic.errors import EvaluationError
from coupling.errors import EmbeddingError

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
#: Gives ∂E/∂x (m, 3) of the surrogate at places y (n, 3) of the sites and x (m, 3) of the extra atoms.
Surrogate = Callable[[Array, Array], Array]
#: Gives E and its gradient (n + m, 3) of the whole at x (m, 3).
Whole = Callable[[Array], tuple[float, Array]]

#: Stiffness (eV/Å²) of an extra atom before anything is known of it, and the least that a step is divided by.
_STIFF, _SOFT = 10.0, 0.5
#: Farthest that an extra atom goes in one step of a search and in one round of it, Å.
_STEP, _ROUND = 0.1, 0.4
#: A step shorter than this share of the round's farthest is none: the surrogate pushes against the bound.
_STILL = 1e-6
#: An update whose curvature is a smaller share of its own size than this is left out.
_SAFE = 1e-2
#: The surrogate is brought to rest to this share of the tolerance, in so many calls.
_FINER, _LOCAL_CALLS = 0.2, 200


@dataclass(frozen=True, kw_only=True)
class RestOptions:
    """How extra atoms are brought to rest.

    Attributes:
        tolerance: largest force left on one, eV/Å.
        max_rounds: evaluations of the whole in one search.
        nudge: Å by which a search begins beside the place that it expects: a saddle is left, not kept.
        memory: ends of searches that are kept to begin others with.
        noise: of the whole's energy, as a share of it: below, forces say which of two places is better.
    """

    tolerance: float = 1e-5
    max_rounds: int = 20
    nudge: float = 0.01
    memory: int = 12
    noise: float = 1e-11

    def __post_init__(self) -> None:
        if not (np.isfinite(self.tolerance) and self.tolerance > 0.0):
            raise EmbeddingError(f"tolerance = {self.tolerance!r}: expected a positive force in eV/Å")
        if self.max_rounds < 1 or self.memory < 1:
            raise EmbeddingError(
                f"max_rounds = {self.max_rounds!r}, memory = {self.memory!r}: expected at least 1 of each"
            )
        if not (np.isfinite(self.nudge) and 0.0 <= self.nudge < _STEP):
            raise EmbeddingError(f"nudge = {self.nudge!r}: expected 0 to {_STEP} Å")


@dataclass(frozen=True, kw_only=True, eq=False)
class Rest:
    """The end of one search.

    Attributes:
        near: (k, 3) places of the neighbouring sites, Å.
        x: (m, 3) places of the extra atoms, Å.
        difference: (3m,) force of the whole less that of the surrogate, sign of a gradient, eV/Å.
        settled: False for the place with which all begins.
    """

    near: Array
    x: Array
    difference: Array
    settled: bool = True


@dataclass(frozen=True, kw_only=True, eq=False)
class _Round:
    """One evaluation of the whole within a search."""

    x: Array
    energy: float
    force: Array
    difference: Array

    @property
    def size(self) -> float:
        """Largest force, eV/Å."""
        return float(np.abs(self.force).max())

    def better(self, other: _Round, noise: float) -> bool:
        """Whether the energy has fallen, or where rounding hides that, the force."""
        slack = noise * max(abs(other.energy), 1.0)
        if abs(self.energy - other.energy) <= slack:
            return self.size < other.size
        return self.energy < other.energy


@dataclass(frozen=True, kw_only=True, eq=False)
class RestState:
    """All that one search hands to the next.

    Attributes:
        rests: ends of the last searches, the latest last.
        slope: (3m, 3m) derivative of the difference by x, eV/Å².
        stiffness: (3m, 3m) of the surrogate, eV/Å².
    """

    rests: tuple[Rest, ...]
    slope: Array
    stiffness: Array


@dataclass
class ExtraAtoms:
    """Keeps extra atoms at rest.

    Args:
        start: (m, 3) places with which the first search begins, Å, at the sites' reference places.
        near: (k,) sites whose places say how far two evaluations are apart, and whose mean displacement carries x along.
        reference: (n, 3) the sites' reference places, Å.
        surrogate: what is cheap to call; None for none.
        options: tolerance and bounds.
        nudge_along: (3,) direction of the nudge.

    Raises:
        EmbeddingError: arrays that do not fit.
    """

    start: Array
    near: Indices
    reference: Array
    surrogate: Surrogate | None = None
    options: RestOptions = field(default_factory=RestOptions)
    nudge_along: tuple[float, float, float] = (0.1, 1.0, 0.05)
    searches: int = field(default=0, init=False)
    rounds: int = field(default=0, init=False)
    local_calls: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.start = np.array(self.start, dtype=float)
        if self.start.ndim != 2 or self.start.shape[1] != 3 or not len(self.start):
            raise EmbeddingError(f"extra atoms of shape {self.start.shape}: expected places (m, 3), Å, of at least one")
        if not len(self.near):
            raise EmbeddingError("extra atoms need neighbours among the sites: give at least one row")
        size = self.start.size
        first = Rest(near=self.reference[self.near], x=self.start, difference=np.zeros(size), settled=False)
        slope = np.zeros((size, size)) if self.surrogate else _STIFF * np.eye(size)
        self._state = RestState(rests=(first,), slope=slope, stiffness=_STIFF * np.eye(size))

    def __len__(self) -> int:
        return len(self.start)

    def snapshot(self) -> RestState:
        """Return what the next search begins with."""
        return self._state

    def restore(self, state: RestState) -> None:
        """Put back what `snapshot` gave."""
        if state.slope.shape != self._state.slope.shape:
            raise EmbeddingError(
                f"a state of {len(state.slope) // 3} extra atoms for {len(self)}: take it from the same atoms"
            )
        self._state = state

    def state(self) -> dict[str, Any]:
        """Return what the next search begins with, and what has been counted, for `go_on`."""
        return {"rest": self._state, "counted": (self.searches, self.rounds, self.local_calls)}

    def go_on(self, state: Mapping[str, Any]) -> None:
        """Go on from a state, which another process may have left."""
        self.restore(state["rest"])
        self.searches, self.rounds, self.local_calls = state["counted"]

    def rest(self, y: Array, whole: Whole) -> tuple[Array, float, Array]:
        """Bring the extra atoms to rest at sites y (n, 3).

        Returns:
            x (m, 3), Å; E, eV; the gradient (n, 3) by y, eV/Å.

        Raises:
            EvaluationError: they come to no rest within the rounds, as where there is none.
        """
        near = y[self.near]
        x, slope = self._begin(y, near), self._state.slope
        self.searches += 1
        radius, best = _ROUND, None
        for _ in range(self.options.max_rounds):
            energy, gradient = whole(x)
            self.rounds += 1
            force = gradient[len(y) :].ravel()
            here = _Round(x=x, energy=energy, force=force, difference=force - self._cheap(y, x))
            if best is not None:
                slope = _rank_one(slope, (x - best.x).ravel(), here.difference - best.difference)
            if here.size <= self.options.tolerance:
                self._keep(Rest(near=near, x=x, difference=here.difference), slope)
                return x, energy, gradient[: len(y)]
            if best is None or here.better(best, self.options.noise):
                radius, best = min(1.5 * radius, _ROUND), here
            else:
                radius = 0.5 * min(radius, float(np.abs(x - best.x).max()))
            x = self._settle(y, best.x, best.x, best.difference, slope, radius)
        assert best is not None
        raise EvaluationError(
            f"the extra atoms came to no rest: a force of {best.size:.2g} eV/Å is left after {self.options.max_rounds} "
            f"evaluations, wanted {self.options.tolerance:.2g}. Smaller steps, a larger tolerance, or another place to begin "
            "with may help"
        )

    def _begin(self, y: Array, near: Array) -> Array:
        """Where a search begins, (m, 3)."""
        rest, moved = self._nearest(near)
        expected = rest.x + moved
        if rest.settled and np.array_equal(near, rest.near):
            return expected
        along = np.asarray(self.nudge_along) / np.linalg.norm(self.nudge_along)
        x = expected + (self.options.nudge if self.surrogate or not rest.settled else 0.0) * along
        if not rest.settled:
            return x
        return self._settle(y, x, expected, rest.difference, self._state.slope, _ROUND)

    def _nearest(self, near: Array) -> tuple[Rest, Array]:
        """The end of a search nearest in y, and the neighbours' mean displacement since, (3,), Å."""
        rests = self._state.rests
        away = [float(np.abs(rest.near - near).max()) for rest in rests]
        # Of two equally near the later one.
        best = rests[len(away) - 1 - int(np.argmin(away[::-1]))]
        return best, (near - best.near).mean(axis=0)

    def _keep(self, rest: Rest, slope: Array) -> None:
        others = [one for one in self._state.rests if not np.array_equal(one.near, rest.near)]
        self._state = replace(self._state, rests=tuple([*others, rest][-self.options.memory :]), slope=slope)

    def _cheap(self, y: Array, x: Array) -> Array:
        """The surrogate's gradient (3m,), zero without one."""
        if self.surrogate is None:
            return np.zeros(x.size)
        self.local_calls += 1
        return np.asarray(self.surrogate(y, x), dtype=float).ravel()

    def _settle(self, y: Array, x: Array, anchor: Array, difference: Array, slope: Array, radius: float) -> Array:
        """Rest of the surrogate with the difference d(x) = d₀ + B (x − anchor), from x and within `radius` (Å) of it."""
        hessian = self._state.stiffness if self.surrogate else np.zeros_like(slope)
        begin = x.ravel()

        def force(place: Array) -> Array:
            return self._cheap(y, place.reshape(-1, 3)) + difference + slope @ (place - anchor.ravel())

        here, g = begin, force(begin)
        for _ in range(_LOCAL_CALLS):
            if np.abs(g).max() <= _FINER * self.options.tolerance:
                break
            values, vectors = np.linalg.eigh(hessian + slope)
            step = -vectors @ ((vectors.T @ g) / np.maximum(np.abs(values), _SOFT))
            step *= min(1.0, _STEP / max(float(np.abs(step).max()), 1e-300))
            away = here + step - begin
            share = radius / max(float(np.abs(away).max()), 1e-300)
            ahead = begin + min(1.0, share) * away
            if np.array_equal(ahead, here) or (share < 1.0 and np.abs(ahead - here).max() <= _STILL * radius):
                break
            there = force(ahead)
            if self.surrogate is not None:
                change = ahead - here
                hessian = _rank_one(hessian, change, there - g - slope @ change)
            here, g = ahead, there
        if self.surrogate is not None:
            self._state = replace(self._state, stiffness=hessian)
        return here.reshape(-1, 3)


def _rank_one(matrix: Array, step: Array, change: Array) -> Array:
    """The symmetric update of rank one with which `matrix` maps a step to the change seen; skipped where it is not safe."""
    left = change - matrix @ step
    along = float(left @ step)
    if abs(along) <= _SAFE * float(np.linalg.norm(left) * np.linalg.norm(step)) or not step.any():
        return matrix
    found: Array = matrix + np.outer(left, left) / along
    return found
