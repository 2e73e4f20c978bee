"""A study whose potential is taught on the way: before, the lesson, after, and what the oracle itself says.

The study is told three times at most: by the untaught potential in the folder `before`, by the taught one in the run directory
itself, and by the oracle in the folder `oracle`, wholly or its references alone. Between the first two the loop of active
learning takes a run through the states in which the study asks its potential. Those states are for learning: what is reported
belongs to one potential from the first state to the last.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from mpi4py import MPI

from atomistic.active_learning import Event, LearningRun
from atomistic.crystal import relax_crystal
from atomistic.oracle import load_oracle
from atomistic.potentials import Potential, load_potential
from continuum.solvers import ConvergenceError
from coupling.errors import HandshakeConvergenceError
from multiscale.config import AdhesionCase, FractureCase
from multiscale.config.learning_coupled import CoupledLearningModel
from multiscale.progress import Progress
from multiscale.resume import within_another
from multiscale.run import RunDirectory, strict_json
from multiscale.spread import carry_spread
from multiscale.studies import learning_files as files
from multiscale.studies.launch import launch
from multiscale.studies.learning_build import force_error, prepare, teach
from multiscale.studies.learning_checks import check_data, require_end
from multiscale.studies.learning_effect import BEFORE, ORACLE, Schooling, warn_of_effect, write_effect
from multiscale.studies.learning_run import CutLarge, small_cell

_SAME = 1e-11
"""Å up to which the oracle's own values take a kept calculation for another structure's: a lattice constant is sought more finely
than a label needs."""
HEADS = ".npz"
"""Ending of a file that any case can have as its potential: taught heads."""


#: Cases with `learning`.
type Taught = AdhesionCase | FractureCase
#: A study: called with case, run directory, ranks, progress and, as `potential`, what takes the place of the case's potential.
type Story[Result] = Callable[..., Result]


@dataclass(frozen=True, kw_only=True)
class Teaching[Result]:
    """What a study brings along to be taught.

    Attributes:
        story: the study itself.
        make_run: from case, potential and ranks to the run through its states.
        references: the part of the story that tells what the oracle itself says of crystal and surfaces.
        largest: frames of more atoms than this are cut to pieces, where the case has an excerpt, before the oracle is asked.
    """

    story: Story[Result]
    make_run: Callable[[Any, Potential, MPI.Comm], LearningRun]
    references: Story[None]
    largest: int = 48


def taught[Result](teaching: Teaching[Result]) -> Callable[..., Result]:
    """The story of a study that teaches its potential, as `launch` takes it."""
    return partial(_tell, teaching)


def _tell[Result](
    teaching: Teaching[Result], case: Taught, run: RunDirectory, comm: MPI.Comm, progress: Progress
) -> Result:
    """Before, the oracle, the lesson, after, and what differs (collective)."""
    check_data(case)
    learning, plain = learning_of(case), case.model_copy(update={"learning": None, "spread": "none"})
    if learning.before:
        with progress.phase("before learning"):
            _beside(plain, teaching.story, run, BEFORE, comm=comm)
    if learning.compare != "none":
        # Before anything is taught: an oracle that has no such crystal teaches nobody.
        with progress.phase("the oracle's own values"):
            cache = learning.cache or run.path / "quantum"
            oracle = load_oracle(learning.oracle_spec, cache=cache, match=_SAME, comm=MPI.COMM_SELF)
            story: Any = teaching.story if learning.compare == "whole" else teaching.references
            mark = {"oracle": learning.oracle_spec, "told": learning.compare}
            _beside(plain, partial(story, potential=oracle), run, ORACLE, comm=comm, **mark)
    schooling = _learn(teaching, case, run, comm, progress)
    # What the lesson asked of it is in the lesson's account: the study counts from here, however often the lesson was resumed.
    counter = schooling.result.potential.counter
    counter.calls, counter.atoms, counter.seconds = 0, 0, 0.0
    told = teaching.story(plain, run, comm, progress, potential=schooling.result.potential)
    if run.writes:
        write_effect(run, case, schooling)
    file = comm.bcast(schooling.file, root=0)
    if file is not None and file.suffix == HEADS:
        members = case.model_copy(update={"learning": None, "potential": {"path": str(file)}})
        carry_spread(members, run, comm=comm, progress=progress)
    if run.writes:
        warn_of_effect(run)
    require_end(schooling.result, directory=run.path, told=told)
    return told


def learning_of(case: Taught) -> CoupledLearningModel:
    """The case's block."""
    assert case.learning is not None
    return case.learning


def _learn[Result](
    teaching: Teaching[Result], case: Taught, run: RunDirectory, comm: MPI.Comm, progress: Progress
) -> Schooling:
    """Take the run through its states until it is trusted everywhere, or stops (collective)."""
    with progress.phase("learning") as phase:
        guess, potential = case.crystal, load_potential(case.potential, device=case.device)
        crystal = relax_crystal(
            potential, symbols=guess.species, structure=guess.structure, a=guess.a, c=guess.c, comm=comm
        )
        lesson = prepare(
            learning_of(case),
            potential=case.potential,
            first=small_cell(crystal),
            directory=run.path,
            device=case.device,
            comm=comm,
            report=phase.describe,
        )
        if lesson.excerpt is not None:
            lesson = replace(lesson, excerpt=CutLarge(lesson.excerpt, whole=teaching.largest))

        def report(event: Event) -> None:
            phase.describe(f"step {event.step}: {event.text}")
            if event.kind not in files.PASSING:
                run.event("learning", **files.event_fields(event))

        learner = teaching.make_run(case, lesson.start or potential, comm)
        result = teach(lesson, learner, directory=run.path, comm=comm, report=report)
        before = force_error(lesson.held_out, potential, comm=comm)
        file = files.write_learning(run, lesson, result, before=before)
    return Schooling(lesson=lesson, result=result, error_before=before, file=file)


def _beside(
    case: Any, story: Callable[..., Any], run: RunDirectory, folder: str, *, comm: MPI.Comm, **mark: Any
) -> None:
    """Tell a story in a folder of the run, unless it has been told there; a path that breaks off is told as far as it went.

    Collective.
    """
    directory = run.path / folder
    wanted = strict_json({"case": case, **mark}) + "\n"
    file = directory / "told.json"
    there = comm.rank == 0 and file.is_file() and file.read_text(encoding="utf-8") == wanted and _finished(directory)
    if comm.bcast(there, root=0):
        return
    try:
        with within_another(directory, case, comm=comm):
            launch(case, story, directory=directory, comm=comm, progress=None, force=True)
    except (ConvergenceError, HandshakeConvergenceError) as error:
        run.event("broke_off", folder=folder, error=str(error))
        return
    if comm.rank == 0:
        file.write_text(wanted, encoding="utf-8")


def _finished(directory: Path) -> bool:
    """Whether the last run in a directory came to its end."""
    try:
        status = json.loads((directory / "run.json").read_text(encoding="utf-8")).get("status")
    except (OSError, ValueError):
        return False
    return bool(status == "finished")
