"""Places inside a mesh: the cell of each, and the operator that takes a field's values there.

Cells are found by DOLFINx's bounding boxes; of those whose box holds a place the one is taken in which it lies deepest, by
barycentric coordinates. All places at once; straight simplices and Lagrange elements of degree one and two.
"""

from dataclasses import dataclass

import numpy as np
from dolfinx import fem, geometry
from dolfinx.mesh import CellType, Mesh
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from continuum.errors import MeshError

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
# In barycentric coordinates: a place this far outside its cell counts as inside, and one this close to a face lies on it.
_SLACK, _SNAP = 1e-8, 1e-12
# Shape functions smaller than this are rounding: at nodes they would only fill the matrix.
ZERO = 16 * np.finfo(float).eps
# Boxes are padded by this part of the body.
_PADDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class Located:
    """Where places lie among this rank's own cells.

    Attributes:
        cells: (n,) local cell, −1 where none of this rank's own cells holds the place.
        barycentric: (n, m + 1) in the order of the cell's vertices, zero where there is no cell; rounded onto faces, so that
            a place on a node has one 1 and zeros.
        depth: (n,) smallest barycentric coordinate, −inf where there is no cell.
    """

    cells: Integers
    barycentric: Array
    depth: Array

    @property
    def missing(self) -> Integers:
        """Places that lie in none of this rank's own cells."""
        return np.flatnonzero(self.cells < 0)


def locate(mesh: Mesh, places: ArrayLike) -> Located:
    """Find the cell of each place among the cells that this rank owns (not collective).

    Args:
        mesh: of straight triangles or tetrahedra.
        places: (n, m) Å.

    Raises:
        MeshError: another kind of cell, or places that are not (n, m) finite numbers.
    """
    dim = mesh.geometry.dim
    if mesh.topology.cell_type not in (CellType.triangle, CellType.tetrahedron) or mesh.geometry.cmaps[0].degree != 1:
        raise MeshError(
            f"cells {mesh.topology.cell_type.name} of degree {mesh.geometry.cmaps[0].degree}: places are found in straight "
            "triangles and tetrahedra only"
        )
    if mesh.topology.dim != dim:
        raise MeshError(f"a mesh of dimension {mesh.topology.dim} in {dim} coordinates: expected the same number")
    x = np.asarray(places, dtype=float)
    if x.ndim != 2 or x.shape[1] != dim or not np.isfinite(x).all():
        raise MeshError(f"places of shape {x.shape}: expected (n, {dim}) finite coordinates (Å)")
    cells, n = mesh.topology.index_map(dim).size_local, len(x)
    best = Located(cells=np.full(n, -1, dtype=np.int64), barycentric=np.zeros((n, dim + 1)), depth=np.full(n, -np.inf))
    if not cells or not n:
        return best
    extent = float(np.ptp(mesh.geometry.x, axis=0).max())
    tree = geometry.bb_tree(mesh, dim, padding=_PADDING * extent, entities=np.arange(cells, dtype=np.int32))
    padded = np.zeros((n, 3))
    padded[:, :dim] = x
    candidates = geometry.compute_collisions_points(tree, padded)
    place = np.repeat(np.arange(n), np.diff(candidates.offsets))
    cell = np.asarray(candidates.array, dtype=np.int64)
    corners = mesh.geometry.x[mesh.geometry.dofmaps[0][cell]][:, :, :dim]
    edges = corners[:, 1:] - corners[:, :1]
    # x − x₀ = Σ λ_k (x_k − x₀)
    share = np.linalg.solve(edges.transpose(0, 2, 1), (x[place] - corners[:, 0])[..., None])[..., 0]
    barycentric = np.column_stack([1 - share.sum(axis=1), share])
    depth = barycentric.min(axis=1)
    # Deepest first for each place; of equals the cell of the lowest number.
    order = np.lexsort((cell, -depth, place))
    order = order[depth[order] >= -_SLACK]
    found, first = np.unique(place[order], return_index=True)
    pick = order[first]
    snapped = np.where(np.abs(barycentric[pick]) < _SNAP, 0.0, barycentric[pick])
    snapped /= snapped.sum(axis=1, keepdims=True)
    best.cells[found], best.barycentric[found], best.depth[found] = cell[pick], snapped, depth[pick]
    return best


def shape_values(space: fem.FunctionSpace, located: Located, which: Integers) -> tuple[Integers, Array]:
    """Shape functions at places: their local nodes (k, s) and values (k, s), for the `which` (k,) of the located places.

    Nodes are blocks of the space: one for all of its components.

    Raises:
        MeshError: an element that is not Lagrange of degree one or two.
    """
    element = space.element.basix_element
    kind = element.family.name
    if kind != "P" or element.degree not in (1, 2) or element.discontinuous:
        raise MeshError(f"an element {kind} of degree {element.degree}: expected continuous Lagrange of degree 1 or 2")
    reference = np.ascontiguousarray(located.barycentric[which, 1:])
    values = np.asarray(element.tabulate(0, reference), dtype=float)[0, :, :, 0]
    return np.asarray(space.dofmap.list, dtype=np.int64)[located.cells[which]], values


def point_operator(space: fem.FunctionSpace, places: ArrayLike) -> sparse.csr_matrix:
    """The values of a field at places, from its nodes: (n, nodes), one row a place, rows adding up to one.

    For a space that lies whole on this rank; nodes are numbered as in the space, components come beside it.

    Args:
        space: Lagrange of degree one or two, of any number of components.
        places: (n, m) Å.

    Raises:
        MeshError: a place outside the mesh, or a space that is spread over several ranks.
    """
    if space.mesh.comm.size > 1:
        raise MeshError(
            f"a space on {space.mesh.comm.size} ranks: expected one that lies whole on this rank (COMM_SELF)"
        )
    x = np.asarray(places, dtype=float)
    located = locate(space.mesh, x)
    if len(located.missing):
        raise MeshError(
            f"{len(located.missing)} of {len(x)} places lie outside the mesh, the first at {x[located.missing[0]].tolist()} Å: "
            "enlarge the body or take these places away"
        )
    nodes, values = shape_values(space, located, np.arange(len(x)))
    rows = np.broadcast_to(np.arange(len(x))[:, None], nodes.shape)
    kept = np.abs(values) > ZERO
    count = space.dofmap.index_map.size_local
    return sparse.csr_matrix((values[kept], (rows[kept], nodes[kept])), shape=(len(x), count))
