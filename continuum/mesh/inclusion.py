"""A round inclusion in a matrix: a circle in a rectangle or a sphere in a box, meshed in layers around a core.

The inclusion is a square (cubic) core of nearly equal cells and layers that turn its surface into the circle (sphere); the
matrix is layers that turn this into the outer faces. Nodes lie on the circle to rounding, facets are straight between
them: areas, volumes and normals are exact to second order in their length.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from continuum.errors import MeshError
from continuum.mesh.bodies import CELLS, BodyMesh, Predicate, boundary_facets, split_bodies
from continuum.mesh.builtin import grid, on_plane

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
# Half the core's edge over the radius, and how far its faces bulge towards the circle: cells of equal shape, nearly.
_CORE, _BULGE = 0.45, 0.35


def round_inclusion(
    comm: MPI.Comm,
    *,
    size: Sequence[float],
    radius: float,
    facet_size: float,
    centre: Sequence[float] | None = None,
    growth: float = 1.15,
    cell: str = "triangle",
    cracked: Predicate | None = None,
) -> BodyMesh:
    """A circular (plane) or spherical (space) inclusion in a rectangle or box from the origin to `size`.

    Bodies ``matrix`` and ``inclusion``, one ``interface`` whose normal points from the inclusion into the matrix; groups
    ``left``/``right`` (x), ``bottom``/``top`` (y), ``back``/``front`` (z).

    Args:
        comm: communicator.
        size: edge lengths, Å; two for triangles and quadrilaterals, three for tetrahedra and hexahedra.
        radius: of the inclusion, Å.
        facet_size: largest length of the facets' edges along the interface (of quadrilateral faces), Å.
        centre: of the inclusion, Å; the middle if None.
        growth: ratio of the thicknesses of neighbouring layers of the matrix, 1 or more.
        cell: triangle, quadrilateral, tetrahedron or hexahedron.
        cracked: predicate on midpoints of facets that are broken from the start.

    Raises:
        MeshError: where a length does not fit, or the inclusion leaves the box.
    """
    if cell not in CELLS:
        raise MeshError(f"cell = {cell!r}: expected one of {', '.join(CELLS)}")
    dim = CELLS[cell]
    lengths = np.asarray(size, dtype=float)
    middle = 0.5 * lengths if centre is None else np.asarray(centre, dtype=float)
    if lengths.shape != (dim,) or middle.shape != (dim,) or not np.isfinite([*lengths, *middle]).all():
        raise MeshError(f"size = {size}, centre = {centre}: expected {dim} finite lengths each for {cell}s")
    if not 0.0 < facet_size <= radius or not 1.0 <= growth <= 3.0:
        raise MeshError(
            f"radius = {radius!r}, facet_size = {facet_size!r}, growth = {growth!r}: expected "
            "0 < facet_size <= radius, growth in [1, 3]"
        )
    if (middle - radius <= 0.0).any() or (middle + radius >= lengths).any():
        raise MeshError(
            f"a circle of radius {radius:g} around {middle.tolist()}: expected one inside a box of {size} Å"
        )
    points, cells, layer = _layers(lengths, middle, radius, facet_size, growth, cell)
    groups = {"left": (0, 0.0), "right": (0, lengths[0]), "bottom": (1, 0.0), "top": (1, lengths[1])}
    groups |= {"back": (2, 0.0), "front": (2, lengths[2])} if dim == 3 else {}
    return split_bodies(
        comm,
        points=points,
        cells=cells,
        cell=cell,
        body_of_cell=(layer < 0).astype(np.int64),
        bodies=["matrix", "inclusion"],
        interfaces={"interface": ("inclusion", "matrix")},
        groups={name: on_plane(axis, value) for name, (axis, value) in groups.items()},
        cracked={} if cracked is None else {"interface": cracked},
    )


def _layers(
    size: Array, centre: Array, radius: float, facet_size: float, growth: float, cell: str
) -> tuple[Array, Integers, Integers]:
    """Points, cells, and of each cell its layer: −1 inside the inclusion, else 0 and up from the interface."""
    dim = len(size)
    # Equal angles: an edge of the core sees a right angle, the longest facet lies at the middle of a face.
    count = 2 * int(np.ceil(0.25 * np.pi * radius / facet_size))
    core, cells = grid([np.linspace(-1.0, 1.0, count + 1)] * dim, cell)
    skin = boundary_facets(cells, cell, np.zeros(len(cells), dtype=np.int64), ordered=True)[0]
    surface, skin = np.unique(skin, return_inverse=True)
    skin = skin.reshape(-1, 2 ** (dim - 1) if cell in ("quadrilateral", "hexahedron") else dim)
    box = core[surface]
    turned = np.tan(0.25 * np.pi * box)
    ball = turned / np.linalg.norm(turned, axis=1, keepdims=True)
    bulged = (1.0 - _BULGE) * core + _BULGE * _rounded(core)
    inner = max(2, int(np.ceil((1.0 - _CORE) * radius / (1.3 * facet_size))))
    outer = 0.5 * size * (1.0 + box) - centre
    depth = float(np.linalg.norm(outer - radius * ball, axis=1).max())
    shares = _graded(depth / facet_size, growth)
    inside = np.linspace(0.0, 1.0, inner + 1)[1:, None, None]
    rings = [
        (1.0 - inside) * _CORE * radius * bulged[surface] + inside * radius * ball,
        (1.0 - shares[1:, None, None]) * radius * ball + shares[1:, None, None] * outer,
    ]
    first = len(core)
    points = np.concatenate([_CORE * radius * bulged, *[r.reshape(-1, dim) for r in rings]]) + centre
    # The outer faces exactly, not to rounding: supports look for them.
    numbers = np.concatenate(
        [surface[None], first + np.arange(sum(map(len, rings)) * len(surface)).reshape(-1, len(surface))]
    )
    found, layer = [cells], [np.full(len(cells), -1)]
    for index, (below, above) in enumerate(pairwise(numbers)):
        extruded = _extrude(below[skin], above[skin], skin, cell)
        found.append(extruded)
        layer.append(np.full(len(extruded), max(-1, index - inner)))
    return points, np.concatenate(found), np.concatenate(layer)


def _rounded(cube: Array) -> Array:
    """Points of the cube [−1, 1]ᵈ moved along rays so that each shell max|x| = c becomes the sphere |x| = c."""
    largest = np.abs(cube).max(axis=1, keepdims=True)
    turned = np.tan(0.25 * np.pi * cube / np.maximum(largest, 1e-300))
    return largest * turned / np.maximum(np.linalg.norm(turned, axis=1, keepdims=True), 1e-300)


def _graded(depth: float, growth: float) -> Array:
    """Rising shares 0 ... 1 whose first step is one of `depth` or less and whose steps grow by `growth`."""
    steps = [1.0]
    while sum(steps) < depth:
        steps.append(steps[-1] * growth)
    return np.concatenate([[0.0], np.cumsum(steps)]) / sum(steps)


def _extrude(below: Integers, above: Integers, order: Integers, cell: str) -> Integers:
    """Cells between facets (f, k) and their images; simplices are cut alike on both sides of a wall by sorting `order`."""
    if cell in ("quadrilateral", "hexahedron"):
        return np.concatenate([below, above], axis=1)
    rank = np.argsort(order, axis=1)
    below, above = (np.take_along_axis(a, rank, axis=1) for a in (below, above))
    k = below.shape[1]
    return np.concatenate([np.concatenate([below[:, : i + 1], above[:, i:]], axis=1) for i in range(k)])
