"""The embedding study: how wide the buffer around a quantum region must be, by the errors that narrower ones make."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mpi4py import MPI

from multiscale.config import EmbeddingCase
from multiscale.progress import Progress
from multiscale.run import RunDirectory
from multiscale.studies import embedding_files as files
from multiscale.studies.embedding_measure import Answer, Convergence, Task, compare, evaluate, make_tasks
from multiscale.studies.embedding_system import EmbeddingSystem, describe_system, prediction_rows
from multiscale.studies.launch import launch
from multiscale.units import format_length


@dataclass(frozen=True, kw_only=True)
class EmbeddingResult:
    """What a run leaves in memory; the rest is in its directory.

    Attributes:
        directory: of the run.
        system: atoms, engines, and the quantum region at every buffer.
        convergence: the error of every buffer.
        warnings: what a reader of the results should know.
    """

    directory: Path
    system: EmbeddingSystem
    convergence: Convergence
    warnings: list[str]

    @property
    def recommended(self) -> float | None:
        """Smallest buffer from which the error stays within the tolerance, Å; None where none does."""
        return self.convergence.recommended()


def run_embedding(
    case: EmbeddingCase,
    *,
    directory: str | Path,
    comm: MPI.Comm = MPI.COMM_WORLD,
    progress: Progress | None = None,
    force: bool = False,
) -> EmbeddingResult:
    """Run a case and write its directory (collective).

    Args:
        case: what to do.
        directory: where everything is written; must be new or empty unless `force`.
        comm: evaluations spread over its ranks.
        progress: shown on rank 0; silent if None.
        force: write into a directory that is not empty; finished quantum calculations in it are used again.

    Returns:
        The result, on every rank.

    Raises:
        ValueError: with its cause, for what the potential, the engine, the structure or the region cannot do.
    """
    return launch(case, _follow_story, directory=directory, comm=comm, progress=progress, force=force)


def _follow_story(case: EmbeddingCase, run: RunDirectory, comm: MPI.Comm, progress: Progress) -> EmbeddingResult:
    """The study itself."""
    system = describe_system(case, comm=comm, progress=progress, cache=run.file("quantum"))
    files.write_structure(run, system)
    whole = case.converge.reference == "whole system"
    tasks = make_tasks(system, whole=whole)
    run.event("evaluations_planned", count=len(tasks), atoms=sum(task.size for task in tasks))
    # Rank 0 shows its own share of the evaluations; the others have as much to do.
    with progress.phase("evaluations", total=sum(task.size for task in tasks[:: comm.size])) as phase:

        def on_done(task: Task, answer: Answer) -> None:
            phase.advance(task.size, files.task_text(system, task))
            run.event("evaluated", **files.task_event(system, task, answer))

        answers = evaluate(system, tasks, comm=comm, on_done=on_done)
    with progress.phase("results"):
        convergence = compare(system, answers, whole=whole, tolerance=case.converge.tolerance)
        warnings = [*warnings_of(case, system), *warnings_after(system, convergence), *changed_physics(system, comm)]
        files.write_results(run, case, system, convergence, warnings, comm=comm)
    return EmbeddingResult(directory=run.path, system=system, convergence=convergence, warnings=warnings)


def warnings_of(case: EmbeddingCase, system: EmbeddingSystem) -> list[str]:
    """What a user should know before trusting the numbers."""
    found = []
    if case.converge.reference == "largest buffer":
        found.append(
            f"errors are measured against the largest buffer, {format_length(system.buffers[-1])}, whose own error stays unknown"
        )
    largest = system.clusters[-1]
    if len(largest) == len(system.atoms) and case.converge.reference == "whole system":
        found.append(
            f"a buffer of {format_length(system.buffers[-1])} takes in all {len(system.atoms)} atoms: in vacuum instead of a "
            "periodic cell, or simply the whole. Take a larger system for a curve that says something"
        )
    return found


def warnings_after(system: EmbeddingSystem, convergence: Convergence) -> list[str]:
    """What the run itself showed."""
    found, tolerance = [], convergence.tolerance
    recommended = convergence.recommended()
    judged = convergence.rows[: convergence.judged]
    if recommended is None:
        found.append(
            f"no buffer up to {format_length(judged[-1].buffer)} keeps the error of every core force within {tolerance:g} eV/Å: "
            f"the last one leaves {judged[-1].difference.largest:.3g} eV/Å. Try wider buffers, other links, or a larger tolerance"
        )
    elif recommended == judged[-1].buffer:
        found.append(
            f"only the widest buffer compared, {format_length(recommended)}, is within the tolerance, and nothing wider shows "
            "that it stays there. Try a wider one"
        )
    if convergence.force < tolerance:
        found.append(
            f"the largest force on the core, {convergence.force:.3g} eV/Å, is below the tolerance of {tolerance:g} eV/Å: a "
            "structure so close to rest tests nothing. Displace it, for example rattle: 0.05 angstrom"
        )
    plain = convergence.recommended("substitution")
    if plain is not None and (recommended is None or plain < recommended):
        found.append(
            f"plain substitution gets by with {format_length(plain)}, less than the difference form: what the cut surface does "
            f"to {system.potential.capabilities.name} and to {system.oracle.capabilities.name} does not cancel. Both schemes "
            "take the difference; a potential closer to the engine would help"
        )
    if convergence.alone.largest <= tolerance:
        found.append(
            f"the potential alone errs by {convergence.alone.largest:.3g} eV/Å on the core, within the tolerance: nothing here "
            "needs a quantum region"
        )
    return found


def changed_physics(system: EmbeddingSystem, comm: MPI.Comm) -> list[str]:
    """Quantum results, on any rank, that were had only by settings other than those asked for (collective)."""
    mine = getattr(getattr(system.oracle.calculator, "record", None), "changed", [])
    return list(dict.fromkeys(line for lines in comm.allgather(mine) for line in lines))


def predict(case: EmbeddingCase, *, comm: MPI.Comm = MPI.COMM_WORLD) -> tuple[list[tuple[str, str]], list[str]]:
    """What to expect of a case before it runs: rows of label and value, and warnings (collective)."""
    system = describe_system(case, comm=comm, progress=Progress.silent())
    return prediction_rows(system, case), warnings_of(case, system)
