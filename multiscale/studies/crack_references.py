"""What a crack should do by its own potential: surfaces, elasticity, Griffith and Rice; and whether the case fits them."""

from __future__ import annotations

import numpy as np
from mpi4py import MPI
from numpy.typing import NDArray

from atomistic.builders import plane_gaps, plane_heights
from atomistic.cleavage import created_surfaces
from atomistic.curves import SeparationCurve
from atomistic.decohesion import rigid_separation
from continuum.stroh import crack_field
from multiscale.config import FractureCase
from multiscale.config.handshake import LARGEST_STRAIN
from multiscale.errors import CohesiveZoneError, CrackLoadError, ValidityError
from multiscale.progress import Progress
from multiscale.studies.crack_system import CrackCharacter, CrackPlan
from multiscale.studies.fracture_state import CrackReferences
from multiscale.units import EV_PER_A2_IN_J_PER_M2, EV_PER_A3_IN_GPA, Level, format_intensity, format_length

Array = NDArray[np.float64]
#: Openings (Å) at which the separation law is sampled.
_OPENINGS = np.array([0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.3, 1.6, 2.0, 2.5, 3.2, 4.5, 6.0])
#: Planes of atoms in the stack that is pulled apart for it.
_PLANES = 8


def find_references(
    case: FractureCase, character: CrackCharacter, *, comm: MPI.Comm, progress: Progress
) -> CrackReferences:
    """Compute what the crack is compared with, from its own potential (collective).

    K_G follows from 2γ = ½ kᵀ L⁻¹ k (Stroh 1958; Barnett and Asaro 1972) with the mixture of modes that the case asks for.
    """
    potential, before = character.potential, character.potential.counter.calls
    with progress.phase("created surfaces"):
        surfaces = created_surfaces(potential, character.crystal, character.orientation, character.cut, comm=comm)
        separation = separation_law(character, comm=comm)
    field = crack_field(character.orientation.stiffness)
    direction = np.array(case.crack.mode.stroh)
    modulus, two_gamma, peak = field.effective_modulus, surfaces.relaxed, peak_traction(separation)
    return CrackReferences(
        cut=character.cut,
        cuts=character.cuts,
        surfaces=surfaces,
        stiffness=character.orientation.stiffness,
        field=field,
        direction=direction,
        griffith=float(np.sqrt(two_gamma / field.energy_release(direction))),
        peak=peak,
        cohesive_length=cohesive_length(modulus, two_gamma, peak),
        calls=potential.counter.calls - before,
        separation=separation,
    )


def separation_law(character: CrackCharacter, *, comm: MPI.Comm) -> SeparationCurve:
    """Traction over opening of two rigid halves of the crystal at the cut (collective)."""
    crystal, plane, cut = character.crystal, character.orientation.plane, character.cut
    gaps = plane_gaps(crystal, plane)
    away = (plane_heights(crystal, plane) + 0.5 * gaps - cut.height) / gaps.sum()
    return rigid_separation(
        character.potential,
        crystal,
        plane=plane,
        openings=_OPENINGS,
        n_planes=_PLANES,
        cut=int(np.argmin(np.abs(away - np.rint(away)))),
        comm=comm,
    )


def peak_traction(curve: SeparationCurve) -> float:
    """Largest traction of a law, eV/Å³, from a parabola through the three samples about the highest."""
    top = int(np.clip(np.argmax(curve.traction), 1, len(curve.opening) - 2))
    near = slice(top - 1, top + 2)
    a, b, c = np.polyfit(curve.opening[near] - curve.opening[top], curve.traction[near], 2)
    return float(c - b**2 / (4.0 * a)) if a < 0.0 else float(curve.traction.max())


def cohesive_length(modulus: float, two_gamma: float, peak: float) -> float:
    """Length over which faces still hold each other, Å: (π/8) E* 2γ/σ² (Dugdale 1960; Rice 1968)."""
    return np.pi / 8.0 * modulus * two_gamma / peak**2


def edge_strain(references: CrackReferences, intensity: float, distance: float) -> float:
    """Strain K/(E*√(2πr)) that the K-field has at a distance r from the tip."""
    return intensity / (references.modulus * float(np.sqrt(2.0 * np.pi * distance)))


def bearable_strain(case: FractureCase, character: CrackCharacter) -> float:
    """Strain up to which the continuum describes the crystal: the fitted range, or what any crystal bears."""
    fitted = hasattr(character.material, "strain_over_range") or case.material.type == "linear"
    return case.material.largest_strain if fitted else LARGEST_STRAIN


def valid_intensity(
    case: FractureCase, character: CrackCharacter, plan: CrackPlan, references: CrackReferences
) -> float:
    """Largest K of the mixture under which the strain in the middle of the blend stays within what the continuum describes."""
    bearable = bearable_strain(case, character)
    largest = float(np.linalg.norm(references.direction))
    return bearable / edge_strain(references, 1.0, _edge(plan)) / largest


def _edge(plan: CrackPlan) -> float:
    """Distance from the tip at which elements carry as much as atoms, Å."""
    return plan.reach + 0.5 * plan.width


def check_fit(case: FractureCase, character: CrackCharacter, plan: CrackPlan, references: CrackReferences) -> None:
    """Refuse zones too small for their crack and loads too large for their body.

    Raises:
        CohesiveZoneError: faces still hold each other beyond the core.
        ValidityError: K_G or a load that the case names strains the elements in the blend too much.
    """
    if references.cohesive_length > plan.reach:
        raise CohesiveZoneError(
            f"the core reaches {format_length(plan.reach)} from the tip, less than the cohesive zone of this crack, about "
            f"(π/8) E* 2γ/σ² = {format_length(references.cohesive_length)} with E* = "
            f"{references.modulus * EV_PER_A3_IN_GPA:.4g} GPa, 2γ = {references.two_gamma * EV_PER_A2_IN_J_PER_M2:.4g} J/m² and "
            f"the law's peak σ = {references.peak * EV_PER_A3_IN_GPA:.3g} GPa: faces would hold each other where there are no "
            f"atoms. Write at least radius: {format_length(references.cohesive_length + abs(plan.center[0]))}"
        )
    limit = valid_intensity(case, character, plan, references)
    named = [level_intensity(level, references) for level in case.levels if level.of != "length"]
    largest = max([references.griffith, *named])
    if largest > limit:
        strain = edge_strain(references, largest * float(np.linalg.norm(references.direction)), _edge(plan))
        what = "K_G" if largest == references.griffith else "the largest load"
        needed = _edge(plan) * (largest / limit) ** 2 - 0.5 * plan.width + abs(plan.center[0])
        raise ValidityError(
            f"{what}, {format_intensity(largest)}, strains the elements in the middle of the blend by about K/(E*√(2πr)) = "
            f"{100 * strain:.2g} %, beyond the {100 * bearable_strain(case, character):.2g} % that their material describes. "
            f"Write at least radius: {format_length(needed)}, or raise material.largest_strain, or lower the load"
        )


def level_intensity(level: Level, references: CrackReferences) -> float:
    """A load that is no opening as K of the mixture, eV/Å^2.5.

    Raises:
        CrackLoadError: an opening of grips.
    """
    if level.of == "length":
        raise CrackLoadError(f"{level} is an opening of grips, not a stress intensity. Write 0.9 K_G or 0.6 MPa*m^0.5")
    return level.value * references.griffith if level.of == "K_G" else level.value
