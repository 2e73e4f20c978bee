"""Polynomials of strain that have a crystal's symmetry."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from atomistic.cauchy_born.base import Array, strain_rotation

#: A singular value of a projection is one or zero; rounding leaves it near.
_ONE = 0.5
#: Points at a time: their monomials stay within some ten megabytes.
_PART = 8192


@dataclass(frozen=True, kw_only=True, eq=False)
class Monomials:
    """All products of up to `order` of six variables, without the constant, by ascending degree."""

    order: int

    @cached_property
    def exponents(self) -> NDArray[np.int64]:
        """Return the exponents of each monomial, (K, 6)."""
        rows = []
        for degree in range(1, self.order + 1):
            for factors in itertools.combinations_with_replacement(range(6), degree):
                rows.append(np.bincount(factors, minlength=6))
        return np.array(rows, dtype=np.int64)

    @cached_property
    def degrees(self) -> NDArray[np.int64]:
        """Return the degree of each monomial, (K,)."""
        return np.asarray(self.exponents.sum(axis=1))

    @cached_property
    def _index(self) -> dict[tuple[int, ...], int]:
        """Places of the monomials among the values, by exponents; the constant has place 0."""
        return {(0,) * 6: 0} | {tuple(map(int, row)): k + 1 for k, row in enumerate(self.exponents)}

    @cached_property
    def _parents(self) -> list[tuple[slice, NDArray[np.int64], NDArray[np.int64]]]:
        """For each degree: its places, the lower monomial and the variable whose product each one is."""
        steps = []
        for degree in range(1, self.order + 1):
            members = np.flatnonzero(self.degrees == degree)
            last = np.array([np.flatnonzero(self.exponents[k])[-1] for k in members])
            lower = self.exponents[members] - np.eye(6, dtype=np.int64)[last]
            parents = np.array([self._index[tuple(map(int, row))] for row in lower])
            steps.append((slice(int(members[0]) + 1, int(members[-1]) + 2), parents, last))
        return steps

    def count(self, order: int) -> int:
        """Return the number of values up to a degree, the constant among them."""
        return 1 + int(np.sum(self.degrees <= order))

    def values(self, points: Array, order: int) -> Array:
        """Return the constant and all monomials up to a degree at points (n, 6): (n, count)."""
        # One monomial after the other in memory: each is a product of two whole rows.
        rows, factors = np.empty((self.count(order), len(points))), np.ascontiguousarray(points.T)
        rows[0] = 1.0
        for places, parents, last in self._parents[:order]:
            np.multiply(rows[parents], factors[last], out=rows[places])
        return rows.T

    def evaluate(self, points: Array, coefficients: Array, *, order: int) -> Array:
        """Return polynomials (count, ...) up to a degree at points (n, 6): (n, ...), a bounded number at a time."""
        flat = coefficients.reshape(len(coefficients), -1)
        result = np.empty((len(points), flat.shape[1]))
        for start in range(0, len(points), _PART):
            part = slice(start, start + _PART)
            result[part] = self.values(points[part], order) @ flat
        return result.reshape(len(points), *coefficients.shape[1:])

    def derivative(self, coefficients: Array) -> Array:
        """Return the coefficients (K + 1, ..., 6) of the derivatives of polynomials (K + 1, ...), the constant first."""
        result = np.zeros((*coefficients.shape, 6))
        for k, row in enumerate(self.exponents):
            for v in np.flatnonzero(row):
                lower = row.copy()
                lower[v] -= 1
                result[self._index[tuple(map(int, lower))], ..., v] += row[v] * coefficients[k + 1]
        return result


def invariants(monomials: Monomials, group: list[Array]) -> Array:
    """Return polynomials (K + 1, u), columns, that span those with the symmetry of a group of rotations.

    The average of a polynomial over the group is a projection onto the invariant ones (Reynolds operator); its matrix
    follows from values at random points, degree by degree. The constant is left out.
    """
    turns = [strain_rotation(rotation) for rotation in group]
    random = np.random.default_rng(0)
    columns = []
    total = len(monomials.exponents) + 1
    for degree in range(1, monomials.order + 1):
        members = np.flatnonzero(monomials.degrees == degree) + 1
        points = random.uniform(-1.0, 1.0, size=(2 * len(members) + 10, 6))
        plain = monomials.values(points, degree)[:, members]
        mean = np.mean([monomials.values(points @ turn.T, degree)[:, members] for turn in turns], axis=0)
        projection = np.linalg.lstsq(plain, mean, rcond=None)[0]
        # A projection that is not orthogonal still has the invariant polynomials as its column space.
        left, sizes, _ = np.linalg.svd(projection)
        kept = left[:, sizes > _ONE]
        block = np.zeros((total, kept.shape[1]))
        block[members] = kept
        columns.append(block)
    return np.concatenate(columns, axis=1)
