"""The cracked crystal as springs: force constants of the perfect one, none across faces that have come apart.

Nearly Newton's tangent for the price of a few evaluations of a small supercell, which the range of the potential needs anyway. A
state that changes no bonds is found with it in some ten calls, by any potential: this is what serves machine-learned ones.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from atomistic.column_interaction import ColumnInteraction
from atomistic.lattice import SiteTable
from coupling.crack.method import CrackForces
from coupling.crack.tangent import BlendedFactor

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
#: Two atoms on different sides of the plane hold each other until they have come apart by so much, Å.
_APART = 1.0


class HarmonicTangent:
    """The blended tangent with harmonic atoms, factorised; springs across the plane go as it opens.

    Args:
        method: blended forces.
        interaction: force constants of the perfect crystal.
    """

    def __init__(self, method: CrackForces, interaction: ColumnInteraction) -> None:
        self.method = method
        model = method.model
        self._rows, self._columns, self._blocks = _springs(method, interaction)
        height = model.reference[:, 1]
        self._crossing = np.flatnonzero(height[self._rows] * height[self._columns] < 0.0)
        self._broken: NDArray[np.bool_] | None = None
        self._factor = BlendedFactor(method)
        self._elements = model.body.stiffness(np.zeros((model.nodes, 3)), method.seen_cells)

    def update(self, u: Array) -> None:
        """Break and heal springs as a state (rows, 3) asks for; factorise anew where that changes any."""
        y, reference = self.method.model.places(u)[:, 1], self.method.model.reference[:, 1]
        i, j = self._rows[self._crossing], self._columns[self._crossing]
        broken = np.abs(y[i] - y[j]) - np.abs(reference[i] - reference[j]) > _APART
        if self._broken is not None and np.array_equal(broken, self._broken):
            return
        self._broken = broken
        held = np.ones(len(self._rows))
        held[self._crossing[broken]] = 0.0
        count = len(self.method.model.reference)
        blocks = self._blocks * held[:, None, None]
        # Forces vanish under translations: an atom's own constants make up for all others.
        own = np.zeros((count, 3, 3))
        np.add.at(own, self._rows, -blocks)
        rows = np.concatenate([self._rows, np.arange(count)])
        columns = np.concatenate([self._columns, np.arange(count)])
        triple = np.arange(3)
        entries = (
            np.concatenate([blocks, own]).ravel(),
            (
                np.broadcast_to(3 * rows[:, None, None] + triple[:, None], (len(rows), 3, 3)).ravel(),
                np.broadcast_to(3 * columns[:, None, None] + triple, (len(rows), 3, 3)).ravel(),
            ),
        )
        self._factor.update(sp.csr_matrix(entries, shape=(3 * count, 3 * count)), self._elements)

    def solve(self, residual: Array) -> Array:
        """J⁻¹ r, (rows, 3)."""
        return self._factor.solve(residual)


def _springs(method: CrackForces, interaction: ColumnInteraction) -> tuple[Integers, Integers, Array]:
    """Atoms at both ends of all springs between different atoms, (n,) and (n,), and their constants (n, 3, 3)."""
    model = method.model
    q, q1 = model.atoms_per_site, interaction.constants.shape[2]
    table = SiteTable(model.partition.indices)
    rows, columns, blocks = [], [], []
    for offset, constants in zip(interaction.offsets, interaction.constants, strict=True):
        start, end = table.pairs(offset)
        for period in range(q // q1):
            # Atoms one period on see the others one period on.
            turned = np.roll(constants, period * q1, axis=0)
            for k in range(q1):
                rows.append((end[:, None] * q + np.arange(q)).ravel())
                columns.append(np.repeat(start * q + period * q1 + k, q))
                blocks.append(np.broadcast_to(turned[:, k], (len(start), q, 3, 3)).reshape(-1, 3, 3))
    i, j, found = np.concatenate(rows), np.concatenate(columns), np.concatenate(blocks)
    other = i != j
    return i[other], j[other], found[other]
