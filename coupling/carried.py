"""A state of a coupled body in the measures of its lattice: what is left of it when the potential changes.

Another potential has another lattice constant, so another mesh, and other elastic constants. What two crystals share are their
lattice indices. A state is therefore kept as displacements beyond a reference field (the elastic field of the load, or none),
at places measured in lattice vectors: node for node the same in core and blend, whose nodes are the lattice's sites, and
interpolated where the meshes differ. It is a start for the search of an equilibrium, not an equilibrium: energies, forces and the
account of work are the old potential's and are not carried over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator

from atomistic.lattice import Lattice, SiteTable
from continuum.mesh.slit import node_sides
from coupling.crack.build import with_inner
from coupling.crack.model import CrackModel
from coupling.errors import PartitionError
from coupling.handshake.model import CoupledModel

Array = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class CarriedState:
    """A state of a plane coupled body without the lengths of its crystal.

    Attributes:
        places: (n, 2) undeformed nodes, in lattice vectors from the lattice's origin.
        sides: (n,) +1 above the crack or interface, −1 below, 0 where both are one.
        own: (n, c) displacement beyond the reference field, Å.
        sites: (s, 2) lattice indices of the sites with inner displacements.
        inner: (s, k, c) inner displacements, Å; k = 0 for one atom a site.
        spacing: length of the shortest lattice vector, Å.
    """

    places: Array
    sides: Array
    own: Array
    sites: Integers
    inner: Array
    spacing: float

    def to_mapping(self) -> dict[str, Any]:
        """As arrays and a number by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def of_mapping(cls, values: Mapping[str, Any]) -> CarriedState:
        """The inverse of `to_mapping`; other names are passed over.

        Raises:
            PartitionError: something is missing.
        """
        names = [field.name for field in fields(cls)]
        if missing := [name for name in names if name not in values]:
            raise PartitionError(f"a kept state lacks {', '.join(missing)}: it was not written by this version")
        arrays = {name: np.asarray(values[name]) for name in names if name != "spacing"}
        return cls(**arrays, spacing=float(values["spacing"]))


def carry_away(model: CoupledModel, u: Array, field: Array | None = None) -> CarriedState:
    """Take a state out of its model.

    Args:
        model: plane, with a crack's slit or an interface.
        u: (rows, c) its unknowns, one displacement a node first, Å.
        field: (rows, c) reference field, Å; zero by default.
    """
    lattice, nodes = model.partition.lattice, len(model.body.nodes)
    own = u[:nodes] if field is None else u[:nodes] - field[:nodes]
    sites, inner = np.zeros((0, 2), dtype=np.int64), np.zeros((0, 0, model.components))
    if isinstance(model, CrackModel) and model.atoms_per_site > 1:
        sites = model.partition.indices[model.carriers]
        inner = u[nodes:].reshape(len(sites), model.atoms_per_site - 1, 3)
    return CarriedState(
        places=_in_vectors(lattice, model.body.nodes),
        sides=node_sides(model.body.mesh, model.body.ends),
        own=own,
        sites=sites,
        inner=inner,
        spacing=_spacing(lattice),
    )


def bring_in(model: CoupledModel, state: CarriedState, field: Array | None = None, *, scale: bool = True) -> Array:
    """Return a start (rows, c), Å, for the search of the same state in another model.

    Args:
        model: of the same lattice by indices, its lengths another's.
        state: taken out of the other model.
        field: (rows, c) reference field of this model at the load looked for, Å; zero by default.
        scale: multiply the displacements by the ratio of the lattices' spacings, as a crack's own field wants it; openings of
            an interface stay as they are.

    Raises:
        PartitionError: another number of atoms a site, or of components.
    """
    nodes = len(model.body.nodes)
    if state.own.shape[1] != model.components:
        raise PartitionError(
            f"a kept state with {state.own.shape[1]} components for a body with {model.components}: expected the same study"
        )
    factor = _spacing(model.partition.lattice) / state.spacing if scale else 1.0
    places = _in_vectors(model.partition.lattice, model.body.nodes)
    sides = node_sides(model.body.mesh, model.body.ends)
    nodal = np.zeros((nodes, model.components)) if field is None else np.array(field[:nodes])
    for side in (-1, 1):
        known, wanted = state.sides != -side, sides == side
        nodal[wanted] += factor * _interpolated(state.places[known], state.own[known], places[wanted])
    joined = sides == 0
    if joined.any():
        nodal[joined] += factor * _interpolated(state.places, state.own, places[joined])
    if not isinstance(model, CrackModel):
        return nodal
    found = with_inner(model, nodal)
    free = model.atoms_per_site - 1
    if free != state.inner.shape[1]:
        raise PartitionError(
            f"a kept state with {state.inner.shape[1] + 1} atoms a site for a crystal with {free + 1}: expected the same cut"
        )
    if free:
        rows = np.asarray(SiteTable(state.sites).find(model.partition.indices[model.carriers]))
        inner = found[nodes:].reshape(-1, free, 3)
        inner[rows >= 0] = factor * state.inner[rows[rows >= 0]]
        found[nodes:] = inner.reshape(-1, 3)
    return found


def _in_vectors(lattice: Lattice, places: Array) -> Array:
    """Places (n, 2), Å, in lattice vectors."""
    found: Array = (places - lattice.origin) @ np.linalg.inv(lattice.basis)
    return found


def _spacing(lattice: Lattice) -> float:
    return float(np.linalg.norm(lattice.basis, axis=1).min())


def _interpolated(known: Array, values: Array, wanted: Array) -> Array:
    """Values (n, c) at places; outside the hull of those known, the nearest one's."""
    if not len(wanted):
        return np.zeros((0, values.shape[1]))
    found = LinearNDInterpolator(known, values)(wanted)
    outside = np.isnan(found).any(axis=1)
    if outside.any():
        found[outside] = NearestNDInterpolator(known, values)(wanted[outside])
    return np.asarray(found)
