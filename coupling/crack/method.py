"""Blended forces on a cracked crystal, and the approximate inverse that makes them converge."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from continuum.factorise import Factor
from coupling.crack.model import CrackModel
from coupling.handshake.methods import Balance
from coupling.handshake.preconditioner import Preconditioner

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CrackForces:
    """BQCF with motifs: F = ⟨δE^a, (1 − β)v⟩ + ⟨δE^c, βv⟩ on the nodes, the atoms' own forces on inner displacements.

    Energies would weigh the surfaces that a crack makes: their ghost forces do not vanish with those of the perfect crystal.
    Forces do better: atoms at rest on a free face, and elements beside it, are both without force, and so is their blend.

    Attributes:
        model: the cracked body.
    """

    model: CrackModel
    name: str = "bqcf"
    weighted: bool = False
    conservative: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, 3) of the unknowns."""
        return self.model.shape

    @property
    def free(self) -> NDArray[np.bool_]:
        """(rows, 3) unknowns."""
        return self.model.free

    @property
    def moving(self) -> NDArray[np.bool_]:
        """The unknowns, and nodes of the crack's line in the core."""
        return self.model.moving

    @cached_property
    def seen_cells(self) -> Array:
        """(cells,) 1 for elements with a corner where β > 0."""
        return (self.model.partition.node_beta[self.model.body.cells] > 0.0).any(axis=1).astype(float)

    @cached_property
    def carried(self) -> sp.csr_matrix:
        """(rows, atoms): blended on nodes, whole on inner displacements."""
        model = self.model
        share = sp.diags(1.0 - model.atom_beta)
        return sp.vstack([model.on_nodes.T @ share, model.on_inner.T], format="csr")

    @cached_property
    def node_share(self) -> Array:
        """(nodes,) β of the body's own forces; on the crack's line one, or zero in the core.

        No atoms act on the line's nodes: β f = 0 there says f = 0, however small β is.
        """
        share, line = self.model.partition.node_beta.copy(), self.model.line
        share[line] = share[line] > 0.0
        return cast(Array, share)

    def evaluate(self, u: Array) -> Balance:
        """The blended forces and their parts."""
        model = self.model
        _, on_atoms = model.atoms.energy_and_gradient(model.places(u))
        elements = model.continuum(u, self.seen_cells, np.zeros(0)).on_bulk
        elements[: model.nodes] *= self.node_share[:, None]
        parts = {"atoms": self.carried @ on_atoms, "bulk": elements}
        return Balance(energy=None, residual=parts["atoms"] + parts["bulk"], parts=parts)

    def terms(self, u: Array) -> dict[str, float]:
        """Energies (eV) in which each atom and each element counts once: Σ(1 − β)V and Σ v_T W.

        The forces do not derive from them; how far their change is from the forces' work says what blending forces costs.
        Empty where the potential gives no energies of atoms. One potential call.
        """
        model = self.model
        if not getattr(model.atoms, "divisible", False):
            return {}
        energies = model.atoms.site_energies(model.places(u))  # type: ignore[attr-defined]
        bulk = model.body.energy(u[: model.nodes], model.partition.cell_weights)
        named = getattr(model.atoms, "terms", None)
        quantum = {} if named is None else named(model.places(u))
        return {"atoms": float((1.0 - model.atom_beta) @ energies), **quantum, "bulk": bulk}

    def tangent(self, u: Array) -> sp.csr_matrix | None:
        """None: the solver takes differences."""
        return None

    @cached_property
    def _at_rest(self) -> Preconditioner:
        return CrackPreconditioner(self.model)

    def preconditioner(self, u: Array) -> Preconditioner:
        """Elements in place of the atoms, springs in place of bonds, the crystal's own stiffness of inner displacements."""
        return self._at_rest

    def nodal(self, u: Array) -> Array:
        """(nodes, 3)."""
        return u[: self.model.nodes]


class CrackPreconditioner:
    """K⁻¹ on the nodes; on inner displacements the inverse of the force constants of one motif at fixed sites."""

    def __init__(self, model: CrackModel) -> None:
        self._nodes = model.nodes
        self._factor = Factor(model.elastic_stiffness(np.zeros(0)), model.moving[: model.nodes], symmetric=True)
        self._inner = np.linalg.inv(model.shifts.stiffness) if model.atoms_per_site > 1 else None

    def solve(self, residual: Array) -> Array:
        """A step of all rows (rows, 3)."""
        step = np.zeros_like(residual)
        step[: self._nodes] = self._factor.solve(residual[: self._nodes])
        if self._inner is not None:
            motifs = residual[self._nodes :].reshape(-1, len(self._inner))
            step[self._nodes :] = (motifs @ self._inner.T).reshape(-1, 3)
        return step
