"""Blended forces: BQCF.

F_k = (1 − β_k) f_k^a + β_k f_k^c, or ⟨δE^a, (1 − β)v⟩ + ⟨δE^c, βv⟩ = 0 (Lu and Ming 2013; Li, Ortner, Shapeev and Van Koten
2016, Numer. Math. 134, 275). Each description balances itself under every homogeneous deformation, so their blend does
too: no ghost forces at all, from forces alone. The price: the forces have no energy, and they need not sum to zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from coupling.handshake.methods import Balance, OnNodes

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Bqcf(OnNodes):
    """Forces blended node by node."""

    name: str = "bqcf"
    weighted: bool = False
    conservative: bool = False

    @property
    def _seen(self) -> Array:
        """(cells,) 1 for elements with a corner where β > 0: only these act on the continuum's side."""
        return (self.model.partition.node_beta[self.model.body.cells] > 0.0).any(axis=1).astype(float)

    def evaluate(self, u: Array) -> Balance:
        """The blended forces; the energies beside them are weighted as BQCE's, for the ledger."""
        model, partition = self.model, self.model.partition
        _, on_atoms = model.atomistic(u, None)
        continuum = model.continuum(u, self._seen, model.whole_facets)
        share = partition.node_beta[:, None]
        parts = {
            "atoms": model.to_atoms.T @ (model.weights[:, None] * on_atoms),
            "bulk": share * continuum.on_bulk,
            "interface": share * continuum.on_interface,
        }
        return Balance(energy=None, residual=sum(parts.values(), np.zeros(model.shape)), parts=parts)

    def tangent(self, u: Array) -> sp.csr_matrix | None:
        """Derivative of the blended forces: not symmetric in the blend."""
        model, c = self.model, self.model.components
        second = model.atomistic_stiffness(u, None)
        if second is None:
            return None
        carry = model.expand(model.to_atoms)
        atoms = carry.T @ (sp.diags(np.repeat(model.weights, c)) @ second @ carry)
        continuum = model.stiffness(u, self._seen, model.whole_facets)
        return (atoms + sp.diags(np.repeat(model.partition.node_beta, c)) @ continuum).tocsr()
