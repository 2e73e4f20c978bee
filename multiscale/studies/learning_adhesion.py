"""The adhesion study taught: its interface pulled apart state by state, then its zone of atoms where it has one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mpi4py import MPI

from atomistic.active_learning import LearningRun
from atomistic.potentials import Potential
from multiscale.config import AdhesionCase
from multiscale.progress import Progress
from multiscale.run import RunDirectory
from multiscale.studies import adhesion_files as files
from multiscale.studies.interface import characterise_interface
from multiscale.studies.learning_run import RunsInRow
from multiscale.studies.learning_separation import SeparationRun
from multiscale.studies.learning_study import Story, Teaching, learning_of, taught
from multiscale.studies.learning_zone import ZoneRun
from multiscale.studies.specimen import plan_mesh


def taught_adhesion[Result](story: Story[Result]) -> Callable[..., Result]:
    """The adhesion study, in which `story` is told, with a potential that learns."""
    return taught(Teaching(story=story, make_run=run_through, references=oracle_interface))


def run_through(case: AdhesionCase, potential: Potential, comm: MPI.Comm) -> LearningRun:
    """The states that the law is made from, and the load steps of a zone."""
    learning = learning_of(case)
    rattle, seed = learning.data.rattle, learning.student.seed
    runs: list[LearningRun] = [SeparationRun(case, potential, comm=comm, rattle=rattle, seed=seed)]
    if case.zone is not None:
        runs.append(ZoneRun(case, potential, comm=comm))
    return runs[0] if len(runs) == 1 else RunsInRow(runs)


def oracle_interface(
    case: AdhesionCase, run: RunDirectory, comm: MPI.Comm, progress: Progress, potential: Potential | None = None
) -> None:
    """Crystal, separation curve and law by a potential, without a specimen; stacks are not checked (collective)."""
    options: dict[str, Any] = {"verification": case.verification.model_copy(update={"stacks": ()})}
    case = case.model_copy(update=options)
    interface = characterise_interface(case, comm=comm, progress=progress, potential=potential)
    files.write_interface(run, interface, comm)
    plan = plan_mesh(case, interface.material, interface.extraction)
    rows = [*files.atomistic_quantities(case, interface), *files.law_quantities(interface, plan)]
    names = ("name", "symbol", "value", "unit", "note")
    run.write_json("results.json", {"quantities": [dict(zip(names, row, strict=True)) for row in rows]})
