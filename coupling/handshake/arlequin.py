"""Arlequin: atoms and finite elements of different meshes, tied in the overlap by multipliers (Ben Dhia 1998).

    E(u_a, u_h) = Σ_i w_i V_i(u_a) + Σ_T v_T W(∇u_h|_T),       stationary under   c(μ, Πu_a − u_h) = 0 for all μ,
    c(μ, g) = ∫_overlap μ·g + ℓ² ∇μ:∇g,

with Π the linear interpolation on the lattice's triangles, and multipliers that are linear finite elements on the mesh's own
nodes, or hats one lattice spacing apart where those nodes are closer than sites. With the H¹ product the inf-sup constant
does not depend on the mesh, with that of L² it falls with the elements' size, and the H¹ seminorm leaves rigid motions loose
(Bauman, Ben Dhia, Elkhodja, Oden and Prudhomme 2008). Conservative.

As every blended energy it has ghost forces in the overlap, and here they are large under stress: what the weights' slope makes of
the stress, P∇β, the multipliers can carry only as far as they are as fine as the atoms. The corrected method takes all of it away
at a predictor, as BGFC does, and is the one to use.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from continuum.factorise import Factor
from continuum.mesh.simplex import reduced_basis
from coupling.errors import MethodError
from coupling.handshake.methods import Balance, require_site_energies
from coupling.handshake.model import CoupledModel
from coupling.handshake.unmatched import UnmatchedModel

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Arlequin:
    """Displacements of own atoms, of the body's nodes, and multipliers λ (Å), stacked (rows + multipliers, c).

    Each constraint is divided by the sum of its factors on the atoms and multiplied by a stiffness, so that it is a force
    (eV/Å) as the rest of the residual is.
    """

    model: UnmatchedModel
    name: str = "arlequin"
    weighted: bool = True
    conservative: bool = True

    def __post_init__(self) -> None:
        require_unmatched(self.name, self.model)
        require_site_energies(self.name, self.model)

    @cached_property
    def constraint(self) -> sp.csr_matrix:
        """(multipliers, rows) of each component, eV/Å²."""
        model = self.model
        test = model.elements.of(_multipliers(model))
        areas, length = model.point_areas, model.length
        on_atoms = test.times(model.atoms_field, areas, length)
        on_nodes = test.times(model.elements, areas, length)
        scale = self._stiffness / np.asarray(abs(on_atoms).sum(axis=1)).ravel()
        return (sp.diags(scale) @ sp.hstack([on_atoms, -on_nodes])).tocsr()

    @cached_property
    def _stiffness(self) -> float:
        """Mean stiffness of an unknown, eV/Å²."""
        diagonal = self.model.elastic.diagonal()
        return float(diagonal[self.model.free.ravel()].mean())

    @property
    def shape(self) -> tuple[int, int]:
        """(rows + multipliers, c)."""
        rows, c = self.model.shape
        return rows + self.constraint.shape[0], c

    @cached_property
    def free(self) -> NDArray[np.bool_]:
        """The model's unknowns and all multipliers."""
        multipliers = np.ones((self.constraint.shape[0], self.model.components), dtype=bool)
        return np.concatenate([self.model.free, multipliers])

    @property
    def moving(self) -> NDArray[np.bool_]:
        """The unknowns."""
        return self.free

    def split(self, u: Array) -> tuple[Array, Array]:
        """Displacements (rows, c) and multipliers."""
        return u[: self.model.shape[0]], u[self.model.shape[0] :]

    def stacked(self, u: Array) -> Array:
        """Displacements (rows, c) with multipliers of zero."""
        return np.concatenate([u, np.zeros((self.shape[0] - len(u), u.shape[1]))])

    def nodal(self, u: Array) -> Array:
        """Displacements of own atoms and nodes, without the multipliers."""
        return self.split(u)[0]

    def homogeneous(self, deformation: ArrayLike) -> Array:
        """Unknowns under the homogeneous deformation F (c, c): u = (F − F₀)X, with the multipliers that suit it best."""
        beyond = np.asarray(deformation, dtype=float) - self.model.far_field
        return self.balanced(self.stacked(self.model.row_places @ beyond[:, :2].T))

    def balanced(self, u: Array) -> Array:
        """The same displacements with the multipliers that leave the least sum of squared forces."""
        rows, c = self.model.shape
        moved = self.stacked(self.split(u)[0])
        tie = self.model.expand(self.constraint)[:, self.model.free.ravel()]
        left = self.evaluate(moved).residual[:rows][self.model.free]
        found = Factor(tie @ tie.T, symmetric=True).solve(-(tie @ left))
        return np.concatenate([moved[:rows], found.reshape(-1, c)])

    def gap(self, u: Array) -> float:
        """Root mean square of Πu_a − u_h in the overlap, Å: what the constraint leaves of it, on the scale of single atoms."""
        atoms, nodes = self.model.fields(self.split(u)[0])
        areas = self.model.point_areas
        apart = self.model.atoms_field.values @ atoms - self.model.elements.values @ nodes
        return float(np.sqrt(areas @ (apart**2).sum(axis=1) / areas.sum()))

    def evaluate(self, u: Array) -> Balance:
        """The energy with the constraint's, its derivative by displacements and multipliers, and their parts."""
        model, partition = self.model, self.model.partition
        moved, multipliers = self.split(u)
        atoms, on_atoms = model.atomistic(moved, model.weights)
        continuum = model.continuum(moved, partition.cell_weights, partition.facet_weights)
        gap = self.constraint @ moved
        terms = {"atoms": atoms, "bulk": continuum.bulk, "constraint": float(np.sum(multipliers * gap))}
        parts = {
            "atoms": self.stacked(model.to_atoms.T @ on_atoms),
            "bulk": self.stacked(continuum.on_bulk),
            "constraint": np.concatenate([self.constraint.T @ multipliers, gap]),
        }
        return Balance(
            energy=sum(terms.values()), residual=sum(parts.values(), np.zeros(self.shape)), terms=terms, parts=parts
        )

    def saddle(self, stiffness: sp.spmatrix) -> sp.csr_matrix:
        """[[K, Cᵀ], [C, 0]] of a stiffness (rows·c, rows·c)."""
        tie = self.model.expand(self.constraint)
        return sp.bmat([[stiffness, tie.T], [tie, None]], format="csr")

    @cached_property
    def _at_rest(self) -> Factor:
        return Factor(self.saddle(self.model.elastic), self.free, symmetric=True)

    def preconditioner(self, u: Array) -> Factor:
        """The saddle point with weighted lattice triangles, elastic as the elements, in place of the atoms."""
        return self._at_rest

    def tangent(self, u: Array) -> sp.csr_matrix | None:
        """Derivative of the residual."""
        model, partition = self.model, self.model.partition
        moved, _ = self.split(u)
        second = model.atomistic_stiffness(moved, model.weights)
        if second is None:
            return None
        carry = model.expand(model.to_atoms)
        bulk = model.stiffness(moved, partition.cell_weights, partition.facet_weights)
        return self.saddle(carry.T @ second @ carry + bulk)


@dataclass(frozen=True, eq=False)
class CorrectedArlequin(Arlequin):
    """Less the work of the dead load that holds the perfect crystal at a predictor, as BGFC.

    E(u) − ⟨δE_hom(u₀), u − u₀⟩, with E_hom of the perfect crystal: at u₀ all forces and the multipliers vanish.

    Attributes:
        predictor: (rows, c) u₀, Å; None for the homogeneous deformation.
    """

    name: str = "arlequin-corrected"
    predictor: Array | None = None

    @cached_property
    def start(self) -> Array:
        """u₀, (rows, c)."""
        return np.zeros(self.model.shape) if self.predictor is None else self.predictor

    @cached_property
    def ghost_forces(self) -> Array:
        """δE_hom(u₀), (rows + multipliers, c), eV/Å, on the perfect crystal: zero for the multipliers."""
        model, partition = self.model, self.model.partition
        _, atoms = model.perfect(self.start, partition.weights)
        continuum = model.continuum(self.start, partition.cell_weights, partition.facet_weights)
        return self.stacked(atoms + continuum.on_bulk)

    def evaluate(self, u: Array) -> Balance:
        """The corrected energy, its derivative and their parts."""
        plain = super().evaluate(u)
        work = float(np.sum(self.ghost_forces * (u - self.stacked(self.start))))
        terms = {**plain.terms, "ghost force correction": -work}
        return Balance(
            energy=sum(terms.values()),
            residual=plain.residual - self.ghost_forces,
            terms=terms,
            parts={**plain.parts, "ghost force correction": -self.ghost_forces},
        )


def require_unmatched(name: str, model: CoupledModel) -> None:
    """Refuse a model whose atoms and nodes share their displacements.

    Raises:
        MethodError: naming the call that makes a model for this method.
    """
    if not isinstance(model, UnmatchedModel):
        raise MethodError(
            f"the method {name!r} wants atoms and finite elements with displacements of their own: make the model with "
            "couple_arlequin(...), or use bgfc, bqcf or schwarz on this one"
        )


def _multipliers(model: UnmatchedModel) -> sp.csr_matrix:
    """(nodes, multipliers): values of the multipliers' shape functions at the body's nodes, those seen in the overlap only."""
    seen = np.asarray(abs(model.elements.values).sum(axis=0)).ravel() > 0.0
    if not model.multiplier:
        return sp.identity(len(seen), format="csr")[:, seen]
    basis = reduced_basis(model.partition.lattice.basis)
    basis = basis * (model.multiplier / np.linalg.norm(basis, axis=1).min())
    place = (model.body.nodes[seen] - model.partition.lattice.origin) @ np.linalg.inv(basis)
    low = np.floor(place)
    r, s = (place - low).T
    upper = (r + s > 1.0)[:, None]
    # Two triangles of each parallelogram, along the difference of the vectors as in the mesh.
    corners = low[:, None] + np.where(upper[:, None], [[1, 1], [1, 0], [0, 1]], [[0, 0], [1, 0], [0, 1]])
    values = np.where(upper, np.stack([r + s - 1, 1 - s, 1 - r], axis=1), np.stack([1 - r - s, r, s], axis=1))
    _, column = np.unique(corners.reshape(-1, 2), axis=0, return_inverse=True)
    rows = np.repeat(np.flatnonzero(seen), 3)
    hats = sp.csr_matrix((values.ravel(), (rows, column.ravel())), shape=(len(seen), int(column.max()) + 1))
    hats.data[np.abs(hats.data) < 1e-12] = 0.0
    hats.eliminate_zeros()
    return hats[:, np.asarray(abs(hats).sum(axis=0)).ravel() > 0.0]
