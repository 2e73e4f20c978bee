"""One body, part atoms and part finite elements, described by the displacements of one set of nodes.

Places of the deformed body are y = F₀X + u: F₀ is the homogeneous deformation applied far away, u what the solution adds. Sites
of core and blend lie on nodes and share their displacement; pads are interpolated. The two descriptions then give

    E_a(u; w) = Σ w_i V_i(y),        E_c(u; v) = Σ_T v_T W(F₀ + ∇u|_T) + Σ_f v_f φ(⟦u⟧),

and the methods differ only in which weights they use and which derivatives they combine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from atomistic.site_energies import SiteEnergies
from continuum.body import Body
from coupling.partition import Partition

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
#: Gives the energies of the atoms at lattice indices (n, m): once for the defect, once for the perfect crystal.
AtomsFactory = Callable[[NDArray[np.int64]], SiteEnergies]


@dataclass(frozen=True, kw_only=True, eq=False)
class ContinuumBalance:
    """Weighted energies (eV) of elements and interface, and their gradients (nodes, c)."""

    bulk: float
    on_bulk: Array
    interface: float
    on_interface: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class CoupledModel:
    """Everything that a method needs.

    Attributes:
        body: the finite elements.
        partition: sites, weights, effective volumes.
        make_atoms: what drives the atoms, for any set of sites.
        far_field: (c, c) F₀.
        held: (nodes, c) True where a displacement is prescribed.
        history: of the interface's law, None where it never opened.
        intact: (facets,) 1 where the interface carries its law, 0 in a crack; None: 1 throughout.
    """

    body: Body
    partition: Partition
    make_atoms: AtomsFactory
    far_field: Array
    held: Mask
    make_perfect: AtomsFactory | None = None
    history: Array | None = None
    intact: Array | None = None

    @property
    def components(self) -> int:
        """Displacement components c."""
        return len(self.far_field)

    @cached_property
    def whole_facets(self) -> Array:
        """(facets,) the interface without weights: ones, and zeros in a crack."""
        if self.intact is not None:
            return self.intact
        return np.ones(0 if self.body.interface is None else len(self.body.interface.lengths))

    @property
    def shape(self) -> tuple[int, int]:
        """(nodes, c) of a displacement."""
        return len(self.body.nodes), self.components

    @cached_property
    def present(self) -> NDArray[np.int64]:
        """Sites that hold an atom, as rows of the partition."""
        return np.flatnonzero(~self.partition.absent)

    @cached_property
    def atoms(self) -> SiteEnergies:
        """What drives the atoms of the defect."""
        return self.make_atoms(self.partition.indices[self.present])

    @cached_property
    def weights(self) -> Array:
        """1 − β of the present atoms."""
        return self.partition.weights[self.present]

    @cached_property
    def interpolation(self) -> sp.csr_matrix:
        """N: (sites, nodes), displacement of every site of the partition from those of the nodes."""
        partition = self.partition
        count = len(partition.indices)
        on_node = partition.node >= 0
        rows = np.flatnonzero(on_node)
        own = sp.csr_matrix((np.ones(len(rows)), (rows, partition.node[rows])), shape=(count, len(self.body.nodes)))
        if on_node.all():
            return own
        others = np.flatnonzero(~on_node)
        between = self.body.interpolation(partition.lattice.places(partition.indices[others]))
        place = sp.csr_matrix((np.ones(len(others)), (others, np.arange(len(others)))), shape=(count, len(others)))
        return (own + place @ between).tocsr()

    @cached_property
    def to_atoms(self) -> sp.csr_matrix:
        """N restricted to the present atoms."""
        return self.interpolation[self.present]

    @cached_property
    def reference(self) -> Array:
        """F₀X of all sites, (sites, c), Å."""
        return self.partition.lattice.positions(self.partition.indices) @ self.far_field.T

    def places(self, u: Array) -> Array:
        """Deformed places of the present atoms, (atoms, c), Å."""
        return self.reference[self.present] + self.to_atoms @ u

    def atomistic(self, u: Array, weights: Array | None) -> tuple[float, Array]:
        """Return Σ w_i V_i (eV) and its derivative by the atoms' places, (atoms, c)."""
        return self.atoms.energy_and_gradient(self.places(u), weights)

    def energy_terms(self, u: Array, weights: Array | None, energy: float) -> dict[str, float]:
        """Name what Σ w_i V_i = `energy` (eV) is made of: "atoms", and the quantum regions among them where there are any."""
        named = getattr(self.atoms, "terms", None)
        others: dict[str, float] = {} if named is None else named(self.places(u), weights)
        return {"atoms": energy - sum(others.values()), **others}

    def perfect(self, u: Array, weights: Array | None) -> tuple[float, Array]:
        """The same on the perfect lattice, all sites present; the gradient is carried to the nodes, (nodes, c)."""
        atoms = (self.make_perfect or self.make_atoms)(self.partition.indices)
        energy, gradient = atoms.energy_and_gradient(self.reference + self.interpolation @ u, weights)
        return energy, self.interpolation.T @ gradient

    def continuum(self, u: Array, cells: Array, facets: Array) -> ContinuumBalance:
        """Energies and gradients of elements and interface with the given weights."""
        bulk, on_bulk = self.body.energy_and_gradient(u, cells)
        interface, on_interface = 0.0, np.zeros_like(on_bulk)
        if self.body.interface is not None:
            interface = self.body.interface.energy(u, self.history, facets)
            on_interface = self.body.interface.gradient(u, self.history, facets)
        return ContinuumBalance(bulk=bulk, on_bulk=on_bulk, interface=interface, on_interface=on_interface)

    def stiffness(self, u: Array, cells: Array, facets: Array) -> sp.csr_matrix:
        """Second derivatives of the same, (nodes·c, nodes·c)."""
        matrix = self.body.stiffness(u, cells)
        if self.body.interface is None:
            return matrix
        return (matrix + self.body.interface.stiffness(u, self.history, facets)).tocsr()

    @cached_property
    def active(self) -> Mask:
        """(nodes,) nodes that some energy holds: weighted present atoms, and vertices of elements with a weight."""
        partition, found = self.partition, np.zeros(len(self.body.nodes), dtype=bool)
        seen = self.present[partition.weighted[self.present]]
        found[partition.node[seen]] = True
        counted = np.repeat((partition.cell_weights > 0.0)[self.body.cell_of_point], self.body.nodes.shape[1])
        found |= np.asarray(abs(self.body.operator).T @ counted).ravel() > 0.0
        if self.body.mesh.interface is not None:
            found[self.body.mesh.interface[partition.facet_weights > 0.0].ravel()] = True
        vacant = partition.node[partition.absent]
        found[vacant[vacant >= 0]] = False
        return found

    @cached_property
    def free(self) -> Mask:
        """(nodes, c) unknowns of the coupled problem."""
        return self.active[:, None] & ~self.held

    @cached_property
    def line(self) -> NDArray[np.int64]:
        """Nodes on the interface, both sides."""
        interface = self.body.mesh.interface
        return np.zeros(0, dtype=np.int64) if interface is None else np.unique(interface)

    @cached_property
    def moving(self) -> Mask:
        """(nodes, c) unknowns, and the nodes of an interface in the core, which no energy holds."""
        found = self.active.copy()
        found[self.line] = True
        return found[:, None] & ~self.held

    @cached_property
    def whole_cells(self) -> Array:
        """(cells,) 1 for elements that stand in for atoms in the preconditioner: all but those of missing atoms."""
        vacant = self.partition.node[self.partition.absent]
        gone = np.zeros(len(self.body.nodes), dtype=bool)
        gone[vacant[vacant >= 0]] = True
        return (~gone[self.body.cells].any(axis=1)).astype(float)

    def expand(self, matrix: sp.spmatrix) -> sp.csr_matrix:
        """A scalar operator on sites or nodes, applied to each component."""
        return sp.kron(matrix, sp.identity(self.components), format="csr")

    @cached_property
    def _bulk_at_rest(self) -> sp.csr_matrix:
        """Stiffness of the undeformed elements, all of them whole but those of missing atoms."""
        return self.body.stiffness(np.zeros(self.shape), self.whole_cells)

    def elastic_stiffness(self, u: Array, *, secant: bool = False) -> sp.csr_matrix:
        """Stiffness with elements, and the law at u, in place of atoms: what preconditions both sides, (nodes·c, nodes·c).

        With `secant` the law's secant stands for its tangent, so that the matrix is positive definite.
        """
        if self.body.interface is None:
            return self._bulk_at_rest
        law = self.body.interface.stiffness(u, self.history, self.whole_facets, secant=secant)
        return (self._bulk_at_rest + law).tocsr()

    def atomistic_stiffness(self, u: Array, weights: Array | None) -> sp.csr_matrix | None:
        """Second derivatives of Σ w_i V_i by the atoms' places, where the potential gives them."""
        if not hasattr(self.atoms, "hessian"):
            return None
        return self.atoms.hessian(self.places(u), weights)
