"""Atoms and finite elements with displacements of their own, on a mesh that need not know the lattice (plane bodies).

In the overlap, here the blend's width, both exist. A site's energy has the weight w_i = 1 − β(X_i); what it leaves of an element
is found by cutting the site's own cell with the elements,

    v_T = |T| − Σ_i w_i |Vor_i ∩ T|,        Σ_i w_i Ω₀ + Σ_T v_T = |Ω|,

so that no energy is counted twice on any mesh (Ben Dhia 1998; Bauman, Ben Dhia, Elkhodja, Oden and Prudhomme 2008).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from atomistic.lattice import SiteTable
from coupling.handshake.model import ContinuumBalance, CoupledModel, Mask

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
# Barycentric coordinates of a triangle's quadrature points, exact to degree two (Strang and Fix 1973); inside, so that few
# of them fall on a side of a finite element.
_POINTS = np.full((3, 3), 1.0 / 6.0) + 0.5 * np.eye(3)


@dataclass(frozen=True, kw_only=True, eq=False)
class Field:
    """Values (q, n) and slopes m × (q, n) of a linear field at quadrature points, by its n unknowns."""

    values: sp.csr_matrix
    slopes: tuple[sp.csr_matrix, ...]

    def times(self, other: Field, weights: Array, length: float) -> sp.csr_matrix:
        """∫ v w + ℓ² ∇v·∇w for all pairs of unknowns of both fields."""
        scale = sp.diags(weights)
        found = self.values.T @ scale @ other.values
        for mine, theirs in zip(self.slopes, other.slopes, strict=True):
            found = found + length**2 * (mine.T @ scale @ theirs)
        return found.tocsr()

    def of(self, basis: sp.spmatrix) -> Field:
        """The field by other unknowns: its own are `basis` times these."""
        return Field(
            values=(self.values @ basis).tocsr(), slopes=tuple((slope @ basis).tocsr() for slope in self.slopes)
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class UnmatchedModel(CoupledModel):
    """As the parent, with rows for the displacements of own atoms first, then of the body's nodes.

    Own atoms are those of core and overlap; pads follow the finite elements. Nodes deep in the core have rows, too, but are no
    unknowns.

    Attributes:
        length: ℓ of the coupling, Å.
        multiplier: spacing of the multipliers, Å; 0 for the body's own nodes.
    """

    length: float
    multiplier: float = 0.0

    @cached_property
    def own(self) -> Integers:
        """Sites with a displacement of their own, as rows of the partition: present, with a weight."""
        return self.present[self.partition.weighted[self.present]]

    @property
    def shape(self) -> tuple[int, int]:
        """(own atoms + nodes, c) of a displacement."""
        return len(self.own) + len(self.body.nodes), self.components

    def fields(self, u: Array) -> tuple[Array, Array]:
        """The displacements of own atoms and of the body's nodes."""
        return u[: len(self.own)], u[len(self.own) : self.shape[0]]

    @cached_property
    def row_places(self) -> Array:
        """(rows, m) undeformed places of own atoms and nodes, Å."""
        return np.concatenate([self.partition.lattice.places(self.partition.indices[self.own]), self.body.nodes])

    @cached_property
    def interpolation(self) -> sp.csr_matrix:
        """(sites, rows): own atoms by themselves, pads by the finite elements."""
        sites, own = len(self.partition.indices), len(self.own)
        others = np.setdiff1d(np.arange(sites), self.own)
        by_nodes = self.body.interpolation(self.partition.lattice.places(self.partition.indices[others]))
        place = sp.csr_matrix((np.ones(len(others)), (others, np.arange(len(others)))), shape=(sites, len(others)))
        alone = sp.csr_matrix((np.ones(own), (self.own, np.arange(own))), shape=(sites, own))
        return sp.hstack([alone, place @ by_nodes], format="csr")

    def continuum(self, u: Array, cells: Array, facets: Array) -> ContinuumBalance:
        """As the parent, on the nodes' rows."""
        found = super().continuum(self.fields(u)[1], cells, facets)
        none = np.zeros((len(self.own), self.components))
        return ContinuumBalance(
            bulk=found.bulk,
            on_bulk=np.concatenate([none, found.on_bulk]),
            interface=0.0,
            on_interface=np.zeros(self.shape),
        )

    def stiffness(self, u: Array, cells: Array, facets: Array) -> sp.csr_matrix:
        """As the parent, on the nodes' rows."""
        none = sp.csr_matrix((len(self.own) * self.components,) * 2)
        return sp.block_diag([none, self.body.stiffness(self.fields(u)[1], cells)], format="csr")

    @cached_property
    def active(self) -> Mask:
        """(rows,) own atoms, and nodes that an element with a weight, a pad or the coupling holds."""
        counted = np.repeat((self.partition.cell_weights > 0.0)[self.body.cell_of_point], self.body.nodes.shape[1])
        seen = np.asarray(abs(self.body.operator).T @ counted).ravel() > 0.0
        seen |= np.asarray(abs(self.elements.values).sum(axis=0)).ravel() > 0.0
        return np.concatenate([np.ones(len(self.own), dtype=bool), seen])

    @cached_property
    def free(self) -> Mask:
        """(rows, c) unknowns but for the multipliers."""
        return self.active[:, None] & ~np.concatenate(
            [np.zeros((len(self.own), self.components), dtype=bool), self.held]
        )

    @property
    def moving(self) -> Mask:
        """The unknowns."""
        return self.free

    @cached_property
    def triangles(self) -> Integers:
        """(t, 3) sites at the corners of the lattice's own triangles, counter-clockwise."""
        indices = self.partition.indices
        # Of a reduced basis the difference is the shorter diagonal.
        offsets = np.array([[[0, 0], [1, 0], [0, 1]], [[1, 0], [1, 1], [0, 1]]])
        found = SiteTable(indices).find(indices[:, None, None] + offsets).reshape(-1, 3)
        return found[(found >= 0).all(axis=1)]

    @cached_property
    def overlap(self) -> Integers:
        """(t, 3) triangles of own atoms where the finite elements count as well."""
        beta = self.partition.beta[self.triangles]
        return self.triangles[(beta < 1.0).all(axis=1) & (beta > 0.0).any(axis=1)]

    @cached_property
    def point_areas(self) -> Array:
        """(q,) areas of the overlap's quadrature points, Å²: thirds of triangles."""
        area = 0.5 * abs(float(np.linalg.det(self.partition.lattice.basis)))
        return np.full(3 * len(self.overlap), area / 3.0)

    def lattice_slopes(self, triangles: Integers) -> Array:
        """(t, m, 3) slopes of the corners' linear functions on triangles (t, 3) of sites."""
        corners = self.partition.lattice.places(self.partition.indices[triangles])
        return _slopes(corners)

    @cached_property
    def atoms_field(self) -> Field:
        """Πu_a in the overlap, by own atoms: linear on the lattice's triangles."""
        row = np.full(len(self.partition.indices), -1, dtype=np.int64)
        row[self.own] = np.arange(len(self.own))
        corners = np.repeat(row[self.overlap], 3, axis=0)
        values = np.tile(_POINTS, (len(self.overlap), 1))
        return _field(corners, values, np.repeat(self.lattice_slopes(self.overlap), 3, axis=0), len(self.own))

    @cached_property
    def elements(self) -> Field:
        """u_h at the same points, by the body's nodes."""
        corners = self.partition.lattice.places(self.partition.indices[self.overlap])
        points = np.einsum("qk,tkm->tqm", _POINTS, corners).reshape(-1, 2)
        cell, barycentric = self.body.locate(points)
        vertices = self.body.cells[cell]
        return _field(vertices, barycentric, _slopes(self.body.nodes[vertices]), len(self.body.nodes))

    @cached_property
    def elastic(self) -> sp.csr_matrix:
        """Stiffness at rest with weighted lattice triangles in place of the atoms, (rows·c, rows·c)."""
        partition, gone = self.partition, self.partition.absent
        weights = np.where(gone[self.triangles].any(axis=1), 0.0, partition.weights[self.triangles].mean(axis=1))
        kept = self.triangles[weights > 0.0]
        slopes, m = self.lattice_slopes(kept), 2
        area = weights[weights > 0.0] * 0.5 * partition.lattice.site_volume
        modulus = self.body.material.tangent(self.far_field[None])[0][:, :m, :, :m]
        rows = np.repeat(np.arange(len(kept)), 3)
        operators = [
            sp.csr_matrix((slopes[:, a].ravel(), (rows, kept.ravel())), shape=(len(kept), len(partition.indices)))
            @ self.interpolation
            for a in range(m)
        ]
        total = self.stiffness(np.zeros(self.shape), partition.cell_weights, np.zeros(0))
        for a in range(m):
            for b in range(m):
                total = total + sp.kron(operators[a].T @ sp.diags(area) @ operators[b], modulus[:, a, :, b])
        return total.tocsr()

    @property
    def _bulk_at_rest(self) -> sp.csr_matrix:
        """What the parent takes for the stiffness at every state."""
        return self.elastic


def _slopes(corners: Array) -> Array:
    """(t, 2, 3) slopes of the corners' linear functions on triangles with corners (t, 3, 2)."""
    inverse = np.linalg.inv(corners[:, 1:] - corners[:, :1])
    return np.concatenate([-inverse.sum(axis=2, keepdims=True), inverse], axis=2)


def _field(corners: Integers, values: Array, slopes: Array, count: int) -> Field:
    """A field from its corners' numbers (q, 3), shape functions (q, 3) and their slopes (q, 2, 3)."""
    rows = np.repeat(np.arange(len(corners)), 3)

    def operator(entries: Array) -> sp.csr_matrix:
        return sp.csr_matrix((entries.ravel(), (rows, corners.ravel())), shape=(len(corners), count))

    return Field(values=operator(values), slopes=tuple(operator(slopes[:, a]) for a in range(2)))
