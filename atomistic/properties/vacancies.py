"""What it costs to take one atom out of a crystal: relaxed at fixed volume and at zero pressure, over the size of the cell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from ase import Atoms
from ase.geometry import find_mic
from ase.stress import full_3x3_to_voigt_6_stress, voigt_6_to_full_3x3_strain
from mpi4py import MPI
from numpy.typing import NDArray

from atomistic.crystal import Crystal
from atomistic.errors import PropertyError, RelaxationError
from atomistic.potentials.base import Potential
from atomistic.pulling import checked_force
from atomistic.ranks import spread
from atomistic.relaxation import Relaxed, minimise, springs

Array = NDArray[np.float64]
#: Steps of the cell on its way to zero stress; each leaves a few percent of the stress before it.
_CELL_STEPS = 8
#: The cell is free where the elastic energy that its stress still holds is less, eV; more than the second is refused.
_STORED, _TOLERATED = 1e-6, 1e-4
#: Sites of the smallest and the largest cell where nobody says otherwise.
_LEAST, _MOST = 30, 300
#: Neighbours of the missing atom, and their displacements (standard deviation), in nearest distances.
_NEIGHBOURS, _RATTLE = 1.1, 0.15


@dataclass(frozen=True, kw_only=True)
class VacancyCell:
    """A vacancy in one periodic cell.

    Attributes:
        sites: atoms N of the perfect cell.
        repeat: conventional cells along the three edges.
        unrelaxed: formation energy with every atom where it was, eV.
        fixed_volume: the same with the atoms at rest in the perfect crystal's cell, eV.
        zero_pressure: with the cell free of stress too, eV.
        stored: ½ V σ:S:σ of the fixed cell's stress σ, eV: what fixing the volume costs, to second order.
        pressure: of the fixed cell, eV/Å³.
        relaxation_volume: of the free cell less that of N sites, Å³.
        calls: evaluations that it took.
    """

    sites: int
    repeat: tuple[int, int, int]
    unrelaxed: float
    fixed_volume: float
    zero_pressure: float
    stored: float
    pressure: float
    relaxation_volume: float
    calls: int


@dataclass(frozen=True, kw_only=True)
class VacancyFormation:
    """Formation of a single vacancy, extrapolated to an infinite crystal.

    Attributes:
        species: the element that is missing.
        energy: at zero pressure, from the two largest cells by a line in 1/N, eV.
        energy_fixed_volume: the same of the cells at fixed volume, eV; in an infinite crystal both are one.
        uncertainty: the larger of the two extrapolations' difference and the change from the largest cell to the extrapolation,
            eV; None where there is one cell only.
        unrelaxed: of the largest cell, eV.
        relaxation_volume: extrapolated likewise, in volumes per atom of the crystal.
        chemical_potential: of the atom that was taken out, eV.
        cells: one of each size, ascending.
        potential: its name.
    """

    species: str
    energy: float
    energy_fixed_volume: float
    uncertainty: float | None
    unrelaxed: float
    relaxation_volume: float
    chemical_potential: float
    cells: tuple[VacancyCell, ...]
    potential: str


def vacancy_formation(
    potential: Potential,
    crystal: Crystal,
    *,
    sizes: Sequence[int] | None = None,
    species: str | None = None,
    chemical_potential: float | None = None,
    starts: int = 1,
    fmax: float = 1e-3,
    comm: MPI.Comm | None = None,
) -> VacancyFormation:
    """Return the formation energy of a vacancy, E(N − 1) + μ − E(N), and how it depends on the cell.

    A vacancy is a centre of contraction. At fixed volume it is strained by its images, at zero pressure the cell follows it;
    both errors go as 1/N, with different factors, so that a line in 1/N takes them out and the two limits check each other
    (Gillan 1989, J. Phys.: Condens. Matter 1, 689; Varvenne et al. 2013, Phys. Rev. B 88, 134102).

    Args:
        potential: gives energies, forces and stresses.
        crystal: relaxed with the same potential.
        sizes: conventional cells along the first edge; along the others as many as make the cell about as long there. By default
            `vacancy_sizes`.
        species: the element to take out; may be left out of a crystal of one element.
        chemical_potential: μ of that element, eV; by default the energy per atom of the crystal, which only one element has.
        starts: places from which the atoms relax: the crystal's sites, then with the missing atom's neighbours displaced at
            random; the lowest counts. Covalent crystals may rebond where the sites are a minimum of their own.
        fmax: largest force left on an atom, eV/Å.
        comm: ranks among which the sizes are shared out.

    Raises:
        PropertyError: no sizes, sizes of less than one cell or that do not ascend, no start, an element that is not there, or a
            compound without a chemical potential.
        RelaxationError: the atoms or the cell do not come to rest.
    """
    checked_force(fmax)
    element, reservoir = _reservoir(crystal, species, chemical_potential)
    counts = vacancy_sizes(crystal) if sizes is None else tuple(int(n) for n in sizes)
    if starts < 1:
        raise PropertyError(f"Relaxation needs at least one start; got {starts!r}.")
    if not counts or counts[0] < 1 or any(b <= a for a, b in pairwise(counts)):
        raise PropertyError(
            f"The sizes must be ascending numbers of conventional cells, at least 1; got {list(counts)!r}."
        )

    def compute(count: int) -> VacancyCell:
        return _vacancy_cell(potential, crystal, count, element, reservoir, starts, fmax)

    cells = tuple(spread(counts, compute, potential=potential, comm=comm))
    per_site = crystal.atoms.get_volume() / len(crystal.atoms)
    energy = extrapolated([(c.sites, c.zero_pressure) for c in cells])
    fixed = extrapolated([(c.sites, c.fixed_volume) for c in cells])
    change = max(abs(energy - fixed), abs(energy - cells[-1].zero_pressure))
    return VacancyFormation(
        species=element,
        energy=energy,
        energy_fixed_volume=fixed,
        uncertainty=change if len(cells) > 1 else None,
        unrelaxed=cells[-1].unrelaxed,
        relaxation_volume=extrapolated([(c.sites, c.relaxation_volume / per_site) for c in cells]),
        chemical_potential=reservoir,
        cells=cells,
        potential=potential.capabilities.name,
    )


def extrapolated(points: Sequence[tuple[int, float]]) -> float:
    """Return the value at 1/N = 0 of a line through the two largest cells; of one cell its own.

    Args:
        points: (N, value), N ascending.
    """
    if len(points) == 1:
        return points[0][1]
    (n, low), (m, high) = points[-2:]
    return (m * high - n * low) / (m - n)


def supercell(crystal: Crystal, count: int) -> tuple[Atoms, tuple[int, int, int]]:
    """Return `count` conventional cells along the first edge, along the others as many as come closest to its length."""
    lengths = crystal.conventional.cell.lengths()
    first, second, third = (max(1, round(count * float(lengths[0] / length))) for length in lengths)
    return crystal.conventional.repeat((first, second, third)), (first, second, third)


def vacancy_sizes(crystal: Crystal) -> tuple[int, ...]:
    """Return the sizes of cells with 30 to 300 sites: three of fcc, bcc and hcp, two of diamond."""
    found = [
        n for n in range(1, 12) if _LEAST <= len(crystal.conventional) * np.prod(supercell(crystal, n)[1]) <= _MOST
    ]
    return tuple(found[-3:])


def _displaced(holed: Atoms, place: Array, number: int) -> Atoms:
    """Return the atoms around a vacancy at a place (3,), its first neighbours displaced at random; those of start 0 are not."""
    atoms = holed.copy()
    if number == 0:
        return atoms
    vector, distance = find_mic(atoms.positions - place, atoms.cell, pbc=True)
    near = np.flatnonzero(distance < _NEIGHBOURS * distance.min())
    # In the same order in cells of all sizes, so that all find the same state.
    near = near[np.lexsort(np.round(vector[near], 3).T)]
    away = np.random.default_rng(number).normal(scale=_RATTLE * distance.min(), size=(len(near), 3))
    atoms.positions[near] += away
    return atoms


def _reservoir(crystal: Crystal, species: str | None, chemical_potential: float | None) -> tuple[str, float]:
    """Return which element is taken out and the energy of an atom where it goes."""
    if species is None and len(crystal.symbols) > 1:
        raise PropertyError(
            f"The crystal holds {' and '.join(crystal.symbols)}: say of which element an atom is missing (species), and its "
            "chemical potential."
        )
    element = crystal.symbols[0] if species is None else species
    if element not in crystal.symbols:
        raise PropertyError(f"There is no {element} in {'-'.join(crystal.symbols)}; take one of its elements.")
    if chemical_potential is None:
        if len(crystal.symbols) > 1:
            raise PropertyError(
                f"The energy of a vacancy in {'-'.join(crystal.symbols)} depends on where the atom goes. Give the chemical "
                f"potential of {element} in eV, for example its energy per atom in its own crystal by the same potential."
            )
        return element, crystal.energy_per_atom
    return element, float(chemical_potential)


def _vacancy_cell(
    potential: Potential, crystal: Crystal, count: int, element: str, reservoir: float, starts: int, fmax: float
) -> VacancyCell:
    """Relax a vacancy in one cell, first at fixed volume, then with the cell."""
    before = potential.counter.calls
    perfect, repeat = supercell(crystal, count)
    missing = int(np.flatnonzero(perfect.symbols == element)[0])
    holed = perfect.copy()
    del holed[missing]
    reference = len(perfect) * crystal.energy_per_atom - reservoir
    volume = float(perfect.get_volume())
    compliance = np.linalg.inv(crystal.stiffness)
    inverse = springs(holed, moduli=_moduli(crystal), crossing=True)
    unrelaxed = potential.evaluate(holed, stress=False).energy
    rested = [
        minimise(potential, _displaced(holed, perfect.positions[missing], k), inverse_hessian=inverse, fmax=fmax)
        for k in range(starts)
    ]
    fixed = min(rested, key=lambda state: state.energy)
    free = _free_cell(potential, fixed, compliance, inverse, fmax)
    return VacancyCell(
        sites=len(perfect),
        repeat=repeat,
        unrelaxed=unrelaxed - reference,
        fixed_volume=fixed.energy - reference,
        zero_pressure=free.energy - reference,
        stored=_stored(fixed, compliance),
        pressure=-float(np.trace(fixed.result.stress)) / 3.0,
        relaxation_volume=float(free.atoms.get_volume()) - volume,
        calls=potential.counter.calls - before,
    )


def _moduli(crystal: Crystal) -> Array:
    """Return the stiffness (3,) that springs shall have, the same in all directions, eV/Å³."""
    c = crystal.stiffness
    return np.full(3, np.mean([c[3, 3], c[4, 4], c[2, 2]]))


def _stored(state: Relaxed, compliance: Array) -> float:
    """Return ½ V σ:S:σ, eV."""
    stress = full_3x3_to_voigt_6_stress(state.result.stress)
    return 0.5 * float(state.atoms.get_volume() * stress @ compliance @ stress)


def _free_cell(potential: Potential, start: Relaxed, compliance: Array, inverse: Array, fmax: float) -> Relaxed:
    """Strain a cell until it carries no stress: Newton's method with the perfect crystal's compliance, atoms at rest."""
    current = start
    for _ in range(_CELL_STEPS):
        if _stored(current, compliance) < _STORED:
            return current
        # ASE's function gives the deformation, one plus the strain.
        deformation = voigt_6_to_full_3x3_strain(-compliance @ full_3x3_to_voigt_6_stress(current.result.stress))
        atoms = current.atoms.copy()
        atoms.set_cell(atoms.cell.array @ deformation, scale_atoms=True)
        current = minimise(potential, atoms, inverse_hessian=inverse, fmax=fmax)
    left = _stored(current, compliance)
    if left < _TOLERATED:
        return current
    raise RelaxationError(
        f"The cell of {start.atoms.symbols} does not come to zero stress: after {_CELL_STEPS} steps {left:.1e} eV are left. "
        "Take a larger cell, or check the potential near a vacancy.",
        calls=_CELL_STEPS,
    )
