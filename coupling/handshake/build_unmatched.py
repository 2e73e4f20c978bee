"""From a lattice, a potential and a zone to a coupled model whose finite elements need not know the lattice."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from atomistic.lattice import Lattice, SiteTable
from continuum.body import Body, Hyperelastic
from continuum.mesh.graded import graded_mesh
from continuum.mesh.growth import Growth
from continuum.mesh.simplex import SimplexMesh
from continuum.points import locate
from coupling.blending import blend as blending
from coupling.errors import PartitionError
from coupling.handshake.build import reach_of
from coupling.handshake.model import AtomsFactory
from coupling.handshake.unmatched import UnmatchedModel
from coupling.partition import Partition
from coupling.volumes import VolumeAudit, clipped_volumes
from coupling.zones import Zone

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]
# Share of an element below which what is left of it is rounding of the cut.
_NOTHING = 1e-12


def couple_arlequin(
    *,
    lattice: Lattice,
    make_atoms: AtomsFactory,
    material: Hyperelastic,
    zone: Zone,
    domain: ArrayLike,
    width: float,
    pad: float,
    spacing: float,
    offset: ArrayLike = (0.0, 0.0),
    interaction: float | None = None,
    blend: str = "minimal-curvature",
    beta: Callable[[Integers, Array], Array] | None = None,
    absent: Callable[[Array], Mask] | ArrayLike | None = None,
    far_field: ArrayLike | None = None,
    degree: int = 1,
    growth: Growth | None = None,
    mesh: SimplexMesh | None = None,
    held: Callable[[Array], Mask] | None = None,
    make_perfect: AtomsFactory | None = None,
    length: float | None = None,
    multiplier: float | None = None,
) -> UnmatchedModel:
    """Embed a zone of atoms in a plane finite-element body whose mesh need not match the lattice.

    As `couple`, for the methods "arlequin" and "arlequin-corrected". The arguments that differ:

    Args:
        lattice: the perfect reference lattice, plane.
        make_atoms: gives the energies of the atoms at lattice indices.
        material: Cauchy–Born or linear, of the same potential.
        zone: the core, where everything is atomistic.
        domain: (k, 2) corners of the body, counter-clockwise.
        width: of the overlap around the core, Å: at least one finite element.
        pad: of the atoms beyond the overlap that complete neighbourhoods, Å.
        spacing: size of the finite elements in the overlap, Å.
        offset: (2,) of their nodes from the lattice's sites, Å.
        interaction: distance up to which one site's energy feels another atom, Å: the least width of the overlap. By
            default what the atoms say of their potential: its cutoff.
        blend: blending function by name; polynomials leave the outermost atoms almost no weight, hence many iterations. `beta`
            replaces it by a function of (indices, distance).
        absent: places without an atom (predicate), or their lattice indices.
        far_field: (c, c) homogeneous deformation F₀ applied far away; by default none.
        degree: 1 or 2, of the finite elements beyond the overlap.
        growth: of the elements beyond the overlap; ignored with a `mesh` of one's own.
        mesh: any mesh of triangles; `spacing` then only says how fine it is.
        held: (nodes, 2) places -> (nodes, c) prescribed components; by default the whole boundary.
        make_perfect: the same as `make_atoms` for the perfect crystal, where the defect has foreign atoms.
        length: ℓ of the coupling ∫ μ·g + ℓ² ∇μ:∇g, Å; by default the lattice's spacing. The inf-sup constant is about
            ℓ/width, whatever the mesh; a longer one costs accuracy where elements are coarse.
        multiplier: spacing of the multipliers, Å, no finer than the representative cell, which is one site: by default the
            finite elements' own nodes, or a lattice spacing where those are closer than sites.

    Raises:
        PartitionError: the zone, the overlap or the pad does not fit the body, the mesh or the potential.
        DoubleCountingError: the audit of the volumes fails.
    """
    apart = float(np.linalg.norm(lattice.basis, axis=1).min())
    if lattice.dimension != 2:
        raise PartitionError(
            "a lattice that fills space: elements are cut in the plane only; use couple() and a matching mesh"
        )
    for name, value in (
        ("width", width),
        ("pad", pad),
        ("spacing", spacing),
        ("length", apart if length is None else length),
    ):
        if not (np.isfinite(value) and value > 0.0):
            raise PartitionError(f"{name} = {value!r} Å: expected a length above zero")
    interaction = reach_of(make_atoms, lattice) if interaction is None else interaction
    least = max(interaction, spacing)
    if width < least * (1.0 - 1e-9):
        raise PartitionError(
            f"an overlap {width:.3g} Å wide, for elements of {spacing:.3g} Å and sites that reach {interaction:.3g} Å: make it "
            f"at least {least:.3g} Å wide"
        )
    if mesh is None:
        mesh = graded_mesh(
            basis=lattice.basis * (spacing / apart),
            origin=lattice.origin + np.asarray(offset, dtype=float),
            distance=lambda x: zone.distance(x) - width,
            domain=domain,
            growth=growth,
        )
    if mesh.interface is not None or mesh.dimension != 2:
        raise PartitionError("expected a plane mesh without an interface: use couple() for others")
    components = lattice.components
    gradient = np.eye(components) if far_field is None else np.asarray(far_field, dtype=float)
    if gradient.shape != (components, components) or not np.linalg.det(gradient) > 0.0:
        raise PartitionError(
            f"far_field of shape {gradient.shape}: expected a ({components}, {components}) deformation gradient with a positive "
            "determinant"
        )
    linear = None
    if degree > 1:
        corners = mesh.points[mesh.cells]
        size = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
        linear = zone.distance(mesh.points)[mesh.cells].min(axis=1) <= width + size
    body = Body(
        mesh,
        material=material,
        components=components,
        thickness=lattice.thickness,
        degree=degree,
        linear=linear,
        F0=gradient,
    )
    partition = _partition(lattice, body, zone, width, pad, kind=blend, beta=beta, absent=absent)
    fixed = np.repeat(body.boundary[:, None], components, axis=1) if held is None else np.asarray(held(body.nodes))
    if fixed.shape != (len(body.nodes), components):
        raise PartitionError(f"held gave shape {fixed.shape}: expected one flag a node and component")
    if multiplier is None:
        multiplier = 0.0 if spacing >= apart * (1.0 - 1e-9) else apart
    model = UnmatchedModel(
        body=body,
        partition=partition,
        make_atoms=make_atoms,
        far_field=gradient,
        held=fixed,
        make_perfect=make_perfect,
        length=float(apart if length is None else length),
        multiplier=float(multiplier),
    )
    _check_overlap(model)
    return model


def _partition(
    lattice: Lattice,
    body: Body,
    zone: Zone,
    width: float,
    pad: float,
    *,
    kind: str,
    beta: Callable[[Integers, Array], Array] | None,
    absent: Callable[[Array], Mask] | ArrayLike | None,
) -> Partition:
    """Sites and weights as on a matching mesh; the effective volumes by cutting."""
    lower, upper = zone.bounds(width + pad)
    indices = lattice.indices_within(lambda x: zone.distance(x) <= width + pad, lower, upper)
    if not len(indices):
        raise PartitionError("no lattice site lies in the zone: make it larger than a site")
    places = lattice.places(indices)
    distance = zone.distance(places)
    values = blending(kind, distance, width, indices=indices) if beta is None else np.asarray(beta(indices, distance))
    if values.shape != distance.shape or not ((values >= 0.0) & (values <= 1.0)).all():
        raise PartitionError(
            f"a blending function from {values.min():.3g} to {values.max():.3g}: expected 0 to 1, one a site"
        )
    outside = locate(body.space.mesh, places).cells < 0
    if outside.any():
        raise PartitionError(
            f"{int(outside.sum())} atoms lie outside the body (from {distance[outside].min():.1f} Å from the core): enlarge the "
            "body or make core, overlap or pad smaller"
        )
    edge, _ = cKDTree(body.nodes[body.boundary]).query(places[values < 1.0])
    if edge.min() < 1e-6 * (width + pad):
        raise PartitionError("the zone touches the boundary of the body: make it smaller, move it, or enlarge the body")
    missing = _absent(absent, indices, places)
    if (missing & (values > 0.0)).any():
        raise PartitionError(
            f"{int((missing & (values > 0.0)).sum())} of {int(missing.sum())} missing atoms lie outside the core, where the "
            "continuum would fill them: enlarge the core around the defect"
        )
    weights = 1.0 - values
    volumes = clipped_volumes(
        body.mesh.points, body.cells, places, weights, basis=lattice.basis, thickness=lattice.thickness
    )
    atomistic = float(weights.sum()) * lattice.site_volume
    audit = VolumeAudit.of(atomistic=atomistic, effective=volumes, volumes=body.volumes).check()
    share = np.clip(volumes / body.volumes, 0.0, 1.0)
    return Partition(
        lattice=lattice,
        indices=indices,
        distance=distance,
        beta=values,
        absent=missing,
        node=np.full(len(indices), -1, dtype=np.int64),
        node_beta=np.clip(zone.distance(body.nodes) / width, 0.0, 1.0),
        cell_weights=np.where(share < _NOTHING, 0.0, share),
        facet_weights=np.zeros(0),
        width=width,
        pad=pad,
        audit=audit,
    )


def _absent(absent: Callable[[Array], Mask] | ArrayLike | None, indices: Integers, places: Array) -> Mask:
    """Sites without an atom."""
    if absent is None:
        return np.zeros(len(indices), dtype=bool)
    if callable(absent):
        return np.asarray(absent(places), dtype=bool)
    listed = np.atleast_2d(np.asarray(absent, dtype=np.int64))
    found = SiteTable(indices).find(listed)
    if (found < 0).any():
        raise PartitionError(
            f"missing atoms at the lattice indices {listed[found < 0][:3].tolist()}: no such sites in the zone"
        )
    missing = np.zeros(len(indices), dtype=bool)
    missing[found] = True
    return missing


def _check_overlap(model: UnmatchedModel) -> None:
    """Refuse an overlap without atoms, or with a missing one at its edge."""
    partition = model.partition
    if not len(model.overlap):
        raise PartitionError(f"an overlap {partition.width:.3g} Å wide holds no triangle of atoms: make it wider")
    shared = (partition.beta[model.triangles] > 0.0).any(axis=1)
    gone = partition.absent[model.triangles].any(axis=1) & shared
    if gone.any():
        raise PartitionError(
            "missing atoms are neighbours of atoms in the overlap: enlarge the core by a lattice spacing"
        )
