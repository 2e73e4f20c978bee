"""One body with a crack: the doubled nodes of an interface line are joined where the crack has not come yet."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from continuum.errors import MeshError
from continuum.mesh.simplex import SimplexMesh

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]


def open_slit(mesh: SimplexMesh, *, open: Callable[[Array], Mask]) -> SimplexMesh:
    """Join the two bodies of a mesh along its interface, but for a slit without traction.

    A node stays doubled where all of its facets are open. So the two faces share the node at the slit's tip, and a mouth on
    the outer boundary gapes.

    Args:
        mesh: plane, with an interface (`graded_mesh(interface=y)`).
        open: whether the line is cut, (f,) of the x (f,) of the facets' midpoints, Å.

    Returns:
        One body: no `interface`, but `slit` and `seam`. Of two nodes that are joined the lower one's number stays ahead of
        the inner nodes; all others move up.

    Raises:
        MeshError: a mesh without interface, an answer of `open` that does not fit, a slit of a single facet inside the body.
    """
    if mesh.interface is None or mesh.dimension != 2:
        raise MeshError(
            "a mesh without an interface: expected a plane one whose line can be cut, graded_mesh(interface=y)"
        )
    lower, upper = mesh.interface[:, 0], mesh.interface[:, 1]
    cut = np.asarray(open(mesh.points[lower, 0].mean(axis=1)))
    if cut.shape != (len(lower),) or cut.dtype != np.bool_:
        raise MeshError(
            f"open gave {cut.dtype} of shape {cut.shape}: expected a boolean for each of {len(lower)} facets"
        )
    count = len(mesh.points)
    stands_for = np.arange(count)
    stands_for[upper[~cut]] = lower[~cut]
    closed = cut & (stands_for[upper] == lower).all(axis=1)
    if closed.any():
        x = mesh.points[lower[closed][0], 0]
        raise MeshError(
            f"a slit of the single facet from {x[0]:.6g} to {x[1]:.6g} Å: both its ends are joined, so it cannot open; "
            "expected two neighbouring facets or more"
        )
    kept = stands_for == np.arange(count)
    number = (np.cumsum(kept) - 1)[stands_for]
    boundary = mesh.boundary.copy()
    np.logical_or.at(boundary, stands_for, mesh.boundary)
    return replace(
        mesh,
        points=mesh.points[kept],
        cells=number[mesh.cells],
        boundary=boundary[kept],
        interface=None,
        slit=number[mesh.interface[cut]],
        seam=np.unique(number[mesh.interface]),
    )


def node_sides(mesh: SimplexMesh, ends: Integers | None = None) -> Array:
    """On which side of the crack's line each node lies: +1 above, −1 below, 0 on the part that is joined.

    Args:
        mesh: with a seam or an interface; the two faces of its slit lie on different sides.
        ends: (e, 2) mesh points at the ends of the edges of mid-side nodes (`Body.ends`).

    Returns:
        (n + e,) in the order of `Body.nodes`.

    Raises:
        MeshError: a mesh without such a line.
    """
    faces = mesh.slit if mesh.interface is None else mesh.interface
    line = faces if mesh.seam is None else mesh.seam
    if faces is None or line is None:
        raise MeshError(
            "a mesh without a slit or an interface: expected one with a line that has two sides (open_slit)"
        )
    sides = np.sign(mesh.points[:, 1] - mesh.points[line.ravel()[0], 1])
    sides[line.ravel()] = 0
    for side, sign in ((0, -1), (1, 1)):
        own = faces[:, side].ravel()
        sides[np.setdiff1d(own, faces[:, 1 - side])] = sign
    if ends is None:
        return sides
    # No edge crosses the line: an end off the joined part decides.
    return np.concatenate([sides, np.sign(sides[ends].sum(axis=1))])
