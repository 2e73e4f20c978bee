"""The properties study: each potential is asked about the same crystal; its answers stand beside the others' and references."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mpi4py import MPI

from atomistic.builders import build_stack
from atomistic.crystal import Crystal, relax_crystal
from atomistic.errors import EvaluationError, RelaxationError
from atomistic.potentials import Potential, load_potential
from atomistic.properties import (
    FaultRequest,
    PropertyRequest,
    PropertySet,
    measure_properties,
    resolved,
    slab_planes,
    supercell,
    vacancy_sizes,
)
from multiscale.config.properties import FaultModel, PropertiesCase
from multiscale.failures import caused_by
from multiscale.progress import Phase, Progress, format_seconds
from multiscale.run import RunDirectory, describe_potential
from multiscale.studies import properties_files as files
from multiscale.studies.interface import one_torch_thread
from multiscale.studies.launch import launch

#: What one potential cannot do; on other ranks than the one that found out it is a plain error of the same family.
REFUSALS = (ValueError, EvaluationError, RelaxationError)
#: Evaluations that a relaxation takes, about, as five classical crystals and a foundation model had it: of a vacancy, with its
#: cell; of a surface; of a fault.
_VACANCY, _CELL, _SURFACE, _FAULT = 4.5, 3.0, 4.7, 4.5
#: Points where a γ-line or a γ-surface does not say; symmetry leaves a sixth of the latter or so.
_LINE, _MAP, _SYMMETRY = 25, 12, 5.0


@dataclass(frozen=True, kw_only=True)
class PropertiesResult:
    """What a run leaves in memory; the rest is in its directory.

    Attributes:
        directory: of the run.
        sets: the answers of each potential that has the crystal, in the order of the case.
        members: those of every member of a committee, by the potential's name.
        refused: why a potential gives nothing, by its name.
        warnings: what a reader of the results should know.
    """

    directory: Path
    sets: tuple[PropertySet, ...]
    members: dict[str, tuple[PropertySet, ...]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def value(self, label: str, key: str) -> float | None:
        """Return a property by a potential, in units of Å and eV; None where it was not computed."""
        found = next((s.get(key) for s in self.sets if s.label == label), None)
        return None if found is None else found.value


def run_properties(
    case: PropertiesCase,
    *,
    directory: str | Path,
    comm: MPI.Comm = MPI.COMM_WORLD,
    progress: Progress | None = None,
    force: bool = False,
) -> PropertiesResult:
    """Run a case and write its directory (collective).

    Args:
        case: what to do.
        directory: where everything is written; must be new or empty unless `force`.
        comm: cells of atoms spread over its ranks.
        progress: shown on rank 0; silent if None.
        force: write into a directory that is not empty.

    Returns:
        The result, on every rank.

    Raises:
        ValueError: with its cause, for what no potential can do.
    """
    return launch(case, _follow_story, directory=directory, comm=comm, progress=progress, force=force)


def _follow_story(case: PropertiesCase, run: RunDirectory, comm: MPI.Comm, progress: Progress) -> PropertiesResult:
    """The study itself."""
    request = request_of(case)
    potentials = load_all(case, progress)
    result = PropertiesResult(directory=run.path, sets=())
    sets: list[PropertySet] = []
    refusals: list[Exception] = []
    for label, potential in potentials.items():
        with progress.phase(label, total=len(request.parts)) as phase:
            try:
                found = _measured(potential, request, label, comm, phase)
            except REFUSALS as error:
                refusals.append(error)
                result.refused[label] = str(error)
                continue
            sets.append(found)
            run.event("measured", potential=label, properties=len(found.properties), calls=found.calls)
            if members := _members(case, potential):
                result.members[label] = _measured_members(members, request, label, comm, phase, result.refused)
    if not sets:
        raise refusals[0]
    result.warnings.extend([*warnings_of(result, sets), *unused_references(case, sets)])
    result = PropertiesResult(
        directory=run.path, sets=tuple(sets), members=result.members, refused=result.refused, warnings=result.warnings
    )
    with progress.phase("results"):
        run.record(potentials={label: describe_potential(p) for label, p in potentials.items()})
        files.write_tables(run, case, result)
        files.write_results(run, case, result)
    return result


def request_of(case: PropertiesCase) -> PropertyRequest:
    """Return what the case wants, in units of Å and eV."""
    return resolved(
        PropertyRequest(
            symbols=case.crystal.species,
            structure=case.crystal.structure,
            a=case.crystal.a,
            c=case.crystal.c,
            parts=case.properties,
            strain=case.state.strain,
            volumes=case.state.points,
            vacancy_sizes=case.vacancy.sizes,
            species=case.vacancy.species,
            chemical_potentials=case.vacancy.chemical_potential,
            starts=case.vacancy.starts,
            planes=case.surfaces.planes,
            heights=case.surfaces.heights,
            cut=case.surfaces.cut,
            relax=case.surfaces.relax,
            faults=None if case.faults is None else tuple(_fault(model) for model in case.faults),
            free_atoms=case.free_atoms,
        )
    )


def _fault(model: FaultModel) -> FaultRequest:
    """A γ-surface as the atomistic side takes it."""
    usual = _MAP if model.direction is None else _LINE
    return FaultRequest(
        plane=model.plane,
        direction=model.direction,
        points=usual if model.points is None else model.points,
        cut=model.cut,
        relax="normal" if model.relax else False,
        planes=model.planes,
    )


def load_all(case: PropertiesCase, progress: Progress) -> dict[str, Potential]:
    """All potentials, so that a mistake in the last one is told before the first one works."""
    found = {}
    with progress.phase("potentials"):
        for label, spec in case.potentials.items():
            with caused_by("potentials", label):
                found[label] = load_potential(spec, comm=MPI.COMM_SELF, device=case.device)
                found[label].check_elements(case.crystal.species)
        one_torch_thread()
    return found


def _measured(potential: Potential, request: PropertyRequest, label: str, comm: MPI.Comm, phase: Phase) -> PropertySet:
    """The properties by one potential, told part by part."""
    return measure_properties(potential, request, label=label, comm=comm, on_part=_teller(phase))


def _measured_members(
    members: list[Potential],
    request: PropertyRequest,
    label: str,
    comm: MPI.Comm,
    phase: Phase,
    refused: dict[str, str],
) -> tuple[PropertySet, ...]:
    """The properties by every member of a committee that has the crystal; why another has not is added to `refused`."""
    found = []
    for number, member in enumerate(members):
        try:
            found.append(_measured(member, request, label, comm, phase))
        except REFUSALS as error:
            refused[f"member {number} of {label}"] = str(error)
    return tuple(found)


def _teller(phase: Phase) -> Callable[[str], None]:
    return lambda part: phase.advance(1 if phase.done < (phase.total or 0) else 0, part)


def _members(case: PropertiesCase, potential: Potential) -> list[Potential]:
    """Every member of a committee as a potential of its own; none where it is no committee, or nobody asks."""
    from atomistic.committee import committee_of

    committee = committee_of(potential)
    if committee is None or case.spread == "none":
        return []
    return [committee.member(k) for k in range(committee.size)]


def warnings_of(result: PropertiesResult, sets: list[PropertySet]) -> list[str]:
    """What a reader of the results should know."""
    found = [f"{label} gives no properties of this crystal: {reason}" for label, reason in result.refused.items()]
    for one in sets:
        found += [f"{part} by {one.label} is missing: {reason}" for part, reason in one.failures.items()]
        found += one.warnings
    return found


def unused_references(case: PropertiesCase, sets: list[PropertySet]) -> list[str]:
    """Say which values of references have nothing beside them, and what was computed instead."""
    computed = list(dict.fromkeys(p.key for one in sets for p in one.properties))
    found = []
    for reference in case.references:
        for key in reference.values:
            if key in computed:
                continue
            alike = [other for other in computed if other.partition("(")[0] == key.partition("(")[0]]
            found.append(
                f"{key} of the reference {reference.name} is left out: it was not computed. Computed were "
                f"{', '.join(alike or computed)}"
            )
    return found


def predict(case: PropertiesCase, *, comm: MPI.Comm = MPI.COMM_WORLD) -> tuple[list[tuple[str, str]], list[str]]:
    """What to expect of a case before it runs: lattice constants, sizes of the cells, and times (collective)."""
    request = request_of(case)
    rows: list[tuple[str, str]] = [("properties", ", ".join(request.parts))]
    warnings = []
    for label, potential in load_all(case, Progress.silent()).items():
        try:
            crystal = relax_crystal(
                potential, symbols=request.symbols, structure=request.structure, a=request.a, c=request.c, comm=comm
            )
        except REFUSALS as error:
            warnings.append(f"{label} gives no properties of this crystal: {error}")
            continue
        evaluated, largest = expected_work(request, crystal)
        rate = _seconds_per_atom(potential, crystal)
        members = len(_members(case, potential))
        seconds = evaluated * rate * (1 + members)
        rows += [
            (f"lattice constant by {label}", f"{crystal.a:.4f} Å"),
            (f"largest cell by {label}", f"{largest} atoms"),
            (f"time by {label}", f"about {format_seconds(seconds)} on one rank"),
        ]
    return rows, warnings


def expected_work(request: PropertyRequest, crystal: Crystal) -> tuple[float, int]:
    """Return how many atoms are evaluated in all, about, and how many the largest cell has."""
    total, largest = float(40 * len(crystal.atoms)), len(crystal.atoms)
    if "vacancy" in request.parts:
        sizes = vacancy_sizes(crystal) if request.vacancy_sizes is None else request.vacancy_sizes
        atoms = [len(supercell(crystal, n)[0]) for n in sizes]
        total += sum(atoms) * (_VACANCY * request.starts + _CELL)
        largest = max(largest, *atoms)
    if "surfaces" in request.parts:
        for plane in request.planes or ():
            counts = slab_planes(crystal, plane=plane, heights=request.heights)
            atoms = [len(build_stack(crystal, plane=plane, n_planes=n, cut=request.cut).atoms) for n in counts]
            total += sum(atoms) * (1 + (_SURFACE if request.relax else 0))
            largest = max(largest, *atoms)
    if "faults" in request.parts:
        for fault in request.faults or ():
            stack = build_stack(crystal, plane=fault.plane, n_planes=fault.planes, cut=fault.cut)
            size = len(stack.atoms) * (2 if fault.relax else 1)
            shifts = fault.points if fault.direction is not None else fault.points**2 / _SYMMETRY
            total += size * shifts * (_FAULT if fault.relax else 1)
            largest = max(largest, size)
    return total, largest


def _seconds_per_atom(potential: Potential, crystal: Crystal) -> float:
    """Return the time of an evaluation over its atoms, from one of some thirty atoms."""
    cell, _ = supercell(crystal, vacancy_sizes(crystal)[0])
    potential.evaluate(cell)
    cell.rattle(0.01, seed=1)
    began = time.perf_counter()
    potential.evaluate(cell)
    return (time.perf_counter() - began) / len(cell)
