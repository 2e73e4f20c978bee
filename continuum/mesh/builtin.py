"""Built-in specimens: blocks in layers and the double cantilever beam with a graded crack path."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from continuum.errors import MeshError
from continuum.mesh.bodies import CELLS, BodyMesh, Predicate, split_bodies
from continuum.mesh.grading import cells_between_rows, coarsen, graded_line, graded_rows

Array = NDArray[np.float64]
# Kuhn's division of a cube into six tetrahedra, corners numbered x + 2y + 4z: conforming from cube to cube.
_KUHN = np.array([[0, 1, 3, 7], [0, 1, 5, 7], [0, 2, 3, 7], [0, 2, 6, 7], [0, 4, 5, 7], [0, 4, 6, 7]])


def block(
    comm: MPI.Comm,
    *,
    size: Sequence[float],
    divisions: Sequence[int],
    cell: str = "triangle",
    interface_at: float | Sequence[float] | None = None,
    cracked_to: float | None = None,
) -> BodyMesh:
    """A block of layers along y, one interface between each two of them.

    Bodies are ``lower`` and ``upper`` with the interface ``interface``; with several interfaces ``layer 1`` ... and
    ``interface 1`` ... from below. Groups: ``left``/``right`` (x), ``bottom``/``top`` (y), ``back``/``front`` (z).

    Args:
        comm: communicator.
        size: edge lengths x, y (and z), Å.
        divisions: cells along x, through each *layer*, (along z).
        cell: triangle, quadrilateral, tetrahedron or hexahedron.
        interface_at: heights of the interfaces, Å; half the height if None; an empty sequence gives one body, ``block``.
        cracked_to: facets with x below this are broken from the start.

    Raises:
        MeshError: where a size, division or height does not fit.
    """
    if cell not in CELLS:
        raise MeshError(f"cell = {cell!r}: expected one of {', '.join(CELLS)}")
    dim = CELLS[cell]
    sizes = np.asarray(size, dtype=float)
    if len(size) != dim or len(divisions) != dim or not (np.isfinite(sizes) & (sizes > 0)).all() or min(divisions) < 1:
        raise MeshError(
            f"size = {size}, divisions = {divisions}: expected {dim} positive lengths and {dim} counts for {cell}s"
        )
    height = float(size[1])
    levels = [0.5 * height] if interface_at is None else [float(y) for y in np.atleast_1d(interface_at)]
    edges = [0.0, *levels, height]
    if (np.diff(edges) <= 0.0).any():
        raise MeshError(f"interface_at = {interface_at!r}: expected rising heights between 0 and {height}")
    rows = [np.linspace(a, b, divisions[1] + 1)[:-1] for a, b in pairwise(edges)]
    lines = [np.linspace(0.0, s, n + 1) for s, n in zip(size, divisions, strict=True)]
    lines[1] = np.append(np.concatenate(rows), height)
    points, cells = grid(lines, cell)
    body = np.searchsorted(levels, points[cells].mean(axis=1)[:, 1])
    several = len(levels) > 1
    bodies = ["block"] if not levels else ["lower", "upper"]
    bodies = [f"layer {i + 1}" for i in range(len(levels) + 1)] if several else bodies
    names = [f"interface {i + 1}" for i in range(len(levels))] if several else ["interface"][: len(levels)]
    groups = {
        "left": on_plane(0, 0.0),
        "right": on_plane(0, size[0]),
        "bottom": on_plane(1, 0.0),
        "top": on_plane(1, height),
    }
    if dim == 3:
        groups |= {"back": on_plane(2, 0.0), "front": on_plane(2, size[2])}
    return split_bodies(
        comm,
        points=points,
        cells=cells,
        cell=cell,
        body_of_cell=body,
        bodies=bodies,
        interfaces={name: (bodies[i], bodies[i + 1]) for i, name in enumerate(names)},
        groups=groups,
        cracked={} if cracked_to is None else {name: _below(cracked_to) for name in names},
    )


def double_cantilever_beam(
    comm: MPI.Comm,
    *,
    length: float,
    arm_height: float,
    initial_crack: float,
    fine_size: float,
    fine_from: float | None = None,
    fine_to: float,
    growth: float = 1.3,
    coarse_size: float | None = None,
    cell: str = "triangle",
) -> BodyMesh:
    """Two arms joined along y = 0, cracked from the loaded end x = 0 to the initial crack's tip.

    Facets of `fine_size` lie along the interface from `fine_from` to `fine_to`, the path that the crack is expected to
    take; away from it cells grow by `growth` from one row to the next (triangles: rows also coarsen along x, so that
    a micrometre specimen with 0.3 nm facets takes some 10⁴ triangles; quadrilaterals: a graded grid).

    Bodies ``lower`` and ``upper``, interface ``interface``; groups ``lower grip`` and ``upper grip`` (end faces at x = 0),
    ``left``, ``right``, ``bottom``, ``top``.

    Args:
        comm: communicator.
        length, arm_height, initial_crack: of the specimen, Å.
        fine_size: length of the facets along the path, Å.
        fine_from, fine_to: ends of the path, Å; from four facets before the tip if None.
        growth: ratio of the thicknesses of neighbouring rows, above 1.
        coarse_size: largest cell, Å; a quarter of the arm's height if None.
        cell: triangle or quadrilateral.

    Raises:
        MeshError: where the lengths do not fit together.
    """
    if fine_from is None:
        fine_from = max(0.0, initial_crack - 4.0 * fine_size)
    coarse = 0.25 * arm_height if coarse_size is None else coarse_size
    if cell not in ("triangle", "quadrilateral"):
        raise MeshError(f"cell = {cell!r}: expected triangle or quadrilateral for a double cantilever beam")
    lengths = {"length": length, "arm_height": arm_height, "fine_size": fine_size, "coarse_size": coarse}
    for name, value in lengths.items():
        if not np.isfinite(value) or value <= 0.0:
            raise MeshError(f"{name} = {value!r}: expected a length above zero")
    if not 0.0 <= fine_from <= initial_crack < fine_to <= length or initial_crack <= 0.0:
        raise MeshError(
            f"fine_from = {fine_from:g}, initial_crack = {initial_crack:g}, fine_to = {fine_to:g}, length = {length:g}: "
            "expected 0 <= fine_from <= initial_crack < fine_to <= length"
        )
    if not 1.0 < growth <= 3.0 or fine_size > arm_height:
        raise MeshError(
            f"growth = {growth!r}, fine_size = {fine_size:g}: expected growth in (1, 3], fine_size <= arm_height"
        )
    line = graded_line(length, initial_crack, (fine_from, fine_to), fine_size, growth, max(coarse, fine_size))
    heights = graded_rows(arm_height, fine_size, growth, max(coarse, fine_size))
    if cell == "quadrilateral":
        points, cells = grid([line, np.concatenate([-heights[:0:-1], heights])], cell)
    else:
        points, cells = _arms(line, heights)
    grips: dict[str, Predicate] = {
        "lower grip": lambda m: (m[:, 0] < 1e-9 * length) & (m[:, 1] < 0.0),
        "upper grip": lambda m: (m[:, 0] < 1e-9 * length) & (m[:, 1] > 0.0),
    }
    return split_bodies(
        comm,
        points=points,
        cells=cells,
        cell=cell,
        body_of_cell=(points[cells].mean(axis=1)[:, 1] > 0.0).astype(np.int64),
        bodies=["lower", "upper"],
        interfaces={"interface": ("lower", "upper")},
        groups={
            **grips,
            "left": on_plane(0, 0.0),
            "right": on_plane(0, length),
            "bottom": on_plane(1, -arm_height),
            "top": on_plane(1, arm_height),
        },
        cracked={"interface": _below(initial_crack)},
    )


def _arms(line: Array, heights: Array) -> tuple[Array, NDArray[np.int64]]:
    """Triangles of both arms: rows that coarsen with their height, the lower arm a mirror of the upper."""
    rows = [line]
    for below, above in pairwise(heights):
        rows.append(coarsen(rows[-1], 1.2 * (above - below)))
    starts = np.concatenate([[0], np.cumsum([len(r) for r in rows])])
    upper = np.column_stack([np.concatenate(rows), np.repeat(heights, [len(r) for r in rows])])
    cells = np.concatenate(
        [cells_between_rows(a, b, int(starts[j]), int(starts[j + 1])) for j, (a, b) in enumerate(pairwise(rows))]
    )
    first = len(line)
    lower = upper[first:] * np.array([1.0, -1.0])
    mirrored = np.where(cells < first, cells, cells + len(lower))
    return np.concatenate([upper, lower]), np.concatenate([cells, mirrored])


def grid(lines: Sequence[Array], cell: str) -> tuple[Array, NDArray[np.int64]]:
    """Points (n, dim) and cells of a tensor grid of rising coordinates, cut into triangles or tetrahedra where asked."""
    dim = len(lines)
    shape = [len(line) for line in lines]
    points = np.stack([g.ravel(order="F") for g in np.meshgrid(*lines, indexing="ij")], axis=1)
    base = np.indices([n - 1 for n in shape]).reshape(dim, -1)
    strides = np.concatenate([[1], np.cumprod(shape[:-1])])
    corner = (base * strides[:, None]).sum(axis=0)
    offsets = np.array([sum(int(strides[d]) * ((c >> d) & 1) for d in range(dim)) for c in range(2**dim)])
    cubes = corner[:, None] + offsets[None, :]
    if cell == "triangle":
        # Diagonals alternate, so that the mesh has no preferred direction.
        even = (base.sum(axis=0) % 2 == 0)[:, None]
        one = np.where(even, cubes[:, [0, 1, 3]], cubes[:, [0, 1, 2]])
        two = np.where(even, cubes[:, [0, 3, 2]], cubes[:, [1, 3, 2]])
        cubes = np.concatenate([one, two])
    elif cell == "tetrahedron":
        cubes = np.concatenate([cubes[:, corners] for corners in _KUHN])
    return points, cubes.astype(np.int64)


def on_plane(axis: int, value: float) -> Predicate:
    """Predicate: facets whose midpoint has that coordinate."""
    return lambda m: np.abs(m[:, axis] - value) < 1e-9 * max(1.0, float(np.ptp(m[:, axis])))


def _below(value: float) -> Predicate:
    """Predicate: facets whose midpoint has a smaller x."""
    return lambda m: m[:, 0] < value
