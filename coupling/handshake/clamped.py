"""Atoms in a fixed frame: the baseline that everybody else uses.

The atoms of the zone relax, everything beyond it keeps the applied deformation. The elastic answer of the surroundings is
missing, so the error falls only with the square root of the number of atoms in two dimensions (Ehrlacher, Ortner and
Shapeev 2016).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from coupling.handshake.methods import Balance, OnNodes, require_sharp

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Clamped(OnNodes):
    """Plain atomistic energy; the unknowns are the weighted sites alone."""

    name: str = "clamped"
    weighted: bool = False
    conservative: bool = True

    def __post_init__(self) -> None:
        require_sharp(self.name, self.model)

    @property
    def free(self) -> NDArray[np.bool_]:
        """Nodes of the present atoms in the core."""
        model, found = self.model, np.zeros(self.model.shape, dtype=bool)
        sites = model.present[model.partition.weighted[model.present]]
        found[model.partition.node[sites]] = True
        return found & ~model.held

    @property
    def moving(self) -> NDArray[np.bool_]:
        """The unknowns: the frame stays where it is."""
        return self.free

    def evaluate(self, u: Array) -> Balance:
        """Energy of the atoms, pads included, and its gradient."""
        energy, on_atoms = self.model.atomistic(u, None)
        gradient = self.model.to_atoms.T @ on_atoms
        return Balance(energy=energy, residual=gradient, terms={"atoms": energy}, parts={"atoms": gradient})

    def tangent(self, u: Array) -> sp.csr_matrix | None:
        """Second derivatives of the energy of the atoms."""
        second = self.model.atomistic_stiffness(u, None)
        if second is None:
            return None
        carry = self.model.expand(self.model.to_atoms)
        return (carry.T @ second @ carry).tocsr()
