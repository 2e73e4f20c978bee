"""Meshes that are the crystal lattice itself in a zone and grow coarser with the distance from it.

The nodes are lattice sites throughout (apart from those on the outer boundary and on an interface): a site with indices
(i, j) belongs to level min(v₂(i), v₂(j)), v₂ the number of times that two divides it, and is a node where its level is at
least log₂ of the wanted size. Sites are found from the coarsest level down, so that no more of them are looked at than
are needed, however large the domain.
"""

from collections.abc import Callable
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from continuum.errors import MeshError
from continuum.mesh.growth import Growth, SizeField
from continuum.mesh.octree import octree_mesh
from continuum.mesh.simplex import SimplexMesh, reduced_basis, triangulate

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
Distance = Callable[[Array], Array]
# In units of the local size: nodes nearer than this to a side would make flat triangles. In the lattice-fine zone every
# site stays, unless it is all but on the side.
_NEAR, _NEAR_FINE = 0.5, 0.05
_ON = 1e-6  # of the spacing: a site on a side


def graded_mesh(
    *,
    basis: ArrayLike,
    distance: Distance,
    domain: ArrayLike,
    origin: ArrayLike | None = None,
    growth: Growth | None = None,
    interface: float | None = None,
) -> SimplexMesh:
    """Mesh a body: lattice-fine where ``distance`` ≤ 0, coarser and coarser beyond.

    In the plane the triangulation is Delaunay's in the coordinates in which the lattice is equilateral; in space it is
    Freudenthal's: six tetrahedra for each primitive cell, along its diagonal a₁ + a₂ + a₃. Both are the same around every
    site of the fine zone. For a mesh that does not match the atoms' lattice, give another basis or origin.

    Args:
        basis: (m, m) rows are primitive vectors, Å.
        distance: signed distance to the fine zone, (n, m) Å -> (n,) Å; no steeper than the true distance.
        domain: plane: (k, 2) corners of a convex polygon, counter-clockwise, Å. Space: (2, 3) lowest and highest lattice
            indices of a parallelepiped; sides are divided by the largest power of two that serves the coarsest elements.
        origin: (m,) place of the lattice site with index 0, Å, about which levels are counted; None: 0.
        growth: sizes outside the zone; None: `Growth()`.
        interface: y of a line midway between two lattice rows along x, where the two bodies come apart (plane only). Its
            nodes lie where the lattice vectors between the two rows cross it, at the row's own spacing in the fine zone.

    Raises:
        MeshError: where an argument does not fit.
    """
    rows = np.asarray(basis, dtype=float)
    if rows.shape not in ((2, 2), (3, 3)) or not np.isfinite(rows).all() or abs(np.linalg.det(rows)) < 1e-12:
        raise MeshError(f"basis = {rows.tolist()}: expected 2 or 3 independent lattice vectors as rows, in Å")
    start = np.zeros(len(rows)) if origin is None else np.asarray(origin, dtype=float)
    if start.shape != (len(rows),):
        raise MeshError(f"origin = {start.tolist()}: expected {len(rows)} coordinates in Å")
    growth = Growth() if growth is None else growth
    if len(rows) == 3:
        if interface is not None:
            raise MeshError("interface in a solid mesh: expected a plane one (two-dimensional basis)")
        return octree_mesh(basis=rows, origin=start, distance=distance, domain=domain, growth=growth)
    polygon = _polygon(domain)
    field, sites = _sites(rows, start, distance, polygon, growth)
    if interface is None:
        points, boundary = _body(polygon, field, sites, None)
        return _checked(SimplexMesh(points=points, cells=triangulate(points, rows), boundary=boundary), polygon)
    line = _line(rows, start, polygon, field, float(interface))
    parts = []
    for side in (-1.0, 1.0):
        half = _half(polygon, line, side)
        points, boundary = _body(half, field, sites[(sites[:, 1] - line[0, 1]) * side > 0.0], line)
        parts.append((points, triangulate(points, rows), boundary))
    (below, cells_below, outer_below), (above, cells_above, outer_above) = parts
    # Both bodies begin with the line's own nodes.
    first = np.column_stack([np.arange(len(line) - 1), np.arange(1, len(line))])
    return _checked(
        SimplexMesh(
            points=np.concatenate([below, above]),
            cells=np.concatenate([cells_below, cells_above + len(below)]),
            boundary=np.concatenate([outer_below, outer_above]),
            interface=np.stack([first, first + len(below)], axis=1),
        ),
        polygon,
    )


def _polygon(domain: ArrayLike) -> Array:
    """Corners of a convex, counter-clockwise polygon."""
    corners = np.asarray(domain, dtype=float)
    if corners.ndim == 2 and corners.shape[1] == 2 and len(corners) >= 3 and np.isfinite(corners).all():
        sides = np.roll(corners, -1, axis=0) - corners
        after = np.roll(sides, -1, axis=0)
        if (sides[:, 0] * after[:, 1] - sides[:, 1] * after[:, 0] > 0.0).all():
            return corners
    raise MeshError(
        f"domain of shape {corners.shape}: expected (k, 2) corners of a convex polygon, counter-clockwise, Å"
    )


def _depth(polygon: Array, places: Array) -> Array:
    """Distance of places (n, 2) inward of the nearest of the polygon's sides, (n,); negative outside."""
    sides = np.roll(polygon, -1, axis=0) - polygon
    inward = np.stack([-sides[:, 1], sides[:, 0]], axis=1) / np.linalg.norm(sides, axis=1)[:, None]
    return (places @ inward.T - np.einsum("sm,sm->s", inward, polygon)).min(axis=1)


def _sites(basis: Array, origin: Array, distance: Distance, polygon: Array, growth: Growth) -> tuple[SizeField, Array]:
    """The size field and the places (n, 2) of all lattice sites in the polygon that are fine enough."""
    a, b = reduced_basis(basis)
    spacing, reach = float(np.linalg.norm(a)), float(max(np.linalg.norm(a - b), np.linalg.norm(b))) * (1.0 + 1e-9)
    spacing = min(spacing, float(np.linalg.norm(b)))
    diameter = float(np.linalg.norm(np.ptp(polygon, axis=0)))
    top = max(int(np.ceil(np.log2(diameter / spacing))), 0)
    radius = growth.radius
    if radius is None:
        # A first pass with the fine zone alone: everything else as coarse as can be.
        only = SizeField(
            distance=distance, spacing=spacing, reach=0.0, radius=1e-3 * spacing, growth=Growth(slope=1.0), top=top
        )
        fine = _descend(basis, origin, polygon, only)
        count = int((distance(fine) <= 0.0).sum())
        radius = max(np.sqrt(count * abs(np.linalg.det(basis)) / np.pi), spacing)
    field = SizeField(distance=distance, spacing=spacing, reach=reach, radius=radius, growth=growth, top=top)
    return field, _descend(basis, origin, polygon, field)


def _descend(basis: Array, origin: Array, polygon: Array, field: SizeField) -> Array:
    """Sites (n, 2) of the polygon whose level is at least the wanted one, sorted by index."""
    indices = (polygon - origin) @ np.linalg.inv(basis)
    step = 1 << field.top
    low, high = (np.floor(f(indices, axis=0) / step).astype(np.int64) for f in (np.min, np.max))
    grid = np.stack(np.meshgrid(*[np.arange(i, j + 1) for i, j in zip(low, high, strict=True)], indexing="ij"), axis=-1)
    cells = grid.reshape(-1, 2) * step
    kept = [cells]
    children = np.array(list(product((0, 1), repeat=2)))
    # Half the longer diagonal of a primitive cell.
    extent = 0.5 * max(np.linalg.norm(basis[0] + basis[1]), np.linalg.norm(basis[0] - basis[1]))
    for level in range(field.top - 1, -1, -1):
        # A cell of the next coarser level is split where a site of this level may be wanted inside it.
        half = float(extent * step)
        centres = origin + (cells + 0.5 * step) @ basis
        nearest = field.levels_at(field.distance(centres) - half)
        cells = cells[(nearest <= level) & (_depth(polygon, centres) > -half)]
        step //= 2
        cells = (cells[:, None, :] + step * children).reshape(-1, 2)
        new = cells[((cells // step) % 2 == 1).any(axis=1)]
        kept.append(new[field.levels(origin + new @ basis) <= level])
    sites = np.concatenate(kept)
    places = origin + sites @ basis
    inside = _depth(polygon, places) > -_ON * field.spacing
    return places[inside][np.lexsort(sites[inside].T[::-1])]


def _body(polygon: Array, field: SizeField, sites: Array, line: Array | None) -> tuple[Array, NDArray[np.bool_]]:
    """Nodes (n, 2) of one convex body, those of the interface line first, then other sides, then the inside.

    Returns:
        Nodes and which of them lie on the outer boundary.
    """
    sides = []
    for a, b in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if line is not None and np.all(np.abs([a[1] - line[0, 1], b[1] - line[0, 1]]) < _ON * field.spacing):
            continue
        sides.append(_side(a, b, field, sites))
    around = np.concatenate(sides) if line is None else np.concatenate([line, *sides])
    if line is not None:
        # The line's ends are corners of the sides, too.
        ends = np.linalg.norm(around[len(line) :, None] - line[[0, -1]], axis=-1).min(axis=1) < _ON * field.spacing
        around = np.concatenate([line, around[len(line) :][~ends]])
    distance = field.distance(sites)
    local = field.spacing * 2.0 ** field.levels_at(distance)
    margin = np.where(distance <= 0.0, _NEAR_FINE, _NEAR) * local
    if line is not None:
        fine = (distance <= field.reach) & (np.abs(sites[:, 1] - line[0, 1]) < local)
        margin[fine] = _NEAR_FINE * local[fine]
    inside = sites[_depth(polygon, sites) > margin]
    boundary = np.zeros(len(around) + len(inside), dtype=bool)
    boundary[: len(around)] = True
    if line is not None:
        boundary[1 : len(line) - 1] = False
    return np.concatenate([around, inside]), boundary


def _side(a: Array, b: Array, field: SizeField, sites: Array) -> Array:
    """Nodes (n, 2) from corner a up to but without corner b: fine sites that lie on the side, and its even division."""
    length = float(np.linalg.norm(b - a))
    along = (b - a) / length
    offset = sites - a
    s = offset @ along
    across = np.abs(offset[:, 0] * along[1] - offset[:, 1] * along[0])
    on = (across < _ON * field.spacing) & (s > 0.25 * field.spacing) & (s < length - 0.25 * field.spacing)
    on[on] = field.distance(sites[on]) <= field.reach
    stops = np.concatenate([[0.0], np.sort(s[on]), [length]])
    samples = np.unique(np.concatenate([np.linspace(0.0, length, 4097), stops]))
    smallest = float(field.size(a + samples[:, None] * along).min())
    if length / smallest > 2048:
        samples = np.unique(np.concatenate([np.linspace(0.0, length, int(4 * length / smallest) + 1), stops]))
    density = 1.0 / field.size(a + samples[:, None] * along)
    steps = 0.5 * (density[1:] + density[:-1]) * np.diff(samples)
    count = np.concatenate([[0.0], np.cumsum(steps)])
    at = np.interp(stops, samples, count)
    numbers = np.maximum(np.rint(np.diff(at)), 1).astype(int)
    marks = [np.linspace(at[i], at[i + 1], n, endpoint=False) for i, n in enumerate(numbers)]
    places = np.interp(np.concatenate(marks), count, samples)
    # Fine sites keep their own coordinates to the last bit.
    first = np.cumsum(np.concatenate([[0], numbers]))[:-1]
    nodes = a + places[:, None] * along
    nodes[first[0]] = a
    nodes[first[1:]] = sites[on][np.argsort(s[on])]
    return nodes


def _line(basis: Array, origin: Array, polygon: Array, field: SizeField, y: float) -> Array:
    """Nodes (n, 2) of an interface line, ends on the polygon's sides, from left to right."""
    combinations = np.array([c for c in product(range(-8, 9), repeat=2) if c != (0, 0)])
    vectors = combinations @ basis
    flat = vectors[(np.abs(vectors[:, 1]) < 1e-6 * field.spacing) & (vectors[:, 0] > 0.0)]
    if not len(flat):
        raise MeshError(f"interface = {y}: no lattice row of the basis {basis.tolist()} runs along x; turn the crystal")
    period = float(flat[:, 0].min())
    height = abs(float(np.linalg.det(basis))) / period
    row = (y - origin[1]) / height
    share = row - np.floor(row)
    if abs(share - 0.5) > 0.1:
        rows = origin[1] + height * (np.floor(row) + np.array([0.0, 1.0]))
        raise MeshError(
            f"interface = {y} Å between lattice rows at {rows[0]:.6g} and {rows[1]:.6g} Å: expected midway, {rows.mean():.6g} Å"
        )
    across = vectors[np.abs(vectors[:, 1] - height) < 1e-6 * field.spacing]
    between = across[np.lexsort((across[:, 0], np.round(np.abs(across[:, 0]) / field.spacing, 6)))[0]]
    shift = origin[0] + row * between[0]
    ends = _crossings(polygon, y)
    k = np.arange(np.ceil((ends[0] - shift) / period), np.floor((ends[1] - shift) / period) + 1).astype(np.int64)
    places = np.column_stack([shift + k * period, np.full(len(k), y)])
    # v₂(k) from the lowest set bit; zero is divisible by every power of two.
    level = np.where(k == 0, field.top, np.log2(np.maximum(k & -k, 1)).astype(np.int64))
    wanted = field.levels(places)
    margin = np.where(field.distance(places) <= 0.0, _NEAR_FINE, _NEAR) * field.spacing * 2.0**wanted
    inside = np.minimum(places[:, 0] - ends[0], ends[1] - places[:, 0]) > margin
    places = places[inside & (level >= wanted)]
    return np.concatenate([[[ends[0], y]], places, [[ends[1], y]]])


def _crossings(polygon: Array, y: float) -> Array:
    """Smallest and largest x (2,) where the line at y meets the polygon."""
    a, b = polygon, np.roll(polygon, -1, axis=0)
    cut = (a[:, 1] - y) * (b[:, 1] - y) < 0.0
    if cut.sum() < 2 and not (a[:, 1] == y).any():
        low, high = polygon[:, 1].min(), polygon[:, 1].max()
        raise MeshError(f"interface = {y} Å: expected a line inside the domain, between {low:.6g} and {high:.6g} Å")
    t = (y - a[cut, 1]) / (b[cut, 1] - a[cut, 1])
    x = np.concatenate([a[cut, 0] + t * (b[cut, 0] - a[cut, 0]), a[a[:, 1] == y, 0]])
    return np.array([x.min(), x.max()])


def _half(polygon: Array, line: Array, side: float) -> Array:
    """The polygon's part below (side −1) or above (+1) a line, counter-clockwise."""
    kept = polygon[(polygon[:, 1] - line[0, 1]) * side > 0.0]
    corners = np.concatenate([kept, line[[0, -1]]])
    centre = corners.mean(axis=0)
    return corners[np.argsort(np.arctan2(*(corners - centre).T[::-1]))]


def _checked(mesh: SimplexMesh, polygon: Array) -> SimplexMesh:
    """The mesh, if its cells fill the polygon."""
    x, y = polygon.T
    area = 0.5 * float(x @ np.roll(y, -1) - y @ np.roll(x, -1))
    filled = float(mesh.volumes().sum())
    if abs(filled - area) > 1e-9 * area:
        raise MeshError(
            f"cells cover {filled:.12g} of {area:.12g} Å²: expected a domain less than about 10⁵ spacings wide whose "
            "corners are no sharper than its elements"
        )
    return mesh
