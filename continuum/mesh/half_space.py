"""A half space under an indenter: fine where the edge of the contact may be, coarse towards the far boundary."""

from itertools import pairwise

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from continuum.errors import MeshError
from continuum.mesh.bodies import BodyMesh, split_bodies
from continuum.mesh.grading import cells_between_rows, coarsen, graded_line, graded_rows

Array = NDArray[np.float64]


def half_space(
    comm: MPI.Comm,
    *,
    size: float,
    reach: float,
    fine_size: float,
    fine_from: float = 0.0,
    fine_to: float | None = None,
    growth: float = 1.3,
) -> BodyMesh:
    """A quadrant 0 ≤ x ≤ size, −size ≤ y ≤ 0 below one layer of triangles, 0 ≤ x ≤ reach, that stands for the indenter.

    x = 0 is the axis of a sphere or the plane of symmetry of a cylinder. The layer is flat, one facet thick: the
    indenter's profile enters as a gap of the interface. Bodies ``half space`` and ``indenter``, interface ``contact`` (its
    normal points into the indenter), groups ``axis`` (x = 0 of the half space), ``far`` (its bottom and outer side) and
    ``top`` (of the indenter).

    Args:
        comm: communicator.
        size: of the half space's quadrant, Å.
        reach: of the indenter; beyond, the surface is free.
        fine_size: facets between `fine_from` and `fine_to` (`reach` if None), Å.
        fine_from, fine_to: where the contact's edge may be, Å.
        growth: ratio of neighbouring cells away from there, above 1.

    Raises:
        MeshError: where the lengths do not fit together.
    """
    fine_to = reach if fine_to is None else fine_to
    for name, value in {"size": size, "reach": reach, "fine_size": fine_size}.items():
        if not np.isfinite(value) or value <= 0.0:
            raise MeshError(f"{name} = {value!r}: expected a length above zero")
    if not 0.0 <= fine_from < fine_to <= reach < size or fine_size > fine_to - fine_from:
        raise MeshError(
            f"fine_from = {fine_from:g}, fine_to = {fine_to:g}, reach = {reach:g}, size = {size:g}, fine_size = {fine_size:g}: "
            "expected 0 <= fine_from < fine_to <= reach < size, and facets no longer than the fine part"
        )
    if not 1.0 < growth <= 3.0:
        raise MeshError(f"growth = {growth!r}: expected a ratio in (1, 3]")
    coarse = size / 6.0
    inner = graded_line(reach, fine_from, (fine_from, fine_to), fine_size, growth, reach / 12.0)
    last = inner[-1] - inner[-2]
    outer = reach + graded_rows(size - reach, last, growth, coarse)
    line = np.concatenate([inner, outer[1:]])
    points, cells = _quadrant(line, graded_rows(size, fine_size, growth, coarse))
    lid, lid_cells = _layer(inner, fine_size, first=len(points))
    return split_bodies(
        comm,
        points=np.concatenate([points, lid]),
        cells=np.concatenate([cells, lid_cells]),
        cell="triangle",
        body_of_cell=np.repeat([0, 1], [len(cells), len(lid_cells)]),
        bodies=["half space", "indenter"],
        interfaces={"contact": ("half space", "indenter")},
        groups={
            "axis": lambda m: (m[:, 0] < 1e-9 * size) & (m[:, 1] < 0.0),
            "far": lambda m: (m[:, 0] > (1.0 - 1e-9) * size) | (m[:, 1] < -(1.0 - 1e-9) * size),
            "top": lambda m: m[:, 1] > (1.0 - 1e-9) * fine_size,
        },
    )


def _quadrant(line: Array, depths: Array) -> tuple[Array, NDArray[np.int64]]:
    """Rows from the surface downwards, their points thinned out as the rows grow thicker."""
    rows = [line]
    for above, below in pairwise(depths):
        rows.append(coarsen(rows[-1], 1.2 * (below - above)))
    counts = [len(row) for row in rows]
    starts = np.concatenate([[0], np.cumsum(counts)])
    points = np.column_stack([np.concatenate(rows), np.repeat(-depths, counts)])
    strips = [cells_between_rows(a, b, int(starts[j]), int(starts[j + 1])) for j, (a, b) in enumerate(pairwise(rows))]
    return points, np.concatenate(strips)


def _layer(line: Array, thickness: float, *, first: int) -> tuple[Array, NDArray[np.int64]]:
    """One layer of triangles on the surface's first points, which are numbered 0, 1, ...; new points from `first`."""
    points = np.column_stack([line, np.full(len(line), thickness)])
    left = np.arange(len(line) - 1)
    right, up = left + 1, first + left
    return points, np.concatenate([np.column_stack([left, right, up + 1]), np.column_stack([left, up + 1, up])])
