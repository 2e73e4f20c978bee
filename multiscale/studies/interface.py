"""What a potential says of an interface: the crystal, its elasticity, the separation curve, and the cohesive law in it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from mpi4py import MPI

from atomistic.builders import build_stack, gap_spacing
from atomistic.crystal import Crystal, relax_crystal
from atomistic.decohesion import (
    SeparationCurve,
    StackCurve,
    UberFit,
    default_openings,
    fit_uber,
    relaxed_work_of_separation,
    rigid_separation,
    stack_separation,
    stretch_stack,
    thickness_convergence,
    uniaxial_response,
)
from atomistic.errors import InvalidPlaneError, RelaxationError
from atomistic.orientation import Orientation, orient
from atomistic.potentials import Potential, load_potential
from continuum.materials import LinearElastic
from coupling.cohesive import CohesiveExtraction, extract_law
from coupling.elasticity import CauchyBornUniaxial, LinearUniaxial, UniaxialElasticity
from coupling.errors import CouplingError
from coupling.stacks import (
    LawTable,
    StackError,
    StackPath,
    compare_stacks,
    law_of_stack,
    predict_stack,
    reduce_to_gap,
)
from multiscale.config import AdhesionCase
from multiscale.progress import Progress
from multiscale.studies.bicrystal import (
    SecondCrystal,
    images_of_second,
    match_second,
    separate_second,
    surfaces_of_second,
)
from multiscale.studies.curve_file import read_separation

CORRECTED = "corrected law"
LINEAR = "corrected law, linear bulk"
RIGID = "corrected law, rigid separation"
UNCORRECTED = "uncorrected law"

# Openings of the cut gap from which the stack's law is taken (Å): dense where the traction changes.
STACK_OPENINGS = np.array(
    [0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0, 1.3, 1.6, 2.0, 2.5, 3.2, 4.5]
)
# A relaxed stack's curve that energies, tractions or the monotone envelope miss by more than this share of the work has jumps.
SMOOTH = 0.1
# Elongations at which a stack is computed by atoms, up to the crystal's strength.
STACK_POINTS = 9


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
        second: the crystal above the interface where it is another one; crystal, orientation and material are then of the
            one below.
        curve: the separation curve.
        uber: UBER fitted to it.
        extraction: the law with the elasticity of the bodies taken out: linear, or beside a zone of atoms the crystal's own.
        thickness: planes of the stack -> rigid work of separation (eV/Å²).
        work_relaxed: relaxed work of separation (eV/Å²), None where it was not asked for.
        stacks: the check of the law, None where it was not asked for.
        images: the separation's cells with their energies, for OVITO and ASE; empty unless it is rigid.
        calls: evaluations of the potential, over all ranks.
    """

    potential: Potential
    crystal: Crystal
    orientation: Orientation
    material: LinearElastic
    second: SecondCrystal | None
    curve: SeparationCurve
    uber: UberFit
    extraction: CohesiveExtraction
    thickness: dict[int, float]
    work_relaxed: float | None
    stacks: StackStudy | None
    images: list[Atoms]
    calls: int


def characterise_interface(
    case: AdhesionCase, *, comm: MPI.Comm, progress: Progress, potential: Potential | None = None
) -> InterfaceCharacter:
    """Follow a case from its potential, or the one given, to its cohesive law (collective).

    Every cell is computed whole on one rank with one thread; independent cells spread over the ranks. The crystal comes from
    rank 0, so that all ranks hold the same numbers to the last bit.

    Raises:
        ValueError: with the cause, for anything in the case that the potential or the crystal cannot do.
    """
    with progress.phase("potential"):
        potential = potential or load_potential(case.potential, comm=MPI.COMM_SELF, device=case.device)
        potential.check_elements(case.crystal.species)
        one_torch_thread()
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
        if not orientation.decoupled and case.mesh.cell in ("triangle", "quadrilateral"):
            raise InvalidPlaneError(
                f"plane {tuple(case.interface.plane)} with growth {orientation.growth}: z, along the front, is no mirror of "
                "the crystal, so plane strain would move matter out of the plane. Choose a plane and growth whose front is a "
                "twofold axis, for example (1, 1, 1) growing along (1, 1, -2)"
            )
        material = LinearElastic(orientation.stiffness)
        linear = LinearUniaxial(material.uniaxial_modulus)
        second = None
        if case.interface.second is not None:
            second = match_second(case, potential, crystal, orientation, comm=comm)
    with progress.phase("separation"):
        if second is not None:
            curve, extraction, second = separate_second(case, potential, second, comm=comm)
        else:
            own = body_elasticity(case, potential, crystal, linear, comm=comm)
            curve, extraction = separate(case, potential, crystal, own, comm=comm)
    with progress.phase("surfaces"):
        if second is not None:
            thickness, work_relaxed = surfaces_of_second(case, potential, second, curve, comm=comm)
        else:
            thickness, work_relaxed = surfaces(case, potential, crystal, comm=comm)
    stacks = None
    if second is None and case.verification.stacks and case.decohesion.file is None and curve.mode == "rigid":
        with progress.phase("stack check", total=2 + len(case.verification.stacks)) as phase:
            stacks = check_stacks(
                potential,
                crystal,
                linear,
                plane=case.interface.plane,
                cut=case.interface.cut,
                rigid=curve,
                n_planes=case.decohesion.planes,
                stacks=case.verification.stacks,
                comm=comm,
                advance=phase.advance,
            )
    return InterfaceCharacter(
        potential=potential,
        crystal=crystal,
        orientation=orientation,
        material=material,
        second=second,
        curve=curve,
        uber=fit_uber(curve),
        extraction=extraction,
        thickness=thickness,
        work_relaxed=work_relaxed,
        stacks=stacks,
        images=separation_images(case, crystal, curve) if second is None else images_of_second(case, second, curve),
        calls=comm.allreduce(potential.counter.calls),
    )


def one_torch_thread() -> None:
    """Keep torch to one thread: a float32 sum over two differs in its last digits, and with it the number of ranks would show."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def body_elasticity(
    case: AdhesionCase, potential: Potential, crystal: Crystal, linear: LinearUniaxial, *, comm: MPI.Comm
) -> UniaxialElasticity:
    """What the bodies of a case hold along the normal: linear, or beside a zone of atoms the crystal's own."""
    if case.zone is None or case.zone.material.type == "linear":
        return linear
    return crystal_elasticity(potential, crystal, plane=case.interface.plane, comm=comm)


def separate(
    case: AdhesionCase, potential: Potential, crystal: Crystal, body: UniaxialElasticity, *, comm: MPI.Comm
) -> tuple[SeparationCurve, CohesiveExtraction]:
    """The separation curve and the law in it.

    Where the case leaves the mode open, a zone of atoms, which relaxes, gets the law of a relaxed stack, unless that has jumps
    that no law follows: then, as without a zone, that of rigid separation.
    """
    cap = case.law.stiffness_cap
    if case.decohesion.mode == "auto" and case.zone is not None:
        try:
            curve = separation_curve(case, potential, crystal, mode="relaxed", comm=comm)
            extraction = extract_law(curve, body, length=curve.length, stiffness_cap=cap)
        except (CouplingError, RelaxationError):
            pass
        else:
            gap = extraction.fit.energy_force_gap
            misses = (extraction.fit.energy_misfit, gap or 0.0, extraction.envelope_defect)
            if max(map(abs, misses)) <= SMOOTH:
                return curve, extraction
    mode = "relaxed" if case.decohesion.mode == "relaxed" else "rigid"
    curve = separation_curve(case, potential, crystal, mode=mode, comm=comm)
    return curve, extract_law(curve, body, length=curve.length, stiffness_cap=cap)


def separation_curve(
    case: AdhesionCase, potential: Potential, crystal: Crystal, *, mode: str, comm: MPI.Comm
) -> SeparationCurve:
    """The curve of a case: from its file, rigid, or from a relaxed stack reduced to one gap."""
    plane, cut, planes = case.interface.plane, case.interface.cut, case.decohesion.planes
    if case.decohesion.file is not None:
        return read_separation(
            case.decohesion.file, length=gap_spacing(crystal, plane=plane, cut=cut), plane=case.interface.plane
        )
    openings = default_openings(to=case.decohesion.opening.to, points=case.decohesion.opening.points)
    options: dict[str, Any] = {"plane": plane, "openings": openings, "n_planes": planes, "cut": cut, "comm": comm}
    if mode == "rigid":
        return rigid_separation(potential, crystal, **options)
    stack = stack_separation(potential, crystal, **options)
    opening, energy, traction = reduce_to_gap(
        stack, crystal_elasticity(potential, crystal, plane=plane, comm=comm), spacing=stack.spacing
    )
    return SeparationCurve(
        opening=opening,
        energy=energy,
        traction=traction,
        mode="relaxed",
        n_planes=stack.n_planes,
        area=stack.area,
        spacing=stack.spacing,
        length=stack.spacing,
        work_of_separation=float(energy[-1]),
        plane=stack.plane,
        potential=stack.potential,
        noise=0.0,
    )


def crystal_elasticity(
    potential: Potential, crystal: Crystal, *, plane: Sequence[int], comm: MPI.Comm
) -> CauchyBornUniaxial:
    """The crystal's own uniaxial response along the normal of a plane, up to its strength."""
    strains = np.linspace(0, 0.36, 25)
    return CauchyBornUniaxial(uniaxial_response(potential, crystal, plane=plane, strains=strains, comm=comm))


def surfaces(
    case: AdhesionCase, potential: Potential, crystal: Crystal, *, comm: MPI.Comm
) -> tuple[dict[int, float], float | None]:
    """Rigid work of separation by thickness of the stack, and the relaxed one where it is asked for (eV/Å²)."""
    if case.decohesion.file is not None:
        return {}, None
    planes = case.decohesion.planes
    options: dict[str, Any] = {"plane": case.interface.plane, "cut": case.interface.cut, "comm": comm}
    thickness = thickness_convergence(potential, crystal, n_planes=(max(planes - 4, 2), planes, planes + 4), **options)
    if not case.decohesion.relax:
        return thickness, None
    return thickness, relaxed_work_of_separation(potential, crystal, n_planes=planes, **options)


def check_stacks(
    potential: Potential,
    crystal: Crystal,
    linear: LinearUniaxial,
    *,
    plane: Sequence[int],
    cut: str | int,
    rigid: SeparationCurve,
    n_planes: int,
    stacks: Sequence[int],
    comm: MPI.Comm,
    advance: Callable[[float, str], None] = lambda amount, text: None,
) -> StackStudy:
    """Take laws from a stack, predict longer ones, and compare with those stacks computed by atoms (collective).

    Four laws. From the relaxed stack, with the crystal's own nonlinear elasticity taken out and put back by the blocks; the same
    with linear elasticity, whose error is that of a linear bulk; from rigid separation, whose error is that of surfaces
    that cannot relax; and the relaxed stack's curve as it is, which holds its elasticity twice.

    Args:
        potential: drives the atoms.
        crystal: relaxed.
        linear: the elasticity of a linear body along the normal.
        plane: Miller indices.
        cut: which gap opens.
        rigid: separation curve.
        n_planes: of the stack that the law is taken from.
        stacks: numbers of planes of the stacks to predict.
        comm: ranks.
        advance: told of each part that is done.
    """
    before = potential.counter.calls
    options: dict[str, Any] = {"plane": plane, "cut": cut, "comm": comm}
    own = crystal_elasticity(potential, crystal, plane=plane, comm=comm)
    advance(1, "uniaxial response")
    source = stack_separation(potential, crystal, openings=STACK_OPENINGS, n_planes=n_planes, **options)
    advance(1, f"law from {n_planes} planes")
    spacing = source.spacing
    relaxed = law_of_stack(source, own, spacing=spacing)
    laws: dict[str, tuple[LawTable, UniaxialElasticity]] = {
        CORRECTED: (relaxed, own),
        LINEAR: (law_of_stack(source, linear, spacing=spacing), linear),
        RIGID: (extract_law(rigid, own, length=rigid.length), own),
        UNCORRECTED: (law_of_stack(source, None, spacing=spacing), own),
    }
    references = []
    for count in stacks:
        reach = own.strain(own.strength) * count * spacing
        elongations = np.linspace(0, float(reach), STACK_POINTS)
        references.append(stretch_stack(potential, crystal, elongations=elongations, n_planes=count, **options))
        advance(1, f"{count} planes by atoms")
    work, peak = float(source.energy[-1]), float(np.max(source.traction))
    return StackStudy(
        errors=compare_stacks(laws, references, spacing=spacing, work=work, peak=peak),
        references=references,
        paths={
            (name, count): predict_stack(law, elasticity, length=count * spacing)
            for name, (law, elasticity) in laws.items()
            for count in stacks
        },
        broken_energy_error=laws[RIGID][0].potential[-1] / work - 1,
        calls=comm.allreduce(potential.counter.calls - before),
    )


def separation_images(case: AdhesionCase, crystal: Crystal, curve: SeparationCurve) -> list[Atoms]:
    """The cells of a rigid separation with energy, opening and traction, as ASE and OVITO read them."""
    if case.decohesion.file is not None or curve.mode != "rigid":
        return []
    stack = build_stack(crystal, plane=case.interface.plane, n_planes=curve.n_planes, cut=case.interface.cut)
    images = []
    for opening, energy, traction in zip(curve.opening, curve.energy, curve.traction, strict=True):
        atoms = stack.opened(float(opening))
        total = len(atoms) * crystal.energy_per_atom + float(energy) * stack.area
        atoms.calc = SinglePointCalculator(atoms, energy=total)
        atoms.info.update(opening_angstrom=float(opening), traction_ev_per_angstrom3=float(traction))
        images.append(atoms)
    return images
