"""Approximate inverses of a method's tangent: finite elements of the same elastic constants in place of the atoms.

Two of them, because blended forces and blended energies weigh an interface's nodes differently. These nodes carry no atoms:

- blended forces multiply whole equations by β, which scaling the rows undoes;
- blended energies multiply elements. Each node of the line is then doubled: one for the elements' share v_T, one for the
  atoms' share |T| − v_T, and both hang on the same rows of sites.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from continuum.factorise import Factor
from coupling.handshake.model import CoupledModel

Array = NDArray[np.float64]
# Weight below which the equation of an interface's node is taken as it is: it says next to nothing.
_LEAST_SHARE = 1e-4
# Stiffness, relative to the largest, below which a node hangs on nothing.
_LOOSE = 1e-9


class Preconditioner(Protocol):
    """Something that turns a residual into a step."""

    def solve(self, residual: Array) -> Array:
        """A⁻¹ r, (rows, c); zero on rows that do not move."""
        ...


class Whole:
    """All elements and facets whole; rows of the interface's nodes divided by their β.

    Args:
        model: of the method.
        u: (nodes, c), where the interface's stiffness is taken.
        secant: the law's secant in place of its tangent, so that every step goes down.
    """

    def __init__(self, model: CoupledModel, u: Array, *, secant: bool = False) -> None:
        self._factor = Factor(model.elastic_stiffness(u, secant=secant), model.moving, symmetric=True)
        scale = np.ones(len(model.body.nodes))
        scale[model.line] = 1.0 / np.maximum(model.partition.node_beta[model.line], _LEAST_SHARE)
        self._scale = scale[:, None]

    def solve(self, residual: Array) -> Array:
        """K⁻¹ S r."""
        return self._factor.solve(self._scale * residual)


class Shared:
    """Elements weighted by v_T at the interface's own nodes, and by |T| − v_T at their doubles.

    Args:
        model: of the method.
        u: (nodes, c), where the interface's stiffness is taken.
        secant: the law's secant in place of its tangent, so that every step goes down.
    """

    def __init__(self, model: CoupledModel, u: Array, *, secant: bool = False) -> None:
        partition, body, c = model.partition, model.body, model.components
        assert body.interface is not None
        self._line, self._count, n = model.line, len(model.line), len(body.nodes)
        rest = np.zeros(model.shape)
        elements = body.stiffness(rest, partition.cell_weights) + body.interface.stiffness(
            u, model.history, partition.facet_weights, secant=secant
        )
        atoms = body.stiffness(
            rest, np.maximum(model.whole_cells - partition.cell_weights, 0.0)
        ) + body.interface.stiffness(
            u, model.history, np.maximum(model.whole_facets - partition.facet_weights, 0.0), secant=secant
        )
        place = np.arange(n)
        place[self._line] = n + np.arange(self._count)
        double = sp.csr_matrix((np.ones(n), (np.arange(n), place)), shape=(n, n + self._count))
        own = sp.csr_matrix((np.ones(n), (np.arange(n), np.arange(n))), shape=(n, n + self._count))
        carry, keep = model.expand(double), model.expand(own)
        matrix = (keep.T @ elements @ keep + carry.T @ atoms @ carry).tocsr()
        moving = np.concatenate([model.moving, model.moving[self._line]])
        stiff = abs(matrix.diagonal()).reshape(-1, c)
        moving &= stiff > _LOOSE * stiff.max()
        self._idle = self._line[~moving[self._line].any(axis=1)]
        self._its_double = n + np.flatnonzero(~moving[self._line].any(axis=1))
        self._factor = Factor(matrix, moving, symmetric=True)

    def solve(self, residual: Array) -> Array:
        """K⁻¹ r; nodes that only stand in for atoms follow their doubles."""
        c = residual.shape[1]
        found = self._factor.solve(np.concatenate([residual, np.zeros((self._count, c))]))
        step = found[: len(residual)].copy()
        step[self._idle] = found[self._its_double]
        return step
