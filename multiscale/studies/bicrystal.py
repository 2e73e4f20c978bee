"""The interface between two different crystals in the adhesion study: match, rest, separation, law, and what is said of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from mpi4py import MPI

from atomistic.bicrystal import Bicrystal, build_bicrystal, match_crystals, reach, strain_energies
from atomistic.bicrystal_separation import relaxed_work_of_bicrystal, seat, separate_bicrystal
from atomistic.crystal import Crystal, relax_crystal
from atomistic.curves import SeparationCurve
from atomistic.decohesion import default_openings
from atomistic.orientation import Orientation, orient
from atomistic.potentials import Potential
from continuum.bimaterial import anisotropic_bimaterial
from continuum.errors import FieldError, MaterialError
from continuum.materials import LinearElastic
from coupling.cohesive import CohesiveExtraction, extract_law
from coupling.elasticity import LinearUniaxial, SeriesUniaxial
from multiscale.config import AdhesionCase, SecondCrystalModel
from multiscale.studies.curve_file import read_separation
from multiscale.units import EV_PER_A2_IN_J_PER_M2, EV_PER_A3_IN_GPA

if TYPE_CHECKING:
    from multiscale.studies.interface import InterfaceCharacter

#: Forces (eV/Å) at which the atoms of a bicrystal count as relaxed: the energy's error is of second order.
RELAXED = {"float64": 5e-3, "float32": 2e-2}
#: In-plane strain coupled to shear along the front: components of the stiffness that a mirror at z = 0 makes vanish.
_MIRRORED = np.ix_([0, 1, 2, 5], [3, 4])
#: A coupling below this part of the largest constant is noise.
_NOISE = 1e-3


@dataclass(frozen=True, kw_only=True)
class SecondCrystal:
    """The crystal above an interface and how it rests on the one below.

    Attributes:
        crystal: relaxed, with the same potential.
        material: linear elastic, in the laboratory axes.
        coupling: the largest constant that couples in-plane strain to shear along the front, over the largest constant, which
            plane strain cannot hold: the material is the mean of this orientation and its mirror image. 0 where none was lost.
        bicrystal: both crystals on their common cell; at rest where the atoms were computed.
        strain_energy: what the common cell stores in the lower and in the upper slab, eV/Å²; None without atoms.
        corrugation: from the best to the worst shift in the plane that was tried, eV/Å²; None without atoms.
    """

    crystal: Crystal
    material: LinearElastic
    coupling: float
    bicrystal: Bicrystal
    strain_energy: tuple[float, float] | None = None
    corrugation: float | None = None

    @property
    def orientation(self) -> Orientation:
        """Of the upper crystal, turned as it lies on the lower one."""
        return self.bicrystal.upper.orientation

    @property
    def elasticity(self) -> SeriesUniaxial:
        """Half a gap of each crystal along the normal, as the bodies hold it."""
        halves = (self.bicrystal.lower, self.bicrystal.upper)
        return SeriesUniaxial(*((0.5 * half.gap, LinearUniaxial(half.uniaxial_modulus)) for half in halves))


def match_second(
    case: AdhesionCase, potential: Potential, lower: Crystal, orientation: Orientation, *, comm: MPI.Comm
) -> SecondCrystal:
    """Relax the second crystal and find the cell that it shares with the first (collective).

    Raises:
        ValueError: the potential does not know its elements, or there is no common cell within the limits.
    """
    second = _second(case)
    potential.check_elements(second.crystal.species)
    upper = relax_crystal(
        potential,
        symbols=second.crystal.species,
        structure=second.crystal.structure,
        a=second.crystal.a,
        c=second.crystal.c,
        comm=comm,
    )
    orientations = (orientation, orient(upper, plane=second.plane, growth=second.growth))
    match = match_crystals(
        lower,
        upper,
        orientations=orientations,
        max_strain=second.max_strain,
        max_area=second.max_area,
        free=second.alignment == "free",
    )
    bicrystal = build_bicrystal(
        lower,
        upper,
        orientations=orientations,
        match=match,
        n_planes=(case.decohesion.planes,) * 2,
        cuts=(case.interface.cut, second.cut),
        share=second.share,
    )
    stiffness = bicrystal.upper.orientation.stiffness.copy()
    coupling = 0.0
    if case.mesh.cell in ("triangle", "quadrilateral"):
        coupling = float(np.abs(stiffness[_MIRRORED]).max() / np.abs(stiffness).max())
        stiffness[_MIRRORED] = 0.0
        stiffness.T[_MIRRORED] = 0.0
    return SecondCrystal(
        crystal=upper,
        material=LinearElastic(stiffness),
        coupling=coupling if coupling > _NOISE else 0.0,
        bicrystal=bicrystal,
    )


def separate_second(
    case: AdhesionCase, potential: Potential, second: SecondCrystal, *, comm: MPI.Comm
) -> tuple[SeparationCurve, CohesiveExtraction, SecondCrystal]:
    """Let both crystals find their rest and pull them apart: the curve, the law in it, the crystals at rest (collective)."""
    elasticity, cap = second.elasticity, case.law.stiffness_cap
    if case.decohesion.file is not None:
        curve = read_separation(case.decohesion.file, length=elasticity.length, plane=case.interface.plane)
        return curve, extract_law(curve, elasticity, length=curve.length, stiffness_cap=cap), second
    found = seat(potential, second.bicrystal, comm=comm)
    openings = default_openings(to=case.decohesion.opening.to, points=case.decohesion.opening.points)
    curve = separate_bicrystal(potential, found.bicrystal, openings=openings, comm=comm)
    second = replace(
        second,
        bicrystal=found.bicrystal,
        strain_energy=strain_energies(potential, found.bicrystal),
        corrugation=float(np.ptp(found.energies)),
    )
    return curve, extract_law(curve, elasticity, length=curve.length, stiffness_cap=cap), second


def surfaces_of_second(
    case: AdhesionCase, potential: Potential, second: SecondCrystal, curve: SeparationCurve, *, comm: MPI.Comm
) -> tuple[dict[int, float], float | None]:
    """Rigid work of separation by planes of each slab, and the relaxed one where it is asked for (eV/Å²)."""
    if case.decohesion.file is not None:
        return {}, None
    bicrystal, planes = second.bicrystal, case.decohesion.planes
    thinner = build_bicrystal(
        bicrystal.lower.crystal,
        bicrystal.upper.crystal,
        orientations=(bicrystal.lower.orientation, _unturned(case, second)),
        match=bicrystal.match,
        n_planes=(max(planes - 2, 2),) * 2,
        cuts=(case.interface.cut, _second(case).cut),
        share=_second(case).share,
    )
    thinner = replace(thinner, shift=bicrystal.shift, distance=bicrystal.distance)
    ends = [0.0, max(case.decohesion.opening.to, reach(potential))]
    thin = separate_bicrystal(potential, thinner, openings=ends, comm=comm).work_of_separation
    works = {max(planes - 2, 2): thin, planes: curve.work_of_separation}
    if not case.decohesion.relax:
        return works, None
    fmax = RELAXED[potential.capabilities.precision]
    return works, relaxed_work_of_bicrystal(potential, bicrystal, fmax=fmax, comm=comm)


def images_of_second(case: AdhesionCase, second: SecondCrystal, curve: SeparationCurve) -> list[Atoms]:
    """The cells of the separation with energy (above the joined state), opening and traction, as ASE and OVITO read them."""
    if case.decohesion.file is not None:
        return []
    images = []
    for opening, energy, traction in zip(curve.opening, curve.energy, curve.traction, strict=True):
        atoms = second.bicrystal.atoms(float(opening), room=float(curve.opening[-1]) + 10.0)
        atoms.calc = SinglePointCalculator(atoms, energy=float(energy) * curve.area)
        atoms.info.update(opening_angstrom=float(opening), traction_ev_per_angstrom3=float(traction))
        images.append(atoms)
    return images


def second_quantities(interface: InterfaceCharacter) -> list[tuple[str, str, float | str | None, str, str]]:
    """Rows of the results: the second crystal, the common cell, and what it stores."""
    second = interface.second
    if second is None:
        return []
    crystal, bicrystal, gpa = second.crystal, second.bicrystal, EV_PER_A3_IN_GPA
    match, joule = bicrystal.match, EV_PER_A2_IN_J_PER_M2
    name = f"{crystal.structure} {'-'.join(crystal.symbols)}"
    n, m = match.cells
    rows: list[tuple[str, str, float | str | None, str, str]] = [
        ("lattice constant, second crystal", "a₂", crystal.a, "Å", name),
        (
            "uniaxial stiffness along the normal, second crystal",
            "C′₂",
            second.material.uniaxial_modulus * gpa,
            "GPa",
            name,
        ),
        ("common cell", "A", bicrystal.area / 100, "nm²", f"{n} cells to {m} of the planes, {bicrystal.count} atoms"),
        ("strain between the crystals", "", 100 * match.strain, "%", "largest principal logarithmic strain"),
        (
            "turn of the second crystal",
            "",
            float(np.degrees(match.twist)),
            "°",
            "about the normal, from parallel growth",
        ),
    ]
    for side, half in (("first", bicrystal.lower), ("second", bicrystal.upper)):
        values = np.linalg.eigvalsh(half.strain)
        note = "principal strains " + ", ".join(f"{100 * v:+.3f}%" for v in values)
        rows.append((f"residual strain, {side} crystal", "", 100 * float(values[np.argmax(np.abs(values))]), "%", note))
    if second.strain_energy is not None:
        note = "of each slab, lower " + ", upper ".join(f"{e * joule:.4g}" for e in second.strain_energy)
        total = sum(second.strain_energy) * joule
        rows.append(("energy of the residual strain", "", total, "J/m²", f"{note}; none of it in W_sep"))
        x, y = bicrystal.shift
        rows.append(("distance of the crystals at rest", "", bicrystal.distance, "Å", f"shifted by {x:.3f}, {y:.3f} Å"))
    epsilon = oscillation_index(interface.material, second.material)
    if epsilon is not None:
        rows.append(("oscillation index of a crack between them", "|ε|", epsilon, "", "tractions go as r^(−½ ± iε)"))
    if second.corrugation is not None:
        rows.append(("corrugation of the interface", "", second.corrugation * joule, "J/m²", "over the shifts tried"))
    return rows


def oscillation_index(lower: LinearElastic, upper: LinearElastic) -> float | None:
    """Magnitude of ε of a crack on the interface; None where the materials have no six Stroh vectors to take it from."""
    try:
        return anisotropic_bimaterial(upper, lower).epsilon
    except (FieldError, MaterialError):
        return None


def second_data(second: SecondCrystal) -> dict[str, Any]:
    """The same for programs: tensors and integers of the common cell."""
    bicrystal, match = second.bicrystal, second.bicrystal.match
    return {
        "cells": list(match.cells),
        "lower supercell": match.lower.tolist(),
        "upper supercell": match.upper.tolist(),
        "cell [angstrom]": bicrystal.cell.tolist(),
        "atoms": bicrystal.count,
        "twist [degree]": float(np.degrees(match.twist)),
        "lower strain": bicrystal.lower.strain.tolist(),
        "upper strain": bicrystal.upper.strain.tolist(),
        "lower share of the strain": bicrystal.share,
        "strain energy [eV/angstrom^2]": None if second.strain_energy is None else list(second.strain_energy),
        "shift [angstrom]": bicrystal.shift.tolist(),
        "distance [angstrom]": bicrystal.distance,
        "lost coupling": second.coupling,
    }


def second_rows(interface: InterfaceCharacter) -> list[tuple[str, str]]:
    """What `validate` prints of the match."""
    second = interface.second
    if second is None:
        return []
    bicrystal, match = second.bicrystal, second.bicrystal.match
    n, m = match.cells
    strains = [np.linalg.eigvalsh(half.strain) for half in (bicrystal.lower, bicrystal.upper)]
    largest = [100 * float(values[np.argmax(np.abs(values))]) for values in strains]
    return [
        ("second crystal", f"{'-'.join(second.crystal.symbols)}, lattice constant {second.crystal.a:.4f} Å"),
        ("common cell", f"{n} cells to {m}, {bicrystal.area / 100:.3g} nm², {bicrystal.count} atoms"),
        ("turned by", f"{np.degrees(match.twist):.2f}°"),
        ("strain between the crystals", f"{match.strain:.2%}: below {largest[0]:+.2f}%, above {largest[1]:+.2f}%"),
    ]


def second_warnings(interface: InterfaceCharacter) -> list[str]:
    """What a user should know of two crystals."""
    second = interface.second
    if second is None:
        return []
    found = []
    if second.coupling:
        found.append(
            f"the second crystal, turned by {np.degrees(second.bicrystal.match.twist):.1f}°, couples in-plane strain to shear "
            f"along the front ({second.coupling:.1%} of its largest constant), which plane strain cannot hold: its body has "
            "the mean of this orientation and its mirror image"
        )
    if second.bicrystal.match.strain > 0.02:
        found.append(
            f"the crystals are strained by {second.bicrystal.match.strain:.1%} to fit: surface energies change by about as "
            "much. Allow a larger interface.second.max_area with a smaller max_strain"
        )
    return found


def _second(case: AdhesionCase) -> SecondCrystalModel:
    """The case's second crystal."""
    assert case.interface.second is not None  # asked for by who has one
    return case.interface.second


def _unturned(case: AdhesionCase, second: SecondCrystal) -> Orientation:
    """The second crystal's orientation as its match was found from."""
    return orient(second.crystal, plane=_second(case).plane, growth=_second(case).growth)
