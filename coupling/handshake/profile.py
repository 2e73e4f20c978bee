"""Opening and traction along an interface whose middle is atomistic and whose rest carries a cohesive law.

Where elements count, both come from the law. Where atoms count, the opening is the change of distance of the two rows beside
the interface, less the elastic strain that the law does not hold; the traction is what the lower body's atoms do to the
upper's, column by column,

    T(x) = −(1/A) Σ_{i in column, above} [f_i(both bodies) − f_i(upper body alone)],

which needs forces only, so that any potential serves; averaged with the same for the lower body.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from coupling.errors import PartitionError
from coupling.handshake.model import CoupledModel

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class HandshakeProfile:
    """Both descriptions along the interface, at the rows' sites.

    Attributes:
        x: (k,) along the interface, Å, ascending.
        weight: (k,) of the atoms there, 1 − β.
        gap: (k, c) change of distance of the two rows beside the interface, normal, along, out of the plane; Å. It has one
            meaning on both sides: displacement of the nodes at the rows.
        atoms: (k, c) traction of the atoms, eV/Å³; NaN where no atom has a weight.
        law: (k, c) traction of the law, eV/Å³; NaN where the law has no weight.
    """

    x: Array
    weight: Array
    gap: Array
    atoms: Array
    law: Array

    @property
    def traction(self) -> Array:
        """(1 − β) T_atoms + β T_law: what the whole carries, (k, c) eV/Å³."""
        share = self.weight[:, None]
        return np.where(share > 0.0, share * np.nan_to_num(self.atoms), 0.0) + np.where(
            share < 1.0, (1.0 - share) * np.nan_to_num(self.law), 0.0
        )

    @property
    def handshake(self) -> NDArray[np.bool_]:
        """(k,) sites where atoms and law both count."""
        return (self.weight > 0.0) & (self.weight < 1.0)

    @property
    def jump(self) -> float:
        """Largest change of the normal traction from a site to the next in the handshake, eV/Å³: what is left of continuity."""
        near = self.handshake[:-1] | self.handshake[1:]
        steps = np.abs(np.diff(self.traction[:, 0]))[near]
        return float(steps.max()) if steps.size else 0.0

    @property
    def disagreement(self) -> float:
        """Largest difference of the two normal tractions where each counts for at least a quarter, eV/Å³."""
        both = (self.weight >= 0.25) & (self.weight <= 0.75)
        return float(np.abs(self.atoms[both, 0] - self.law[both, 0]).max()) if both.any() else 0.0


def interface_profile(model: CoupledModel, u: Array) -> HandshakeProfile:
    """Take the profile of a coupled state; costs three potential calls.

    Raises:
        PartitionError: the body has no interface.
    """
    interface, partition = model.body.interface, model.partition
    if interface is None:
        raise PartitionError("the body has no interface to take a profile of: couple(..., interface=y, law=...)")
    height = float(interface.midpoints[0, 1])
    below, above = _rows(model, height)
    x = model.body.nodes[above, 0]
    spacing = float(np.diff(np.sort(x)).min())
    # The rows are shifted against each other: the lower row's displacement is interpolated to the upper's places.
    order = np.argsort(model.body.nodes[below, 0])
    lower = np.column_stack(
        [np.interp(x, model.body.nodes[below, 0][order], u[below, k][order]) for k in range(model.components)]
    )
    turn = [1, 0, 2][: model.components]
    gap = (u[above] - lower)[:, turn]
    weight = 1.0 - partition.node_beta[above]
    atoms = _atomic_traction(model, u, x, height, spacing)[:, turn]
    law = interface.profile(u, model.history)
    law_traction = np.column_stack([np.interp(x, law.x, law.traction[:, k]) for k in range(model.components)])
    atoms[weight <= 0.0] = np.nan
    law_traction[weight >= 1.0] = np.nan
    return HandshakeProfile(x=x, weight=weight, gap=gap, atoms=atoms, law=law_traction)


def _rows(model: CoupledModel, height: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Nodes of the rows of weighted or padded sites next to the interface, below and above, from left to right."""
    partition, nodes = model.partition, model.body.nodes
    on = partition.node[partition.node >= 0]
    y = nodes[on, 1] - height
    rows = []
    for side in (-1.0, 1.0):
        mine = on[y * side > 0.0]
        nearest = np.abs(nodes[mine, 1] - height).min()
        row = mine[np.abs(nodes[mine, 1] - height) < nearest * (1.0 + 1e-6)]
        rows.append(row[np.argsort(nodes[row, 0])])
    return rows[0], rows[1]


def _atomic_traction(model: CoupledModel, u: Array, x: Array, height: float, spacing: float) -> Array:
    """(k, c) force per area between the atoms above and below, in columns one spacing wide about x."""
    partition = model.partition
    sites = model.present
    places = model.places(u)
    reference = partition.lattice.places(partition.indices[sites])
    upper = reference[:, 1] > height
    _, both = model.atoms.energy_and_gradient(places, None)
    across = np.zeros_like(both)
    for side in (upper, ~upper):
        alone = model.make_atoms(partition.indices[sites[side]])
        _, gradient = alone.energy_and_gradient(places[side], None)
        across[side] = both[side] - gradient
    area = spacing * (model.body.thickness if model.components > 2 else 1.0)
    found = np.zeros((len(x), model.components))
    for side, sign in ((upper, 0.5), (~upper, -0.5)):
        # A site between two columns belongs to both, the more the nearer.
        share = np.clip(1.0 - np.abs(reference[side, 0][:, None] - x[None]) / spacing, 0.0, None)
        found += sign * (share.T @ across[side]) / area
    return found
