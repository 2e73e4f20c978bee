"""A body's fields on disk for ParaView: undeformed places with the displacement to the deformed ones."""

from collections.abc import Mapping
from pathlib import Path

import basix
import meshio
import numpy as np
from numpy.typing import NDArray

from continuum.body import Body
from continuum.errors import BodyError

Array = NDArray[np.float64]
# meshio's name of the cell, and where its mid-side nodes (VTK's order) stand among basix's functions.
_VTK = {
    (2, 1): ("triangle", [0, 1, 2]),
    (3, 1): ("tetra", [0, 1, 2, 3]),
    (2, 2): ("triangle6", [0, 1, 2, 5, 3, 4]),
    (3, 2): ("tetra10", [0, 1, 2, 3, 9, 6, 8, 7, 5, 4]),
}


def write_body(
    path: str | Path,
    body: Body,
    u: Array,
    *,
    cell_data: Mapping[str, Array] | None = None,
    point_data: Mapping[str, Array] | None = None,
) -> Path:
    """Write a .vtu file; call it on one rank.

    Points are the undeformed places X in the mesh's frame, so that atoms written at y = F₀X + u lie on the body warped by
    its displacement. Nodes come in the body's order; straight mid-side nodes of quadratic cells follow them.

    Args:
        path: ends in .vtu; its folder must exist.
        body: whose mesh it is.
        u: (n, c) Å; the file's ``displacement`` is y − X = (F₀ − 1)X + u.
        cell_data: name -> (k, ...) by the mesh's cells; vectors and (c, c) tensors are filled up to three components.
        point_data: name -> (n, ...) by the body's nodes.

    Raises:
        BodyError: where data do not fit the body.
    """
    path = Path(path)
    if path.suffix != ".vtu":
        raise BodyError(f"{path}: expected a name that ends in .vtu")
    m, c = body.nodes.shape[1], body.components
    position = np.zeros((body.size, c))
    position[:, :m] = body.nodes
    if u.shape != position.shape:
        raise BodyError(f"displacements of shape {u.shape}: expected {position.shape}")
    of_points = {"displacement": position @ (body.F0 - np.eye(c)).T + u, **(point_data or {})}
    for name, values in of_points.items():
        if len(values) != body.size:
            raise BodyError(f"point data {name!r} of {len(values)} rows: expected one for each of {body.size} nodes")
    for name, values in (cell_data or {}).items():
        if len(values) != len(body.cells):
            raise BodyError(
                f"cell data {name!r} of {len(values)} rows: expected one for each of {len(body.cells)} cells"
            )
    blocks, ends, rows = [], np.zeros((0, 2), dtype=np.int64), []
    for group in body.groups:
        kind, order = _VTK[m, group.element.degree]
        nodes = group.nodes.copy()
        if group.dependent.any():
            pairs = np.array(basix.topology(group.element.cell_type)[1])
            cell, column = np.nonzero(group.dependent)
            sides = np.sort(group.nodes[cell[:, None], pairs[column - m - 1]], axis=1)
            ends, number = np.unique(sides, axis=0, return_inverse=True)
            nodes[cell, column] = body.size + number.ravel()
        blocks.append((kind, nodes[:, order]))
        rows.append(group.cells)

    def extended(values: Array) -> Array:
        return _in_space(np.concatenate([values, 0.5 * (values[ends[:, 0]] + values[ends[:, 1]])]))

    meshio.Mesh(
        extended(position)[:, :3],
        blocks,
        point_data={name: extended(np.asarray(values, dtype=float)) for name, values in of_points.items()},
        cell_data={
            name: [_in_space(np.asarray(values, dtype=float)[cells]) for cells in rows]
            for name, values in (cell_data or {}).items()
        },
    ).write(path)
    return path


def _in_space(values: Array) -> Array:
    """Vectors (n, 2) filled up to (n, 3), tensors (n, c, c) to (n, 9); scalars as they are."""
    if values.ndim == 2 and values.shape[1] == 2:
        return np.pad(values, ((0, 0), (0, 1)))
    if values.ndim == 3:
        missing = 3 - values.shape[1]
        return np.pad(values, ((0, 0), (0, missing), (0, missing))).reshape(len(values), 9)
    return values
