"""Cohesive interfaces: from nodal displacements to jumps, tractions and energies.

The jump of a node pair is u₂ − u₁. At the quadrature points of the facets, in the local frame (normal first),
⟦u⟧ = N q with q the (pairs, dim) nodal jumps and N a sparse matrix built once. Internal forces are Nᵀ(w T), the tangent
Nᵀ(w D)N. Interfaces have one dimension less than bodies, so each rank keeps all of them: laws are evaluated without
communication and the numbering of pairs and facets (by place) does not depend on how many ranks there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import basix
import numpy as np
import scipy.sparse as sp
from dolfinx import fem
from dolfinx import mesh as dmesh
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from continuum.errors import MeshError
from continuum.laws import CohesiveLaw, LawResponse
from continuum.mesh import BodyMesh, InterfaceFacets

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
_FACET = {"triangle": "interval", "quadrilateral": "interval", "tetrahedron": "triangle", "hexahedron": "quadrilateral"}


@dataclass(frozen=True, kw_only=True)
class Interface:
    """Geometry of one interface, the same on every rank.

    Attributes:
        name: as the mesh calls it.
        law: its traction–separation law.
        nodes_1, nodes_2: (pairs,) global node (block) numbers on each side.
        facet_pairs: (facets, nodes) pair indices.
        midpoints: (facets, dim) Å.
        shape: (points, nodes) shape functions at the quadrature points of a facet.
        weights: (facets, points) Å^(dim−1), times the thickness in the plane or the circumference about an axis.
        frames: (facets, points, dim, dim) rows normal (out of the first body), tangents.
        places: (facets, points, dim) quadrature points, Å.
        cracked: (facets,) True where broken from the start.
    """

    name: str
    law: CohesiveLaw
    nodes_1: Integers
    nodes_2: Integers
    facet_pairs: Integers
    midpoints: Array
    shape: Array
    weights: Array
    frames: Array
    places: Array
    cracked: NDArray[np.bool_]

    def interpolation(self) -> sp.csr_matrix:
        """N: (facets·points·dim, pairs·dim), nodal jumps (laboratory frame) to local jumps at quadrature points."""
        facets, points, dim, _ = self.frames.shape
        nodes = self.facet_pairs.shape[1]
        full = (facets, points, dim, nodes, dim)
        values = np.broadcast_to(self.frames[:, :, :, None, :] * self.shape[None, :, None, :, None], full)
        rows = np.arange(facets * points * dim).reshape(facets, points, dim, 1, 1)
        columns = self.facet_pairs[:, None, None, :, None] * dim + np.arange(dim)
        where = (np.broadcast_to(rows, full).ravel(), np.broadcast_to(columns, full).ravel())
        size = (facets * points * dim, len(self.nodes_1) * dim)
        return sp.csr_matrix((values.ravel(), where), shape=size)


def build_interface(
    bodies: BodyMesh,
    name: str,
    law: CohesiveLaw,
    space: fem.FunctionSpace,
    *,
    thickness: float,
    axisymmetric: bool = False,
) -> Interface:
    """Pair the nodes of both sides of an interface and place its quadrature points (collective).

    Args:
        bodies: the mesh.
        name: of the interface.
        law: that it carries.
        space: of the displacement.
        thickness: Å, of a plane.
        axisymmetric: weights are those of rings, 2πx.

    Raises:
        MeshError: where a node of one side has no partner on the other.
    """
    comm, sides = bodies.mesh.comm, bodies.interfaces[name]
    kind = basix.CellType[_FACET[bodies.mesh.topology.cell_name()]]
    degree = space.element.basix_element.degree
    element = basix.create_element(basix.ElementFamily.P, kind, degree, basix.LagrangeVariant.gll_warped)
    first, second = (_gather(comm.allgather(_collect(bodies, sides, space, element, side))) for side in (1, 2))
    size = float(np.ptp(first.corners, axis=1).max(axis=1).min())
    first = first.take(np.lexsort(np.round(first.midpoints / (1e-4 * size)).T[::-1]))
    facet_nodes, places = first.nodes, first.places
    _, at, facet_pairs = np.unique(facet_nodes.ravel(), return_index=True, return_inverse=True)
    # Pairs are numbered by their place, not by node numbers, which depend on the partition.
    spots = places.reshape(-1, places.shape[2])[at]
    order = np.lexsort(np.round(spots / (1e-4 * size)).T[::-1])
    rank_of = np.empty_like(order)
    rank_of[order] = np.arange(len(order))
    facet_pairs = rank_of[facet_pairs.ravel()].reshape(facet_nodes.shape)
    spots, nodes_1 = spots[order], facet_nodes.ravel()[at][order]
    spots_2 = second.places.reshape(-1, second.places.shape[2])
    distance, partner = cKDTree(spots_2).query(spots)
    if distance.max() > 1e-4 * size:
        raise MeshError(
            f"interface {name!r}: nodes up to {distance.max():.3g} Å from a partner; expected matching meshes"
        )
    nodes_2 = second.nodes.ravel()[partner]
    points, weights, frames, positions = _quadrature(first, kind, degree)
    if axisymmetric:
        weights = weights * (2.0 * np.pi * positions[..., 0])
    dim = bodies.mesh.geometry.dim
    return Interface(
        name=name,
        law=law,
        nodes_1=nodes_1,
        nodes_2=nodes_2,
        facet_pairs=facet_pairs,
        midpoints=first.midpoints,
        shape=_tabulate(element, points)[0],
        weights=weights * (thickness if dim == 2 else 1.0),
        frames=frames,
        places=positions,
        cracked=first.cracked,
    )


@dataclass(frozen=True, kw_only=True)
class _Side:
    """Facets of one side: corners (f, v, dim), nodes (f, n) and their places (f, n, dim), centres of the cells (f, dim)."""

    corners: Array
    nodes: Integers
    places: Array
    inside: Array
    cracked: NDArray[np.bool_]

    @property
    def midpoints(self) -> Array:
        return self.corners.mean(axis=1)

    def take(self, order: Integers) -> "_Side":
        return _Side(**{f.name: getattr(self, f.name)[order] for f in fields(self)})


def _gather(parts: Sequence[_Side]) -> _Side:
    return _Side(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(_Side)})


def _collect(
    bodies: BodyMesh,
    sides: InterfaceFacets,
    space: fem.FunctionSpace,
    element: basix.finite_element.FiniteElement,
    side: int,
) -> _Side:
    """This rank's facets of one side, with global node numbers in the reference order."""
    mesh, facets = bodies.mesh, sides.side_1 if side == 1 else sides.side_2
    dim, fdim = mesh.geometry.dim, mesh.topology.dim - 1
    mesh.topology.create_connectivity(fdim, fdim + 1)
    mesh.topology.create_connectivity(fdim + 1, fdim)
    to_cell = mesh.topology.connectivity(fdim, fdim + 1)
    closure = np.array(space.element.basix_element.entity_closure_dofs[fdim])  # local facets, nodes
    of_cell = mesh.topology.connectivity(fdim + 1, fdim).array.reshape(-1, len(closure))
    cells = to_cell.array[to_cell.offsets[facets]]
    local = np.argmax(of_cell[cells] == facets[:, None], axis=1)
    dofs = np.take_along_axis(space.dofmap.list[cells], closure[local], axis=1)
    where = space.tabulate_dof_coordinates()[:, :dim][dofs]
    corners = _in_order(mesh.geometry.x[dmesh.entities_to_geometry(mesh, fdim, facets)][:, :, :dim])
    linear = _tabulate(basix.create_element(basix.ElementFamily.P, element.cell_type, 1), element.points)[0]
    gaps = (linear @ corners)[:, :, None, :] - where[:, None, :, :]
    match = np.argmin((gaps**2).sum(axis=3), axis=2)
    nodes = space.dofmap.index_map.local_to_global(np.take_along_axis(dofs, match, axis=1).ravel().astype(np.int32))
    return _Side(
        corners=corners,
        nodes=nodes.reshape(match.shape),
        places=np.take_along_axis(where, match[:, :, None], axis=1),
        inside=dmesh.compute_midpoints(mesh, fdim + 1, cells.astype(np.int32))[:, :dim],
        cracked=sides.cracked if side == 1 else np.zeros(len(facets), dtype=bool),
    )


def _in_order(corners: Array) -> Array:
    """Corners (f, v, dim) from left to right: quadrature points then stand alike on any number of ranks.

    Of quadrilaterals (tensor-product order) the first corner and the direction of the first edge are chosen that way.
    """
    order = np.lexsort(np.moveaxis(corners, 2, 0)[::-1], axis=-1)
    if corners.shape[1] == 4:
        place = np.argsort(order, axis=1)
        first = order[:, 0]
        one, two = first ^ 1, first ^ 2
        rows = np.arange(len(first))
        swap = place[rows, two] < place[rows, one]
        one, two = np.where(swap, two, one), np.where(swap, one, two)
        order = np.stack([first, one, two, 3 - first], axis=1)
    return np.take_along_axis(corners, order[:, :, None], axis=1)


def _tabulate(element: Any, points: Any) -> Array:
    """Shape functions and their first derivatives of a facet's element: (1 + fdim, points, nodes)."""
    return np.asarray(element.tabulate(1, points))[..., 0]


def _quadrature(facets: _Side, kind: basix.CellType, degree: int) -> tuple[Array, Array, Array, Array]:
    """Reference points, weights (facets, points), frames (facets, points, dim, dim) and places of the points."""
    # Gauss points, not nodes: with nodal (Gauss–Lobatto) points and a process zone three facets long the crack advanced
    # facet by facet, each jump losing 2% of its fracture energy that no term of the ledger held; with Gauss points 0.1%.
    # Along a line eight points: a law that spends its energy within three facets is no polynomial there, and with fewer the
    # crack is trapped between points. In the aluminium beam of examples/adhesion.yaml, four facets to a cohesive zone length,
    # 3, 5 and 8 points a facet lost 0.45%, 0.16% and 0.045% of the load's work in such jumps.
    exact = 15 if kind == basix.CellType.interval else 2 * degree + 1
    points, reference = (np.asarray(a) for a in basix.make_quadrature(kind, exact))
    table = _tabulate(basix.create_element(basix.ElementFamily.P, kind, 1), points)
    corners = facets.corners
    places = np.einsum("qv,fvd->fqd", table[0], corners)
    slopes = np.einsum("kqv,fvd->fqkd", table[1:], corners)
    if slopes.shape[2] == 1:
        along = slopes[:, :, 0]
        measure = np.linalg.norm(along, axis=-1)
        normal = np.stack([along[..., 1], -along[..., 0]], axis=-1) / measure[..., None]
    else:
        normal = np.cross(slopes[:, :, 0], slopes[:, :, 1])
        measure = np.linalg.norm(normal, axis=-1)
        normal = normal / measure[..., None]
    inward = np.einsum("fqd,fqd->fq", normal, places - facets.inside[:, None, :]) < 0.0
    normal = np.where(inward[..., None], -normal, normal)
    return points, measure * reference, _frames(normal), places


def _frames(normal: Array) -> Array:
    """Right-handed rows (normal, tangents) from the normals alone, so that they do not depend on any numbering."""
    if normal.shape[-1] == 2:
        return np.stack([normal, np.stack([normal[..., 1], -normal[..., 0]], axis=-1)], axis=-2)
    axis = np.zeros_like(normal)
    np.put_along_axis(axis, np.argmin(np.round(np.abs(normal), 6), axis=-1)[..., None], 1.0, axis=-1)
    first = np.cross(normal, axis)
    first /= np.linalg.norm(first, axis=-1, keepdims=True)
    return np.stack([normal, first, np.cross(normal, first)], axis=-2)


class InterfaceSet:
    """All interfaces of a solid, end to end: one vector of nodal jumps, one of jumps at quadrature points.

    Attributes:
        parts: the interfaces.
        dim: space dimension.
        pairs, points: how many in all.
        interpolation: N, (points·dim, pairs·dim).
        weights: (points,) Å^(dim−1).
        cracked: (points,).
        facet_of_point: (points,) facet number; facets are numbered through all interfaces.
        facet_pairs: (facets, nodes) pair numbers.
        midpoints: (facets, dim) Å.
        pressure: (points,) multiplier of the augmented Lagrangian for contact, eV/Å³, ≤ 0; 0 leaves the penalty alone.
    """

    def __init__(self, parts: Sequence[Interface], dim: int) -> None:
        self.parts, self.dim = tuple(parts), dim
        sizes = [p.weights.size for p in parts]
        self.slices = [slice(sum(sizes[:i]), sum(sizes[: i + 1])) for i in range(len(parts))]
        self.points = sum(sizes)
        counts = [len(p.nodes_1) for p in parts]
        self.pairs = sum(counts)
        self.pressure = np.zeros(self.points)
        # Laws that resist being pressed by themselves have no contact to augment.
        penalties = [0.0 if p.law.own_repulsion else p.law.penalty for p in parts]
        self._penalty = np.repeat(np.array(penalties, dtype=float), np.array(sizes, dtype=np.int64))
        if not parts:
            self.interpolation = sp.csr_matrix((0, 0))
            self.weights, self.cracked = np.zeros(0), np.zeros(0, dtype=bool)
            self.facet_of_point, self.midpoints = np.zeros(0, dtype=np.int64), np.zeros((0, dim))
            self.facet_pairs = np.zeros((0, 1), dtype=np.int64)
            self.nodes = np.zeros((0, 2), dtype=np.int64)
            return
        self.interpolation = sp.block_diag([p.interpolation() for p in parts], format="csr")
        self.weights = np.concatenate([p.weights.ravel() for p in parts])
        self.cracked = np.concatenate([np.repeat(p.cracked, p.weights.shape[1]) for p in parts])
        per_facet = np.concatenate([np.full(len(p.weights), p.weights.shape[1]) for p in parts])
        self.facet_of_point = np.repeat(np.arange(len(per_facet)), per_facet)
        self.facet_pairs = np.concatenate([p.facet_pairs + sum(counts[:i]) for i, p in enumerate(parts)])
        self.midpoints = np.concatenate([p.midpoints for p in parts])
        self.nodes = np.concatenate([np.column_stack([p.nodes_1, p.nodes_2]) for p in parts])

    @property
    def peak(self) -> float:
        """Largest peak traction of all laws, eV/Å³ (0 without interfaces)."""
        return max((p.law.peak_traction for p in self.parts), default=0.0)

    def dependent(self) -> bool:
        """Whether jumps of some pairs follow from those of others: three bodies that meet at a line, all tied to each other."""
        nodes, ends = np.unique(self.nodes, return_inverse=True)
        ends = ends.reshape(self.nodes.shape)
        graph = sp.coo_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(len(nodes), len(nodes)))
        return len(ends) > len(nodes) - connected_components(graph, directed=False)[0]

    def jumps(self, nodal: Array) -> Array:
        """Local jumps (points, dim) from nodal jumps (pairs, dim)."""
        return (self.interpolation @ nodal.ravel()).reshape(-1, self.dim)

    def forces(self, traction: Array) -> Array:
        """Nᵀ(w T): nodal forces (pairs, dim) conjugate to the nodal jumps, eV/Å."""
        return (self.interpolation.T @ (self.weights[:, None] * traction).ravel()).reshape(-1, self.dim)

    def evaluate(self, jump: Array, history: Array, rows: Integers | None = None) -> LawResponse:
        """All laws at all points, or at the rising point numbers `rows` (jump and history then hold these only)."""
        if not self.parts:
            none = np.zeros(0)
            return LawResponse(
                traction=np.zeros((0, self.dim)),
                tangent=np.zeros((0, self.dim, self.dim)),
                secant=np.zeros((0, self.dim)),
                history_new=np.zeros((0, 1)),
                stored=none,
                dissipated=none,
                contact=none,
                damage=none,
            )
        answers = []
        for part, where in zip(self.parts, self.slices, strict=True):
            here = where if rows is None else slice(*np.searchsorted(rows, [where.start, where.stop]))
            if here.start < here.stop:
                answers.append(part.law.evaluate(jump[here], history[here, : part.law.history_size]))
        names = ("traction", "tangent", "secant", "stored", "dissipated", "contact", "damage")
        fields = {name: np.concatenate([getattr(a, name) for a in answers]) for name in names}
        fields["history_new"] = np.concatenate([self._widened(a.history_new) for a in answers])
        broken = self.cracked if rows is None else self.cracked[rows]
        if broken.any():
            # The initial crack transmits contact, nothing else, and its energy was spent before the story begins.
            closed = broken & (jump[:, 0] < 0.0)
            stiffness = np.where(closed, fields["secant"][:, 0], 0.0)
            for name in ("traction", "tangent", "secant", "stored", "dissipated"):
                fields[name][broken] = 0.0
            fields["secant"][broken, 0] = stiffness[broken]
            fields["tangent"][broken, 0, 0] = stiffness[broken]
            fields["traction"][broken, 0] = stiffness[broken] * jump[broken, 0]
            fields["history_new"][broken] = self.fresh()[broken if rows is None else rows[broken]]
            fields["damage"][broken] = 1.0
        if self.pressure.any():
            self._press(fields, jump[:, 0], slice(None) if rows is None else rows)
        return LawResponse(**fields)

    def _press(self, fields: dict[str, Array], opening: Array, rows: Any) -> None:
        """Put the augmented contact traction min(0, μ + p δ_n) in place of the penalty's min(0, p δ_n)."""
        penalty, pressure = self._penalty[rows], self.pressure[rows]
        before, after = np.minimum(penalty * opening, 0.0), np.minimum(pressure + penalty * opening, 0.0)
        slope = penalty * ((after < 0.0).astype(float) - (before < 0.0))
        fields["traction"][:, 0] += after - before
        fields["tangent"][:, 0, 0] += slope
        fields["secant"][:, 0] += np.maximum(slope, 0.0)
        energy = after**2 - pressure**2 - before**2
        fields["contact"] += np.divide(energy, 2.0 * penalty, out=np.zeros_like(energy), where=penalty > 0.0)

    def augment(self, jump: Array) -> float:
        """Take the present contact tractions for the multipliers; largest change relative to the largest (Uzawa).

        Simo and Laursen (1992), Comput. Struct. 42, 97.
        """
        after = np.minimum(self.pressure + self._penalty * jump[:, 0], 0.0)
        change = float(np.abs(after - self.pressure).max(initial=0.0))
        largest = float(np.abs(after).max(initial=0.0))
        self.pressure = after
        return change / largest if largest > 0.0 else float(change > 0.0)

    def fresh(self) -> Array:
        """The history (points, h) of interfaces that were never opened; h is the largest of all laws."""
        if not self.parts:
            return np.zeros((0, 1))
        return np.concatenate([self._widened(p.law.fresh(p.weights.size)) for p in self.parts])

    def _widened(self, history: Array) -> Array:
        """A law's history with columns of zeros up to the common width."""
        return np.pad(history, ((0, 0), (0, max(p.law.history_size for p in self.parts) - history.shape[1])))
