"""Solid meshes that are the crystal lattice in a zone and grow coarser: an octree over lattice indices, cut into tetrahedra.

Leaves are parallelepipeds of 2^L primitive cells a side, balanced so that leaves that touch, at a corner even, differ by at
most one level. A leaf without hanging nodes is cut into Freudenthal's six tetrahedra along its diagonal (1, 1, 1). A leaf
with hanging nodes takes a node at its centre, joined to triangles on its six faces; how a face is cut depends on nothing
but the nodes on it, so that both its leaves cut it alike.
"""

from collections.abc import Callable
from itertools import permutations, product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from continuum.errors import MeshError
from continuum.mesh.growth import Growth, SizeField
from continuum.mesh.simplex import SimplexMesh

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
# More coarsest cells than this are a domain whose sides cannot be halved often enough, not a wish.
_MOST_ROOTS = 1_000_000
_CHILDREN = np.array(list(product((0, 1), repeat=3)))
_AROUND = np.array(list(product((-1, 0, 1), repeat=3)))
# Freudenthal's tetrahedra: paths from corner to opposite corner along the axes in each of their six orders.
_PATHS = np.array(
    [np.cumsum([np.zeros(3, int), *np.eye(3, dtype=int)[list(p)]], axis=0) for p in permutations(range(3))]
)


def obtuse_basis(basis: ArrayLike) -> Array:
    """Primitive vectors (3, 3), rows, that make an obtuse superbase: with −(a + b + c) no two enclose less than 90°.

    Freudenthal's tetrahedra are then Delaunay's (Selling 1874; Conway and Sloane, Proc. R. Soc. A 436, 1992): the
    best-shaped ones of the lattice. For fcc they have edges of a/√2 and a.
    """
    rows = np.asarray(basis, dtype=float)
    if rows.shape != (3, 3) or abs(np.linalg.det(rows)) < 1e-12:
        raise MeshError(f"basis = {rows.tolist()}: expected 3 independent lattice vectors as rows, in Å")
    base = np.concatenate([rows, -rows.sum(axis=0)[None]])
    scale = float(np.einsum("ij,ij->i", rows, rows).max())
    while True:
        dots = np.triu(base @ base.T, 1)
        i, j = np.unravel_index(np.argmax(dots), dots.shape)
        if dots[i, j] <= 1e-9 * scale:
            return base[:3]
        others = [k for k in range(4) if k not in (i, j)]
        turned = -base[i]
        base[others] += base[i]
        base[i] = turned
        base = base[np.array([i, j, *others])]


def octree_mesh(
    *, basis: Array, origin: Array, distance: Callable[[Array], Array], domain: ArrayLike, growth: Growth
) -> SimplexMesh:
    """Mesh a parallelepiped of lattice indices; see `continuum.mesh.graded.graded_mesh`."""
    box = np.asarray(domain)
    if box.shape != (2, 3) or not np.array_equal(box, np.rint(box)) or not (box[1] > box[0]).all():
        raise MeshError(
            f"domain = {box.tolist()}: expected (2, 3) lowest and highest lattice indices of a parallelepiped"
        )
    low, sides = box[0].astype(np.int64), (box[1] - box[0]).astype(np.int64)
    spacing = float(np.linalg.norm(basis, axis=1).min())
    common = int(np.gcd.reduce(sides))
    top = (common & -common).bit_length() - 1
    if growth.largest is not None:
        top = min(top, max(int(np.floor(np.log2(growth.largest / spacing) + 0.5)), 0))
    roots = int(np.prod(sides >> top))
    if roots > _MOST_ROOTS:
        raise MeshError(
            f"domain of {' × '.join(map(str, sides))} primitive cells, divisible by {1 << top} only: {roots} coarsest cells; "
            "expected sides that are multiples of a higher power of two (64, 128, ...), or a larger Growth(largest=...)"
        )
    corners = origin + (low + _CHILDREN * sides) @ basis
    longest = 0.5 * max(np.linalg.norm(basis.T @ s) for s in ((1, 1, 1), (1, 1, -1), (1, -1, 1), (-1, 1, 1)))

    def refine(field: SizeField) -> list[Integers]:
        """Cells that are split, in units of their own size, for each level from 0 (none) to the top."""
        cells = np.stack(np.meshgrid(*[np.arange(n >> top) for n in sides], indexing="ij"), axis=-1).reshape(-1, 3)
        split = []
        for level in range(top, 0, -1):
            half = longest * 2.0**level
            away = field.distance(origin + (low + (cells + 0.5) * (1 << level)) @ basis)
            # Sized by its nearer half; but a cell that may hold a place of the fine zone is always split.
            cells = cells[(away <= half) | (field.levels_at(away - 0.5 * half) < level)]
            split.append(cells)
            cells = _children(cells)
        return [np.zeros((0, 3), dtype=np.int64), *split[::-1]]

    radius = growth.radius
    if radius is None:
        only = SizeField(
            distance=distance, spacing=spacing, reach=0.0, radius=1e-3 * spacing, growth=Growth(slope=1.0), top=top
        )
        radius = spacing
        if top > 0:
            fine = _children(refine(only)[1])
            count = int((distance(origin + (low + fine + 0.5) @ basis) <= 0.0).sum())
            radius = max((0.75 / np.pi * count * abs(np.linalg.det(basis))) ** (1.0 / 3.0), spacing)
    field = SizeField(distance=distance, spacing=spacing, reach=0.0, radius=radius, growth=growth, top=top)
    tetrahedra = _cut(_balance(refine(field), sides), sides)
    grid = sides + 1
    keys, cells = np.unique(
        (tetrahedra[..., 0] * grid[1] + tetrahedra[..., 1]) * grid[2] + tetrahedra[..., 2], return_inverse=True
    )
    cells = cells.reshape(-1, 4)
    index = np.stack([keys // (grid[1] * grid[2]), keys // grid[2] % grid[1], keys % grid[2]], axis=1)
    wrong = _signed(tetrahedra) * np.sign(np.linalg.det(basis)) < 0.0
    cells[wrong] = cells[wrong][:, [0, 1, 3, 2]]
    mesh = SimplexMesh(
        points=origin + (low + index) @ basis,
        cells=cells,
        boundary=((index == 0) | (index == sides)).any(axis=1),
    )
    whole = abs(float(np.linalg.det(corners[[4, 2, 1]] - corners[0])))
    filled = float(mesh.volumes().sum())
    if abs(filled - whole) > 1e-9 * whole:
        raise MeshError(f"cells cover {filled:.12g} of {whole:.12g} Å³: the octree is not whole; report this domain")
    return mesh


def _children(cells: Integers) -> Integers:
    """The eight halves (8n, 3) of cells (n, 3), in units of half their size."""
    return (2 * cells[:, None, :] + _CHILDREN).reshape(-1, 3)


def _keys(cells: Integers, count: Integers) -> Integers:
    """One number for each cell (n, 3) of a grid (3,); −1 outside."""
    outside = ((cells < 0) | (cells >= count)).any(axis=-1)
    return np.where(outside, -1, (cells[..., 0] * count[1] + cells[..., 1]) * count[2] + cells[..., 2])


def _cells(keys: Integers, count: Integers) -> Integers:
    return np.stack([keys // (count[1] * count[2]), keys // count[2] % count[1], keys % count[2]], axis=-1)


def _balance(split: list[Integers], sides: Integers) -> list[Integers]:
    """Split more cells so that those that touch differ by one level at most: the neighbours of a split cell exist."""
    balanced = [split[0]]
    for level in range(1, len(split)):
        count = sides >> level
        wanted = [_keys(split[level], count)]
        if len(balanced[-1]):
            around = (balanced[-1][:, None, :] + _AROUND).reshape(-1, 3)
            inside = ((around >= 0) & (around < sides >> (level - 1))).all(axis=1)
            wanted.append(_keys(around[inside] // 2, count))
        balanced.append(_cells(np.unique(np.concatenate(wanted)), count))
    return balanced


def _cut(split: list[Integers], sides: Integers) -> Integers:
    """Corners (t, 4, 3), in lattice indices from the domain's lowest corner, of the tetrahedra of all leaves."""
    top = len(split) - 1
    found = []
    for level in range(top + 1):
        count = sides >> level
        if level == top:
            cells = np.stack(np.meshgrid(*[np.arange(n) for n in count], indexing="ij"), axis=-1).reshape(-1, 3)
        else:
            cells = _children(split[level + 1])
        fine = np.sort(_keys(split[level], count))
        cells = cells[~_member(fine, _keys(cells, count))]
        size = 1 << level
        flags = np.stack(
            [_member(fine, _keys(cells + step, count)) for step in _AROUND], axis=1
        )  # cell, neighbour: is it split?
        # Neighbours at a corner share no edge: nothing hangs there.
        touching = np.abs(_AROUND).sum(axis=1) <= 2
        hanging = flags[:, touching].any(axis=1)
        found.append(((cells[~hanging][:, None, None, :] + _PATHS) * size).reshape(-1, 4, 3))
        if hanging.any():
            found.append(_cut_hanging(cells[hanging], flags[hanging], size))
    return np.concatenate(found)


def _member(sorted_keys: Integers, keys: Integers) -> NDArray[np.bool_]:
    if not len(sorted_keys):
        return np.zeros(keys.shape, dtype=bool)
    at = np.minimum(np.searchsorted(sorted_keys, keys), len(sorted_keys) - 1)
    return sorted_keys[at] == keys


def _cut_hanging(cells: Integers, flags: NDArray[np.bool_], size: int) -> Integers:
    """Tetrahedra (t, 4, 3) of leaves (n, 3) with hanging nodes, given which of their 27 neighbours are split."""
    number = {tuple(step): i for i, step in enumerate(_AROUND.tolist())}
    corner = cells * size
    found = []
    for axis, side in product(range(3), (0, 1)):
        b, c = (k for k in range(3) if k != axis)
        outward = np.zeros(3, dtype=int)
        outward[axis] = 2 * side - 1
        face = flags[:, number[tuple(outward)]]
        state = np.zeros(len(cells), dtype=int)
        for bit, (along, end) in enumerate(((c, -1), (b, 1), (c, 1), (b, -1))):
            # The edge of the face towards `end`: hanging where one of the other three cells around it is split.
            sideways = np.zeros(3, dtype=int)
            sideways[along] = end
            diagonal = outward + sideways
            split = face | flags[:, number[tuple(sideways)]] | flags[:, number[tuple(diagonal)]]
            state += split.astype(int) << bit
        state[face] = 16
        for kind in np.unique(state):
            here = np.flatnonzero(state == kind)
            triangles = _FACES[kind]  # triangle, corner, in-face half units
            offsets = np.zeros((len(triangles), 4, 3), dtype=np.int64)
            offsets[:, 0] = 1
            offsets[:, 1:, axis] = 2 * side
            offsets[:, 1:, b], offsets[:, 1:, c] = triangles[..., 0], triangles[..., 1]
            found.append((corner[here][:, None, None, :] + offsets * (size // 2)).reshape(-1, 4, 3))
    return np.concatenate(found)


def _signed(tetrahedra: Integers) -> Array:
    edges = (tetrahedra[:, 1:] - tetrahedra[:, :1]).astype(float)
    return np.linalg.det(edges)


def _polygon_cut(polygon: tuple[tuple[int, int], ...]) -> tuple[float, list]:
    """The cut of a polygon into triangles whose worst shape (area over sum of squared sides) is best."""
    if len(polygon) < 3:
        return np.inf, []
    best: tuple[float, list] = (-1.0, [])
    a, b = np.array(polygon[0]), np.array(polygon[-1])
    for i in range(1, len(polygon) - 1):
        p = np.array(polygon[i])
        area = float((p - a)[0] * (b - a)[1] - (p - a)[1] * (b - a)[0])
        if area <= 0.0:
            continue
        shape = area / float(((p - a) ** 2).sum() + ((b - a) ** 2).sum() + ((p - b) ** 2).sum())
        left, right = _polygon_cut(polygon[: i + 1]), _polygon_cut(polygon[i:])
        worst = min(shape, left[0], right[0])
        if worst > best[0] + 1e-12:
            best = (worst, [*left[1], (polygon[0], polygon[i], polygon[-1]), *right[1]])
    return best


def _face_cuts() -> list[Integers]:
    """Triangles (t, 3, 2), in half units, of a square face for each set of split edges (bits), and of a split face."""
    corners = [(0, 0), (2, 0), (2, 2), (0, 2)]
    middles = [(1, 0), (2, 1), (1, 2), (0, 1)]
    cuts = [np.array([[(0, 0), (2, 0), (2, 2)], [(0, 0), (2, 2), (0, 2)]])]
    for state in range(1, 16):
        polygon: list[tuple[int, int]] = []
        for bit in range(4):
            polygon.append(corners[bit])
            if state >> bit & 1:
                polygon.append(middles[bit])
        cuts.append(np.array(_polygon_cut(tuple(polygon))[1]))
    quarters = np.array(list(product((0, 1), repeat=2)))
    cuts.append(np.concatenate([quarters[:, None, None, :] + cuts[0][i] // 2 for i in (0, 1)]).reshape(-1, 3, 2))
    return cuts


_FACES = _face_cuts()
