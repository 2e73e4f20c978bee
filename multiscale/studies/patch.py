"""From a case with a zone to a coupled specimen: a patch of the interface in atoms, the law on the rest, elements around."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from atomistic.builders import gap_spacing
from atomistic.cauchy_born import CauchyBorn, CrystalMatch, cauchy_born, check_same_crystal
from atomistic.interaction import Interaction, measure_interaction
from atomistic.lattice import Lattice, plane_lattice
from atomistic.site_energies import AtomCluster
from continuum.body import Body
from continuum.errors import MeshError
from continuum.mesh.graded import graded_mesh
from continuum.mesh.growth import Growth
from coupling.errors import PartitionError
from coupling.handshake import CoupledModel, audit_lines, couple
from coupling.handshake.loading import with_crack
from coupling.zones import Band, Box, Disc, Zone
from multiscale.config import AdhesionCase, BoxPatch, DoubleCantileverBeam
from multiscale.config.zone import PatchModel
from multiscale.progress import Progress
from multiscale.studies.interface import InterfaceCharacter
from multiscale.studies.specimen import MeshPlan, make_law, plan_mesh

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
#: Forces below this share of the tolerance, on an atom 0.1 Å out of its place, are not seen: pads end there.
_UNSEEN = 0.1
#: Interactions are measured up to this distance (Å), and at least to so many cutoffs: messages are passed on several times.
_RADIUS, _CUTOFFS = 12.0, 3.3
#: Pads reach farther than the range on the perfect lattice by this many spacings: atoms move.
_SLACK = 0.35
#: Between the crack's tip and the first pad atom where a case leaves the place open, in lattice spacings.
_AHEAD = 1.0
#: More nodes than this are refused: every evaluation goes through all of them on every rank.
LARGEST_MESH = 60_000
#: Places closer than this to a side lie on it, Å.
_ON = 1e-6


@dataclass(frozen=True, kw_only=True)
class PatchCharacter:
    """What the potential says of the crystal on both sides of the handshake.

    Attributes:
        lattice: the reference lattice, the interface midway between two of its rows at y = 0.
        material: the continuum.
        match: how well atoms and continuum agree.
        interaction: how it decays with distance.
        site_range: distance up to which one site's energy feels another atom enough to matter for the tolerance, Å.
        force_range: the same for the force on an atom, Å.
    """

    lattice: Lattice
    material: CauchyBorn
    match: CrystalMatch
    interaction: Interaction
    site_range: float
    force_range: float


@dataclass(frozen=True, kw_only=True)
class PatchPlan:
    """Where atoms are atoms in the specimen.

    Attributes:
        zone: the core.
        at: x of its middle, Å.
        width: of the blend, Å.
        pad: Å.
        size: length and height of the specimen, Å; it spans x from 0, y to both sides of 0.
        crack: x up to which the interface is cracked from the start, Å; 0 without a crack.
        mesh: what the law asks of the mesh.
        facet: smallest length of the law's facets, Å: the lattice's own, or what the law asks for if that is longer.
    """

    zone: Zone
    at: float
    width: float
    pad: float
    size: tuple[float, float]
    crack: float
    mesh: MeshPlan
    facet: float

    @property
    def domain(self) -> Array:
        """Corners (4, 2) of the specimen, counter-clockwise, Å."""
        length, height = self.size
        return np.array([[0, -0.5 * height], [length, -0.5 * height], [length, 0.5 * height], [0, 0.5 * height]])


def spacing_of(lattice: Lattice) -> float:
    """Shortest distance of neighbouring sites in the mesh, Å."""
    return float(np.linalg.norm(lattice.basis, axis=1).min())


def zone_of(case: AdhesionCase) -> PatchModel:
    """The case's zone."""
    assert case.zone is not None
    return case.zone


def characterise_patch(
    case: AdhesionCase, interface: InterfaceCharacter, *, comm: MPI.Comm, progress: Progress
) -> PatchCharacter:
    """Make the crystal's continuum, see that it is the same crystal, and measure how far atoms feel each other (collective).

    Raises:
        ValueError: with its cause, for what the potential or the crystal cannot do.
    """
    potential, crystal, zone = interface.potential, interface.crystal, zone_of(case)
    with progress.phase("continuum"):
        gap = gap_spacing(crystal, plane=case.interface.plane, cut=case.interface.cut)
        lattice = plane_lattice(crystal, interface.orientation, origin=(0.0, 0.5 * gap))
        options = zone.material
        material = cauchy_born(
            potential,
            crystal,
            interface.orientation,
            kind=options.type,
            order=options.order,
            largest_strain=options.largest_strain,
            comm=comm,
        )
        match = check_same_crystal(material, lattice, potential, largest_mismatch=options.largest_mismatch, comm=comm)
    with progress.phase("range of the potential"):
        cutoff = potential.capabilities.cutoff
        radius = None if cutoff is None else max(_RADIUS, _CUTOFFS * cutoff)
        interaction = measure_interaction(potential, lattice, radius=radius, comm=comm)
        bound = _UNSEEN * zone.solver.tolerance
        force_range = interaction.range_for(force=bound)
        weighted = interaction.site_decay is not None
        site_range = interaction.range_for(force=bound, sites=True) if weighted else 0.5 * force_range
    return PatchCharacter(
        lattice=lattice,
        material=material,
        match=match,
        interaction=interaction,
        site_range=site_range,
        force_range=force_range,
    )


def plan_patch(case: AdhesionCase, interface: InterfaceCharacter, character: PatchCharacter) -> PatchPlan:
    """Lay out core, blend and pad in the specimen.

    Raises:
        PartitionError: there is no room for them ahead of the crack.
    """
    zone, specimen, spacing = zone_of(case), case.specimen, spacing_of(character.lattice)
    mesh = plan_mesh(case, interface.material, interface.extraction)
    crack = 0.0
    if isinstance(specimen, DoubleCantileverBeam):
        size, crack = (specimen.length, 2.0 * specimen.arm_height), specimen.initial_crack
    else:
        assert specimen.shape == "block"
        size = (specimen.width, specimen.height)
    height = zone.size[1] if isinstance(zone, BoxPatch) else 2.0 * zone.half_length
    # Where forces alone are weighed, every weighted atom needs all that its force feels; where energies are, less.
    range_ = character.force_range if zone.method in ("bqcf", "schwarz") else character.site_range
    pad = range_ + _SLACK * spacing if zone.pad is None else zone.pad
    width = zone.blend or max(character.site_range, 0.5 * min(2.0 * zone.half_length, height))
    reach = zone.half_length + width + pad
    at = zone.at
    if at is None:
        at = crack + reach + _AHEAD * spacing if crack else 0.5 * size[0]
    if not reach < size[0] - at:
        raise PartitionError(
            f"a zone about x = {at:.1f} Å whose atoms, blend and pad included, reach {reach:.1f} Å to either side leaves the "
            f"specimen, which ends at {size[0]:.1f} Å: lengthen it or make core, blend or pad smaller"
        )
    core: Zone
    if isinstance(zone, BoxPatch):
        half = zone.half_length
        core = Box(lower=(at - half, -0.5 * height), upper=(at + half, 0.5 * height))
    else:
        core = Disc(center=(at, 0.0), radius=zone.half_length)
    return PatchPlan(
        zone=core, at=at, width=width, pad=pad, size=size, crack=crack, mesh=mesh, facet=max(mesh.facet, spacing)
    )


def build_patch(
    case: AdhesionCase,
    interface: InterfaceCharacter,
    character: PatchCharacter,
    plan: PatchPlan,
    comm: MPI.Comm,
) -> CoupledModel:
    """Mesh the specimen, weigh sites, elements and facets, audit them, and cut the initial crack.

    Raises:
        PartitionError: the zone does not fit the specimen, the potential or the crack.
        DoubleCountingError: some energy would be counted twice.
        MeshError: a specimen that cannot be meshed, or only with more nodes than are sensible.
    """
    zone = zone_of(case)
    lattice = replace(character.lattice, origin=np.array([plan.at, character.lattice.origin[1]]))
    growth = Growth(
        radius=0.5 * zone.half_length + plan.width,
        exponent=zone.grading.exponent,
        slope=zone.grading.slope,
        largest=zone.grading.largest,
    )
    mesh = graded_mesh(
        basis=lattice.basis,
        origin=lattice.origin,
        distance=fine_where(plan, growth, spacing_of(lattice)),
        domain=plan.domain,
        growth=growth,
        interface=0.0,
    )
    nodes = len(mesh.points) if case.mesh.degree == 1 else len(mesh.points) + len(mesh.edges())
    if nodes > LARGEST_MESH:
        raise MeshError(
            f"the specimen would have some {nodes} nodes, more than the {LARGEST_MESH} that a zone of atoms is worth: make it "
            "smaller, let elements grow faster (zone.grading.slope), or open it less far (the path that is meshed finely ends "
            "beyond the crack's expected end)"
        )
    model = couple(
        lattice=lattice,
        make_atoms=lambda indices: AtomCluster(
            interface.potential, symbols=str(lattice.symbol), thickness=lattice.thickness, comm=comm
        ),
        material=character.material,
        zone=plan.zone,
        domain=plan.domain,
        width=plan.width,
        pad=plan.pad,
        interaction=character.site_range,
        blend=zone.blending,
        degree=case.mesh.degree,
        mesh=mesh,
        law=make_law(case, interface.extraction),
        held=Supports(plan).held,
    )
    return with_crack(model, before=plan.crack) if plan.crack else model


def fine_where(plan: PatchPlan, growth: Growth, spacing: float) -> Callable[[Array], Array]:
    """Distance (n,) of places (n, 2) to what is meshed as finely as the lattice: the zone, and the crack's path.

    Where the law asks for less than the lattice's own facets, the path is as far away as the elements need to grow to them.
    """

    def distance(places: Array) -> Array:
        near = plan.zone.distance(places) - plan.width
        if plan.mesh.path is None:
            return near
        start, end = plan.mesh.path
        path = Band(points=((start, 0.0), (end, 0.0)), half_width=0.5 * spacing)
        return np.minimum(near, path.distance(places) + away)

    away = 0.0
    if plan.mesh.path is not None and plan.mesh.facet > spacing:
        samples = np.linspace(0.0, 100.0 * plan.mesh.facet, 4001)
        assert growth.radius is not None
        sizes = growth.size(samples, spacing=spacing, radius=growth.radius)
        away = float(np.interp(plan.mesh.facet, sizes, samples))
    return distance


@dataclass(frozen=True)
class Supports:
    """What holds the specimen, and what moves.

    A block slides along all four sides and is pulled at top and bottom. A beam's grips take hold of the end faces at x = 0,
    which are free to turn; its far end is clamped.

    Attributes:
        plan: of the specimen.
    """

    plan: PatchPlan

    def held(self, nodes: Array) -> Mask:
        """Prescribed components (n, 3) at nodes (n, 2)."""
        length, height = self.plan.size
        x, y = nodes.T
        left, right, outer = x < _ON, x > length - _ON, np.abs(y) > 0.5 * height - _ON
        found = np.zeros((len(nodes), 3), dtype=bool)
        if self.plan.crack:
            found[left, 1:] = True
            found[right] = True
            return found
        found[outer, 1:] = True
        found[left | right, 0] = True
        return found

    def direction(self, body: Body) -> Array:
        """Displacement (n, 3) of the supports for an opening of 1: one half up above the interface, one half down below."""
        up = above(body)
        moved = np.zeros((len(body.nodes), 3))
        held = self.held(body.nodes)
        pulled = held[:, 1]
        if self.plan.crack:
            pulled = pulled & (body.nodes[:, 0] < _ON)
        moved[pulled, 1] = np.where(up[pulled], 0.5, -0.5)
        return moved

    def apart(self, body: Body) -> Callable[[float], Array] | None:
        """Displacements with the two bodies moved apart as wholes; None for a beam, whose far end holds them together."""
        if self.plan.crack:
            return None
        parted = np.zeros((len(body.nodes), 3))
        parted[:, 1] = np.where(above(body), 0.5, -0.5)
        return lambda opening: opening * parted


def above(body: Body) -> Mask:
    """(n,) nodes of the upper body, its side of the interface included."""
    found = body.nodes[:, 1] > 0.0
    upper = body.nodes[body.cells].mean(axis=1)[:, 1] > 0.0
    found[body.cells[upper].ravel()] = True
    if body.mesh.interface is not None:
        ends = body.ends
        on_line = np.zeros(len(body.nodes), dtype=bool)
        on_line[np.unique(body.mesh.interface[:, 1])] = True
        # Mid-side nodes of the upper side's facets.
        found[len(body.nodes) - len(ends) :] |= on_line[ends].all(axis=1)
    return found


def audit_of(model: CoupledModel, plan: PatchPlan) -> list[str]:
    """The double-counting audit as it is printed before the run: volumes, and the interface's length."""
    interface, partition = model.body.interface, model.partition
    assert interface is not None
    law = float(partition.facet_weights @ interface.lengths)
    cracked = float((1.0 - model.whole_facets) @ interface.lengths)
    # Each site of the two rows beside the interface owns its row's spacing of one side of it.
    gap = 2.0 * float(partition.lattice.origin[1])
    period = abs(float(np.linalg.det(partition.lattice.basis))) / gap
    row = np.abs(partition.lattice.places(partition.indices)[:, 1]) < 0.75 * gap
    atoms = 0.5 * period * float(partition.weights[row].sum())
    total = atoms + law + cracked
    return [
        *audit_lines(partition),
        f"interface: {atoms:.6g} Å counted by atoms + {law:.6g} Å by the law"
        + (f" + {cracked:.6g} Å cracked" if cracked else "")
        + f" = {total:.6g} Å of {plan.size[0]:.6g} Å (relative difference {abs(total / plan.size[0] - 1.0):.1e})",
    ]
