"""What a potential says of an interface: the crystal, its elasticity, the separation curve, and the cohesive law in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from atomistic.crystal import Crystal, relax_crystal
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
from coupling.stacks import GapCurve, StackError, StackPath, UncorrectedLaw, compare_stacks, predict_stack, reduce_to_gap
from multiscale.config import AdhesionCase
from multiscale.progress import Progress

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


def opening_points(*, to: float, points: int) -> NDArray[np.float64]:
    """Openings from 0, three quarters of them evenly below half of `to`, where the traction lives (Å)."""
    dense = max(points * 3 // 4, 2)
    return np.concatenate([np.linspace(0, to / 2, dense, endpoint=False), np.linspace(to / 2, to, points - dense)])


def characterise_interface(case: AdhesionCase, *, comm: MPI.Comm, progress: Progress) -> InterfaceCharacter:
    """Follow a case from its potential to its cohesive law.

    Every cell is computed whole on one rank; independent cells spread over the ranks. Crystal and tensor come from rank 0,
    so that all ranks hold the same numbers to the last bit.

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
        material = LinearElastic(orientation.rotate(crystal.stiffness))
    with progress.phase("separation"):
        curve = separation_curve(case, potential, crystal, comm=comm)
        extraction = extract_law(
            curve,
            LinearUniaxial(material.uniaxial_modulus),
            length=curve.length,
            stiffness_cap=case.law.stiffness_cap,
        )
    options = {"plane": case.interface.plane, "cut": case.interface.cut}
    planes = case.decohesion.planes
    with progress.phase("surfaces"):
        thickness = thickness_convergence(potential, crystal, n_planes=(planes - 4, planes, planes + 4), comm=comm, **options)
        work_relaxed = (
            relaxed_work_of_separation(potential, crystal, n_planes=planes, comm=comm, **options)
            if case.decohesion.relax
            else None
        )
    stacks = None
    if case.verification.stacks and case.decohesion.file is None:
        with progress.phase("stack check"):
            stacks = check_stacks(case, potential, crystal, curve, material, comm=comm)
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
    )
