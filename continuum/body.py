"""Hyperelastic bodies as finite elements whose cells carry weights: the continuum's half of a handshake.

Deformed positions are y = F₀X + u. With ∇ the in-plane gradient (m of the c directions of y may depend on place), the
deformation gradient is F = F₀ + [∇u 0] and the energy E = t Σ_T w_T ∫_T W(F), w_T = 1 unless given. The operator G from
nodal displacements to ∇u at the quadrature points is sparse and built once; the rest is algebra on arrays:
∂E/∂u = Gᵀ(w P), ∂²E/∂u² = Gᵀ(w A)G, with P = ∂W/∂F and A = ∂P/∂F.

A body is whole on every rank that needs it, so that results do not depend on the number of ranks.
"""

from typing import Protocol

import numpy as np
import scipy.sparse as sp
from dolfinx import fem
from mpi4py import MPI
from numpy.typing import ArrayLike, NDArray

from continuum.body_interface import BodyInterface
from continuum.elements import Group, build_elements
from continuum.errors import BodyError
from continuum.laws import CohesiveLaw
from continuum.mesh.simplex import SimplexMesh
from continuum.points import locate, point_operator

Array = NDArray[np.float64]
Integers = NDArray[np.int64]


class Hyperelastic(Protocol):
    """An elastic energy density of the deformation gradient, per undeformed volume."""

    def energy(self, gradient: Array, /) -> Array:
        """W (n,), eV/Å³, of F (n, c, c)."""

    def stress(self, gradient: Array, /) -> Array:
        """First Piola–Kirchhoff stress P = ∂W/∂F (n, c, c), eV/Å³."""

    def tangent(self, gradient: Array, /) -> Array:
        """∂P/∂F (n, c, c, c, c), eV/Å³."""


class Body:
    """A meshed body, its energy and the derivatives of it.

    Args:
        mesh: triangles or tetrahedra.
        material: energy density.
        components: c, of the displacement; 3 on a plane mesh for a body that is periodic out of the plane.
        thickness: t, Å: period out of the plane.
        degree: 1 or 2.
        linear: (k,) cells of a body of degree 2 that stay linear: their edges have no mid-side nodes.
        F0: applied homogeneous deformation (c, c); None: the identity.
        law: traction–separation law of the mesh's interface.
        quadrature: degree of the quadrature in quadratic cells; linear ones take one point.
        comm: one rank alone.

    Attributes:
        mesh, material, components, thickness, degree, F0: as given.
        nodes: (n, m) places of the unknowns, Å: the mesh's points in their order, then mid-side nodes.
        ends: (e, 2) mesh points at the ends of the edges of the mid-side nodes.
        cells: (k, m + 1) vertices in the mesh's order.
        volumes: (k,) area times thickness, or volume, Å³.
        boundary: (n,) nodes on the outer boundary.
        interface: the interface's energy, or None.
        space: scalar DOLFINx space.
        operator: G (points·m, n) csr.
        cell_of_point: (points,) cell of each quadrature point.
        point_volumes: (points,) weight of each quadrature point times thickness, Å³.

    Raises:
        BodyError: where an argument does not fit.
    """

    def __init__(
        self,
        mesh: SimplexMesh,
        *,
        material: Hyperelastic,
        components: int,
        thickness: float = 1.0,
        degree: int = 1,
        linear: NDArray[np.bool_] | None = None,
        F0: ArrayLike | None = None,
        law: CohesiveLaw | None = None,
        quadrature: int = 2,
        comm: MPI.Comm = MPI.COMM_SELF,
    ) -> None:
        m = mesh.dimension
        if components not in (2, 3) or components < m:
            raise BodyError(f"components = {components!r}: expected 2 or 3, at least the mesh's dimension {m}")
        if not (np.isfinite(thickness) and thickness > 0.0) or (m == 3 and thickness != 1.0):
            raise BodyError(f"thickness = {thickness!r}: expected a length in Å above zero; 1 for a solid mesh")
        if (mesh.interface is None) != (law is None):
            given = "a law but a mesh without interface" if law else "an interface in the mesh but no law"
            raise BodyError(f"{given}: expected both or none (graded_mesh(interface=...), Body(law=...))")
        self.mesh, self.material = mesh, material
        self.components, self.thickness, self.degree = components, float(thickness), degree
        self.F0 = np.eye(components) if F0 is None else np.array(F0, dtype=float)
        if self.F0.shape != (components, components) or not np.linalg.det(self.F0) > 0.0:
            raise BodyError(
                f"F0 = {self.F0.tolist()}: expected ({components}, {components}) with a positive determinant"
            )
        elements = build_elements(mesh, degree, linear, comm)
        self._elements = elements
        self.space, self.nodes, self.ends, self.cells = elements.space, elements.nodes, elements.ends, mesh.cells
        self.volumes = mesh.volumes() * self.thickness
        if not (self.volumes > 0.0).all():
            raise BodyError(
                f"{(self.volumes <= 0.0).sum()} cells of no positive volume: expected positively oriented ones"
            )
        self.boundary = _boundary(mesh, self.ends)
        self._assemble(quadrature)
        self.interface: BodyInterface | None = None
        if law is not None:
            self.interface = BodyInterface(mesh, self.ends, len(self.nodes), law, components, self.thickness)

    @property
    def size(self) -> int:
        """Number of nodes n; there are n·c unknowns."""
        return len(self.nodes)

    @property
    def groups(self) -> tuple[Group, ...]:
        """The cells by degree."""
        return self._elements.groups

    def _assemble(self, quadrature: int) -> None:
        """G and its parts by group, numbers and volumes of the points, and the pattern of the stiffness."""
        blocks, cells, volumes = [], [], []
        self._parts: list[tuple[Group, Array, slice]] = []
        start = 0
        for group in self._elements.groups:
            slopes, weights = group.gradients(quadrature if group.element.degree == 2 else 0)
            k, q, m, s = slopes.shape
            rows = np.repeat(np.arange(k), q)
            blocks.append(group.matrix(rows, slopes.reshape(k * q, m, s), self.size))
            cells.append(group.cells[rows])
            volumes.append(weights.ravel() * self.thickness)
            self._parts.append((group, slopes, slice(start, start + k * q)))
            start += k * q
        self.operator = sp.vstack(blocks, format="csr")
        self.operator.eliminate_zeros()
        self._transpose = self.operator.T.tocsr()
        self.cell_of_point, self.point_volumes = np.concatenate(cells), np.concatenate(volumes)
        self._pattern: tuple[Integers, Integers, sp.csr_matrix] | None = None

    def gradients(self, u: Array) -> Array:
        """F (points, c, c) at the quadrature points for displacements u (n, c), Å."""
        u = self._displacement(u)
        m, c = self.nodes.shape[1], self.components
        found = np.broadcast_to(self.F0, (len(self.cell_of_point), c, c)).copy()
        found[:, :, :m] += np.swapaxes((self.operator @ u).reshape(-1, m, c), 1, 2)
        return found

    def energy(self, u: Array, weights: Array | None = None) -> float:
        """E = t Σ w_T ∫ W(F), eV, for displacements u (n, c) and weights (k,) of the cells."""
        volumes, active = self._volumes(weights)
        return float(volumes[active] @ self.material.energy(self.gradients(u)[active]))

    def cell_energies(self, u: Array) -> Array:
        """t ∫_T W(F) of each cell, (k,) eV, without weights."""
        density = self.material.energy(self.gradients(u))
        return np.bincount(self.cell_of_point, self.point_volumes * density, minlength=len(self.cells))

    def cell_stresses(self, u: Array) -> Array:
        """Mean first Piola–Kirchhoff stress of each cell, (k, c, c) eV/Å³."""
        weighted = self.point_volumes[:, None, None] * self.material.stress(self.gradients(u))
        sums = np.zeros((len(self.cells), *weighted.shape[1:]))
        np.add.at(sums, self.cell_of_point, weighted)
        return sums / self.volumes[:, None, None]

    def gradient(self, u: Array, weights: Array | None = None) -> Array:
        """∂E/∂u (n, c), eV/Å: minus the forces on the nodes."""
        volumes, active = self._volumes(weights)
        return self._pull_back(volumes, active, self.material.stress(self.gradients(u)[active]))

    def energy_and_gradient(self, u: Array, weights: Array | None = None) -> tuple[float, Array]:
        """E and ∂E/∂u at once: for half the price where the material gives W and P together (`energy_and_stress`)."""
        volumes, active = self._volumes(weights)
        gradients = self.gradients(u)[active]
        together = getattr(self.material, "energy_and_stress", None)
        if together is None:
            density, stress = self.material.energy(gradients), self.material.stress(gradients)
        else:
            density, stress = together(gradients)
        return float(volumes[active] @ density), self._pull_back(volumes, active, stress)

    def _pull_back(self, volumes: Array, active: slice | Integers, stress: Array) -> Array:
        """Gᵀ(w P) (n, c) from the stress P (a, c, c) at the active points."""
        m, c = self.nodes.shape[1], self.components
        weighted = np.zeros((len(volumes), m, c))
        weighted[active] = volumes[active, None, None] * np.swapaxes(stress, 1, 2)[:, :m]
        return self._transpose @ weighted.reshape(-1, c)

    def stiffness(self, u: Array, weights: Array | None = None) -> sp.csr_matrix:
        """∂²E/∂u² (n·c, n·c), eV/Å², node by node; its pattern does not depend on u or the weights."""
        volumes, active = self._volumes(weights)
        m, c = self.nodes.shape[1], self.components
        tangent = np.zeros((len(volumes), c, m, c, m))
        gradients = self.gradients(u)[active]
        if len(gradients) > 1 and np.array_equal(gradients, np.broadcast_to(gradients[0], gradients.shape)):
            gradients = gradients[:1]  # as at rest: one tangent serves all points
        found = self.material.tangent(gradients)[:, :, :m, :, :m]
        tangent[active] = volumes[active, None, None, None, None] * found
        blocks = []
        for _, slopes, where in self._parts:
            k, q, _, s = slopes.shape
            # point, m, m', component pair; then Bᵀ A B with the matrix products of small blocks.
            middle = tangent[where].transpose(0, 2, 4, 1, 3).reshape(k * q, m, m * c * c)
            b = slopes.reshape(k * q, m, s)
            left = (b.transpose(0, 2, 1) @ middle).reshape(k * q, s, m, c * c)
            right = left.transpose(0, 2, 1, 3).reshape(k * q, m, s * c * c)
            whole = (b.transpose(0, 2, 1) @ right).reshape(k, q, s, s, c * c).sum(axis=1)
            blocks.append(whole.transpose(0, 2, 1, 3).reshape(-1, c * c))
        pointers, columns, gather = self._structure()
        data = gather @ np.concatenate(blocks)
        matrix = sp.bsr_matrix((data.reshape(-1, c, c), columns, pointers), shape=(self.size * c, self.size * c))
        return matrix.tocsr()

    def _structure(self) -> tuple[Integers, Integers, sp.csr_matrix]:
        """Row pointers and columns of the stiffness by nodes, and the sum of element blocks into them; found once."""
        if self._pattern is None:
            keys = np.concatenate(
                [(g.nodes[:, :, None] * self.size + g.nodes[:, None, :]).ravel() for g, _, _ in self._parts]
            )
            unique, where = np.unique(keys, return_inverse=True)
            rows, columns = np.divmod(unique, self.size)
            pointers = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=self.size))])
            order = np.argsort(where, kind="stable")
            counts = np.concatenate([[0], np.cumsum(np.bincount(where, minlength=len(unique)))])
            gather = sp.csr_matrix((np.ones(len(keys)), order, counts), shape=(len(unique), len(keys)))
            self._pattern = (pointers, columns, gather)
        return self._pattern

    def locate(self, places: ArrayLike) -> tuple[Integers, Array]:
        """The cell (p,) of each place (p, m) and its barycentric coordinates (p, m + 1) for `cells`.

        Places on the boundary belong to the body to 1e-8 of a cell; on an interface either side may be found.

        Raises:
            BodyError: where a place lies outside.
        """
        located = locate(self.space.mesh, places)
        if len(located.missing):
            x = np.asarray(places, dtype=float)[located.missing[0]]
            raise BodyError(
                f"{len(located.missing)} of {len(located.cells)} places lie outside the body, the first at {x.tolist()} Å: "
                "expected places inside the mesh; enlarge its domain"
            )
        cell = self.space.mesh.topology.original_cell_index[located.cells].astype(np.int64)
        # DOLFINx may go round a cell in another order than the mesh does.
        theirs = self._elements.vertices[cell]
        order = np.argmax(self.cells[cell][:, :, None] == theirs[:, None, :], axis=2)
        return cell, np.take_along_axis(located.barycentric, order, axis=1)

    def interpolation(self, places: ArrayLike) -> sp.csr_matrix:
        """Scalar operator (p, n) from the nodes to places (p, m): exact for the body's own shape functions.

        Raises:
            MeshError: where a place lies outside the body.
        """
        return (point_operator(self.space, places) @ self._elements.expand).tocsr()

    def function(self, u: Array) -> fem.Function:
        """Displacements u (n, c) as a DOLFINx function, for its writers and forms."""
        domain = self.space.mesh
        field = fem.Function(
            fem.functionspace(domain, ("Lagrange", self.degree, (self.components,))), name="displacement"
        )
        field.x.array[:] = (self._elements.expand @ self._displacement(u)).ravel()
        return field

    def _displacement(self, u: Array) -> Array:
        if u.shape != (self.size, self.components):
            raise BodyError(f"displacements of shape {u.shape}: expected ({self.size}, {self.components})")
        return u

    def _volumes(self, weights: Array | None) -> tuple[Array, slice | Integers]:
        """Weighted volumes (points,) and the points that count: a material need not serve the core of a defect."""
        if weights is None:
            return self.point_volumes, slice(None)
        if weights.shape != (len(self.cells),):
            raise BodyError(f"weights of shape {weights.shape}: expected one for each of {len(self.cells)} cells")
        at = weights[self.cell_of_point]
        volumes = self.point_volumes * at
        return volumes, slice(None) if at.all() else np.flatnonzero(at)


def _boundary(mesh: SimplexMesh, ends: Integers) -> NDArray[np.bool_]:
    """The mesh's boundary nodes and the mid-side nodes of edges on outer facets, (n,)."""
    if not len(ends):
        return mesh.boundary.copy()
    facets, counts = mesh.facets()
    outer = facets[counts == 1]
    size = len(mesh.points)
    for line in (mesh.interface, mesh.slit):
        if line is not None:
            faces = np.sort(line.reshape(-1, 2), axis=1) @ np.array([size, 1])
            outer = outer[~np.isin(outer @ np.array([size, 1]), faces)]
    i, j = np.triu_indices(mesh.dimension, 1)
    edges = np.stack([outer[:, i], outer[:, j]], axis=-1).reshape(-1, 2)
    on = np.isin(ends @ np.array([size, 1]), edges @ np.array([size, 1]))
    return np.concatenate([mesh.boundary, on])
