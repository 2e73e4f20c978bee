"""Convex polygons cut by half planes, all at once: how much of a lattice site's own cell lies in each triangle."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import Voronoi, cKDTree

from coupling.errors import DoubleCountingError

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
# Triangles of one binary order of size are searched together: the list of candidates stays short on graded meshes.
_SIZES = 2.0


def wigner_seitz(basis: ArrayLike) -> Array:
    """Corners (v, 2) of a plane lattice's Wigner–Seitz cell about the origin, counter-clockwise, Å."""
    vectors = np.asarray(basis, dtype=float)
    if vectors.shape != (2, 2) or not abs(np.linalg.det(vectors)) > 0:
        raise DoubleCountingError(f"basis {vectors.tolist()}: expected two independent rows of two coordinates")
    index = np.stack(np.meshgrid(np.arange(-3, 4), np.arange(-3, 4), indexing="ij"), axis=-1).reshape(-1, 2)
    order = np.argsort(np.abs(index).sum(axis=1), kind="stable")
    diagram = Voronoi(index[order] @ vectors)
    corners = diagram.vertices[[v for v in diagram.regions[diagram.point_region[0]] if v >= 0]]
    return convex_polygon(corners)


def convex_polygon(corners: ArrayLike) -> Array:
    """Corners of a convex polygon, counter-clockwise."""
    points = np.asarray(corners, dtype=float)
    middle = points - points.mean(axis=0)
    return points[np.argsort(np.arctan2(middle[:, 1], middle[:, 0]))]


def areas(polygons: Array) -> Array:
    """Signed areas (n,) of polygons (n, v, 2); corners may repeat."""
    # From the first corner: far from the origin the products would lose the polygon's own size.
    x, y = np.moveaxis(polygons - polygons[:, :1], -1, 0)
    x1, y1 = np.roll(x, -1, axis=1), np.roll(y, -1, axis=1)
    return 0.5 * (x * y1 - x1 * y).sum(axis=1)


def clip(polygons: Array, start: Array, end: Array) -> Array:
    """The parts of convex polygons (n, v, 2) left of the lines start -> end (n, 2), with one corner more (n, v + 1, 2).

    Corners beyond a polygon's number repeat its last one; a polygon that vanishes becomes a single point.
    """
    n, v = polygons.shape[:2]
    along = (end - start)[:, None]
    offset = polygons - start[:, None]
    side = along[..., 0] * offset[..., 1] - along[..., 1] * offset[..., 0]
    inside = side >= 0
    following, next_side, next_inside = (np.roll(a, -1, axis=1) for a in (polygons, side, inside))
    crossing = inside != next_inside
    share = np.divide(side, side - next_side, out=np.zeros_like(side), where=crossing)
    cut = polygons + share[..., None] * (following - polygons)
    # Each corner gives itself where it is inside, then the crossing on its way to the next.
    corners = np.stack([polygons, cut], axis=2).reshape(n, 2 * v, 2)
    kept = np.stack([inside, crossing], axis=2).reshape(n, 2 * v)
    count = kept.sum(axis=1)
    order = np.argsort(~kept, axis=1, kind="stable")[:, : v + 1]
    order = np.where(np.arange(v + 1) < count[:, None], order, order[np.arange(n), np.maximum(count - 1, 0)][:, None])
    return np.take_along_axis(corners, order[..., None], axis=1)


def meeting_pairs(sites: Array, corners: Array, tile: Array) -> tuple[Integers, Integers]:
    """Pairs (site, triangle) whose bounding boxes meet."""
    middle = corners.mean(axis=1)
    radius = np.linalg.norm(corners - middle[:, None], axis=2).max(axis=1)
    reach = float(np.linalg.norm(tile, axis=1).max())
    order = np.ceil(np.log(radius / radius.min()) / np.log(_SIZES)).astype(int)
    found: list[tuple[Integers, Integers]] = []
    for size in np.unique(order):
        members = np.flatnonzero(order == size)
        tree = cKDTree(middle[members])
        near = tree.query_ball_point(sites, float(radius[members].max()) + reach, return_sorted=False)
        count = np.array([len(n) for n in near], dtype=np.int64)
        flat = np.concatenate([np.asarray(n, dtype=np.int64) for n in near]) if count.sum() else np.zeros(0, np.int64)
        found.append((np.repeat(np.arange(len(sites)), count), members[flat]))
    if not found:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    site, cell = (np.concatenate(part) for part in zip(*found, strict=True))
    low, high = corners[cell].min(axis=1) - sites[site], corners[cell].max(axis=1) - sites[site]
    meet = np.all((low <= tile.max(axis=0)) & (high >= tile.min(axis=0)), axis=1)
    return site[meet], cell[meet]
