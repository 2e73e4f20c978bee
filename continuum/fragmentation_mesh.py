"""A body part of whose cells have nodes of their own: its unknowns, and operators from them to strains, jumps and tractions."""

from collections.abc import Callable
from dataclasses import dataclass

import basix
import numpy as np
import scipy.sparse as sp
from dolfinx import mesh as dmesh
from numpy.typing import NDArray

from continuum.errors import MeshError
from continuum.materials import LinearElastic
from continuum.mesh import BodyMesh
from continuum.mesh.simplex import simplex_volumes

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]
Predicate = Callable[[Array], Flags]
_VOIGT = {2: [(0, 0), (1, 1), (0, 1)], 3: [(0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)]}


@dataclass(frozen=True, kw_only=True)
class BrokenBody:
    """Unknowns and operators of a body whose chosen cells are tied to their neighbours by facets only.

    Attributes:
        places: (nodes, dim) Å.
        nodes_of_group: name -> nodes on the facets of a group.
        stiffness: of the cells, (nodes·dim, nodes·dim), eV/Å².
        jump: (points·dim, nodes·dim): local components (normal first) of the second cell's displacement less the first's at the
            quadrature points of the facets.
        traction: the same of the mean of both cells' stresses on the normal, eV/Å³ per Å.
        weights: (points,) Å^(dim−1), times the thickness in 2D.
        facet_of_point: (points,).
        midpoints: (facets, dim) Å.
        areas: (facets,) Å^(dim−1), times the thickness in 2D.
        corners: (facets, dim, dim) places of the facets' corners.
        normals: (facets, dim) out of the first cell.
        penalty: (facets,) least stiffness of the ties that keeps the whole positive definite, eV/Å⁴.
    """

    places: Array
    nodes_of_group: dict[str, Integers]
    stiffness: sp.csr_matrix
    jump: sp.csr_matrix
    traction: sp.csr_matrix
    weights: Array
    facet_of_point: Integers
    midpoints: Array
    areas: Array
    corners: Array
    normals: Array
    penalty: Array


def break_body(
    bodies: BodyMesh, *, material: LinearElastic, degree: int, thickness: float, region: Predicate | None
) -> BrokenBody:
    """Give each cell of a region its own nodes.

    Args:
        bodies: one body of triangles or tetrahedra, whole on this rank (built with COMM_SELF).
        material: of the body.
        degree: 1 or 2.
        thickness: Å, in 2D (plane strain).
        region: predicate on midpoints of cells (n, dim); None: all cells.

    Raises:
        MeshError: a mesh of several bodies, of other cells or of several ranks; a region without facets inside.
    """
    mesh = bodies.mesh
    dim = mesh.geometry.dim
    if mesh.comm.size > 1 or bodies.interfaces or mesh.topology.cell_name() not in ("triangle", "tetrahedron"):
        raise MeshError(
            f"{len(bodies.bodies)} bodies of {mesh.topology.cell_name()}s on {mesh.comm.size} ranks: expected one body of "
            "triangles or tetrahedra, whole on each rank (built with COMM_SELF)"
        )
    if degree not in (1, 2):
        raise MeshError(f"degree = {degree!r}: expected 1 or 2")
    points = np.asarray(mesh.geometry.x[:, :dim], dtype=float)
    cells = np.array(mesh.geometry.dofmaps[0], dtype=np.int64)
    flipped = simplex_volumes(points, cells) < 0.0
    cells[flipped, :2] = cells[flipped, 1::-1]
    inside = (
        np.ones(len(cells), dtype=bool)
        if region is None
        else np.asarray(region(points[cells].mean(axis=1)), dtype=bool)
    )
    nodes, places = _number(points, cells, degree, inside)
    slopes = _barycentric_gradients(points[cells])
    facets = _Facets.between(cells, inside)
    if not len(facets.first):
        raise MeshError("a region without facets inside: expected at least one cell with a neighbour")
    c = material.plane_strain_stiffness if dim == 2 else material.stiffness
    size, depth = len(places), thickness if dim == 2 else 1.0
    volumes = simplex_volumes(points, cells)
    kind = basix.CellType[mesh.topology.cell_name()]
    at, share = (np.asarray(a) for a in basix.make_quadrature(kind, 2 * (degree - 1)))
    lambdas = np.column_stack([1.0 - at.sum(axis=1), at])
    strain = _strain(np.einsum("qal,kld->kqad", _shape(lambdas, degree)[1], slopes))
    factor = depth * volumes[:, None] * share / share.sum()
    blocks = np.einsum("kq,kqvi,vw,kqwj->kij", factor, strain, c, strain, optimize=True)
    dofs = (nodes[:, :, None] * dim + np.arange(dim)).reshape(len(cells), -1)
    shape = blocks.shape
    rows, columns = (np.broadcast_to(d, shape).ravel() for d in (dofs[:, :, None], dofs[:, None, :]))
    stiffness = sp.csr_matrix((blocks.ravel(), (rows, columns)), shape=(size * dim, size * dim))
    corners = points[facets.corners]
    frames, areas = _frames(corners, points[cells[facets.first]].mean(axis=1))
    facet_kind = basix.CellType.interval if dim == 2 else basix.CellType.triangle
    at, share = (np.asarray(a) for a in basix.make_quadrature(facet_kind, 2 * degree + 1))
    weights = depth * areas[:, None] * share / share.sum()
    on_facet = np.column_stack([1.0 - at.sum(axis=1), at])
    sides = []
    for cell, sign in ((facets.first, -1.0), (facets.second, 1.0)):
        # Barycentric coordinates in the cell: those in the facet, at the corners that both share.
        share_of = (cells[cell][:, :, None] == facets.corners[:, None, :]).astype(float)
        inner = np.einsum("fvc,qc->fqv", share_of, on_facet)
        value, derivative = _shape(inner, degree)
        strain = _strain(np.einsum("fqal,fld->fqad", derivative, slopes[cell]))
        stress = np.einsum("vw,fqwj->fqvj", c, strain)
        pulled = 0.5 * np.einsum("fde,fqej->fqdj", frames, _on_normal(stress, frames[:, 0]))
        moved = sign * np.einsum("fde,fqa->fqdae", frames, value).reshape(*pulled.shape)
        sides.append((dofs[cell], moved, pulled))
    n = areas.size * len(share)
    jump, traction = (_operator([(d, s[i]) for d, *s in sides], n * dim, size * dim) for i in (0, 1))
    # Inverse inequality for stresses of degree p − 1 on a simplex (Warburton and Hesthaven 2003), a cell of dim + 1 facets.
    steep = np.maximum(areas / volumes[facets.first], areas / volumes[facets.second])
    penalty = float(np.linalg.eigvalsh(c)[-1]) * degree * (degree - 1 + dim) / dim * 0.5 * (dim + 1) * steep
    return BrokenBody(
        places=places,
        nodes_of_group={name: _on_group(bodies, found, cells, nodes, degree) for name, found in bodies.groups.items()},
        stiffness=stiffness,
        jump=jump,
        traction=traction,
        weights=weights.ravel(),
        facet_of_point=np.repeat(np.arange(len(areas)), len(share)),
        midpoints=corners.mean(axis=1),
        areas=depth * areas,
        corners=corners,
        normals=frames[:, 0],
        penalty=penalty,
    )


@dataclass(frozen=True)
class _Facets:
    """Facets between two cells of which one at least lies in the region: corners (f, dim), cells on both sides (f,)."""

    corners: Integers
    first: Integers
    second: Integers

    @classmethod
    def between(cls, cells: Integers, inside: Flags) -> "_Facets":
        m = cells.shape[1]
        every = np.sort(np.concatenate([np.delete(cells, i, axis=1) for i in range(m)]), axis=1)
        owner = np.tile(np.arange(len(cells)), m)
        order = np.lexsort(every.T[::-1])
        same = (every[order[1:]] == every[order[:-1]]).all(axis=1)
        one, two = owner[order[:-1][same]], owner[order[1:][same]]
        chosen = inside[one] | inside[two]
        first, second = np.minimum(one, two)[chosen], np.maximum(one, two)[chosen]
        return cls(every[order[:-1][same][chosen]], first, second)


def _number(points: Array, cells: Integers, degree: int, inside: Flags) -> tuple[Integers, Array]:
    """Nodes of each cell (k, n), corners first, then edges; places of all nodes. Cells inside share theirs with no other."""
    places, whole = points, cells
    if degree == 2:
        i, j = np.triu_indices(cells.shape[1], 1)
        edges = np.sort(np.stack([cells[:, i], cells[:, j]], axis=-1), axis=-1)
        unique, index = np.unique(edges.reshape(-1, 2), axis=0, return_inverse=True)
        whole = np.column_stack([cells, len(points) + index.reshape(len(cells), -1)])
        places = np.concatenate([points, points[unique].mean(axis=1)])
    keys = np.where(inside[:, None], (1 + np.arange(len(cells)))[:, None] * len(places), 0) + whole
    unique, nodes = np.unique(keys.ravel(), return_inverse=True)
    return nodes.reshape(whole.shape), places[unique % len(places)]


def _barycentric_gradients(corners: Array) -> Array:
    """∇λ (k, corners, dim) of cells' corners (k, corners, dim)."""
    inner = np.linalg.inv(corners[:, 1:] - corners[:, :1])
    rest = np.swapaxes(inner, 1, 2)
    return np.concatenate([-rest.sum(axis=1, keepdims=True), rest], axis=1)


def _shape(lambdas: Array, degree: int) -> tuple[Array, Array]:
    """Lagrange functions (..., n) and derivatives by barycentric coordinates (..., n, corners); corners, then edges."""
    m = lambdas.shape[-1]
    unit = np.broadcast_to(np.eye(m), (*lambdas.shape, m))
    if degree == 1:
        return lambdas, unit
    i, j = np.triu_indices(m, 1)
    value = np.concatenate([lambdas * (2.0 * lambdas - 1.0), 4.0 * lambdas[..., i] * lambdas[..., j]], axis=-1)
    corner = (4.0 * lambdas - 1.0)[..., None] * unit
    edge = 4.0 * (lambdas[..., i, None] * np.eye(m)[j] + lambdas[..., j, None] * np.eye(m)[i])
    return value, np.concatenate([corner, edge], axis=-2)


def _strain(gradients: Array) -> Array:
    """Voigt strains (..., voigt, n·dim) from gradients of shape functions (..., n, dim)."""
    *lead, n, dim = gradients.shape
    found = np.zeros((*lead, len(_VOIGT[dim]), n, dim))
    for v, (i, j) in enumerate(_VOIGT[dim]):
        found[..., v, :, i] += gradients[..., j]
        if i != j:
            found[..., v, :, j] += gradients[..., i]
    return found.reshape(*lead, len(_VOIGT[dim]), n * dim)


def _on_normal(stress: Array, normal: Array) -> Array:
    """σ n (f, q, dim, n) of Voigt stresses (f, q, voigt, n) on normals (f, dim)."""
    dim = normal.shape[1]
    found = np.zeros((*stress.shape[:2], dim, stress.shape[3]))
    for v, (i, j) in enumerate(_VOIGT[dim]):
        found[:, :, i] += stress[:, :, v] * normal[:, None, j, None]
        if i != j:
            found[:, :, j] += stress[:, :, v] * normal[:, None, i, None]
    return found


def _frames(corners: Array, inner: Array) -> tuple[Array, Array]:
    """Rows normal (away from the places `inner`) and tangents (f, dim, dim), and areas (f,)."""
    along = corners[:, 1:] - corners[:, :1]
    first = along[:, 0] / np.linalg.norm(along[:, 0], axis=1)[:, None]
    if corners.shape[2] == 2:
        normal, areas = np.column_stack([first[:, 1], -first[:, 0]]), np.linalg.norm(along[:, 0], axis=1)
    else:
        normal = np.cross(along[:, 0], along[:, 1])
        areas = 0.5 * np.linalg.norm(normal, axis=1)
        normal = normal / np.linalg.norm(normal, axis=1)[:, None]
    inward = np.einsum("fd,fd->f", normal, corners.mean(axis=1) - inner) < 0.0
    normal = np.where(inward[:, None], -normal, normal)
    rows = [normal, first] if corners.shape[2] == 2 else [normal, first, np.cross(normal, first)]
    return np.stack(rows, axis=1), areas


def _operator(sides: list[tuple[Integers, Array]], rows: int, columns: int) -> sp.csr_matrix:
    """Sparse (rows, columns) from blocks (f, q, dim, n) of cells whose unknowns are (f, n)."""
    entries: list[list[Array]] = [[], [], []]
    for dofs, blocks in sides:
        row = np.arange(rows).reshape(*blocks.shape[:3], 1)
        parts: tuple[NDArray, ...] = (blocks, row, dofs[:, None, None, :])
        for entry, values in zip(entries, parts, strict=True):
            entry.append(np.broadcast_to(values, blocks.shape).ravel())
    data, places, unknowns = (np.concatenate(part) for part in entries)
    return sp.csr_matrix((data, (places, unknowns)), shape=(rows, columns))


def _on_group(bodies: BodyMesh, facets: NDArray[np.int32], cells: Integers, nodes: Integers, degree: int) -> Integers:
    """Nodes of the cells beside a group's facets that lie on these facets."""
    mesh = bodies.mesh
    fdim = mesh.topology.dim - 1
    mesh.topology.create_connectivity(fdim, fdim + 1)
    to_cell = mesh.topology.connectivity(fdim, fdim + 1)
    owner = np.array([to_cell.links(f)[0] for f in facets], dtype=np.int64)
    corners = dmesh.entities_to_geometry(mesh, fdim, facets)
    on = (cells[owner][:, :, None] == corners[:, None, :]).any(axis=2)
    if degree == 2:
        i, j = np.triu_indices(cells.shape[1], 1)
        on = np.column_stack([on, on[:, i] & on[:, j]])
    return np.unique(nodes[owner][on])
