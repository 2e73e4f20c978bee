"""The derivative of the blended forces at one state, factorised: what makes Newton's steps, and near it nearly Newton's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from atomistic.hessian import colours, difference_hessian
from continuum.factorise import Factor
from coupling.crack.method import CrackForces

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
#: Sites this much farther apart than the nearest two are no neighbours.
_NEAR = 1.3


class BlendedFactor:
    """A factorised derivative of the blended forces on the rows that move, from those of atoms and of elements.

    Args:
        method: blended forces.
    """

    def __init__(self, method: CrackForces) -> None:
        self._method = method
        self._factor: Factor | None = None
        model, share = method.model, method.node_share
        self._carry = model.expand(model.to_atoms)
        self._spread = model.expand(method.carried)
        line = np.zeros(model.nodes, dtype=bool)
        line[model.line] = True
        self._share = share
        # Nodes of the line in the core have no equation: their own elements hold them.
        idle = (line & (share <= 0.0)).astype(float)
        self._idle = sp.diags(np.repeat(idle, 3)) @ (model.elements_at_rest + model.springs)

    def update(self, atoms: sp.csr_matrix, elements: sp.csr_matrix) -> None:
        """Factorise with second derivatives of the atoms (3 atoms, 3 atoms) and of the body (3 nodes, 3 nodes), eV/Å²."""
        size = 3 * self._method.shape[0]
        body = sp.csr_matrix(sp.diags(np.repeat(self._share, 3)) @ elements + self._idle)
        body.resize((size, size))
        total = (self._spread @ atoms @ self._carry + body).tocsr()
        # Anew, its ordering too: that of an earlier matrix would tell in the last bits where the path has been.
        self._factor = Factor(total, self._method.moving)

    def solve(self, residual: Array) -> Array:
        """J⁻¹ r, (rows, 3)."""
        assert self._factor is not None
        return self._factor.solve(residual)


class CrackTangent:
    """J⁻¹ at a state, on the rows that move.

    Analytic second derivatives of the atoms are taken where the potential has them; else differences of forces over the
    range `reach`, anew only for atoms whose surroundings have changed since theirs were taken: those near the tip.

    Args:
        method: blended forces.
        reach: range of the forces, Å.
        change: change of the distance to a neighbouring site from which an atom's derivatives are taken anew, Å.
    """

    def __init__(self, method: CrackForces, *, reach: float, change: float = 0.01) -> None:
        self.method, self.reach, self.change = method, reach, change
        model = method.model
        self._factor = BlendedFactor(method)
        self._columns: sp.csr_matrix | None = None
        self._places = model.partition.lattice.places(model.partition.indices)
        self._taken = np.zeros_like(model.reference)
        self._pairs = _neighbours(self._places)
        self._all_colours = int(colours(self._places, 2.0 * reach).max(initial=0)) + 1

    def update(self, u: Array) -> None:
        """Take the derivative at a state u (rows, 3)."""
        model = self.method.model
        elements = model.body.stiffness(u[: model.nodes], self.method.seen_cells)
        self._factor.update(self.atoms_hessian(u), elements)

    def state(self) -> dict[str, Any]:
        """Differences of forces taken so far, and where: derivatives to come are put among them."""
        return {"columns": self._columns, "taken": None if self._columns is None else self._taken.copy()}

    def go_on(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave; the derivative itself is taken anew at the next state."""
        self._columns = state["columns"]
        if self._columns is not None:
            self._taken = state["taken"].copy()

    def atoms_hessian(self, u: Array) -> sp.csr_matrix:
        """(3 atoms, 3 atoms) second derivatives at a state, eV/Å²."""
        model = self.method.model
        y = model.places(u)
        if hasattr(model.atoms, "hessian"):
            return cast(sp.csr_matrix, model.atoms.hessian(y))
        old, sites = self._columns, self._changed(y)
        if old is not None and not len(sites):
            return old
        if len(sites) > self._all_colours:
            # Atoms near each other are displaced one by one: all at once are cheaper then.
            sites = np.arange(len(self._places))
        found, _ = difference_hessian(
            lambda y: model.atoms.energy_and_gradient(y)[1],
            y,
            places=self._places,
            site=model.site_of_atom,
            reach=self.reach,
            sites=sites,
        )
        anew = np.zeros(len(self._places), dtype=bool)
        anew[sites] = True
        anew = anew[model.site_of_atom]
        self._taken[anew] = y[anew]
        self._columns = found if old is None else (found + old @ sp.diags(np.repeat(~anew, 3).astype(float))).tocsr()
        return self._columns

    def _changed(self, y: Array) -> Integers:
        """Sites whose atoms have moved against their neighbours since their derivatives were taken; all at first."""
        if self._columns is None:
            return np.arange(len(self._places))
        moved = (y - self._taken).reshape(len(self._places), -1, 3)
        first, second = self._pairs
        apart = np.linalg.norm(moved[first] - moved[second], axis=2).max(axis=1)
        inside = np.linalg.norm(moved - moved[:, :1], axis=2).max(axis=1)
        changed = inside > self.change
        changed[first[apart > self.change]] = True
        changed[second[apart > self.change]] = True
        return np.flatnonzero(changed)

    def solve(self, residual: Array) -> Array:
        """J⁻¹ r, (rows, 3)."""
        return self._factor.solve(residual)


def _neighbours(places: Array) -> tuple[Integers, Integers]:
    """Pairs of neighbouring sites of places (n, 2)."""
    tree = cKDTree(places)
    nearest = float(tree.query(places, 2)[0][:, 1].min())
    pairs = tree.query_pairs(_NEAR * nearest, output_type="ndarray")
    return pairs[:, 0], pairs[:, 1]
