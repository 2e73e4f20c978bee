"""From a case to what a crack needs: the crystal by its potential, its cut and columns, its continuum, the zone and the body."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from atomistic.cauchy_born import CauchyBorn, CrystalMatch, cauchy_born, check_same_crystal
from atomistic.cleavage import Cut, choose_cut
from atomistic.column_interaction import ColumnInteraction, measure_columns
from atomistic.columns import Columns, crack_columns
from atomistic.crystal import Crystal, Orientation, orient, relax_crystal
from atomistic.inner_shifts import InnerShifts, inner_shifts
from atomistic.potentials import Potential, load_potential
from atomistic.site_energies import AtomCluster
from continuum import crack_bodies as bodies
from continuum.mesh.growth import Growth
from coupling.crack import CrackModel, couple_crack
from multiscale.config import CantileverBody, CentreCrackBody, DiscBody, EdgeCrackBody, FollowModel, FractureCase
from multiscale.config.crack import CrackBodyModel
from multiscale.errors import PrecisionError
from multiscale.progress import Progress
from multiscale.studies.interface import one_torch_thread

Array = NDArray[np.float64]
#: Forces below this share of the tolerance, on an atom 0.1 Å out of its place, are not seen: pads end there.
_UNSEEN = 0.1
#: Least force (eV/Å) that ends a pad, in eV/Å: below it, double precision of LAMMPS's tables and splines is noise.
_QUIET = 1e-6
#: Pads reach farther than the range on the perfect lattice by this many spacings: atoms move.
_SLACK = 0.35


@dataclass(frozen=True, kw_only=True)
class CrackCharacter:
    """What the potential says of the crystal and its cleavage plane.

    Attributes:
        potential: on the run's communicator.
        crystal: relaxed.
        orientation: x growth, y normal of the plane, z front.
        cut: where the crack runs.
        cuts: all that the plane offers, in order of energy.
        columns: the crystal along its front, cut at y = 0.
        material: the continuum.
        match: how well atoms and continuum agree.
        interaction: how it decays with distance.
        force_range: distance up to which the force on an atom feels another enough to matter for the tolerance, Å.
        shifts: inner displacements of the strained crystal.
    """

    potential: Potential
    crystal: Crystal
    orientation: Orientation
    cut: Cut
    cuts: tuple[Cut, ...]
    columns: Columns
    material: CauchyBorn
    match: CrystalMatch
    interaction: ColumnInteraction
    force_range: float
    shifts: InnerShifts

    @property
    def period(self) -> float:
        """By how much the crack grows until all looks the same again: the period of the rows along x, Å."""
        lattice = self.columns.lattice
        return float(np.linalg.norm(lattice.row @ lattice.basis))


@dataclass(frozen=True, kw_only=True)
class CrackPlan:
    """Where atoms are atoms, and what surrounds them.

    Attributes:
        outer: the body, tip at the origin.
        center: (2,) of the core, Å.
        radius: of the core, Å.
        width: of the blend, Å.
        pad: Å.
        degree: of the elements beyond the blend.
        growth: of the elements.
        blend: blending function.
    """

    outer: bodies.CrackBody
    center: tuple[float, float]
    radius: float
    width: float
    pad: float
    degree: int
    growth: Growth
    blend: str

    @property
    def reach(self) -> float:
        """From the tip to the nearest edge of the core, Å."""
        return self.radius - abs(self.center[0])


def characterise_crack(
    case: FractureCase, *, comm: MPI.Comm, progress: Progress, potential: Potential | None = None
) -> CrackCharacter:
    """Load the potential, relax the crystal, cut it, make its continuum, and see that the two are one crystal (collective).

    Where a `potential` is given, it takes the place of the case's.

    Raises:
        ValueError: with its cause, for what the potential, the crystal or the plane cannot do.
    """
    with progress.phase("potential"):
        potential = potential or load_potential(case.potential, comm=comm, device=case.device)
        potential.check_elements(case.crystal.species)
        check_precision(case, potential)
        one_torch_thread()
    with progress.phase("crystal"):
        guess = case.crystal
        crystal = relax_crystal(
            potential, symbols=guess.species, structure=guess.structure, a=guess.a, c=guess.c, comm=comm
        )
        crack = case.crack
        orientation = orient(crystal, plane=crack.plane, growth=crack.growth, front=crack.front)
        cut, cuts = choose_cut(potential, crystal, orientation, crack.cut, comm)
        columns = crack_columns(crystal, orientation, cut=cut, periods=crack.periods)
        shifts = inner_shifts(potential, crystal, orientation, columns, comm)
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
        match = check_same_crystal(
            material,
            crystal,
            potential,
            orientation=orientation,
            largest_mismatch=options.largest_mismatch,
            comm=comm,
        )
    with progress.phase("range of the potential"):
        interaction = measure_columns(potential, columns, comm=comm)
        force_range = interaction.range_for(force=max(_UNSEEN * case.solver.tolerance, _QUIET))
    return CrackCharacter(
        potential=potential,
        crystal=crystal,
        orientation=orientation,
        cut=cut,
        cuts=cuts,
        columns=columns,
        material=material,
        match=match,
        interaction=interaction,
        force_range=force_range,
        shifts=shifts,
    )


def check_precision(case: FractureCase, potential: Potential) -> None:
    """Refuse to follow branches through bond breaking with forces whose noise hides them.

    Raises:
        PrecisionError: a potential of single precision.
    """
    if potential.capabilities.precision != "float32":
        return
    if isinstance(case.load, FollowModel) or case.solver.type == "newton":
        what = "continuation" if isinstance(case.load, FollowModel) else "solver.type: newton"
        raise PrecisionError(
            f"{potential.capabilities.name!r} computes in single precision: {what} needs differences of neighbouring states, "
            "which its noise drowns. Write path: steps with levels such as [0.9 K_G, 1.0 K_G, 1.1 K_G]"
            + ("" if isinstance(case.load, FollowModel) else " and solver.type: fall")
        )


def plan_crack(case: FractureCase, character: CrackCharacter) -> CrackPlan:
    """Lay out core, blend, pad and body."""
    zone, body = case.zone, case.body
    reach = character.potential.capabilities.cutoff or 0.0
    slack = _SLACK * spacing(character.columns)
    pad = zone.pad if zone.pad is not None else max(character.force_range + slack, reach)
    return CrackPlan(
        outer=make_body(body),
        center=(zone.ahead or 0.0, 0.0),
        radius=zone.radius,
        width=zone.blend or max(0.5 * character.force_range, reach, 0.5 * zone.radius),
        pad=pad,
        degree=2 if body.elements == "quadratic" else 1,
        growth=Growth(exponent=body.grading.exponent, slope=body.grading.slope, largest=body.grading.largest),
        blend=zone.blending,
    )


def spacing(columns: Columns) -> float:
    """Shortest distance of neighbouring sites in the mesh, Å."""
    return float(np.linalg.norm(columns.lattice.basis, axis=1).min())


def make_body(model: CrackBodyModel) -> bodies.CrackBody:
    """The case's body."""
    if isinstance(model, DiscBody):
        return bodies.Disc(radius=model.radius)
    if isinstance(model, EdgeCrackBody):
        return bodies.EdgeCrack(width=model.width, height=model.height, crack=model.crack)
    if isinstance(model, CentreCrackBody):
        return bodies.CentreCrack(width=model.width, height=model.height, crack=model.crack)
    kind = bodies.DoubleCantilever if isinstance(model, CantileverBody) else bodies.ThinStrip
    return kind(length=model.length, height=model.height, crack=model.crack)  # type: ignore[attr-defined]


@dataclass(frozen=True, kw_only=True, eq=False)
class MotifMaker:
    """Gives the energies of the atoms that sites carry, motif by motif."""

    character: CrackCharacter
    comm: MPI.Comm

    def __call__(self, indices: NDArray[np.int64]) -> AtomCluster:
        """Bind the potential to the atoms of sites (n, 2)."""
        columns = self.character.columns
        return AtomCluster(
            self.character.potential,
            symbols=columns.chemical_symbols(len(indices)),
            thickness=columns.lattice.thickness,
            comm=self.comm,
        )


def build_crack(
    character: CrackCharacter,
    plan: CrackPlan,
    comm: MPI.Comm,
    *,
    center: tuple[float, float] | None = None,
    tip: float = 0.0,
) -> CrackModel:
    """Mesh the body with its slit, weigh its sites and elements, and audit them.

    Args:
        character: of the crystal.
        plan: of zone and body.
        comm: ranks that share the potential.
        center: of the core where it was moved, Å.
        tip: x up to which the faces are apart, Å.

    Raises:
        PartitionError: the zone does not fit the body or the potential.
        DoubleCountingError: some energy would be counted twice.
    """
    return couple_crack(
        columns=character.columns,
        shifts=character.shifts,
        make_atoms=MotifMaker(character=character, comm=comm),
        material=character.material,
        outer=plan.outer,
        radius=plan.radius,
        width=plan.width,
        pad=plan.pad,
        center=plan.center if center is None else center,
        tip=tip,
        blend=plan.blend,
        degree=plan.degree,
        growth=plan.growth,
    )
