"""Meshes of triangles or tetrahedra as plain arrays, small enough to be whole on every rank."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import Delaunay, QhullError

from continuum.errors import MeshError

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
# Height over longest edge below which a triangle is a line: three nodes of a straight side, off it by rounding.
_FLAT = 1e-7


@dataclass(frozen=True, kw_only=True, eq=False)
class SimplexMesh:
    """Nodes and positively oriented simplices.

    Attributes:
        points: (n, m) Å, m = 2 or 3.
        cells: (k, m + 1) nodes.
        boundary: (n,) True for nodes on the outer boundary.
        interface: (f, 2, 2) node numbers [facet, side, end] of a line along which the two bodies are not connected;
            side 0 is below, ends and facets go from left to right. None: one body.
        slit: (s, 2, 2) facets of the same layout that nothing ties together: the faces of a crack in one body, free of
            traction. None: no crack. See `open_slit`.
        seam: (l,) nodes of the line that a slit lies on, joined ones and those of both faces. None: no slit.
    """

    points: Array
    cells: Integers
    boundary: NDArray[np.bool_]
    interface: Integers | None = None
    slit: Integers | None = None
    seam: Integers | None = None

    @property
    def dimension(self) -> int:
        """Dimension m of the mesh."""
        return self.points.shape[1]

    def volumes(self) -> Array:
        """Areas or volumes (k,), Å^m, positive."""
        return simplex_volumes(self.points, self.cells)

    def facets(self) -> tuple[Integers, Integers]:
        """Facets (f, m), corners sorted along each row, and how many cells (1 or 2) have each, (f,)."""
        every = np.concatenate([np.delete(self.cells, i, axis=1) for i in range(self.dimension + 1)])
        return unique_rows(np.sort(every, axis=1), len(self.points))

    def edges(self) -> Integers:
        """Edges (e, 2), ends sorted along each row and rows sorted."""
        i, j = np.triu_indices(self.dimension + 1, 1)
        every = np.stack([self.cells[:, i], self.cells[:, j]], axis=-1).reshape(-1, 2)
        return unique_rows(np.sort(every, axis=1), len(self.points))[0]

    def quality(self) -> Array:
        """Shape (k,) of each cell: its volume over that of the regular simplex with its root mean square edge; at most 1."""
        m = self.dimension
        i, j = np.triu_indices(m + 1, 1)
        edges = self.points[self.cells[:, i]] - self.points[self.cells[:, j]]
        square = np.einsum("kem,kem->k", edges, edges) / len(i)
        regular = np.sqrt(3.0) / 4.0 if m == 2 else 1.0 / np.sqrt(72.0)
        return self.volumes() / (regular * square ** (m / 2))


def unique_rows(rows: Integers, count: int) -> tuple[Integers, Integers]:
    """Different rows (r, s) of numbers below `count`, in rising order, and how often each comes, (r,)."""
    key = rows[:, 0]
    for column in rows.T[1:]:
        key = key * count + column
    _, first, counts = np.unique(key, return_index=True, return_counts=True)
    return rows[first], counts


def simplex_volumes(points: Array, cells: Integers) -> Array:
    """Signed areas or volumes (k,) of cells (k, m + 1) with nodes at points (n, m)."""
    corners = points[cells]
    edges = corners[:, 1:] - corners[:, :1]
    return np.linalg.det(edges) / (2.0 if points.shape[1] == 2 else 6.0)


def reduced_basis(basis: Array) -> Array:
    """The two shortest vectors of a plane lattice, rows (2, 2), at 60 to 90 degrees and right-handed (Lagrange, Gauss)."""
    a, b = (np.array(v, dtype=float) for v in basis)
    while True:
        if a @ a > b @ b:
            a, b = b, a
        steps = np.rint((a @ b) / (a @ a))
        if steps == 0.0:
            break
        b = b - steps * a
        if b @ b >= a @ a * (1.0 - 1e-12):
            break
    if a @ b < 0.0:
        b = -b
    return np.array([a, b]) if a[0] * b[1] - a[1] * b[0] > 0.0 else np.array([b, a])


def triangulate(points: Array, basis: Array | None = None) -> Integers:
    """Delaunay triangles (k, 3), counter-clockwise, of the convex hull of points (n, 2).

    Args:
        points: Å.
        basis: rows of a lattice. The triangulation is then Delaunay's in the coordinates in which the lattice is the
            equilateral one: there it is unique and the same around every site, even for a square lattice.

    Raises:
        MeshError: where the points do not span a plane or one of them is left out (two nodes in one place).
    """
    points = np.asarray(points, dtype=float)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3 or not np.isfinite(points).all():
        raise MeshError(f"points of shape {points.shape}: expected (n, 2) finite coordinates of at least 3 nodes")
    mapped = points - points.mean(axis=0)
    if basis is not None:
        equilateral = np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]])
        mapped = mapped @ np.linalg.inv(reduced_basis(basis)) @ equilateral
    try:
        found = Delaunay(mapped)
    except QhullError as error:
        raise MeshError("points on one line: expected nodes that span a plane") from error
    cells = found.simplices.astype(np.int64)
    corners = mapped[cells]
    sides = corners - np.roll(corners, 1, axis=1)
    longest = np.einsum("kim,kim->ki", sides, sides).max(axis=1)
    area = simplex_volumes(mapped, cells)
    cells, area = cells[np.abs(area) > _FLAT * longest], area[np.abs(area) > _FLAT * longest]
    cells[area < 0.0] = cells[area < 0.0][:, [0, 2, 1]]
    left_out = len(points) - len(np.unique(cells))
    if left_out:
        raise MeshError(f"{left_out} of {len(points)} points in no triangle: expected nodes in different places")
    # Qhull's order depends on its internals; sorted cells do not.
    first = np.argmin(cells, axis=1)
    cells = np.take_along_axis(cells, (first[:, None] + np.arange(3)) % 3, axis=1)
    return cells[np.lexsort(cells.T[::-1])]
