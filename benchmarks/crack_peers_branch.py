"""A branch of equilibria under a growing load, and the load at which it turns: the solver of `crack_peers_matscipy.py`.

Free atoms at rest satisfy g(v, k) = 0. Where the crack is about to jump the branch (v, k) turns round, and k alone no longer
leads along it: both are unknowns then, and each step is as long as asked (pseudo-arc-length, Keller 1977).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.sparse import csc_matrix
from scipy.sparse.linalg import SuperLU, splu
from scipy.spatial import cKDTree

Array = np.ndarray
#: Step of the differences behind second derivatives, Å; they only steer the iteration.
STEP = 1e-4
#: Evaluations until new second derivatives are worth their price, and how many of them the acceleration looks back on.
PATIENCE, MEMORY = 24, 10
#: Longest move of a coordinate in one iteration, Å.
LONGEST = 0.15

#: Length of a step over that along the direction that it was to take: it may bend off by thirty degrees.
BEND = 1.15


class NoConvergenceError(ValueError):
    """The iteration has not come to rest."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Turn:
    """Where a branch turns.

    Attributes:
        v: (n, 3) displacements, Å.
        k: the load there, in the load's own units.
        error: between the two highest (lowest) loads found, a bound of what is missing.
        onward: (n, 3) direction in which the branch leaves, Å per unit of length along it.
        steps: states found along the branch.
    """

    v: Array
    k: float
    error: float
    onward: Array
    steps: int


class Branch:
    """Equilibria of n free atoms that a load k acts on.

    Args:
        gradient: g of (n, 3) displacements, Å, and a load: (n, 3), eV/Å.
        places: (n, 2) undeformed places in the plane, Å.
        tile: (2, 2), rows are two lattice vectors, Å; atoms a whole number of them apart are moved together when second
            derivatives are taken, so each must be longer than twice `reach`.
        reach: distance in the plane at which an atom still feels another one moving, Å.
        scale: a load that counts like a displacement of 1 Å.
        tolerance: largest component of g at rest, eV/Å.
    """

    def __init__(
        self,
        gradient: Callable[[Array, float], Array],
        *,
        places: Array,
        tile: Array,
        reach: float,
        scale: float,
        tolerance: float,
    ) -> None:
        self._gradient, self._scale, self._tolerance = gradient, scale, tolerance
        shares = places @ np.linalg.inv(tile)
        # Atoms whose places differ by whole tiles; rounded, as the same share may read 0 and 1.
        classes = np.round((shares - np.floor(shares + 1e-4)) * 1e3).astype(int)
        _, colour = np.unique(classes, axis=0, return_inverse=True)
        self._colour = colour.ravel()
        pairs = cKDTree(places).query_pairs(reach, output_type="ndarray")
        alone = np.arange(len(places))
        moved, felt = np.concatenate([pairs, pairs[:, ::-1], np.column_stack([alone, alone])]).T
        order = np.argsort(self._colour[moved], kind="stable")
        cuts = np.searchsorted(self._colour[moved][order], np.arange(1, self._colour.max() + 1))
        self._moved, self._felt = np.split(moved[order], cuts), np.split(felt[order], cuts)
        self._solver: SuperLU | None = None
        self._by_load = np.empty(0)

    def rest(self, v: Array, k: float) -> Array:
        """Return the equilibrium (n, 3) at a load, near v.

        Raises:
            NoConvergenceError: there is none nearby.
        """
        x = self._join(v, k)
        along = np.zeros_like(x)
        along[-1] = 1.0
        return self._split(self._corrected(x, along))[0]

    def turn(self, v: Array, k: float, *, up: bool, step: float = 0.02, longest: float = 0.2) -> Turn:
        """Follow the branch from rest at (v, k) until the load turns.

        Args:
            v: (n, 3), Å, at rest.
            k: the load.
            up: whether the load is to grow at first.
            step: first length, in Å and shares of `scale` together.
            longest: longest step.

        Raises:
            NoConvergenceError: the branch was lost, or has not turned within 400 steps.
        """
        x, sign = self._join(v, k), 1.0 if up else -1.0
        along = self._tangent(x, sign * np.eye(1, len(x), len(x) - 1)[0])
        found, fresh = [x], True
        for _ in range(400):
            new = self._iterated(found[-1] + step * along, along)
            if not self._at_rest(new) or np.linalg.norm(new - found[-1]) > BEND * step:
                # Old second derivatives are one reason, too long a step is the other.
                if fresh:
                    step *= 0.5
                else:
                    along = self._tangent(found[-1], along)
                fresh = True
                continue
            fresh = False
            along = (new - found[-1]) / np.linalg.norm(new - found[-1])
            found.append(new)
            if len(found) > 2 and sign * (new[-1] - found[-2][-1]) < 0.0:
                return self._refined(found[-3:], sign, len(found))
            step = min(1.4 * step, longest)
        raise NoConvergenceError("The branch has not turned within 400 steps; start nearer to the turn.")

    def _tangent(self, x: Array, onward: Array) -> Array:
        """Return the direction of the branch at rest at x, of length one, on the side of `onward`; new second derivatives."""
        self._factor(x)
        along = np.append(self._solve(-self._by_load), 1.0)
        return np.asarray(along * np.sign(along @ onward) / np.linalg.norm(along))

    def _refined(self, three: list[Array], sign: float, steps: int) -> Turn:
        """Return the extreme load between three states, by searching along the straight line through the outer two."""
        centre, along = three[1], three[2] - three[0]
        along = along / np.linalg.norm(along)
        self._factor(centre)
        known = {float(along @ (x - centre)): x for x in three}

        def load(s: float) -> float:
            near = sorted(known, key=lambda other: abs(other - s))[:3]
            if near[0] != s:
                weights = [np.prod([(s - b) / (a - b) for b in near if b != a]) for a in near]
                guess = np.sum([w * known[a] for w, a in zip(weights, near, strict=True)], axis=0)
                known[s] = self._corrected(guess + (s - along @ (guess - centre)) * along, along)
            return -sign * float(known[s][-1])

        ends = (min(known), max(known))
        minimize_scalar(load, bounds=ends, method="bounded", options={"xatol": 1e-3 * (ends[1] - ends[0])})
        tops = sorted((sign * float(x[-1]) for x in known.values()), reverse=True)
        v, k = self._split(max(known.values(), key=lambda x: sign * x[-1]))
        return Turn(
            v=v,
            k=k,
            error=(tops[0] - tops[1]) * self._scale,
            onward=along[:-1].reshape(-1, 3),
            steps=steps + len(known) - 3,
        )

    def _corrected(self, start: Array, along: Array) -> Array:
        """Return the equilibrium in the plane through `start` across `along`; new second derivatives where it is slow.

        Raises:
            NoConvergenceError: not at rest.
        """
        if self._solver is None:
            self._factor(start)
        x = self._iterated(start, along)
        for _ in range(3):
            if self._at_rest(x):
                return x
            self._factor(x)
            x = self._iterated(x, along)
        if not self._at_rest(x):
            raise NoConvergenceError("The atoms have not come to rest.")
        return x

    def _iterated(self, x: Array, along: Array) -> Array:
        """Iterate with fixed second derivatives, accelerated (Anderson 1965); ends after `PATIENCE` evaluations."""
        border = self._solve(self._by_load)
        denominator = along[-1] - along[:-1] @ border
        places: list[Array] = []
        moves: list[Array] = []
        for _ in range(PATIENCE):
            residual = self._residual(x)
            if np.abs(residual).max() <= self._tolerance:
                return x
            inner = self._solve(residual)
            load = (along[:-1] @ inner) / denominator
            places.append(x)
            moves.append(np.append(-inner - load * border, load))
            del places[:-MEMORY], moves[:-MEMORY]
            change = moves[-1]
            if len(moves) > 1:
                of_moves, of_places = np.diff(moves, axis=0), np.diff(places, axis=0)
                shares = np.linalg.lstsq(of_moves.T, moves[-1], rcond=1e-10)[0]
                change = moves[-1] - shares @ (of_moves + of_places)
            longest = np.abs(change).max()
            x = x + min(1.0, LONGEST / longest) * change
        return x

    def _factor(self, x: Array) -> None:
        """Take second derivatives by differences, all atoms of one colour at a time, and factorise them."""
        v, k = self._split(x)
        base = self._gradient(v, k)
        rows, columns, values = [], [], []
        for colour, (moved, felt) in enumerate(zip(self._moved, self._felt, strict=True)):
            for axis in range(3):
                shifted = v.copy()
                shifted[self._colour == colour, axis] += STEP
                change = (self._gradient(shifted, k) - base)[felt] / STEP
                rows.append((3 * felt[:, None] + np.arange(3)).ravel())
                columns.append(np.repeat(3 * moved + axis, 3))
                values.append(change.ravel())
        value = np.concatenate(values)
        kept = np.abs(value) > 1e-6
        shape = (v.size, v.size)
        matrix = csc_matrix((value[kept], (np.concatenate(rows)[kept], np.concatenate(columns)[kept])), shape=shape)
        symmetric = csc_matrix(0.5 * (matrix + matrix.T))
        self._solver = splu(
            symmetric, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=1e-3, options={"SymmetricMode": True}
        )
        step = 1e-5
        self._by_load = (self._gradient(v, k + step * self._scale) - base).ravel() / step

    def _solve(self, right: Array) -> Array:
        assert self._solver is not None
        return np.asarray(self._solver.solve(right))

    def _residual(self, x: Array) -> Array:
        return self._gradient(*self._split(x)).ravel()

    def _at_rest(self, x: Array) -> bool:
        return bool(np.abs(self._residual(x)).max() <= self._tolerance)

    def _join(self, v: Array, k: float) -> Array:
        return np.append(v.ravel(), k / self._scale)

    def _split(self, x: Array) -> tuple[Array, float]:
        return x[:-1].reshape(-1, 3), float(x[-1]) * self._scale
