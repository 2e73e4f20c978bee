"""The active-learning study: a run during which an oracle teaches the potential where its committee is in doubt."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from ase import Atoms
from ase.io import write
from mpi4py import MPI

from atomistic.active_learning import Event, LearningResult
from atomistic.potentials import Potential, load_potential
from atomistic.whole_file import write_whole
from multiscale.config.learning_case import ActiveLearningCase, DynamicsModel
from multiscale.progress import Phase, Progress
from multiscale.run import RunDirectory, describe_potential
from multiscale.studies import learning_files as files
from multiscale.studies.active_learning_run import along_load, build_run, build_start
from multiscale.studies.interface import one_torch_thread
from multiscale.studies.launch import launch
from multiscale.studies.learning_build import Lesson, force_error, prepare, teach
from multiscale.studies.learning_checks import oracle_warnings, require_end


@dataclass(frozen=True, kw_only=True)
class ActiveLearningResult:
    """What a run leaves in memory; the rest is in its directory.

    Attributes:
        directory: of the run.
        start, end: the atoms at the start and as the run stands.
        learning: how the loop ended, with every check and event, and the taught potential.
        before: force error of the untaught potential on the held-out frames, eV/Å; None without such frames.
        oracle_calls: of the loop, and before it for the first frames.
        potential_file: the taught potential, for `potential: {path: ...}` of any study; None on ranks that do not write.
        warnings: what a reader of the results should know.
    """

    directory: Path
    start: Atoms
    end: Atoms
    learning: LearningResult
    before: float | None
    oracle_calls: int
    potential_file: Path | None
    warnings: list[str]


def run_active_learning(
    case: ActiveLearningCase,
    *,
    directory: str | Path,
    comm: MPI.Comm = MPI.COMM_WORLD,
    progress: Progress | None = None,
    force: bool = False,
) -> ActiveLearningResult:
    """Run a case and write its directory (collective).

    Args:
        case: what to do.
        directory: where everything is written; must be new or empty unless `force`.
        comm: all ranks step the run; the first one asks, teaches and writes.
        progress: shown on rank 0; silent if None.
        force: write into a directory that is not empty; a loop in it goes on where it stopped or was killed.

    Returns:
        The result, on every rank.

    Raises:
        ValueError: with its cause, for what the potential, the oracle, the student, the structure or the data cannot be.
        LearningStoppedError: the learning stopped before the run's end, or ended with its contract not kept. All is written;
            the error's `result` is what would have been returned, and the same call with `force` goes on.
    """
    return launch(case, _follow_story, directory=directory, comm=comm, progress=progress, force=force)


def _follow_story(
    case: ActiveLearningCase, run: RunDirectory, comm: MPI.Comm, progress: Progress
) -> ActiveLearningResult:
    """The study itself."""
    with progress.phase("structure"):
        potential, start = _start(case, comm)
        _write_atoms(run, "start.extxyz", start)
    with progress.phase("first lesson") as phase:
        lesson = prepare(
            case.learning,
            potential=case.potential,
            first=along_load(case.run, start, count=case.learning.data.frames),
            directory=run.path,
            device=case.device,
            comm=comm,
            report=phase.describe,
        )
        before = force_error(lesson.held_out, potential, comm=comm)
    learner = build_run(case.run, start)
    with progress.phase("run", total=case.run.steps) as phase:

        def report(event: Event) -> None:
            if event.kind not in files.PASSING:
                run.event("learning", **files.event_fields(event))
            show(phase, event)

        result = teach(lesson, learner, directory=run.path, comm=comm, report=report)
    with progress.phase("results"):
        end = learner.frame().atoms
        _write_atoms(run, "end.extxyz", end)
        path = files.write_learning(run, lesson, result, before=before)
        warnings = [
            *warnings_of(case),
            *_symmetric(result),
            *files.learning_warnings(result, case.learning, before=before),
        ]
        run.write_json(
            "results.json",
            {
                "quantities": files.told(files.quantities(result, lesson, before=before)),
                "warnings": warnings,
                "learning": files.learning_section(result, lesson, before=before, path=path),
            },
        )
        run.record(potential=describe_potential(result.potential), engine=describe_potential(lesson.oracle))
    told = ActiveLearningResult(
        directory=run.path,
        start=start,
        end=end,
        learning=result,
        before=before,
        oracle_calls=result.oracle_calls + lesson.spent,
        potential_file=path,
        warnings=warnings,
    )
    require_end(result, directory=run.path, told=told)
    return told


def _start(case: ActiveLearningCase, comm: MPI.Comm) -> tuple[Potential, Atoms]:
    """The potential before it is taught, and the atoms (collective)."""
    potential = load_potential(case.potential, comm=MPI.COMM_SELF, device=case.device)
    one_torch_thread()
    start = build_start(case.structure, potential, comm=comm)
    potential.check_elements(start.symbols)
    return potential, start


def show(phase: Phase, event: Event) -> None:
    """Tell where a loop stands: its step and what happens; a run that is taken back moves the bar back."""
    phase.advance(event.step - phase.done, event.text)


def _write_atoms(run: RunDirectory, name: str, atoms: Atoms) -> None:
    if run.writes:
        text = io.StringIO()
        write(text, atoms, format="extxyz", parallel=False)
        write_whole(run.file(name), text.getvalue())


def _symmetric(result: LearningResult) -> list[str]:
    """A start about which no committee can doubt."""
    return [event.text for event in result.events if event.kind == "symmetric"][:1]


def warnings_of(case: ActiveLearningCase) -> list[str]:
    """What a user should know before trusting the numbers."""
    learning = case.learning
    found = oracle_warnings(case)
    steps = case.run.steps
    if learning.check_every > steps:
        found.append(
            f"the committee is looked at every {learning.check_every} steps, and there are {steps}: only at the end"
        )
    if isinstance(case.run, DynamicsModel) and case.run.timestep * learning.check_every > 50.0:
        found.append(
            f"{case.run.timestep * learning.check_every:g} fs pass between two checks: a structure may run away in between. "
            "Lower learning.check_every"
        )
    return found


def predict(case: ActiveLearningCase, *, comm: MPI.Comm = MPI.COMM_WORLD) -> tuple[list[tuple[str, str]], list[str]]:
    """What to expect of a case before it runs: rows of label and value, and warnings (collective). Asks the oracle nothing."""
    _, start = _start(case, comm)
    lesson = prepare(
        case.learning, potential=case.potential, first=start, directory=None, device=case.device, comm=comm
    )
    return prediction_rows(case, start, lesson), warnings_of(case)


def _calls(budget: int, steps: int) -> str:
    """The budget, and what part of always asking it is where the run is long enough for that to mean something."""
    share = f", {100.0 * budget / steps:.3g}% of asking at every step" if steps >= files.FEW else ""
    return f"at most {budget}{share}"


def prediction_rows(case: ActiveLearningCase, start: Atoms, lesson: Lesson) -> list[tuple[str, str]]:
    """What `validate` prints."""
    learning, steps = case.learning, case.run.steps
    known = f"{len(lesson.initial)}, from files"
    if not lesson.initial:
        known = "none: it has been taught" if lesson.start is not None else f"{learning.data.frames}, by the oracle"
    rows = [
        ("atoms", f"{len(start)} ({start.symbols.formula.format('reduce')})"),
        ("run", f"{case.run.type}, {'at most ' if case.run.type == 'relaxation' else ''}{steps} steps"),
        ("oracle", lesson.oracle.capabilities.name),
        ("oracle calls", _calls(learning.budget, steps)),
        ("first frames", known),
        ("held-out frames", str(len(lesson.held_out))),
        ("checks of the committee", f"{steps // learning.check_every}, threshold {learning.threshold:g} eV/Å"),
    ]
    if learning.student.factory is None:
        student = learning.student
        backbone = student.backbone or case.potential
        rows.insert(2, ("student", f"{student.members} heads on {student.layers} layers of {backbone}"))
    return rows
