"""Moving the zone along with a crack: the state of one model as a start for another of the same crystal and body."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from atomistic.lattice import SiteTable
from continuum.mesh.slit import node_sides
from coupling.crack.build import with_inner
from coupling.crack.method import CrackForces
from coupling.crack.model import CrackModel
from coupling.errors import PartitionError

Array = NDArray[np.float64]
#: Nodes on the crack's line are looked up this far (Å) inside their own side.
_INSIDE = 1e-3
#: Points between two states at which forces are taken for the work between them.
_GAUSS = np.polynomial.legendre.leggauss(3)


def carry(old: CrackModel, u: Array, new: CrackModel) -> Array:
    """Take a state over into another model: sites keep the displacements that they have, the rest follows the old elements.

    Args:
        old: the model that the state belongs to.
        u: (rows, 3) its unknowns, Å.
        new: with the same crystal and body, its zone elsewhere.

    Returns:
        (rows, 3) of the new model, Å.

    Raises:
        PartitionError: lattices that differ.
    """
    first, second = old.partition.lattice, new.partition.lattice
    if not (np.allclose(first.basis, second.basis) and np.allclose(first.origin, second.origin)):
        raise PartitionError(
            "a state can only be carried over to a model of the same lattice: keep crystal, cut and body"
        )
    body = new.body
    places = body.nodes.copy()
    on_line = np.abs(places[:, 1]) < _INSIDE
    places[on_line, 1] = _INSIDE * node_sides(body.mesh, body.ends)[on_line]
    nodal = old.body.interpolation(places) @ u[: old.nodes]
    found = with_inner(new, nodal)
    free = new.atoms_per_site - 1
    if free:
        mine, theirs = _shared(old, new)
        inner = found[new.nodes :].reshape(-1, free, 3)
        inner[mine] = u[old.nodes :].reshape(-1, free, 3)[theirs]
        found[new.nodes :] = inner.reshape(-1, 3)
    return found


def _shared(old: CrackModel, new: CrackModel) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sites with unknowns in both models, by their order among the carriers of the new one and of the old one."""
    table = SiteTable(old.partition.indices[old.carriers])
    found = np.asarray(table.find(new.partition.indices[new.carriers]))
    mine = np.flatnonzero(found >= 0)
    return mine, found[mine]


def relaxation_energy(method: CrackForces, start: Array, end: Array) -> float:
    """Energy that a model sets free between two states, −∫ F · du along the straight way, eV; forces without an energy too."""
    nodes, weights = _GAUSS
    change = end - start
    forces = [method.evaluate(start + 0.5 * (1.0 + x) * change).residual for x in nodes]
    return -0.5 * float(sum(w * np.sum(force * change) for w, force in zip(weights, forces, strict=True)))
