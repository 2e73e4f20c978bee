"""Which lattice sites are atoms, which are shared, which only lend their places: the partition of a coupled body.

On the perfect reference lattice every site i owns the volume Ω₀. A blending function β (0 atomistic, 1 continuum) gives the
site's own energy the weight 1 − β_i and takes that volume from the finite elements,

    v_T = |T| − Σ_i (1 − β_i) |share of i in T|,        Σ_i (1 − β_i) Ω₀ + Σ_T v_T = |Ω|.

The second line is the statement that no energy is counted twice (Van Koten and Luskin 2011; Li, Ortner, Shapeev and Van Koten
2016); it is checked to rounding before anything is solved.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from atomistic.lattice import Lattice
from continuum.body import Body
from continuum.points import locate
from coupling.blending import blend
from coupling.errors import PartitionError
from coupling.volumes import VolumeAudit, audit_facets, clipped_volumes, shared_facets, shared_volumes, site_shares
from coupling.zones import Zone

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]
#: Sites and nodes closer than this part of the lattice spacing are the same place.
_SAME = 1e-6
# A weight this close to 0 or 1 is 0 or 1 with a rounding error.
_ROUNDING = 1e-12


@dataclass(frozen=True, kw_only=True, eq=False)
class Partition:
    """Sites of the reference lattice with their weights, and what they leave to the finite elements.

    Attributes:
        lattice: the reference lattice.
        indices: (n, m) lattice indices of all sites: core, blend and pad.
        distance: (n,) signed distance to the core, Å.
        beta: (n,) blending function at the sites.
        absent: (n,) True where the defect has no atom (vacancy, void).
        node: (n,) node of the body at the site's place, −1 where there is none.
        node_beta: (nodes,) blending function at the nodes of the body.
        cell_weights: (cells,) v_T/|T|.
        facet_weights: (facets,) weight of the cohesive energy; empty without an interface.
        width: of the blend, Å.
        pad: of the pad, Å.
        audit: of the volumes.
    """

    lattice: Lattice
    indices: Integers
    distance: Array
    beta: Array
    absent: Mask
    node: Integers
    node_beta: Array
    cell_weights: Array
    facet_weights: Array
    width: float
    pad: float
    audit: VolumeAudit

    @property
    def weights(self) -> Array:
        """1 − β: the weights of the site energies, (n,)."""
        return 1.0 - self.beta

    @property
    def weighted(self) -> Mask:
        """Sites with a weight above zero: core and blend, (n,)."""
        return self.beta < 1.0

    @property
    def counts(self) -> dict[str, int]:
        """Atoms in the core, in the blend and in the pad, absent ones left out."""
        here = ~self.absent
        core, blended = self.beta == 0.0, (self.beta > 0.0) & (self.beta < 1.0)
        return {
            "core": int((core & here).sum()),
            "blend": int((blended & here).sum()),
            "pad": int((~self.weighted & here).sum()),
        }


def make_partition(
    lattice: Lattice,
    body: Body,
    *,
    zone: Zone,
    width: float,
    pad: float,
    kind: str = "quintic",
    absent: Callable[[Array], Mask] | ArrayLike | None = None,
    beta: Callable[[Integers, Array], Array] | None = None,
    tile: ArrayLike | None = None,
) -> Partition:
    """Partition the sites around a core, weigh them, and audit the volumes.

    Args:
        lattice: the perfect reference lattice.
        body: finite elements whose mesh is lattice-fine wherever β < 1.
        zone: the core, where β = 0.
        width: of the blend around it, Å; 0 for a sharp interface (QCE, clamped atoms).
        pad: of the sites beyond the blend that only complete the neighbourhoods, Å.
        kind: blending function, see `coupling.blending`.
        absent: places without an atom: a predicate of places (n, m), or lattice indices (k, m).
        beta: own blending function of (indices, distance to the core), instead of `kind`.
        tile: (v, 2) corners of the sites' own cells relative to the site: volumes are then cut, not shared among corners
            (plane bodies; `coupling.volumes.clipped_volumes`).

    Raises:
        PartitionError: the zone reaches the boundary, the mesh is coarser than the lattice in the blend, a missing atom
            lies outside the core, or the pad leaves the body.
        DoubleCountingError: the audit fails.
    """
    for name, value in (("width", width), ("pad", pad)):
        if not (np.isfinite(value) and value >= 0.0):
            raise PartitionError(f"{name} = {value!r} Å: expected a finite length of at least 0")
    lower, upper = _box(body, zone, width, pad)
    if not (lower <= upper).all():
        raise PartitionError("the zone lies outside the body: place it inside")
    reach = (width + pad) * (1.0 + _SAME)
    indices = lattice.indices_within(lambda x: zone.distance(x) <= reach, lower - _SAME, upper + _SAME)
    places = lattice.places(indices)
    if not len(indices):
        raise PartitionError(
            "no lattice site lies in the zone: place it inside the body and make it larger than a site"
        )
    distance = zone.distance(places)
    values = blend(kind, distance, width, indices=indices) if beta is None else np.asarray(beta(indices, distance))
    if values.shape != distance.shape or not ((values >= -_ROUNDING) & (values <= 1.0 + _ROUNDING)).all():
        raise PartitionError(
            f"a blending function from {values.min():.3g} to {values.max():.3g}: expected 0 to 1, one a site"
        )
    values = np.where(values < _ROUNDING, 0.0, np.where(values > 1.0 - _ROUNDING, 1.0, values))
    _check_boundary(body, places, values, distance, width + pad)
    node = _nodes_at(body, places, lattice)
    _check_mesh(node, values, body, lattice)
    missing = _absent(absent, indices, places)
    if (missing & (values > 0.0)).any():
        raise PartitionError(
            f"{int((missing & (values > 0.0)).sum())} of {int(missing.sum())} missing atoms lie outside the core, where the "
            "continuum would fill them: enlarge the core around the defect"
        )
    site_of_node = np.full(len(body.nodes), -1, dtype=np.int64)
    site_of_node[node[node >= 0]] = np.flatnonzero(node >= 0)
    weights = 1.0 - values
    # Elements are shared by all of their corners on the lattice: those beyond the pad are sites too, without weight.
    others = np.flatnonzero((site_of_node < 0) & _on_lattice(body, lattice))
    owners, shares = site_of_node.copy(), np.concatenate([weights, np.zeros(len(others))])
    owners[others] = len(weights) + np.arange(len(others))
    if tile is None:
        volumes = shared_volumes(body.cells, body.volumes, owners, shares)
        owned = site_shares(body.cells, body.volumes, owners, len(shares))[: len(weights)]
        _check_stars(owned, weights, lattice)
    else:
        volumes = clipped_volumes(
            body.mesh.points, body.cells, places, weights, basis=lattice.basis, thickness=body.thickness, tile=tile
        )
    audit = VolumeAudit.of(
        atomistic=float(weights.sum()) * lattice.site_volume, effective=volumes, volumes=body.volumes
    ).check()
    facet_weights = np.zeros(0)
    if body.mesh.interface is not None:
        facet_weights = shared_facets(body.mesh.interface, body.cells, np.clip(volumes / body.volumes, 0.0, 1.0))
        line = (body.mesh.interface, body.cells, owners, shares)
        audit_facets(facet_weights, *line, points=body.mesh.points).check()
    return Partition(
        lattice=lattice,
        indices=indices,
        distance=distance,
        beta=values,
        absent=missing,
        node=node,
        node_beta=_node_beta(body, site_of_node, values, zone),
        cell_weights=np.clip(volumes / body.volumes, 0.0, 1.0),
        facet_weights=facet_weights,
        width=width,
        pad=pad,
        audit=audit,
    )


def _box(body: Body, zone: Zone, width: float, pad: float) -> tuple[Array, Array]:
    """A box around core, blend and pad that does not grow with the body: around the fine nodes, and the pad."""
    lower, upper = zone.bounds(width + pad)
    return np.maximum(lower, body.nodes.min(axis=0) - pad), np.minimum(upper, body.nodes.max(axis=0) + pad)


def _check_boundary(body: Body, places: Array, beta: Array, distance: Array, reach: float) -> None:
    """Refuse zones whose atoms come to the boundary of the body."""
    edge = body.nodes[body.boundary]
    gap, _ = cKDTree(edge).query(places[beta < 1.0])
    if gap.min() < 1e-6 * max(reach, 1.0):
        raise PartitionError(
            "the zone touches the boundary of the body: core and blend must lie inside; make the zone smaller, move it, or "
            "enlarge the body"
        )
    outside = locate(body.space.mesh, places).cells < 0
    if outside.any():
        raise PartitionError(
            f"{int(outside.sum())} pad atoms lie outside the body (up to {distance[outside].max():.1f} Å from the core): "
            "enlarge the body or make core, blend or pad smaller"
        )


def _nodes_at(body: Body, places: Array, lattice: Lattice) -> Integers:
    """Node at each place, −1 where there is none."""
    spacing = float(np.linalg.norm(lattice.basis, axis=1).min())
    gap, nearest = cKDTree(body.nodes).query(places)
    return np.where(gap < _SAME * spacing, nearest, -1).astype(np.int64)


def _check_mesh(node: Integers, beta: Array, body: Body, lattice: Lattice) -> None:
    """Refuse meshes that lack a node at a weighted site."""
    lacking = (node < 0) & (beta < 1.0)
    if lacking.any():
        raise PartitionError(
            f"the mesh is too coarse in the blend: {int(lacking.sum())} of {int((beta < 1).sum())} weighted sites have no "
            "node; keep it lattice-fine up to the end of the blend and one spacing beyond (couple() does so)"
        )


def _on_lattice(body: Body, lattice: Lattice) -> Mask:
    """(nodes,) True at lattice sites."""
    indices = (body.nodes - lattice.origin) @ np.linalg.inv(lattice.basis)
    return np.abs(indices - np.rint(indices)).max(axis=1) < _SAME


def _check_stars(owned: Array, weights: Array, lattice: Lattice) -> None:
    """Refuse meshes on which a weighted site does not own exactly its volume."""
    wrong = (weights > 0.0) & (np.abs(owned - lattice.site_volume) > 1e-9 * lattice.site_volume)
    if wrong.any():
        raise PartitionError(
            f"the mesh is too coarse in the blend: {int(wrong.sum())} of {int((weights > 0).sum())} weighted sites own "
            f"{owned[wrong].min():.4g} to {owned[wrong].max():.4g} of the mesh instead of {lattice.site_volume:.4g}; keep it "
            "lattice-fine one spacing beyond the blend and off the boundary"
        )


def _absent(absent: Callable[[Array], Mask] | ArrayLike | None, indices: Integers, places: Array) -> Mask:
    """Sites without an atom."""
    if absent is None:
        return np.zeros(len(indices), dtype=bool)
    if callable(absent):
        return np.asarray(absent(places), dtype=bool)
    listed = np.atleast_2d(np.asarray(absent, dtype=np.int64))
    known = {tuple(row) for row in indices.tolist()}
    unknown = [tuple(row) for row in listed.tolist() if tuple(row) not in known]
    if unknown:
        raise PartitionError(f"missing atoms at the lattice indices {unknown[:3]}: no such sites in the zone")
    wanted = {tuple(row) for row in listed.tolist()}
    return np.array([tuple(row) in wanted for row in indices.tolist()])


def _node_beta(body: Body, site_of_node: Integers, beta: Array, zone: Zone) -> Array:
    """β at the nodes: the site's own, else 1; nodes of an interface or a seam take the mean of the rows beside them."""
    values = np.where(site_of_node >= 0, beta[site_of_node], 1.0)
    lines = [line.ravel() for line in (body.mesh.interface, body.mesh.seam) if line is not None]
    if not lines:
        return values
    line = np.unique(np.concatenate(lines))
    touching = np.isin(body.cells, line)
    total, count = np.zeros(len(values)), np.zeros(len(values))
    for k in range(body.cells.shape[1]):
        for j in range(body.cells.shape[1]):
            pick = touching[:, k] & ~touching[:, j]
            np.add.at(total, body.cells[pick, k], values[body.cells[pick, j]])
            np.add.at(count, body.cells[pick, k], 1.0)
    values[line] = total[line] / np.maximum(count[line], 1.0)
    return values
