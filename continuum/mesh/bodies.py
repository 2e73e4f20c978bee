"""Bodies that touch along interfaces: one DOLFINx mesh whose nodes are doubled where two bodies meet.

Why doubled nodes and not one submesh per body: the bodies then share one vector space and one bulk matrix, which is
assembled once because the bulk is linear; an interface is a sparse map from that space to jumps, and no form has to be
assembled while a crack is followed. Each body's mesh is disconnected from its neighbour's; only the interface's law ties
them together.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import basix
import basix.ufl
import numpy as np
from dolfinx import mesh as dmesh
from mpi4py import MPI
from numpy.typing import NDArray

from continuum.errors import MeshError

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
Predicate = Callable[[Array], NDArray[np.bool_]]
CELLS = {"triangle": 2, "quadrilateral": 2, "tetrahedron": 3, "hexahedron": 3}


@dataclass(frozen=True, kw_only=True)
class InterfaceFacets:
    """The two sides of one interface, as facets that lie on this rank.

    Attributes:
        first, second: names of the bodies; the normal points from the first into the second.
        side_1, side_2: (n,) local facets of each side, owned by this rank.
        cracked: (n,) for side_1: True where the facet belongs to the initial crack.
    """

    first: str
    second: str
    side_1: NDArray[np.int32]
    side_2: NDArray[np.int32]
    cracked: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class BodyMesh:
    """A mesh of one or more bodies.

    Attributes:
        mesh: the DOLFINx mesh, Å.
        bodies: names of the bodies; `body_of_cell` indexes them.
        body_of_cell: (n,) for this rank's cells.
        groups: name -> (n,) local exterior facets, owned by this rank.
        interfaces: name -> the two sides of that interface.
    """

    mesh: dmesh.Mesh
    bodies: tuple[str, ...]
    body_of_cell: NDArray[np.int32]
    groups: Mapping[str, NDArray[np.int32]]
    interfaces: Mapping[str, InterfaceFacets]


def split_bodies(
    comm: MPI.Comm,
    *,
    points: Array,
    cells: Integers,
    cell: str,
    body_of_cell: Integers,
    bodies: Sequence[str],
    interfaces: Mapping[str, tuple[str, str]] | None = None,
    groups: Mapping[str, Predicate | Integers] | None = None,
    cracked: Mapping[str, Predicate] | Predicate | None = None,
) -> BodyMesh:
    """Double the nodes of a conforming mesh where bodies meet, and distribute it.

    All ranks pass the same arrays (built-in meshes are computed everywhere, read ones broadcast), so that a mistake is
    found by all of them.

    Args:
        comm: communicator that the mesh is distributed over.
        points: (n, dim) Å.
        cells: (m, k) corners of each cell in DOLFINx's (tensor-product) order.
        cell: triangle, quadrilateral, tetrahedron or hexahedron.
        body_of_cell: (m,) index into `bodies`.
        bodies: names.
        interfaces: name -> (first, second) body; every pair of bodies that touches needs one. None: every such pair has one,
            called "first-second" in the order of `bodies` ("interface" where there is only one).
        groups: name -> exterior facets: a predicate on their midpoints (n, dim), or their corners (f, kf).
        cracked: predicate on midpoints of facets that are broken from the start, one for all interfaces or by name.

    Raises:
        MeshError: where an argument does not fit, an interface or group is empty, or bodies touch without an interface.
    """
    groups = groups or {}
    _check(points, cells, cell, body_of_cell, bodies, interfaces or {})
    facets, owner, other = _facets(cells, cell)
    if interfaces is None:
        interfaces = _touching(body_of_cell, bodies, owner, other)
        if not interfaces and len(bodies) > 1:
            raise MeshError(
                f"bodies {list(bodies)} share no facets: expected bodies that touch along facets with common nodes; merge "
                "coincident nodes (gmsh: BooleanFragments or Coherence), or move the bodies together"
            )
    rules = dict.fromkeys(interfaces, cracked) if callable(cracked) else dict(cracked or {})
    for name in rules:
        if name not in interfaces:
            raise MeshError(f"initial crack on {name!r}: expected one of the interfaces {list(interfaces)}")
    keys, split = np.unique(body_of_cell[:, None] * len(points) + cells, return_inverse=True)
    split = split.reshape(cells.shape)
    places = points[keys % len(points)]

    def corners(cell_index: Integers, parents: Integers) -> Integers:
        """Doubled corners of facets (f, kf) as the given cells (f,) see them, sorted along each row."""
        return np.sort(np.searchsorted(keys, body_of_cell[cell_index, None] * len(points) + parents), axis=1)

    sides = {}
    between = other >= 0
    between[between] = body_of_cell[owner[between]] != body_of_cell[other[between]]
    tied = np.zeros(len(facets), dtype=bool)
    for name, pair in interfaces.items():
        first, second = (list(bodies).index(b) for b in pair)
        here = [
            np.flatnonzero(between & (body_of_cell[owner] == a) & (body_of_cell[other] == b))
            for a, b in ((first, second), (second, first))
        ]
        found = np.concatenate(here)
        if not len(found):
            raise MeshError(
                f"interface {name!r}: bodies {pair[0]!r} and {pair[1]!r} share no facet; do their nodes match?"
            )
        tied[found] = True
        cell_1 = np.concatenate([owner[here[0]], other[here[1]]])
        cell_2 = np.concatenate([other[here[0]], owner[here[1]]])
        broken = np.zeros(len(found), dtype=bool)
        if name in rules:
            broken = np.asarray(rules[name](points[facets[found]].mean(axis=1)), dtype=bool)
        sides[name] = (corners(cell_1, facets[found]), corners(cell_2, facets[found]), broken)
    if (between & ~tied).any():
        f = np.flatnonzero(between & ~tied)[0]
        one, two = (bodies[int(body_of_cell[i])] for i in (owner[f], other[f]))
        raise MeshError(f"bodies {one!r} and {two!r} touch but no interface names them: add one or make them one body")
    outer = np.flatnonzero(other < 0)
    chosen = {}
    for name, rule in groups.items():
        picked = _pick(name, rule, points, facets[outer])
        chosen[name] = corners(owner[outer[picked]], facets[outer[picked]])
    return _distribute(comm, places, split, cell, body_of_cell, bodies, interfaces, sides, chosen)


def _touching(
    body_of_cell: Integers, bodies: Sequence[str], owner: Integers, other: Integers
) -> dict[str, tuple[str, str]]:
    """An interface for every pair of bodies that shares a facet."""
    shared = other >= 0
    pairs = np.sort(np.column_stack([body_of_cell[owner[shared]], body_of_cell[other[shared]]]), axis=1)
    found = [(bodies[a], bodies[b]) for a, b in np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)]
    return {"interface": found[0]} if len(found) == 1 else {f"{a}-{b}": (a, b) for a, b in found}


def _check(
    points: Array,
    cells: Integers,
    cell: str,
    body_of_cell: Integers,
    bodies: Sequence[str],
    interfaces: Mapping[str, tuple[str, str]],
) -> None:
    if cell not in CELLS:
        raise MeshError(f"cell = {cell!r}: expected one of {', '.join(CELLS)}")
    if points.ndim != 2 or points.shape[1] != CELLS[cell] or not np.isfinite(points).all():
        raise MeshError(f"points of shape {points.shape}: expected (n, {CELLS[cell]}) finite coordinates for {cell}s")
    if len(cells) != len(body_of_cell) or len(cells) == 0:
        raise MeshError(
            f"{len(cells)} cells and {len(body_of_cell)} body indices: expected one index a cell, at least one"
        )
    if set(np.unique(body_of_cell)) != set(range(len(bodies))):
        raise MeshError(
            f"body indices {np.unique(body_of_cell)}: expected each of 0..{len(bodies) - 1} for {list(bodies)}"
        )
    for name, pair in interfaces.items():
        if len(pair) != 2 or pair[0] == pair[1] or not set(pair) <= set(bodies):
            raise MeshError(f"interface {name!r} between {list(pair)}: expected two different bodies of {list(bodies)}")


def _facets(cells: Integers, cell: str) -> tuple[Integers, Integers, Integers]:
    """Facets (f, kf) in parent corners, sorted; the cell that owns each; the cell beyond it or -1."""
    kind = basix.CellType[cell]
    local = basix.topology(kind)[CELLS[cell] - 1]
    every = np.sort(np.concatenate([cells[:, corners] for corners in local]), axis=1)
    of_cell = np.tile(np.arange(len(cells)), len(local))
    facets, index, counts = np.unique(every, axis=0, return_inverse=True, return_counts=True)
    if counts.max() > 2:
        raise MeshError("a facet with more than two cells: expected a conforming mesh without overlapping cells")
    order = np.argsort(index.ravel(), kind="stable")
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    owner = of_cell[order[starts]]
    other = np.full(len(facets), -1)
    other[counts == 2] = of_cell[order[starts[counts == 2] + 1]]
    return facets, owner, other


def _pick(name: str, rule: Predicate | Integers, points: Array, outer: Integers) -> Integers:
    """Indices into the exterior facets `outer` that belong to a group."""
    if callable(rule):
        picked = np.flatnonzero(rule(points[outer].mean(axis=1)))
    else:
        wanted = {tuple(row) for row in np.sort(np.asarray(rule), axis=1).tolist()}
        picked = np.array([i for i, row in enumerate(outer.tolist()) if tuple(row) in wanted], dtype=np.int64)
    if not len(picked):
        raise MeshError(
            f"group {name!r}: no facet on the outer boundary belongs to it; check its place or physical group"
        )
    return picked


def _distribute(
    comm: MPI.Comm,
    places: Array,
    split: Integers,
    cell: str,
    body_of_cell: Integers,
    bodies: Sequence[str],
    interfaces: Mapping[str, tuple[str, str]],
    sides: Mapping[str, tuple[Integers, Integers, NDArray[np.bool_]]],
    chosen: Mapping[str, Integers],
) -> BodyMesh:
    """Hand the cells from rank 0 to DOLFINx and find the named facets among this rank's own."""
    element: Any = basix.ufl.element("Lagrange", cell, 1, shape=(places.shape[1],))
    root = comm.rank == 0
    mesh = dmesh.create_mesh(
        comm,
        split if root else np.zeros((0, split.shape[1]), dtype=np.int64),
        element,
        places if root else np.zeros((0, places.shape[1])),
    )
    fdim = mesh.topology.dim - 1
    mesh.topology.create_connectivity(fdim, fdim + 1)
    outer = dmesh.exterior_facet_indices(mesh.topology)
    nodes = dmesh.entities_to_geometry(mesh, fdim, outer)
    inputs = np.sort(mesh.geometry.input_global_indices[nodes], axis=1)
    local = {tuple(row): int(f) for row, f in zip(inputs.tolist(), outer, strict=True)}

    def find(table: Integers) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        hits = [(local[t], i) for i, row in enumerate(table.tolist()) if (t := tuple(row)) in local]
        pairs = np.array(hits, dtype=np.int64).reshape(-1, 2)
        return pairs[:, 0].astype(np.int32), pairs[:, 1]

    faces = {}
    for name, (first, second, broken) in sides.items():
        side_1, rows = find(first)
        side_2, _ = find(second)
        a, b = interfaces[name]
        faces[name] = InterfaceFacets(first=a, second=b, side_1=side_1, side_2=side_2, cracked=broken[rows])
    return BodyMesh(
        mesh=mesh,
        bodies=tuple(bodies),
        body_of_cell=body_of_cell[mesh.topology.original_cell_index].astype(np.int32),
        groups={name: find(table)[0] for name, table in chosen.items()},
        interfaces=faces,
    )


def outer_facets(cells: Integers, cell: str) -> Integers:
    """Corners (f, kf), sorted along each row, of the facets that only one cell has."""
    facets, _, other = _facets(cells, cell)
    return facets[other < 0]
