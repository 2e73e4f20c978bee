"""What a potential says of an interface: the crystal, its elasticity, the separation curve, and the cohesive law in it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from ase import Atoms
from mpi4py import MPI
from numpy.typing import NDArray

from atomistic.crystal import Crystal, relax_crystal
from atomistic.builders import gap_spacing
from atomistic.decohesion import (
    SeparationCurve,
    StackCurve,
    UberFit,
    fit_uber,
    relaxed_work_of_separation,
    rigid_separation,
    stack_separation,
    stretch_stack,
    thickness_convergence,
    uniaxial_response,
)
from atomistic.orientation import Orientation, orient
from atomistic.potentials import Potential, load_potential
from continuum.materials import LinearElastic
from coupling.cohesive import CohesiveExtraction, extract_law
from coupling.elasticity import CauchyBornUniaxial, LinearUniaxial
from coupling.stacks import (
    GapCurve,
    StackError,
    StackPath,
    UncorrectedLaw,
    compare_stacks,
    predict_stack,
    reduce_to_gap,
)
from multiscale.config import AdhesionCase
from multiscale.progress import Progress
from multiscale.studies.curve_file import read_separation

CORRECTED = "relaxed law, crystal's own elasticity"
RIGID = "rigid law, crystal's own elasticity"
LINEAR = "rigid law, linear elasticity"
UNCORRECTED = "uncorrected law, crystal's own elasticity"


@dataclass(frozen=True, kw_only=True)
class StackStudy:
    """Stacks of atoms against the predictions of the laws.

    Attributes:
        errors: one row for each law and stack.
        references: the stacks under prescribed elongation, by atoms.
        paths: (law, n_planes) -> its prediction.
        broken_energy_error: (W_sep of the rigid law − relaxed W_sep)/relaxed W_sep: what surface relaxation takes.
        calls: potential calls that the study cost.
    """

    errors: list[StackError]
    references: list[StackCurve]
    paths: dict[tuple[str, int], StackPath]
    broken_energy_error: float
    calls: int


@dataclass(frozen=True, kw_only=True)
class InterfaceCharacter:
    """Everything that the atoms say and the finite elements need.

    Attributes:
        potential: the potential, with its capabilities and its counter.
        crystal: the relaxed crystal.
        orientation: lab axes x (crack growth), y (interface normal), z (crack front).
        material: linear elastic, in the lab axes.
        curve: the separation curve.
        uber: UBER fitted to it.
        extraction: the law with the material's elasticity taken out.
        thickness: planes of the stack -> rigid work of separation (eV/Å²).
        work_relaxed: relaxed work of separation (eV/Å²), None where it was not asked for.
        stacks: the check of the law, None where it was not asked for.
        images: the separation's cells with energies and forces, for OVITO and ASE; empty for a curve from a file.
        calls: evaluations of the potential, over all ranks.
    """

    potential: Potential
    crystal: Crystal
    orientation: Orientation
    material: LinearElastic
    curve: SeparationCurve
    uber: UberFit
    extraction: CohesiveExtraction
    thickness: dict[int, float]
    work_relaxed: float | None
    stacks: StackStudy | None
    images: list[Atoms]
    calls: int


def opening_points(*, to: float, points: int) -> NDArray[np.float64]:
    """Openings from 0, three quarters of them evenly below half of `to`, where the traction lives (Å)."""
    dense = max(points * 3 // 4, 2)
    return np.concatenate([np.linspace(0, to / 2, dense, endpoint=False), np.linspace(to / 2, to, points - dense)])


def characterise_interface(case: AdhesionCase, *, comm: MPI.Comm, progress: Progress) -> InterfaceCharacter:
    """Follow a case from its potential to its cohesive law (collective).

    Every cell is computed whole on one rank with one thread; independent cells spread over the ranks. The crystal comes from
    rank 0, so that all ranks hold the same numbers to the last bit.

    Raises:
        ValueError: with the cause, for anything in the case that the potential or the crystal cannot do.
    """
    with progress.phase("potential"):
        potential = load_potential(case.potential, comm=MPI.COMM_SELF, device=case.device)
        potential.check_elements(case.crystal.species)
    with progress.phase("crystal"):
        crystal = relax_crystal(
            potential,
            symbols=case.crystal.species,
            structure=case.crystal.structure,
            a=case.crystal.a,
            c=case.crystal.c,
            comm=comm,
        )
        orientation = orient(crystal, plane=case.interface.plane, growth=case.interface.growth)
        material = LinearElastic(orientation.stiffness)
        linear = LinearUniaxial(material.uniaxial_modulus)
    with progress.phase("separation"):
        curve = separation_curve(case, potential, crystal, comm=comm)
        extraction = extract_law(curve, linear, length=curve.length, stiffness_cap=case.law.stiffness_cap)
    with progress.phase("surfaces"):
        thickness, work_relaxed = _surfaces(case, potential, crystal, comm)
    stacks = None
    if case.verification.stacks and case.decohesion.file is None:
        with progress.phase("stack check", total=2 + len(case.verification.stacks)) as phase:
            stacks = check_stacks(case, potential, crystal, linear, comm=comm, phase=phase)
    return InterfaceCharacter(
        potential=potential,
        crystal=crystal,
        orientation=orientation,
        material=material,
        curve=curve,
        uber=fit_uber(curve),
        extraction=extraction,
        thickness=thickness,
        work_relaxed=work_relaxed,
        stacks=stacks,
        calls=comm.allreduce(potential.counter.calls),
    )


def separation_curve(case: AdhesionCase, potential: Potential, crystal: Crystal, *, comm: MPI.Comm) -> SeparationCurve:
    """The curve of a case: from its file, rigid, or from a relaxed stack reduced to one gap."""
    plane, cut, planes = case.interface.plane, case.interface.cut, case.decohesion.planes
    if case.decohesion.file is not None:
        return read_separation(case.decohesion.file, length=gap_spacing(crystal, plane=plane, cut=cut), plane=plane)
    openings = opening_points(to=case.decohesion.opening.to, points=case.decohesion.opening.points)
    rigid = rigid_separation(potential, crystal, plane=plane, openings=openings, n_planes=planes, cut=cut, comm=comm)
    if case.decohesion.mode == "rigid":
        return rigid
    stack = stack_separation(potential, crystal, plane=plane, openings=openings, n_planes=planes, cut=cut, comm=comm)
    gap = reduce_to_gap(stack, crystal_elasticity(potential, crystal, plane=plane, comm=comm), spacing=rigid.spacing)
    return replace(
        rigid, mode="relaxed", opening=gap.opening, energy=gap.energy, traction=gap.traction, length=rigid.spacing
    )


def crystal_elasticity(
    potential: Potential, crystal: Crystal, *, plane: tuple[int, ...], comm: MPI.Comm
) -> CauchyBornUniaxial:
    """The crystal's own uniaxial response along the normal of a plane, up to its strength."""
    return CauchyBornUniaxial(
        uniaxial_response(potential, crystal, plane=plane, strains=np.linspace(0, 0.36, 25), comm=comm)
    )
