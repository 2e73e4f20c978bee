"""Potentials on a lattice with fixed neighbours: the toy embedded-atom model of lattice benchmarks, and pair potentials.

Who is whose neighbour is read once from the sites' lattice indices; atoms may move, neighbours never change. Sites that are
not given (vacancies, sites beyond the body's end) are absent: the others then have fewer neighbours.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.sparse import bsr_matrix, csr_matrix

from atomistic.errors import AtomisticError, EvaluationError
from atomistic.lattice import SiteTable
from atomistic.potentials.base import CallCounter, checked_weights
from atomistic.radial import Jet, RadialCauchyBorn, RadialFunctions, half_list, lattice_vectors_within

#: Primitive vectors of the triangular lattice of spacing 1 (rows).
TRIANGULAR = np.array([[1.0, 0.0], [0.5, 0.5 * np.sqrt(3.0)]])
TRIANGULAR.flags.writeable = False


@dataclass(frozen=True, kw_only=True)
class LatticePotential:
    """A potential of radial functions between fixed neighbours on a Bravais lattice.

    Attributes:
        name: for reports.
        basis: (m, m), rows are the primitive vectors of the undeformed lattice.
        reach: neighbours are the sites up to this far away in the undeformed lattice.
    """

    name: str
    basis: NDArray[np.float64] = field(default_factory=lambda: TRIANGULAR)
    reach: float = 1.1

    def pair(self, r: NDArray[np.float64]) -> Jet:
        """Return φ, φ', φ'' at the distances `r`."""
        raise NotImplementedError

    def density(self, r: NDArray[np.float64]) -> Jet:
        """Return ρ, ρ', ρ'' at the distances `r`; none for a pair potential."""
        return _zeros(r)

    def embedding(self, t: NDArray[np.float64]) -> Jet:
        """Return G, G', G'' at the densities `t`; none for a pair potential."""
        return _zeros(t)

    @property
    def neighbours(self) -> NDArray[np.int64]:
        """Lattice vectors (k, m) to the neighbours of a site, in integers."""
        return lattice_vectors_within(self.basis, self.reach)

    def cluster(self, lattice_indices: ArrayLike, *, neighbours: ArrayLike | None = None) -> LatticeCluster:
        """Bind the potential to the sites that are present.

        Args:
            lattice_indices: (n, m) integers, each site once.
            neighbours: (k, m) integers, lattice vectors to a site's neighbours; by default those within `reach`.
        """
        offsets = self.neighbours if neighbours is None else np.asarray(neighbours)
        return LatticeCluster(self, lattice_indices=np.asarray(lattice_indices), neighbours=offsets, name=self.name)

    def cauchy_born(self) -> RadialCauchyBorn:
        """Return W(F), P(F), C(F) of the same potential, per undeformed area (volume)."""
        return RadialCauchyBorn(
            self,
            bonds=half_list(self.neighbours) @ self.basis,
            site_volume=float(abs(np.linalg.det(self.basis))),
        )

    def equilibrium_stretch(self) -> float:
        """Return the λ at which the lattice λ·basis is free of pressure: tr P(λI) = 0."""
        material, identity = self.cauchy_born(), np.eye(len(self.basis))

        def pressure(stretch: float) -> float:
            return float(np.trace(material.stress(stretch * identity[None])[0]))

        stretches = np.linspace(0.7, 1.3, 61)
        signs = np.array([pressure(s) for s in stretches])
        rising = np.flatnonzero((signs[:-1] < 0.0) & (signs[1:] >= 0.0))
        if len(rising) == 0:
            raise AtomisticError(
                f"{self.name} has no equilibrium between 0.7 and 1.3 of its lattice's spacing; scale the basis."
            )
        k = int(rising[np.argmin(np.abs(stretches[rising] - 1.0))])
        return float(brentq(pressure, stretches[k], stretches[k + 1], xtol=1e-15, rtol=1e-15))


@dataclass(frozen=True, kw_only=True)
class ToyEAM(LatticePotential):
    """The embedded-atom model of the triangular-lattice benchmarks (Luskin, Ortner, Van Koten 2013).

    V_i = ½ Σ_j J(r_ij) + c[(t − t0)² + (t − t0)⁴], J(s) = exp(−2a(s − 1)) − 2 exp(−a(s − 1)), t = Σ_j exp(−b s) and
    t0 = 6 exp(−0.9 b); six fixed nearest neighbours, spacing 1.
    """

    name: str = "toy-eam"
    a: float = 4.0
    b: float = 3.0
    c: float = 10.0

    def pair(self, r: NDArray[np.float64]) -> Jet:
        """Return J, J', J''."""
        return _morse(r, self.a)

    def density(self, r: NDArray[np.float64]) -> Jet:
        """Return exp(−b r) and its derivatives."""
        value = np.exp(-self.b * r)
        return value, -self.b * value, self.b**2 * value

    def embedding(self, t: NDArray[np.float64]) -> Jet:
        """Return c[(t − t0)² + (t − t0)⁴] and its derivatives."""
        x = t - 6.0 * np.exp(-0.9 * self.b)
        return self.c * x**2 * (1.0 + x**2), self.c * (2.0 * x + 4.0 * x**3), self.c * (2.0 + 12.0 * x**2)


@dataclass(frozen=True, kw_only=True)
class LatticeMorse(LatticePotential):
    """Morse's pair potential between fixed neighbours: φ(r) = D [exp(−2a(r/r0 − 1)) − 2 exp(−a(r/r0 − 1))].

    Attributes:
        depth: D, the depth of the well.
        a: its steepness.
        length: r0, where it is.
    """

    name: str = "lattice-morse"
    depth: float = 1.0
    a: float = 4.0
    length: float = 1.0

    def pair(self, r: NDArray[np.float64]) -> Jet:
        """Return φ, φ', φ''."""
        value, first, second = _morse(r / self.length, self.a)
        return self.depth * value, self.depth / self.length * first, self.depth / self.length**2 * second


class LatticeCluster:
    """Weighted site energies E = Σ_i w_i V_i of the sites that are present, with gradient and Hessian.

    Args:
        functions: the radial functions.
        lattice_indices: (n, m) integers, each site once.
        neighbours: (k, m) integers with each vector's opposite among them: lattice vectors to a site's neighbours.
        name: for reports.
    """

    weighted = True
    fixed_neighbours = True
    precision = "float64"

    def __init__(
        self, functions: RadialFunctions, *, lattice_indices: NDArray[np.int64], neighbours: ArrayLike, name: str
    ) -> None:
        self.functions = functions
        self.name = name
        self.counter = CallCounter()
        sites, offsets = np.asarray(lattice_indices), np.asarray(neighbours)
        if sites.ndim != 2 or offsets.ndim != 2 or sites.shape[1] != offsets.shape[1]:
            raise AtomisticError(
                f"Expected lattice indices (n, m) and neighbours (k, m); got {sites.shape} and {offsets.shape}."
            )
        if not (np.issubdtype(sites.dtype, np.integer) and np.issubdtype(offsets.dtype, np.integer)):
            raise AtomisticError(
                f"Lattice indices and neighbours are integers; got {sites.dtype} and {offsets.dtype}. Round them first."
            )
        half = half_list(offsets)
        if 2 * len(half) != len(offsets) or {tuple(-v) for v in half} | {tuple(v) for v in half} != set(
            map(tuple, offsets)
        ):
            raise AtomisticError("The neighbours must hold each lattice vector once and its opposite too.")
        self.count = len(sites)
        find = SiteTable(sites)
        self._half = half
        # For one lattice vector each site is the start of one bond at most and the end of one at most: sums over bonds
        # need no care for indices that occur twice.
        self._bonds = [find.pairs(offset) for offset in half]
        self._find = find
        self._pattern: _Pattern | None = None

    def energy_and_gradient(
        self, positions: NDArray[np.float64], weights: NDArray[np.float64] | None = None
    ) -> tuple[float, NDArray[np.float64]]:
        """Return E = Σ w_i V_i (eV) and dE/dy (n, c), eV/Å; all weights are one by default."""
        start = time.perf_counter()
        y, w = self._checked(positions, weights)
        site, t = self._half_pairs_and_densities(y)
        value, slope, _ = self.functions.embedding(t)
        energy = float(np.sum((site + value) if w is None else w * (site + value)))
        slope = slope if w is None else w * slope
        gradient = np.zeros_like(y)
        for i, j in self._bonds:
            vectors, r = _separations(y, i, j)
            force = self.functions.pair(r)[1]
            if w is not None:
                force = 0.5 * (w[i] + w[j]) * force
            force = force + (slope[i] + slope[j]) * self.functions.density(r)[1]
            vectors *= (force / r)[:, None]
            gradient[i] -= vectors
            gradient[j] += vectors
        if not (np.isfinite(energy) and np.all(np.isfinite(gradient))):
            raise EvaluationError(f"{self.name} gave energies or forces that are not finite: atoms sit on each other.")
        self.counter.calls += 1
        self.counter.atoms += self.count
        self.counter.seconds += time.perf_counter() - start
        return energy, gradient

    def site_energies(self, positions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return V_i (n,), eV."""
        y, _ = self._checked(positions, None)
        site, t = self._half_pairs_and_densities(y)
        return site + self.functions.embedding(t)[0]

    def hessian(self, positions: NDArray[np.float64], weights: NDArray[np.float64] | None = None) -> csr_matrix:
        """Return d²E/dy² as a sparse (n·c, n·c) matrix; the unknown of site i, component k is i·c + k."""
        y, w = self._checked(positions, weights)
        c = y.shape[1]
        w = np.ones(self.count) if w is None else w
        if self._pattern is None:
            self._pattern = _Pattern(self._find, self._half)
        pattern = self._pattern
        _, t = self._half_pairs_and_densities(y)
        _, slope, curvature = self.functions.embedding(t)
        slope, curvature = w * slope, w * curvature
        blocks = np.zeros((self.count, pattern.slots, c, c))
        # dt_i/dy of neighbour k (both signs of each vector); the site's own is minus their sum.
        own = np.zeros((self.count, c))
        parts = []
        for offset, (i, j) in zip(self._half, self._bonds, strict=True):
            vectors, r = _separations(y, i, j)
            normals = vectors / r[:, None]
            _, density_slope, density_curvature = self.functions.density(r)
            _, pair_slope, pair_curvature = self.functions.pair(r)
            mean, embedded = 0.5 * (w[i] + w[j]), slope[i] + slope[j]
            along = mean * pair_curvature + embedded * density_curvature
            across = (mean * pair_slope + embedded * density_slope) / r
            block = (along - across)[:, None, None] * normals[:, :, None] * normals[:, None, :]
            block += across[:, None, None] * np.eye(c)
            blocks[i, pattern.slot(0 * offset)] += block
            blocks[j, pattern.slot(0 * offset)] += block
            blocks[i, pattern.slot(offset)] -= block
            blocks[j, pattern.slot(-offset)] -= block
            change = density_slope[:, None] * normals
            own[i] -= change
            own[j] += change
            parts += [(offset, i, j, change), (-offset, j, i, -change)]
        if np.any(curvature):
            everyone = np.arange(self.count)
            parts.append((np.zeros_like(self._half[0]), everyone, everyone, own))
            for row_offset, centre, row, row_change in parts:
                scaled = np.zeros((self.count, c))
                scaled[centre] = curvature[centre, None] * row_change
                neighbour = np.full(self.count, -1, dtype=np.int64)
                neighbour[centre] = row
                for column_offset, origin, _, column_change in parts:
                    present = neighbour[origin] >= 0
                    rows = neighbour[origin[present]]
                    outer = scaled[origin[present], :, None] * column_change[present, None, :]
                    blocks[rows, pattern.slot(column_offset - row_offset)] += outer
        return pattern.matrix(blocks)

    def _half_pairs_and_densities(self, y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return ½ Σ_j φ(r_ij) and t_i = Σ_j ρ(r_ij) of each site, both (n,)."""
        pairs, densities = np.zeros(self.count), np.zeros(self.count)
        for i, j in self._bonds:
            _, r = _separations(y, i, j)
            half = 0.5 * self.functions.pair(r)[0]
            density = self.functions.density(r)[0]
            pairs[i] += half
            pairs[j] += half
            densities[i] += density
            densities[j] += density
        return pairs, densities

    def _checked(
        self, positions: NDArray[np.float64], weights: NDArray[np.float64] | None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Return both as double arrays of the right shape."""
        y = np.asarray(positions, dtype=float)
        if y.ndim != 2 or len(y) != self.count:
            raise AtomisticError(f"Expected positions of {self.count} sites, (n, c); got shape {y.shape}.")
        return y, None if weights is None else checked_weights(weights, self.count)


class _Pattern:
    """Where the blocks of a Hessian are: second neighbours are linked through the densities of common ones."""

    def __init__(self, find: SiteTable, half: NDArray[np.int64]) -> None:
        zero = np.zeros((1, half.shape[1]), dtype=np.int64)
        star = np.concatenate([zero, half, -half])
        offsets = np.unique((star[:, None, :] - star[None, :, :]).reshape(-1, half.shape[1]), axis=0)
        self._slots = {tuple(map(int, offset)): k for k, offset in enumerate(offsets)}
        self.slots = len(offsets)
        columns = np.full((len(find.sites), self.slots), -1, dtype=np.int64)
        for k, offset in enumerate(offsets):
            i, j = find.pairs(offset)
            columns[i, k] = j
        self._present = columns >= 0
        self._columns = columns[self._present]
        self._starts = np.concatenate([[0], np.cumsum(self._present.sum(axis=1))])

    def slot(self, offset: NDArray[np.int64]) -> int:
        """Return the place of a lattice vector among the blocks of a row."""
        return self._slots[tuple(map(int, offset))]

    def matrix(self, blocks: NDArray[np.float64]) -> csr_matrix:
        """Return the sparse matrix of blocks (n, slots, c, c)."""
        size = blocks.shape[0] * blocks.shape[2]
        matrix = bsr_matrix((blocks[self._present], self._columns, self._starts), shape=(size, size)).tocsr()
        matrix.sort_indices()
        return matrix


def _separations(
    y: NDArray[np.float64], i: NDArray[np.int64], j: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return y_j − y_i and its length."""
    vectors = y[j] - y[i]
    return vectors, np.sqrt(np.einsum("bk,bk->b", vectors, vectors))


def _morse(s: NDArray[np.float64], a: float) -> Jet:
    """Return exp(−2a(s − 1)) − 2 exp(−a(s − 1)) and its derivatives."""
    e = np.exp(-a * (s - 1.0))
    return e * (e - 2.0), -2.0 * a * e * (e - 1.0), 2.0 * a**2 * e * (2.0 * e - 1.0)


def _zeros(x: NDArray[np.float64]) -> Jet:
    """Return the function that is zero everywhere, with its derivatives."""
    zero = np.zeros_like(x)
    return zero, zero, zero
