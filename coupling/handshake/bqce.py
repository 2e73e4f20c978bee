"""Blended energies, with and without a blend: BQCE and QCE.

E^β(u) = Σ_i (1 − β_i) V_i(u) + Σ_T v_T W(∇u|_T)  (Van Koten and Luskin 2011; Luskin, Ortner and Van Koten 2013).

Conservative and audited, yet not consistent: under a homogeneous deformation the sum of both descriptions leaves ghost forces
in the blend, of the order of β's second differences. With a sharp β (QCE; Tadmor, Ortiz and Phillips 1996) they don't fall
with the size of the zone. Both are here as controls.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from coupling.handshake.methods import Balance, OnNodes, require_sharp, require_site_energies
from coupling.handshake.preconditioner import Preconditioner, Shared

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Bqce(OnNodes):
    """The blended energy as it stands."""

    name: str = "bqce"
    weighted: bool = True
    conservative: bool = True

    def __post_init__(self) -> None:
        require_site_energies(self.name, self.model)

    def preconditioner(self, u: Array) -> Preconditioner:
        """The elastic stiffness; with an interface, atoms' and elements' shares of it apart."""
        return self._at_rest if self.model.body.interface is None else Shared(self.model, u)

    def evaluate(self, u: Array) -> Balance:
        """The blended energy, its gradient and their parts."""
        model, partition = self.model, self.model.partition
        atoms, on_atoms = model.atomistic(u, model.weights)
        continuum = model.continuum(u, partition.cell_weights, partition.facet_weights)
        terms = {
            **model.energy_terms(u, model.weights, atoms),
            "bulk": continuum.bulk,
            "interface": continuum.interface,
        }
        parts = {
            "atoms": model.to_atoms.T @ on_atoms,
            "bulk": continuum.on_bulk,
            "interface": continuum.on_interface,
        }
        return Balance(
            energy=atoms + continuum.bulk + continuum.interface,
            residual=sum(parts.values(), np.zeros(model.shape)),
            terms=terms,
            parts=parts,
        )

    def tangent(self, u: Array) -> sp.csr_matrix | None:
        """Second derivatives of the blended energy."""
        model, partition = self.model, self.model.partition
        second = model.atomistic_stiffness(u, model.weights)
        if second is None:
            return None
        carry = model.expand(model.to_atoms)
        return (carry.T @ second @ carry + model.stiffness(u, partition.cell_weights, partition.facet_weights)).tocsr()


@dataclass(frozen=True, eq=False)
class Qce(Bqce):
    """The blended energy with β = 0 or 1 and nothing between: the negative control."""

    name: str = "qce"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_sharp(self.name, self.model)
