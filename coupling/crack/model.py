"""The coupled model of a cracked crystal: sites that carry motifs of atoms, in a mesh with a slit.

A site i of the plane lattice stands for a column of q atoms per period along the front: one for fcc and bcc, two for diamond,
and as many times that as there are periods. Its atoms are displaced by

    u_ik = U_i + p_ik,      Σ_k c_k p_ik = 0,      Σ_k c_k o_k = 0,

U_i the node's displacement and o_k the atoms' offsets from the site, so that U follows the finite elements' field under any
homogeneous deformation. In core and blend the inner displacements p are unknowns and belong to the atoms alone; in the
pad, atoms follow the elements and the shifts that the crystal itself takes under their strain (Born and Huang 1954).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from atomistic.columns import Columns
from atomistic.elasticity import VOIGT
from atomistic.inner_shifts import InnerShifts
from coupling.errors import PartitionError
from coupling.handshake.model import ContinuumBalance, CoupledModel, Mask

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
#: Offsets whose weighted mean is farther than this part of the largest from zero have no centre at the site.
_CENTRED = 1e-9
#: Half the distance over which the elements' slope is taken, in lattice spacings: short of the slit.
_STENCIL = 0.3
#: Springs across the slit ahead of the tip, in stiffnesses of a row of the crystal.
_STIFF = 10.0


@dataclass(frozen=True, kw_only=True, eq=False)
class CrackModel(CoupledModel):
    """As the parent, with rows for the nodes' displacements first and for independent inner displacements after.

    Attributes:
        columns: the crystal along its front.
        shifts: inner displacements of the strained crystal.
        bonded: (facets,) True for those of the mesh's slit that the crystal holds together at the start: springs of the
            preconditioner stand there.
    """

    columns: Columns
    shifts: InnerShifts
    bonded: Mask

    @property
    def atoms_per_site(self) -> int:
        """q."""
        return self.columns.atoms_per_site

    @cached_property
    def centre_weights(self) -> Array:
        """(q,) c_k: equal ones where the offsets' mean is zero, else the nearest to equal.

        Raises:
            PartitionError: no weights do it.
        """
        offsets, q = self.columns.offsets, self.atoms_per_site
        if q == 1:
            return np.ones(1)
        even = np.full(q, 1.0 / q)
        rows = np.vstack([np.ones(q), offsets[:, :2].T])
        wanted = np.array([1.0, 0.0, 0.0])
        found = even + np.linalg.lstsq(rows, wanted - rows @ even, rcond=None)[0]
        if np.abs(rows @ found - wanted).max() > _CENTRED * max(1.0, np.abs(offsets).max()) or abs(found[-1]) < 0.05:
            raise PartitionError(
                f"the {q} atoms of a site lie at {np.round(offsets, 3).tolist()} Å about it, and no weights put their "
                "centre on the site: choose another cut of this plane"
            )
        return found

    @cached_property
    def carriers(self) -> Integers:
        """Sites with unknowns of their own, core and blend, as rows of the partition."""
        return np.flatnonzero(self.partition.weighted)

    @cached_property
    def followers(self) -> Integers:
        """Sites of the pad."""
        return np.flatnonzero(~self.partition.weighted)

    @property
    def nodes(self) -> int:
        """Number of the body's nodes: the first rows."""
        return len(self.body.nodes)

    @property
    def shape(self) -> tuple[int, int]:
        """(nodes + inner displacements, 3)."""
        return self.nodes + len(self.carriers) * (self.atoms_per_site - 1), 3

    @property
    def inner_rows(self) -> Integers:
        """(carriers, q − 1) rows of the independent inner displacements."""
        sites, free = len(self.carriers), self.atoms_per_site - 1
        return self.nodes + np.arange(sites * free).reshape(sites, free)

    @cached_property
    def reference(self) -> Array:
        """(atoms, 3) undeformed places of all atoms, site by site, Å."""
        return self.columns.positions(self.partition.indices).reshape(-1, 3)

    @cached_property
    def site_of_atom(self) -> Integers:
        """(atoms,) row of the partition."""
        return np.repeat(np.arange(len(self.partition.indices)), self.atoms_per_site)

    @cached_property
    def atom_beta(self) -> Array:
        """(atoms,) β of each atom's site."""
        return self.partition.beta[self.site_of_atom]

    @cached_property
    def on_nodes(self) -> sp.csr_matrix:
        """(atoms, nodes) displacement of the atoms by the nodes alone."""
        q, count = self.atoms_per_site, len(self.partition.indices)
        own = (self.carriers[:, None] * q + np.arange(q)).ravel()
        node = np.repeat(self.partition.node[self.carriers], q)
        matrix = sp.csr_matrix((np.ones(len(own)), (own, node)), shape=(count * q, self.nodes))
        if not len(self.followers):
            return matrix
        return (matrix + self._place_followers @ self.body.interpolation(self.follower_places)).tocsr()

    @cached_property
    def follower_atoms(self) -> Integers:
        """Atoms of the pad."""
        q = self.atoms_per_site
        return (self.followers[:, None] * q + np.arange(q)).ravel()

    @property
    def follower_places(self) -> Array:
        """(pad atoms, 2) undeformed places of the pad's atoms in the mesh, Å."""
        return self.reference[self.follower_atoms, :2]

    @cached_property
    def _place_followers(self) -> sp.csr_matrix:
        """(atoms, pad atoms)."""
        count = len(self.follower_atoms)
        return sp.csr_matrix(
            (np.ones(count), (self.follower_atoms, np.arange(count))), shape=(len(self.reference), count)
        )

    @cached_property
    def on_inner(self) -> sp.csr_matrix:
        """(atoms, inner rows) displacement of the carriers' atoms by their inner displacements."""
        q, sites = self.atoms_per_site, len(self.carriers)
        c = self.centre_weights
        basis = np.vstack([np.eye(q - 1), -c[:-1] / c[-1]])
        own = (self.carriers[:, None] * q + np.arange(q)).reshape(sites, q, 1)
        column = np.arange(sites * (q - 1)).reshape(sites, 1, q - 1)
        rows, columns = np.broadcast_arrays(own, column)
        values = np.broadcast_to(basis, rows.shape)
        return sp.csr_matrix(
            (values.ravel(), (rows.ravel(), columns.ravel())), shape=(len(self.reference), sites * (q - 1))
        )

    @cached_property
    def to_atoms(self) -> sp.csr_matrix:
        """(atoms, rows) displacement of the atoms by all unknowns, but for the shifts of the pad."""
        return sp.hstack([self.on_nodes, self.on_inner], format="csr")

    @cached_property
    def _pad_slopes(self) -> sp.csr_matrix:
        """As `slopes`, of the pad."""
        return self.slopes(self.followers)

    def slopes(self, sites: Integers) -> sp.csr_matrix:
        """(sites · 2, nodes) gradient of the nodes' field at sites: differences across a few elements."""
        places = self.partition.lattice.places(self.partition.indices[sites])
        step = _STENCIL * float(np.linalg.norm(self.partition.lattice.basis, axis=1).min())
        ahead = (places[:, None] + step * np.eye(2)).reshape(-1, 2)
        behind = (places[:, None] - step * np.eye(2)).reshape(-1, 2)
        return (self.body.interpolation(ahead) - self.body.interpolation(behind)) / (2.0 * step)

    def carrier_gradients(self, nodal: Array) -> Array:
        """(carriers, 3, 3) displacement gradients of a nodal field (nodes, 3) at the sites of core and blend."""
        return _gradients(self.slopes(self.carriers) @ nodal)

    def pad_shifts(self, u: Array) -> Array:
        """(pad atoms, 3) inner displacements that the crystal takes under the elements' strain, Å: F⁰s(E), E = (FᵀF − I)/2.

        s is known for stretches; the crystal's rotation turns it, to first order in F − I.
        """
        gradient = _gradients(self._pad_slopes @ u[: self.nodes])
        turned = np.swapaxes(gradient, 1, 2)
        found = self.linear_shifts(0.5 * (gradient + turned + turned @ gradient))
        found += np.einsum("nij,nkj->nki", 0.5 * (gradient - turned), found)
        return found.reshape(-1, 3)

    def linear_shifts(self, strain: Array) -> Array:
        """(n, q, 3) inner displacements about the centre under strains (n, 3, 3), Å."""
        found = self.shifts.positions_shift(np.stack([strain[:, i, j] * (1 + (i != j)) for i, j in VOIGT], axis=1))
        return found - np.einsum("k,nki->ni", self.centre_weights, found)[:, None]

    def places(self, u: Array) -> Array:
        """(atoms, 3) deformed places of all atoms, Å."""
        found = self.reference + self.to_atoms @ u
        if self.atoms_per_site > 1 and len(self.followers):
            found[self.follower_atoms] += self.pad_shifts(u)
        return found

    def from_atoms(self, displacement: Array, gradient: Array | None = None) -> tuple[Array, Array]:
        """Displacement of the carriers' nodes (carriers, 3) and inner displacements (inner rows, 3) of atoms (atoms, 3)."""
        q = self.atoms_per_site
        own = displacement.reshape(-1, q, 3)[self.carriers]
        centre = np.einsum("k,nki->ni", self.centre_weights, own)
        return centre, (own - centre[:, None])[:, : q - 1].reshape(-1, 3)

    def continuum(self, u: Array, cells: Array, facets: Array) -> ContinuumBalance:
        """As the parent, on the nodes' rows."""
        bulk, on_bulk = self.body.energy_and_gradient(u[: self.nodes], cells)
        rows = np.zeros(self.shape)
        rows[: self.nodes] = on_bulk
        return ContinuumBalance(bulk=bulk, on_bulk=rows, interface=0.0, on_interface=np.zeros(self.shape))

    @cached_property
    def free(self) -> Mask:
        """(rows, 3) unknowns."""
        return self._with_inner(self.active[:, None] & ~self.held)

    @cached_property
    def line(self) -> Integers:
        """Nodes on the crack's line, which carry no atoms."""
        return np.zeros(0, dtype=np.int64) if self.body.mesh.seam is None else self.body.mesh.seam

    @cached_property
    def moving(self) -> Mask:
        """(rows, 3) unknowns, and the line's nodes in the core, which no energy holds."""
        found = self.active.copy()
        found[self.line] = True
        return self._with_inner(found[:, None] & ~self.held)

    def _with_inner(self, nodal: Mask) -> Mask:
        """Nodal flags, and True for all inner displacements."""
        found = np.ones(self.shape, dtype=bool)
        found[: self.nodes] = nodal
        return found

    @cached_property
    def springs(self) -> sp.csr_matrix:
        """(nodes·3, nodes·3) what holds the slit together ahead of the tip, for the preconditioner and the elastic start."""
        slit, count = self.body.mesh.slit, self.nodes
        if slit is None or not self.bonded.any():
            return sp.csr_matrix((3 * count, 3 * count))
        lower, upper = slit[self.bonded, 0].ravel(), slit[self.bonded, 1].ravel()
        places = self.body.nodes[slit[self.bonded, 0]]
        share = 0.5 * np.linalg.norm(places[:, 1] - places[:, 0], axis=-1) * self.body.thickness
        rows = np.repeat(np.arange(2 * len(share)), 2)
        columns = np.column_stack([upper, lower]).ravel()
        jump = sp.csr_matrix((np.tile([1.0, -1.0], 2 * len(share)), (rows, columns)), shape=(2 * len(share), count))
        scalar = jump.T @ sp.diags(np.repeat(share, 2)) @ jump
        tangent = self.body.material.tangent(np.eye(3)[None])[0]
        stiffness = tangent[:, 1, :, 1] / self.partition.lattice.row_spacing
        # Stiffer than a row of crystal: what the springs add to its compliance should not be seen.
        return sp.kron(scalar, _STIFF * stiffness, format="csr")

    def elastic_stiffness(self, u: Array, *, secant: bool = False) -> sp.csr_matrix:
        """Stiffness at rest with elements in place of atoms and springs in place of bonds across the slit, nodes only."""
        return (self.elements_at_rest + self.springs).tocsr()

    @cached_property
    def elements_at_rest(self) -> sp.csr_matrix:
        """Stiffness of all elements, undeformed, (nodes·3, nodes·3)."""
        return self.body.stiffness(np.zeros((self.nodes, 3)))


def _gradients(slopes: Array) -> Array:
    """(n, 3, 3) displacement gradients ∂u_i/∂X_j of slopes (n·2, 3) in the plane."""
    found = np.zeros((len(slopes) // 2, 3, 3))
    found[:, :, :2] = np.swapaxes(slopes.reshape(-1, 2, 3), 1, 2)
    return found
