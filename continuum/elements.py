"""Nodes, shape functions and quadrature of linear and quadratic simplices: DOLFINx's spaces, basix's tables, plain arrays.

A quadratic space may have cells that are kept linear (where the mesh is the lattice itself, mid-side nodes would stand for
no atom). The mid-side nodes of such cells are no unknowns but the mean of their edge's ends; a quadratic neighbour sees
that edge as straight, so displacements stay continuous.
"""

from dataclasses import dataclass
from typing import Any

import basix
import basix.ufl
import numpy as np
import scipy.sparse as sp
from dolfinx import fem
from dolfinx import mesh as dmesh
from mpi4py import MPI
from numpy.typing import NDArray

from continuum.errors import BodyError
from continuum.mesh.simplex import SimplexMesh

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
_KIND = {2: basix.CellType.triangle, 3: basix.CellType.tetrahedron}


@dataclass(frozen=True, kw_only=True, eq=False)
class Group:
    """Cells of one degree.

    Attributes:
        cells: (k,) numbers in the mesh's order.
        nodes: (k, s) unknown of each shape function, vertices first; a vertex where `dependent`.
        dependent: (k, s) True for mid-side nodes that are the mean of their edge's ends.
        element: basix element.
        corners: (k, m + 1, m) vertices in the element's order, Å.
    """

    cells: Integers
    nodes: Integers
    dependent: NDArray[np.bool_]
    element: Any
    corners: Array

    def fold(self, rows: Integers, values: Array) -> Array:
        """Shape functions (p, ..., s) in cells (p,) of this group, those of dependent nodes shared out to their ends."""
        if not self.dependent.any():
            return values
        values = values.copy()
        first = self.corners.shape[1]
        for edge, (a, b) in enumerate(basix.topology(self.element.cell_type)[1]):
            hanging = self.dependent[rows, first + edge]
            half = 0.5 * values[hanging, ..., first + edge]
            values[hanging, ..., a] += half
            values[hanging, ..., b] += half
            values[hanging, ..., first + edge] = 0.0
        return values

    def matrix(self, rows: Integers, values: Array, size: int) -> sp.csr_matrix:
        """Folded shape functions (p, r, s) in cells (p,) of this group as a sparse (p·r, size) matrix on the unknowns."""
        p, r, s = values.shape
        columns = np.broadcast_to(self.nodes[rows][:, None, :], values.shape).ravel()
        # SciPy sorts and sums in place: a copy, so that the caller's values keep their order.
        data = values.reshape(-1).copy()
        matrix = sp.csr_matrix((data, columns, np.arange(p * r + 1) * s), shape=(p * r, size))
        matrix.sum_duplicates()
        return matrix

    def gradients(self, degree: int) -> tuple[Array, Array]:
        """Folded gradients (k, q, m, s), 1/Å, and weights (k, q), Å^m, at the points of a quadrature of this degree."""
        points, weights = (np.asarray(a) for a in basix.make_quadrature(self.element.cell_type, degree))
        m = points.shape[1]
        table = np.asarray(self.element.tabulate(1, points))[1:, :, :, 0]  # direction, point, function
        jacobian = np.swapaxes(self.corners[:, 1:] - self.corners[:, :1], 1, 2)  # place, reference direction
        inverse = np.linalg.inv(jacobian)
        slopes = np.einsum("kjm,jqs->kqms", inverse, table)
        determinant = np.abs(np.linalg.det(jacobian))
        k, q, _, s = slopes.shape
        rows = np.repeat(np.arange(k), q)
        folded = self.fold(rows, slopes.reshape(k * q, m, s)).reshape(k, q, m, s)
        return folded, determinant[:, None] * weights


@dataclass(frozen=True, kw_only=True, eq=False)
class Elements:
    """A scalar Lagrange space on a simplex mesh.

    Attributes:
        space: the DOLFINx space, with all mid-side nodes.
        expand: (d, n) values of the space's degrees of freedom from those of the unknowns.
        nodes: (n, m) places of the unknowns, Å: the mesh's points first, then mid-side nodes.
        ends: (e, 2) mesh points at the ends of each mid-side node's edge.
        vertices: (k, m + 1) corners of the mesh's cells in DOLFINx's order.
        groups: the cells, linear ones before quadratic ones.
    """

    space: fem.FunctionSpace
    expand: sp.csr_matrix
    nodes: Array
    ends: Integers
    vertices: Integers
    groups: tuple[Group, ...]


def build_elements(mesh: SimplexMesh, degree: int, linear: NDArray[np.bool_] | None, comm: MPI.Comm) -> Elements:
    """The space of a mesh.

    Args:
        mesh: nodes and cells.
        degree: 1 or 2.
        linear: (k,) True for the cells of a quadratic space that stay linear; None: none.
        comm: one rank alone.

    Raises:
        BodyError: where an argument does not fit.
    """
    m, count = mesh.dimension, len(mesh.points)
    if degree not in (1, 2):
        raise BodyError(f"degree = {degree!r}: expected 1 (linear) or 2 (quadratic elements)")
    if comm.size != 1:
        raise BodyError(f"a communicator of {comm.size} ranks: expected MPI.COMM_SELF; a body is whole on every rank")
    flat = np.full(len(mesh.cells), degree == 1) if linear is None else np.asarray(linear, dtype=bool)
    if flat.shape != (len(mesh.cells),):
        raise BodyError(f"linear of shape {flat.shape}: expected one flag for each of {len(mesh.cells)} cells")
    if degree == 1:
        flat = np.ones(len(mesh.cells), dtype=bool)
    kind = _KIND[m]
    geometry: Any = basix.ufl.element("Lagrange", kind.name, 1, shape=(m,))
    domain = dmesh.create_mesh(comm, mesh.cells, geometry, mesh.points)
    space = fem.functionspace(domain, ("Lagrange", degree))
    # Cells and vertices back in the mesh's own order.
    back = np.argsort(domain.topology.original_cell_index)
    vertices = domain.geometry.input_global_indices[domain.geometry.dofmaps[0]].astype(np.int64)[back]
    dofs = space.dofmap.list[back].astype(np.int64)
    nodes, ends, local = mesh.points, np.zeros((0, 2), dtype=np.int64), vertices
    dependent = np.zeros(local.shape, dtype=bool)
    if degree == 2:
        pairs = np.sort(vertices[:, np.array(basix.topology(kind)[1])], axis=2)  # cell, edge, end
        keys, edge_of = np.unique((pairs[..., 0] * count + pairs[..., 1]).ravel(), return_inverse=True)
        edge_of = edge_of.reshape(pairs.shape[:2])
        straight = np.zeros(len(keys), dtype=bool)
        straight[edge_of[flat]] = True
        number = np.full(len(keys), -1)
        number[~straight] = count + np.arange((~straight).sum())
        ends = np.column_stack(np.divmod(keys[~straight], count))
        nodes = np.concatenate([nodes, mesh.points[ends].mean(axis=1)])
        middle = number[edge_of]
        dependent = np.concatenate([dependent, middle < 0], axis=1)
        local = np.concatenate([vertices, np.where(middle < 0, vertices[:, :1], middle)], axis=1)
    groups = []
    for order, chosen in ((1, flat), (2, ~flat)):
        cells = np.flatnonzero(chosen)
        if len(cells):
            element = basix.create_element(basix.ElementFamily.P, kind, order, basix.LagrangeVariant.gll_warped)
            groups.append(
                Group(
                    cells=cells,
                    nodes=local[cells][:, : element.dim],
                    dependent=dependent[cells][:, : element.dim],
                    element=element,
                    corners=mesh.points[vertices[cells]],
                )
            )
    return Elements(
        space=space,
        expand=_expansion(dofs, local, dependent, kind, len(nodes)),
        nodes=nodes,
        ends=ends,
        vertices=vertices,
        groups=tuple(groups),
    )


def _expansion(dofs: Integers, local: Integers, dependent: NDArray[np.bool_], kind: Any, size: int) -> sp.csr_matrix:
    """Values of all degrees of freedom (cells (k, s)) from the unknowns `local` (k, s)."""
    every, first = np.unique(dofs.ravel(), return_index=True)
    cell, column = np.divmod(first, dofs.shape[1])
    plain = ~dependent[cell, column]
    rows, columns, values = [every[plain]], [local[cell, column][plain]], [np.ones(plain.sum())]
    if not plain.all():
        ends = np.array(basix.topology(kind)[1])[column[~plain] - len(basix.geometry(kind))]
        for end in (0, 1):
            rows.append(every[~plain])
            columns.append(local[cell[~plain], ends[:, end]])
            values.append(np.full((~plain).sum(), 0.5))
    triplets = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    return sp.csr_matrix(triplets, shape=(len(every), size))
