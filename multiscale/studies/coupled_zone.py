"""From a case to what a handshake needs: the crystal by its potential, its continuum, the zone with its blend and pad."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from atomistic.cauchy_born import CauchyBorn, CrystalMatch, cauchy_born, check_same_crystal
from atomistic.crystal import Crystal, Orientation, orient, relax_crystal
from atomistic.errors import LatticeError, UnknownElementError
from atomistic.interaction import Interaction, measure_interaction
from atomistic.lattice import Lattice, bulk_lattice, plane_lattice
from atomistic.potentials import Potential, load_potential
from atomistic.site_energies import AtomCluster
from continuum.mesh.growth import Growth
from coupling.defects import Defect, Inclusion, Void, check_extent, fading, screw_dipole, vacancy
from coupling.errors import DefectError, ForeignElementError, StrainError
from coupling.handshake import CoupledModel, couple
from coupling.zones import Band, Box, Disc, Zone, clearance
from multiscale.config import (
    AroundModel,
    BandModel,
    BoxModel,
    DefectCase,
    DipoleModel,
    DiscModel,
    InclusionModel,
    StrainModel,
    VacancyModel,
)
from multiscale.config.handshake import ZoneModel
from multiscale.progress import Progress
from multiscale.studies.interface import one_torch_thread
from multiscale.units import EV_PER_A3_IN_GPA, format_length

Array = NDArray[np.float64]
#: Planes of the bodies where a case names none.
_PLANES = {"fcc": (1, 1, 1), "bcc": (1, 1, 0)}
#: Numbers of primitive cells of a solid body are multiples of this, so that its elements can grow.
_MULTIPLE = 8
#: Forces below this share of the tolerance, on an atom 0.1 Å out of its place, are not seen: pads end there.
_UNSEEN = 0.1
#: Pads reach farther than the range on the perfect lattice by this many spacings: atoms move.
_SLACK = 0.35
#: Between the defect's edge and that of the core there is at least this, in lattice spacings.
_EDGE = 1.0
#: Directions of waves in a plane, to see whether the strained crystal is stable.
_DIRECTIONS = 36


@dataclass(frozen=True, kw_only=True)
class CrystalCharacter:
    """What the potential says of the perfect crystal.

    Attributes:
        potential: on the run's communicator.
        crystal: relaxed.
        orientation: of the laboratory axes; None for a solid body, in the crystal's own.
        lattice: reference lattice of the body.
        material: the continuum.
        match: how well atoms and continuum agree.
        interaction: how it decays with distance.
        site_range: distance up to which one site's energy feels another atom enough to matter for the tolerance, Å.
        force_range: the same for the force on an atom, Å.
    """

    potential: Potential
    crystal: Crystal
    orientation: Orientation | None
    lattice: Lattice
    material: CauchyBorn
    match: CrystalMatch
    interaction: Interaction
    site_range: float
    force_range: float


@dataclass(frozen=True, kw_only=True)
class ZonePlan:
    """Where atoms are atoms, and what surrounds them.

    Attributes:
        defect: what is wrong with the crystal.
        zone: the core.
        domain: (k, 2) corners of the plane body, Å, or (2, 3) lattice indices of the solid one.
        corners: (k, m) corners of the body, Å.
        width: of the blend, Å.
        pad: Å.
        far_field: (c, c) F₀.
        clear: distance from the core's edge to the boundary, Å.
    """

    defect: Defect
    zone: Zone
    domain: Array
    corners: Array
    width: float
    pad: float
    far_field: Array
    clear: float

    def start(self, places: Array) -> Array:
        """Displacements (n, c) with which the search begins, Å: the defect's own, faded out before the boundary."""
        return fading(self.zone, clear=self.clear)(places)[:, None] * self.defect.displacement(places)


def characterise_crystal(case: DefectCase, *, comm: MPI.Comm, progress: Progress) -> CrystalCharacter:
    """Load the potential, relax the crystal, make its continuum, and see that the two are the same crystal (collective).

    Raises:
        ValueError: with its cause, for what the potential or the crystal cannot do.
    """
    with progress.phase("potential"):
        potential = load_potential(case.potential, comm=comm, device=case.device)
        potential.check_elements(case.crystal.species)
        check_foreign(case, potential)
        one_torch_thread()
    with progress.phase("crystal"):
        crystal = relax_crystal(
            potential,
            symbols=case.crystal.species,
            structure=case.crystal.structure,
            a=case.crystal.a,
            comm=comm,
        )
        orientation = None
        if case.body.dimension == 2:
            plane = case.body.plane or _PLANES[case.crystal.structure]
            orientation = orient(crystal, plane=plane, growth=case.body.growth)
            lattice = plane_lattice(crystal, orientation)
        else:
            lattice = bulk_lattice(crystal)
    with progress.phase("continuum"):
        options = case.material
        material = cauchy_born(
            potential,
            crystal,
            orientation,
            kind=options.type,
            order=options.order,
            largest_strain=options.largest_strain,
            comm=comm,
        )
        match = check_same_crystal(material, lattice, potential, largest_mismatch=options.largest_mismatch, comm=comm)
    with progress.phase("range of the potential"):
        interaction = measure_interaction(potential, lattice, comm=comm)
        bound = _UNSEEN * case.solver.tolerance
        force_range = interaction.range_for(force=bound)
        weighted = interaction.site_decay is not None
        site_range = interaction.range_for(force=bound, sites=True) if weighted else 0.5 * force_range
    return CrystalCharacter(
        potential=potential,
        crystal=crystal,
        orientation=orientation,
        lattice=lattice,
        material=material,
        match=match,
        interaction=interaction,
        site_range=site_range,
        force_range=force_range,
    )


def check_foreign(case: DefectCase, potential: Potential) -> None:
    """Refuse an inclusion of an element that the potential does not know.

    Raises:
        ForeignElementError: naming the element.
    """
    try:
        potential.check_elements(foreign_elements(case))
    except UnknownElementError as error:
        raise ForeignElementError(str(error)) from error


def foreign_elements(case: DefectCase) -> Sequence[str]:
    """Elements that only the defect holds."""
    return (case.defect.element,) if isinstance(case.defect, InclusionModel) else ()


def plan_zone(case: DefectCase, character: CrystalCharacter) -> ZonePlan:
    """Lay out defect, core, blend, pad and body.

    Raises:
        StrainError: the perfect crystal is unstable under the far strain.
        DefectError: the defect does not fit the lattice or the core.
        ZoneError: the zone makes no shape in this body.
    """
    lattice = character.lattice
    defect = make_defect(case, lattice)
    zone = make_zone(case.zone, defect, default_center(case))
    check_extent(defect, zone, margin=_EDGE * spacing(lattice) if isinstance(case.defect, DipoleModel) else 0.0)
    check_some_atoms(defect, lattice)
    check_stable(character, far_field(case.strain))
    domain, corners = make_domain(case, lattice)
    pad = case.zone.pad
    if pad is None:
        # Where forces alone are weighed, every weighted atom needs all that its force feels; where energies are, less.
        forces = case.method in ("bqcf", "schwarz", "clamped")
        pad = (character.force_range if forces else character.site_range) + _SLACK * spacing(lattice)
    width = 0.0
    if case.blended:
        width = case.zone.blend or max(character.site_range, core_size(case.zone, defect))
    return ZonePlan(
        defect=defect,
        zone=zone,
        domain=domain,
        corners=corners,
        width=width,
        pad=pad,
        far_field=far_field(case.strain),
        clear=max(clearance(zone, corners), spacing(lattice)),
    )


def spacing(lattice: Lattice) -> float:
    """Shortest distance of neighbouring sites in the mesh, Å."""
    return float(np.linalg.norm(lattice.basis, axis=1).min())


def check_some_atoms(defect: Defect, lattice: Lattice) -> None:
    """Refuse a void or an inclusion between the atoms.

    Raises:
        DefectError: it holds no site.
    """
    if not isinstance(defect, Void):
        return
    reach = np.array(defect.center) + (defect.radius + spacing(lattice)) * np.array([[-1.0], [1.0]])
    sites = lattice.places(lattice.indices_within(None, *reach))
    if (defect.absent(sites) | defect.foreign(sites)).any():
        return
    raise DefectError(
        f"no atom lies within {defect.radius:.3g} Å of the defect's center: nothing would be missing or foreign; enlarge the "
        f"radius (neighbours are {spacing(lattice):.3g} Å apart) or move the center onto a site"
    )


def check_stable(character: CrystalCharacter, far_field: Array) -> None:
    """Refuse a far field under which the perfect crystal is unstable: some wave lowers its energy.

    The acoustic tensor Q_ik = n_J ∂²W/∂F_iJ∂F_kL n_L must be positive definite for all directions n (Hadamard), in a plane
    body those of the plane.

    Raises:
        StrainError: it is not.
    """
    m = character.lattice.dimension
    angle = np.linspace(0.0, np.pi, _DIRECTIONS, endpoint=False)
    n = np.column_stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)])
    if m == 3:
        # Points spread evenly over the half sphere.
        height = (np.arange(_DIRECTIONS**2) + 0.5) / _DIRECTIONS**2
        turn = np.pi * (1.0 + 5.0**0.5) * np.arange(_DIRECTIONS**2)
        flat = np.sqrt(1.0 - height**2)
        n = np.column_stack([flat * np.cos(turn), flat * np.sin(turn), height])
    least = []
    for gradient in (np.eye(3), far_field):
        tangent = np.asarray(character.material.tangent(gradient[None]))[0]
        least.append(float(np.linalg.eigvalsh(np.einsum("nj,ijkl,nl->nik", n, tangent, n)).min()))
    if least[1] <= 0.0:
        raise StrainError(
            f"the perfect crystal is unstable under this strain: its least elastic stiffness of a wave is "
            f"{least[1] * EV_PER_A3_IN_GPA:.3g} GPa, {least[0] * EV_PER_A3_IN_GPA:.3g} GPa at rest, and no defect has an "
            "equilibrium in it; make the strain smaller"
        )


def default_center(case: DefectCase) -> tuple[float, ...]:
    """Where the defect lies, Å."""
    return case.defect.center or (0.0,) * case.body.dimension


def far_field(strain: StrainModel) -> Array:
    """F₀ = I + ε."""
    return np.eye(3) + np.array(
        [[strain.xx, strain.xy, strain.xz], [strain.xy, strain.yy, strain.yz], [strain.xz, strain.yz, strain.zz]]
    )


def make_defect(case: DefectCase, lattice: Lattice) -> Defect:
    """The case's defect on the lattice."""
    center, model = default_center(case), case.defect
    if isinstance(model, VacancyModel):
        return vacancy(lattice, center=center)
    if isinstance(model, DipoleModel):
        return screw_dipole(lattice, center=center, separation=model.separation)
    kind = Inclusion if isinstance(model, InclusionModel) else Void
    return kind(center=center, radius=model.radius, components=lattice.components)


def make_zone(model: ZoneModel, defect: Defect, center: tuple[float, ...]) -> Zone:
    """The case's core."""
    if isinstance(model, AroundModel):
        return defect.around(model.margin)
    if isinstance(model, BandModel):
        return Band(points=model.points, half_width=model.half_width)
    middle = getattr(model, "center", None) or center
    if isinstance(model, DiscModel):
        return Disc(center=middle, radius=model.radius)
    assert isinstance(model, BoxModel)
    half = 0.5 * np.array(model.size)
    return Box(lower=tuple(np.array(middle) - half), upper=tuple(np.array(middle) + half))


def core_size(model: ZoneModel, defect: Defect) -> float:
    """Half the width of the core at its narrowest, Å: the width of blend that suits it."""
    if isinstance(model, AroundModel):
        zone = defect.around(model.margin)
        return zone.radius if isinstance(zone, Disc) else model.margin
    if isinstance(model, BandModel):
        return model.half_width
    return model.radius if isinstance(model, DiscModel) else 0.5 * min(model.size)  # type: ignore[attr-defined]


def make_domain(case: DefectCase, lattice: Lattice) -> tuple[Array, Array]:
    """The body as the mesh wants it, and its corners (k, m), Å.

    Raises:
        LatticeError: it is hardly larger than the lattice's spacing.
    """
    size = np.array(case.body.size)
    if size.min() < 4.0 * spacing(lattice):
        raise LatticeError(
            f"a body of {format_length(float(size.min()))} holds hardly any atoms, which are {spacing(lattice):.2f} Å apart: "
            "make it several nanometres larger than the zone"
        )
    if case.body.dimension == 2:
        # Sides on rows and columns of sites: the same boundary for elements and for atoms.
        step = np.array([np.linalg.norm(lattice.row @ lattice.basis), lattice.row_spacing])
        corners = np.rint(0.5 * size / step) * step * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
        return corners, corners
    # Distance of neighbouring lattice planes along each face's normal.
    step = 1.0 / np.linalg.norm(np.linalg.inv(lattice.basis), axis=0)
    half = np.maximum(_MULTIPLE * np.rint(0.5 * size / step / _MULTIPLE), _MULTIPLE).astype(np.int64)
    domain = np.array([-half, half])
    signs = np.array(np.meshgrid(*[[-1, 1]] * 3, indexing="ij")).reshape(3, -1).T
    return domain, lattice.places(signs * half)


@dataclass(frozen=True, kw_only=True, eq=False)
class AtomMaker:
    """Gives the energies of atoms at lattice indices; with `perfect`, of the crystal without foreign atoms.

    A plane body repeats by the period that the far strain makes of the crystal's own.
    """

    character: CrystalCharacter
    defect: Defect
    far_field: Array
    foreign: str | None
    comm: MPI.Comm
    perfect: bool = False

    def __call__(self, indices: NDArray[np.int64]) -> AtomCluster:
        """Bind the potential to the atoms at lattice indices (n, m)."""
        lattice = self.character.lattice
        symbols: str | list[str] = str(lattice.symbol)
        if self.foreign is not None and not self.perfect:
            other = self.defect.foreign(lattice.places(indices))
            symbols = np.where(other, self.foreign, str(lattice.symbol)).tolist()
        return AtomCluster(
            self.character.potential,
            symbols=symbols,
            thickness=self.far_field[:, 2] * lattice.thickness if lattice.dimension == 2 else None,
            comm=self.comm,
        )


def atom_maker(case: DefectCase, character: CrystalCharacter, plan: ZonePlan, comm: MPI.Comm) -> AtomMaker:
    """What drives the atoms of a case."""
    elements = foreign_elements(case)
    return AtomMaker(
        character=character,
        defect=plan.defect,
        far_field=plan.far_field,
        foreign=elements[0] if elements else None,
        comm=comm,
    )


def build_model(case: DefectCase, character: CrystalCharacter, plan: ZonePlan, comm: MPI.Comm) -> CoupledModel:
    """Mesh the body, weigh its sites and elements, and audit them.

    Raises:
        PartitionError: the zone does not fit the body or the potential.
        DoubleCountingError: some energy would be counted twice.
    """
    grading, make_atoms = case.body.grading, atom_maker(case, character, plan, comm)
    return couple(
        lattice=character.lattice,
        make_atoms=make_atoms,
        make_perfect=replace(make_atoms, perfect=True),
        material=character.material,
        zone=plan.zone,
        domain=plan.domain,
        width=plan.width,
        pad=plan.pad,
        interaction=character.site_range,
        blend=case.zone.blending,
        absent=plan.defect.absent,
        far_field=plan.far_field,
        degree=2 if case.body.elements == "quadratic" else 1,
        growth=Growth(exponent=grading.exponent, slope=grading.slope, largest=grading.largest),
    )
