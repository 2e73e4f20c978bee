"""All properties of a crystal by one potential, part after part; a part that fails leaves the others alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from mpi4py import MPI

from atomistic.builders import build_stack
from atomistic.crystal import Crystal, relax_crystal
from atomistic.errors import AtomisticError, EvaluationError, RelaxationError
from atomistic.potentials.base import Potential
from atomistic.properties.base import FAULTS, PLANES, FaultRequest, Property, PropertyRequest, PropertySet, plane_name
from atomistic.properties.elastic import bulk_modulus, elastic_constants, shear_modulus, zener_ratio
from atomistic.properties.equation_of_state import EquationOfState, equation_of_state
from atomistic.properties.faults import GammaLine, gamma_line
from atomistic.properties.surfaces import SurfaceEnergy, slab_planes, surface_energy
from atomistic.properties.vacancies import VacancyFormation, vacancy_formation
from atomistic.shear import GammaSurface, gamma_surface
from atomistic.structures import find_structure

#: A potential with more elements than this was fitted to a database of the whole periodic table.
_UNIVERSAL = 40
#: Bulk moduli by the equation of state and by the elastic constants that differ by more tell of a rough potential.
_MODULI = 0.03
#: The extrapolation of a vacancy is in doubt beyond this, eV.
_DOUBT = 0.03


@dataclass(kw_only=True)
class _Answers:
    """What has been found so far."""

    properties: list[Property] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    state: EquationOfState | None = None
    vacancy: VacancyFormation | None = None
    surfaces: list[SurfaceEnergy] = field(default_factory=list)
    lines: list[GammaLine] = field(default_factory=list)
    maps: list[GammaSurface] = field(default_factory=list)


def measure_properties(
    potential: Potential,
    request: PropertyRequest,
    *,
    label: str | None = None,
    comm: MPI.Comm | None = None,
    on_part: Callable[[str], None] = lambda part: None,
) -> PropertySet:
    """Compute the properties of a crystal by a potential.

    A part that the potential cannot do (atoms that find no rest, a free atom that it refuses) is recorded in `failures`, with the
    reason, and the others go on.

    Args:
        potential: gives energies, forces and stresses.
        request: the crystal and what is wanted.
        label: what the potential is called; by default its name.
        comm: ranks that share the work.
        on_part: told of every part as it begins.

    Raises:
        UnknownElementError: the potential does not know an element.
        CrystalError: an unknown structure, or no such crystal by this potential.
        PropertyError: settings that make no sense, whatever the potential.
    """
    label = potential.capabilities.name if label is None else label
    calls, seconds = potential.counter.calls, potential.counter.seconds
    on_part("lattice")
    crystal = relax_crystal(
        potential, symbols=request.symbols, structure=request.structure, a=request.a, c=request.c, comm=comm
    )
    found = _Answers(properties=_lattice(crystal))
    for part, measure in _PARTS.items():
        if part not in request.parts:
            continue
        on_part(part)
        measure(_Job(potential=potential, crystal=crystal, request=request, label=label, comm=comm, found=found))
    return PropertySet(
        label=label,
        potential=potential.capabilities.name,
        properties=tuple(found.properties),
        failures=found.failures,
        warnings=tuple(found.warnings),
        crystal=crystal,
        state=found.state,
        vacancy=found.vacancy,
        surfaces=tuple(found.surfaces),
        lines=tuple(found.lines),
        maps=tuple(found.maps),
        calls=potential.counter.calls - calls,
        seconds=potential.counter.seconds - seconds,
    )


def resolved(request: PropertyRequest) -> PropertyRequest:
    """Return the request with the planes and faults that it left to its structure."""
    name = find_structure(request.structure, request.symbols).name
    planes = PLANES[name] if request.planes is None else request.planes
    faults = FAULTS.get(name, ()) if request.faults is None else request.faults
    return replace(request, planes=planes, faults=faults)


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What every part needs."""

    potential: Potential
    crystal: Crystal
    request: PropertyRequest
    label: str
    comm: MPI.Comm | None
    found: _Answers

    def attempt[Result](self, name: str, work: Callable[[], Result]) -> Result | None:
        """Return what `work` gives, or None with the reason recorded where the potential cannot do it."""
        try:
            return work()
        except (EvaluationError, RelaxationError) as error:
            self.found.failures[name] = str(error)
            return None


def _lattice(crystal: Crystal) -> list[Property]:
    """Lattice constants and volume."""
    volume = float(crystal.atoms.get_volume()) / len(crystal.atoms)
    found = [Property(key="a", value=crystal.a), Property(key="volume", value=volume, note="per atom")]
    if crystal.c is not None:
        found[1:1] = [Property(key="c", value=crystal.c), Property(key="c/a", value=crystal.c / crystal.a)]
    return found


def _cohesion(job: _Job) -> None:
    """Cohesive energy, from the free atoms that somebody gives or that the potential computes."""
    given = job.request.free_atoms.get(job.label)
    symbols = list(job.crystal.atoms.symbols)
    if given is not None:
        lacking = sorted(set(symbols) - set(given))
        if lacking:
            raise AtomisticError(
                f"The free atoms of {job.label!r} lack {', '.join(lacking)}; give the energy of every element, in eV."
            )
        value = sum(given[s] for s in symbols) / len(symbols) - job.crystal.energy_per_atom
        job.found.properties.append(Property(key="cohesive_energy", value=value, note="free atoms as given"))
        return
    if job.crystal.cohesive_energy is None:
        job.found.failures["cohesion"] = (
            f"{job.label} cannot evaluate a free atom. Give its energy by the method that the potential was fitted to: free_atoms"
        )
        return
    elements = job.potential.capabilities.elements
    note = ""
    if elements is not None and len(elements) > _UNIVERSAL:
        note = "free atoms extrapolated"
        job.found.warnings.append(
            f"the cohesive energy by {job.label} rests on its own free atoms, which a model fitted to crystals hardly saw: it "
            "may be off by an eV. Give the energies of free atoms by the method that it was fitted to (free_atoms)"
        )
    job.found.properties.append(Property(key="cohesive_energy", value=job.crystal.cohesive_energy, note=note))


def _state(job: _Job) -> None:
    """Equation of state."""

    def work() -> EquationOfState:
        return equation_of_state(
            job.potential, job.crystal, strain=job.request.strain, points=job.request.volumes, comm=job.comm
        )

    state = job.attempt("state", work)
    if state is None:
        return
    job.found.state = state
    elastic = bulk_modulus(job.crystal)
    difference = abs(state.bulk_modulus - elastic)
    note = "Birch–Murnaghan; uncertainty: against the elastic constants"
    job.found.properties += [
        Property(key="bulk_modulus", value=state.bulk_modulus, uncertainty=difference, note=note),
        Property(key="bulk_modulus_derivative", value=state.derivative),
    ]
    if difference > _MODULI * elastic:
        job.found.warnings.append(
            f"by {job.label} the bulk modulus of the equation of state is {100 * (state.bulk_modulus / elastic - 1):+.1f}% off "
            "that of the elastic constants: its energy is not smooth over these volumes. Take a smaller strain of the volume"
        )


def _elastic(job: _Job) -> None:
    """Elastic constants and the shear modulus."""
    note = f"symmetry of the crystal to {job.crystal.symmetry_defect:.1e}"
    for name, value in elastic_constants(job.crystal).items():
        job.found.properties.append(Property(key=name, value=value, note=note))
    job.found.properties.append(
        Property(key="shear_modulus", value=shear_modulus(job.crystal), note="Voigt–Reuss–Hill")
    )
    if (ratio := zener_ratio(job.crystal)) is not None:
        job.found.properties.append(Property(key="zener_ratio", value=ratio))


def _vacancy(job: _Job) -> None:
    """Vacancy formation."""
    request = job.request

    def work() -> VacancyFormation:
        return vacancy_formation(
            job.potential,
            job.crystal,
            sizes=request.vacancy_sizes,
            species=request.species,
            chemical_potential=request.chemical_potentials.get(job.label),
            starts=request.starts,
            fmax=request.fmax,
            comm=job.comm,
        )

    vacancy = job.attempt("vacancy", work)
    if vacancy is None:
        return
    job.found.vacancy = vacancy
    sizes = ", ".join(str(cell.sites) for cell in vacancy.cells)
    job.found.properties += [
        Property(
            key="vacancy",
            value=vacancy.energy,
            uncertainty=vacancy.uncertainty,
            note=f"relaxed, 1/N over {sizes} sites",
        ),
        Property(key="vacancy_unrelaxed", value=vacancy.unrelaxed, note=f"{vacancy.cells[-1].sites} sites"),
        Property(key="vacancy_volume", value=vacancy.relaxation_volume, note="of relaxation, in volumes per atom"),
    ]
    if vacancy.uncertainty is not None and vacancy.uncertainty > _DOUBT:
        job.found.warnings.append(
            f"the vacancy by {job.label} still changes by {vacancy.uncertainty:.2f} eV with the cell's size: take larger ones"
        )


def _surfaces(job: _Job) -> None:
    """Surface energies."""
    request = job.request
    for plane in request.planes or ():
        name = plane_name(plane)

        def work(plane: tuple[int, ...] = plane) -> SurfaceEnergy:
            planes = slab_planes(job.crystal, plane=plane, heights=request.heights)
            return surface_energy(
                job.potential,
                job.crystal,
                plane=plane,
                planes=planes,
                cut=request.cut,
                relax=request.relax,
                fmax=request.fmax,
                comm=job.comm,
            )

        surface = job.attempt(f"surface({name})", work)
        if surface is None:
            continue
        job.found.surfaces.append(surface)
        fits = {"surface": surface.relaxed, "surface_unrelaxed": surface.unrelaxed}
        planes = ", ".join(str(n) for n in surface.planes)
        job.found.properties += [
            Property(key=f"{key}({name})", value=fit.energy, uncertainty=fit.uncertainty, note=f"{planes} planes")
            for key, fit in fits.items()
            if fit is not None
        ]


def _faults(job: _Job) -> None:
    """γ-surfaces, lines or whole."""
    for fault in job.request.faults or ():
        name = plane_name(fault.plane)

        def work(fault: FaultRequest = fault) -> GammaLine | GammaSurface:
            return _gamma(job, fault)

        gamma = job.attempt(f"fault({name})", work)
        if gamma is None:
            continue
        if isinstance(gamma, GammaLine):
            job.found.lines.append(gamma)
        else:
            job.found.maps.append(gamma)
        how = "relaxed along the normal" if fault.relax else "rigid"
        note = f"along {list(fault.direction)}, {how}" if fault.direction is not None else f"whole surface, {how}"
        for key, place in (("unstable_fault", gamma.unstable), ("stacking_fault", gamma.intrinsic)):
            if place is not None and not any(p.key == f"{key}({name})" for p in job.found.properties):
                job.found.properties.append(Property(key=f"{key}({name})", value=place.energy, note=note))


def _gamma(job: _Job, fault: FaultRequest) -> GammaLine | GammaSurface:
    """The γ-surface that was asked for."""
    # The slab of a relaxed fault has whole lattice planes in each half.
    planes = build_stack(job.crystal, plane=fault.plane, n_planes=fault.planes, cut=fault.cut).n_planes
    common = {"plane": fault.plane, "cut": fault.cut, "relax": fault.relax, "n_planes": planes, "comm": job.comm}
    if fault.direction is None:
        return gamma_surface(job.potential, job.crystal, grid=fault.points, fmax=job.request.fmax, **common)  # type: ignore[arg-type]
    return gamma_line(
        job.potential,
        job.crystal,
        direction=fault.direction,
        points=fault.points,
        fmax=job.request.fmax,
        **common,  # type: ignore[arg-type]
    )


_PARTS: dict[str, Callable[[_Job], None]] = {
    "cohesion": _cohesion,
    "state": _state,
    "elastic": _elastic,
    "vacancy": _vacancy,
    "surfaces": _surfaces,
    "faults": _faults,
}
