"""Blended energies with ghost force correction: BGFC.

E(u) = E^β(u) − ⟨δE^β_hom(u₀), u − u₀⟩  (Ortner and Zhang 2016, SIAM J. Sci. Comput. 38, A346), with E^β_hom the blended energy
of the perfect crystal and u₀ a predictor, by default the homogeneous deformation itself. The correction is one dead load,
computed once: the perfect crystal is then exactly in equilibrium at u₀, and elsewhere the ghost forces that are left are
of the order |F − F₀| |∇²β|. Conservative.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from coupling.handshake.bqce import Bqce
from coupling.handshake.methods import Balance

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Bgfc(Bqce):
    """The blended energy less the work of its ghost forces at the predictor.

    Attributes:
        predictor: (nodes, c) u₀, Å; None for the homogeneous deformation.
    """

    name: str = "bgfc"
    predictor: Array | None = None

    @cached_property
    def start(self) -> Array:
        """u₀, (nodes, c)."""
        return np.zeros(self.model.shape) if self.predictor is None else self.predictor

    @cached_property
    def ghost_forces(self) -> Array:
        """δE^β_hom(u₀), (nodes, c), eV/Å, on the perfect crystal: what BQCE leaves where nothing should be."""
        model, partition = self.model, self.model.partition
        _, atoms = model.perfect(self.start, partition.weights)
        continuum = model.continuum(self.start, partition.cell_weights, partition.facet_weights)
        return atoms + continuum.on_bulk + continuum.on_interface

    def evaluate(self, u: Array) -> Balance:
        """The corrected energy, its gradient and their parts."""
        blended = super().evaluate(u)
        correction = -float(np.sum(self.ghost_forces * (u - self.start)))
        assert blended.energy is not None
        return Balance(
            energy=blended.energy + correction,
            residual=blended.residual - self.ghost_forces,
            terms={**blended.terms, "ghost force correction": correction},
            parts={**blended.parts, "ghost force correction": -self.ghost_forces},
        )
