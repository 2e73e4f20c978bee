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
    parts: Mapping[str, Predicate | Integers] | None = None,
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
            called "first-second" in the order of `bodies` ("interface" where there is only one). Several interfaces may
            join the same two bodies; all but one of them are then named in `parts`.
        parts: name of an interface -> which facets between its bodies it takes: a predicate on their midpoints (n, dim), or
            their corners (f, kf). The rest is left to the interface of those bodies that is not named here. Where
            `interfaces` is None, the named ones are added to it.
        groups: name -> exterior facets: a predicate on their midpoints (n, dim), or their corners (f, kf).
        cracked: predicate on midpoints of facets that are broken from the start, one for all interfaces or by name.

    Raises:
        MeshError: where an argument does not fit, an interface or group is empty, or bodies touch without an interface.
    """
    groups = groups or {}
    _check(points, cells, cell, body_of_cell, bodies, interfaces or {})
    facets, owner, other = _facets(cells, cell)
    pair_of = np.where(other >= 0, body_of_cell[owner] * len(bodies) + body_of_cell[other], 0)
    between = _Between(points=points, facets=facets, bodies=bodies, pair_of=pair_of)
    interfaces, shares = between.shares(interfaces, parts or {})
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
    for name, found in shares.items():
        reverse = body_of_cell[owner[found]] != list(bodies).index(interfaces[name][0])
        cell_1 = np.where(reverse, other[found], owner[found])
        cell_2 = np.where(reverse, owner[found], other[found])
        broken = np.zeros(len(found), dtype=bool)
        if name in rules:
            broken = np.asarray(rules[name](points[facets[found]].mean(axis=1)), dtype=bool)
        sides[name] = (corners(cell_1, facets[found]), corners(cell_2, facets[found]), broken)
    outer = np.flatnonzero(other < 0)
    chosen = {}
    for name, rule in groups.items():
        picked = _pick(name, rule, points, facets[outer])
        chosen[name] = corners(owner[outer[picked]], facets[outer[picked]])
    return _distribute(comm, places, split, cell, body_of_cell, bodies, interfaces, sides, chosen)


@dataclass(frozen=True, kw_only=True)
class _Between:
    """Facets between bodies and the interfaces that they belong to.

    Attributes:
        points: (n, dim) Å.
        facets: (f, kf) all facets' corners, sorted along each row.
        bodies: names.
        pair_of: (f,) first body · number of bodies + second body; equal ones where the facet is not between two.
    """

    points: Array
    facets: Integers
    bodies: Sequence[str]
    pair_of: Integers

    def shares(
        self, interfaces: Mapping[str, tuple[str, str]] | None, parts: Mapping[str, Predicate | Integers]
    ) -> tuple[dict[str, tuple[str, str]], dict[str, Integers]]:
        """The bodies of each interface, in order, and the numbers of its facets."""
        ends = np.sort(np.column_stack(np.divmod(self.pair_of, len(self.bodies))), axis=1)
        inner = np.flatnonzero(ends[:, 0] != ends[:, 1])
        taken = {name: inner[_hits(rule, self.points, self.facets[inner])] for name, rule in parts.items()}
        left = np.zeros(len(self.facets), dtype=bool)
        left[inner] = True
        for name, facets in taken.items():
            if not len(facets) or not left[facets].all():
                raise MeshError(f"interface {name!r}: expected facets between two bodies that no other part holds")
            left[facets] = False
        if interfaces is None:
            pairs = {name: self._named(ends[facets[0]]) for name, facets in taken.items()}
            interfaces = pairs | self._rest(ends, left, len(inner), parts)
        found: dict[str, Integers] = {}
        for name, pair in interfaces.items():
            wanted = sorted(list(self.bodies).index(b) for b in pair)
            mine = taken[name] if name in parts else np.flatnonzero(left & (ends == wanted).all(axis=1))
            if not len(mine) or (ends[mine] != wanted).any():
                raise MeshError(
                    f"interface {name!r}: bodies {pair[0]!r} and {pair[1]!r} share no facet that is left to it; do their "
                    "nodes match, and does the part of this name lie between them?"
                )
            left[mine] = False
            found[name] = mine
        if left.any() or set(taken) - set(found):
            lost = np.flatnonzero(left)
            one, two = self._named(ends[lost[0]] if len(lost) else ends[taken[min(set(taken) - set(found))][0]])
            raise MeshError(
                f"bodies {one!r} and {two!r} touch but no interface names them: add one or make them one body"
            )
        return dict(interfaces), found

    def _named(self, pair: Integers) -> tuple[str, str]:
        return self.bodies[int(pair[0])], self.bodies[int(pair[1])]

    def _rest(
        self, ends: Integers, left: NDArray[np.bool_], count: int, parts: Mapping[str, object]
    ) -> dict[str, tuple[str, str]]:
        """An interface for every two bodies that share facets which no part holds."""
        if not count and len(self.bodies) > 1:
            raise MeshError(
                f"bodies {list(self.bodies)} share no facets: expected bodies that touch along facets with common nodes; "
                "merge coincident nodes (gmsh: BooleanFragments or Coherence), or move the bodies together"
            )
        found = [self._named(pair) for pair in np.unique(ends[left], axis=0)]
        alone = len(found) == 1 and "interface" not in parts
        return {"interface": found[0]} if alone else {f"{a}-{b}": (a, b) for a, b in found}


def _hits(rule: Predicate | Integers, points: Array, facets: Integers) -> NDArray[np.bool_]:
    """Which of the facets (f, kf) a predicate on midpoints, or a table of corners, names."""
    if callable(rule):
        return np.asarray(rule(points[facets].mean(axis=1)), dtype=bool)
    return match_rows(facets, np.unique(np.sort(np.asarray(rule), axis=1), axis=0)) >= 0


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
    order = np.lexsort(every.T[::-1])
    starts = np.flatnonzero(np.concatenate([[True], (every[order[1:]] != every[order[:-1]]).any(axis=1)]))
    counts = np.diff(np.append(starts, len(every)))
    if counts.max() > 2:
        raise MeshError("a facet with more than two cells: expected a conforming mesh without overlapping cells")
    owner = of_cell[order[starts]]
    other = np.full(len(starts), -1)
    other[counts == 2] = of_cell[order[starts[counts == 2] + 1]]
    facets = every[order[starts]]
    return facets, owner, other


def _pick(name: str, rule: Predicate | Integers, points: Array, outer: Integers) -> Integers:
    """Indices into the exterior facets `outer` that belong to a group."""
    picked = np.flatnonzero(_hits(rule, points, outer))
    if not len(picked):
        raise MeshError(
            f"group {name!r}: no facet on the outer boundary belongs to it; check its place or physical group"
        )
    return picked


def match_rows(rows: Integers, table: Integers) -> Integers:
    """For each of rows (n, k) the index of the same row of table (m, k), or −1; rows of the table differ."""
    if not len(rows) or not len(table):
        return np.full(len(rows), -1)
    both = np.concatenate([table, rows])
    order = np.lexsort(both.T[::-1])
    new = np.ones(len(both), dtype=bool)
    new[1:] = (both[order[1:]] != both[order[:-1]]).any(axis=1)
    # The sort is stable: the table's row, if there is one, comes first among equals.
    first = order[np.maximum.accumulate(np.where(new, np.arange(len(both)), 0))]
    found = np.empty(len(both), dtype=np.int64)
    found[order] = np.where(first < len(table), first, -1)
    return found[len(table) :]


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

    def find(table: Integers) -> tuple[NDArray[np.int32], Integers]:
        """Local facets of the rows of a table that are this rank's, and which rows."""
        at = match_rows(table, inputs)
        rows = np.flatnonzero(at >= 0)
        return outer[at[rows]].astype(np.int32), rows

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


def boundary_facets(
    cells: Integers, cell: str, body_of_cell: Integers, *, ordered: bool = False
) -> tuple[Integers, Integers]:
    """Corners (f, kf) of facets that only one cell has, and of those between two bodies.

    Sorted along each row, or (`ordered`) as the element numbers them, which matters for quadrilaterals.
    """
    facets, owner, other = _facets(cells, cell)
    if ordered:
        every = np.concatenate([cells[:, corners] for corners in basix.topology(basix.CellType[cell])[CELLS[cell] - 1]])
        facets[match_rows(np.sort(every, axis=1), facets)] = every
    inner = (other >= 0) & (body_of_cell[owner] != body_of_cell[other])
    return facets[other < 0], facets[inner]
