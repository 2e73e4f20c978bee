"""The fracture study taught: the states on its crack's path, judged where atoms are atoms."""

from __future__ import annotations

from collections.abc import Callable

from mpi4py import MPI

from atomistic.potentials import Potential
from multiscale.config import FractureCase
from multiscale.progress import Progress
from multiscale.run import RunDirectory
from multiscale.studies import fracture_files as files
from multiscale.studies.crack_references import find_references
from multiscale.studies.crack_system import characterise_crack
from multiscale.studies.fracture_quantities import reference_quantities
from multiscale.studies.learning_crack import CrackRun
from multiscale.studies.learning_study import Story, Teaching, taught


def taught_fracture[Result](story: Story[Result]) -> Callable[..., Result]:
    """The fracture study, in which `story` is told, with a potential that learns."""
    return taught(Teaching(story=story, make_run=_run_through, references=oracle_references))


def _run_through(case: FractureCase, potential: Potential, comm: MPI.Comm) -> CrackRun:
    return CrackRun(case, potential, comm=comm)


def oracle_references(
    case: FractureCase, run: RunDirectory, comm: MPI.Comm, progress: Progress, potential: Potential | None = None
) -> None:
    """Crystal, surfaces, elasticity and K_G by a potential, without a crack (collective)."""
    character = characterise_crack(case, comm=comm, progress=progress, potential=potential)
    files.write_crystal(run, character)
    references = find_references(case, character, comm=comm, progress=progress)
    files.write_references(run, case, references)
    rows = reference_quantities(case, references)
    names = ("name", "symbol", "value", "unit", "note")
    run.write_json("results.json", {"quantities": [dict(zip(names, row, strict=True)) for row in rows]})
